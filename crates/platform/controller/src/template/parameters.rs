//! The parameters of an instance: from YAML text to the values of a template.
//!
//! A parameter has the type that the template declares, however it is written: a scalar is read by that type, so that a version
//! `1.20` stays a text. What a template declares is all that it gets; other keys are told of and left out, since nobody has
//! checked them. A template that is written out in the instance declares nothing and gets the whole text.

use super::{ERROR_SYNCING_PARAMETERS, TemplateError, quoted};
use apiserver_meta::decode::{parse_yaml, parse_yaml_as};
use apiserver_meta::schema::{Field, MapMerge, Presence, Schema, Shape};
use regex::RegexBuilder;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use vci_management::types::AppParameter;

/// The longest text.
const LONGEST: usize = 256 << 10;
/// How large a compiled regular expression may be.
const REGEX_SIZE: usize = 1 << 20;
/// How many keys that no parameter declares are told of.
const MOST_UNKNOWN: usize = 20;

/// Parameters with everything filled in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filled {
    /// What the template knows as `.Values`, without `.Values.loft`.
    pub values: Map<String, Value>,
    /// The new `spec.parameters`, when defaults were added to it.
    pub write_back: Option<String>,
    /// Keys that the template does not declare, such as a misspelt one; at most 20.
    pub unknown: Vec<String>,
}

/// Reads `spec.parameters` for a template that declares these parameters; `None`: it cannot declare any.
///
/// # Errors
/// The text is no map in YAML, or a value is not what its parameter says. The message names the parameter.
pub fn fill(text: &str, declared: Option<&[AppParameter]>) -> Result<Filled, TemplateError> {
    let mut given = read(text, declared.unwrap_or_default())?;
    let Some(declared) = declared else {
        return Ok(Filled { values: given, ..Filled::default() });
    };
    let (mut values, mut added) = (Map::new(), false);
    let mut unknown = given.clone();
    for parameter in declared {
        let path: Vec<_> = parameter.variable.split('.').collect();
        let written = get(&given, &path);
        let value = check(parameter, written)?;
        if written.is_none() && !parameter.default_value.is_empty() {
            added |= set(&mut given, &path, value.clone());
        }
        if !set(&mut values, &path, value) {
            return Err(fault(parameter, "lies below another parameter of the template"));
        }
        remove(&mut unknown, &path);
    }
    let mut names = Vec::new();
    leaves(&unknown, "", &mut names);
    let write_back = added.then(|| yaml(&given)).transpose()?;
    Ok(Filled { values, write_back, unknown: names })
}

fn yaml(given: &Map<String, Value>) -> Result<String, TemplateError> {
    serde_yaml::to_string(given).map_err(|error| refuse(format!("spec.parameters cannot be written: {error}")))
}

fn refuse(message: impl Into<String>) -> TemplateError {
    TemplateError::new(ERROR_SYNCING_PARAMETERS, message)
}

fn fault(parameter: &AppParameter, message: impl std::fmt::Display) -> TemplateError {
    let label = if parameter.label.is_empty() { String::new() } else { format!(" ({})", quoted(&parameter.label)) };
    refuse(format!("parameter {}{label} {message}", parameter.variable))
}

fn read(text: &str, declared: &[AppParameter]) -> Result<Map<String, Value>, TemplateError> {
    if text.len() > LONGEST {
        return Err(refuse(format!("spec.parameters may have at most {LONGEST} bytes")));
    }
    let parsed = if declared.is_empty() { parse_yaml(text.as_bytes()) } else { parse_yaml_as(text.as_bytes(), &schema(declared)) };
    let parsed = parsed.map_err(|error| refuse(format!("spec.parameters: {error}")))?;
    if let Some(twice) = parsed.duplicates.first() {
        return Err(refuse(format!("spec.parameters has {} twice", quoted(twice))));
    }
    match parsed.value {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(refuse("spec.parameters must be a map in YAML, such as \"size: large\"")),
    }
}

/// What is expected where, for reading scalars.
fn schema(declared: &[AppParameter]) -> Schema {
    let mut root = Tree::default();
    for parameter in declared {
        let mut node = &mut root;
        for part in parameter.variable.split('.') {
            node = node.members.entry(part.to_owned()).or_default();
        }
        node.shape = match parameter.r#type.as_str() {
            "boolean" => Some(Shape::Boolean),
            "number" => Some(Shape::Integer { format: "int64".into() }),
            _ => Some(Shape::String { format: None, allowed: Vec::new() }),
        };
    }
    root.schema()
}

#[derive(Default)]
struct Tree {
    shape: Option<Shape>,
    members: BTreeMap<String, Tree>,
}

impl Tree {
    fn schema(self) -> Schema {
        if self.members.is_empty() {
            return Schema::plain(self.shape.unwrap_or(Shape::Any));
        }
        let field = |tree: Tree| Field {
            schema: Arc::new(tree.schema()),
            description: String::new(),
            presence: Presence::Optional,
            required: false,
            default: None,
        };
        let fields = self.members.into_iter().map(|(name, tree)| (name, field(tree))).collect();
        Schema::plain(Shape::Object { fields, merge: MapMerge::Granular })
    }
}

/// The value of a parameter, with the type that it declares.
fn check(parameter: &AppParameter, written: Option<&Value>) -> Result<Value, TemplateError> {
    let text = match written {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Array(_) | Value::Object(_)) => return Err(fault(parameter, "must be a single value, not a list or a map")),
    };
    let text = if text.is_empty() { parameter.default_value.clone() } else { text };
    if text.is_empty() && parameter.required {
        return Err(fault(parameter, "is required"));
    }
    match parameter.r#type.as_str() {
        "" | "string" | "password" | "multiline" => check_text(parameter, text).map(Value::String),
        // A switch that nobody has touched is off.
        "boolean" if text.is_empty() => Ok(Value::Bool(false)),
        "boolean" => {
            boolean(&text).map(Value::Bool).ok_or_else(|| fault(parameter, format!("is {}, but must be true or false", quoted(&text))))
        }
        "number" => check_number(parameter, &text).map(|number| Value::Number(number.into())),
        other => Err(fault(parameter, format!("has the unknown type {} in the template", quoted(other)))),
    }
}

fn check_number(parameter: &AppParameter, text: &str) -> Result<i64, TemplateError> {
    if text.is_empty() {
        return Err(fault(parameter, "needs a whole number: the template has no default for it"));
    }
    let number: i64 = text.parse().map_err(|_| fault(parameter, format!("is {}, but must be a whole number", quoted(text))))?;
    match (parameter.min, parameter.max) {
        (Some(min), _) if number < min => Err(fault(parameter, format!("is {number}, but must be at least {min}"))),
        (_, Some(max)) if number > max => Err(fault(parameter, format!("is {number}, but must be at most {max}"))),
        _ => Ok(number),
    }
}

fn check_text(parameter: &AppParameter, text: String) -> Result<String, TemplateError> {
    // Options are suggestions when there is a rule as well, and otherwise all that there is.
    if parameter.options.contains(&text) {
        return Ok(text);
    }
    let has_rule = !parameter.validation.is_empty() || !parameter.invalidation.is_empty();
    if !parameter.options.is_empty() && !has_rule && !text.is_empty() {
        let shown: Vec<_> = parameter.options.iter().take(20).map(|option| quoted(option)).collect();
        return Err(fault(parameter, format!("must be one of {}", shown.join(", "))));
    }
    for (pattern, wanted, must) in [(&parameter.validation, true, "must match"), (&parameter.invalidation, false, "must not match")] {
        if !pattern.is_empty() && matches(parameter, pattern, &text)? != wanted {
            return Err(fault(parameter, format!("{must} the regular expression {}", quoted(pattern))));
        }
    }
    Ok(text)
}

/// Takes time that grows with the text only: the engine has no backtracking.
fn matches(parameter: &AppParameter, pattern: &str, text: &str) -> Result<bool, TemplateError> {
    let regex = RegexBuilder::new(pattern).size_limit(REGEX_SIZE).dfa_size_limit(REGEX_SIZE).build();
    let refused = |_| fault(parameter, format!("has a regular expression in the template that cannot be used: {}", quoted(pattern)));
    Ok(regex.map_err(refused)?.is_match(text))
}

/// Go's `strconv.ParseBool`.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

fn get<'a>(map: &'a Map<String, Value>, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let value = map.get(*first)?;
    if rest.is_empty() { Some(value) } else { get(value.as_object()?, rest) }
}

/// Whether there was room: not when something else than a map lies on the way, or something at the end.
fn set(map: &mut Map<String, Value>, path: &[&str], value: Value) -> bool {
    let Some((first, rest)) = path.split_first() else { return false };
    if rest.is_empty() {
        return map.insert((*first).to_owned(), value).is_none();
    }
    let next = map.entry(*first).or_insert_with(|| Value::Object(Map::new()));
    next.as_object_mut().is_some_and(|next| set(next, rest, value))
}

/// Removes a value, and the maps that are empty then.
fn remove(map: &mut Map<String, Value>, path: &[&str]) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        map.remove(*first);
    } else if let Some(Value::Object(next)) = map.get_mut(*first) {
        remove(next, rest);
        if next.is_empty() {
            map.remove(*first);
        }
    }
}

fn leaves(map: &Map<String, Value>, path: &str, names: &mut Vec<String>) {
    for (key, value) in map {
        if names.len() >= MOST_UNKNOWN {
            return;
        }
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Object(next) if !next.is_empty() => leaves(next, &path, names),
            _ => names.push(path.chars().take(100).collect()),
        }
    }
}

/// Puts a value of a command line, `NAME=VALUE`, into parameters. Whatever it is, the type of its parameter decides.
pub(super) fn set_text(map: &mut Map<String, Value>, name: &str, text: &str) -> bool {
    let path: Vec<_> = name.split('.').collect();
    remove(map, &path);
    set(map, &path, text.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn declared(value: Value) -> Vec<AppParameter> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn values_have_the_types_that_are_declared() {
        let parameters = declared(json!([
            {"variable": "version", "type": "string"},
            {"variable": "text"},
            {"variable": "ingress.enabled", "type": "boolean"},
            {"variable": "ingress.replicas", "type": "number", "min": 1, "max": 5},
            {"variable": "key", "type": "password"},
        ]));
        let text = "version: 1.20\ntext: yes\ningress: {enabled: on, replicas: '3'}\nkey: 007\n";
        let filled = fill(text, Some(&parameters)).unwrap();
        let want = json!({"version": "1.20", "text": "yes", "ingress": {"enabled": true, "replicas": 3}, "key": "007"});
        assert_eq!((Value::Object(filled.values), filled.write_back, filled.unknown), (want, None, vec![]));
    }

    #[test]
    fn each_value_is_checked_by_its_parameter() {
        let ok = |value: Value| Ok(value);
        let table: Vec<(Value, &str, Result<Value, &str>)> = vec![
            // Texts.
            (json!({}), "", ok(json!(""))),
            (json!({"defaultValue": "d"}), "", ok(json!("d"))),
            (json!({"defaultValue": "d"}), "p: ''", ok(json!("d"))),
            (json!({"defaultValue": "d"}), "p: null", ok(json!("d"))),
            (json!({"defaultValue": "d"}), "p: x", ok(json!("x"))),
            (json!({"required": true}), "", Err("parameter p is required")),
            (json!({"required": true, "label": "The P"}), "p:", Err("parameter p (\"The P\") is required")),
            (json!({"required": true, "defaultValue": "d"}), "", ok(json!("d"))),
            (json!({"options": ["a", "b"]}), "p: a", ok(json!("a"))),
            (json!({"options": ["a", "b"]}), "p: c", Err("must be one of \"a\", \"b\"")),
            (json!({"options": ["a", "b"]}), "", ok(json!(""))),
            (json!({"options": ["A"], "validation": "^[a-z]$"}), "p: A", ok(json!("A"))),
            (json!({"options": ["A"], "validation": "^[a-z]$"}), "p: b", ok(json!("b"))),
            (json!({"options": ["A"], "validation": "^[a-z]$"}), "p: B", Err("parameter p must match the regular expression \"^[a-z]$\"")),
            (json!({"validation": "^[a-z]+$"}), "", Err("must match")),
            (json!({"invalidation": "[0-9]"}), "p: a1", Err("parameter p must not match the regular expression \"[0-9]\"")),
            (json!({"invalidation": "[0-9]"}), "p: a", ok(json!("a"))),
            (json!({"validation": "("}), "p: a", Err("cannot be used")),
            (json!({"validation": "(((a{100}){100}){100}){100}"}), "p: a", Err("cannot be used")),
            (json!({}), "p: [a]", Err("must be a single value")),
            (json!({}), "p: {a: b}", Err("must be a single value")),
            (json!({"type": "multiline"}), "p: |\n  a\n  b\n", ok(json!("a\nb\n"))),
            (json!({"type": "password", "validation": "x"}), "p: s3cret", Err("must match")),
            // Switches.
            (json!({"type": "boolean"}), "", ok(json!(false))),
            (json!({"type": "boolean", "defaultValue": "True"}), "", ok(json!(true))),
            (json!({"type": "boolean", "required": true}), "", Err("is required")),
            (json!({"type": "boolean"}), "p: 't'", ok(json!(true))),
            (json!({"type": "boolean"}), "p: 0", ok(json!(false))),
            (json!({"type": "boolean"}), "p: maybe", Err("is \"maybe\", but must be true or false")),
            (json!({"type": "boolean", "defaultValue": "x"}), "", Err("must be true or false")),
            // Numbers.
            (json!({"type": "number"}), "p: 5", ok(json!(5))),
            (json!({"type": "number"}), "p: '-5'", ok(json!(-5))),
            (json!({"type": "number"}), "p: 5.5", Err("is \"5.5\", but must be a whole number")),
            (json!({"type": "number"}), "p: 99999999999999999999", Err("whole number")),
            (json!({"type": "number"}), "", Err("needs a whole number")),
            (json!({"type": "number", "required": true}), "", Err("is required")),
            (json!({"type": "number", "defaultValue": "7"}), "", ok(json!(7))),
            (json!({"type": "number", "min": 1, "max": 3}), "p: 1", ok(json!(1))),
            (json!({"type": "number", "min": 1, "max": 3}), "p: 0", Err("is 0, but must be at least 1")),
            (json!({"type": "number", "min": 1, "max": 3}), "p: 4", Err("is 4, but must be at most 3")),
            (json!({"type": "number", "min": 0}), "p: -1", Err("at least 0")),
            (json!({"type": "integer"}), "p: 1", Err("unknown type \"integer\"")),
        ];
        for (mut parameter, text, want) in table {
            parameter["variable"] = "p".into();
            let got = fill(text, Some(&declared(json!([parameter]))));
            match (&got, &want) {
                (Ok(filled), Ok(value)) => assert_eq!(&filled.values["p"], value, "{parameter} {text}"),
                (Err(error), Err(part)) => {
                    assert!(error.reason == ERROR_SYNCING_PARAMETERS && error.message.contains(part), "{parameter} {text}: {error}");
                    assert!(error.message.contains("parameter p") && !error.message.contains("s3cret"), "{error}");
                }
                _ => panic!("{parameter} {text}: {got:?}"),
            }
        }
    }

    #[test]
    fn texts_that_are_no_parameters_are_refused() {
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
            d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]";
        let long = format!("a: {}", "x".repeat(LONGEST));
        let deep = format!("a: {}", "[".repeat(1000));
        for text in ["- a", "text", "a: [", "a: 1\na: 2", "<<: {a: b}", bomb, &long, &deep] {
            for declared in [None, Some(&[][..])] {
                let error = fill(text, declared).unwrap_err();
                assert!(error.message.contains("spec.parameters"), "{text:.50}: {error}");
            }
        }
        assert_eq!(fill("", None).unwrap(), Filled::default());
    }

    #[test]
    fn defaults_of_what_is_not_written_are_written_back() {
        let parameters = declared(json!([
            {"variable": "a", "defaultValue": "1"},
            {"variable": "m.n", "type": "number", "defaultValue": "2"},
            {"variable": "empty", "defaultValue": "3"},
            {"variable": "none"},
        ]));
        let filled = fill("empty: ''\nother: x\nm: {o: p}\n", Some(&parameters)).unwrap();
        let written = parse_yaml(filled.write_back.unwrap().as_bytes()).unwrap().value;
        assert_eq!(written, json!({"a": "1", "m": {"n": 2, "o": "p"}, "empty": "", "other": "x"}));
        assert_eq!(Value::Object(filled.values), json!({"a": "1", "m": {"n": 2}, "empty": "3", "none": ""}));
        assert_eq!(filled.unknown, ["m.o", "other"]);
    }

    #[test]
    fn a_template_gets_what_it_declares_and_one_in_the_instance_gets_all() {
        let text = "a: 1\nb: {c: [2]}";
        let filled = fill(text, Some(&[])).unwrap();
        assert_eq!((filled.values, filled.unknown), (Map::new(), vec!["a".to_owned(), "b.c".into()]));
        assert_eq!(Value::Object(fill(text, None).unwrap().values), json!({"a": 1, "b": {"c": [2]}}));
        // What cannot be told apart is refused.
        let error = fill("", Some(&declared(json!([{"variable": "a"}, {"variable": "a.b"}])))).unwrap_err();
        assert!(error.message.contains("a.b"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}", pattern in "\\PC{0,10}") {
            let parameters = declared(json!([{"variable": "a.b", "validation": pattern}, {"variable": "c", "type": "number"}]));
            let _ = fill(&text, Some(&parameters));
            let _ = fill(&text, None);
        }

        #[test]
        fn what_is_written_back_says_what_was_filled_in(value in "\\PC{0,20}", default in "\\PC{1,20}") {
            let parameters = declared(json!([{"variable": "a"}, {"variable": "b.c", "defaultValue": default}]));
            let text = json!({"a": value}).to_string();
            let filled = fill(&text, Some(&parameters)).unwrap();
            let again = fill(filled.write_back.as_deref().unwrap(), Some(&parameters)).unwrap();
            prop_assert_eq!(again, Filled { write_back: None, ..filled.clone() });
            prop_assert_eq!(&filled.values["a"], &Value::String(value));
        }
    }
}
