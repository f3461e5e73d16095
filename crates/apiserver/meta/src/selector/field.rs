//! Field selectors: `metadata.name=a,spec.owner!=b`. In values `\`, `,` and `=` are written with a `\` before them.

use super::SelectorError;
use std::fmt;

/// A parsed field selector: every term must hold. The default selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<FieldTerm>,
}

/// One term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTerm {
    /// The field, for example `metadata.name`.
    pub field: String,
    /// How it is compared.
    pub operator: FieldOperator,
    /// With what.
    pub value: String,
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldOperator {
    /// `=` and `==`.
    Equals,
    /// `!=`.
    NotEquals,
}

impl FieldSelector {
    /// Reads the text of a `fieldSelector` parameter. Whether its fields are selectable is the kind's business:
    /// see [`FieldSelector::terms`].
    ///
    /// # Errors
    /// A term without an operator, or a value that is escaped wrongly.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut parts = split(text);
        parts.sort_unstable();
        let mut terms = Vec::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let Some((field, operator, value)) = term(part) else {
                return Err(SelectorError(format!("invalid selector: '{text}'; can't understand '{part}'")));
            };
            let value = unescape(value)?;
            if !field.is_empty() || !value.is_empty() {
                terms.push(FieldTerm { field: field.into(), operator, value });
            }
        }
        Ok(Self { terms })
    }

    /// Whether it selects an object whose fields `lookup` knows; a field that is absent is empty.
    pub fn matches<'a>(&self, lookup: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.terms.iter().all(|term| {
            let equal = lookup(&term.field).unwrap_or("") == term.value;
            equal == (term.operator == FieldOperator::Equals)
        })
    }

    /// The one value that a field must have, for example the name that a list of `metadata.name=x` can only show.
    pub fn requires_exact(&self, field: &str) -> Option<&str> {
        let exact = |term: &&FieldTerm| term.field == field && term.operator == FieldOperator::Equals;
        self.terms.iter().find(exact).map(|term| term.value.as_str())
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The terms, in the order of their texts.
    pub fn terms(&self) -> &[FieldTerm] {
        &self.terms
    }
}

/// The canonical text, which parses to the same selector.
impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let operator = match term.operator {
                FieldOperator::Equals => "=",
                FieldOperator::NotEquals => "!=",
            };
            write!(f, "{comma}{}{operator}", term.field)?;
            for char in term.value.chars() {
                if matches!(char, '\\' | ',' | '=') {
                    f.write_str("\\")?;
                }
                write!(f, "{char}")?;
            }
        }
        Ok(())
    }
}

/// The texts between commas that no `\` stands before.
fn split(text: &str) -> Vec<&str> {
    let mut escaped = false;
    text.split(|char| {
        let comma = char == ',' && !escaped;
        escaped = char == '\\' && !escaped;
        comma
    })
    .collect()
}

/// Field, operator and value, split at the first operator.
fn term(part: &str) -> Option<(&str, FieldOperator, &str)> {
    let at = part.char_indices().find(|(at, _)| part[*at..].starts_with("!=") || part[*at..].starts_with('='))?.0;
    let (field, rest) = part.split_at(at);
    if let Some(value) = rest.strip_prefix("!=") {
        return Some((field, FieldOperator::NotEquals, value));
    }
    let value = rest.strip_prefix("==").or_else(|| rest.strip_prefix('='))?;
    Some((field, FieldOperator::Equals, value))
}

fn unescape(value: &str) -> Result<String, SelectorError> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some(escaped @ ('\\' | ',' | '=')) => out.push(escaped),
                other => {
                    let sequence: String = std::iter::once('\\').chain(other).collect();
                    return Err(SelectorError(format!("invalid field selector: invalid escape sequence: {sequence}")));
                }
            },
            ',' | '=' => {
                let code = u32::from(char);
                return Err(SelectorError(format!("invalid field selector: unescaped character in value: {code}")));
            }
            _ => out.push(char),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn good_selectors_print_in_canonical_form() {
        for (text, want) in [
            ("", ""),
            (",", ""),
            ("metadata.name=a", "metadata.name=a"),
            ("y==b,x!=a", "x!=a,y=b"),
            (r"x=a\,b\=c\\", r"x=a\,b\=c\\"),
            ("x=", "x="),
            ("=", ""),
            ("=a", "=a"),
        ] {
            assert_eq!(FieldSelector::parse(text).map(|s| s.to_string()), Ok(want.into()), "{text}");
        }
    }

    #[test]
    fn bad_selectors_are_told_why() {
        for (text, want) in [
            ("a", "invalid selector: 'a'; can't understand 'a'"),
            ("x=a,b", "invalid selector: 'x=a,b'; can't understand 'b'"),
            ("x=a=b", "invalid field selector: unescaped character in value: 61"),
            (r"x=a\b", r"invalid field selector: invalid escape sequence: \b"),
            (r"x=a\", r"invalid field selector: invalid escape sequence: \"),
        ] {
            assert_eq!(FieldSelector::parse(text).unwrap_err().to_string(), want, "{text}");
        }
    }

    #[test]
    fn terms_match_and_show_what_they_require() {
        let lookup = |field: &str| match field {
            "metadata.name" => Some("a"),
            "spec.owner" => Some(""),
            _ => None,
        };
        for (text, want) in [
            ("", true),
            ("metadata.name=a", true),
            ("metadata.name!=a", false),
            ("metadata.name=a,metadata.name!=b", true),
            ("spec.owner=", true),
            ("spec.nothing=", true),
            ("spec.nothing!=x", true),
            ("spec.nothing=x", false),
        ] {
            assert_eq!(FieldSelector::parse(text).unwrap().matches(lookup), want, "{text}");
        }
        let selector = FieldSelector::parse("metadata.name==a,metadata.namespace!=b").unwrap();
        assert_eq!(selector.requires_exact("metadata.name"), Some("a"));
        assert_eq!(selector.requires_exact("metadata.namespace"), None);
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(text in "([a-z.]{0,3}(=|==|!=)[a-z\\\\,=]{0,4},?){0,4}") {
            if let Ok(selector) = FieldSelector::parse(&text) {
                let printed = FieldSelector::parse(&selector.to_string()).unwrap();
                // Terms are sorted as they were written, and `==` is printed as `=`: the order may change.
                prop_assert!(printed.terms().iter().all(|term| selector.terms().contains(term)), "{printed}");
                prop_assert_eq!(printed.terms().len(), selector.terms().len());
            }
        }

        #[test]
        fn any_text_is_a_selector_or_a_short_error(text in "\\PC{0,32}") {
            match FieldSelector::parse(&text) {
                Ok(selector) => prop_assert!(FieldSelector::parse(&selector.to_string()).is_ok_and(|again| again.terms().len() == selector.terms().len())),
                Err(error) => prop_assert!((1..1000).contains(&error.to_string().len()), "{error}"),
            }
        }
    }
}
