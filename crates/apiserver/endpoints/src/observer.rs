//! Observers of requests on their way, for metrics.

use crate::request_info::{RequestInfo, ResourceInfo};
use apiserver_meta::User;
use std::fmt;
use std::time::Duration;

/// Observes requests. Every request waits for it: an implementation adds to counters and does nothing else.
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// It took this long to find out who is calling; `None`: what they offered was refused.
    fn authenticated(&self, user: Option<&User>, time: Duration);

    /// It took this long to decide whether they may.
    fn authorized(&self, outcome: Authorized, time: Duration);

    /// A body of so many bytes was read.
    fn body(&self, verb: &str, resource: &ResourceInfo, bytes: usize);

    /// A watch begins. What it tells is told to the answer, which is dropped when the watch has ended.
    fn watch(&self, info: &RequestInfo) -> Box<dyn WatchObserver>;
}

/// Observes the frames of a watch.
pub trait WatchObserver: Send + 'static {
    /// A frame of so many bytes: an event, a bookmark or an error.
    fn frame(&mut self, bytes: usize);

    /// The bookmark behind the initial events of a streaming list.
    fn initial_events_end(&mut self);
}

/// The outcome of authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are upstream's and say what they mean")]
pub enum Authorized {
    Allowed,
    Denied,
    NoOpinion,
    /// It could not be decided.
    Error,
}
