//! One line in the log for a request that an operator wants to know of: it took long, or the server failed it.
//!
//! Kube-apiserver logs a trace of what takes longer than half a second. Watches are long on purpose. Every request is logged
//! at level `debug`. Queries and bodies are not shown: they may hold secrets.

use apiserver_auth::Identity;
use apiserver_endpoints::{AuditId, ImpersonatedUser, RequestInfo};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than this is long, until the head of the answer.
const LONG: Duration = Duration::from_millis(500);

/// Follows a request to the head of its answer.
pub(crate) async fn follow(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let response = next.run(request).await;
    let took = begun.elapsed();
    let found = response.extensions();
    let Some(info) = found.get::<Arc<RequestInfo>>() else { return response };
    let audit_id = found.get::<AuditId>().map_or("", |id| &id.0);
    let user = found.get::<Identity>().map_or("", |identity| identity.user.name.as_str());
    let impersonated_user = found.get::<ImpersonatedUser>().map(|acting| acting.0.user.name.as_str());
    let code = response.status().as_u16();
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let (verb, path) = (&*info.verb, info.path.as_str());
    // A macro for each level, because its callsite is what is switched off and on.
    macro_rules! log {
        ($level:ident, $what:literal) => {
            tracing::$level!(audit_id, verb, path, user, impersonated_user, code, milliseconds, $what)
        };
    }
    if response.status().is_server_error() {
        log!(warn, "request failed");
    } else if took >= LONG && info.verb != "watch" {
        log!(info, "request took long");
    } else {
        log!(debug, "request");
    }
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use apiserver_meta::User;
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn;
    use http::{Method, StatusCode, Uri};
    use serde_json::Value;
    use std::io::Write;
    use std::sync::Mutex;
    use tower::ServiceExt as _;
    use tracing::instrument::WithSubscriber as _;
    use tracing::level_filters::LevelFilter;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The lines for one request that takes some time.
    async fn lines(uri: &'static str, code: u16, took: Duration, level: LevelFilter) -> Vec<Value> {
        let handler = async move |request: Request| {
            tokio::time::sleep(took).await;
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::from_u16(code).unwrap();
            response.extensions_mut().insert(Arc::new(RequestInfo::parse(&Method::GET, request.uri(), "").unwrap()));
            response.extensions_mut().insert(AuditId("the-id".into()));
            let user = Arc::new(User { name: "ann".into(), ..User::default() });
            response.extensions_mut().insert(Identity { user, principal: apiserver_meta::Principal::default() });
            response
        };
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_max_level(level).with_writer(move || writer.clone()).finish();
        let router = Router::new().fallback(handler).layer(from_fn(follow));
        let request = Request::builder().uri(Uri::from_static(uri)).body(Body::empty()).unwrap();
        router.oneshot(request).with_subscriber(subscriber).await.unwrap();
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).filter(|line: &Value| line["audit_id"] == "the-id").collect()
    }

    #[tokio::test]
    async fn what_fails_or_takes_long_is_told_once() {
        let (soon, late) = (Duration::ZERO, LONG + Duration::from_millis(1));
        for (uri, code, took, level, want) in [
            ("/version", 200, soon, LevelFilter::INFO, None),
            ("/version", 404, soon, LevelFilter::INFO, None),
            ("/version", 200, soon, LevelFilter::DEBUG, Some(("DEBUG", "request"))),
            ("/version", 503, soon, LevelFilter::INFO, Some(("WARN", "request failed"))),
            ("/version", 200, late, LevelFilter::INFO, Some(("INFO", "request took long"))),
            ("/api/v1/pods?watch=1", 200, late, LevelFilter::INFO, None),
        ] {
            let logged = lines(uri, code, took, level).await;
            let texts: Vec<_> = logged.iter().map(|line| (line["level"].as_str().unwrap(), line["message"].as_str().unwrap())).collect();
            assert_eq!(texts, Vec::from_iter(want), "{uri} {code} {took:?}");
        }
    }

    #[tokio::test]
    async fn a_line_says_who_and_what_and_no_secret() {
        let logged = lines("/version?access_token=s3cret", 500, Duration::ZERO, LevelFilter::INFO).await;
        let line = &logged[0];
        assert_eq!(
            (&line["user"], &line["verb"], &line["path"], &line["code"]),
            (&"ann".into(), &"get".into(), &"/version".into(), &500.into())
        );
        assert!(line["milliseconds"].is_number() && !line.to_string().contains("s3cret"), "{line}");
    }
}
