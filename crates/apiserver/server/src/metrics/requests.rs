//! Requests by what they touch: how many, with which answers, how long they took, how large they were.
//!
//! The routes are known when the server starts: the kinds and their subresources, and a few paths. A request finds its counters
//! by comparing a few short texts and an index. The counters of a combination are created when it is first seen. Every path
//! that is not served counts as one route, so that no client can fill the memory with made-up names.

use super::buckets::{REQUEST, RESPONSE, SLI};
use super::histogram::Histogram;
use super::labels::{CODE_COUNT, DryRun, Head, Scope, Verb, code_index, codes};
use super::text::{Labels, Text};
use apiserver_endpoints::{RequestInfo, ResourceInfo};
use http::StatusCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Of upstream's `component` label.
const COMPONENT: &str = "apiserver";

/// A route of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    /// Plural; empty for paths beside the API.
    pub(crate) resource: &'static str,
    /// Subresource, or the path.
    pub(crate) subresource: &'static str,
}

impl Target {
    /// A path beside the API and what is below it; `""`: what is not served.
    const fn path(path: &'static str) -> Self {
        Self { group: "", version: "", resource: "", subresource: path }
    }

    fn is(&self, resource: &ResourceInfo) -> bool {
        self.resource == resource.resource
            && self.subresource == resource.subresource
            && self.group == resource.group
            && self.version == resource.version
    }

    fn holds(&self, path: &str) -> bool {
        path.strip_prefix(self.subresource).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Paths that every server has, the longer ones first.
const PATHS: [&str; 8] = ["/healthz", "/livez", "/readyz", "/openapi/v2", "/openapi/v3", "/version", "/apis", "/api"];

/// All requests.
#[derive(Debug)]
pub(crate) struct Requests {
    kinds: Vec<Route>,
    paths: Vec<Route>,
    elsewhere: Route,
}

/// The counters of one target.
#[derive(Debug)]
struct Route {
    target: Target,
    slots: Box<[OnceLock<Box<Series>>]>,
}

/// The counters of one verb, scope and dry run on a target.
#[derive(Debug)]
struct Series {
    answers: [AtomicU64; CODE_COUNT],
    aborted: AtomicU64,
    duration: Histogram,
    sli: Histogram,
    size: Histogram,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            answers: [const { AtomicU64::new(0) }; CODE_COUNT],
            aborted: AtomicU64::new(0),
            duration: Histogram::new(&REQUEST),
            sli: Histogram::new(&SLI),
            size: Histogram::new(&RESPONSE),
        }
    }
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All of it was handed over.
    Whole,
    /// Before its end: the client has gone, or had no more time.
    Broken,
}

/// One request that was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    pub(crate) code: StatusCode,
    pub(crate) time: Duration,
    /// Bytes of the body.
    pub(crate) size: u64,
    pub(crate) end: End,
}

/// The labels of a request's series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeriesKey {
    route: RouteId,
    pub(crate) verb: Verb,
    scope: Scope,
    dry_run: DryRun,
}

#[derive(Clone, Copy, Debug)]
enum RouteId {
    Kind(usize),
    Path(usize),
    Elsewhere,
}

impl Requests {
    /// For these kinds and their subresources, and for these paths beside those that every server has.
    pub(crate) fn new(kinds: impl IntoIterator<Item = Target>, pages: &[&'static str]) -> Self {
        let paths = pages.iter().chain(&PATHS).map(|path| Route::new(Target::path(path)));
        Self { kinds: kinds.into_iter().map(Route::new).collect(), paths: paths.collect(), elsewhere: Route::new(Target::path("")) }
    }

    /// Returns the labels of a request; `info` is how the router has parsed it.
    pub(crate) fn key(&self, head: Head, info: Option<&RequestInfo>) -> SeriesKey {
        let verb = head.verb(info);
        let resource = info.and_then(|info| info.resource.as_ref());
        let route = match (info, resource) {
            (_, Some(resource)) => self.kinds.iter().position(|route| route.target.is(resource)).map(RouteId::Kind),
            (Some(info), None) => self.paths.iter().position(|route| route.target.holds(&info.path)).map(RouteId::Path),
            (None, None) => None,
        };
        match route {
            Some(route) => SeriesKey { route, verb, scope: Scope::of(resource, verb == Verb::Post), dry_run: head.dry_run(info) },
            None => SeriesKey { route: RouteId::Elsewhere, verb, scope: Scope::None, dry_run: DryRun::No },
        }
    }

    /// Counts a response.
    pub(crate) fn answered(&self, key: SeriesKey, answered: Answered) {
        let Some(series) = self.route(key.route).series(key) else { return };
        if let Some(count) = series.answers.get(code_index(answered.code)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        series.duration.time(answered.time);
        if key.dry_run == DryRun::No {
            series.sli.time(answered.time);
        }
        if matches!(key.verb, Verb::Get | Verb::List) {
            series.size.add(answered.size);
        }
        // A watch has no end of its own.
        if answered.end == End::Broken && !matches!(key.verb, Verb::Watch | Verb::Connect) {
            series.aborted.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn route(&self, id: RouteId) -> &Route {
        let found = match id {
            RouteId::Kind(index) => self.kinds.get(index),
            RouteId::Path(index) => self.paths.get(index),
            RouteId::Elsewhere => None,
        };
        found.unwrap_or(&self.elsewhere)
    }

    /// Writes all of them.
    pub(crate) fn write(&self, text: &mut Text) {
        let seen: Vec<Seen<'_>> = self.kinds.iter().chain(&self.paths).chain([&self.elsewhere]).flat_map(Route::seen).collect();
        let mut total = text.counter("apiserver_request_total", "Requests by what they touch and how they were answered.");
        for seen in &seen {
            for (code, count) in seen.answers() {
                total.sample(&seen.labels(&[("dry_run", seen.dry_run.as_str()), ("code", &code)]), count);
            }
        }
        let mut durations =
            text.histogram("apiserver_request_duration_seconds", "Seconds from the head of a request to the last byte of its answer.");
        for seen in &seen {
            durations.distribution(&seen.labels(&[("dry_run", seen.dry_run.as_str())]), &seen.series.duration.read());
        }
        let help = "Seconds that requests took as far as a service level counts them: no dry runs.";
        let mut sli = text.histogram("apiserver_request_sli_duration_seconds", help);
        for seen in seen.iter().filter(|seen| seen.dry_run == DryRun::No) {
            sli.distribution(&seen.labels(&[]), &seen.series.sli.read());
        }
        let mut sizes = text.histogram("apiserver_response_sizes", "Bytes of the answers to reads, before TLS.");
        for seen in seen.iter().filter(|seen| matches!(seen.verb, Verb::Get | Verb::List)) {
            sizes.distribution(&seen.labels(&[]), &seen.series.size.read());
        }
        let help = "Requests that were turned away or broken off by the server, so that it can serve others.";
        let mut terminations = text.counter("apiserver_request_terminations_total", help);
        for seen in seen.iter().filter(|seen| seen.dry_run == DryRun::No) {
            for (code, count) in seen.answers().filter(|(code, _)| matches!(code.as_str(), "429" | "504")) {
                terminations.sample(&seen.labels(&[("code", &code)]), count);
            }
        }
        let mut aborts = text.counter("apiserver_request_aborts_total", "Answers that ended before all of them was sent.");
        for seen in seen.iter().filter(|seen| seen.dry_run == DryRun::No) {
            let count = seen.series.aborted.load(Ordering::Relaxed);
            if count > 0 {
                let labels = seen.labels(&[]);
                let labels: Vec<_> = labels.iter().filter(|(name, _)| *name != "component").copied().collect();
                aborts.sample(&labels, count);
            }
        }
    }
}

impl Route {
    fn new(target: Target) -> Self {
        Self { target, slots: (0..Verb::COUNT * Scope::COUNT * DryRun::COUNT).map(|_| OnceLock::new()).collect() }
    }

    fn series(&self, key: SeriesKey) -> Option<&Series> {
        let slot = self.slots.get((key.verb as usize * Scope::COUNT + key.scope as usize) * DryRun::COUNT + key.dry_run as usize)?;
        Some(slot.get_or_init(Box::default))
    }

    /// Iterates over the series in a fixed order.
    fn seen(&self) -> impl Iterator<Item = Seen<'_>> {
        let scopes = Verb::ALL.into_iter().flat_map(|verb| Scope::ALL.into_iter().map(move |scope| (verb, scope)));
        let all = scopes.flat_map(|(verb, scope)| DryRun::ALL.into_iter().map(move |dry_run| (verb, scope, dry_run)));
        all.zip(&self.slots).filter_map(|((verb, scope, dry_run), slot)| {
            let series = slot.get()?;
            Some(Seen { target: &self.target, verb, scope, dry_run, series })
        })
    }
}

/// One combination of labels that was seen.
struct Seen<'a> {
    target: &'a Target,
    verb: Verb,
    scope: Scope,
    dry_run: DryRun,
    series: &'a Series,
}

impl<'a> Seen<'a> {
    fn labels(&self, more: Labels<'a>) -> Vec<(&'static str, &'a str)> {
        let Target { group, version, resource, subresource } = *self.target;
        let component = if resource.is_empty() { "" } else { COMPONENT };
        let mut labels = vec![
            ("component", component),
            ("group", group),
            ("resource", resource),
            ("scope", self.scope.as_str()),
            ("subresource", subresource),
            ("verb", self.verb.as_str()),
            ("version", version),
        ];
        labels.extend_from_slice(more);
        labels
    }

    /// The codes that were answered, and how often.
    fn answers(&self) -> impl Iterator<Item = (String, u64)> {
        let counts = self.series.answers.iter().map(|count| count.load(Ordering::Relaxed));
        codes().zip(counts).filter(|(_, count)| *count > 0).map(|(code, count)| (code.to_string(), count))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::Request;

    const THING: Target = Target { group: "g", version: "v1", resource: "things", subresource: "" };

    fn requests() -> Requests {
        Requests::new([THING, Target { subresource: "status", ..THING }], &["/metrics"])
    }

    fn ask(requests: &Requests, method: &str, uri: &str, code: u16, size: u64) {
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        let info = RequestInfo::parse(request.method(), request.uri(), "").unwrap();
        let key = requests.key(Head::of(&request), Some(&info));
        let answered = Answered { code: StatusCode::from_u16(code).unwrap(), time: Duration::from_millis(30), size, end: End::Whole };
        requests.answered(key, answered);
    }

    fn written(requests: &Requests) -> String {
        let mut text = Text::default();
        requests.write(&mut text);
        text.into_string()
    }

    #[test]
    fn requests_count_where_they_belong() {
        let requests = requests();
        for (method, uri, code) in [
            ("GET", "/apis/g/v1/namespaces/a/things/x", 200),
            ("GET", "/apis/g/v1/namespaces/b/things/y", 200),
            ("GET", "/apis/g/v1/namespaces/b/things/y/status", 404),
            ("POST", "/apis/g/v1/namespaces/b/things?dryRun=All", 201),
            ("GET", "/readyz/store", 500),
            ("GET", "/metrics", 200),
            ("GET", "/apis/g", 200),
        ] {
            ask(&requests, method, uri, code, 10);
        }
        let text = written(&requests);
        let labels = |subresource: &str, verb: &str, dry_run: &str, code: u16| {
            format!(
                r#"{{component="apiserver",group="g",resource="things",scope="resource",subresource="{subresource}",verb="{verb}",version="v1",dry_run="{dry_run}",code="{code}"}}"#
            )
        };
        let path = |path: &str, code: u16| {
            format!(r#"{{component="",group="",resource="",scope="",subresource="{path}",verb="GET",version="",dry_run="",code="{code}"}}"#)
        };
        for (labels, count) in [
            (labels("", "GET", "", 200), 2),
            (labels("status", "GET", "", 404), 1),
            (labels("", "POST", "All", 201), 1),
            (path("/readyz", 500), 1),
            (path("/metrics", 200), 1),
            (path("/apis", 200), 1),
        ] {
            assert!(text.contains(&format!("apiserver_request_total{labels} {count}\n")), "{labels}\n{text}");
        }
        assert!(!text.contains("aborts_total") && !text.contains("terminations_total"));
        assert!(!text.lines().any(|line| line.starts_with("apiserver_request_sli") && line.contains("POST")), "a dry run");
    }

    #[test]
    fn made_up_names_make_no_series() {
        let requests = requests();
        for n in 0..100 {
            ask(&requests, "GET", &format!("/apis/g/v1/namespaces/a/things-{n}/x"), 404, 0);
            ask(&requests, "GET", &format!("/apis/g-{n}/v1/things"), 404, 0);
            ask(&requests, "GET", &format!("/apis/g/v1/namespaces/a/things/x/sub-{n}"), 404, 0);
            ask(&requests, "GET", &format!("/path-{n}"), 404, 0);
            ask(&requests, "GET", &format!("/healthz-{n}"), 404, 0);
            ask(&requests, &format!("METHOD-{n}"), "/path", 404, 0);
        }
        let text = written(&requests);
        let totals: Vec<_> = text.lines().filter(|line| line.starts_with("apiserver_request_total")).collect();
        let counts: Vec<_> = totals.iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
        assert_eq!(counts, ["400", "100", "100"], "{totals:#?}");
    }

    #[test]
    fn who_is_turned_away_or_breaks_off_is_counted() {
        let requests = requests();
        ask(&requests, "GET", "/apis/g/v1/things", 429, 0);
        let request = Request::get("/apis/g/v1/things").body(()).unwrap();
        let info = RequestInfo::parse(request.method(), request.uri(), "").unwrap();
        let key = requests.key(Head::of(&request), Some(&info));
        requests.answered(key, Answered { code: StatusCode::OK, time: Duration::ZERO, size: 5, end: End::Broken });
        let text = written(&requests);
        let labels = r#"group="g",resource="things",scope="cluster",subresource="",verb="LIST",version="v1""#;
        for line in [
            format!("apiserver_request_terminations_total{{component=\"apiserver\",{labels},code=\"429\"}} 1\n"),
            format!("apiserver_request_aborts_total{{{labels}}} 1\n"),
        ] {
            assert!(text.contains(&line), "{line}\n{text}");
        }
    }
}
