//! A virtual cluster on real nodes, from `vcluster create` to `vcluster delete`: the real command line, the real chart, real pods.

use crate::stand::{self, Stand};
use crate::vcluster::Person;
use serde_json::{Value, json};
use std::time::Instant;
use vci_testkit::yaml;

const GROUP: &str = "/apis/management.loft.sh/v1";
const INSTANCES: &str = "/apis/management.loft.sh/v1/namespaces/loft-p-blue/virtualclusterinstances";
const ANN: &str = "key-of-ann-for-tests-0123456789";
const BOB: &str = "key-of-bob-for-tests-0123456789";

/// Plural, and the object.
const OBJECTS: &str = r#"
- [users, {metadata: {name: ann}}]
- [users, {metadata: {name: bob}}]
- [ownedaccesskeys, {metadata: {name: ann}, spec: {user: ann, type: User, key: key-of-ann-for-tests-0123456789}}]
- [ownedaccesskeys, {metadata: {name: bob}, spec: {user: bob, type: User, key: key-of-bob-for-tests-0123456789}}]
- - projects
  - metadata: {name: blue}
    spec:
      allowedClusters: [{name: "*"}]
      allowedTemplates: [{kind: VirtualClusterTemplate, group: storage.loft.sh, name: "*"}]
      members:
      - {kind: User, group: storage.loft.sh, name: ann, clusterRole: loft-management-project-user}
      - {kind: User, group: storage.loft.sh, name: bob, clusterRole: loft-management-project-viewer}
"#;

/// What virtual clusters are made from: small ones.
fn template() -> Value {
    let values = "\
controlPlane:
  distro: {k8s: {enabled: true, image: {tag: v1.36.3}}}
  statefulSet:
    image: {repository: loft-sh/vcluster-oss, tag: 0.36.1}
    persistence: {volumeClaim: {enabled: {{ .Values.volume }}}}
  coredns: {deployment: {image: coredns/coredns:1.15.0}}
telemetry: {enabled: false}
";
    let objects = "{apiVersion: v1, kind: ConfigMap, metadata: {name: greeting}, data: {text: {{ .Values.greeting | quote }}}}";
    json!({"metadata": {"name": "small"}, "spec": {"versions": [{
        "version": "1.0.0",
        "parameters": [{"variable": "greeting", "defaultValue": "hello"}, {"variable": "volume", "type": "boolean", "defaultValue": "true"}],
        "template": {"helmRelease": {"values": values}, "objects": objects},
    }]}})
}

#[test]
fn people_make_virtual_clusters_and_work_in_them() {
    stand::with("platform", |stand| {
        prepare(stand);
        let (ann, bob) = (Person::log_in(stand, ANN), Person::log_in(stand, BOB));
        create(stand, &ann);
        work(stand, &ann);
        share(&ann, &bob);
        sleep(stand, &ann);
        upgrade(stand, &ann);
        delete(stand, &ann);
    });
}

fn prepare(stand: &mut Stand<'_>) {
    stand.load_virtual_cluster_images();
    // Without a network there is no chart repository: the image has the chart.
    stand.kubectl_there(&["set", "env", "deployment/vci-controller", "VCI_CHART=/vcluster.tgz"]);
    stand.settled();
    let admin = &stand.admin;
    stand.run(async {
        for object in yaml(OBJECTS).as_array().expect("a list") {
            let plural = object[0].as_str().expect("a plural");
            admin.post(&format!("{GROUP}/{plural}"), &object[1]).await.expect(201);
        }
        admin.post(&format!("{GROUP}/virtualclustertemplates"), &template()).await.expect(201);
        admin.post("/api/v1/namespaces", &json!({"metadata": {"name": "loft-p-blue"}})).await.expect(201);
    });
}

fn create(stand: &Stand<'_>, ann: &Person) {
    // In the midst of it: the next one goes on.
    stand.kill_controller();
    let begun = Instant::now();
    ann.run(&["create", "mine", "--project", "blue", "--template", "small", "--set-params", "greeting=good day", "--connect=false"]);
    eprintln!("vcluster create: ready after {:?}", begun.elapsed());
    let instance = get(stand, "mine");
    assert_eq!(instance["status"]["phase"], "Ready", "{instance}");
    assert_eq!(instance["spec"]["owner"], json!({"user": "ann"}));
    let listed = ann.run(&["list", "--output", "json"]);
    assert!(listed.contains("mine") && listed.contains("loft-blue-v-mine"), "{listed}");
    assert!(stand.kubectl(&["get", "events", "--namespace", "loft-p-blue"]).contains("Deployed"));
}

fn work(stand: &Stand<'_>, ann: &Person) {
    let said = good(ann, &["get", "configmap", "greeting", "--output", "jsonpath={.data.text}"]);
    assert!(said.contains("good day"), "{said}");
    let run = ["create", "deployment", "web", "--image", "docker.io/library/busybox:1", "--", "sh", "-c", "echo served; sleep 3600"];
    good(ann, &run);
    good(ann, &["wait", "--for=condition=Available", "--timeout=180s", "deployment/web"]);
    assert!(good(ann, &["logs", "deployment/web"]).contains("served"));
    assert!(good(ann, &["exec", "deployment/web", "--", "echo", "from", "inside"]).contains("from inside"));
    // What runs inside runs on a node of the host, in the one namespace.
    let pods = stand.kubectl(&["get", "pods", "--namespace", "loft-blue-v-mine", "--output", "wide"]);
    assert!(pods.lines().any(|line| line.starts_with("web-") && line.contains("-x-default-x-mine")), "{pods}");
    copies(ann);
    forwards(ann);
}

fn copies(ann: &Person) {
    let (there, back) = (ann.home().join("there"), ann.home().join("back"));
    std::fs::write(&there, "carried").expect("a file");
    let pod = good(ann, &["get", "pods", "--selector", "app=web", "--output", "jsonpath={.items[0].metadata.name}"]);
    let pod = pod.split_whitespace().find(|word| word.starts_with("web-")).expect("a pod").to_owned();
    good(ann, &["cp", &there.display().to_string(), &format!("{pod}:/tmp-file")]);
    good(ann, &["cp", &format!("{pod}:/tmp-file"), &back.display().to_string()]);
    assert_eq!(std::fs::read_to_string(back).expect("a file"), "carried");
}

/// A port of the pod, through the gateway, on this side.
fn forwards(ann: &Person) {
    let serve = "mkdir -p /www; echo forwarded >/www/index.html; httpd -p 8080 -h /www";
    good(ann, &["exec", "deployment/web", "--", "sh", "-c", serve]);
    let forward = "kubectl port-forward deployment/web 18080:8080 >/dev/null & \
                   for i in $(seq 100); do busybox wget -qO- http://127.0.0.1:18080/index.html && break; sleep .2; done; kill $!";
    let said = ann.run(&["connect", "mine", "--project", "blue", "--silent", "--", "sh", "-c", forward]);
    assert!(said.contains("forwarded"), "{said}");
}

/// The other one gets the role, and nothing else.
fn share(ann: &Person, bob: &Person) {
    let (allowed, said) = bob.kubectl("mine", &["get", "pods"]);
    assert!(!allowed, "{said}");
    ann.run(&["platform", "share", "vcluster", "mine", "--project", "blue", "--user", "bob", "--cluster-role", "view"]);
    // The role is bound by the controller a moment later.
    let begun = Instant::now();
    while !bob.kubectl("mine", &["get", "pods"]).0 {
        assert!(begun.elapsed() < stand::PATIENCE, "{}", bob.kubectl("mine", &["get", "pods"]).1);
    }
    for refused in [&["get", "secrets"][..], &["delete", "deployment", "web"], &["get", "nodes"], &["get", "pods", "--as", "root"]] {
        let (allowed, said) = bob.kubectl("mine", refused);
        assert!(!allowed && said.contains("orbidden"), "{refused:?}: {said}");
    }
    assert!(good(ann, &["auth", "can-i", "*", "*"]).contains("yes"));
}

fn sleep(stand: &Stand<'_>, ann: &Person) {
    stand.kill_controller();
    ann.run(&["platform", "sleep", "vcluster", "mine", "--project", "blue"]);
    stand.until("all pods to be gone", || {
        !stand.kubectl(&["get", "pods", "--namespace", "loft-blue-v-mine", "--output", "name"]).contains("pod/")
    });
    assert_eq!(get(stand, "mine")["status"]["phase"], "Sleeping");
    let begun = Instant::now();
    // Whoever uses it wakes it.
    assert!(good(ann, &["get", "configmap", "greeting"]).contains("greeting"));
    eprintln!("kubectl get of one that sleeps: answered after {:?}", begun.elapsed());
    assert_eq!(get(stand, "mine")["status"]["phase"], "Ready");
    ann.run(&["platform", "sleep", "vcluster", "mine", "--project", "blue", "--prevent-wakeup", "3600"]);
    let (woken, said) = ann.kubectl("mine", &["get", "pods", "--request-timeout=5s"]);
    assert!(!woken, "{said}");
    ann.run(&["platform", "wakeup", "vcluster", "mine", "--project", "blue"]);
    stand.until("it to be awake", || get(stand, "mine")["status"]["phase"] == "Ready");
    good(ann, &["wait", "--for=condition=Available", "--timeout=180s", "deployment/web"]);
}

fn upgrade(stand: &Stand<'_>, ann: &Person) {
    ann.run(&[
        "create",
        "mine",
        "--project",
        "blue",
        "--template",
        "small",
        "--set-params",
        "greeting=changed",
        "--upgrade",
        "--connect=false",
    ]);
    inside(ann, "changed");
    // A new version reaches who follows the newest one.
    let path = format!("{GROUP}/virtualclustertemplates/small");
    let mut versions = template()["spec"]["versions"].as_array().cloned().expect("versions");
    let mut next = versions[0].clone();
    next["version"] = json!("1.1.0");
    next["template"]["objects"] = json!("{apiVersion: v1, kind: ConfigMap, metadata: {name: greeting}, data: {text: of version 1.1.0}}");
    versions.push(next);
    let patch = json!({"spec": {"versions": versions}});
    stand.run(stand.admin.patch(&path, "application/merge-patch+json", &patch)).expect(200);
    inside(ann, "of version 1.1.0");
}

fn inside(ann: &Person, text: &str) {
    let begun = Instant::now();
    while !ann.kubectl("mine", &["get", "configmap", "greeting", "--output", "yaml"]).1.contains(text) {
        assert!(begun.elapsed() < stand::PATIENCE, "waited in vain for {text:?} inside");
    }
}

fn delete(stand: &Stand<'_>, ann: &Person) {
    stand.kill_controller();
    ann.run(&["delete", "mine", "--project", "blue", "--wait"]);
    stand.run(stand.admin.get(&format!("{INSTANCES}/mine"))).expect(404);
    stand.run(stand.admin.get("/api/v1/namespaces/loft-blue-v-mine")).expect(404);
    for kind in ["clusterroles", "clusterrolebindings", "persistentvolumeclaims", "secrets"] {
        let left = stand.kubectl(&["get", kind, "--all-namespaces", "--output", "name"]);
        assert!(!left.lines().any(|line| line.contains("mine")), "{left}");
    }
}

fn good(person: &Person, arguments: &[&str]) -> String {
    let (good, said) = person.kubectl("mine", arguments);
    assert!(good, "kubectl {arguments:?}: {said}");
    said
}

fn get(stand: &Stand<'_>, name: &str) -> Value {
    stand.run(stand.admin.get(&format!("{INSTANCES}/{name}"))).expect(200).json()
}
