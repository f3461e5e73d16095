//! Connections that came to nothing.

use super::Source;
use super::text::Text;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many TLS handshakes have failed.
#[derive(Debug, Default)]
pub(crate) struct FailedHandshakes(AtomicU64);

impl FailedHandshakes {
    /// One more.
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Source for FailedHandshakes {
    fn write(&self, text: &mut Text) {
        let mut failed = text.counter("apiserver_tls_handshake_errors_total", "Connections that ended before TLS was set up.");
        failed.sample(&[], self.0.load(Ordering::Relaxed));
    }
}
