//! The overlay with one replica, whose store is a file on a volume.

use crate::outage::soon_back;
use crate::stand::{self, Routing, Stand};
use crate::tour::tour;
use std::time::Duration;

/// On an idle machine: another pod cannot start before this one is gone.
const IDLE: Duration = Duration::from_secs(3);
const SERVER: &str = "/vci-apiserver serve";

#[test]
fn a_single_replica_is_soon_back() {
    stand::with("single", |stand| {
        tour(stand);
        replaced(stand);
        soon_back(IDLE, stand, "the server is killed", || stand.kill(&stand.servers()[0], SERVER));
        stand.route(Routing::Endpoints);
        replaced(stand);
    });
}

fn replaced(stand: &Stand<'_>) {
    soon_back(IDLE, stand, "the pod is deleted", || {
        stand.kubectl_there(&["delete", "pod", &stand.servers()[0].name]);
        stand.settled();
    });
    soon_back(IDLE, stand, "the Deployment is rolled", || {
        stand.kubectl_there(&["rollout", "restart", "deployment/vci-apiserver"]);
        stand.kubectl_there(&["rollout", "status", "deployment/vci-apiserver", "--timeout=180s"]);
        stand.settled();
    });
}
