//! The access keys of users, teams and virtual clusters that are gone.
//!
//! Such a key opens nothing from the moment on in which the directory knows (see [`crate::directory::HolderIdentity`]); it is deleted so that nobody
//! has to. The directory says which keys may be meant, and the store which are: the directory may know of a key before it
//! knows of its holder. UIDs never come back, so a holder whom the store does not have any more is gone for good.
//! Refused: keys that have not noted who holds them while somebody of that name is there.

use crate::bootstrap::Registries;
use crate::directory::{Directory, Holder, HolderIdentity};
use crate::identity_informer::record;
use crate::virtual_cluster_keys::bereft;
use apiserver_meta::options::{DeleteOptions, Propagation};
use apiserver_meta::{ApiError, Object, ObjectFilter, ObjectKey, RequestContext};
use apiserver_registry::informer;
use apiserver_registry::loopback;
use apiserver_registry::work_queue::WorkQueue;
use apiserver_registry::{Registry, WriteFailure};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use vci_management::plural;

/// For how long changes of the directory are gathered.
const GATHER: Duration = Duration::from_secs(1);
/// How many keys are looked at at a time.
const AT_A_TIME: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(30);

/// Deletes them until `stop`, those that are there at the beginning too.
pub(crate) async fn delete(directory: Arc<Directory>, registries: Registries, stop: CancellationToken) {
    let [Ok(keys), Ok(users), Ok(teams), Ok(instances)] =
        [plural::ACCESS_KEYS, plural::USERS, plural::TEAMS, plural::INSTANCES].map(|plural| registries.find(plural).cloned())
    else {
        return;
    };
    let orphans = OrphanedKeys { directory, keys, users, teams, instances };
    stop.run_until_cancelled(orphans.run(&stop)).await;
}

struct OrphanedKeys {
    directory: Arc<Directory>,
    keys: Arc<Registry>,
    users: Arc<Registry>,
    teams: Arc<Registry>,
    instances: Arc<Registry>,
}

impl OrphanedKeys {
    /// Each key is a piece of work of its own: one that cannot be deleted holds up no other.
    async fn run(&self, stop: &CancellationToken) {
        let queue = WorkQueue::new("access keys whose holder is gone");
        let look_at = |name: String| async move { self.look_at(&loopback::context(TIMEOUT), &ObjectKey::new("", name)).await };
        tokio::select! {
            () = self.gather(&queue) => {}
            () = self.follow_instances(&queue, stop.clone()) => {}
            () = queue.run(AT_A_TIME, look_at) => {}
        }
    }

    /// Notes which keys may be meant, after each change of the directory; never ends.
    async fn gather(&self, queue: &WorkQueue<String>) {
        let mut changes = self.directory.changes();
        loop {
            changes.mark_unchanged();
            self.directory.orphaned_keys().into_iter().for_each(|name| queue.add(name));
            // The directory is held here: waiting cannot fail.
            _ = changes.changed().await;
            tokio::time::sleep(GATHER).await;
        }
    }

    /// Notes the keys of virtual clusters whose instance has gone.
    async fn follow_instances(&self, queue: &WorkQueue<String>, stop: CancellationToken) {
        let mut is_begun = false;
        let note = |delta| bereft(&self.directory, &delta, &mut is_begun).into_iter().for_each(|name| queue.add(name));
        informer::follow(Arc::clone(&self.instances), stop, note).await;
    }

    async fn look_at(&self, ctx: &RequestContext, name: &ObjectKey) -> Result<(), ApiError> {
        let Some(key) = object(&self.keys, ctx, name).await? else { return Ok(()) };
        let Some(known) = record::key(&key).filter(|_| !key.is_terminating()) else { return Ok(()) };
        let holder = match &known.holder {
            Holder::User(name) => object(&self.users, ctx, &ObjectKey::new("", name)).await?,
            Holder::Team(name) => object(&self.teams, ctx, &ObjectKey::new("", name)).await?,
            Holder::VirtualCluster(identity) => {
                object(&self.instances, ctx, &ObjectKey::new(identity.namespace.as_str(), identity.name.as_str())).await?
            }
        };
        let is_there = holder.is_some_and(|holder| match &known.holder_identity {
            HolderIdentity::Uid(uid) => uid == holder.uid(),
            HolderIdentity::CreatedBy(_) => true,
        });
        if is_there {
            return Ok(());
        }
        let uid = Some(key.uid().to_owned());
        let options = DeleteOptions { uid, propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        match self.keys.delete(ctx, name, &options, &ObjectFilter::All).await {
            // Somebody was faster.
            Err(WriteFailure::Missing(_) | WriteFailure::Stale(_)) => Ok(()),
            Err(failure) => Err(failure.into()),
            Ok(_) => {
                tracing::info!(key = %name.name, holder = ?known.holder, "deleted: the access key's holder is gone");
                Ok(())
            }
        }
    }
}

async fn object(registry: &Arc<Registry>, ctx: &RequestContext, key: &ObjectKey) -> Result<Option<Object>, ApiError> {
    let Some(item) = registry.find(ctx, key).await? else { return Ok(None) };
    let read = serde_json::from_slice(&item.bytes).map(Object);
    read.map(Some).map_err(|error| ApiError::internal("a stored object cannot be read").with_source(error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::admission::tests::{Rig, context};
    use serde_json::json;

    #[tokio::test(flavor = "multi_thread")]
    async fn keys_go_with_their_holders_and_no_others() {
        let rig = Rig::start().await;
        for (name, spec) in [
            ("of-zoe", json!({"user": "zoe"})),
            ("of-adam", json!({"user": "adam"})),
            ("of-devs", json!({"team": "devs"})),
            ("of-una", json!({"user": "una"})),
        ] {
            rig.create("root", "ownedaccesskeys", name, spec).await.unwrap();
        }
        // As servers made them that did not note the holder.
        let older = |name: &str, user: &str| {
            let spec = json!({"user": user, "key": format!("secret-of-{name}")});
            Object::from_value(json!({"metadata": {"name": name}, "spec": spec})).unwrap()
        };
        let lawless = rig.lawless("ownedaccesskeys");
        for key in [older("older-of-zoe", "zoe"), older("older-of-una", "una")] {
            lawless.create(&context("root"), "", key, &apiserver_meta::options::WriteOptions::default()).await.unwrap();
        }
        rig.opens("secret-of-older-of-zoe", "zoe").await;
        rig.opens("secret-of-older-of-una", "una").await;
        rig.delete("root", "users", "zoe").await.unwrap();
        rig.delete("root", "users", "adam").await.unwrap();
        rig.create("root", "users", "adam", json!({})).await.unwrap();
        let (directory, registries, stop) = rig.feeding();
        tokio::spawn(delete(directory, registries, stop));
        // One goes while it runs.
        rig.delete("root", "teams", "devs").await.unwrap();
        let there = |name: &str| rig.registry("ownedaccesskeys").cache().cached_existing(&ObjectKey::new("", name)).is_some();
        rig.wait_for(|| !["of-zoe", "of-adam", "of-devs", "older-of-zoe"].into_iter().any(there)).await;
        assert!(there("of-una") && there("older-of-una"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn keys_of_virtual_clusters_go_with_their_instances() {
        let rig = Rig::start().await;
        rig.create("root", "projects", "blue", json!({})).await.unwrap();
        let vci = "virtualclusterinstances";
        for name in ["before", "while", "stays", "again"] {
            rig.create("root", vci, &format!("loft-p-blue/{name}"), crate::admission::tests::instance()).await.unwrap();
            let subject = format!("loft:vcluster:loft-p-blue:{name}");
            let spec = json!({"subject": subject, "key": format!("secret-of-{name}")});
            rig.create("root", "ownedaccesskeys", &format!("of-{name}"), spec).await.unwrap();
            rig.opens(&format!("secret-of-{name}"), &subject).await;
        }
        let missing = json!({"subject": "loft:vcluster:loft-p-blue:missing", "key": "k"});
        let error = rig.create("root", "ownedaccesskeys", "of-missing", missing).await.unwrap_err();
        assert!(error.code() == 422 && error.message.contains("spec.subject: Not found"), "{error}");
        let others = json!({"subject": "loft:vcluster:loft-p-blue:stays", "key": "k"});
        assert_eq!(rig.create("una", "ownedaccesskeys", "by-una", others).await.unwrap_err().code(), 403);

        rig.delete("root", vci, "loft-p-blue/before").await.unwrap();
        rig.delete("root", vci, "loft-p-blue/again").await.unwrap();
        rig.create("root", vci, "loft-p-blue/again", crate::admission::tests::instance()).await.unwrap();
        rig.wait_for(|| !rig.is_good("secret-of-before") && !rig.is_good("secret-of-again")).await;
        let (directory, registries, stop) = rig.feeding();
        tokio::spawn(delete(directory, registries, stop));
        rig.delete("root", vci, "loft-p-blue/while").await.unwrap();
        let there = |name: &str| rig.registry("ownedaccesskeys").cache().cached_existing(&ObjectKey::new("", name)).is_some();
        rig.wait_for(|| !["of-before", "of-while", "of-again"].into_iter().any(there)).await;
        assert!(there("of-stays") && rig.is_good("secret-of-stays"));
    }
}
