//! Registries with every rule on them, and people who write.

#![allow(clippy::unwrap_used)]

use super::Rules;
use crate::bootstrap;
use crate::directory::Directory;
use crate::identity_informer::IdentityInformer;
use crate::{KeyScopes, ProjectRules};
use apiserver_auth::{Authorizer, Masters};
use apiserver_meta::context::GROUP_MASTERS;
use apiserver_meta::options::{DeleteOptions, GetOptions, PatchOptions, WriteOptions};
use apiserver_meta::{ApiError, Object, ObjectFilter, ObjectKey, RequestContext, Scope, Subresource, User};
use apiserver_meta::{Principal, Resource};
use apiserver_registry::{CacheConfig, Deleted, Patch, PatchKind, Registries, Registry};
use apiserver_server::AdmissionParts;
use apiserver_server::admission::Permissions;
use apiserver_store::Store;
use apiserver_store::embedded::{EmbeddedConfig, EmbeddedStore};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::{CancellationToken, DropGuard};
use vci_management::access::Caller;

/// A server without HTTP: what its registries answer to `root`, who may do everything, and to others, whom no
/// authorizer has looked at before.
pub(crate) struct Rig {
    registries: Vec<Arc<Registry>>,
    directory: Arc<Directory>,
    feed: IdentityInformer,
    store: Arc<dyn Store>,
    stop: CancellationToken,
    _end: DropGuard,
    _folder: tempfile::TempDir,
}

/// A member of a project.
pub(crate) fn member(name: &str, role: &str) -> Value {
    json!({"kind": "User", "name": name, "clusterRole": format!("loft-management-project-{role}")})
}

/// The spec of an instance that no rule has anything against.
pub(crate) fn instance() -> Value {
    json!({"templateRef": {"name": "template"}})
}

/// A request of somebody: `root` may do everything, tina is of devs.
pub(crate) fn context(name: &str) -> RequestContext {
    let groups = if name == "root" { vec![GROUP_MASTERS.into()] } else { Vec::new() };
    let teams = if name == "tina" { vec!["devs".into()] } else { Vec::new() };
    let user = User { name: name.into(), groups, ..User::default() };
    let caller = Caller { user: Some(name.into()), teams, ..Caller::default() };
    RequestContext::new(Arc::new(user), Principal::new(caller), Instant::now() + Duration::from_secs(20), "audit".into())
}

impl Rig {
    /// With the users una, tina, zoe and adam, and the team devs, of which tina is.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(folder.path().join("store"), &EmbeddedConfig::standard()).unwrap());
        let (stop, directory) = (CancellationToken::new(), Arc::new(Directory::default()));
        let resources = vci_management::resources();
        let authorizers: Vec<Arc<dyn Authorizer>> =
            vec![Arc::new(KeyScopes::new(Arc::clone(&directory))), Arc::new(Masters), Arc::new(ProjectRules::new(Arc::clone(&directory)))];
        let (permissions, registries) = (Arc::new(Permissions::new(authorizers)), Registries::default());
        let parts = AdmissionParts { store: Arc::clone(&store), resources: resources.clone(), permissions, registries };
        let rules = Rules::new(Arc::clone(&directory), &parts);
        let start = |resource: Arc<dyn Resource>| {
            let admission = parts.owner_references().into_iter().chain(rules.of(resource.descriptor())).collect();
            Registry::start(resource, Arc::clone(&store), admission, CacheConfig::standard(), stop.clone())
        };
        let registries: Vec<_> = resources.into_iter().map(start).collect();
        parts.registries.fill(&registries);
        let feed = IdentityInformer::start(&directory, &registries, &stop);
        for registry in &registries {
            registry.cache().ready().await;
        }
        feed.filled().await;
        let rig = Self { registries, directory, feed, store, stop: stop.clone(), _end: stop.drop_guard(), _folder: folder };
        for name in ["una", "tina", "zoe", "adam"] {
            rig.create("root", "users", name, json!({})).await.unwrap();
        }
        rig.create("root", "teams", "devs", json!({"users": ["tina"]})).await.unwrap();
        rig
    }

    pub(crate) fn registry(&self, plural: &str) -> &Arc<Registry> {
        self.registries.iter().find(|registry| registry.descriptor().plural == plural).unwrap()
    }

    /// A registry of a kind on the store of the rig, without any rule.
    pub(crate) fn lawless(&self, plural: &str) -> Arc<Registry> {
        let resource = Arc::clone(self.registry(plural).resource());
        Registry::start(resource, Arc::clone(&self.store), Vec::new(), CacheConfig::standard(), self.stop.clone())
    }

    /// All of them, and what ends them.
    pub(crate) fn all(&self) -> (Vec<Arc<Registry>>, CancellationToken) {
        (self.registries.clone(), self.stop.clone())
    }

    /// Waits until the directory knows that somebody has a role in a namespace.
    pub(crate) async fn knows(&self, user: &str, namespace: &str) {
        let caller = Caller::from_context(&context(user)).clone();
        self.wait_for(|| self.directory.role(namespace, &caller).is_some()).await;
    }

    /// Waits until the directory knows that somebody may do everything.
    pub(crate) async fn admin(&self, user: &str) {
        let caller = Caller::from_context(&context(user)).clone();
        self.wait_for(|| self.directory.is_admin(&caller)).await;
    }

    /// Waits until a secret opens the door to somebody.
    pub(crate) async fn opens(&self, secret: &str, user: &str) {
        self.wait_for(|| self.directory.identify(secret, 0).is_some_and(|identity| identity.user.name == user)).await;
    }

    /// Whether a secret opens the door to anybody.
    pub(crate) fn is_good(&self, secret: &str) -> bool {
        self.directory.identify(secret, 0).is_some()
    }

    /// The directory, all registries and how far it follows them, and what ends them.
    pub(crate) fn feeding(&self) -> (Arc<Directory>, bootstrap::Registries, CancellationToken) {
        let registries = bootstrap::Registries { all: self.registries.clone(), feed: self.feed.clone() };
        (Arc::clone(&self.directory), registries, self.stop.clone())
    }

    pub(crate) async fn wait_for(&self, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !holds() {
            assert!(Instant::now() < deadline, "not within ten seconds");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// `at` is a name, or a namespace and a name.
    pub(crate) async fn create(&self, who: &str, plural: &str, at: &str, spec: Value) -> Result<Value, ApiError> {
        self.create_with(who, plural, at, spec, &WriteOptions::default()).await
    }

    pub(crate) async fn create_as(&self, ctx: &RequestContext, plural: &str, at: &str, spec: Value) -> Result<Value, ApiError> {
        self.write(ctx, plural, at, spec, &WriteOptions::default()).await
    }

    pub(crate) async fn create_with(
        &self,
        who: &str,
        plural: &str,
        at: &str,
        spec: Value,
        options: &WriteOptions,
    ) -> Result<Value, ApiError> {
        self.write(&context(who), plural, at, spec, options).await
    }

    async fn write(&self, ctx: &RequestContext, plural: &str, at: &str, spec: Value, options: &WriteOptions) -> Result<Value, ApiError> {
        let (registry, key) = (self.registry(plural), self.key(plural, at));
        let descriptor = registry.descriptor();
        let body = json!({
            "apiVersion": descriptor.api_version(), "kind": descriptor.kind, "metadata": { "name": key.name }, "spec": spec,
        });
        let conformed = apiserver_meta::decode::conform(body, registry.schema()).unwrap();
        assert!(conformed.unknown.is_empty(), "{:?}", conformed.unknown);
        let object = Object::from_value(conformed.value).unwrap();
        let written = registry.create(ctx, &key.namespace, object, options).await?;
        Ok(serde_json::from_slice(&written.bytes).unwrap())
    }

    /// A merge patch.
    pub(crate) async fn patch(&self, who: &str, plural: &str, at: &str, patch: &Value) -> Result<(), ApiError> {
        self.patch_as(&context(who), plural, at, patch).await
    }

    pub(crate) async fn patch_as(&self, ctx: &RequestContext, plural: &str, at: &str, patch: &Value) -> Result<(), ApiError> {
        let patch = Patch { kind: PatchKind::Merge, body: patch.to_string().into(), create_denial: None, mask: None };
        let (key, options) = (self.key(plural, at), PatchOptions::default());
        self.registry(plural).patch(ctx, &key, Subresource::Main, patch, &options, &ObjectFilter::All).await?;
        Ok(())
    }

    pub(crate) async fn delete(&self, who: &str, plural: &str, at: &str) -> Result<Deleted, ApiError> {
        let options = DeleteOptions::default();
        Ok(self.registry(plural).delete(&context(who), &self.key(plural, at), &options, &ObjectFilter::All).await?)
    }

    pub(crate) async fn get(&self, who: &str, plural: &str, at: &str) -> Value {
        let item = self.registry(plural).get(&context(who), &self.key(plural, at), &GetOptions::default(), &ObjectFilter::All).await;
        serde_json::from_slice(&item.unwrap().bytes).unwrap()
    }

    pub(crate) fn key(&self, plural: &str, at: &str) -> ObjectKey {
        match at.split_once('/') {
            Some((namespace, name)) if self.registry(plural).descriptor().scope == Scope::Namespaced => ObjectKey::new(namespace, name),
            _ => ObjectKey::new("", at),
        }
    }
}
