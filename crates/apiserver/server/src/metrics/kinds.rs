//! Metrics by kind: watches, their events, and the bodies of writes.

use super::buckets::{BODY, EVENT, WATCH_LIST};
use super::histogram::Histogram;
use super::labels::{Scope, Verb};
use super::requests::Target;
use super::text::Text;
use apiserver_endpoints::{RequestInfo, ResourceInfo, WatchObserver};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Verbs of requests with bodies, as authorization says them, and as the metric does.
const BODIES: [(&str, &str); 5] =
    [("create", "create"), ("update", "update"), ("patch", "patch"), ("delete", "delete"), ("deletecollection", "delete_collection")];

/// All kinds.
#[derive(Debug)]
pub(crate) struct Kinds(Vec<Arc<Kind>>);

/// One kind.
#[derive(Debug)]
struct Kind {
    target: Target,
    /// Made with the first watch.
    open: [OnceLock<AtomicU64>; Scope::COUNT],
    sizes: Histogram,
    lists: [Histogram; Scope::COUNT],
    bodies: [OnceLock<Histogram>; BODIES.len()],
}

impl Kinds {
    /// Of these targets one for each kind; subresources are not told apart.
    pub(crate) fn new(targets: &[Target]) -> Self {
        let mut kinds: Vec<Arc<Kind>> = Vec::new();
        for target in targets {
            if !kinds.iter().any(|kind| kind.target.group == target.group && kind.target.resource == target.resource) {
                kinds.push(Arc::new(Kind::new(*target)));
            }
        }
        Self(kinds)
    }

    fn find(&self, resource: &ResourceInfo) -> Option<&Arc<Kind>> {
        self.0.iter().find(|kind| kind.target.resource == resource.resource && kind.target.group == resource.group)
    }

    /// A body was read.
    pub(crate) fn body(&self, verb: &str, resource: &ResourceInfo, bytes: usize) {
        let index = BODIES.iter().position(|(word, _)| *word == verb);
        let Some((kind, index)) = self.find(resource).zip(index) else { return };
        if let Some(sizes) = kind.bodies.get(index) {
            sizes.get_or_init(|| Histogram::new(&BODY)).add(bytes as u64);
        }
    }

    /// A watch begins.
    pub(crate) fn watch(&self, info: &RequestInfo) -> Box<dyn WatchObserver> {
        let kind = info.resource.as_ref().and_then(|resource| self.find(resource));
        let scope = Scope::of(info.resource.as_ref(), false);
        Box::new(Told::new(kind.cloned(), scope))
    }

    /// Writes all of them.
    pub(crate) fn write(&self, text: &mut Text) {
        let watch = Verb::Watch.as_str();
        let mut open = text.gauge("apiserver_longrunning_requests", "Watches that are open.");
        for kind in &self.0 {
            let Target { group, version, resource, .. } = kind.target;
            for (scope, count) in Scope::ALL.iter().zip(&kind.open).filter_map(|(scope, open)| Some((scope, open.get()?))) {
                let mut labels = vec![("component", "apiserver"), ("group", group), ("resource", resource)];
                labels.extend([("scope", scope.as_str()), ("subresource", ""), ("verb", watch), ("version", version)]);
                open.sample(&labels, count.load(Ordering::Relaxed));
            }
        }
        let event_count = |kind: &Kind| kind.sizes.read().count();
        let mut events = text.counter("apiserver_watch_events_total", "Events, bookmarks and errors that watches told.");
        for kind in self.0.iter().filter(|kind| event_count(kind) > 0) {
            events.sample(&kind.labels(), event_count(kind));
        }
        let mut sizes = text.histogram("apiserver_watch_events_sizes", "Bytes of what watches told, each time.");
        for kind in self.0.iter().filter(|kind| event_count(kind) > 0) {
            sizes.distribution(&kind.labels(), &kind.sizes.read());
        }
        let help = "Seconds from the begin of a streaming list to the bookmark behind its last object.";
        let mut lists = text.histogram("apiserver_watch_list_duration_seconds", help);
        for kind in &self.0 {
            for (scope, times) in Scope::ALL.iter().zip(&kind.lists) {
                let times = times.read();
                if !times.is_empty() {
                    let [group, resource, version] = kind.labels();
                    lists.distribution(&[group, resource, ("scope", scope.as_str()), version], &times);
                }
            }
        }
        let mut bodies = text.histogram("apiserver_request_body_size_bytes", "Bytes of the bodies of requests.");
        for kind in &self.0 {
            for ((_, verb), sizes) in BODIES.iter().zip(&kind.bodies) {
                if let Some(sizes) = sizes.get() {
                    let [group, resource, _] = kind.labels();
                    bodies.distribution(&[group, resource, ("verb", verb)], &sizes.read());
                }
            }
        }
    }
}

impl Kind {
    fn new(target: Target) -> Self {
        Self {
            target,
            open: Default::default(),
            sizes: Histogram::new(&EVENT),
            lists: std::array::from_fn(|_| Histogram::new(&WATCH_LIST)),
            bodies: Default::default(),
        }
    }

    fn labels(&self) -> [(&'static str, &'static str); 3] {
        [("group", self.target.group), ("resource", self.target.resource), ("version", self.target.version)]
    }
}

/// One watch, while it is open.
struct Told {
    kind: Option<Arc<Kind>>,
    scope: Scope,
    begun: Instant,
}

impl Told {
    fn new(kind: Option<Arc<Kind>>, scope: Scope) -> Self {
        let counted = Self { kind, scope, begun: Instant::now() };
        if let Some(open) = counted.open() {
            open.fetch_add(1, Ordering::Relaxed);
        }
        counted
    }

    fn open(&self) -> Option<&AtomicU64> {
        let open = self.kind.as_ref()?.open.get(self.scope as usize)?;
        Some(open.get_or_init(AtomicU64::default))
    }
}

impl WatchObserver for Told {
    fn frame(&mut self, bytes: usize) {
        if let Some(kind) = &self.kind {
            kind.sizes.add(bytes as u64);
        }
    }

    fn initial_events_end(&mut self) {
        if let Some(times) = self.kind.as_ref().and_then(|kind| kind.lists.get(self.scope as usize)) {
            times.time(self.begun.elapsed());
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(open) = self.open() {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
