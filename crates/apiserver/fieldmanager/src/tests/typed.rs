//! Replays typed.yaml.

use super::schemas::*;
use crate::compare::compare;
use crate::merge::merge;
use crate::path::PathElement;
use crate::remove::remove;
use crate::set::FieldSet;
use crate::typed::field_set;
use crate::validate::validate;
use apiserver_meta::Schema;
use apiserver_meta::schema::Shape;
use serde::Deserialize;
use serde_json::{Map, Value};

type Members = Map<String, Value>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    merge: Vec<Merge>,
    compare: Vec<Compare>,
    fields: Vec<Fields>,
    valid: Vec<Members>,
    invalid: Vec<Members>,
    duplicates: Vec<Members>,
    remove: Vec<Remove>,
}

#[derive(Deserialize)]
struct Merge {
    live: Members,
    applied: Members,
    merged: Members,
}

#[derive(Deserialize)]
struct Compare {
    old: Members,
    new: Members,
    #[serde(default)]
    removed: Vec<String>,
    #[serde(default)]
    modified: Vec<String>,
    #[serde(default)]
    added: Vec<String>,
}

#[derive(Deserialize)]
struct Fields {
    object: Members,
    fields: Vec<String>,
}

#[derive(Deserialize)]
struct Remove {
    object: Members,
    remove: Vec<String>,
    left: Members,
}

fn cases() -> Cases {
    serde_yaml::from_str(include_str!("typed.yaml")).unwrap()
}

fn schema() -> Schema {
    let any = || Schema::plain(Shape::Any);
    let item = object([("name", string()), ("port", number()), ("labels", map(string())), ("flag", boolean()), ("number", number())]);
    object([
        ("word", string()),
        ("any", any()),
        ("labels", map(string())),
        ("struct", object([("value", any())])),
        ("whole", atomic(set(string()))),
        ("wholeMap", atomic(map(string()))),
        ("number", number()),
        ("flag", boolean()),
        ("words", set(string())),
        ("flags", set(boolean())),
        ("numbers", set(number())),
        ("items", keyed(["name", "port"], item)),
    ])
}

/// The set of these paths, as they are shown.
fn set_of(paths: &[String]) -> FieldSet {
    let mut set = FieldSet::default();
    paths.iter().for_each(|path| set.insert(elements(path)));
    set
}

fn elements(mut path: &str) -> Vec<PathElement> {
    let mut elements = Vec::new();
    while !path.is_empty() {
        let end = path[1..].find(['.', '[']).map_or(path.len(), |end| end + 1);
        let end = if path.starts_with('[') { path.find(']').unwrap() + 1 } else { end };
        let (element, rest) = path.split_at(end);
        elements.push(match element.strip_prefix('.') {
            Some(name) => PathElement::field(name),
            None => item(&element[1..end - 1]),
        });
        path = rest;
    }
    elements
}

fn item(text: &str) -> PathElement {
    if let Some(value) = text.strip_prefix('=') {
        return PathElement::Value(serde_json::from_str(value).unwrap());
    }
    let keys = text.split(',').map(|key| key.split_once('=').unwrap());
    PathElement::key(keys.map(|(name, value)| (name.into(), serde_json::from_str(value).unwrap())).collect())
}

#[test]
fn values_merge() {
    for Merge { live, applied, merged } in cases().merge {
        assert_eq!(merge(&schema(), &live, &applied), merged, "{live:?} + {applied:?}");
    }
}

#[test]
fn values_compare() {
    for Compare { old, new, removed, modified, added } in cases().compare {
        let got = compare(&schema(), &old, &new);
        let want = [removed, modified, added].map(|paths| set_of(&paths));
        assert_eq!([got.removed, got.modified, got.added], want, "{old:?} to {new:?}");
    }
}

#[test]
fn values_have_fields() {
    for Fields { object, fields } in cases().fields {
        assert_eq!(field_set(&schema(), &object), set_of(&fields), "{object:?}");
    }
}

#[test]
fn values_are_valid_or_not() {
    let Cases { valid, invalid, duplicates, .. } = cases();
    for object in valid {
        assert_eq!(validate(&schema(), &object), Ok(()), "{object:?}");
    }
    for object in invalid.iter().chain(&duplicates) {
        assert!(validate(&schema(), object).is_err(), "{object:?}");
    }
}

#[test]
fn fields_are_removed() {
    for Remove { mut object, remove: fields, left } in cases().remove {
        remove(&schema(), &mut object, &set_of(&fields));
        assert_eq!(object, left, "without {fields:?}");
    }
}
