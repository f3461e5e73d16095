//! Errors of single fields: a path, what is wrong, and the bad value, in the wording of Kubernetes' field errors.

use crate::error::Cause;
use crate::excerpt::{MORE, excerpt, push_within, shorten};
use serde_json::Value;
use std::collections::HashSet;
use std::fmt;

/// How many wrong fields of one object are told of. Rules stop looking there: a body has room for a million.
pub const MOST_ERRORS: usize = 100;
/// The longest path, in bytes: the keys of maps come from clients.
const MOST_PATH: usize = 1024;
/// Maximum bytes of a bad value in an error. A valid name is shown whole.
const MOST_VALUE: usize = 512;
/// How long the text of several errors may grow before it ends, in bytes.
const MOST_AGGREGATE: usize = 8 * 1024;
/// The longest text that says what would be right, in bytes.
const MOST_DETAIL: usize = 1024;

/// A path such as `spec.access[0].verbs` or `metadata.labels[a/b]`. One that grows too long ends in `...` and grows no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath(String);

impl FieldPath {
    /// A path that starts at a top-level field.
    pub fn new(name: &str) -> Self {
        Self::default().and([name])
    }

    /// The field `name` below this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        if self.0.is_empty() { Self::new(name) } else { self.and([".", name]) }
    }

    /// The element `index` of this list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.and(["[", &index.to_string(), "]"])
    }

    /// The entry `key` of this map.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.and(["[", key, "]"])
    }

    /// What [`excerpt`] makes of all parts together. Paths are made for every object that is validated, whether something is wrong
    /// with it or not, so that they do without the machinery of formatting.
    fn and<const N: usize>(&self, more: [&str; N]) -> Self {
        if self.0.len() > MOST_PATH {
            return self.clone();
        }
        let length = more.iter().fold(self.0.len(), |length, part| length.saturating_add(part.len()));
        let mut path = String::with_capacity(length.min(MOST_PATH + MORE.len()));
        path.push_str(&self.0);
        for part in more {
            if !push_within(&mut path, part, MOST_PATH) {
                path.push_str(MORE);
                break;
            }
        }
        Self(path)
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kind of an error of a field (`field.ErrorType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the API's own and say what they mean")]
pub enum FieldErrorKind {
    Duplicate,
    Forbidden,
    Invalid,
    NotFound,
    NotSupported,
    Required,
    TooLong,
    TooMany,
    TypeInvalid,
}

impl FieldErrorKind {
    fn reason(self) -> &'static str {
        match self {
            Self::Duplicate => "FieldValueDuplicate",
            Self::Forbidden => "FieldValueForbidden",
            Self::Invalid => "FieldValueInvalid",
            Self::NotFound => "FieldValueNotFound",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Required => "FieldValueRequired",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Duplicate => "Duplicate value",
            Self::Forbidden => "Forbidden",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotFound => "Not found",
            Self::NotSupported => "Unsupported value",
            Self::Required => "Required value",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
        }
    }
}

/// One wrong field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// The kind of the error.
    pub kind: FieldErrorKind,
    /// Where.
    pub path: FieldPath,
    /// The bad value; `None` where the text does not show one.
    pub value: Option<Value>,
    /// A text that says what would be valid.
    pub detail: String,
}

impl FieldError {
    fn new(kind: FieldErrorKind, path: &FieldPath, mut value: Option<Value>, detail: impl Into<String>) -> Self {
        if let Some(Value::String(text)) = &mut value {
            shorten(text, MOST_VALUE);
        }
        let mut detail = detail.into();
        shorten(&mut detail, MOST_DETAIL);
        Self { kind, path: path.clone(), value, detail }
    }

    /// The value is there and wrong, and is not for everybody to see.
    pub fn invalid_unshown(path: &FieldPath, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Invalid, path, None, detail)
    }

    /// The value is there and wrong.
    pub fn invalid(path: &FieldPath, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Invalid, path, Some(value.into()), detail)
    }

    /// The value has the wrong JSON type.
    pub fn type_invalid(path: &FieldPath, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::TypeInvalid, path, Some(value.into()), detail)
    }

    /// The value is missing.
    pub fn required(path: &FieldPath, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Required, path, None, detail)
    }

    /// The value may not be given, or not be changed.
    pub fn forbidden(path: &FieldPath, detail: impl Into<String>) -> Self {
        Self::new(FieldErrorKind::Forbidden, path, None, detail)
    }

    /// The value occurs twice.
    pub fn duplicate(path: &FieldPath, value: impl Into<Value>) -> Self {
        Self::new(FieldErrorKind::Duplicate, path, Some(value.into()), "")
    }

    /// The value refers to something that does not exist.
    pub fn not_found(path: &FieldPath, value: impl Into<Value>) -> Self {
        Self::new(FieldErrorKind::NotFound, path, Some(value.into()), "")
    }

    /// The value is none of the `supported` ones.
    pub fn not_supported(path: &FieldPath, value: impl Into<Value>, supported: &[&str]) -> Self {
        let list = supported.iter().map(|v| quoted(v)).collect::<Vec<_>>().join(", ");
        let detail = if list.is_empty() { list } else { format!("supported values: {list}") };
        Self::new(FieldErrorKind::NotSupported, path, Some(value.into()), detail)
    }

    /// The value is longer than `max` bytes.
    pub fn too_long(path: &FieldPath, max: usize) -> Self {
        Self::new(FieldErrorKind::TooLong, path, None, format!("may not be more than {max} {}", if max == 1 { "byte" } else { "bytes" }))
    }

    /// The list has more than `max` items.
    pub fn too_many(path: &FieldPath, actual: usize, max: usize) -> Self {
        Self::new(
            FieldErrorKind::TooMany,
            path,
            Some(actual.into()),
            format!("must have at most {max} {}", if max == 1 { "item" } else { "items" }),
        )
    }

    fn body(&self) -> String {
        let mut text = self.kind.text().to_owned();
        match &self.value {
            // Strings are quoted as Go does, objects and lists are printed as JSON.
            Some(Value::String(s)) => text.push_str(&format!(": {}", quoted(s))),
            Some(other) => text.push_str(&format!(": {}", excerpt(other, MOST_VALUE))),
            None => {}
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }

    /// The cause that a `Status` shows for it.
    pub fn cause(&self) -> Cause {
        Cause { reason: self.kind.reason().into(), message: self.body(), field: self.path.to_string() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.body())
    }
}

/// A string between double quotes as Go's `%q` writes it, which is how Kubernetes shows values in errors.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if is_printable(char) => out.push(char),
            _ if char.is_ascii() => out.push_str(&format!("\\x{:02x}", u32::from(char))),
            _ if u32::from(char) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", u32::from(char))),
            _ => out.push_str(&format!("\\U{:08x}", u32::from(char))),
        }
    }
    out.push('"');
    out
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub(crate) fn is_printable(char: char) -> bool {
    if char.is_ascii() {
        return char == ' ' || char.is_ascii_graphic();
    }
    // The standard library escapes what is not printable. A mark is escaped only where it comes first.
    let mut buffer = [b'a'; 5];
    let length = char.encode_utf8(&mut buffer[1..]).len();
    std::str::from_utf8(&buffer[..=length]).is_ok_and(|text| text.escape_debug().count() == 2)
}

/// The text of a list of errors: bare when it is one, bracketed when there are several, each text once, and only the first
/// of very many.
pub fn aggregate(errors: &[FieldError]) -> String {
    let mut told = HashSet::new();
    let (mut texts, mut length, mut more) = (Vec::new(), 0, false);
    for text in errors.iter().map(ToString::to_string) {
        if texts.len() == MOST_ERRORS || length > MOST_AGGREGATE {
            more = true;
            break;
        }
        if told.insert(text.clone()) {
            length += text.len();
            texts.push(text);
        }
    }
    if more {
        texts.push(format!("and more than these {}", texts.len()));
    }
    match texts.as_slice() {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn strings_are_quoted_as_go_does() {
        for (text, want) in [
            ("a'b\"c\\", r#""a'b\"c\\""#),
            ("\n\t\x07\x1b\x7f", r#""\n\t\a\x1b\x7f""#),
            ("ä\u{301}\u{a0}\u{200b}\u{e0001}", "\"ä\u{301}\\u00a0\\u200b\\U000e0001\""),
        ] {
            assert_eq!(quoted(text), want);
        }
    }

    #[test]
    fn texts_are_those_of_upstream() {
        let path = FieldPath::new("spec").child("access").index(0).child("verbs");
        for (error, want) in [
            (FieldError::invalid(&path, "x", "bad"), r#"spec.access[0].verbs: Invalid value: "x": bad"#),
            (FieldError::invalid(&path, json!({"a": 1}), "bad"), r#"spec.access[0].verbs: Invalid value: {"a":1}: bad"#),
            (FieldError::required(&path, ""), "spec.access[0].verbs: Required value"),
            (
                FieldError::not_supported(&path, "x", &["", "a"]),
                r#"spec.access[0].verbs: Unsupported value: "x": supported values: "", "a""#,
            ),
            (FieldError::too_long(&path, 128), "spec.access[0].verbs: Too long: may not be more than 128 bytes"),
        ] {
            assert_eq!(error.to_string(), want);
        }
        let [a, b] = [FieldError::required(&path, "a"), FieldError::required(&path, "b")];
        assert_eq!(aggregate(std::slice::from_ref(&a)), a.to_string());
        assert_eq!(aggregate(&[a.clone(), b.clone(), a.clone()]), format!("[{a}, {b}]"));
    }

    #[test]
    fn paths_stop_growing() {
        let long = FieldPath::new("a").child(&"k".repeat(5000));
        assert_eq!(long.as_str().len(), MOST_PATH + 3);
        assert_eq!(long.child("b").index(7).key("c"), long);
        assert_eq!(FieldPath::new(&"k".repeat(5000)).as_str().len(), MOST_PATH + 3);
    }

    #[test]
    fn paths_are_cut_as_any_text_is() {
        let slow = |path: &FieldPath, more: String| match path.as_str().len() > MOST_PATH {
            true => path.clone(),
            false => FieldPath(excerpt(&format_args!("{}{more}", path.as_str()), MOST_PATH)),
        };
        for begin in (0..8).chain(MOST_PATH - 8..MOST_PATH + 8) {
            let path = FieldPath::new(&("ä".repeat(begin / 2) + &"x".repeat(begin % 2)));
            for name in ["", "a", "ab", "ää", "aäb", &"n".repeat(2 * MOST_PATH)] {
                let child = if path.as_str().is_empty() { name.to_owned() } else { format!(".{name}") };
                assert_eq!(path.child(name), slow(&path, child), "{begin} {name}");
                assert_eq!(path.key(name), slow(&path, format!("[{name}]")), "{begin} {name}");
            }
            assert_eq!(path.index(12), slow(&path, "[12]".into()), "{begin}");
        }
    }

    #[test]
    fn no_value_or_detail_makes_a_long_text() {
        let (path, long) = (FieldPath::new("a"), "x".repeat(1 << 20));
        for error in [
            FieldError::invalid(&path, long.as_str(), "bad"),
            FieldError::invalid(&path, json!([long, long]), "bad"),
            FieldError::forbidden(&path, long.as_str()),
            FieldError::not_supported(&path, "\u{e0001}".repeat(1 << 18), &["a"]),
        ] {
            assert!(error.to_string().len() < 4 * 1024, "{}", error.to_string().len());
            assert!(error.cause().message.contains("..."), "{error}");
        }
        let name = "n".repeat(253);
        assert!(FieldError::invalid(&path, name.as_str(), "bad").to_string().contains(&name), "a name is shown whole");
    }

    #[test]
    fn of_very_many_errors_the_first_are_told() {
        let errors: Vec<_> = (0..5000).map(|index| FieldError::required(&FieldPath::new("a").index(index), "")).collect();
        let text = aggregate(&errors);
        assert!(text.starts_with("[a[0]: Required value, ") && text.ends_with("a[99]: Required value, and more than these 100]"), "{text}");
    }
}
