//! The overlay with one replica, whose store is a file on a volume.

use crate::outage::away_at_most;
use crate::stand::{self, Routing, Stand};
use crate::tour::tour;
use std::time::Duration;

/// Another pod cannot start before this one is gone.
const BOUND: Duration = Duration::from_secs(3);
const SERVER: &str = "/vci-apiserver serve";

#[test]
fn a_single_replica_is_soon_back() {
    stand::with("single", |stand| {
        tour(stand);
        replaced(stand);
        away_at_most(BOUND, stand, "the server is killed", || stand.kill(&stand.servers()[0], SERVER));
        stand.route(Routing::Endpoints);
        replaced(stand);
    });
}

fn replaced(stand: &Stand<'_>) {
    away_at_most(BOUND, stand, "the pod is deleted", || {
        stand.kubectl_there(&["delete", "pod", &stand.servers()[0].name]);
        stand.settled();
    });
    away_at_most(BOUND, stand, "the Deployment is rolled", || {
        stand.kubectl_there(&["rollout", "restart", "deployment/vci-apiserver"]);
        stand.kubectl_there(&["rollout", "status", "deployment/vci-apiserver", "--timeout=180s"]);
        stand.settled();
    });
}
