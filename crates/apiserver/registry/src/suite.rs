//! The suite that every kind must pass: what Kubernetes promises of any resource, whatever it is, asked of a
//! [`Registry`] over any store. One async function per case.
//!
//! A kind brings a [`Sample`]; the rules that make it special are its own tests' business. A case gets a
//! [`Subject`] whose store holds nothing of the kind.
//!
//! ```ignore
//! apiserver_registry::resource_suite!(fresh()); // async fn fresh() -> (Subject, impl Sized)
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used)] // A suite reports by panicking.

use crate::{CacheConfig, Deleted, EventKind, Frame, List, Patch, PatchKind, Registry, Watch, Written};
use apiserver_meta::options::{DeleteOptions, DryRun, GetOptions, ListOptions, PatchOptions, ResourceVersion, WriteOptions};
use apiserver_meta::selector::{FieldSelector, LabelSelector};
use apiserver_meta::{
    ApiError, Object, ObjectFilter, ObjectKey, Principal, Reason, RequestContext, Resource, Scope, Subresource, User, decode,
};
use apiserver_store::Store;
use futures::StreamExt;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

mod bounds;
mod collection;
mod concurrency;
mod create;
mod delete;
mod kind;
mod patch;
mod status;
mod update;
mod watch;

pub use bounds::*;
pub use collection::*;
pub use concurrency::*;
pub use create::*;
pub use delete::*;
pub use kind::*;
pub use patch::*;
pub use status::*;
pub use update::*;
pub use watch::*;

/// Makes one `#[tokio::test]` per case. The expression is awaited anew in every test; it gives a
/// [`Subject`] and whatever must stay alive with it.
#[macro_export]
macro_rules! resource_suite {
    ($factory:expr) => {
        $crate::resource_suite!(@cases $factory;
            the_kind_describes_itself,
            the_sample_is_canonical,
            bad_objects_have_short_answers,
            every_item_of_a_list_is_looked_at,
            warnings_have_a_bound,
            errors_of_patches_repeat_nothing_of_the_object,
            create_sets_system_fields,
            create_of_a_taken_name,
            create_with_a_resource_version,
            create_without_a_good_name,
            generated_names,
            update_needs_the_current_version,
            update_keeps_system_fields,
            update_counts_generations,
            writes_that_change_nothing,
            refused_writes_leave_no_trace,
            dry_runs_leave_no_trace,
            patches_of_three_types,
            patch_with_preconditions,
            apply_creates_and_is_idempotent,
            apply_conflicts_and_force,
            managed_fields_name_their_managers,
            delete_and_create_again,
            delete_with_preconditions,
            finalizers_hold_an_object,
            status_is_a_world_of_its_own,
            computed_fields_are_never_stored,
            lists_select,
            pages_are_one_moment,
            bad_continue_tokens,
            delete_collection_selects,
            namespaces_are_apart,
            watch_tells_a_life,
            watch_resumes,
            watch_selects,
            watch_begins_with_the_state,
            concurrent_creates_have_one_winner,
            concurrent_patches_add_up,
            concurrent_updates_lose_nothing,
        );
    };
    (@cases $factory:expr; $($case:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (subject, _guard) = $factory.await;
                $crate::suite::$case(&subject).await;
            }
        )*
    };
}

/// How long a case waits for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);
/// Who creates and updates, as managed fields name them.
const MANAGER: &str = "suite";
/// Where objects of namespaced kinds live, and where they do not.
const HOME: &str = "one";
const ELSEWHERE: &str = "two";

/// What the suite must know of a kind.
#[derive(Clone, Debug)]
pub struct Sample {
    /// A good object without name and namespace; apiVersion and kind are filled in.
    pub object: Value,
    /// A merge patch of that object that is allowed and changes what is wanted.
    pub change: Value,
    /// A merge patch that changes the status; not looked at for a kind without `/status`.
    pub status: Value,
}

/// A kind, served by a registry of its own.
#[derive(Debug)]
pub struct Subject {
    registry: Arc<Registry>,
    sample: Sample,
    _stop: DropGuard,
}

impl Subject {
    /// Serves the kind over a store that holds nothing of it.
    pub async fn start(resource: Arc<dyn Resource>, store: Arc<dyn Store>, sample: Sample) -> Self {
        let stop = CancellationToken::new();
        let config = CacheConfig { bookmark_period: Duration::from_millis(50), ..CacheConfig::standard() };
        let registry = Registry::start(resource, store, Vec::new(), config, stop.clone());
        registry.cache().ready().await;
        Self { registry, sample, _stop: stop.drop_guard() }
    }

    fn is_namespaced(&self) -> bool {
        self.registry.descriptor().scope == Scope::Namespaced
    }

    fn home(&self) -> &'static str {
        if self.is_namespaced() { HOME } else { "" }
    }

    fn key(&self, name: &str) -> ObjectKey {
        ObjectKey::new(self.home(), name)
    }

    /// The sample under a name, as a client would send it.
    fn body(&self, name: &str) -> Value {
        let mut body = self.sample.object.clone();
        body["apiVersion"] = self.registry.descriptor().api_version().into();
        body["kind"] = self.registry.descriptor().kind.into();
        body["metadata"] = json!({ "name": name });
        body
    }

    /// The same with a label.
    fn labelled(&self, name: &str, key: &str, value: &str) -> Value {
        let mut body = self.body(name);
        body["metadata"]["labels"] = json!({ key: value });
        body
    }

    /// What decoding makes of a body.
    fn decoded(&self, body: Value) -> Object {
        let conformed = decode::conform(body, self.registry.schema()).expect("the body is of the kind");
        assert_eq!(conformed.unknown, [""; 0], "fields that the schema lacks");
        Object::from_value(conformed.value).expect("an object")
    }

    async fn try_create_in(&self, namespace: &str, body: Value, options: &WriteOptions) -> Result<Object, ApiError> {
        let written = self.registry.create(&context(), namespace, self.decoded(body), options).await?;
        assert!(written.created);
        Ok(self.kept(object(&written)))
    }

    /// The answer to a create without what only the creator is shown.
    fn kept(&self, mut answer: Object) -> Object {
        if let Some(conceal) = self.registry.resource().conceal() {
            conceal(&mut answer);
        }
        answer
    }

    async fn try_create(&self, body: Value) -> Result<Object, ApiError> {
        self.try_create_in(self.home(), body, &by(MANAGER)).await
    }

    async fn create(&self, name: &str) -> Object {
        self.try_create(self.body(name)).await.expect("the sample is good")
    }

    /// The sample with the sample's status, where the kind has one.
    async fn create_with_status(&self, name: &str) -> Object {
        let plain = self.create(name).await;
        if !self.registry.descriptor().has_status() {
            return plain;
        }
        let options = PatchOptions { write: by(MANAGER), force: None };
        let status = &self.sample.status;
        self.try_patch_with(name, Subresource::Status, PatchKind::Merge, status, &options).await.expect("a good status")
    }

    async fn try_get(&self, name: &str) -> Result<Object, ApiError> {
        let item = self.registry.get(&context(), &self.key(name), &GetOptions::default(), &ObjectFilter::All).await?;
        Ok(parsed(&item.bytes))
    }

    async fn get(&self, name: &str) -> Object {
        self.try_get(name).await.expect("the object is there")
    }

    async fn try_update(&self, subresource: Subresource, object: &Object) -> Result<Object, ApiError> {
        let body = self.decoded(object.clone().into_value());
        let key = self.key(object.name());
        let written = self.registry.update(&context(), &key, subresource, body, &by(MANAGER), &ObjectFilter::All).await?;
        Ok(self::object(&written))
    }

    async fn update(&self, object: &Object) -> Object {
        self.try_update(Subresource::Main, object).await.expect("a good update")
    }

    async fn try_patch(&self, name: &str, kind: PatchKind, body: &Value) -> Result<Object, ApiError> {
        self.try_patch_with(name, Subresource::Main, kind, body, &PatchOptions { write: by(MANAGER), force: None }).await
    }

    async fn try_patch_with(
        &self,
        name: &str,
        subresource: Subresource,
        kind: PatchKind,
        body: &Value,
        options: &PatchOptions,
    ) -> Result<Object, ApiError> {
        let patch = Patch { kind, body: body.to_string().into(), create_denial: None, mask: None };
        let written = self.registry.patch(&context(), &self.key(name), subresource, patch, options, &ObjectFilter::All).await?;
        Ok(self.kept(object(&written)))
    }

    async fn merge(&self, name: &str, body: &Value) -> Object {
        self.try_patch(name, PatchKind::Merge, body).await.expect("a good patch")
    }

    /// Changes what is wanted.
    async fn change(&self, name: &str) -> Object {
        self.merge(name, &self.sample.change).await
    }

    async fn try_apply(&self, manager: &str, body: &Value, force: Option<bool>) -> Result<Object, ApiError> {
        let options = PatchOptions { write: by(manager), force };
        let name = body["metadata"]["name"].as_str().expect("a name");
        self.try_patch_with(name, Subresource::Main, PatchKind::Apply, body, &options).await
    }

    async fn try_delete(&self, name: &str, options: &DeleteOptions) -> Result<Deleted, ApiError> {
        Ok(self.registry.delete(&context(), &self.key(name), options, &ObjectFilter::All).await?)
    }

    async fn delete(&self, name: &str) -> Deleted {
        self.try_delete(name, &DeleteOptions::default()).await.expect("the object is there")
    }

    async fn list(&self, namespace: &str, options: &ListOptions) -> List {
        self.registry.list(&context(), namespace, options, &ObjectFilter::All).await.expect("a good list")
    }

    /// The names of all objects at home.
    async fn names(&self) -> Vec<String> {
        names(&self.list(self.home(), &ListOptions::default()).await)
    }

    async fn watch(&self, options: &ListOptions) -> Watching {
        let options = ListOptions { watch: true, timeout_seconds: Some(60), ..options.clone() };
        Watching(self.registry.watch(&context(), self.home(), &options, &ObjectFilter::All).await.expect("a good watch"))
    }
}

/// A watch that is read event by event.
struct Watching(Watch);

impl Watching {
    async fn frame(&mut self) -> Frame {
        tokio::time::timeout(PATIENCE, self.0.next()).await.expect("the watch is silent").expect("the watch ended")
    }

    /// The next change; bookmarks are passed over.
    async fn next(&mut self) -> (EventKind, Object) {
        loop {
            match self.frame().await {
                Frame::Event { kind, item } => return (kind, parsed(&item.bytes)),
                Frame::Bookmark { .. } => {}
                Frame::Error(status) => panic!("the watch broke: {status:?}"),
            }
        }
    }

    async fn expect(&mut self, kind: EventKind, object: &Object) {
        let (told, shown) = self.next().await;
        assert_eq!((told, &shown), (kind, object));
    }
}

fn context() -> RequestContext {
    let user = User { name: "suite".into(), ..User::default() };
    RequestContext::new(Arc::new(user), Principal::default(), Instant::now() + PATIENCE, Arc::from("suite"))
}

fn by(manager: &str) -> WriteOptions {
    WriteOptions { field_manager: manager.into(), ..WriteOptions::default() }
}

fn dry(manager: &str) -> WriteOptions {
    WriteOptions { dry_run: DryRun::All, ..by(manager) }
}

fn labels(selector: &str) -> ListOptions {
    ListOptions { labels: LabelSelector::parse(selector).expect("a selector"), ..ListOptions::default() }
}

fn fields(selector: &str) -> ListOptions {
    ListOptions { fields: FieldSelector::parse(selector).expect("a selector"), ..ListOptions::default() }
}

fn from(object: &Object) -> ListOptions {
    ListOptions { resource_version: ResourceVersion::At(version(object)), ..ListOptions::default() }
}

fn parsed(bytes: &[u8]) -> Object {
    Object(serde_json::from_slice::<Map<String, Value>>(bytes).expect("an answer is a JSON object"))
}

fn object(written: &Written) -> Object {
    parsed(&written.bytes)
}

fn names(list: &List) -> Vec<String> {
    list.items.iter().map(|item| item.name().to_owned()).collect()
}

fn version(object: &Object) -> u64 {
    object.resource_version().parse().expect("a resourceVersion is a number")
}

fn label(object: &Object, key: &str) -> String {
    object.str_at(&["metadata", "labels", key]).to_owned()
}

/// The object without what the server notes at every write.
fn without_notes(object: &Object) -> Object {
    let mut object = object.clone();
    for field in ["managedFields", "resourceVersion", "generation"] {
        object.metadata_mut().remove(field);
    }
    object
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ApiError>, reason: Reason) -> ApiError {
    match result {
        Err(error) if error.reason == reason => error,
        other => panic!("want {reason:?}, got {other:?}"),
    }
}
