//! The `Accept` header, clause by clause, best first. What the clauses are matched against is the callers' business.

use http::HeaderMap;
use http::header::ACCEPT;

/// One clause: a media range and its parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Clause<'a> {
    /// `application`, or `*`.
    pub(crate) main: &'a str,
    /// `json`, or `*`.
    pub(crate) sub: &'a str,
    /// Its parameters but for `q`, in order.
    pub(crate) parameters: Vec<(&'a str, &'a str)>,
    quality: f32,
}

impl Clause<'_> {
    /// Whether the range holds the media type `main/sub`.
    pub(crate) fn covers(&self, main: &str, sub: &str) -> bool {
        (self.main == main && (self.sub == sub || self.sub == "*")) || (self.main == "*" && self.sub == "*")
    }

    /// The value of a parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }
}

/// Most clauses that are looked at.
const MAX_CLAUSES: usize = 32;

/// The header's clauses: higher quality first, then those without stars; the client's order decides among equals.
/// Empty for an absent or empty header, which accepts anything.
pub(crate) fn clauses(headers: &HeaderMap) -> Option<Vec<Clause<'_>>> {
    let text = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    (!text.trim().is_empty()).then(|| parse(text))
}

fn parse(text: &str) -> Vec<Clause<'_>> {
    let mut found: Vec<Clause<'_>> = text.split(',').take(MAX_CLAUSES).filter_map(clause).filter(|clause| clause.quality > 0.0).collect();
    let stars = |clause: &Clause<'_>| u8::from(clause.main == "*") + u8::from(clause.sub == "*");
    found.sort_by(|a, b| b.quality.total_cmp(&a.quality).then(stars(a).cmp(&stars(b))));
    found
}

fn clause(text: &str) -> Option<Clause<'_>> {
    let mut parts = text.split(';').map(str::trim);
    // A lone star is what some clients write for any type.
    let range = parts.next().map(|range| if range == "*" { "*/*" } else { range });
    let (main, sub) = range?.split_once('/')?;
    let mut clause = Clause { main: main.trim(), sub: sub.trim(), parameters: Vec::new(), quality: 1.0 };
    for part in parts {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        match name {
            "q" => clause.quality = value.parse().unwrap_or(1.0),
            "" => {}
            name => clause.parameters.push((name, value)),
        }
    }
    Some(clause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order() {
        let cases: &[(&str, &[&str])] = &[
            ("application/json", &["application/json"]),
            ("a/b;q=0.5, c/d", &["c/d", "a/b"]),
            ("*/*, application/*, application/json", &["application/json", "application/*", "*/*"]),
            ("a/b, c/d", &["a/b", "c/d"]),
            ("a/b;q=0, c/d", &["c/d"]),
            ("application, , a/b", &["a/b"]),
            ("*; q=.2, a/b", &["a/b", "*/*"]),
        ];
        for (header, want) in cases {
            let found: Vec<String> = parse(header).iter().map(|c| format!("{}/{}", c.main, c.sub)).collect();
            assert_eq!(found, *want, "{header}");
        }
    }

    #[test]
    fn parameters() {
        let found = parse("application/json; as=Table ;v=v1;g=\"meta.k8s.io\";q=0.9");
        assert_eq!(found[0].parameters, [("as", "Table"), ("v", "v1"), ("g", "meta.k8s.io")]);
    }
}
