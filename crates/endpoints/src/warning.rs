//! `Warning` headers: what a client should know beside the answer (KEP-1693, RFC 7234 section 5.5).

use http::{HeaderMap, HeaderName, HeaderValue};

const WARNING: HeaderName = HeaderName::from_static("warning");
/// Characters of all warnings together before each is cut.
const LONG: usize = 4096;
/// What a cut warning keeps.
const CUT: usize = 256;

/// Adds one header for each text.
pub(crate) fn append(headers: &mut HeaderMap, texts: &[String]) {
    let total: usize = texts.iter().map(|text| text.chars().count()).sum();
    for text in texts {
        let shown: String = if total > LONG { text.chars().take(CUT).collect() } else { text.clone() };
        if let Ok(value) = HeaderValue::from_bytes(quoted(&shown).as_bytes()) {
            headers.append(WARNING, value);
        }
    }
}

/// Code 299 without an agent, then the text as a quoted string.
fn quoted(text: &str) -> String {
    let mut out = String::from("299 - \"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push(' '),
            control if control.is_control() => {}
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting() {
        let cases =
            [("unknown field \"spec.bogus\"", "299 - \"unknown field \\\"spec.bogus\\\"\""), ("a\\b\nc\u{7}", "299 - \"a\\\\b c\"")];
        for (text, want) in cases {
            assert_eq!(quoted(text), want);
        }
    }

    #[test]
    fn many_words_are_cut() {
        let mut headers = HeaderMap::new();
        append(&mut headers, &["a".repeat(5000), "b".into()]);
        let lengths: Vec<usize> = headers.get_all(WARNING).iter().map(HeaderValue::len).collect();
        assert_eq!(lengths, [CUT + 8, 1 + 8]);
    }
}
