//! Metrics of authentication and authorization: counts and durations.

use super::buckets::CALLER;
use super::histogram::Histogram;
use super::labels::{USERNAMES, username_index};
use super::text::Text;
use apiserver_endpoints::Authorized;
use apiserver_meta::User;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Outcomes of authentication. Who offers nothing is known to be anonymous, which is a success.
const AUTHENTICATED: [&str; 2] = ["success", "error"];

/// Outcomes of authorization.
const AUTHORIZED: [(Authorized, &str); 4] =
    [(Authorized::Allowed, "allowed"), (Authorized::Denied, "denied"), (Authorized::NoOpinion, "no-opinion"), (Authorized::Error, "error")];

/// Callers.
#[derive(Debug)]
pub(crate) struct Callers {
    authenticated: [Histogram; AUTHENTICATED.len()],
    users: [AtomicU64; USERNAMES.len()],
    authorized: [Histogram; AUTHORIZED.len()],
}

impl Default for Callers {
    fn default() -> Self {
        Self {
            authenticated: std::array::from_fn(|_| Histogram::new(&CALLER)),
            users: [const { AtomicU64::new(0) }; USERNAMES.len()],
            authorized: std::array::from_fn(|_| Histogram::new(&CALLER)),
        }
    }
}

impl Callers {
    /// It was found out who is calling, or refused.
    pub(crate) fn authenticated(&self, user: Option<&User>, time: Duration) {
        let [success, error] = &self.authenticated;
        let Some(user) = user else { return error.time(time) };
        success.time(time);
        if let Some(count) = self.users.get(username_index(&user.name)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// It was decided whether they may.
    pub(crate) fn authorized(&self, outcome: Authorized, time: Duration) {
        let index = AUTHORIZED.iter().position(|(known, _)| *known == outcome);
        if let Some(times) = index.and_then(|index| self.authorized.get(index)) {
            times.time(time);
        }
    }

    /// Writes all of them.
    pub(crate) fn write(&self, text: &mut Text) {
        let read = |times: &Histogram| Some(times.read()).filter(|times| !times.is_empty());
        let authenticated: Vec<_> = AUTHENTICATED.into_iter().zip(&self.authenticated).collect();
        let authenticated: Vec<_> = authenticated.into_iter().filter_map(|(result, times)| Some((result, read(times)?))).collect();
        let mut attempts = text.counter("authentication_attempts", "Requests by whether their callers became known.");
        for (result, times) in &authenticated {
            attempts.sample(&[("result", result)], times.count());
        }
        let mut users = text.counter("authenticated_user_requests", "Requests of known callers, by sort of user name.");
        for (name, count) in USERNAMES.iter().zip(&self.users) {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                users.sample(&[("username", name)], count);
            }
        }
        let mut durations = text.histogram("authentication_duration_seconds", "Seconds that it took to know callers.");
        for (result, times) in &authenticated {
            durations.distribution(&[("result", result)], times);
        }
        let authorized = AUTHORIZED.iter().zip(&self.authorized);
        let authorized: Vec<_> = authorized.filter_map(|((_, result), times)| Some((*result, read(times)?))).collect();
        let mut attempts = text.counter("authorization_attempts_total", "Requests by whether their callers might send them.");
        for (result, times) in &authorized {
            attempts.sample(&[("result", result)], times.count());
        }
        let mut durations = text.histogram("authorization_duration_seconds", "Seconds that it took to decide what callers may do.");
        for (result, times) in &authorized {
            durations.distribution(&[("result", result)], times);
        }
    }
}
