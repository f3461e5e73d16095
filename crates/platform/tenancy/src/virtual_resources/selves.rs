//! The caller's identity (`Self`). Every client of the platform asks for it first, to find out whether its access key is good.

use super::objects::{Objects, json, read};
use crate::clock::unix_seconds;
use crate::directory::{Directory, EXTRA_ACCESS_KEY};
use apiserver_auth::Identity;
use apiserver_endpoints::{VirtualRequest, VirtualResource};
use apiserver_meta::{ApiError, FieldError, FieldPath, RequestContext, Schema, VirtualDescriptor};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use vci_management::access::Caller;
use vci_management::computed::{SELF, SelfSpec, SelfStatus, UserInfo, self_schema};
use vci_management::ownedaccesskey::OwnedAccessKey;
use vci_management::plural;
use vci_management::types::EntityInfo;

/// `POST /selves`.
///
/// `spec.accessKey` asks about another key: whoever has a secret could as well call with it and be told the same, so that
/// nothing is given away, and nobody is told anything about a key without its secret.
#[derive(Debug)]
pub(crate) struct Selves {
    objects: Objects,
    directory: Arc<Directory>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Question {
    spec: SelfSpec,
}

#[async_trait]
impl VirtualResource for Selves {
    fn descriptor(&self) -> &'static VirtualDescriptor {
        &SELF
    }

    fn schema(&self) -> &Schema {
        self_schema()
    }

    async fn answer(&self, asked: VirtualRequest<'_>) -> Result<Value, ApiError> {
        let question: Question = asked.question()?;
        let status = match question.spec.access_key.as_str() {
            "" => self.about(asked.ctx, asked.identity).await?,
            secret => self.about(asked.ctx, &self.holder(secret)?).await?,
        };
        // The spec is left empty: no answer has a secret in it.
        Ok(serde_json::json!({ "spec": {}, "status": json(&status)? }))
    }
}

impl Selves {
    pub(crate) fn new(objects: Objects, directory: Arc<Directory>) -> Self {
        Self { objects, directory }
    }

    /// The identity of the holder of a secret. The error neither repeats the secret nor says why it is refused.
    fn holder(&self, secret: &str) -> Result<Identity, ApiError> {
        let known = self.directory.identify(secret, unix_seconds());
        known.ok_or_else(|| {
            let path = FieldPath::new("spec").child("accessKey");
            let error = FieldError::forbidden(&path, "access key is unknown, disabled or expired, or its holder is");
            ApiError::invalid(SELF.group, SELF.kind, "", &[error])
        })
    }

    async fn about(&self, ctx: &RequestContext, identity: &Identity) -> Result<SelfStatus, ApiError> {
        let mut status = SelfStatus {
            subject: identity.user.name.clone(),
            uid: identity.user.uid.clone(),
            groups: identity.user.groups.clone(),
            project_namespace_prefix: Some(self.directory.namespace_prefix().to_string()),
            ..SelfStatus::default()
        };
        let teams = self.teams(ctx, &Caller::of(&identity.principal).teams).await?;
        match &Caller::of(&identity.principal).user {
            Some(name) => {
                let info = self.objects.user(ctx, name).await?.unwrap_or_else(|| named(name));
                status.user = Some(UserInfo { info, teams });
            }
            // Whoever is a team and no user came with the team's key.
            None => status.team = teams.into_iter().next(),
        }
        if let Some(name) = identity.user.extra.get(EXTRA_ACCESS_KEY).and_then(|names| names.first()) {
            self.add_key(ctx, name, &mut status).await?;
        }
        Ok(status)
    }

    async fn teams(&self, ctx: &RequestContext, names: &[String]) -> Result<Vec<EntityInfo>, ApiError> {
        let mut teams = Vec::with_capacity(names.len());
        for name in names {
            teams.push(self.objects.team(ctx, name).await?.unwrap_or_else(|| named(name)));
        }
        Ok(teams)
    }

    async fn add_key(&self, ctx: &RequestContext, name: &str, status: &mut SelfStatus) -> Result<(), ApiError> {
        let Some(item) = self.objects.one(ctx, plural::ACCESS_KEYS, name).await? else { return Ok(()) };
        let OwnedAccessKey { spec, .. } = read(&item)?;
        status.access_key = name.to_owned();
        status.access_key_type = spec.r#type;
        status.access_key_scope = spec.scope;
        Ok(())
    }
}

/// The caller's name alone, when the object was deleted a moment ago.
fn named(name: &str) -> EntityInfo {
    EntityInfo { name: name.to_owned(), ..EntityInfo::default() }
}
