#![allow(clippy::unwrap_used)]

use super::*;
use crate::options::{DeleteOptions, PatchKind, PatchOptions, WriteKind, WriteOptions};
use proptest::prelude::*;

fn list(query: &str) -> Result<ListOptions, (u16, String)> {
    ListOptions::from_query(&pairs(query)).map_err(|error| (error.code(), error.message))
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let pair = |part: &str| part.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    query.split('&').filter_map(pair).collect()
}

#[test]
fn what_is_said_is_read() {
    let options = list("limit=5&continue=c&labelSelector=a%=b&labelSelector=x&timeoutSeconds=7").unwrap_err();
    assert_eq!(options.0, 400);
    let options = list("limit=5&continue=c&labelSelector=a=b&labelSelector=x&fieldSelector=metadata.name=n&timeoutSeconds=7").unwrap();
    assert_eq!((options.limit, options.continue_token.as_str(), options.timeout_seconds), (5, "c", Some(7)));
    assert_eq!((options.labels.to_string(), options.fields.requires_exact("metadata.name")), ("a=b".into(), Some("n")));
    assert_eq!((options.watch, options.resource_version, options.initial_events), (false, ResourceVersion::Unset, None));
    for (version, want) in [("0", ResourceVersion::Any), ("12", ResourceVersion::At(12)), ("", ResourceVersion::Unset)] {
        assert_eq!(list(&format!("resourceVersion={version}")).unwrap().resource_version, want);
    }
    for (watch, want) in [("true", true), ("1", true), ("", true), ("yes", true), ("0", false), ("False", false)] {
        assert_eq!(list(&format!("watch={watch}")).unwrap().watch, want, "{watch}");
    }
    let odd = list("limit=-1&timeoutSeconds=0").unwrap();
    assert_eq!((odd.limit, odd.timeout_seconds), (0, None));
    assert_eq!(list("watch=1&continue=c&resourceVersion=5").unwrap().continue_token, "c");
    assert_eq!(list("timeoutSeconds=-1").unwrap().timeout_seconds, Some(0));
}

#[test]
fn a_watch_from_nowhere_begins_with_the_state() {
    let begins = |query: &str| {
        let options = list(query).unwrap();
        (options.initial_events, options.version_match)
    };
    let said = (Some(true), Some(VersionMatch::NotOlderThan));
    assert_eq!(begins("watch=1"), said);
    assert_eq!(begins("watch=1&resourceVersion=0"), said);
    assert_eq!(begins("watch=1&resourceVersion=5"), (None, None));
    assert_eq!(begins("watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan"), (Some(false), said.1));
    assert_eq!(begins(""), (None, None));
}

#[test]
fn what_makes_no_sense_is_refused_in_the_words_of_upstream() {
    let invalid = "ListOptions.meta.k8s.io \"\" is invalid: ";
    for (query, code, want) in [
        ("labelSelector=env in (", 400, "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        ("fieldSelector=x", 400, "invalid selector: 'x'; can't understand 'x'"),
        ("labelSelector=env in (&fieldSelector=x&limit=x", 400, r#"strconv.ParseInt: parsing "x": invalid syntax"#),
        ("limit=x", 400, r#"strconv.ParseInt: parsing "x": invalid syntax"#),
        ("limit=", 400, r#"strconv.ParseInt: parsing "": invalid syntax"#),
        ("limit=99999999999999999999", 400, r#"strconv.ParseInt: parsing "99999999999999999999": value out of range"#),
        (
            "resourceVersion=abc",
            400,
            r#"invalid resource version: resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax"#,
        ),
        (
            "resourceVersion=+5",
            400,
            r#"invalid resource version: resourceVersion: Invalid value: "+5": strconv.ParseUint: parsing "+5": invalid syntax"#,
        ),
        ("continue=c&resourceVersion=5", 400, "specifying resource version is not allowed when using continue"),
        ("continue=c&resourceVersion=x", 400, "specifying resource version is not allowed when using continue"),
        ("watch=1&continue=c", 422, "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided"),
        (
            "resourceVersionMatch=Exact",
            422,
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (
            "resourceVersion=0&resourceVersionMatch=Exact",
            422,
            r#"resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0""#,
        ),
        (
            "resourceVersion=1&resourceVersionMatch=Exact&continue=c",
            422,
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided",
        ),
        (
            "resourceVersion=1&resourceVersionMatch=x",
            422,
            r#"resourceVersionMatch: Unsupported value: "x": supported values: "Exact", "NotOlderThan", """#,
        ),
        ("sendInitialEvents=true", 422, "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
        (
            "watch=1&sendInitialEvents=true",
            422,
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (
            "watch=1&resourceVersionMatch=NotOlderThan",
            422,
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
        (
            "watch=1&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&continue=c",
            422,
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided",
        ),
    ] {
        let want = if code == 422 { format!("{invalid}{want}") } else { want.to_owned() };
        assert_eq!(list(query).unwrap_err(), (code, want), "{query}");
    }
}

/// The cases of k8s.io/apimachinery/pkg/apis/meta/internalversion/validation.
#[test]
fn combinations_are_judged_as_upstream_judges_them() {
    const MATCH: &str = "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
    let unsupported = |value: &str| format!(r#"resourceVersionMatch: Unsupported value: "{value}": supported values: "NotOlderThan""#);
    let both = |value: &str| format!("[{MATCH}, {}]", unsupported(value));
    for (query, want) in [
        ("", None),
        ("resourceVersion=1&resourceVersionMatch=Exact", None),
        ("resourceVersion=0&resourceVersionMatch=NotOlderThan", None),
        ("watch=true", None),
        ("watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", None),
        ("watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", None),
        ("watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", None),
        ("watch=true&sendInitialEvents=true", Some(MATCH.to_owned())),
        ("watch=true&sendInitialEvents=true&resourceVersionMatch=", Some(MATCH.to_owned())),
        ("watch=true&sendInitialEvents=false&resourceVersionMatch=", Some(MATCH.to_owned())),
        ("watch=true&sendInitialEvents=true&resourceVersionMatch=Exact&allowWatchBookmarks=true", Some(both("Exact"))),
        ("watch=true&sendInitialEvents=true&resourceVersionMatch=incorrect", Some(both("incorrect"))),
    ] {
        let want = want.map(|want| (422, format!("ListOptions.meta.k8s.io \"\" is invalid: {want}")));
        assert_eq!(list(query).err(), want, "{query}");
    }
}

#[test]
fn get_reads_its_freshness() {
    let get = |query: &str| GetOptions::from_query(&pairs(query));
    assert_eq!(get("resourceVersion=7").unwrap().resource_version, ResourceVersion::At(7));
    assert_eq!(get("export=false").unwrap().resource_version, ResourceVersion::Unset);
    assert_eq!(get("export=true").unwrap_err().code(), 400);
    assert_eq!(get("resourceVersion=x").unwrap_err().code(), 400);
}

fn any_query() -> impl Strategy<Value = Vec<(String, String)>> {
    let names = prop::sample::select(vec![
        "labelSelector",
        "fieldSelector",
        "watch",
        "allowWatchBookmarks",
        "resourceVersion",
        "resourceVersionMatch",
        "timeoutSeconds",
        "limit",
        "continue",
        "sendInitialEvents",
        "dryRun",
        "fieldManager",
        "fieldValidation",
        "force",
        "gracePeriodSeconds",
        "propagationPolicy",
        "orphanDependents",
        "uid",
        "export",
    ]);
    let words = prop::sample::select(vec!["", "0", "1", "true", "false", "-1", "Exact", "NotOlderThan", "All", "Strict", "Orphan", "a=b"]);
    let value = prop_oneof![4 => words.prop_map(str::to_owned), 1 => "\\PC{0,12}", 1 => "[+-]?[0-9]{1,22}", 1 => ".{0,150}"];
    prop::collection::vec((names.prop_map(str::to_owned), value), 0..8)
}

proptest! {
    #[test]
    fn every_query_is_answered_with_options_or_a_fault_of_the_client(query in any_query()) {
        let codes = [
            GetOptions::from_query(&query).err(),
            ListOptions::from_query(&query).err(),
            WriteOptions::from_query(&query, WriteKind::Create, "a/1").err(),
            PatchOptions::from_query(&query, PatchKind::Apply, "").err(),
            PatchOptions::from_query(&query, PatchKind::Other, "").err(),
            DeleteOptions::from_query(&query).err(),
        ];
        for error in codes.into_iter().flatten() {
            prop_assert!(matches!(error.code(), 400 | 422), "{}", error.message);
        }
        if let Ok(options) = ListOptions::from_query(&query) {
            let labels = LabelSelector::parse(&options.labels.to_string());
            prop_assert_eq!(labels, Ok(options.labels));
        }
    }
}
