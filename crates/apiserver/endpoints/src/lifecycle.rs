//! The phases of a server's life, and what they mean for requests.

use crate::request_info::RequestInfo;
use apiserver_meta::ApiError;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::Notify;

/// The phase of a server, shared between the code that starts and stops it and the filters that requests pass.
#[derive(Debug)]
pub struct Lifecycle {
    phase: AtomicU8,
    changed: Notify,
}

/// A part of a server's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Only discovery, OpenAPI, version and health are answered, which need no store; everything else is told to come
    /// back, for nothing can be said about it yet, not even that it does not exist.
    Starting,
    /// Everything is answered.
    Serving,
    /// Everything is answered, but balancers are told to look for another server.
    Stopping,
    /// Only health and the pages beside the API are answered; everything else is told to try another server.
    Refusing,
}

impl Lifecycle {
    /// At the beginning of the phase.
    pub fn new(phase: Phase) -> Self {
        Self { phase: AtomicU8::new(phase as u8), changed: Notify::new() }
    }

    /// The phase now.
    pub fn phase(&self) -> Phase {
        let now = self.phase.load(Ordering::Acquire);
        [Phase::Starting, Phase::Serving, Phase::Stopping].into_iter().find(|phase| *phase as u8 == now).unwrap_or(Phase::Refusing)
    }

    /// Goes on to a later phase; there is no way back.
    pub fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        self.changed.notify_waiters();
    }

    /// Waits until the server has started, or stops.
    pub(crate) async fn started(&self) {
        let changed = self.changed.notified();
        if self.phase() == Phase::Starting {
            changed.await;
        }
    }
}

impl Phase {
    /// Why this request is not looked at.
    pub(crate) fn refusal(self, info: &RequestInfo, is_page: bool) -> Option<ApiError> {
        match self {
            Self::Starting => info.resource.is_some().then(starting),
            Self::Serving | Self::Stopping => None,
            Self::Refusing => (!is_page && !info.is_health()).then(stopping),
        }
    }
}

/// The refusal of a server that cannot know yet what there is.
pub(crate) fn starting() -> ApiError {
    ApiError::unavailable("the request has been made before all known HTTP paths have been installed, please try again", 1)
}

fn stopping() -> ApiError {
    ApiError::too_many_requests("The apiserver is shutting down, please try again later.", 5)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use Phase::{Refusing, Serving, Starting, Stopping};

    #[test]
    fn life_goes_one_way() {
        let life = Lifecycle::new(Starting);
        for phase in [Serving, Stopping, Refusing] {
            life.enter(phase);
            assert_eq!(life.phase(), phase);
        }
        life.enter(Serving);
        assert_eq!(life.phase(), Refusing);
    }

    #[test]
    fn what_is_refused_when() {
        let cases = [
            // path, whether it is a page; the answer in each phase
            ("/apis/g/v1/things", false, [Some(503), None, None, Some(429)]),
            ("/apis/unknown/v1/things", false, [Some(503), None, None, Some(429)]),
            ("/apis/g/v1", false, [None, None, None, Some(429)]),
            ("/openapi/v3", false, [None, None, None, Some(429)]),
            ("/readyz", false, [None; 4]),
            ("/livez/ping", false, [None; 4]),
            ("/metrics", true, [None; 4]),
        ];
        for (path, is_page, want) in cases {
            let info = RequestInfo::parse(&http::Method::GET, &path.parse().unwrap(), "").unwrap();
            let found = [Starting, Serving, Stopping, Refusing].map(|phase| phase.refusal(&info, is_page).map(|error| error.code()));
            assert_eq!(found, want, "{path}");
        }
    }
}
