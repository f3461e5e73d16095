//! The people of the matrix, and what they have.

use crate::common::{GROUP, MERGE, Stand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vci_testkit::client::Protocol;

/// Somebody who asks.
pub(super) struct Caller {
    pub(super) label: &'static str,
    /// The access key; empty: none.
    pub(super) key: &'static str,
    /// For whom they act; empty: for themselves.
    pub(super) impersonated_user: &'static str,
    /// Which of the objects they ask for.
    having: Having,
}

#[derive(Clone, Copy)]
enum Having {
    /// What belongs to una.
    Own,
    /// What belongs to the team devs.
    Teams,
    /// What grants everything to gina.
    Granted,
    /// What belongs to somebody else.
    Others,
}

const fn caller(label: &'static str, key: &'static str, having: Having) -> Caller {
    Caller { label, key, impersonated_user: "", having }
}

/// Whoever is not known comes first.
pub(super) const CALLERS: [Caller; 18] = [
    caller("no token", "", Having::Others),
    caller("bad token", "nobody-has-this-key", Having::Others),
    caller("expired key", "key-that-is-over", Having::Own),
    caller("disabled key", "key-that-is-off", Having::Own),
    caller("viewer", "key-of-victor", Having::Others),
    caller("user, own object", "key-of-una", Having::Own),
    caller("user, another's object", "key-of-una", Having::Others),
    caller("team member, team's object", "key-of-tina", Having::Teams),
    caller("viewer, granted by a rule", "key-of-gina", Having::Granted),
    caller("admin of the project", "key-of-adam", Having::Others),
    caller("admin of another project", "key-of-xena", Having::Others),
    caller("in no project", "key-of-otto", Having::Others),
    caller("team's key, team's object", "key-of-devs", Having::Teams),
    caller("role of an admin", "key-of-chief", Having::Others),
    caller("system:masters", "key-of-root", Having::Others),
    caller("admin of the project, key for it", "key-of-adam-in", Having::Others),
    caller("admin of the project, key for another", "key-of-adam-out", Having::Others),
    Caller { label: "system:masters acting for the owner", key: "key-of-root", impersonated_user: "una", having: Having::Own },
];

/// The object of a resource that a caller asks for.
pub(super) fn object(caller: &Caller, resource: &str) -> &'static str {
    match (resource, caller.having) {
        ("clusters" | "projectsecrets" | "virtualclusterinstances" | "virtualclustertemplates", Having::Own) => "own",
        ("clusters" | "projectsecrets" | "virtualclusterinstances" | "virtualclustertemplates", Having::Teams) => "teams",
        ("clusters" | "projectsecrets" | "virtualclusterinstances" | "virtualclustertemplates", Having::Granted) => "granted",
        ("clusters" | "projectsecrets" | "virtualclusterinstances" | "virtualclustertemplates", Having::Others) => "others",
        ("ownedaccesskeys", Having::Own) => "una-spare",
        ("ownedaccesskeys", _) => "zoe-spare",
        ("users", Having::Own) => "una",
        ("users", _) => "zoe",
        ("teams", Having::Teams) => "devs",
        ("teams", _) => "ops",
        ("namespaces", _) => "loft-p-blue",
        _ => "blue",
    }
}

/// Users, teams, projects and keys.
pub(super) fn bootstrap() -> String {
    let mut objects = Vec::new();
    let mut add = |kind: &str, name: &str, spec: Value| {
        objects.push(json!({"apiVersion": "management.loft.sh/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}).to_string());
    };
    for name in ["victor", "una", "tina", "gina", "adam", "xena", "otto", "zoe"] {
        add("User", name, json!({"email": format!("{name}@example.com"), "username": format!("login-of-{name}")}));
    }
    add("User", "chief", json!({"clusterRoles": [{"name": "loft-management-admin"}]}));
    add("User", "root", json!({"groups": ["system:masters"]}));
    add("Team", "devs", json!({"users": ["tina"]}));
    add("Team", "ops", json!({}));
    let member = |kind: &str, name: &str, role: &str| json!({"kind": kind, "group": "storage.loft.sh", "name": name, "clusterRole": format!("loft-management-project-{role}")});
    let members = [
        member("User", "victor", "viewer"),
        member("User", "gina", "viewer"),
        member("User", "una", "user"),
        member("Team", "devs", "user"),
        member("User", "adam", "admin"),
    ];
    let templates = json!([{"kind": "VirtualClusterTemplate", "group": "storage.loft.sh", "name": "*"}]);
    let rules = json!([{"verbs": ["update", "delete"], "users": ["gina"]}]);
    let owner = json!({"user": "zoe"});
    let quotas = json!({"project": {"virtualclusterinstances": "99"}, "user": {"virtualclusterinstances": "99"}});
    let vault = json!({"enabled": true, "address": "address-of-a-vault", "auth": {"token": "token-of-a-vault"}});
    add(
        "Project",
        "blue",
        json!({"owner": owner, "members": members, "access": rules, "allowedTemplates": templates, "quotas": quotas, "vault": vault, "allowedClusters": [{"name": "others"}]}),
    );
    add("Project", "red", json!({"owner": owner, "members": [member("User", "xena", "admin")]}));
    for name in ["victor", "una", "tina", "gina", "adam", "xena", "otto", "chief", "root"] {
        add("OwnedAccessKey", name, json!({"user": name, "key": format!("key-of-{name}")}));
    }
    for (name, spec) in [
        ("devs", json!({"team": "devs", "key": "key-of-devs"})),
        ("over", json!({"user": "una", "key": "key-that-is-over", "ttl": 1})),
        ("off", json!({"user": "una", "key": "key-that-is-off", "disabled": true})),
        ("adam-in", json!({"user": "adam", "key": "key-of-adam-in", "scope": {"projects": [{"project": "blue"}]}})),
        ("adam-out", json!({"user": "adam", "key": "key-of-adam-out", "scope": {"projects": [{"project": "red"}]}})),
        ("una-spare", json!({"user": "una", "key": "spare-key-of-una"})),
        ("zoe-spare", json!({"user": "zoe", "key": "spare-key-of-zoe"})),
    ] {
        add("OwnedAccessKey", name, spec);
    }
    objects.join("\n---\n")
}

/// What belongs to whom; and waits until the short key is over and the project tells what is used in it.
pub(super) async fn fill(stand: &Stand) {
    let root = stand.server.anonymous(Protocol::Http2).bearer("key-of-root");
    for (name, spec) in [
        ("own", json!({"owner": {"user": "una"}})),
        ("teams", json!({"owner": {"team": "devs"}})),
        ("granted", json!({"owner": {"user": "zoe"}, "access": [{"verbs": ["*"], "subresources": ["*"], "users": ["gina"]}]})),
        ("others", json!({"owner": {"user": "zoe"}})),
    ] {
        let mut cluster = spec.clone();
        cluster["displayName"] = format!("cluster-of-{name}").into();
        root.post(&format!("{GROUP}/clusters"), &json!({"metadata": {"name": name}, "spec": cluster})).await.expect(201);
        let mut template = spec.clone();
        let chart = json!({"name": "c", "username": format!("login-of-{name}"), "password": format!("password-of-{name}")});
        template["displayName"] = format!("title-of-{name}").into();
        template["template"] = json!({"helmRelease": {"chart": chart, "values": format!("values-of-{name}")}});
        root.post(&format!("{GROUP}/virtualclustertemplates"), &json!({"metadata": {"name": name}, "spec": template})).await.expect(201);
        let mut secret = spec.clone();
        let mut instance = spec;
        if name == "granted" {
            let rules = json!([{"verbs": ["get"], "users": ["victor"]}, {"verbs": ["get", "use"], "users": ["una"]}]);
            for object in [&mut secret, &mut instance] {
                object["access"].as_array_mut().expect("rules").extend(rules.as_array().expect("rules").clone());
            }
        }
        secret["displayName"] = format!("secret-of-{name}").into();
        secret["data"] = json!({"key": STANDARD.encode(format!("data-of-{name}"))});
        let secrets = format!("{GROUP}/namespaces/loft-p-blue/projectsecrets");
        root.post(&secrets, &json!({"metadata": {"name": name}, "spec": secret})).await.expect(201);
        instance["templateRef"] = json!({"name": "others"});
        instance["parameters"] = format!("password: parameter-of-{name}").into();
        let blue = format!("{GROUP}/namespaces/loft-p-blue/virtualclusterinstances");
        root.post(&blue, &json!({"metadata": {"name": name}, "spec": instance})).await.expect(201);
        let chart = json!({"name": "vcluster", "version": "0.36.1", "password": format!("chart-password-of-{name}")});
        let release = json!({"chart": chart, "values": format!("rendered-values-of-{name}")});
        let rendered = json!({"helmRelease": release, "objects": format!("rendered-objects-of-{name}")});
        let status = json!({"status": {"phase": "Ready", "virtualCluster": rendered}});
        root.patch(&format!("{blue}/{name}/status"), MERGE, &status).await.expect(200);
    }
    vci_testkit::wait_for("the project to tell what is used", async || {
        root.get(&format!("{GROUP}/projects/blue")).await.expect(200).json()["status"]["quotas"]["project"]["used"]
            == json!({"virtualclusterinstances": "4"})
    })
    .await;
    let over = stand.server.anonymous(Protocol::Http2).bearer("key-that-is-over");
    vci_testkit::wait_for("the key to be over", async || over.get("/version").await.status == 401).await;
}
