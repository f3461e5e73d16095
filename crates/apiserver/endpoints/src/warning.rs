//! `Warning` headers: what a client should know beside the answer (KEP-1693, RFC 7234 section 5.5).

use http::{HeaderMap, HeaderName, HeaderValue};

const WARNING: HeaderName = HeaderName::from_static("warning");
/// Characters of all warnings together before each is cut.
const LONG: usize = 4096;
/// Characters that a cut warning keeps.
const CUT: usize = 256;

/// Adds one header for each text, as long as clients can be expected to read them.
pub(crate) fn append(headers: &mut HeaderMap, texts: &[String]) {
    let total: usize = texts.iter().map(|text| text.chars().count()).sum();
    let mut told = 0;
    for text in texts {
        if told >= LONG {
            break;
        }
        let shown: String = if total > LONG { text.chars().take(CUT).collect() } else { text.clone() };
        told += shown.chars().count();
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
        let cases = [
            ("unknown field \"spec.bogus\"", "299 - \"unknown field \\\"spec.bogus\\\"\""),
            ("", "299 - \"\""),
            ("plain", "299 - \"plain\""),
            ("two words", "299 - \"two words\""),
            ("back\\slash", "299 - \"back\\\\slash\""),
            ("\\\"", "299 - \"\\\\\\\"\""),
            ("wörld 世界", "299 - \"wörld 世界\""),
            ("a\\b\nc\u{7}", "299 - \"a\\\\b c\""),
            ("tab\there\r\nthere", "299 - \"tabhere there\""),
        ];
        for (text, want) in cases {
            assert_eq!(quoted(text), want);
        }
    }

    #[test]
    fn many_words_are_cut() {
        // Lengths of the texts, lengths of what is told.
        let cases: &[(Vec<usize>, Vec<usize>)] = &[
            (vec![], vec![]),
            (vec![4096], vec![4096]),
            (vec![4097], vec![256]),
            (vec![5000, 1], vec![256, 1]),
            (vec![2048, 2048], vec![2048, 2048]),
            (vec![2048, 2048, 1], vec![256, 256, 1]),
            (vec![300; 1000], vec![256; 16]),
            (vec![10; 1000], vec![10; 410]),
        ];
        for (texts, want) in cases {
            // Characters of two bytes, because it is characters that are counted.
            let texts: Vec<String> = texts.iter().map(|length| "é".repeat(*length)).collect();
            let mut headers = HeaderMap::new();
            append(&mut headers, &texts);
            let told: Vec<usize> = headers.get_all(WARNING).iter().map(|value| (value.len() - 8) / 2).collect();
            assert_eq!(told, *want);
        }
    }
}
