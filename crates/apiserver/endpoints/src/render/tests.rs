#![allow(clippy::unwrap_used)]

use super::*;
use apiserver_meta::schema::{Schema, Shape};
use apiserver_meta::{Column, Object, Scope, Verb};
use apiserver_registry::storage_key;
use apiserver_store::{Entry, Form};
use proptest::prelude::*;

static GADGETS: Descriptor = Descriptor {
    group: "example.io",
    version: "v1",
    kind: "Gadget",
    list_kind: "GadgetList",
    plural: "gadgets",
    singular: "gadget",
    short_names: &[],
    categories: &[],
    scope: Scope::Namespaced,
    verbs: &Verb::ALL,
    subresources: &[],
    columns: &[
        Column::NAME,
        Column::text("Any", "", |gadget, _| gadget.at(&["spec", "any"]).cloned().unwrap_or_default()),
        Column::AGE,
        Column::text("Version", "", |gadget, _| gadget.resource_version().into()),
    ],
    selectable_fields: &[],
    extended: &[],
};

#[derive(Debug)]
struct Gadgets(Schema);

impl Resource for Gadgets {
    fn descriptor(&self) -> &'static Descriptor {
        &GADGETS
    }

    fn schema(&self) -> &Schema {
        &self.0
    }
}

fn gadgets() -> Arc<dyn Resource> {
    Arc::new(Gadgets(Schema { description: String::new(), shape: Shape::Any, component: None }))
}

/// A stored gadget; not always in canonical form.
fn stored() -> impl Strategy<Value = Item> {
    let value = prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), "\\PC{0,12}".prop_map(Value::from)];
    let created = prop_oneof![Just(Some("2026-01-01T00:00:00Z")), Just(Some("long ago")), Just(None)];
    (value, created, proptest::option::of("\\PC{0,12}"), any::<bool>(), 1_u64..1 << 40).prop_map(|(any, created, note, is_spaced, revision)| {
        let metadata = json!({"annotations": {"note": note}, "creationTimestamp": created, "name": "a", "namespace": "ns", "uid": "u"});
        let object = json!({"apiVersion": "example.io/v1", "kind": "Gadget", "metadata": metadata, "spec": {"any": any, "metadata": {"uid": "u"}}});
        let value = if is_spaced { serde_json::to_vec_pretty(&object) } else { serde_json::to_vec(&object) }.unwrap();
        let key = storage_key(&GADGETS, &apiserver_meta::ObjectKey::new("ns", "a"));
        Item::from_entry(&*gadgets(), &Entry { key, value: value.into(), revision, form: Form::Current }).unwrap()
    })
}

fn renderers() -> Vec<Renderer> {
    let table = |include| Renderer::Table(Table::new(MetaVersion::V1, include, &gadgets()));
    let includes = [IncludeObject::None, IncludeObject::Metadata, IncludeObject::Object];
    [Renderer::Object, Renderer::Metadata(MetaVersion::V1Beta1)].into_iter().chain(includes.map(table)).collect()
}

/// What a client is to get, by way of the decoded object.
fn expected(renderer: &Renderer, object: &Value, now: i64) -> Value {
    let partial = |version: MetaVersion| json!({"kind": "PartialObjectMetadata", "apiVersion": version.api_version(), "metadata": object["metadata"]});
    match renderer {
        Renderer::Object => object.clone(),
        Renderer::Metadata(version) => partial(*version),
        Renderer::Table(table) => {
            let shown = match table.include {
                IncludeObject::None => Value::Null,
                IncludeObject::Metadata => partial(table.version),
                IncludeObject::Object => object.clone(),
            };
            json!({"cells": GADGETS.cells(&Object::from_value(object.clone()).unwrap(), now), "object": shown})
        }
    }
}

proptest! {
    /// What is kept beside an item's bytes shows what the decoded object would, byte for byte.
    #[test]
    fn stored_parts_show_what_the_decoded_object_would(item in stored(), now in 0_i64..4_000_000_000) {
        let object: Value = serde_json::from_slice(&item.bytes).unwrap();
        for renderer in renderers() {
            // Once somebody has asked for a row, or has not.
            prop_assert!(renderer.length(&item, now).is_some() || matches!(renderer, Renderer::Table(_)));
            let text = |shown: &Shown<'_>| {
                let (mut row, mut answer) = (Vec::new(), Vec::new());
                renderer.item(shown, now, &mut row);
                renderer.object_at(shown, Columns::Left, now, &mut answer);
                [row, answer].map(|text| String::from_utf8(text).unwrap())
            };
            let fast = text(&Shown::Stored(&item));
            prop_assert_eq!(&fast, &text(&Shown::Made((&*item.bytes).into())));
            prop_assert_eq!(Some(fast[0].len()), renderer.length(&item, now));
            let row: Value = serde_json::from_str(&fast[0]).unwrap();
            prop_assert_eq!(&row, &expected(&renderer, &object, now));
            if matches!(renderer, Renderer::Table(_)) {
                let answer: Value = serde_json::from_str(&fast[1]).unwrap();
                prop_assert_eq!(&answer["rows"][0], &row);
                prop_assert_eq!(&answer["metadata"]["resourceVersion"], &object["metadata"]["resourceVersion"]);
            }
        }
    }
}
