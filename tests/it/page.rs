//! The commands of the API page, as a reader types them: curl under both path forms, in the page's order on one object.

use crate::common::every_store;
use std::process::Command;

/// The object that the page creates.
pub(crate) const OBJECT: &str = "\
apiVersion: management.loft.sh/v1
kind: VirtualClusterInstance
metadata:
  creationTimestamp: null
  name: my-virtual-cluster
  namespace: loft-p-my-project
spec:
  clusterRef: {}
  displayName: my-display-name
  owner:
    user: my-user
  parameters: 'my-parameter: my-value'
  templateRef:
    name: my-virtual-cluster-template
status: {}
";

struct Curl {
    url: String,
    token: String,
}

impl Curl {
    /// Runs curl as the page does; returns the status and the body.
    fn run(&self, path: &str, arguments: &[&str]) -> (u16, String) {
        let output = Command::new("curl")
            .args(["-s", "--insecure", "-w", "\n%{http_code}", &format!("{}{path}", self.url)])
            .args(["-H", &format!("Authorization: Bearer {}", self.token)])
            .args(arguments)
            .output()
            .expect("curl runs");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let (body, status) = text.rsplit_once('\n').expect("curl prints the status last");
        (status.parse().expect("a status"), body.to_owned())
    }

    fn good(&self, path: &str, arguments: &[&str]) -> String {
        let (status, body) = self.run(path, arguments);
        assert!((200..300).contains(&status), "{arguments:?} {path}: {status} {body}");
        body
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_curl_command_of_the_page_is_answered() {
    for stand in every_store().await {
        for prefix in ["/kubernetes/management", ""] {
            let url = format!(
                "{}{prefix}/apis/management.loft.sh/v1/namespaces/loft-p-my-project/virtualclusterinstances",
                stand.server.base_url()
            );
            let curl = Curl { url, token: stand.server.admin_token() };
            let yaml = ["-H", "Content-Type: application/yaml", "--data-binary"];

            curl.good("", &["-X", "GET"]);
            let created = curl.good("", &[&["-X", "POST"], &yaml[..], &[OBJECT]].concat());
            assert!(created.contains("\"clusterRef\"") && created.contains("\"status\""), "{created}");
            let list = curl.good("", &["-X", "GET"]);
            assert!(list.contains("my-virtual-cluster-template"), "{list}");
            let one = curl.good("/my-virtual-cluster", &["-X", "GET"]);

            // The page retrieves the object into object.yaml and puts it back with a change.
            let object: serde_json::Value = serde_json::from_str(&one).expect("JSON");
            let text = |field: &str| object["metadata"][field].as_str().expect("a string").to_owned();
            let update = OBJECT
                .replace("creationTimestamp: null", &format!("creationTimestamp: \"{}\"\n  generation: 1", text("creationTimestamp")))
                .replace(
                    "  name: my-virtual-cluster\n",
                    &format!("  name: my-virtual-cluster\n  resourceVersion: \"{}\"\n  uid: {}\n", text("resourceVersion"), text("uid")),
                )
                .replace("my-display-name", "my-new-display-name");
            let updated = curl.good("/my-virtual-cluster", &[&["-X", "PUT"], &yaml[..], &[&update]].concat());
            assert!(updated.contains("my-new-display-name"), "{updated}");

            let add = r#"[{"op": "add", "path": "/metadata/annotations/my-annotation", "value": "my-value"}]"#;
            let patched =
                curl.good("/my-virtual-cluster", &["-X", "PATCH", "-H", "Content-Type: application/json-patch+json", "--data", add]);
            assert!(patched.contains("my-annotation"), "{patched}");
            curl.good("/my-virtual-cluster", &["-X", "DELETE"]);
            let (status, _) = curl.run("/my-virtual-cluster", &["-X", "GET"]);
            assert_eq!(status, 404, "on {}", stand.label);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_page_creates_is_stored_as_the_page_shows_it() {
    let server = crate::common::embedded().await;
    let url = format!("{}{}", server.base_url(), crate::common::COLLECTION);
    let curl = Curl { url, token: server.admin_token() };
    curl.good("", &["-X", "POST", "-H", "Content-Type: application/yaml", "--data-binary", OBJECT]);
    let (status, yaml) = curl.run("/my-virtual-cluster", &["-H", "Accept: application/yaml"]);
    assert_eq!(status, 200);
    for line in
        ["  clusterRef: {}", "  displayName: my-display-name", "    user: my-user", "    name: my-virtual-cluster-template", "status: {}"]
    {
        assert!(yaml.lines().any(|l| l == line), "no line {line:?} in\n{yaml}");
    }
    assert!(yaml.contains("my-parameter: my-value"), "{yaml}");
}
