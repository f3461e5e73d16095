//! What kubectl shows of refusals.

use super::{Kubectl, TYPE, manifest, versions};
use crate::common::BINARY;
use vci_testkit::server::{ServerOptions, TestServer};

/// Somebody without any role.
const STRANGER: &str = "\
apiVersion: management.loft.sh/v1
kind: User
metadata: {name: stranger}
---
apiVersion: management.loft.sh/v1
kind: OwnedAccessKey
metadata: {name: stranger}
spec: {user: stranger, key: key-of-stranger}
";

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_understood() {
    let mut options = ServerOptions::new(BINARY);
    options.bootstrap = Some(STRANGER.into());
    let server = TestServer::start(options).await;
    for binary in versions() {
        let kubectl = Kubectl::new(&binary, &server);
        let missing = kubectl.ns_fails(&["get", TYPE, "missing"]);
        assert_eq!(missing.trim(), format!("Error from server (NotFound): {TYPE} \"missing\" not found"));
        kubectl.fill(&["there"]);
        let stranger = ["--token", "key-of-stranger"];
        for (arguments, verb) in [
            (&["get", TYPE, "there"][..], "get"),
            (&["get", TYPE], "list"),
            (&["delete", TYPE, "there"], "delete"),
            (&["label", TYPE, "there", "a=b"], "get"),
        ] {
            let told = kubectl.ns_fails(&[&stranger[..], arguments].concat());
            let want = format!("User \"stranger\" cannot {verb} resource \"virtualclusterinstances\"");
            assert!(told.contains("Error from server (Forbidden)") && told.contains(&want), "{arguments:?}: {told}");
        }
        let wrong = kubectl.ns_fails(&["--token", "wrong", "get", TYPE]);
        assert!(wrong.contains("Unauthorized") || wrong.contains("must be logged in"), "{wrong}");
        let invalid = kubectl.file("invalid.yaml", &manifest("Upper", 0));
        let told = kubectl.ns_fails(&["create", "-f", &invalid]);
        assert!(told.contains("is invalid: metadata.name: Invalid value: \"Upper\""), "{told}");
        let unknown = kubectl.file("unknown.yaml", &manifest("u", 0).replace("displayName", "dsplayName"));
        let told = kubectl.ns_fails(&["create", "-f", &unknown]);
        // Before 1.25 kubectl looks for itself, in the OpenAPI document.
        assert!(told.contains("unknown field \"") && told.contains("dsplayName\""), "{told}");
        let validation = if kubectl.since(25) { "--validate=warn" } else { "--validate=false" };
        let (good, _, warned) = kubectl.output(&["-n", "loft-p-my-project", "create", validation, "-f", &unknown], &[]);
        assert!(good && warned.contains("Warning: unknown field \"spec.dsplayName\""), "{warned}");
        let elsewhere = kubectl.fails(&["-n", "elsewhere", "create", "-f", &kubectl.file("m.yaml", &manifest("m", 0))]);
        assert!(elsewhere.contains("namespaces \"elsewhere\" not found"), "{elsewhere}");
        kubectl.ns(&["delete", TYPE, "--all"]);
    }
}
