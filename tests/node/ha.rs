//! The overlay with three replicas and an etcd of three members.

use crate::outage::{soon_back, unnoticed};
use crate::stand::{self, Pod, Routing, Stand};
use crate::tour::tour;
use std::time::Duration;

/// On an idle machine, until the pod that is gone is off the Service, or another member leads.
const IDLE: Duration = Duration::from_secs(2);
const SERVER: &str = "/vci-apiserver serve";
const ETCD: &str = "etcd --name=vci-etcd";

#[test]
fn replicas_stand_in_for_each_other() {
    stand::with("ha", |stand| {
        tour(stand);
        rolled(stand);
        soon_back(IDLE, stand, "a node is drained", || {
            let node = &stand.members()[0].node;
            stand.kubectl(&["drain", node, "--delete-emptydir-data", "--timeout=180s"]);
            stand.kubectl(&["uncordon", node]);
            stand.settled();
        });
        // One of them leads.
        for member in stand.members() {
            killed(stand, &member.name, Stand::members, ETCD);
        }
        // kube-apiserver has its connections to one of them.
        for server in stand.servers() {
            killed(stand, &server.name, Stand::servers, SERVER);
        }
        stand.route(Routing::Endpoints);
        rolled(stand);
        killed(stand, &stand.servers()[0].name, Stand::servers, SERVER);
    });
}

fn rolled(stand: &Stand<'_>) {
    unnoticed(stand, "the Deployment is rolled", || {
        stand.kubectl_there(&["rollout", "restart", "deployment/vci-apiserver"]);
        stand.kubectl_there(&["rollout", "status", "deployment/vci-apiserver", "--timeout=180s"]);
        // Those that were there before go on for a while, and then leave.
        stand.settled();
    });
}

fn killed<'a>(stand: &Stand<'a>, name: &str, pods: impl Fn(&Stand<'a>) -> Vec<Pod>, command_line: &str) {
    soon_back(IDLE, stand, &format!("{name} is killed"), || {
        let pod = pods(stand).into_iter().find(|pod| pod.name == name).expect("a pod");
        stand.kill(&pod, command_line);
    });
}
