//! What a kind says of itself.

use super::{Subject, parsed};
use apiserver_meta::validation::is_dns1123_label;
use apiserver_meta::{Descriptor, Object, Subresource, Verb, decode};

/// Names are such as paths, discovery and people need; cells are of their columns' types.
pub async fn the_kind_describes_itself(subject: &Subject) {
    let resource = subject.registry.resource();
    let kind = resource.descriptor();
    for name in [kind.plural, kind.singular].iter().chain(kind.short_names) {
        assert!(is_dns1123_label(name).is_empty(), "{name:?} stands in paths and commands");
    }
    assert_eq!(kind.list_kind, format!("{}List", kind.kind));
    for verb in Verb::ALL {
        assert!(kind.verbs.contains(&verb), "{verb:?} is served by every registry");
    }
    assert!(kind.subresources.contains(&Subresource::Main));
    for name in ["apiVersion", "kind", "metadata", "spec"] {
        assert!(resource.schema().field(name).is_some(), "the schema lacks {name}");
    }
    for field in kind.extended {
        let found = field.path.iter().try_fold(resource.schema(), |schema, name| Some(&*schema.field(name)?.schema));
        assert!(found.is_some(), "the schema lacks {}", field.path.join("."));
    }
    let full = subject.create_with_status("described").await;
    cells_fit_their_columns(kind, &full);
    // An object that says nothing can still be shown.
    cells_fit_their_columns(kind, &Object::default());
    let _ = resource.facts(&Object::default());
}

/// A cell is blank, or a value of its column's type. The column of format `name` shows the name.
fn cells_fit_their_columns(kind: &Descriptor, object: &Object) {
    for (column, cell) in kind.columns.iter().zip(kind.cells(object, 0)) {
        let fits = match column.r#type {
            "string" | "date" => cell.is_string(),
            "integer" => cell.is_i64() || cell.is_u64(),
            "number" => cell.is_number(),
            "boolean" => cell.is_boolean(),
            other => panic!("{other:?} of column {} is no type of columns", column.name),
        };
        assert!(fits || cell.is_null(), "column {} of {}: {cell} is no {}", column.name, kind.plural, column.r#type);
        assert!(column.format != "name" || cell == object.name(), "column {} of {}: {cell}", column.name, kind.plural);
    }
}

/// The sample is read as it is meant, and what is stored reads back as itself.
pub async fn the_sample_is_canonical(subject: &Subject) {
    let created = subject.create("sample").await;
    let again = decode::conform(created.clone().into_value(), subject.registry.schema()).expect("a stored object is of the kind");
    assert_eq!((again.value, again.unknown), (created.clone().into_value(), Vec::new()), "decoding changes what is canonical");
    assert_eq!(parsed(&created.to_bytes()), created);
    let changed = subject.change("sample").await;
    assert_ne!(changed.0.get("spec"), created.0.get("spec"), "the sample's change changes nothing");
}
