//! The operations of a stored kind, free of dialect: paths, parameters, bodies, answers.

use super::components::{Answered, META, Stored, component_name, list_name};
use super::operation::{DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION, OBJECTS, Operation, Parameter, RequestBody, camel, query, tag};
use super::virtual_resource;
use crate::body::PATCHES;
use apiserver_meta::{Descriptor, Schema, Scope, Subresource, Verb};

const FORCE: Parameter = query("force", "boolean", "Takes fields over that other managers own. Only for apply patches.");
const RESOURCE_VERSION: Parameter = query(
    "resourceVersion",
    "string",
    "How fresh the answer must be: unset is the most recent, 0 is anything at hand, another value is at least that old. A watch starts behind it.",
);
const EXTENDED: Parameter =
    query("extended", "boolean", "Fills in the fields of the status that say what whoever asks may do with the object.");
const LIST: [Parameter; 10] = [
    query("allowWatchBookmarks", "boolean", "Lets a watch carry BOOKMARK events, which tell how far it has come."),
    query("continue", "string", "The token of the page before; the answer is the page after it."),
    query("fieldSelector", "string", "Only objects whose fields are so, for example metadata.name=a."),
    query("labelSelector", "string", "Only objects whose labels are so, for example env in (dev,test)."),
    query("limit", "integer", "At most this many items; when there are more, the list's metadata has a token for the next page."),
    RESOURCE_VERSION,
    query("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."),
    query("sendInitialEvents", "boolean", "Lets a watch begin with the state as ADDED events, ended by a marked BOOKMARK."),
    query("timeoutSeconds", "integer", "After how many seconds a watch ends."),
    query("watch", "boolean", "Answers with a stream of changes in place of a list."),
];
const DELETE: [Parameter; 4] = [
    DRY_RUN,
    query("gracePeriodSeconds", "integer", "How many seconds the object is given to end; no kind here ends gracefully."),
    query("orphanDependents", "boolean", "The old spelling of propagationPolicy: true leaves dependents alone."),
    query("propagationPolicy", "string", "What happens to dependents: Orphan, Background or Foreground."),
];

const LISTS: &[&str] = &["application/json", "application/json;stream=watch", "application/yaml"];

/// The operations of one group and version.
pub(super) fn of_version(group: &'static str, version: &'static str, stored: &[Stored<'_>], computed: &[Answered<'_>]) -> Vec<Operation> {
    let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    let mut operations = vec![Operation {
        path: format!("{root}/"),
        method: "get",
        id: format!("get{}APIResources", camel(group, version)),
        tag: tag(group, version),
        description: "get available resources".into(),
        action: None,
        kind: None,
        parameters: Vec::new(),
        body: None,
        answers: vec![(200, format!("{META}APIResourceList"))],
        produces: OBJECTS,
    }];
    for (kind, schema) in stored.iter().filter(|(kind, _)| kind.group == group && kind.version == version) {
        operations.extend(Builder { root: &root, kind, schema }.all());
    }
    for (kind, schema) in computed.iter().filter(|(kind, _)| kind.group == group && kind.version == version) {
        let scope = |plural: &str| stored.iter().find(|(of, _)| of.group == group && of.plural == plural).map(|(of, _)| of.scope);
        operations.push(virtual_resource::operation(&root, kind, schema, scope));
    }
    operations
}

struct Builder<'a> {
    root: &'a str,
    kind: &'static Descriptor,
    schema: &'a Schema,
}

impl Builder<'_> {
    fn all(&self) -> Vec<Operation> {
        let namespaced = self.kind.scope == Scope::Namespaced;
        let collection = if namespaced {
            format!("{}/namespaces/{{namespace}}/{}", self.root, self.kind.plural)
        } else {
            format!("{}/{}", self.root, self.kind.plural)
        };
        let object = format!("{collection}/{{name}}");
        let mut all: Vec<Operation> = Verb::ALL
            .into_iter()
            .filter(|verb| self.kind.verbs.contains(verb) && *verb != Verb::Watch)
            .map(|verb| match verb {
                Verb::Create | Verb::DeleteCollection | Verb::List => self.operation(verb, &collection, Subresource::Main),
                Verb::Delete | Verb::Get | Verb::Patch | Verb::Update | Verb::Watch => self.operation(verb, &object, Subresource::Main),
            })
            .collect();
        if self.kind.has_status() {
            let status = format!("{object}/status");
            all.extend([Verb::Get, Verb::Patch, Verb::Update].map(|verb| self.operation(verb, &status, Subresource::Status)));
        }
        if namespaced && self.kind.verbs.contains(&Verb::List) {
            let mut everywhere = self.operation(Verb::List, &format!("{}/{}", self.root, self.kind.plural), Subresource::Main);
            everywhere.id = format!("list{}{}ForAllNamespaces", camel(self.kind.group, self.kind.version), self.kind.kind);
            all.push(everywhere);
        }
        all
    }

    fn operation(&self, verb: Verb, path: &str, subresource: Subresource) -> Operation {
        let kind = self.kind;
        let (method, word, action) = words(verb);
        let collection = if verb == Verb::DeleteCollection { "Collection" } else { "" };
        let scope = if kind.scope == Scope::Namespaced { "Namespaced" } else { "" };
        let suffix = if subresource == Subresource::Status { "Status" } else { "" };
        Operation {
            path: path.to_owned(),
            method,
            id: format!("{word}{}{collection}{scope}{}{suffix}", camel(kind.group, kind.version), kind.kind),
            tag: tag(kind.group, kind.version),
            description: description(verb, kind, subresource),
            action: Some(action),
            kind: Some((kind.group, kind.version, kind.kind)),
            parameters: parameters(verb, kind, subresource),
            body: self.body(verb),
            answers: self.answers(verb),
            produces: if verb == Verb::List && kind.verbs.contains(&Verb::Watch) { LISTS } else { OBJECTS },
        }
    }

    fn body(&self, verb: Verb) -> Option<RequestBody> {
        let own = component_name((self.kind.group, self.kind.version, self.kind.kind), self.schema);
        let body = |component, media_types, required| Some(RequestBody { component, media_types, required });
        match verb {
            Verb::Create | Verb::Update => body(own, OBJECTS.to_vec(), true),
            Verb::Patch => body(format!("{META}Patch"), PATCHES.map(|(name, _)| name).to_vec(), true),
            Verb::Delete | Verb::DeleteCollection => body(format!("{META}DeleteOptions"), OBJECTS.to_vec(), false),
            Verb::Get | Verb::List | Verb::Watch => None,
        }
    }

    fn answers(&self, verb: Verb) -> Vec<(u16, String)> {
        let own = component_name((self.kind.group, self.kind.version, self.kind.kind), self.schema);
        match verb {
            Verb::Create => vec![(200, own.clone()), (201, own.clone()), (202, own)],
            Verb::Update | Verb::Patch => vec![(200, own.clone()), (201, own)],
            Verb::Get => vec![(200, own)],
            Verb::Delete => vec![(200, format!("{META}Status")), (202, format!("{META}Status"))],
            Verb::DeleteCollection | Verb::List | Verb::Watch => vec![(200, list_name(self.kind, self.schema))],
        }
    }
}

fn parameters(verb: Verb, kind: &Descriptor, subresource: Subresource) -> Vec<Parameter> {
    let mut parameters = common_parameters(verb, kind);
    let reads = matches!(verb, Verb::Get | Verb::List | Verb::Watch) && subresource == Subresource::Main;
    if reads && !kind.extended.is_empty() {
        parameters.push(EXTENDED);
    }
    parameters
}

fn common_parameters(verb: Verb, kind: &Descriptor) -> Vec<Parameter> {
    let watches = kind.verbs.contains(&Verb::Watch);
    let list =
        LIST.into_iter().filter(|parameter| watches || !matches!(parameter.name, "watch" | "allowWatchBookmarks" | "sendInitialEvents"));
    match verb {
        Verb::Create | Verb::Update => vec![DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION],
        Verb::Patch => vec![DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION, FORCE],
        Verb::Get => vec![RESOURCE_VERSION],
        Verb::List | Verb::Watch => list.collect(),
        Verb::Delete => DELETE.to_vec(),
        Verb::DeleteCollection => DELETE
            .into_iter()
            .chain(LIST.into_iter().filter(|parameter| !matches!(parameter.name, "watch" | "allowWatchBookmarks")))
            .collect(),
    }
}

/// Method, the beginning of the operation's id, `x-kubernetes-action`.
fn words(verb: Verb) -> (&'static str, &'static str, &'static str) {
    match verb {
        Verb::Create => ("post", "create", "post"),
        Verb::Delete => ("delete", "delete", "delete"),
        Verb::DeleteCollection => ("delete", "delete", "deletecollection"),
        Verb::Get => ("get", "read", "get"),
        Verb::List => ("get", "list", "list"),
        Verb::Patch => ("patch", "patch", "patch"),
        Verb::Update => ("put", "replace", "put"),
        Verb::Watch => ("get", "watch", "watch"),
    }
}

fn description(verb: Verb, kind: &Descriptor, subresource: Subresource) -> String {
    let of = if subresource == Subresource::Status { "status of the specified" } else { "the specified" };
    let name = kind.kind;
    match verb {
        Verb::Create => format!("create a {name}"),
        Verb::Delete => format!("delete a {name}"),
        Verb::DeleteCollection => format!("delete collection of {name}"),
        Verb::Get => format!("read {of} {name}"),
        Verb::List | Verb::Watch => format!("list or watch objects of kind {name}"),
        Verb::Patch => format!("partially update {of} {name}"),
        Verb::Update => format!("replace {of} {name}"),
    }
}
