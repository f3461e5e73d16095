//! What holds for every kind.

#![allow(clippy::unwrap_used)]

use crate::access::ObjectAccess;
use crate::resources;
use crate::rules::tests::object;
use apiserver_meta::schema::{Field, ListMerge, Presence, Shape};
use apiserver_meta::{Object, Schema};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Every field below `spec` and `status`: its path, its type and when it is written. A change of the API shows as a change here.
const FIELDS: [(&str, &str); 8] = [
    ("clusters", include_str!("../fields/cluster.txt")),
    ("ownedaccesskeys", include_str!("../fields/ownedaccesskey.txt")),
    ("projects", include_str!("../fields/project.txt")),
    ("projectsecrets", include_str!("../fields/projectsecret.txt")),
    ("teams", include_str!("../fields/team.txt")),
    ("users", include_str!("../fields/user.txt")),
    ("virtualclusterinstances", include_str!("../fields/virtualclusterinstance.txt")),
    ("virtualclustertemplates", include_str!("../fields/virtualclustertemplate.txt")),
];

#[test]
fn no_field_is_lost_or_changed() {
    assert_eq!(resources().len(), FIELDS.len());
    for (resource, (plural, table)) in resources().iter().zip(FIELDS) {
        assert_eq!(resource.descriptor().plural, plural);
        let want: BTreeSet<String> = table.lines().map(str::to_owned).collect();
        let mut have = BTreeSet::new();
        for name in ["spec", "status"] {
            list(name, resource.schema().field(name).unwrap(), &mut have);
        }
        let lost: Vec<_> = want.difference(&have).collect();
        let new: Vec<_> = have.difference(&want).collect();
        assert!(lost.is_empty() && new.is_empty(), "{plural}: lost {lost:#?}, new {new:#?}");
    }
}

/// Metadata has a test of its own, where it is defined.
fn is_metadata(schema: &Schema) -> bool {
    schema.component.as_deref() == Some("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
}

fn list(path: &str, field: &Field, into: &mut BTreeSet<String>) {
    let presence = match field.presence {
        Presence::Always => "always",
        Presence::OmitZero => "omit-zero",
        Presence::Optional => "optional",
    };
    into.insert(format!("{path} {} {presence}", type_of(&field.schema)));
    list_below(path, &field.schema, into);
}

fn list_below(path: &str, schema: &Schema, into: &mut BTreeSet<String>) {
    match &schema.shape {
        Shape::Object { .. } if is_metadata(schema) => {}
        Shape::Object { fields, .. } => fields.iter().for_each(|(name, field)| list(&format!("{path}.{name}"), field, into)),
        Shape::List { items, .. } => list_below(&format!("{path}[]"), items, into),
        Shape::Map { values, .. } => list_below(&format!("{path}{{}}"), values, into),
        _ => {}
    }
}

fn type_of(schema: &Schema) -> String {
    match &schema.shape {
        Shape::String { format, .. } => format.clone().unwrap_or_else(|| "string".into()),
        Shape::Boolean => "boolean".into(),
        Shape::Integer { format } => format.clone(),
        Shape::Number => "number".into(),
        Shape::Object { .. } => "object".into(),
        Shape::Map { values, .. } if matches!(values.shape, Shape::String { .. }) => "map<string>".into(),
        Shape::Map { values, .. } => format!("map<{}>", type_of(values)),
        Shape::List { items, .. } => format!("array<{}>", type_of(items)),
        Shape::Any => "any".into(),
    }
}

#[test]
fn everything_is_explained_and_every_object_is_a_component() {
    fn check(path: &str, schema: &Schema, names: &mut BTreeSet<(String, String)>) {
        match &schema.shape {
            Shape::Object { fields, .. } => {
                let component = schema.component.clone().unwrap_or_else(|| panic!("{path} is no component"));
                names.insert((component, schema.description.clone()));
                for (name, field) in fields {
                    let path = format!("{path}.{name}");
                    assert!(!field.description.is_empty() || !field.schema.description.is_empty(), "{path} is not explained");
                    check(&path, &field.schema, names);
                }
            }
            Shape::List { items: values, .. } | Shape::Map { values, .. } => check(path, values, names),
            _ => {}
        }
    }
    let mut names = BTreeSet::new();
    for resource in resources() {
        check(resource.descriptor().plural, resource.schema(), &mut names);
    }
    let components: BTreeSet<_> = names.iter().map(|(component, _)| component).collect();
    assert_eq!(components.len(), names.len(), "two types have one name");
}

#[test]
fn only_conditions_merge_by_key() {
    fn keyed(path: &str, schema: &Schema, into: &mut Vec<String>) {
        match &schema.shape {
            Shape::Object { .. } if is_metadata(schema) => {}
            Shape::Object { fields, .. } => {
                fields.iter().for_each(|(name, field)| keyed(&format!("{path}.{name}"), &field.schema, into));
            }
            Shape::List { items, merge } => {
                if *merge != ListMerge::Atomic {
                    into.push(format!("{path} {merge:?}"));
                }
                keyed(path, items, into);
            }
            Shape::Map { values, .. } => keyed(path, values, into),
            _ => {}
        }
    }
    let mut lists = Vec::new();
    for resource in resources() {
        keyed(resource.descriptor().plural, resource.schema(), &mut lists);
    }
    let by_type = r#"Map { keys: ["type"] }"#;
    assert_eq!(
        lists,
        ["clusters", "projects", "projectsecrets", "virtualclusterinstances"].map(|plural| format!("{plural}.status.conditions {by_type}"))
    );
}

#[test]
fn what_is_no_object_of_its_kind_is_refused_and_grants_nothing() {
    let stranger = object(json!({"metadata": {"name": "a"}, "spec": {"owner": 1, "access": {}, "members": "x"}}));
    for resource in resources() {
        assert!(!resource.validate(&object(json!({"spec": 1}))).is_empty(), "{}", resource.descriptor().plural);
        let access = ObjectAccess::read(&*resource, &stranger);
        assert!(access.owner_user.is_empty() && access.rules.iter().all(|rule| rule.users.is_empty() && rule.teams.is_empty()));
    }
}

#[test]
fn what_is_replaced_without_an_owner_keeps_the_one_it_has() {
    let ctx = crate::rules::tests::context("eve", Some("eve"), &[]);
    let mut owned = 0;
    for resource in resources() {
        if resource.schema().field("spec").unwrap().schema.field("owner").is_none() {
            continue;
        }
        owned += 1;
        let old = object(json!({"spec": {"owner": {"user": "ann", "team": "t"}}}));
        let nobody = [json!({}), json!({"spec": {}}), json!({"spec": {"owner": null}}), json!({"spec": {"owner": {}}})];
        for new in nobody.into_iter().chain([json!({"spec": {"owner": {"user": "", "team": ""}}})]) {
            let mut kept = object(new.clone());
            resource.prepare_for_update(&ctx, &mut kept, &old);
            assert_eq!(kept.at(&["spec", "owner"]), old.at(&["spec", "owner"]), "{new} of {}", resource.descriptor().plural);
        }
        let (mut given, mut none) = (object(json!({"spec": {"owner": {"user": "bob"}}})), object(json!({"spec": {}})));
        resource.prepare_for_update(&ctx, &mut given, &old);
        assert_eq!(given.at(&["spec", "owner"]), Some(&json!({"user": "bob"})), "who is named is meant");
        resource.prepare_for_update(&ctx, &mut none, &object(json!({"spec": {}})));
        assert_eq!(none.at(&["spec", "owner"]), None, "nobody becomes the owner by a change");
    }
    assert_eq!(owned, 7);
}

/// Objects of which every part may have any form, though only canonical ones reach the rules.
fn any_object() -> impl Strategy<Value = Object> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from)
    ];
    let tree = scalar.prop_recursive(4, 32, 4, |inner| {
        let name = prop::sample::select(vec![
            "owner",
            "access",
            "members",
            "key",
            "user",
            "clusterRef",
            "templateRef",
            "version",
            "conditions",
            "type",
            "annotations",
        ]);
        let members = prop::collection::vec((name, inner.clone()), 0..5);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            members.prop_map(|members| Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())),
        ]
    });
    let top = prop::sample::select(vec!["metadata", "spec", "status"]);
    prop::collection::vec((top, tree), 0..4)
        .prop_map(|members| Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

proptest! {
    #[test]
    fn rules_answer_whatever_they_are_given(old in any_object(), new in any_object()) {
        let ctx = crate::rules::tests::context("ann", Some("ann"), &[]);
        for resource in resources() {
            let mut created = new.clone();
            resource.prepare_for_create(&ctx, &mut created);
            let mut updated = new.clone();
            resource.prepare_for_update(&ctx, &mut updated, &old);
            for object in [&created, &updated] {
                resource.validate(object);
                resource.validate_update(object, &old);
                resource.warnings(object);
                resource.facts(object);
                resource.fill_extended(&mut object.clone());
                resource.descriptor().cells(object, 0);
            }
        }
    }
}

/// A kind that gets a field for a secret must say that it holds one, or audit logs would hold it. Passwords are taken out of the
/// objects of every kind.
#[test]
fn no_kind_that_holds_no_secrets_has_a_field_that_is_called_like_a_secret() {
    for resource in resources() {
        let schema = format!("{:?}", resource.schema());
        let named: Vec<_> = ["keyHash", "accessKey", "token", "secret", "data"].map(|name| format!("{name:?}")).into();
        let holds = named.iter().any(|name| schema.contains(name));
        assert_eq!(holds, resource.holds_secrets(), "{}", resource.descriptor().kind);
    }
}
