//! Prometheus' text format, version 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats): what kube-apiserver answers
//! whatever a scraper asks for.
//!
//! Written here because no library that is kept up writes it: the official crate knows OpenMetrics alone, where each counter has to
//! end in `_total`, and dashboards ask for upstream's `authentication_attempts`.

use super::histogram::Distribution;
use std::fmt::{Display, Write as _};

/// `Content-Type` of the format.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// The name and the value of each label.
pub(crate) type Labels<'a> = &'a [(&'static str, &'a str)];

/// A page of metrics while it is written.
#[derive(Debug, Default)]
pub(crate) struct Text(String);

impl Text {
    /// The page.
    pub(crate) fn into_string(self) -> String {
        self.0
    }

    /// A count that only grows.
    pub(crate) fn counter(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    /// A figure that goes up and down.
    pub(crate) fn gauge(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// How values are distributed.
    pub(crate) fn histogram(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, "histogram", help)
    }

    fn family(&mut self, name: &'static str, kind: &'static str, help: &'static str) -> Family<'_> {
        Family { text: &mut self.0, name, kind, help, begun: false }
    }
}

/// The samples of one name. One without any is left out.
pub(crate) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    begun: bool,
}

impl Family<'_> {
    /// One value.
    pub(crate) fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        self.begin();
        self.line("", labels, None, value);
    }

    /// All values of one set of labels.
    pub(crate) fn distribution(&mut self, labels: Labels<'_>, values: &Distribution) {
        self.begin();
        let mut count = 0;
        for (bound, part) in values.bounds().zip(&values.counts) {
            count += part;
            self.line("_bucket", labels, Some(bound), count);
        }
        count += values.counts.last().copied().unwrap_or(0);
        self.line("_bucket", labels, Some(f64::INFINITY), count);
        self.line("_sum", labels, None, values.sum());
        self.line("_count", labels, None, count);
    }

    fn begin(&mut self) {
        if self.begun {
            return;
        }
        self.begun = true;
        // Writing to a string does not fail, here and below.
        let _ = writeln!(self.text, "# HELP {} {}\n# TYPE {0} {}", self.name, self.help, self.kind);
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, bound: Option<f64>, value: impl Display) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let mut separator = '{';
        for (name, value) in labels {
            let _ = write!(self.text, "{separator}{name}=\"");
            escape(value, self.text);
            self.text.push('"');
            separator = ',';
        }
        match bound {
            Some(f64::INFINITY) => _ = write!(self.text, "{separator}le=\"+Inf\""),
            Some(bound) => _ = write!(self.text, "{separator}le=\"{bound}\""),
            None => {}
        }
        if separator == ',' || bound.is_some() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::histogram::{Histogram, Shape};
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_format() {
        let mut text = Text::default();
        let mut requests = text.counter("requests_total", "Requests.");
        requests.sample(&[], 3);
        requests.sample(&[("verb", "GET"), ("path", "a\\b\"c\nd")], 4);
        text.gauge("nothing", "Has no samples.");
        static SHAPE: Shape = Shape::seconds(&[5_000_000, 1_000_000_000]);
        let times = Histogram::new(&SHAPE);
        for millis in [1, 5, 6, 2000] {
            times.time(Duration::from_millis(millis));
        }
        let mut durations = text.histogram("duration_seconds", "Durations.");
        durations.distribution(&[("verb", "GET")], &times.read());
        let want = r#"# HELP requests_total Requests.
# TYPE requests_total counter
requests_total 3
requests_total{verb="GET",path="a\\b\"c\nd"} 4
# HELP duration_seconds Durations.
# TYPE duration_seconds histogram
duration_seconds_bucket{verb="GET",le="0.005"} 2
duration_seconds_bucket{verb="GET",le="1"} 3
duration_seconds_bucket{verb="GET",le="+Inf"} 4
duration_seconds_sum{verb="GET"} 2.012
duration_seconds_count{verb="GET"} 4
"#;
        assert_eq!(text.into_string(), want);
    }
}
