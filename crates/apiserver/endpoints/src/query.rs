//! Query strings, read as Go's `net/url` reads them: `+` is a space, the first value of a key wins. But no pair is ever
//! left out: a selector or a `dryRun` that nobody can read must be refused, not forgotten.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// The raw query string of a request, decoded on demand: most requests are asked for two or three of a dozen keys.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Query<'a>(pub(crate) &'a str);

impl<'a> Query<'a> {
    /// Every pair in order. Malformed escapes stay as they are; bytes that are no UTF-8 become U+FFFD.
    pub(crate) fn pairs(self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        self.0.split('&').filter(|part| !part.is_empty()).map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(key), decode(value))
        })
    }

    /// The first value of a key.
    pub(crate) fn first(self, key: &str) -> Option<Cow<'a, str>> {
        self.pairs().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    /// Every pair, decoded, for the readers of options.
    pub(crate) fn decoded(self) -> Vec<(String, String)> {
        self.pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
    }

    /// Every value of a key.
    pub(crate) fn all(self, key: &str) -> impl Iterator<Item = Cow<'a, str>> {
        self.pairs().filter(move |(k, _)| k == key).map(|(_, value)| value)
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
            assert_eq!(Query(query).first(key).as_deref(), *want, "{query}");
        }
    }
}
