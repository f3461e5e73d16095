//! Replays vectors.yaml.

#![allow(clippy::unwrap_used)]

use super::tests::{keyed, list, object, of, text};
use crate::{PatchError, strategic_merge_patch};
use apiserver_meta::Schema;
use apiserver_meta::schema::{ListMerge, MapMerge, Shape};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    object: Value,
    patch: Value,
    want: Option<Value>,
    error: Option<String>,
}

/// An item holds lists of such items, `depth` levels down.
fn item(depth: usize) -> Arc<Schema> {
    let number = || of(Shape::Integer { format: "int64".into() });
    let mut fields = vec![
        ("name", text()),
        ("value", text()),
        ("note", text()),
        ("labels", of(Shape::Map { values: text(), merge: MapMerge::Granular })),
        ("numbers", list(number(), ListMerge::Set)),
        ("plain", list(number(), ListMerge::Atomic)),
        ("whole", of(Shape::Map { values: of(Shape::Any), merge: MapMerge::Atomic })),
    ];
    if depth > 0 {
        let below = item(depth - 1);
        fields.extend(["items", "others", "variants"].map(|name| (name, list(Arc::clone(&below), keyed(&["name"])))));
        fields.push(("rules", list(Arc::clone(&below), ListMerge::Atomic)));
        fields.push(("settings", below));
    }
    object(&fields, MapMerge::Granular)
}

#[test]
fn does_as_the_recorded_cases_show() {
    let topics: BTreeMap<String, Vec<Case>> = serde_yaml::from_str(include_str!("vectors.yaml")).unwrap();
    let schema = item(3);
    let wrong: Vec<String> = topics
        .iter()
        .flat_map(|(topic, cases)| cases.iter().map(move |case| (topic, case)))
        .filter_map(|(topic, case)| case.check(&schema).err().map(|got| format!("{topic}: {} + {}: {got}", case.object, case.patch)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl Case {
    fn check(&self, schema: &Schema) -> Result<(), String> {
        let got = strategic_merge_patch(self.object.clone(), self.patch.to_string().as_bytes(), schema);
        let right = match (&got, &self.want, &self.error) {
            (Ok(got), Some(want), None) => got == want,
            (Err(PatchError::Malformed(got)), None, Some(want)) => got == want,
            (Err(PatchError::Unprocessable { causes, .. }), None, Some(want)) => causes.iter().any(|cause| cause.message == *want),
            _ => false,
        };
        if right { Ok(()) } else { Err(format!("{got:?}")) }
    }
}
