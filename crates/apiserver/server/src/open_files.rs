//! How many files the process may have open: every connection is one.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, as Go's runtime does. Shells and service managers start programs with a soft
/// limit of 1024 for the sake of old ones that use `select`; with that a server would have a thousand clients.
pub fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays low");
    }
}

/// How many connections the limit leaves room for: the store, logs and connections to others need files too.
pub(crate) fn for_connections() -> usize {
    const OTHERS: u64 = 256;
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit - OTHERS.min(limit / 2)).unwrap_or(usize::MAX)
}
