//! Tells open watches that who somebody is, or what they may do, may have changed.
//!
//! First the caches ask their watches' views again, so that clients are told what of a namespace appears or disappears;
//! then, a little later, callers are authenticated and authorized again, which ends some of these watches. Changes that
//! come together are told together.

use crate::clock::unix_seconds;
use apiserver_auth::IdentityMapper;
use apiserver_registry::Registry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// How long changes are gathered.
const GATHER: Duration = Duration::from_millis(100);
/// How long watches have to tell what disappears, before some of them end.
const LEAD: Duration = Duration::from_millis(300);
/// The clock is looked at this often while the next key to expire is far away: somebody may set it.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Starts to follow changes of identities and of trust (`trust_changes`), until `stop`. The receiver changes when the callers of open
/// watches must be authenticated and authorized again.
pub(crate) fn follow(
    identities: &Arc<dyn IdentityMapper>,
    registries: &[Arc<Registry>],
    trust_changes: Arc<Notify>,
    stop: &CancellationToken,
) -> watch::Receiver<u64> {
    let (sender, receiver) = watch::channel(0);
    let (identities, registries) = (Arc::clone(identities), registries.to_vec());
    tokio::spawn(stop.clone().run_until_cancelled_owned(forward(identities, registries, trust_changes, sender)));
    receiver
}

async fn forward(
    identities: Arc<dyn IdentityMapper>,
    registries: Vec<Arc<Registry>>,
    trust_changes: Arc<Notify>,
    sender: watch::Sender<u64>,
) {
    // A sender that is kept says nothing: identities that never change by a write.
    let (_silent, never) = watch::channel(0);
    let mut changes = identities.changes().unwrap_or(never);
    let mut sent_at = unix_seconds();
    loop {
        tokio::select! {
            // The sender is held by the identities, or here: waiting cannot fail.
            _ = changes.changed() => {}
            () = trust_changes.notified() => {}
            () = expiry(&*identities, sent_at) => {}
        }
        tokio::time::sleep(GATHER).await;
        changes.mark_unchanged();
        registries.iter().for_each(|registry| registry.cache().reevaluate());
        tokio::time::sleep(LEAD).await;
        sent_at = unix_seconds();
        sender.send_modify(|count| *count += 1);
    }
}

/// Ends when an access key has expired that was good at `since`. A key that may lie idle is looked at anew when its time
/// would be over, because it may have been used.
async fn expiry(identities: &dyn IdentityMapper, since: i64) {
    loop {
        let Some(end) = identities.next_expiry(since) else { return std::future::pending().await };
        let left = Duration::from_secs(u64::try_from(end.saturating_sub(unix_seconds())).unwrap_or(0));
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LONGEST_SLEEP)).await;
    }
}
