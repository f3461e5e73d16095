//! Until when an answer is due: `?timeout=`, capped by the server. Watches are long on purpose and have none.

use crate::app::App;
use crate::extensions::{Deadline, info_of};
use crate::query::Query;
use crate::respond::refuse;
use apiserver_meta::{ApiError, duration};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Sets the deadline. Writes get the shorter time, so that one that hangs is seen before clients give up.
pub(crate) async fn deadline(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let info = info_of(&parts);
    let limits = &app.config.limits;
    let write = matches!(&*info.verb, "create" | "update" | "patch" | "delete");
    let longest = if write { limits.write_timeout.min(limits.request_timeout) } else { limits.request_timeout };
    let asked = if info.verb == "watch" { Ok(None) } else { asked(Query(parts.uri.query().unwrap_or(""))) };
    let time = match asked {
        Ok(asked) => asked.filter(|time| !time.is_zero()).map_or(longest, |time| time.min(longest)),
        Err(error) => return refuse(&error, &parts.headers, &parts.uri),
    };
    parts.extensions.insert(Deadline(Instant::now() + time));
    next.run(Request::from_parts(parts, body)).await
}

fn asked(query: Query<'_>) -> Result<Option<Duration>, ApiError> {
    let Some(text) = query.first("timeout").filter(|text| !text.is_empty()) else { return Ok(None) };
    let refused = || {
        let is_number = text.parse::<f64>().is_ok_and(f64::is_finite);
        let what = if is_number { "missing unit in" } else { "invalid" };
        ApiError::bad_request(format!("invalid timeout specified in the request URL - time: {what} duration {:?}", text.as_ref()))
    };
    duration::parse(&text).map(Some).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals() {
        for (query, want) in [("timeout=5", "missing unit in duration \"5\""), ("timeout=abc", "invalid duration \"abc\"")] {
            let error = asked(Query(query)).err().map(|error| (error.code(), error.message));
            let want = format!("invalid timeout specified in the request URL - time: {want}");
            assert_eq!(error, Some((400, want)), "{query}");
        }
    }
}
