//! Objects that a start creates: those of files, and an administrator on the first start.
//!
//! Everything goes through the registries, with the same rules as a client's create. What exists is left as it is, so
//! that a restart changes nothing.

mod administrator;
mod manifest;
#[cfg(test)]
mod tests;

pub(crate) use administrator::Administrator;
pub(crate) use manifest::{Manifest, read_manifests};

use crate::directory::Directory;
use crate::identity_informer::IdentityInformer;
use crate::server_writes::server_writes;
use administrator::Users;
use apiserver_meta::options::{FieldValidation, WriteOptions};
use apiserver_meta::{ApiError, Object, ObjectKey};
use apiserver_registry::loopback;
use apiserver_registry::{Registry, WriteFailure};
use apiserver_server::StartError;
use apiserver_store::Revision;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use vci_management::plural;

const CREATE_TIMEOUT: Duration = Duration::from_secs(30);

/// The registries, by plural name, and how far the directory follows them.
#[derive(Clone, Debug)]
pub(crate) struct Registries {
    /// All of them.
    pub(crate) all: Vec<Arc<Registry>>,
    /// The informer that keeps the directory current.
    pub(crate) feed: IdentityInformer,
}

impl Registries {
    /// The one of this plural name.
    pub(crate) fn find(&self, plural: &str) -> Result<&Arc<Registry>, StartError> {
        let found = self.all.iter().find(|registry| registry.descriptor().plural == plural);
        found.ok_or_else(|| StartError::Internal(format!("{plural} are not served")))
    }

    /// Whether there is such an object.
    async fn exists(&self, plural: &str, name: &str) -> Result<bool, StartError> {
        let registry = self.find(plural)?;
        let key = ObjectKey::new("", name);
        if registry.cache().cached_existing(&key).is_some() {
            return Ok(true);
        }
        let found = registry.find(&loopback::context(CREATE_TIMEOUT), &key).await;
        found.map(|item| item.is_some()).map_err(|error| refused(plural, name, &error))
    }

    /// Creates an object, unless one of its name is there.
    async fn ensure(&self, plural: &str, object: Object) -> Result<Ensured, StartError> {
        if self.exists(plural, object.name()).await? { Ok(Ensured::WasThere) } else { self.create(plural, object).await }
    }

    /// Creates an object. Returns once the directory knows of it.
    async fn create(&self, plural: &str, object: Object) -> Result<Ensured, StartError> {
        let name = object.name().to_owned();
        let options = WriteOptions { field_validation: FieldValidation::Strict, ..server_writes() };
        match self.find(plural)?.create(&loopback::context(CREATE_TIMEOUT), "", object, &options).await {
            Ok(written) => {
                self.feed.reached(plural, revision_of(&written.bytes)).await;
                tracing::info!(resource = plural, name, "created");
                Ok(Ensured::Created)
            }
            // Another replica was faster.
            Err(WriteFailure::Exists(_)) => Ok(Ensured::WasThere),
            Err(failure) => Err(refused(plural, &name, &failure.into())),
        }
    }
}

/// The outcome of [`Registries::ensure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ensured {
    Created,
    WasThere,
}

/// Creates the missing objects of the files in their order, but access keys last, because their holders must exist; then makes sure
/// of an administrator. Returns the path of a kubeconfig that can be used at once, if this server has one.
///
/// # Errors
/// The first object that is refused; a file that cannot be written.
pub(crate) async fn first_objects(
    registries: &Registries,
    directory: &Directory,
    manifests: Vec<Manifest>,
    administrator: Administrator<'_>,
    now: i64,
) -> Result<Option<PathBuf>, StartError> {
    let before = Users::of(registries).await?;
    let (keys, others): (Vec<_>, Vec<_>) = manifests.into_iter().partition(|manifest| manifest.plural == plural::ACCESS_KEYS);
    for Manifest { plural, object } in others {
        registries.ensure(plural, object).await?;
    }
    let kubeconfig = administrator::ensure(registries, directory, administrator, before, now).await?;
    // A key is made for a holder that is there; the first administrator may be one.
    for Manifest { plural, object } in keys {
        registries.ensure(plural, object).await?;
    }
    Ok(kubeconfig)
}

fn refused(plural: &str, name: &str, error: &ApiError) -> StartError {
    StartError::Create { what: format!("{plural} {name:?}"), why: error.message.replace('\n', " ") }
}

/// The resourceVersion in a stored object; 0, which everything has reached, where there is none.
fn revision_of(bytes: &[u8]) -> Revision {
    let object = serde_json::from_slice(bytes).ok().and_then(Object::from_value);
    object.and_then(|object| object.resource_version().parse().ok()).unwrap_or(0)
}
