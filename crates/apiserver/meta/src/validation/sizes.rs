//! How large the parts of an object may be. A rule that is younger than some objects: what is too large already may stay,
//! and shrink, but not grow.

use crate::decode::path::Path;
use crate::field::{FieldError, FieldPath, MOST_ERRORS};
use crate::object::{Object, encoded_len};
use crate::schema::{Schema, Shape};
use serde_json::Value;

/// How many items any list of an object may have that has no limit of its own.
pub const MOST_ITEMS: usize = 10_000;

/// The most that one part of an object may hold.
#[derive(Clone, Copy, Debug)]
pub struct SizeLimit {
    /// The member names that lead to it.
    pub path: &'static [&'static str],
    /// How much.
    pub most: Size,
}

/// A size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Of a list.
    Items(usize),
    /// Of a text, or of the JSON of anything else.
    Bytes(usize),
}

/// The limits of every kind.
const OF_METADATA: [SizeLimit; 2] = [
    SizeLimit { path: &["metadata", "finalizers"], most: Size::Items(256) },
    SizeLimit { path: &["metadata", "ownerReferences"], most: Size::Items(1000) },
];

/// Returns an error for each part of an object that is too large, unless it was as large in `old`. `limits` are those of its kind.
pub fn validate_sizes(new: &Object, old: Option<&Object>, schema: &Schema, limits: &[SizeLimit]) -> Vec<FieldError> {
    let limits = || OF_METADATA.iter().chain(limits);
    let mut errors: Vec<FieldError> = limits().filter_map(|limit| limit.exceeded(new, old)).collect();
    let mut walk = Walk { errors: Vec::new() };
    walk.members(schema, &new.0, old.map(|old| &old.0), &Path::Root);
    let has_own = |error: &FieldError| limits().any(|limit| limit.path.join(".") == error.path.as_str());
    errors.extend(walk.errors.into_iter().filter(|error| !has_own(error)));
    errors
}

impl SizeLimit {
    fn exceeded(&self, new: &Object, old: Option<&Object>) -> Option<FieldError> {
        let size = |object: &Object| object.at(self.path).map_or(0, |value| self.most.of(value));
        let path = || self.path.iter().fold(FieldPath::default(), |path, name| path.child(name));
        let (is, was) = (size(new), || old.map_or(0, size));
        match self.most {
            Size::Items(most) if is > most && is > was() => Some(FieldError::too_many(&path(), is, most)),
            Size::Bytes(most) if is > most && is > was() => Some(FieldError::too_long(&path(), most)),
            Size::Items(_) | Size::Bytes(_) => None,
        }
    }
}

impl Size {
    /// The size of a value in this unit.
    fn of(self, value: &Value) -> usize {
        match (self, value) {
            (Self::Items(_), value) => value.as_array().map_or(0, Vec::len),
            (Self::Bytes(_), Value::String(text)) => text.len(),
            (Self::Bytes(_), value) => encoded_len(value),
        }
    }
}

/// Looks at every list that the schema knows.
struct Walk {
    errors: Vec<FieldError>,
}

impl Walk {
    fn value(&mut self, schema: &Schema, new: &Value, old: Option<&Value>, path: &Path<'_>) {
        match (&schema.shape, new) {
            (Shape::List { items, .. }, Value::Array(list)) => {
                let old = old.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                if list.len() > MOST_ITEMS && list.len() > old.len() {
                    self.errors.push(FieldError::too_many(&FieldPath::new(&path.text()), list.len(), MOST_ITEMS));
                }
                if is_nested(items) && self.errors.len() < MOST_ERRORS {
                    list.iter().enumerate().for_each(|(index, item)| self.value(items, item, old.get(index), &Path::Item(path, index)));
                }
            }
            (_, Value::Object(members)) => self.members(schema, members, old.and_then(Value::as_object), path),
            _ => {}
        }
    }

    fn members(
        &mut self,
        schema: &Schema,
        new: &serde_json::Map<String, Value>,
        old: Option<&serde_json::Map<String, Value>>,
        path: &Path<'_>,
    ) {
        for (name, value) in new {
            let below = match &schema.shape {
                Shape::Object { fields, .. } => fields.get(name).map(|field| &*field.schema),
                Shape::Map { values, .. } => Some(&**values),
                _ => None,
            };
            if let Some(below) = below.filter(|below| is_nested(below)) {
                self.value(below, value, old.and_then(|old| old.get(name)), &Path::Member(path, name));
            }
        }
    }
}

/// Whether values of a schema can hold lists.
fn is_nested(schema: &Schema) -> bool {
    matches!(schema.shape, Shape::Object { .. } | Shape::Map { .. } | Shape::List { .. })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    #[derive(Default, Serialize, Deserialize, JsonSchema)]
    #[serde(default)]
    struct Spec {
        text: String,
        words: Vec<String>,
        rules: Vec<Rule>,
    }

    #[derive(Default, Serialize, Deserialize, JsonSchema)]
    #[serde(default)]
    struct Rule {
        users: Vec<String>,
    }

    #[derive(Default, Serialize, Deserialize, JsonSchema)]
    struct Status {}

    const LIMITS: [SizeLimit; 3] = [
        SizeLimit { path: &["spec", "text"], most: Size::Bytes(4) },
        SizeLimit { path: &["spec", "words"], most: Size::Items(2) },
        SizeLimit { path: &["spec"], most: Size::Bytes(1 << 20) },
    ];

    fn errors(new: &Value, old: Option<&Value>) -> Vec<String> {
        let schema = Schema::kind::<Spec, Status>("com.example.v1.Thing", "A thing.");
        let object = |value: &Value| Object::from_value(value.clone()).unwrap();
        let errors = validate_sizes(&object(new), old.map(object).as_ref(), &schema, &LIMITS);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn parts_of_an_object_have_limits_that_the_error_says() {
        let words = |count: usize| vec!["w"; count];
        for (object, want) in [
            (json!({"spec": {"text": "four", "words": words(2), "rules": [{"users": words(MOST_ITEMS)}]}}), vec![]),
            (json!({"spec": {"text": "fiver"}}), vec!["spec.text: Too long: may not be more than 4 bytes"]),
            (json!({"spec": {"words": words(3)}}), vec!["spec.words: Too many: 3: must have at most 2 items"]),
            (json!({"spec": {"words": words(20_000)}}), vec!["spec.words: Too many: 20000: must have at most 2 items"]),
            (
                json!({"spec": {"rules": [{}, {"users": words(10_001)}]}}),
                vec!["spec.rules[1].users: Too many: 10001: must have at most 10000 items"],
            ),
            (json!({"spec": {"rules": [{"users": ["x".repeat(1 << 20)]}]}}), vec!["spec: Too long: may not be more than 1048576 bytes"]),
            (json!({"metadata": {"finalizers": words(257)}}), vec!["metadata.finalizers: Too many: 257: must have at most 256 items"]),
            (
                json!({"metadata": {"ownerReferences": vec![json!({}); 1001]}}),
                vec!["metadata.ownerReferences: Too many: 1001: must have at most 1000 items"],
            ),
        ] {
            assert_eq!(errors(&object, None), want, "{:.100}", object.to_string());
            assert_eq!(errors(&object, Some(&object)), Vec::<String>::new(), "stored before: {:.100}", object.to_string());
        }
    }

    #[test]
    fn what_was_too_large_may_shrink_and_not_grow() {
        let with =
            |count: usize| json!({"metadata": {"finalizers": vec!["f"; count]}, "spec": {"rules": [{"users": vec!["u"; count * 40]}]}});
        assert_eq!(errors(&with(299), Some(&with(300))), Vec::<String>::new());
        assert_eq!(errors(&with(301), Some(&with(300))).len(), 2);
    }
}
