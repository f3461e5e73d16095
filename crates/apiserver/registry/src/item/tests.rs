#![allow(clippy::unwrap_used)]

use super::*;
use crate::cache::tests::{WIDGETS_AS_CONST, Widgets, widget};
use apiserver_meta::Column;
use apiserver_store::{Form, Key};
use serde_json::json;

fn entry(key: &str, value: &str) -> Entry {
    Entry { key: Key::new(key), value: Bytes::from(value.to_owned()), revision: 42, form: Form::Current }
}

fn item(value: &str) -> Result<Item, StoreError> {
    Item::from_entry(&Widgets::new(), &entry("example.com/widgets/ns/a", value))
}

#[test]
fn an_item_is_the_stored_bytes_with_a_revision() {
    let stored = widget("ns/a", "b=2,a=1", &json!({"color": "red", "owner": "ann"}));
    let item = item(&stored).unwrap();
    assert_eq!(
        std::str::from_utf8(&item.bytes).unwrap(),
        concat!(
            r#"{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"labels":{"a":"1","b":"2"},"name":"a","namespace":"ns","#,
            r#""resourceVersion":"42","uid":"uid-of-a"},"spec":{"color":"red","owner":"ann"}}"#
        )
    );
    assert_eq!(item.key(), ObjectKey::new("ns", "a"));
    assert_eq!(*item.labels, [("a".into(), "1".into()), ("b".into(), "2".into())]);
    assert_eq!(*item.fields, ["red".into()]);
    assert_eq!(item.facts.get::<String>().map(String::as_str), Some("ann"));
}

#[test]
fn a_splice_puts_the_revision_before_the_uid_of_metadata() {
    let table = [
        (r#"{"metadata":{"uid":"u"}}"#, r#"{"metadata":{"resourceVersion":"7","uid":"u"}}"#),
        (r#"{"metadata":{"name":"a","uid":"u"},"z":1}"#, r#"{"metadata":{"name":"a","resourceVersion":"7","uid":"u"},"z":1}"#),
        // One that is there already.
        (r#"{"metadata":{"resourceVersion":"123","uid":"u"}}"#, r#"{"metadata":{"resourceVersion":"7","uid":"u"}}"#),
        // The same words elsewhere.
        (
            r#"{"data":{"resourceVersion":"1","uid":"u"},"metadata":{"uid":"u"},"x":{"uid":"u"}}"#,
            r#"{"data":{"resourceVersion":"1","uid":"u"},"metadata":{"resourceVersion":"7","uid":"u"},"x":{"uid":"u"}}"#,
        ),
        // Not canonical: brought into form.
        (r#"{ "metadata": {"uid": "u", "name": "a"} }"#, r#"{"metadata":{"name":"a","resourceVersion":"7","uid":"u"}}"#),
        (r#"{"metadata":{"uid":"u","zone":"x"}}"#, r#"{"metadata":{"resourceVersion":"7","uid":"u","zone":"x"}}"#),
        (r#"{"metadata":{"uid":"\u0075"}}"#, r#"{"metadata":{"resourceVersion":"7","uid":"u"}}"#),
    ];
    for (stored, expected) in table {
        let spliced = splice(stored.as_bytes(), 7).unwrap();
        assert_eq!(std::str::from_utf8(&spliced).unwrap(), expected);
        let again = splice(&spliced, 1_234_567).unwrap();
        assert_eq!(std::str::from_utf8(&again).unwrap(), expected.replace(r#"Version":"7""#, r#"Version":"1234567""#));
    }
}

#[test]
fn digits_are_counted_exactly() {
    for revision in [0, 1, 9, 10, 99, 100, 12345, u64::MAX] {
        let bytes = splice(br#"{"metadata":{"uid":"u"}}"#, revision).unwrap();
        let object: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(object["metadata"]["resourceVersion"], revision.to_string());
    }
}

#[test]
fn selectable_fields_are_text() {
    let table = [
        (json!({"color": "red"}), "red"),
        (json!({"color": true}), "true"),
        (json!({"color": 3}), "3"),
        (json!({"color": null}), ""),
        (json!({"color": ["red"]}), ""),
        (json!({}), ""),
    ];
    for (spec, expected) in table {
        assert_eq!(*item(&widget("ns/a", "", &spec)).unwrap().fields, [expected.into()], "{spec}");
    }
}

#[test]
fn what_is_no_object_of_its_key_is_corrupt() {
    let table = [
        String::new(),
        "null".into(),
        "[]".into(),
        "{}".into(),
        r#"{"metadata":{}}"#.into(),
        r#"{"metadata":{"name":"a","namespace":"ns"}}"#.into(),
        widget("ns/b", "", &json!({})),
        widget("other/a", "", &json!({})),
        widget("ns/a", "", &json!({})).replace("\"spec\"", "spec"),
        format!("{} trailing", widget("ns/a", "", &json!({}))),
    ];
    for value in table {
        let error = item(&value).unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt(why) if why.starts_with("example.com/widgets/ns/a: ")), "{value}: {error}");
    }
}

#[test]
fn an_item_of_a_deletion_differs_in_its_revision_only() {
    let before = item(&widget("ns/a", "a=1", &json!({"color": "red"}))).unwrap();
    let gone = before.at_revision(50);
    assert_eq!(gone.revision, 50);
    assert_eq!(gone.at_revision(42), before);
    assert_eq!(gone.bytes, Bytes::from(String::from_utf8(before.bytes.to_vec()).unwrap().replace("\"42\"", "\"50\"")));
}

/// What stands there is exactly what a parser finds, in canonical bytes and in others, before and behind a splice.
#[test]
fn the_metadata_is_a_part_of_the_bytes() {
    let canonical = widget("ns/a", "b=2,a=1", &json!({"metadata": {"uid": "other"}}));
    let table = [
        canonical.clone(),
        canonical.replace(r#""uid":"#, r#""resourceVersion":"9","uid":"#),
        canonical.replace(':', " : "),
        format!(" {canonical}\n"),
    ];
    for stored in table {
        let item = item(&stored).unwrap();
        for item in [item.at_revision(7), item.at_revision(1_234_567), item] {
            let object: Value = serde_json::from_slice(&item.bytes).unwrap();
            let metadata: Value = serde_json::from_slice(item.metadata()).unwrap();
            assert_eq!(metadata, object["metadata"], "{stored}");
            assert_eq!(metadata["resourceVersion"], item.revision.to_string());
            assert_eq!(item.uid(), "uid-of-a");
        }
    }
}

#[test]
fn the_cells_of_a_row_are_made_once_for_each_version() {
    static PRINTED: Descriptor = Descriptor {
        columns: &[Column::NAME, Column::text("Version", "", |object, _| object.resource_version().into())],
        ..WIDGETS_AS_CONST
    };
    let text = |item: &Item| {
        let mut out = Vec::new();
        item.cells(&PRINTED).write(0, &mut out);
        String::from_utf8(out).unwrap()
    };
    let item = item(&widget("ns/a", "", &json!({}))).unwrap();
    assert_eq!(item.known_cells(), None);
    assert_eq!(text(&item), r#"["a","42"]"#);
    assert!(std::ptr::eq(item.cells(&PRINTED), item.cells(&PRINTED)));
    assert_eq!(text(&item.at_revision(50)), r#"["a","50"]"#);
}
