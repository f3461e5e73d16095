//! The parts that kinds are made of. A tree that occurs in several places is one struct.
//!
//! The doc comments are what `kubectl explain` shows. How a field's Rust type says when it is written is told in
//! [`apiserver_meta::schema`]; a list without a list type is replaced whole, as these lists are in upstream.

use apiserver_meta::Object;
use apiserver_meta::types::ObjectMeta;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

mod access;
mod condition;
mod entity;
mod helm;
mod parameter;
mod secret;
mod sleep;
mod template;

pub(crate) use access::object_access;
pub use access::{Access, ClusterRoleRef, InstanceAccess, InstanceAccessRule, UserOrTeam};
pub use condition::Condition;
pub use entity::EntityInfo;
pub use helm::{ChartSecretRef, HelmChart, HelmRelease, ProjectSecretRef, TemplateHelmChart};
pub use parameter::AppParameter;
pub(crate) use parameter::parameter_errors;
pub use secret::{Base64, KindSecretRef, SecretRef};
pub use sleep::{Epoch, LastActivityInfo, SleepModeConfig, SleepModeConfigSpec, SleepModeConfigStatus};
pub use template::{
    AccessPoint, AccessPointIngress, AppReference, ChartStatus, InstanceTemplateDefinition, ObjectsStatus, ProSettings, SpaceTemplate,
    TemplateMetadata, VirtualClusterTemplateDefinition,
};

/// An object as Rust types, for code that reads many fields of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Typed<Spec, Status> {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: Spec,
    /// What is known.
    pub status: Status,
}

impl<Spec: DeserializeOwned + Default, Status: DeserializeOwned + Default> Typed<Spec, Status> {
    /// Reads the bytes of a stored object.
    ///
    /// # Errors
    /// The bytes are no object of this kind.
    pub fn from_bytes(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }

    /// Reads an object in canonical form.
    ///
    /// # Errors
    /// It is none of this kind.
    pub fn of(object: &Object) -> serde_json::Result<Self> {
        Self::deserialize(&object.0)
    }
}

pub(crate) fn is_false(value: &bool) -> bool {
    !value
}

pub(crate) fn is_zero(value: &i64) -> bool {
    *value == 0
}
