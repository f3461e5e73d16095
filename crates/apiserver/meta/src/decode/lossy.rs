//! JSON texts that are no Unicode, as other servers of this API read them: what stands for no character becomes U+FFFD.

/// The document with U+FFFD in place of each byte that is no UTF-8 and each `\\u` escape of half a surrogate pair; `None` when it
/// has none of these.
pub(super) fn mended(bytes: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    let text = without_lone_surrogates(&text).unwrap_or(text);
    (text.as_bytes() != bytes).then_some(text)
}

fn without_lone_surrogates(text: &str) -> Option<String> {
    let mut mended = String::new();
    let (mut kept, mut rest) = (0, text);
    while let Some(at) = rest.find('\\') {
        let escape = &rest[at..];
        // A backslash takes one character with it, which may be a backslash.
        let mut length = 1 + escape.chars().nth(1).map_or(0, char::len_utf8);
        match (surrogate(escape), escape.get(6..).and_then(surrogate)) {
            (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => length = 12,
            (Some(_), _) => {
                let start = text.len() - escape.len();
                mended.push_str(&text[kept..start]);
                mended.push_str("\\ufffd");
                length = 6;
                kept = start + length;
            }
            (None, _) => {}
        }
        rest = &escape[length..];
    }
    mended.push_str(&text[kept..]);
    (kept > 0).then_some(mended)
}

/// The half of a surrogate pair that an escape at the beginning of a text stands for.
fn surrogate(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let code = u32::from_str_radix(digits, 16).ok()?;
    (0xD800..0xE000).contains(&code).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::mended;

    #[test]
    fn what_stands_for_no_character_is_replaced() {
        for (bytes, want) in [
            (&br#"{"a":"\ud83d\ude00 \u00e4 \\ud800"}"#[..], None),
            (br#""\ud800""#, Some(r#""\ufffd""#)),
            (br#""\udc00x\ud800\u0041""#, Some(r#""\ufffdx\ufffd\u0041""#)),
            (br#""\\\ud800\ud83d\ude00""#, Some(r#""\\\ufffd\ud83d\ude00""#)),
            (b"\"a\xff\xfeb\"", Some("\"a\u{fffd}\u{fffd}b\"")),
            (b"\"\xe2\x82\"", Some("\"\u{fffd}\u{fffd}\"")),
            (br#""\u"#, None),
            (br#""\ud8"#, None),
            (b"\\", None),
            ("\\ä\\".as_bytes(), None),
        ] {
            assert_eq!(mended(bytes).as_deref(), want, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
