//! Metrics of the watch caches, read when the page is requested.

use super::buckets::READ_WAIT;
use super::histogram::Distribution;
use super::text::Text;
use apiserver_registry::{CacheStats, Registry};
use std::fmt::Display;
use std::sync::Arc;

/// Upstream shows so many digits of a revision: more do not fit into a float.
const REVISION_DIGITS: u64 = 1_000_000_000_000_000;

/// Writes what is known of every cache.
pub(crate) fn write(registries: &[Arc<Registry>], text: &mut Text) {
    let caches: Vec<Cache> = registries.iter().map(|registry| Cache::of(registry)).collect();
    let mut page = Page { caches: &caches, text };
    page.objects();
    page.events();
    page.reads();
    page.lists();
    page.checks();
}

struct Cache {
    group: &'static str,
    resource: &'static str,
    stats: CacheStats,
}

impl Cache {
    fn of(registry: &Registry) -> Self {
        let kind = registry.descriptor();
        Self { group: kind.group, resource: kind.plural, stats: registry.cache().stats() }
    }

    fn labels(&self) -> [(&'static str, &'static str); 2] {
        [("group", self.group), ("resource", self.resource)]
    }
}

struct Page<'a> {
    caches: &'a [Cache],
    text: &'a mut Text,
}

impl Page<'_> {
    fn counter<T: Display>(&mut self, name: &'static str, help: &'static str, value: impl Fn(&CacheStats) -> T) {
        let mut family = self.text.counter(name, help);
        self.caches.iter().for_each(|cache| family.sample(&cache.labels(), value(&cache.stats)));
    }

    fn gauge<T: Display>(&mut self, name: &'static str, help: &'static str, value: impl Fn(&CacheStats) -> T) {
        let mut family = self.text.gauge(name, help);
        self.caches.iter().for_each(|cache| family.sample(&cache.labels(), value(&cache.stats)));
    }

    fn objects(&mut self) {
        self.gauge("apiserver_resource_objects", "Objects that are stored.", |stats| stats.objects);
        let mut named = self.text.gauge("apiserver_storage_objects", "Objects that are stored, under the older name of the metric.");
        for Cache { group, resource, stats } in self.caches {
            let resource = if group.is_empty() { (*resource).to_owned() } else { format!("{resource}.{group}") };
            named.sample(&[("resource", &resource)], stats.objects);
        }
        let help = "Stored objects that could not be read, each time that one was met.";
        self.counter("apiserver_storage_decode_errors_total", help, |stats| stats.corrupt);
    }

    fn events(&mut self) {
        self.counter("apiserver_storage_events_received_total", "Changes that the store told.", |stats| stats.events);
        let help = "Changes that were told on to whoever watches.";
        self.counter("apiserver_watch_cache_events_dispatched_total", help, |stats| stats.events);
        self.counter("apiserver_watch_cache_events_received_total", "Changes that a watch cache took in.", |stats| stats.events);
        self.counter("etcd_bookmark_total", "How often the store said how far it is without a change.", |stats| stats.progress);
        let help = "How often a watch cache was filled from the store.";
        self.counter("apiserver_watch_cache_initializations_total", help, |stats| stats.loads);
        let help = "Objects that were told as the beginning of a watch.";
        self.counter("apiserver_init_events_total", help, |stats| stats.initial_events);
        let help = "Watches that ended because their clients read too slowly.";
        self.counter("apiserver_terminated_watchers_total", help, |stats| stats.terminated);
        let help = "How often a watch was behind and had to catch up from the history.";
        self.counter("vci_watch_cache_overruns_total", help, |stats| stats.overruns);
        self.gauge("vci_watch_cache_watchers", "Watches that wait for the next change.", |stats| stats.watchers);
        let help = "The revision that readers of a watch cache see, its last 15 digits.";
        self.gauge("apiserver_watch_cache_resource_version", help, |stats| stats.revision % REVISION_DIGITS);
        self.gauge("watch_cache_capacity", "Changes that a watch cache remembers at most.", |stats| stats.capacity);
    }

    fn reads(&mut self) {
        let help = "Consistent reads, by whether the watch cache could answer them or the store was read.";
        let mut reads = self.text.counter("apiserver_watch_cache_consistent_read_total", help);
        for cache in self.caches {
            let [group, resource] = cache.labels();
            let counts = [("false", "true", cache.stats.reads.consistent), ("true", "false", cache.stats.reads.fallbacks)];
            for (fallback, success, count) in counts {
                reads.sample(&[("fallback", fallback), group, resource, ("success", success)], count);
            }
        }
        let help = "Seconds that reads waited for a watch cache to be fresh.";
        let mut waits = self.text.histogram("apiserver_watch_cache_read_wait_seconds", help);
        for cache in self.caches {
            let reads = &cache.stats.reads;
            let nanos = u64::try_from(reads.waited.as_nanos()).unwrap_or(u64::MAX);
            waits.distribution(&cache.labels(), &Distribution::of(&READ_WAIT, &reads.waits, nanos));
        }
    }

    fn lists(&mut self) {
        self.indexed("apiserver_cache_list_total", "Lists that a watch cache answered.", |stats| stats.lists.lists);
        let help = "Objects that were looked at for lists.";
        self.indexed("apiserver_cache_list_fetched_objects_total", help, |stats| stats.lists.fetched);
        let help = "Objects in the lists that a watch cache answered.";
        self.counter("apiserver_cache_list_returned_objects_total", help, |stats| stats.lists.returned);
    }

    /// With upstream's label for the index of a cache that was used: here there is none.
    fn indexed(&mut self, name: &'static str, help: &'static str, value: impl Fn(&CacheStats) -> u64) {
        let mut family = self.text.counter(name, help);
        for cache in self.caches {
            let [group, resource] = cache.labels();
            family.sample(&[group, ("index", ""), resource], value(&cache.stats));
        }
    }

    fn checks(&mut self) {
        let help = "Comparisons of a watch cache with the store, by how they came out.";
        let mut family = self.text.counter("apiserver_storage_consistency_checks_total", help);
        for cache in self.caches {
            let [group, resource] = cache.labels();
            let checks = cache.stats.checks;
            for (status, count) in [("success", checks.success), ("failure", checks.mismatch), ("error", checks.error)] {
                family.sample(&[group, resource, ("status", status)], count);
            }
        }
    }
}
