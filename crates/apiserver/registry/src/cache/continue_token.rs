//! `continue`: where the next page of a list begins.
//!
//! The form is upstream's: base64url of `{"v":"meta.k8s.io/v1","rv":N,"start":"..."}`. `start` is the full path inside
//! of the collection, so that a token of one namespace is refused in another. Beside it the token carries how many
//! objects were left, which spares counting them again.

use apiserver_meta::ApiError;
use apiserver_store::Revision;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine, alphabet};
use serde::{Deserialize, Serialize};

/// As Go reads it: without padding, bits behind the last byte ignored.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

const VERSION: &str = "meta.k8s.io/v1";

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Continue {
    /// The revision that all pages show; `None`: the newest, because the first pages' one is forgotten.
    pub(super) revision: Option<Revision>,
    /// The first path of the page.
    pub(super) start: String,
    /// How many objects there were from `start` on, where that is known.
    pub(super) left: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(default)]
    v: String,
    #[serde(default)]
    rv: i64,
    #[serde(default)]
    start: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left: Option<u64>,
}

impl Continue {
    /// The token's text.
    pub(super) fn encode(&self) -> String {
        let rv = self.revision.map_or(-1, |revision| i64::try_from(revision).unwrap_or(i64::MAX));
        let wire = Wire { v: VERSION.into(), rv, start: self.start.clone(), left: self.left };
        // A struct of strings and numbers always serialises.
        BASE64.encode(serde_json::to_vec(&wire).unwrap_or_default())
    }

    /// Reads a token for paths that begin with `prefix`.
    ///
    /// # Errors
    /// 400 when it is no token, or one for other paths.
    pub(super) fn decode(token: &str, prefix: &str) -> Result<Self, ApiError> {
        let invalid = |why: &str| ApiError::bad_request(format!("invalid continue token: continue key is not valid{why}"));
        let bytes = BASE64.decode(token).map_err(|e| invalid(&undecodable(&e)))?;
        let wire: Wire = serde_json::from_slice(&bytes).map_err(|e| invalid(&unreadable(&bytes, &e)))?;
        if wire.v != VERSION {
            return Err(invalid(&format!(": server does not recognize this encoded version {}", wire.v)));
        }
        if wire.rv == 0 || wire.rv < -1 {
            return Err(invalid(": incorrect encoded start resourceVersion (version meta.k8s.io/v1)"));
        }
        if wire.start.is_empty() {
            return Err(invalid(": encoded start key empty (version meta.k8s.io/v1)"));
        }
        if !is_clean(&wire.start) || !wire.start.starts_with(prefix) {
            return Err(invalid(&format!(": {}", wire.start)));
        }
        Ok(Self { revision: Revision::try_from(wire.rv).ok(), start: wire.start, left: wire.left })
    }
}

/// Whether every segment names something: none is empty, `.` or `..`.
fn is_clean(path: &str) -> bool {
    path.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

/// The error about the text, in upstream's words.
fn undecodable(error: &DecodeError) -> String {
    let (DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) | DecodeError::InvalidLength(at)) = error else {
        return format!(": {error}");
    };
    format!(": illegal base64 data at input byte {at}")
}

/// The error about the JSON inside, in upstream's words where clients see them most: bytes that are no JSON at all.
fn unreadable(bytes: &[u8], error: &serde_json::Error) -> String {
    match bytes.first() {
        None => ": unexpected end of JSON input".into(),
        Some(b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => format!(": {error}"),
        Some(&byte) => format!(": invalid character '{}' looking for beginning of value", character(byte)),
    }
}

/// A byte as Go quotes the character of that number.
fn character(byte: u8) -> String {
    match byte {
        0x07 => "\\a".into(),
        0x08 => "\\b".into(),
        0x0b => "\\v".into(),
        0x0c => "\\f".into(),
        0x00..=0x1f | 0x7f => format!("\\x{byte:02x}"),
        0x80..=0xa0 | 0xad => format!("\\u{byte:04x}"),
        b'\'' => "\\'".into(),
        b'\\' => "\\\\".into(),
        _ => char::from(byte).into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn raw(json: &str) -> String {
        BASE64.encode(json)
    }

    #[test]
    fn a_token_comes_back_as_it_was() {
        for (revision, left) in [(Some(7), Some(3)), (Some(1), None), (None, None)] {
            let token = Continue { revision, start: "team/a".into(), left };
            assert_eq!(Continue::decode(&token.encode(), "team/").unwrap(), token);
            assert_eq!(Continue::decode(&token.encode(), "").unwrap(), token);
        }
    }

    #[test]
    fn the_form_is_upstreams() {
        let token = Continue { revision: Some(12), start: "team/a".into(), left: None };
        assert_eq!(token.encode(), raw(r#"{"v":"meta.k8s.io/v1","rv":12,"start":"team/a"}"#));
        let token = Continue { revision: None, ..token };
        assert_eq!(token.encode(), raw(r#"{"v":"meta.k8s.io/v1","rv":-1,"start":"team/a"}"#));
    }

    #[test]
    fn bad_tokens_are_refused() {
        let table = [
            ("garbage".into(), ": invalid character '\\u0081' looking for beginning of value"),
            ("a*b".into(), ": illegal base64 data at input byte 1"),
            (raw("x"), ": invalid character 'x' looking for beginning of value"),
            (raw(r#"{"v":"v2","rv":1,"start":"team/a"}"#), ": server does not recognize this encoded version v2"),
            (raw(r#"{"v":"meta.k8s.io/v1","start":"team/a"}"#), ": incorrect encoded start resourceVersion (version meta.k8s.io/v1)"),
            (raw(r#"{"v":"meta.k8s.io/v1","rv":1}"#), ": encoded start key empty (version meta.k8s.io/v1)"),
            (raw(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"team/../a"}"#), ": team/../a"),
            (raw(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"team//a"}"#), ": team//a"),
            (raw(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"/team/a"}"#), ": /team/a"),
            (raw(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"other/a"}"#), ": other/a"),
            (raw(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"team2/a"}"#), ": team2/a"),
        ];
        for (token, why) in table {
            let error = Continue::decode(&token, "team/").unwrap_err();
            assert_eq!(error.code(), 400);
            assert_eq!(error.message, format!("invalid continue token: continue key is not valid{why}"));
        }
    }
}
