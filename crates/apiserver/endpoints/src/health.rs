//! `/healthz`, `/livez` and `/readyz`. Clients read whether, operators read in the log why not.

use crate::config::{Config, HealthCheck, STARTUP_WAIT};
use crate::query::Query;
use crate::respond::{self, page_not_found};
use axum::response::Response;
use http::StatusCode;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// The time that one check may take.
const CHECK_TIME: Duration = Duration::from_secs(2);

/// Always there, always fine: it says that requests are answered.
const PING: &str = "ping";

pub(crate) async fn serve(config: &Config, segments: &[&str], query: &Query) -> Response {
    let (endpoint, name) = match segments {
        [endpoint] => (*endpoint, None),
        [endpoint, rest @ ..] => (*endpoint, Some(rest.join("/"))),
        [] => return page_not_found(),
    };
    if endpoint == "readyz" {
        // Ready or not: the checks tell.
        let _ = tokio::time::timeout(STARTUP_WAIT, config.lifecycle.started()).await;
    }
    let checks: Vec<&Arc<dyn HealthCheck>> = config.checks.iter().filter(|check| endpoint == "readyz" || !check.readiness_only()).collect();
    match name {
        None => all(endpoint, &checks, query).await,
        Some(name) if name == PING => respond::text(StatusCode::OK, "ok"),
        Some(name) => match checks.iter().find(|check| check.name() == name) {
            None => page_not_found(),
            Some(check) if passes(check.as_ref()).await => respond::text(StatusCode::OK, "ok"),
            Some(_) => respond::text(StatusCode::INTERNAL_SERVER_ERROR, "internal server error: reason withheld\n"),
        },
    }
}

async fn all(endpoint: &str, checks: &[&Arc<dyn HealthCheck>], query: &Query) -> Response {
    let mut excluded: BTreeSet<String> = query.all("exclude").map(str::to_owned).collect();
    let results = futures::future::join_all(checks.iter().map(|check| passes(check.as_ref()))).await;
    let named = std::iter::once((PING, true)).chain(checks.iter().map(|check| check.name()).zip(results));
    let (mut lines, mut failed) = (String::new(), false);
    for (name, passed) in named {
        let line = match (excluded.remove(name), passed) {
            (true, _) => format!("[+]{name} excluded: ok"),
            (false, true) => format!("[+]{name} ok"),
            (false, false) => {
                failed = true;
                format!("[-]{name} failed: reason withheld")
            }
        };
        lines.push_str(&line);
        lines.push('\n');
    }
    if !excluded.is_empty() {
        let names: Vec<String> = excluded.iter().map(|name| format!("{name:?}")).collect();
        // Writing to a string does not fail.
        let _ = writeln!(lines, "warn: some health checks cannot be excluded: no matches for {}", names.join(","));
    }
    if failed {
        return respond::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{lines}{endpoint} check failed\n"));
    }
    if query.first("verbose").is_none() {
        return respond::text(StatusCode::OK, "ok");
    }
    respond::text(StatusCode::OK, format!("{lines}{endpoint} check passed\n"))
}

async fn passes(check: &dyn HealthCheck) -> bool {
    let answer = tokio::time::timeout(CHECK_TIME, check.check()).await.unwrap_or_else(|_| Err("took too long".into()));
    match answer {
        Ok(()) => true,
        Err(why) => {
            tracing::warn!(check = check.name(), %why, "health check failed");
            false
        }
    }
}
