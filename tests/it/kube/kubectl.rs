//! A user of the cluster with kubectl, through kube-apiserver.

use super::stand::{self, Place, Stand};
use crate::kubectl::{Kubectl, manifest};
use serde_json::json;
use vci_testkit::client::Protocol;
use vci_testkit::program::Program;
use vci_testkit::wait_for;

const TYPE: &str = "virtualclusterinstances.management.loft.sh";

fn as_user<'a>(stand: &'a Stand, user: &str) -> Kubectl<'a> {
    Kubectl::with(&stand.kubectl, stand.cluster.kubeconfig(user, &[]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_both_roles_works_as_with_any_kind() {
    for stand in stand::of_each_version().await {
        let place = stand.project("kubectl", &["ann"]).await;
        stand.bind(&place, "ann", "edit").await;
        let kubectl = as_user(&stand, "ann");
        let ns = ["-n", place.namespace.as_str()];
        let run = |arguments: &[&str]| kubectl.run(&[&ns[..], arguments].concat());
        let at = |path: &str| run(&["get", TYPE, "x", "-o", &format!("jsonpath={{{path}}}")]);

        let mut follower = follow(&stand, &place);
        let file = kubectl.file("x.yaml", &manifest("x", 1));
        assert!(run(&["create", "-f", &file]).contains("created"));
        assert_eq!(at(".spec.owner.user"), "ann");
        assert_eq!(follower.line().await, "virtualclusterinstance.management.loft.sh/x");
        let changed = kubectl.file("changed.yaml", &manifest("x", 2));
        run(&["apply", "-f", &changed]);
        assert_eq!(at(".metadata.labels.number"), "2");
        let applied = kubectl.file("applied.yaml", &manifest("x", 3));
        run(&["apply", "--server-side", "--force-conflicts", "-f", &applied]);
        assert_eq!(at(".metadata.labels.number"), "3");
        let editor = format!("sh {}", kubectl.file("editor.sh", "sed -i s/shown-x/edited/ \"$1\"\n"));
        let (good, _, stderr) = kubectl.output(&[&ns[..], &["edit", TYPE, "x"]].concat(), &[("KUBE_EDITOR", &editor)]);
        assert!(good, "{stderr}");
        assert_eq!(at(".spec.displayName"), "edited");
        for (kind, patch) in [
            ("merge", r#"{"metadata": {"annotations": {"by": "merge"}}}"#),
            ("json", r#"[{"op": "add", "path": "/metadata/annotations/by", "value": "json"}]"#),
            ("strategic", r#"{"metadata": {"annotations": {"by": "strategic"}}}"#),
        ] {
            run(&["patch", TYPE, "x", "--type", kind, "-p", patch]);
            assert_eq!(at(".metadata.annotations.by"), kind);
        }
        let table = run(&["get", "virtualclusterinstances"]);
        assert!(table.starts_with("NAME") && table.contains("edited"), "{table}");
        let explained = kubectl.run(&["explain", "virtualclusterinstances.spec.templateRef"]);
        assert!(explained.contains("syncOnce"), "{explained}");
        assert!(run(&["auth", "can-i", "create", TYPE]).starts_with("yes"));
        assert!(run(&["delete", TYPE, "x"]).contains("deleted"));
        assert!(run(&["get", TYPE, "-o", "name"]).is_empty());
    }
}

/// `kubectl get --watch` of the instances of a namespace, by name.
fn follow(stand: &Stand, place: &Place) -> Program {
    let mut command = std::process::Command::new(&stand.kubectl);
    command.arg("--kubeconfig").arg(stand.cluster.kubeconfig("ann", &[]));
    command.args(["-n", &place.namespace, "get", TYPE, "--watch-only", "-o", "name"]);
    Program::spawn(&mut command)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_names_who_really_asked() {
    let Some(stand) = stand::shared().await else { return };
    let place = stand.project("audited", &["ann"]).await;
    stand.bind(&place, "ann", "edit").await;
    let ann = stand.cluster.client("ann", &["people"]);
    let audit_id = ann.post(&place.path(""), &crate::common::instance("x")).await.expect(201).header("audit-id").to_owned();
    let find = || stand.audit_log().into_iter().find(|event| event["auditID"] == *audit_id && event["stage"] == "ResponseComplete");
    wait_for("the event", async || find().is_some()).await;
    let event = find().expect("it is there");
    assert_eq!(event["user"]["username"], "ann", "{event}");
    let groups = event["user"]["groups"].as_array().expect("groups");
    assert!(groups.contains(&json!("people")) && groups.contains(&json!("system:authenticated")), "{event}");
    assert_eq!((&event["verb"], &event["objectRef"]["namespace"]), (&json!("create"), &json!(place.namespace)), "{event}");
    assert_eq!(event["responseStatus"]["code"], 201, "{event}");
}

/// Each of the two alone lets nobody in: the cluster's role, and the project's.
#[tokio::test(flavor = "multi_thread")]
async fn one_role_is_not_enough() {
    let Some(stand) = stand::shared().await else { return };
    let place = stand.project("refused", &["member"]).await;
    stand.bind(&place, "bound", "edit").await;
    for (user, who_refuses) in [("member", "the cluster"), ("bound", "the project"), ("stranger", "both")] {
        let kubectl = as_user(&stand, user);
        let file = kubectl.file("x.yaml", &manifest("x", 1));
        let refused = kubectl.fails(&["-n", &place.namespace, "create", "-f", &file]);
        assert!(refused.contains("Forbidden") && refused.contains(&format!("\"{user}\"")), "{who_refuses}: {refused}");
        let refused = kubectl.fails(&["-n", &place.namespace, "get", TYPE, "x"]);
        assert!(refused.contains("Forbidden"), "{who_refuses}: {refused}");
        // Not by the way around kube-apiserver either.
        let answer = stand.direct(user).post(&place.path(""), &crate::common::instance("x")).await;
        assert_eq!(answer.status, 403, "{who_refuses}: {}", answer.text());
    }
    stand.bind(&place, "member", "edit").await;
    // What the cluster has said is believed for some seconds.
    let (member, object) = (stand.direct("member"), crate::common::instance("x"));
    wait_for("the new role to be heard of", async || member.post(&place.path(""), &object).await.status == 201).await;
    assert_eq!(member.get(&place.path("x")).await.expect(200).json()["spec"]["owner"], json!({"user": "member"}));
}

/// Tokens of the cluster are good for this server as well; others are not.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_is_known_by_its_token() {
    let Some(stand) = stand::shared().await else { return };
    let token = stand.token("vci-apiserver").await;
    let question = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let ask = async |token: &str| {
        let direct = stand.server.anonymous(Protocol::Http2).bearer(token);
        direct.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &question).await
    };
    let who = ask(&token).await.expect(201).json();
    assert_eq!(who["status"]["userInfo"]["username"], "system:serviceaccount:vci-system:vci-apiserver", "{who}");
    ask(&token[..token.len() - 9]).await.expect(401);
}
