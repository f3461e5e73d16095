//! From discovery to requests.

use crate::common::MERGE;
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use vci_testkit::client::Client;

const JSON: &str = "application/json";
const APPLY: &str = "application/apply-patch+yaml";
const NAMESPACE: &str = "namespaces/loft-p-blue/";
/// Where all is served as well.
const PREFIX: &str = "/kubernetes/management";

/// One sort of request.
pub(super) struct Route {
    /// The line of the table: `resource[/subresource] verb`, with ` everywhere` for all namespaces at once.
    pub(super) key: String,
    /// `NAME` stands for the object's name.
    pub(super) path: String,
    pub(super) resource: String,
    pub(super) action: Action,
    /// What is sent, for each name of an object; under the empty name for all others.
    bodies: BTreeMap<String, String>,
}

pub(super) enum Action {
    Watch,
    Send { method: Method, media: Option<&'static str> },
}

impl Route {
    pub(super) fn body(&self, name: &str) -> String {
        self.bodies.get(name).or_else(|| self.bodies.get("")).cloned().unwrap_or_default()
    }
}

/// What discovery says of one resource or subresource.
struct Told {
    base: String,
    group_version: String,
    resource: String,
    subresource: String,
    kind: String,
    namespaced: bool,
    /// Whether the resource can be watched; where it cannot, the old paths for that do not exist.
    watched: bool,
}

impl Told {
    /// As the table names it: with its group, unless it is of the server's own group.
    fn name(&self) -> String {
        let slash = if self.subresource.is_empty() { "" } else { "/" };
        let group = self.group_version.split_once('/').map_or("", |(group, _)| group);
        let group = if matches!(group, "" | "management.loft.sh") { String::new() } else { format!(".{group}") };
        format!("{}{slash}{}{group}", self.resource, self.subresource)
    }

    fn old_path(&self, verb: &str) -> String {
        if self.watched { verb.to_owned() } else { format!("{verb} by path") }
    }
}

/// Every route of every group.
pub(super) async fn of(admin: &Client) -> Vec<Route> {
    let mut bases = vec!["/api/v1".to_owned()];
    let groups = admin.get("/apis").await.expect(200).json();
    for group in groups["groups"].as_array().expect("groups") {
        bases.extend(
            group["versions"]
                .as_array()
                .expect("versions")
                .iter()
                .map(|version| format!("/apis/{}", version["groupVersion"].as_str().expect("a version"))),
        );
    }
    let mut routes = Vec::new();
    for base in bases {
        let list = admin.get(&base).await.expect(200).json();
        for entry in list["resources"].as_array().expect("resources") {
            let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
            let (resource, subresource) = text("name").split_once('/').map_or((text("name"), String::new()), |(r, s)| (r.into(), s.into()));
            let group_version = list["groupVersion"].as_str().expect("a version").to_owned();
            let namespaced = entry["namespaced"] == true;
            let watched = entry["verbs"].as_array().is_some_and(|verbs| verbs.iter().any(|verb| verb == "watch"));
            let told = Told { base: base.clone(), group_version, resource, subresource, kind: text("kind"), namespaced, watched };
            routes.extend(routes_of(admin, &told).await);
        }
    }
    routes
}

async fn routes_of(admin: &Client, told: &Told) -> Vec<Route> {
    let here = if told.namespaced { NAMESPACE } else { "" };
    let Told { base, resource, subresource, .. } = told;
    let mut routes = Vec::new();
    if subresource.is_empty() {
        collection(told, here, "", &mut routes);
        if told.namespaced {
            collection(told, "", " everywhere", &mut routes);
        }
    }
    let slash = if subresource.is_empty() { "" } else { "/" };
    let object = format!("{base}/{here}{resource}/NAME{slash}{subresource}");
    let whole = whole_objects(admin, told, &object).await;
    let dry = format!("{object}?dryRun=All");
    let same = |body: Value| BTreeMap::from([(String::new(), body.to_string())]);
    routes.push(read(told, "get", object.clone()));
    routes.push(read(told, "get", format!("{PREFIX}{object}")));
    routes.push(send(told, "update", Method::PUT, dry.clone(), Some(JSON), whole));
    let patch = if subresource == "status" { json!({"status": {}}) } else { json!({"metadata": {"annotations": {"matrix": "x"}}}) };
    routes.push(send(told, "patch", Method::PATCH, dry.clone(), Some(MERGE), same(patch)));
    let named = |name: &str| json!({"apiVersion": told.group_version, "kind": told.kind, "metadata": {"name": name}}).to_string();
    let applied = NAMES.iter().map(|name| ((*name).to_owned(), named(name))).collect();
    routes.push(send(told, "apply", Method::PATCH, format!("{dry}&fieldManager=matrix"), Some(APPLY), applied));
    routes.push(send(told, "delete", Method::DELETE, dry.clone(), None, BTreeMap::new()));
    routes.push(send(told, "create below", Method::POST, dry, Some(JSON), same(question(told))));
    if subresource.is_empty() {
        routes.push(watch(told, "watch one", format!("{base}/{here}{resource}?watch=1&fieldSelector=metadata.name%3DNAME")));
        routes.push(watch(told, &told.old_path("watch one"), format!("{base}/watch/{here}{resource}/NAME")));
    }
    routes
}

/// The collection of a namespace, of the cluster, or of all namespaces.
fn collection(told: &Told, here: &str, place: &str, routes: &mut Vec<Route>) {
    let Told { base, resource, .. } = told;
    let path = format!("{base}/{here}{resource}");
    let dry = format!("{path}?dryRun=All");
    let verb = |verb: &str| format!("{verb}{place}");
    let same = |body: Value| BTreeMap::from([(String::new(), body.to_string())]);
    routes.push(read(told, &verb("list"), path.clone()));
    routes.push(read(told, &verb("list"), format!("{PREFIX}{path}?limit=1")));
    routes.push(watch(told, &verb("watch"), format!("{path}?watch=1")));
    routes.push(watch(told, &told.old_path(&verb("watch")), format!("{base}/watch/{here}{resource}")));
    routes.push(watch(told, &verb("watch"), format!("{PREFIX}{path}?watch=true&resourceVersion=0")));
    routes.push(send(told, &verb("create"), Method::POST, dry.clone(), Some(JSON), same(question(told))));
    routes.push(send(told, &verb("deletecollection"), Method::DELETE, dry.clone(), None, BTreeMap::new()));
    routes.push(send(told, &verb("update all"), Method::PUT, dry.clone(), Some(JSON), same(json!({}))));
    routes.push(send(told, &verb("patch all"), Method::PATCH, dry, Some(MERGE), same(json!({}))));
}

/// A good body for a create.
fn question(told: &Told) -> Value {
    let metadata = json!({"name": "matrix-made"});
    match told.resource.as_str() {
        "virtualclusterinstances" => json!({"metadata": metadata, "spec": {"templateRef": {"name": "others"}}}),
        "virtualclustertemplates" => json!({"metadata": metadata, "spec": {"template": {}}}),
        "ownedaccesskeys" => json!({"metadata": metadata, "spec": {"key": "a-new-secret"}}),
        "projectsecrets" => json!({"metadata": metadata, "spec": {"data": {"key": "czNjcmV0"}}}),
        "clusters" | "projects" | "users" | "teams" => json!({"metadata": metadata, "spec": {}}),
        "selfsubjectaccessreviews" => json!({"spec": {"nonResourceAttributes": {"verb": "get", "path": "/"}}}),
        "subjectaccessreviews" => json!({"spec": {"user": "una", "nonResourceAttributes": {"verb": "get", "path": "/"}}}),
        "selfsubjectrulesreviews" => json!({"spec": {"namespace": "loft-p-blue"}}),
        _ => json!({}),
    }
}

/// Every name of an object in the matrix.
const NAMES: [&str; 12] =
    ["own", "teams", "granted", "others", "una-spare", "zoe-spare", "una", "zoe", "devs", "ops", "loft-p-blue", "blue"];

/// The objects as they are, to be written back.
async fn whole_objects(admin: &Client, told: &Told, path: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    if matches!(told.subresource.as_str(), "" | "status") {
        for name in NAMES {
            let response = admin.get(&path.replace("NAME", name)).await;
            if response.status == 200 {
                found.insert(name.to_owned(), response.text());
            }
        }
    }
    found
}

fn read(told: &Told, verb: &str, path: String) -> Route {
    send(told, verb, Method::GET, path, None, BTreeMap::new())
}

fn watch(told: &Told, verb: &str, path: String) -> Route {
    Route { key: format!("{} {verb}", told.name()), path, resource: told.resource.clone(), action: Action::Watch, bodies: BTreeMap::new() }
}

fn send(told: &Told, verb: &str, method: Method, path: String, media: Option<&'static str>, bodies: BTreeMap<String, String>) -> Route {
    let key = format!("{} {verb}", told.name());
    Route { key, path, resource: told.resource.clone(), action: Action::Send { method, media }, bodies }
}
