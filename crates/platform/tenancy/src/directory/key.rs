//! An access key as the directory holds it: the record, when it was last used, and who comes with it.

use super::{EXTRA_ACCESS_KEY, KeyRecord, Lifetime};
use apiserver_auth::Identity;
use apiserver_meta::Principal;
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use subtle::ConstantTimeEq as _;
use vci_management::access::Caller;
use vci_management::key_hash::Digest;

/// A key, and what requests leave at it.
#[derive(Debug)]
pub(super) struct KeyEntry {
    pub(super) record: KeyRecord,
    /// Unix seconds; 0: not used since this server knows it.
    used: AtomicI64,
    /// The identity that requests with this key share. It is made once, and again when the holder's identity changes.
    shown: ArcSwapOption<Shown>,
}

#[derive(Debug)]
struct Shown {
    holder: Identity,
    identity: Identity,
}

impl KeyEntry {
    /// The key in the place of `old`, whose use counts on as long as the secret is the same.
    pub(super) fn new(record: KeyRecord, old: Option<&Self>) -> Self {
        let used = old.filter(|old| old.record.digest == record.digest).map_or(0, Self::last_use);
        Self { record, used: AtomicI64::new(used), shown: ArcSwapOption::empty() }
    }

    /// Whether the key itself, its holder aside, opens anything at `now`.
    pub(super) fn is_good(&self, now: i64) -> bool {
        !self.record.disabled && self.end().is_none_or(|end| now < end)
    }

    /// From when on it is refused, in Unix seconds.
    pub(super) fn end(&self) -> Option<i64> {
        self.record.lifetime.end(self.last_use())
    }

    /// In Unix seconds, as far as this server has seen.
    pub(super) fn last_use(&self) -> i64 {
        self.used.load(Ordering::Relaxed)
    }

    /// How worth keeping it is: whether it was made or used lately, whether it was ever used, and when.
    pub(super) fn rank(&self, now: i64) -> (bool, bool, i64) {
        const LATELY: i64 = 600;
        let used = self.last_use().max(self.record.last_activity);
        let begun = match self.record.lifetime {
            Lifetime::Idle { since, .. } => since,
            Lifetime::Endless | Lifetime::Until(_) => 0,
        };
        let active = used.max(begun);
        (now.saturating_sub(active) < LATELY, used > 0, active)
    }

    pub(super) fn note_use(&self, now: i64) {
        // Most requests come within the second of the one before: then nothing is written that other cores read.
        if self.last_use() < now {
            self.used.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// The key's holder, who comes with this key: rules go by the caller, and authorizers elsewhere by the extra facts.
    pub(super) fn identity(&self, holder: Identity) -> Identity {
        if let Some(shown) = &*self.shown.load()
            && Arc::ptr_eq(&shown.holder.user, &holder.user)
        {
            return shown.identity.clone();
        }
        let mut identity = holder.clone();
        Arc::make_mut(&mut identity.user).extra.insert(EXTRA_ACCESS_KEY.into(), vec![self.record.name.clone()]);
        let caller = Caller::of(&identity.principal).clone();
        identity.principal = Principal::new(Caller { access_key: Some(self.record.name.clone()), ..caller });
        self.shown.store(Some(Arc::new(Shown { holder, identity: identity.clone() })));
        identity
    }
}

/// Compares digests in a time that does not depend on where they differ.
pub(super) fn same(known: &Digest, digest: &Digest) -> bool {
    #[cfg(test)]
    COMPARISONS.with(|count| count.set(count.get() + 1));
    known.ct_eq(digest).into()
}

#[cfg(test)]
thread_local! {
    /// How many digests this thread has compared.
    pub(super) static COMPARISONS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}
