//! Query strings, read as Go's `net/url` reads them: `+` is a space, the first value of a key wins. But no pair is ever
//! left out: a selector or a `dryRun` that nobody can read must be refused, not forgotten.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// The query of a request, parsed once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Every pair in order. Malformed escapes stay as they are; bytes that are no UTF-8 become U+FFFD.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|part| !part.is_empty()).map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(key).into_owned(), decode(value).into_owned())
        });
        Self(pairs.collect())
    }

    /// Every pair, decoded, as the readers of options take them.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// The first value of a key.
    pub fn first(&self, key: &str) -> Option<&str> {
        self.all(key).next()
    }

    /// Every value of a key.
    pub fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == key).map(|(_, value)| value.as_str())
    }
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_go_does() {
        let cases: &[(&str, &str, Option<&str>)] = &[
            ("", "a", None),
            ("a", "a", Some("")),
            ("a=1&a=2", "a", Some("1")),
            ("labelSelector=env+in+%28dev%2Cprod%29", "labelSelector", Some("env in (dev,prod)")),
            ("b=%ff&a=1", "b", Some("\u{fffd}")),
            ("dryRun=All%ff", "dryRun", Some("All\u{fffd}")),
            ("labelSelector=%zz", "labelSelector", Some("%zz")),
            ("a=b=c", "a", Some("b=c")),
        ];
        for (query, key, want) in cases {
            assert_eq!(Query::parse(query).first(key), *want, "{query}");
        }
    }
}
