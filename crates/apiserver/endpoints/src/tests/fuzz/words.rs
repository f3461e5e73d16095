//! The words that requests are made of: good ones, bad ones, and placeholders for what the server has told.

use serde_json::{Value, json};
use std::sync::LazyLock;

pub(super) const UID: &str = "@uid";
pub(super) const VERSION: &str = "@version";
pub(super) const TOKEN: &str = "@token";
pub(super) const JSON_PATCH: &str = "application/json-patch+json";
pub(super) const APPLY: &str = "application/apply-patch+yaml";
pub(super) const PATCHES: [&str; 4] = [JSON_PATCH, "application/merge-patch+json", "application/strategic-merge-patch+json", APPLY];
pub(super) const FIELDS: [&str; 40] = [
    "metadata",
    "name",
    "namespace",
    "generateName",
    "uid",
    "resourceVersion",
    "generation",
    "selfLink",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "managedFields",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "kind",
    "apiVersion",
    "spec",
    "status",
    "size",
    "text",
    "phase",
    "conditions",
    "displayName",
    "access",
    "templateRef",
    "clusterRef",
    "owner",
    "$patch",
    "$retainKeys",
    "$setElementOrder/conditions",
    "$deleteFromPrimitiveList/finalizers",
    "preconditions",
    "propagationPolicy",
    "orphanDependents",
    "gracePeriodSeconds",
    "dryRun",
    "\u{0}\n\"",
    "",
];
pub(super) const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "a.b-c", "A", "..", "-", "a%2Fb", "a%00", "%F0%9F%A6%80"];
pub(super) const NAMESPACES: [&str; 5] = ["a", "b", "room-x", "A_", "%20"];
pub(super) const SEGMENTS: [&str; 26] = [
    "api",
    "apis",
    "v1",
    "example.io",
    "library.example.com",
    "namespaces",
    "a",
    "widgets",
    "books",
    "watch",
    "proxy",
    "status",
    "x",
    "openapi",
    "v2",
    "v3",
    "version",
    "livez",
    "some",
    "prefix",
    "authorization.k8s.io",
    "selfsubjectaccessreviews",
    "..",
    "",
    "%2e",
    "%c3%28",
];
/// A revision that no store reaches.
pub(super) const FUTURE: &str = "18446744073709551615";
pub(super) const READ: [(&str, &[&str]); 16] = [
    ("watch", &["true", "1", "false", "x"]),
    ("resourceVersion", &["", "0", "1", "007", "-1", VERSION, "99999999999999999999", FUTURE]),
    ("resourceVersionMatch", &["", "Exact", "NotOlderThan", "exact"]),
    ("limit", &["0", "1", "2", "-1", "9223372036854775807", "x"]),
    ("continue", &[TOKEN, TOKEN, "e30", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiYS9hIn0", "_"]),
    ("sendInitialEvents", &["true", "false"]),
    ("allowWatchBookmarks", &["true", "false"]),
    ("timeoutSeconds", &["0", "1", "-1", "9223372036854775807"]),
    ("timeout", &["0", "1s", "20ms", "1ns", "-1s", "1h", "9999999h", "x"]),
    ("labelSelector", &["app=a", "app in (a,b),!x", "app notin ()", "a<5", "x>"]),
    (
        "fieldSelector",
        &["metadata.name=a", "metadata.namespace!=a", "metadata.name=a,metadata.name=b", "spec.owner.user=x", "status.phase="],
    ),
    ("includeObject", &["None", "Object", "Metadata", "All"]),
    ("pretty", &["true", "0"]),
    ("hash", &["", "X"]),
    ("export", &["true"]),
    ("%zz&", &["%", "+&="]),
];
pub(super) const WRITE: [(&str, &[&str]); 7] = [
    ("dryRun", &["All", "", "None"]),
    (
        "fieldManager",
        &[
            "m",
            "other",
            "\u{7}",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ],
    ),
    ("fieldValidation", &["Strict", "Ignore", "Warn", "strict"]),
    ("force", &["true", "false", "x"]),
    ("timeout", &["1ms", "5s"]),
    ("pretty", &["1"]),
    ("includeObject", &["Object", "x"]),
];
pub(super) const REMOVE: [(&str, &[&str]); 9] = [
    ("dryRun", &["All", "x"]),
    ("gracePeriodSeconds", &["0", "-5", "x"]),
    ("propagationPolicy", &["Orphan", "Foreground", "Background", "None"]),
    ("orphanDependents", &["true", "false"]),
    ("uid", &[UID, "x"]),
    ("resourceVersion", &[VERSION, "1"]),
    ("labelSelector", &["app=a", "("]),
    ("fieldSelector", &["metadata.name=a"]),
    ("limit", &["1"]),
];
pub(super) const HEADERS: [(&str, &[&str]); 9] = [
    (
        "accept",
        &[
            "*/*",
            "application/yaml",
            "application/json;as=Table;v=v1;g=meta.k8s.io",
            "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
            "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
            "application/vnd.kubernetes.protobuf, application/json",
            "text/html",
            "application/yaml;as=Table;v=v1;g=meta.k8s.io",
            ";,;q=,a/",
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            "application/json;pretty=1;q=0.1,*;q=x",
        ],
    ),
    ("content-type", &["application/json", "application/yaml", "application/vnd.kubernetes.protobuf", ";", "application/json; a", "x"]),
    ("accept-encoding", &["gzip", "gzip;q=0", ",;"]),
    ("content-encoding", &["gzip", "identity"]),
    ("user-agent", &["curl/8", "/", "kubectl/v1.36.0 (linux)", "\u{e9}"]),
    ("if-none-match", &["*", "\"x\"", "W/\"x\""]),
    ("authorization", &["Bearer admin", "Bearer editor", "Bearer nobody", "Bearer wrong", "Basic x"]),
    ("connection", &["upgrade"]),
    ("content-length", &["5", "99999999999", "x"]),
];
pub(super) const PIECES: [&[u8]; 12] =
    [b"\xff", b"\\ud800", b"\"metadata\":{},", b"[[[[[[[[[[[[[[[[", b"1e999", b"-", b"\n---\n", b"&a *a", b"<<: ", b"\0", b"\"", b"}"];
/// Values that somebody might stumble over.
pub(super) static VALUES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    // What the parser of JSON takes, and what it does not.
    let nested = |levels: usize| (0..levels).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    let managed = json!([{"manager": "m", "operation": "Apply", "apiVersion": "example.io/v1", "time": "2020-01-01T00:00:00Z",
                          "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:size": {}}, "k:{\"a\":1}": {}, "x": {}}}]);
    vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1.5),
        json!(""),
        json!("a"),
        json!("\u{0}"),
        json!("2020-01-01T00:00:00Z"),
        json!("delete"),
        json!("replace"),
        json!([]),
        json!({}),
        json!([null]),
        json!([""]),
        json!(["a", "a"]),
        json!({"": null}),
        json!([{"name": "a"}, {"name": "a"}]),
        json!(["orphan", "foregroundDeletion"]),
        json!("x".repeat(70_000)),
        json!([{"type": "Ready", "$patch": "delete"}]),
        json!({"uid": UID}),
        json!(VERSION),
        nested(120),
        nested(200),
        managed,
    ]
});
