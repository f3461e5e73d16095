//! Replays vectors.yaml.

#![allow(clippy::unwrap_used)]

use crate::{PatchError, json_patch};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    object: Value,
    patch: Value,
    want: Option<Value>,
    /// The reason of the cause, where the patch does not apply.
    reason: Option<String>,
}

#[test]
fn does_as_the_shared_collection_shows() {
    let topics: BTreeMap<String, Vec<Case>> = serde_yaml::from_str(include_str!("vectors.yaml")).unwrap();
    let wrong: Vec<String> = topics
        .iter()
        .flat_map(|(topic, cases)| cases.iter().map(move |case| (topic, case)))
        .filter_map(|(topic, case)| case.check().err().map(|got| format!("{topic}: {} + {}: {got}", case.object, case.patch)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl Case {
    fn check(&self) -> Result<(), String> {
        let got = json_patch(self.object.clone(), self.patch.to_string().as_bytes());
        let right = match (&got, &self.want, &self.reason) {
            (Ok(got), Some(want), None) => got == want,
            (Err(PatchError::Unprocessable { causes, .. }), None, Some(want)) => {
                let last = self.patch.as_array().map_or(0, Vec::len) - 1;
                matches!(causes.as_slice(), [one] if one.reason == *want && one.message.starts_with(&format!("operation {last} (")))
            }
            _ => false,
        };
        if right { Ok(()) } else { Err(format!("{got:?}")) }
    }
}
