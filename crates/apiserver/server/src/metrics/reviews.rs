//! Metrics of token and access reviews by the host cluster.

use super::Source;
use super::text::Text;
use crate::host_cluster::Host;
use apiserver_host::{AccessReviews, ReviewStats, TokenReviews};
use std::sync::Arc;

/// Returns the metrics of reviews by this cluster.
pub(crate) fn sources(host: &Host) -> [Arc<dyn Source>; 2] {
    [Arc::<TokenReviews>::clone(&host.tokens), Arc::<AccessReviews>::clone(&host.access)]
}

impl Source for TokenReviews {
    fn write(&self, text: &mut Text) {
        write("apiserver_delegated_authn_request_total", "Questions to the host cluster about who is calling.", self.stats(), text);
    }
}

impl Source for AccessReviews {
    fn write(&self, text: &mut Text) {
        write("apiserver_delegated_authz_request_total", "Questions to the host cluster about what callers may do.", self.stats(), text);
    }
}

/// Under upstream's codes: a review that was made, and one that could not be.
fn write(name: &'static str, help: &'static str, stats: ReviewStats, text: &mut Text) {
    let mut requests = text.counter(name, help);
    requests.sample(&[("code", "201")], stats.ok);
    requests.sample(&[("code", "<error>")], stats.failed);
}
