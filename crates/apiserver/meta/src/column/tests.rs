#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn object(value: Value) -> Object {
    Object::from_value(value).unwrap()
}

#[test]
fn the_age_of_an_object_is_that_of_its_creation() {
    let at = |time: Value, now| Column::AGE.cell.at(&object(json!({"metadata": {"creationTimestamp": time}})), now);
    assert_eq!(at(json!("2026-01-01T00:00:00Z"), 1_767_225_605), "5s");
    assert_eq!(at(json!("2026-01-01T00:00:12Z"), 1_767_225_610), "0s", "made where a clock is 1.1 seconds ahead");
    assert_eq!(at(json!(null), 0), "<unknown>");
    assert_eq!(Column::AGE.cell.at(&Object::default(), 0), "<unknown>");
}

/// Columns of every sort, ages at the beginning, in the middle and at the end.
const COLUMNS: &[Column] = &[
    Column::since("Renewed", "", |object| object.at(&["spec", "renewed"])?.as_i64()),
    Column::NAME,
    Column::text("Any", "", |object, _| object.at(&["spec", "any"]).cloned().unwrap_or_default()),
    Column::AGE,
    Column::integer("Size", "", |object, _| object.at(&["spec", "size"]).cloned().unwrap_or_default()).wide(),
    Column::AGE,
];

proptest! {
    /// What is kept says at any time what the object itself would say then.
    #[test]
    fn kept_cells_are_those_of_the_object_at_any_time(
        name in "\\PC{0,12}",
        any in prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), "\\PC{0,12}".prop_map(Value::from)],
        size in proptest::option::of(any::<i64>()),
        renewed in proptest::option::of(-5_i64..4_000_000_000),
        created in prop_oneof![Just(json!("2026-01-01T00:00:00Z")), Just(json!("long ago")), Just(Value::Null)],
        now in 0_i64..4_000_000_000,
        width in 0..=COLUMNS.len(),
    ) {
        let object = object(json!({
            "metadata": { "name": name, "creationTimestamp": created },
            "spec": { "any": any, "size": size, "renewed": renewed },
        }));
        let columns = &COLUMNS[..width];
        let mut written = Vec::new();
        let kept = Cells::of(columns, &object);
        kept.write(now, &mut written);
        prop_assert_eq!(written.len(), kept.length(now));
        let cells: Vec<Value> = columns.iter().map(|column| column.cell.at(&object, now)).collect();
        prop_assert_eq!(String::from_utf8(written).unwrap(), Value::from(cells).to_string());
    }
}
