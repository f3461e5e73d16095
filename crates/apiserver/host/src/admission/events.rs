//! Objects of the host cluster that admission goes by, followed.

use futures::{Stream, StreamExt as _};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use std::collections::BTreeMap;

/// The events of a kind; failures are told to operators and tried again.
pub(super) fn events<K>(client: &Client) -> impl Stream<Item = watcher::Event<K>> + use<K>
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let stream = watcher(Api::<K>::all(client.clone()), watcher::Config::default()).default_backoff();
    stream.filter_map(|event| async move {
        event.inspect_err(|error| tracing::warn!(kind = %K::kind(&()), %error, "objects of the host cluster cannot be followed")).ok()
    })
}

/// Objects by name, as events tell.
pub(super) struct Collection<K> {
    objects: BTreeMap<String, K>,
    /// What a list has told so far.
    listed: BTreeMap<String, K>,
    synced: bool,
}

impl<K> Default for Collection<K> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), listed: BTreeMap::new(), synced: false }
    }
}

impl<K: kube::Resource> Collection<K> {
    /// Whether there is something new to go by.
    pub(super) fn apply(&mut self, event: watcher::Event<K>) -> bool {
        match event {
            watcher::Event::Apply(it) => _ = self.objects.insert(it.name_any(), it),
            watcher::Event::Delete(it) => _ = self.objects.remove(&it.name_any()),
            watcher::Event::Init => {
                self.listed.clear();
                return false;
            }
            watcher::Event::InitApply(it) => {
                self.listed.insert(it.name_any(), it);
                return false;
            }
            watcher::Event::InitDone => {
                self.objects = std::mem::take(&mut self.listed);
                self.synced = true;
            }
        }
        true
    }

    /// Whether everything was listed once.
    pub(super) fn is_synced(&self) -> bool {
        self.synced
    }

    /// By name.
    pub(super) fn objects(&self) -> impl Iterator<Item = &K> {
        self.objects.values()
    }

    pub(super) fn get(&self, name: &str) -> Option<&K> {
        self.objects.get(name)
    }
}
