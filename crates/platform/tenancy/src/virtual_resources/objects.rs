//! The stored objects that answers are made of.

use apiserver_meta::options::ListOptions;
use apiserver_meta::{ApiError, ObjectFilter, ObjectKey, RequestContext};
use apiserver_registry::{Item, Registry};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use vci_management::plural;
use vci_management::team::Team;
use vci_management::types::EntityInfo;
use vci_management::user::User;

/// All objects, by plural and name. What of them is shown to whom is for the answers to say.
#[derive(Clone, Debug)]
pub(crate) struct Objects(Vec<Arc<Registry>>);

impl Objects {
    pub(crate) fn new(registries: &[Arc<Registry>]) -> Self {
        Self(registries.to_vec())
    }

    /// One object; `None` when it is not there.
    pub(crate) async fn one(&self, ctx: &RequestContext, plural: &str, name: &str) -> Result<Option<Arc<Item>>, ApiError> {
        let Some(registry) = self.registry(plural) else { return Ok(None) };
        registry.find(ctx, &ObjectKey::new("", name)).await
    }

    /// All objects of a kind, in order.
    pub(crate) async fn all(&self, ctx: &RequestContext, plural: &str) -> Result<Vec<Arc<Item>>, ApiError> {
        let Some(registry) = self.registry(plural) else { return Ok(Vec::new()) };
        Ok(registry.list(ctx, "", &ListOptions::default(), &ObjectFilter::All).await?.items)
    }

    /// A user, as others see them; `None` when there is none of this name.
    pub(crate) async fn user(&self, ctx: &RequestContext, name: &str) -> Result<Option<EntityInfo>, ApiError> {
        self.one(ctx, plural::USERS, name).await?.map(|item| user_info(&item)).transpose()
    }

    /// A team, as others see it; `None` when there is none of this name.
    pub(crate) async fn team(&self, ctx: &RequestContext, name: &str) -> Result<Option<EntityInfo>, ApiError> {
        self.one(ctx, plural::TEAMS, name).await?.map(|item| team_info(&item)).transpose()
    }

    fn registry(&self, plural: &str) -> Option<&Arc<Registry>> {
        self.0.iter().find(|registry| registry.descriptor().plural == plural)
    }
}

/// A stored object as a Rust type.
pub(crate) fn read<T: DeserializeOwned>(item: &Item) -> Result<T, ApiError> {
    serde_json::from_slice(&item.bytes).map_err(|error| ApiError::internal("a stored object cannot be read").with_source(error))
}

/// The names that a user leaves out are the object's: clients compare them with the owners of instances.
pub(crate) fn user_info(item: &Item) -> Result<EntityInfo, ApiError> {
    let User { spec, .. } = read(item)?;
    let name = item.name().to_owned();
    Ok(EntityInfo {
        display_name: spec.display_name,
        icon: spec.icon,
        username: or(spec.username, &name),
        email: spec.email,
        subject: or(spec.subject, &name),
        name,
    })
}

pub(crate) fn team_info(item: &Item) -> Result<EntityInfo, ApiError> {
    let Team { spec, .. } = read(item)?;
    let name = item.name().to_owned();
    Ok(EntityInfo { display_name: spec.display_name, username: or(spec.username, &name), name, ..EntityInfo::default() })
}

fn or(text: String, other: &str) -> String {
    if text.is_empty() { other.to_owned() } else { text }
}

/// An answer as JSON.
pub(crate) fn json(answer: &impl serde::Serialize) -> Result<Value, ApiError> {
    serde_json::to_value(answer).map_err(|error| ApiError::internal("an answer cannot be encoded").with_source(error))
}
