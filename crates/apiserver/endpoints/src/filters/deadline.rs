//! The deadline of an answer: `?timeout=`, capped by the server. Watches are long on purpose and have none, and what a
//! proxy carries on is for the API behind to time.

use crate::app::App;
use crate::extensions::Deadline;
use crate::query::Query;
use crate::request_info::RequestInfo;
use apiserver_meta::{ApiError, duration};
use http::request::Parts;
use std::time::{Duration, Instant};

/// Sets the deadline. Writes get the shorter time, so that one that hangs is seen before clients give up.
pub(super) fn set(app: &App, info: &RequestInfo, parts: &mut Parts) -> Result<(), ApiError> {
    let limits = &app.config.limits;
    let write = matches!(&*info.verb, "create" | "update" | "patch" | "delete");
    let longest = if write { limits.write_timeout.min(limits.request_timeout) } else { limits.request_timeout };
    let asked = if info.verb == "watch" || info.proxied.is_some() { None } else { asked(&info.query)? };
    let time = asked.filter(|time| !time.is_zero()).map_or(longest, |time| time.min(longest));
    parts.extensions.insert(Deadline(Instant::now() + time));
    Ok(())
}

fn asked(query: &Query) -> Result<Option<Duration>, ApiError> {
    let Some(text) = query.first("timeout").filter(|text| !text.is_empty()) else { return Ok(None) };
    let refused = || {
        let is_number = text.parse::<f64>().is_ok_and(f64::is_finite);
        let what = if is_number { "missing unit in" } else { "invalid" };
        ApiError::bad_request(format!("invalid timeout specified in the request URL - time: {what} duration {text:?}"))
    };
    duration::parse(text).map(Some).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals() {
        for (query, want) in [("timeout=5", "missing unit in duration \"5\""), ("timeout=abc", "invalid duration \"abc\"")] {
            let error = asked(&Query::parse(query)).err().map(|error| (error.code(), error.message));
            let want = format!("invalid timeout specified in the request URL - time: {want}");
            assert_eq!(error, Some((400, want)), "{query}");
        }
    }
}
