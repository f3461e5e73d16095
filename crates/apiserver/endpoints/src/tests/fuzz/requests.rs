//! Requests that are good but for something: the words of the API, put together and bent.

use super::words::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// One request, still with placeholders.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Body,
}

/// What a request carries.
#[derive(Clone, Debug)]
pub(super) enum Body {
    None,
    /// Any bytes.
    Raw(Vec<u8>),
    /// A good body, changed as a tree and then as text.
    Bent {
        start: Start,
        edits: Vec<Edit>,
        cuts: Vec<(Index, Cut)>,
    },
}

/// The good body.
#[derive(Clone, Debug)]
pub(super) enum Start {
    Value(Value),
    /// What is stored under the request's path.
    Stored,
}

/// A change of a tree: where, by the way down, and what.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    way: Vec<Index>,
    change: Change,
}

#[derive(Clone, Debug)]
enum Change {
    Replace(Value),
    Insert(&'static str, Value),
    Remove,
}

/// A change of text.
#[derive(Clone, Debug)]
pub(super) enum Cut {
    End,
    Without,
    Insert(&'static [u8]),
}

impl Wish {
    /// Whether it sets a time.
    pub(super) fn sets_a_time(&self) -> bool {
        self.query.iter().any(|(name, _)| *name == "timeout")
    }

    /// The revision that it wants to see, which may still be to come.
    pub(super) fn revision(&self, fill: impl Fn(&str) -> String) -> Option<u64> {
        let text = self.query.iter().find(|(name, _)| *name == "resourceVersion").map(|(_, value)| fill(value));
        text?.parse().ok()
    }
}

/// A request.
pub(super) fn wish() -> impl Strategy<Value = Wish> {
    let header = (select(&HEADERS[..]), any::<Index>());
    // Most are well dressed: who is refused at the door sees nothing of the house.
    let headers = prop_oneof![7 => Just(Vec::new()), 3 => vec(header, 1..3)];
    // Boxed, because unboxed they are together more than a thread's stack.
    let wish = prop_oneof![6 => read().boxed(), 5 => create().boxed(), 4 => update().boxed(), 6 => patch().boxed(), 3 => removal().boxed(), 2 => nonsense().boxed()];
    (wish, headers).prop_map(|(mut wish, headers)| {
        wish.headers.extend(headers.into_iter().map(|((name, values), index)| (name, (*index.get(values)).to_owned())));
        wish
    })
}

fn plain(method: &'static str, path: String, query: Query, body: Body) -> Wish {
    Wish { method, path, query, headers: Vec::new(), body }
}

fn read() -> impl Strategy<Value = Wish> {
    let method = prop_oneof![9 => Just("GET"), 1 => Just("HEAD")];
    let path = prop_oneof![3 => place().prop_map(|place| place.collection()), 2 => object()];
    (method, path, query(&READ)).prop_map(|(method, path, mut query)| {
        if query.iter().any(|(name, value)| *name == "resourceVersion" && *value == FUTURE) {
            query.insert(0, ("timeout", "20ms".to_owned()));
        }
        plain(method, path, query, Body::None)
    })
}

fn create() -> impl Strategy<Value = Wish> {
    place().prop_flat_map(|place| {
        let body = bent(Just(place.body()).boxed(), Share::None);
        (query(&WRITE), body).prop_map(move |(query, body)| plain("POST", place.collection(), query, body))
    })
}

fn update() -> impl Strategy<Value = Wish> {
    place().prop_flat_map(|place| {
        let body = bent(Just(place.body()).boxed(), Share::Most);
        (query(&WRITE), body, end()).prop_map(move |(query, body, end)| plain("PUT", place.object() + end, query, body))
    })
}

fn patch() -> impl Strategy<Value = Wish> {
    (place(), select(&PATCHES[..])).prop_flat_map(|(place, kind)| {
        let start = if kind == JSON_PATCH { operations().boxed() } else { Just(place.body()).boxed() };
        let share = if kind == JSON_PATCH { Share::None } else { Share::Some };
        (query(&WRITE), bent(start, share), end()).prop_map(move |(mut query, body, end)| {
            if kind == APPLY {
                query.push(("fieldManager", "m".to_owned()));
            }
            let headers = vec![("content-type", kind.to_owned())];
            Wish { headers, ..plain("PATCH", place.object() + end, query, body) }
        })
    })
}

fn removal() -> impl Strategy<Value = Wish> {
    let options = select(vec![
        json!({}),
        json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"}),
        json!({"preconditions": {"uid": UID, "resourceVersion": VERSION}}),
        json!({"gracePeriodSeconds": -1, "orphanDependents": true, "dryRun": ["All"]}),
    ]);
    let body = prop_oneof![2 => Just(Body::None), 1 => bent(options.boxed(), Share::None)];
    let path = prop_oneof![8 => object(), 1 => place().prop_map(|place| place.collection())];
    (path, query(&REMOVE), body).prop_map(|(path, query, body)| plain("DELETE", path, query, body))
}

fn nonsense() -> impl Strategy<Value = Wish> {
    let method = select(vec!["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"]);
    let path = vec(select(&SEGMENTS[..]), 0..8).prop_map(|segments| format!("/{}", segments.join("/")));
    let body = prop_oneof![Just(Body::None), vec(any::<u8>(), 0..40).prop_map(Body::Raw)];
    (method, path, query(&READ), body).prop_map(|(method, path, query, body)| plain(method, path, query, body))
}

/// Where an object is or might be.
#[derive(Clone, Debug)]
struct Place {
    start: &'static str,
    namespace: Option<&'static str>,
    kind: Kind,
    name: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Widget,
    Instance,
}

fn place() -> impl Strategy<Value = Place> {
    let start = prop_oneof![8 => Just(""), 1 => Just("/some/prefix"), 1 => Just("/watch")];
    // Mostly the few that exist.
    let namespace = prop_oneof![8 => Just(Some("a")), 1 => select(&NAMESPACES[..]).prop_map(Some), 1 => Just(None)];
    let name = prop_oneof![8 => select(&NAMES[..5]), 1 => select(&NAMES[..])];
    (start, namespace, select(vec![Kind::Widget, Kind::Instance]), name).prop_map(|(start, namespace, kind, name)| Place {
        start,
        namespace,
        kind,
        name,
    })
}

fn object() -> impl Strategy<Value = String> {
    (place(), end()).prop_map(|(place, end)| place.object() + end)
}

fn end() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just(""), 2 => Just("/status"), 1 => Just("/scale")]
}

impl Place {
    fn collection(&self) -> String {
        let (prefix, watch) = if self.start == "/watch" { ("", self.start) } else { (self.start, "") };
        let namespace = self.namespace.map_or_else(String::new, |namespace| format!("/namespaces/{namespace}"));
        let (group, plural) = match self.kind {
            Kind::Widget => ("example.io", "widgets"),
            Kind::Instance => ("library.example.com", "books"),
        };
        format!("{prefix}/apis/{group}/v1{watch}{namespace}/{plural}")
    }

    fn object(&self) -> String {
        format!("{}/{}", self.collection(), self.name)
    }

    /// A good object of that name.
    fn body(&self) -> Value {
        let name = self.name;
        match self.kind {
            Kind::Widget => json!({
                "kind": "Widget", "apiVersion": "example.io/v1",
                "metadata": {"name": name, "labels": {"app": name}, "finalizers": ["example.io/hold"]}, "spec": {"size": 1, "text": "t"},
            }),
            Kind::Instance => json!({
                "kind": "Book", "apiVersion": "library.example.com/v1",
                "metadata": {"name": name, "annotations": {"a": "b"},
                             "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u"}]},
                "spec": {"displayName": name, "templateRef": {"name": "t"}, "clusterRef": {"cluster": "c"}, "owner": {"user": "u"},
                         "access": [{"verbs": ["get"], "users": ["x"]}]},
                "status": {"phase": "Ready", "conditions": [{"type": "Ready", "status": "True"}]},
            }),
        }
    }
}

type Words = [(&'static str, &'static [&'static str])];
type Query = Vec<(&'static str, String)>;

fn query(words: &'static Words) -> impl Strategy<Value = Query> {
    let pair = (select(words), any::<Index>()).prop_map(|((name, values), index)| (name, (*index.get(values)).to_owned()));
    let odd = (select(words), "[ -~é\u{0}\u{202e}]{0,12}").prop_map(|((name, _), value)| (name, value));
    let selector = (select(vec!["labelSelector", "fieldSelector"]), r"([!(),=<> ]|in|notin|app|a/b|metadata\.name|x|\\){0,8}");
    let one = prop_oneof![8 => pair, 1 => odd, 1 => selector].boxed();
    prop_oneof![4 => Just(Vec::new()), 4 => vec(one.clone(), 1..2), 2 => vec(one, 2..5)]
}

fn operations() -> impl Strategy<Value = Value> {
    let path = vec(prop_oneof![6 => select(&FIELDS[..]), 1 => select(vec!["0", "-", "1", "~1", "~", "-1", "00"])], 0..4)
        .prop_map(|parts| parts.iter().fold(String::new(), |path, part| format!("{path}/{part}")));
    let operation = (select(vec!["add", "remove", "replace", "move", "copy", "test", "x"]), path.clone(), path, value())
        .prop_map(|(op, path, from, value)| json!({"op": op, "path": path, "from": from, "value": value}));
    vec(operation, 0..6).prop_map(Value::from)
}

/// How often a body is what is stored already.
#[derive(Clone, Copy)]
enum Share {
    None,
    Some,
    Most,
}

fn bent(start: BoxedStrategy<Value>, share: Share) -> impl Strategy<Value = Body> {
    let fresh = start.prop_map(Start::Value).boxed();
    let start = match share {
        Share::None => fresh,
        Share::Some => prop_oneof![3 => fresh, 1 => Just(Start::Stored)].boxed(),
        Share::Most => prop_oneof![1 => fresh, 4 => Just(Start::Stored)].boxed(),
    };
    let edit = (vec(any::<Index>(), 0..4), change()).prop_map(|(way, change)| Edit { way, change }).boxed();
    let edits = prop_oneof![3 => Just(Vec::new()), 5 => vec(edit.clone(), 1..2), 2 => vec(edit, 2..5)];
    let cut = prop_oneof![
        2 => Just(Cut::End), 2 => Just(Cut::Without),
        3 => select(&PIECES[..]).prop_map(Cut::Insert),
    ];
    // Most stay readable: what is not is refused at the door.
    let cuts = prop_oneof![8 => Just(Vec::new()), 1 => vec((any::<Index>(), cut), 1..3)];
    (start, edits, cuts).prop_map(|(start, edits, cuts)| Body::Bent { start, edits, cuts })
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        value().prop_map(Change::Replace),
        (select(&FIELDS[..]), value()).prop_map(|(field, value)| Change::Insert(field, value)),
        Just(Change::Remove),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    select(VALUES.as_slice())
}

impl Edit {
    /// Carries the change out where the way leads, or where it ends early.
    pub(super) fn apply(&self, value: &mut Value) {
        self.apply_at(value, &self.way);
    }

    fn apply_at(&self, at: &mut Value, way: &[Index]) {
        match (way.split_first(), &self.change) {
            (Some((step, [])), Change::Remove) => remove(at, step),
            (Some((step, rest)), _) if children(at) > 0 => {
                if let Some(next) = child(at, step.index(children(at))) {
                    self.apply_at(next, rest);
                }
            }
            (_, Change::Insert(name, value)) => match at {
                Value::Object(members) => drop(members.insert((*name).to_owned(), value.clone())),
                Value::Array(items) => items.push(value.clone()),
                leaf => *leaf = value.clone(),
            },
            (_, Change::Replace(value)) => *at = value.clone(),
            (_, Change::Remove) => {}
        }
    }
}

fn children(value: &Value) -> usize {
    value.as_array().map_or(0, Vec::len) + value.as_object().map_or(0, serde_json::Map::len)
}

fn child(value: &mut Value, index: usize) -> Option<&mut Value> {
    match value {
        Value::Array(items) => items.get_mut(index),
        Value::Object(members) => members.values_mut().nth(index),
        _ => None,
    }
}

fn remove(parent: &mut Value, step: &Index) {
    match parent {
        Value::Array(items) if !items.is_empty() => {
            items.remove(step.index(items.len()));
        }
        Value::Object(members) if !members.is_empty() => {
            let name = members.keys().nth(step.index(members.len())).cloned().unwrap_or_default();
            members.remove(&name);
        }
        _ => {}
    }
}

impl Cut {
    /// Carries the change out at the place.
    pub(super) fn apply(&self, at: &Index, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let place = at.index(bytes.len());
        match self {
            Self::End => bytes.truncate(place),
            Self::Without => {
                bytes.remove(place);
            }
            Self::Insert(piece) => {
                bytes.splice(place..place, piece.iter().copied());
            }
        }
    }
}
