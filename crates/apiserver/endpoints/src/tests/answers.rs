//! What holds for every answer, and the answers to what is not served.
#![allow(clippy::unwrap_used)]

use super::fixture::{Answer, COLLECTION, Server};
use crate::{AuditId, Phase, RequestInfo};
use apiserver_auth::Identity;
use axum::body::Body;
use http::{Request, StatusCode};
use std::sync::Arc;

const ANONYMOUS: &[(&str, &str)] = &[("authorization", "")];

#[tokio::test]
async fn headers_of_every_answer() {
    let server = Server::start().await;
    for path in ["/", "/healthz", COLLECTION, "/nowhere", "/apis/example.io/v1/nothing", "/version"] {
        let answer = server.get(path, &[("audit-id", "abc-1")]).await;
        assert_eq!((answer.header("audit-id"), answer.header("cache-control")), ("abc-1", "no-cache, private"), "{path}");
        let own = server.get(path, &[("audit-id", "has space")]).await;
        assert_eq!(own.header("audit-id").len(), 36, "{path}");
    }
}

#[tokio::test]
async fn what_layers_around_learn() {
    let server = Server::start().await;
    let response = server.open("GET", COLLECTION, &[("audit-id", "x")], "").await;
    let extensions = response.extensions();
    assert_eq!(extensions.get::<AuditId>().unwrap().0.as_ref(), "x");
    assert_eq!(extensions.get::<Arc<RequestInfo>>().unwrap().verb, "list");
    assert_eq!(extensions.get::<Identity>().unwrap().user.name, "admin");
}

#[tokio::test]
async fn one_user_gets_so_many_answers_at_a_time() {
    let server = Server::start().await;
    let mut unread = Vec::new();
    let refused = loop {
        let response = server.open("GET", COLLECTION, &[], "").await;
        match response.status() {
            StatusCode::OK => unread.push(response),
            _ => break Answer::read(response).await,
        }
    };
    assert_eq!(unread.len(), 200, "half of the places for reads");
    assert_eq!(
        (refused.failure(), refused.header("retry-after")),
        ((429, "TooManyRequests".into(), "too many requests, please try again later.".into()), "1")
    );
    assert_eq!(refused.json()["details"]["retryAfterSeconds"], 1);
    // Others, other sorts of requests and what needs no store are not held up by it.
    assert_eq!(server.get(COLLECTION, &[("authorization", "Bearer editor")]).await.status, StatusCode::OK);
    for path in ["/livez", "/version", "/apis", "/apis/example.io/v1", "/openapi/v3"] {
        assert_eq!(server.get(path, &[]).await.status, StatusCode::OK, "{path}");
    }
    server.create("w").await;
    // Those who look after the server are never held up.
    let root = [("authorization", "Bearer root")];
    let mut masters = Vec::new();
    for _ in 0..=400 {
        masters.push(server.open("GET", COLLECTION, &root, "").await);
    }
    assert!(masters.iter().all(|response| response.status() == StatusCode::OK));
    // An answer that is read or dropped gives its place back.
    unread.pop();
    assert_eq!(server.get(COLLECTION, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_server_that_starts_knows_what_it_serves_and_nothing_else() {
    let server = Server::start_in(Phase::Starting).await;
    let stranger: &[(&str, &str)] = &[("authorization", "Bearer wrong")];
    for path in ["/apis", "/apis/example.io", "/apis/example.io/v1", "/openapi/v2", "/openapi/v3", "/version", "/livez"] {
        assert_eq!(server.get(path, &[]).await.status, StatusCode::OK, "{path}");
    }
    let object = format!("{COLLECTION}/x");
    let cases = [
        ("GET", COLLECTION, ANONYMOUS),
        ("GET", object.as_str(), &[]),
        ("POST", COLLECTION, &[]),
        ("GET", "/apis/example.io/v1/nonsense", &[]),
        ("GET", "/apis/other.io/v1/things", &[]),
        // Who that is may be known once the store is.
        ("GET", "/apis", stranger),
        ("GET", "/openapi/v3", ANONYMOUS),
    ];
    for (method, path, headers) in cases {
        let answer = server.send(method, path, headers, "").await;
        let (code, reason, _) = answer.failure();
        assert_eq!((code, reason.as_str(), answer.header("retry-after")), (503, "ServiceUnavailable", "1"), "{path}");
    }
    server.lifecycle.enter(Phase::Serving);
    assert_eq!(server.get(COLLECTION, &[]).await.status, StatusCode::OK);
    assert_eq!(server.get("/apis", stranger).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_server_that_stops_answers_until_it_refuses() {
    let server = Server::start().await;
    server.lifecycle.enter(Phase::Stopping);
    assert_eq!(server.get(COLLECTION, &[]).await.status, StatusCode::OK);
    server.lifecycle.enter(Phase::Refusing);
    for path in [COLLECTION, "/apis", "/openapi/v3"] {
        let refused = server.get(path, &[]).await;
        let message = "The apiserver is shutting down, please try again later.".to_owned();
        assert_eq!(refused.failure(), (429, "TooManyRequests".to_owned(), message), "{path}");
        assert_eq!((refused.header("retry-after"), refused.header("connection")), ("5", "close"));
    }
    assert_eq!(server.get("/livez", &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_may() {
    let server = Server::start().await;
    let wrong: &[(&str, &str)] = &[("authorization", "Bearer wrong")];
    let nobody: &[(&str, &str)] = &[("authorization", "Bearer nobody")];
    let denied: &[(&str, &str)] = &[("authorization", "Bearer denied")];
    let cannot = |verb: &str, user: &str, name: &str, rest: &str| {
        format!(
            r#"widgets.example.io{name} is forbidden: User "{user}" cannot {verb} resource "widgets" in API group "example.io" in the namespace "a"{rest}"#
        )
    };
    let object = format!("{COLLECTION}/x");
    let unauthorized = || (401, "Unauthorized".to_owned(), "Unauthorized".to_owned());
    let forbidden = |message: String| (403, "Forbidden".to_owned(), message);
    let cases = [
        (ANONYMOUS, COLLECTION, unauthorized()),
        (ANONYMOUS, "/api/v1/namespaces", unauthorized()),
        (ANONYMOUS, "/metrics", unauthorized()),
        (wrong, COLLECTION, unauthorized()),
        (wrong, "/apis", unauthorized()),
        (nobody, COLLECTION, forbidden(cannot("list", "nobody", "", ""))),
        (nobody, &object, forbidden(cannot("get", "nobody", " \"x\"", ""))),
        (denied, &object, forbidden(cannot("get", "denied", " \"x\"", ": by rule"))),
        (nobody, "/metrics", forbidden(r#"forbidden: User "nobody" cannot get path "/metrics""#.into())),
    ];
    for (headers, path, want) in cases {
        assert_eq!(server.get(path, headers).await.failure(), want, "{path}");
    }
    let refused = server.get(COLLECTION, nobody).await;
    assert_eq!((refused.header("x-content-type-options"), refused.header("content-type")), ("nosniff", "application/json"));
    for path in ["/", "/healthz", "/version", "/apis", "/api/v1", "/apis/example.io/v1"] {
        assert_eq!(server.get(path, ANONYMOUS).await.status, StatusCode::OK, "{path}");
    }
    let twice = Request::get(COLLECTION).header("authorization", "Bearer admin").header("authorization", "Bearer admin");
    assert_eq!(server.raw(twice.body(Body::empty()).unwrap()).await.status(), StatusCode::UNAUTHORIZED);
    let panic = server.get(COLLECTION, &[("authorization", "Bearer panic")]).await;
    assert_eq!(panic.failure().1, "InternalError");
    assert!(!panic.header("audit-id").is_empty());
}

/// Discovery tells everybody which kinds there are, so that nobody is told that they may not do what nobody can.
#[tokio::test]
async fn kinds_that_are_not_served_are_missing_for_everybody_who_is_known() {
    let server = Server::start().await;
    let nobody: &[(&str, &str)] = &[("authorization", "Bearer nobody")];
    let denied: &[(&str, &str)] = &[("authorization", "Bearer denied")];
    for path in [
        "/apis/example.io/v1/nothings",
        "/apis/example.io/v1/namespaces/a/nothings",
        "/apis/example.io/v1/namespaces/a/nothings/x",
        "/apis/example.io/v1/namespaces/a/nothings/x/status",
        "/api/v1/pods",
        "/apis/other.io/v1/things",
        "/apis/example.io/v2/widgets",
    ] {
        let want = server.get(path, &[]).await;
        assert_eq!(want.status, StatusCode::NOT_FOUND, "{path}");
        for caller in [nobody, denied] {
            let answer = server.get(path, caller).await;
            assert_eq!((answer.status, &answer.text), (want.status, &want.text), "{path}");
        }
        assert_eq!(server.get(path, ANONYMOUS).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    // What a served kind lacks is not told before it is known whether the caller may see the kind.
    for path in ["/apis/example.io/v1/widgets", "/apis/example.io/v1/namespaces/a/widgets/x/scale"] {
        assert_eq!(server.get(path, nobody).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn paths_and_methods_that_are_not_served() {
    let server = Server::start().await;
    let (missing, method) =
        ("the server could not find the requested resource", "the server does not allow this method on the requested resource");
    let cases = [
        ("GET", "/apis/example.io/v1/namespaces/a/nothings", 404, missing),
        ("GET", "/apis/example.io/v1/namespaces/a/widgets/x/scale", 404, missing),
        ("GET", "/apis/example.io/v1/namespaces/a/widgets/x/status/more", 404, missing),
        ("GET", "/apis/example.io/v1/widgets/x", 404, missing),
        ("GET", "/api/v1/pods", 404, missing),
        ("POST", "/apis/example.io/v1/widgets", 405, method),
        ("DELETE", "/apis/example.io/v1/widgets", 405, method),
        ("POST", "/apis/example.io/v1/namespaces/a/widgets/x", 405, method),
        ("POST", "/apis/example.io/v1/namespaces/a/widgets/x/status", 405, method),
        ("DELETE", "/apis/example.io/v1/namespaces/a/widgets/x/status", 405, method),
        ("PUT", COLLECTION, 405, method),
        ("OPTIONS", COLLECTION, 405, method),
        ("DELETE", "/api/v1/namespaces/a", 405, method),
        ("POST", "/version", 405, method),
        ("POST", "/apis", 405, method),
    ];
    for (verb, path, code, message) in cases {
        let found = server.send(verb, path, &[], "{}").await.failure();
        assert_eq!((found.0, found.2.as_str()), (code, message), "{verb} {path}");
    }
    for path in
        ["/nowhere", "/apis/other.io", "/apis/other.io/v1", "/apis/other.io/v1/things", "/healthz/none", "/openapi", "/openapi/v3/none"]
    {
        let answer = server.get(path, &[]).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::NOT_FOUND, "404 page not found\n"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let nowhere = server.send("POST", "/nowhere", &[], "{}").await;
    assert_eq!((nowhere.status, nowhere.text.as_str()), (StatusCode::NOT_FOUND, "404 page not found\n"));
    let malformed = Request::get("/a%zz").header("authorization", "Bearer admin").body(Body::empty()).unwrap();
    assert_eq!(server.raw(malformed).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn health() {
    let server = Server::start().await;
    let failed = "[+]ping ok\n[+]store ok\n[-]warm failed: reason withheld\nreadyz check failed\n";
    let cases = [
        ("/healthz", 200, "ok"),
        ("/livez?verbose", 200, "[+]ping ok\n[+]store ok\nlivez check passed\n"),
        ("/readyz", 500, failed),
        ("/readyz?exclude=warm", 200, "ok"),
        ("/readyz?exclude=warm&verbose", 200, "[+]ping ok\n[+]store ok\n[+]warm excluded: ok\nreadyz check passed\n"),
        (
            "/livez?verbose&exclude=nope",
            200,
            "[+]ping ok\n[+]store ok\nwarn: some health checks cannot be excluded: no matches for \"nope\"\nlivez check passed\n",
        ),
        ("/readyz/store", 200, "ok"),
        ("/readyz/warm", 500, "internal server error: reason withheld\n"),
        ("/livez/warm", 404, "404 page not found\n"),
    ];
    for (path, code, text) in cases {
        let answer = server.get(path, ANONYMOUS).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (code, text), "{path}");
    }
}

#[tokio::test]
async fn readiness_waits_a_moment_for_a_server_that_starts() {
    let (server, slow) = (Server::start_in(Phase::Starting).await, Server::start_in(Phase::Starting).await);
    tokio::time::pause();
    let (path, begun) = ("/readyz?exclude=warm", tokio::time::Instant::now());
    let mut early = Box::pin(server.get(path, ANONYMOUS));
    assert!(futures::poll!(&mut early).is_pending(), "not before the server has started");
    server.lifecycle.enter(Phase::Serving);
    assert_eq!(early.await.status, StatusCode::OK);
    for path in ["/livez", "/healthz"] {
        assert_eq!(slow.get(path, ANONYMOUS).await.status, StatusCode::OK, "{path}");
    }
    assert!(begun.elapsed() < crate::STARTUP_WAIT, "nobody has waited longer than the server took");
    assert_eq!(slow.get("/readyz", ANONYMOUS).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!((crate::STARTUP_WAIT..crate::STARTUP_WAIT * 2).contains(&begun.elapsed()));
}
