#![allow(clippy::unwrap_used)]

use super::*;

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

#[test]
fn get_reads_its_freshness() {
    let get = |query: &str| GetOptions::from_query(&pairs(query));
    assert_eq!(get("resourceVersion=7").unwrap().resource_version, ResourceVersion::At(7));
    assert_eq!(get("export=false").unwrap().resource_version, ResourceVersion::Unset);
    assert_eq!(get("export=true").unwrap_err().code(), 400);
    assert_eq!(get("resourceVersion=x").unwrap_err().code(), 400);
}
