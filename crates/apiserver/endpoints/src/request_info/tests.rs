#![allow(clippy::unwrap_used)]

use super::*;
use apiserver_meta::testing::WATCH_QUERIES;

fn parse(method: &str, url: &str) -> RequestInfo {
    RequestInfo::parse(&method.parse().unwrap(), &url.parse().unwrap(), "/some/prefix").unwrap()
}

#[test]
fn resources() {
    // method, URL, verb, group, version, namespace, resource, subresource, name
    let cases = [
        ("GET", "/api/v1/namespaces", "list", "", "v1", "", "namespaces", "", ""),
        ("GET", "/api/v1/namespaces/other", "get", "", "v1", "other", "namespaces", "", "other"),
        ("GET", "/api/v1/namespaces/other/pods", "list", "", "v1", "other", "pods", "", ""),
        ("GET", "/api/v1/namespaces/other/pods/foo", "get", "", "v1", "other", "pods", "", "foo"),
        ("HEAD", "/api/v1/namespaces/other/pods/foo", "get", "", "v1", "other", "pods", "", "foo"),
        ("GET", "/api/v1/pods", "list", "", "v1", "", "pods", "", ""),
        ("HEAD", "/api/v1/pods", "list", "", "v1", "", "pods", "", ""),
        ("GET", "/api/v1/proxy/namespaces/other/pods/foo", "proxy", "", "v1", "other", "pods", "", "foo"),
        ("GET", "/api/v1/proxy/namespaces/other/pods/foo/subpath/not/a/subresource", "proxy", "", "v1", "other", "pods", "", "foo"),
        ("GET", "/api/v1/watch/pods", "watch", "", "v1", "", "pods", "", ""),
        ("GET", "/api/v1/pods?watch=true", "watch", "", "v1", "", "pods", "", ""),
        ("GET", "/api/v1/pods?watch=false", "list", "", "v1", "", "pods", "", ""),
        ("GET", "/api/v1/watch/namespaces/other/pods", "watch", "", "v1", "other", "pods", "", ""),
        ("GET", "/api/v1/namespaces/other/pods?watch=1", "watch", "", "v1", "other", "pods", "", ""),
        ("GET", "/api/v1/namespaces/other/pods?watch=0", "list", "", "v1", "other", "pods", "", ""),
        ("GET", "/api/v1/namespaces/other/pods/foo/status", "get", "", "v1", "other", "pods", "status", "foo"),
        ("GET", "/api/v1/namespaces/other/pods/foo/proxy/subpath", "get", "", "v1", "other", "pods", "proxy", "foo"),
        ("PUT", "/api/v1/namespaces/other/finalize", "update", "", "v1", "other", "namespaces", "finalize", "other"),
        ("PUT", "/api/v1/namespaces/other/status", "update", "", "v1", "other", "namespaces", "status", "other"),
        ("PATCH", "/api/v1/namespaces/other/pods/foo", "patch", "", "v1", "other", "pods", "", "foo"),
        ("DELETE", "/api/v1/namespaces/other/pods/foo", "delete", "", "v1", "other", "pods", "", "foo"),
        ("POST", "/api/v1/namespaces/other/pods", "create", "", "v1", "other", "pods", "", ""),
        ("DELETE", "/api/v1/nodes", "deletecollection", "", "v1", "", "nodes", "", ""),
        ("DELETE", "/api/v1/namespaces", "deletecollection", "", "v1", "", "namespaces", "", ""),
        ("DELETE", "/api/v1/namespaces/other/pods", "deletecollection", "", "v1", "other", "pods", "", ""),
        ("DELETE", "/apis/extensions/v1/namespaces/other/pods", "deletecollection", "extensions", "v1", "other", "pods", "", ""),
        ("POST", "/apis/extensions/v1/namespaces/other/pods", "create", "extensions", "v1", "other", "pods", "", ""),
        ("POST", "/apis/extensions/v1beta3/namespaces/other/pods", "create", "extensions", "v1beta3", "other", "pods", "", ""),
        ("GET", "/apis/g/v/r/", "list", "g", "v", "", "r", "", ""),
        ("GET", "/some/prefix/apis/g/v/r/n", "get", "g", "v", "", "r", "", "n"),
        ("GET", "/apis/g/v/namespaces/a%2Db/r/x%20y", "get", "g", "v", "a-b", "r", "", "x y"),
        ("OPTIONS", "/apis/g/v/r", "", "g", "v", "", "r", "", ""),
    ];
    for (method, url, verb, group, version, namespace, resource, subresource, name) in cases {
        let info = parse(method, url);
        let found = info.resource.unwrap();
        assert_eq!(info.verb, verb, "{method} {url}");
        assert_eq!(
            [&*found.group, &*found.version, &*found.namespace, &*found.resource, &*found.subresource, &*found.name],
            [group, version, namespace, resource, subresource, name],
            "{method} {url}"
        );
    }
}

#[test]
fn other_paths() {
    let cases = [
        ("/", "/"),
        ("", "/"),
        ("/api", "/api"),
        ("/api/version/", "/api/version"),
        ("/apis/group/version/", "/apis/group/version"),
        ("/apis/version/resource", "/apis/version/resource"),
        ("/badprefix/version/resource", "/badprefix/version/resource"),
        ("/not-api/version/resource/name", "/not-api/version/resource/name"),
        ("/apis/g/v/watch", "/apis/g/v/watch"),
        ("/apis/g/v/namespaces//r", "/apis/g/v/namespaces//r"),
        ("/apis/g/v/r/..", "/apis/g/v/r/.."),
        ("/apis/g/v/r/%2e%2e", "/apis/g/v/r/.."),
        ("/some/prefix", "/"),
        ("/some/prefixx", "/some/prefixx"),
    ];
    for (url, path) in cases {
        let url = if url.is_empty() { "/" } else { url };
        let info = parse("GET", url);
        assert_eq!((info.path.as_str(), info.resource), (path, None), "{url}");
        assert_eq!(info.verb, "get");
    }
}

#[test]
fn names_from_field_selectors() {
    let cases = [
        ("/apis/g/v/r", "list", ""),
        ("/apis/g/v/r?fieldSelector=metadata.name=name1", "list", "name1"),
        ("/apis/g/v/r?fieldSelector=metadata.name%3D%3Dname1,spec.a=b", "list", "name1"),
        ("/apis/g/v/r?watch=true&fieldSelector=metadata.name=name1", "watch", "name1"),
        ("/apis/g/v/r?fieldSelector=foo=bar&labelSelector=baz=qux", "list", ""),
        ("/apis/g/v/r?fieldSelector=metadata.name=name1,foo", "list", ""),
        ("/apis/g/v/r?fieldSelector=metadata.name!=name1", "list", ""),
        ("/apis/g/v/r?fieldSelector=a%5C,metadata.name=name1", "list", ""),
        ("/apis/g/v/r?fieldSelector=metadata.name=..", "list", ""),
        ("/apis/g/v/r?fieldSelector=metadata.name=foo&fieldSelector=metadata.name=bar", "list", "foo"),
        ("/apis/g/v/r/name?fieldSelector=metadata.name=bar", "get", "name"),
        ("/apis/g/v/watch/r?fieldSelector=metadata.name=foo", "watch", ""),
        ("/apis/g/v/watch/r/name?fieldSelector=metadata.name=foo", "watch", "name"),
    ];
    for (url, verb, name) in cases {
        let info = parse("GET", url);
        assert_eq!((&*info.verb, &*info.resource.unwrap().name), (verb, name), "{url}");
    }
}

#[test]
fn malformed_escapes() {
    for path in ["/a%", "/a%2", "/a%zz", "/a%ff"] {
        assert_eq!(RequestInfo::parse(&Method::GET, &path.parse().unwrap(), ""), Err(MalformedPath), "{path}");
    }
}

#[test]
fn forms() {
    let cases = [
        ("/apis/g/v/r", PathForm::Collection),
        ("/apis/g/v/r/n", PathForm::Object),
        ("/apis/g/v/r/n/status", PathForm::Object),
        ("/apis/g/v/r/n/status/more", PathForm::Other),
        ("/apis/g/v/watch/r", PathForm::WatchCollection),
        ("/apis/g/v/watch/namespaces/ns/r/n", PathForm::WatchObject),
        ("/apis/g/v/watch/r/n/status", PathForm::Other),
    ];
    for (url, form) in cases {
        assert_eq!(parse("GET", url).resource.unwrap().form, form, "{url}");
    }
}

#[test]
fn whether_a_request_is_a_watch_is_read_as_upstream_reads_it() {
    for (query, is_watch) in WATCH_QUERIES {
        for (method, path, verb) in [
            ("GET", "/apis/g/v/r", if is_watch { "watch" } else { "list" }),
            ("GET", "/apis/g/v/r/n", "get"),
            ("GET", "/some/prefix/apis/g/v/watch/namespaces/a/r", "watch"),
            ("GET", "/apis/g/v/namespaces/a/r/watch", "get"),
            ("POST", "/apis/g/v/r", "create"),
            ("DELETE", "/apis/g/v/r", "deletecollection"),
        ] {
            let info = parse(method, &format!("{path}?{query}"));
            assert_eq!((&*info.verb, info.is_long_running()), (verb, verb == "watch"), "{method} {path}?{query}");
        }
    }
    assert!(!parse("WATCH", "/version").is_long_running(), "a method of that name is no watch");
}

#[test]
fn what_is_answered_in_microseconds() {
    let cases = [
        ("GET", "/livez", true),
        ("GET", "/some/prefix/readyz?verbose", true),
        ("GET", "/apis/g/v/namespaces/a/r/n", true),
        ("GET", "/apis/g/v/namespaces/a/r/n/status", true),
        ("GET", "/apis/g/v/namespaces/a/r/n/members", false),
        ("GET", "/apis/g/v/namespaces/a/r", false),
        ("GET", "/openapi/v3", false),
        ("PUT", "/apis/g/v/namespaces/a/r/n", false),
        ("POST", "/apis/g/v/r", false),
    ];
    for (method, url, want) in cases {
        assert_eq!(parse(method, url).is_brief(), want, "{method} {url}");
    }
}

#[test]
fn what_writes_one_object() {
    let cases = [
        ("POST", "/apis/g/v/namespaces/a/r", true),
        ("PUT", "/some/prefix/apis/g/v/namespaces/a/r/n", true),
        ("PATCH", "/apis/g/v/namespaces/a/r/n/status", true),
        ("DELETE", "/apis/g/v/r/n", true),
        ("DELETE", "/apis/g/v/r", false),
        ("POST", "/apis/g/v/namespaces/a/r/n/token", false),
        ("GET", "/apis/g/v/r/n", false),
        ("POST", "/version", false),
    ];
    for (method, url, want) in cases {
        assert_eq!(parse(method, url).writes_object(), want, "{method} {url}");
    }
}

#[test]
fn paths_below_a_proxys_prefix() {
    use crate::tests::elsewhere;
    let resolver = RequestInfoResolver::new("/some/prefix", vec![elsewhere()]);
    let resolve = |method: &str, uri: &str, upgrade: &[&str]| {
        let mut headers = http::HeaderMap::new();
        if let [connection, protocol] = upgrade {
            headers.insert("connection", connection.parse().unwrap());
            headers.insert("upgrade", protocol.parse().unwrap());
        }
        resolver.resolve(&method.parse().unwrap(), &uri.parse().unwrap(), &headers).unwrap()
    };
    /// Method, URL, upgrade; verb, path behind, whether it is an upgrade, whether it is long-running.
    type Case = (&'static str, &'static str, &'static [&'static str], &'static str, &'static str, bool, bool);
    let cases: [Case; 12] = [
        ("GET", "/elsewhere/w", &[], "get", "/", false, false),
        ("GET", "/elsewhere/w/", &[], "get", "/", false, false),
        ("GET", "/some/prefix/elsewhere/w/version?timeout=5s", &[], "get", "/version", false, false),
        ("GET", "/elsewhere/w/api/v1/pods", &[], "list", "/api/v1/pods", false, false),
        ("GET", "/elsewhere/w/api/v1/pods?watch=1", &[], "watch", "/api/v1/pods", false, true),
        ("POST", "/elsewhere/w/api/v1/namespaces/a/pods", &[], "create", "/api/v1/namespaces/a/pods", false, false),
        ("DELETE", "/elsewhere/w/api/v1/namespaces/a%2fb/pods/x", &[], "delete", "/api/v1/namespaces/a%2fb/pods/x", false, false),
        ("GET", "/elsewhere/w/api/v1/namespaces/a/pods/x/log?follow=1", &[], "get", "/api/v1/namespaces/a/pods/x/log", false, true),
        (
            "POST",
            "/elsewhere/w/api/v1/namespaces/a/pods/x/exec",
            &["Upgrade", "SPDY/3.1"],
            "create",
            "/api/v1/namespaces/a/pods/x/exec",
            true,
            true,
        ),
        ("GET", "/elsewhere/w/any", &["keep-alive, upgrade", "websocket"], "get", "/any", true, true),
        ("GET", "/elsewhere/w/any", &["keep-alive", "websocket"], "get", "/any", false, false),
        ("GET", "/elsewhere/w//../../x", &[], "get", "//../../x", false, false),
    ];
    for (method, uri, upgrade, verb, path, is_upgrade, is_long_running) in cases {
        let info = resolve(method, uri, upgrade);
        let (proxied, resource) = (info.proxied.as_ref().unwrap(), info.resource.as_ref().unwrap());
        assert_eq!((&*info.verb, &*proxied.path), (verb, path), "{method} {uri}");
        assert_eq!((proxied.is_upgrade, info.is_long_running()), (is_upgrade, is_long_running), "{method} {uri}");
        assert_eq!((&*resource.resource, &*resource.namespace, &*resource.name, &*resource.subresource), ("widgets", "a", "w", "proxy"));
        assert!(!info.is_brief(), "its connection is not to wait for another server");
        assert!(!info.writes_object(), "what it writes is not served here");
    }
    for uri in ["/elsewhere", "/elsewhere/", "/elsewherew", "/other/elsewhere/w", "//elsewhere/w"] {
        assert_eq!(resolve("GET", uri, &[]).proxied, None, "{uri}");
    }
}
