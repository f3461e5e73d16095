//! Label selectors: `env in (dev,test),tier!=db,!legacy`.

use super::SelectorError;
use super::lexer::{Token, tokens};
use crate::field::{FieldError, FieldPath, MOST_ERRORS, aggregate, quoted};
use crate::validation::{is_qualified_name, is_valid_label_value};
use std::fmt;

/// A parsed label selector: every requirement must hold. The default selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<LabelRequirement>,
}

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRequirement {
    /// The label.
    pub key: String,
    /// How it is compared.
    pub operator: LabelOperator,
    /// With what: sorted, each once; empty for the operators that ask for presence.
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the API's own and say what they mean")]
pub enum LabelOperator {
    In,
    NotIn,
    Equals,
    DoubleEquals,
    NotEquals,
    GreaterThan,
    LessThan,
    Exists,
    DoesNotExist,
}

impl LabelSelector {
    /// Reads the text of a `labelSelector` parameter.
    ///
    /// # Errors
    /// A text that is not of the grammar, or a key or value that no label can have.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let tokens = tokens(text);
        let mut requirements = Parser { tokens: &tokens }.selector().map_err(SelectorError)?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { requirements })
    }

    /// Whether it selects an object with these labels, which are sorted by key.
    pub fn matches<S: AsRef<str>>(&self, labels: &[(S, S)]) -> bool {
        self.requirements.iter().all(|requirement| {
            let found = labels.binary_search_by(|(key, _)| key.as_ref().cmp(&requirement.key)).ok();
            requirement.matches(found.and_then(|at| labels.get(at)).map(|(_, value)| value.as_ref()))
        })
    }

    /// Whether it selects everything.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The requirements, sorted by key.
    pub fn requirements(&self) -> &[LabelRequirement] {
        &self.requirements
    }
}

impl LabelRequirement {
    /// Whether it holds for a label's value, or for a label that is not there.
    fn matches(&self, value: Option<&str>) -> bool {
        let among = |value: &str| self.values.binary_search_by(|wanted| wanted.as_str().cmp(value)).is_ok();
        match self.operator {
            LabelOperator::In | LabelOperator::Equals | LabelOperator::DoubleEquals => value.is_some_and(among),
            LabelOperator::NotIn | LabelOperator::NotEquals => !value.is_some_and(among),
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
            LabelOperator::GreaterThan => self.numbers(value).is_some_and(|(label, bound)| label > bound),
            LabelOperator::LessThan => self.numbers(value).is_some_and(|(label, bound)| label < bound),
        }
    }

    /// The label and the bound as numbers; nothing where one is none.
    fn numbers(&self, value: Option<&str>) -> Option<(i64, i64)> {
        Some((value?.parse().ok()?, self.values.first()?.parse().ok()?))
    }
}

/// The canonical text, which parses to the same selector.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for LabelRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, operator, values } = self;
        let values = values.join(",");
        match operator {
            LabelOperator::In => write!(f, "{key} in ({values})"),
            LabelOperator::NotIn => write!(f, "{key} notin ({values})"),
            LabelOperator::Equals => write!(f, "{key}={values}"),
            LabelOperator::DoubleEquals => write!(f, "{key}=={values}"),
            LabelOperator::NotEquals => write!(f, "{key}!={values}"),
            LabelOperator::GreaterThan => write!(f, "{key}>{values}"),
            LabelOperator::LessThan => write!(f, "{key}<{values}"),
            LabelOperator::Exists => f.write_str(key),
            LabelOperator::DoesNotExist => write!(f, "!{key}"),
        }
    }
}

/// Upstream's recursive descent, with its errors.
struct Parser<'a> {
    tokens: &'a [Token<'a>],
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        self.tokens.first().copied().unwrap_or(Token::End)
    }

    fn take(&mut self) -> Token<'a> {
        let token = self.peek();
        self.tokens = self.tokens.get(1..).unwrap_or_default();
        token
    }

    fn selector(mut self) -> Result<Vec<LabelRequirement>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.peek().as_word() {
                Token::Word(_) | Token::Bang => {
                    requirements.push(self.requirement().map_err(|error| format!("unable to parse requirement: {error}"))?);
                }
                Token::End => return Ok(requirements),
                other => return Err(format!("found '{}', expected: !, identifier, or 'end of string'", other.text())),
            }
            match self.take() {
                Token::End => return Ok(requirements),
                Token::Comma if matches!(self.peek().as_word(), Token::Word(_) | Token::Bang) => {}
                Token::Comma => return Err(format!("found '{}', expected: identifier after ','", self.peek().text())),
                other => return Err(format!("found '{}', expected: ',' or 'end of string'", other.text())),
            }
        }
    }

    fn requirement(&mut self) -> Result<LabelRequirement, String> {
        let absent = self.peek() == Token::Bang;
        if absent {
            self.take();
        }
        let key = match self.take().as_word() {
            Token::Word(key) => key,
            other => return Err(format!("found '{}', expected: identifier", other.text())),
        };
        let errors = is_qualified_name(key);
        if !errors.is_empty() {
            return Err(format!("<nil>: Invalid value: {}: {}", quoted(key), errors.join("; ")));
        }
        if absent {
            return requirement(key, LabelOperator::DoesNotExist, Vec::new());
        }
        if matches!(self.peek(), Token::End | Token::Comma) {
            return requirement(key, LabelOperator::Exists, Vec::new());
        }
        let operator = self.operator()?;
        let mut values = match operator {
            LabelOperator::In | LabelOperator::NotIn => self.values()?,
            _ => vec![self.value()?],
        };
        values.sort_unstable();
        values.dedup();
        requirement(key, operator, values)
    }

    fn operator(&mut self) -> Result<LabelOperator, String> {
        match self.take() {
            Token::In => Ok(LabelOperator::In),
            Token::NotIn => Ok(LabelOperator::NotIn),
            Token::Equal => Ok(LabelOperator::Equals),
            Token::DoubleEqual => Ok(LabelOperator::DoubleEquals),
            Token::NotEqual => Ok(LabelOperator::NotEquals),
            Token::Greater => Ok(LabelOperator::GreaterThan),
            Token::Less => Ok(LabelOperator::LessThan),
            other => Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", other.text())),
        }
    }

    /// The one value after `=` and its like; nothing is the empty value.
    fn value(&mut self) -> Result<&'a str, String> {
        if matches!(self.peek(), Token::End | Token::Comma) {
            return Ok("");
        }
        match self.take().as_word() {
            Token::Word(value) => Ok(value),
            other => Err(format!("found '{}', expected: identifier", other.text())),
        }
    }

    /// The values in parentheses. `()`, `(,` and `,)` hold the empty value.
    fn values(&mut self) -> Result<Vec<&'a str>, String> {
        match self.take() {
            Token::Open => {}
            other => return Err(format!("found '{}' expected: '('", other.text())),
        }
        match self.peek().as_word() {
            Token::Word(_) | Token::Comma => {
                let values = self.list()?;
                self.take();
                Ok(values)
            }
            Token::Close => {
                self.take();
                Ok(vec![""])
            }
            other => Err(format!("found '{}', expected: ',', ')' or identifier", other.text())),
        }
    }

    /// Values and commas up to a closing parenthesis, which stays.
    fn list(&mut self) -> Result<Vec<&'a str>, String> {
        let mut values = Vec::new();
        loop {
            match self.take().as_word() {
                Token::Word(value) => {
                    values.push(value);
                    match self.peek() {
                        Token::Comma => {}
                        Token::Close => return Ok(values),
                        other => return Err(format!("found '{}', expected: ',' or ')'", other.text())),
                    }
                }
                Token::Comma => {
                    if values.is_empty() || matches!(self.peek(), Token::Close | Token::Comma) {
                        values.push("");
                    }
                    if self.peek() == Token::Close {
                        return Ok(values);
                    }
                }
                other => return Err(format!("found '{}', expected: ',', or identifier", other.text())),
            }
        }
    }
}

fn requirement(key: &str, operator: LabelOperator, values: Vec<&str>) -> Result<LabelRequirement, String> {
    let path = FieldPath::new("values");
    let mut errors = Vec::new();
    for (index, value) in values.iter().enumerate() {
        if matches!(operator, LabelOperator::GreaterThan | LabelOperator::LessThan) && value.parse::<i64>().is_err() {
            errors.push(FieldError::invalid(&path.index(index), *value, "for 'Gt', 'Lt' operators, the value must be an integer"));
        }
    }
    for (index, value) in values.iter().enumerate() {
        if errors.len() >= MOST_ERRORS {
            break;
        }
        let texts = is_valid_label_value(value);
        if !texts.is_empty() {
            errors.push(FieldError::invalid(&path.index(index).key(key), *value, texts.join("; ")));
        }
    }
    if !errors.is_empty() {
        return Err(aggregate(&errors));
    }
    Ok(LabelRequirement { key: key.into(), operator, values: values.into_iter().map(str::to_owned).collect() })
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
            ("x=a,y=b,z=c", "x=a,y=b,z=c"),
            ("y == b , x!=a", "x!=a,y==b"),
            ("x=", "x="),
            ("x=,z= ", "x=,z="),
            ("x,!y", "x,!y"),
            ("! y", "!y"),
            ("z in (foo,bar,bar),x notin ()", "x notin (),z in (bar,foo)"),
            ("x in (,a)", "x in (,a)"),
            ("x in (a,)", "x in (,a)"),
            ("x in (a,,b)", "x in (,a,b)"),
            ("x>1 , y<5", "x>1,y<5"),
            ("in,notin", "in,notin"),
            ("in in (in,notin)", "in in (in,notin)"),
            ("x==notin", "x==notin"),
            ("example.com/a=b", "example.com/a=b"),
        ] {
            assert_eq!(LabelSelector::parse(text).map(|s| s.to_string()), Ok(want.into()), "{text}");
        }
    }

    #[test]
    fn bad_selectors_are_told_why() {
        for (text, want) in [
            ("env in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
            ("x=a||y=b", "unable to parse requirement: values[0][x]: Invalid value: \"a||y\": a valid label must"),
            ("x==a==b", "found '==', expected: ',' or 'end of string'"),
            ("x,", "found '', expected: identifier after ','"),
            (",x", "found ',', expected: !, identifier, or 'end of string'"),
            ("!x=a", "found '=', expected: ',' or 'end of string'"),
            ("!", "unable to parse requirement: found '', expected: identifier"),
            ("x a", "unable to parse requirement: found 'a', expected: in, notin, =, ==, !=, gt, lt"),
            ("x in a", "unable to parse requirement: found 'a' expected: '('"),
            ("x in (a b)", "unable to parse requirement: found 'b', expected: ',' or ')'"),
            ("x in (a,(", "unable to parse requirement: found '(', expected: ',', or identifier"),
            ("x=(", "unable to parse requirement: found '(', expected: identifier"),
            ("-x=a", "unable to parse requirement: <nil>: Invalid value: \"-x\": name part must"),
            ("x>a", "unable to parse requirement: values[0]: Invalid value: \"a\": for 'Gt', 'Lt' operators, the value must be an integer"),
        ] {
            let error = LabelSelector::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(want), "{text}: {error}");
        }
    }

    #[test]
    fn requirements_match_as_upstream() {
        let labels: Vec<(String, String)> =
            [("app", "web"), ("env", "dev"), ("n", "5"), ("z", "")].map(|(key, value)| (key.into(), value.into())).into();
        for (text, want) in [
            ("", true),
            ("app=web", true),
            ("app==db", false),
            ("app!=db,env=dev", true),
            ("nope!=db", true),
            ("env in (dev,test)", true),
            ("env notin (dev,test)", false),
            ("nope notin (a)", true),
            ("nope in (a)", false),
            ("app,!nope", true),
            ("!app", false),
            ("n>4,n<6", true),
            ("n>5", false),
            ("app>5", false),
            ("z=", true),
            ("nope=", false),
        ] {
            assert_eq!(LabelSelector::parse(text).unwrap().matches(&labels), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(text in "([a-z]{1,2}( in | notin |=|==|!=|>|<|!|,|\\(|\\)| )?){0,8}") {
            if let Ok(selector) = LabelSelector::parse(&text) {
                prop_assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector));
            }
        }

        #[test]
        fn any_text_is_a_selector_or_a_short_error(text in "\\PC{0,32}") {
            match LabelSelector::parse(&text) {
                Ok(selector) => prop_assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector)),
                Err(error) => prop_assert!((1..1000).contains(&error.to_string().len()), "{error}"),
            }
        }
    }
}
