//! auth whoami and auth can-i: reviews, which newer versions send in protobuf.

use super::{Kubectl, TYPE, versions};
use crate::common::{BINARY, embedded};
use vci_testkit::server::{ServerOptions, TestServer};

/// Bob may see what is granted to him; a cluster is not asked, because there is none.
const BOB: &str = "
apiVersion: management.loft.sh/v1
kind: User
metadata: {name: bob}
spec: {username: bob}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: bob}
spec: {user: bob, key: bobs-key-of-this-test}
---
apiVersion: management.loft.sh/v1
kind: Project
metadata: {name: shared}
spec: {members: [{kind: User, group: storage.loft.sh, name: bob, clusterRole: loft-management-project-viewer}]}
";

#[tokio::test(flavor = "multi_thread")]
async fn who_am_i_and_may_i() {
    for binary in versions() {
        let server = embedded().await;
        let kubectl = Kubectl::new(&binary, &server);
        // The first release that asks in the version that is served.
        if kubectl.since(28) {
            assert!(kubectl.run(&["auth", "whoami"]).contains("system:masters"));
        }
        assert_eq!(kubectl.ns(&["auth", "can-i", "delete", TYPE]).trim(), "yes");
        assert_eq!(kubectl.run(&["auth", "can-i", "get", "/metrics"]).trim(), "yes");
        assert!(kubectl.ns(&["auth", "can-i", "--list"]).contains("*.*"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn may_a_viewer() {
    for binary in versions() {
        let mut options = ServerOptions::new(BINARY);
        options.bootstrap = Some(BOB.to_owned());
        let server = TestServer::start(options).await;
        let kubectl = Kubectl::new(&binary, &server);
        let asks = |arguments: &[&str]| {
            kubectl.output(&[&["-n", "loft-p-shared", "--token", "bobs-key-of-this-test", "auth", "can-i"], arguments].concat(), &[])
        };
        for (arguments, want) in [
            (&["list", TYPE][..], "yes"),
            (&["create", TYPE], "no"),
            (&["get", "virtualclusterinstances/none"], "no"),
            (&["get", "/metrics"], "no"),
        ] {
            let (_, answer, complaint) = asks(arguments);
            assert!(answer.starts_with(want), "{} {arguments:?}: {answer}{complaint}", binary.display());
        }
        let (good, rules, complaint) = asks(&["--list"]);
        assert!(good && rules.contains("virtualclusterinstances.management.loft.sh") && !rules.contains("*.*"), "{rules}{complaint}");
    }
}
