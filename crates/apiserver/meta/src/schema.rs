//! The schema of a kind, derived from its Rust types: the one description that feeds decoding, pruning,
//! server-side apply, strategic merge, `kubectl explain` and OpenAPI.
//!
//! A kind's types derive [`schemars::JsonSchema`]; [`Schema::of`] turns that into this model once, at start.
//! What a Go type says by its tags is said here by the Rust type:
//!
//! | Rust field | wire | [`Presence`] |
//! |---|---|---|
//! | `Option<T>` | absent or any value, zero included (Go pointer) | `Optional` |
//! | `String`, `bool`, `Vec`, map with `skip_serializing_if` | zero values are left out (Go `omitempty`) | `OmitZero` |
//! | a struct, or anything else with plain `#[serde(default)]` | always written, `{}` when empty (Go value struct) | `Always` |
//!
//! Extensions come through `#[schemars(extend("x-kubernetes-..." = ...))]`: `x-kubernetes-list-type`
//! (`atomic`, `set`, `map`), `x-kubernetes-list-map-keys`, `x-kubernetes-map-type` and
//! `x-kubernetes-preserve-unknown-fields`. A list without a type is atomic, as in upstream. A type that is a
//! component of its own in OpenAPI says so by `#[schemars(extend("x-component" = "com.example.library.v1.Owner"))]`;
//! one that does not is written out where it is used. Times are `Option<String>` with
//! `#[schemars(extend("format" = "date-time"))]`. Doc comments become descriptions. Every type must be
//! `Serialize` too, because schemars learns defaults, and so [`Presence`], by serializing them.

use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

mod derive;

/// One node of a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// The description in `kubectl explain`.
    pub description: String,
    /// The shape of values.
    pub shape: Shape,
    /// The name of the component in OpenAPI, for objects that have one (`com.example.library.v1.Book`).
    pub component: Option<String>,
}

/// The shape of the values of a schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A string, with an OpenAPI format (`date-time`, `int-or-string` is not used) and the allowed values (empty: any).
    String {
        /// For example `date-time`.
        format: Option<String>,
        /// The allowed values; empty: any. Validated by the kind's rules, not by decoding.
        allowed: Vec<String>,
    },
    /// `true` or `false`.
    Boolean,
    /// A whole number; the format is `int32` or `int64`.
    Integer {
        /// `int32` or `int64`.
        format: String,
    },
    /// Any number.
    Number,
    /// An object with known fields; unknown ones are pruned.
    Object {
        /// The fields by JSON name.
        fields: BTreeMap<String, Field>,
        /// Whether it is merged field by field or replaced whole.
        merge: MapMerge,
    },
    /// An object with free keys and values of one schema.
    Map {
        /// The schema of every value.
        values: Arc<Schema>,
        /// Whether it is merged key by key or replaced whole.
        merge: MapMerge,
    },
    /// A list.
    List {
        /// The schema of every item.
        items: Arc<Schema>,
        /// How two lists are merged.
        merge: ListMerge,
    },
    /// Any JSON value, kept as it is (`x-kubernetes-preserve-unknown-fields`). Objects in it are merged key by key,
    /// everything else is replaced whole.
    Any,
}

/// `x-kubernetes-map-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapMerge {
    /// Replaced whole.
    Atomic,
    /// Merged key by key: the default.
    Granular,
}

/// `x-kubernetes-list-type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListMerge {
    /// Replaced whole: the default.
    Atomic,
    /// A list of scalars, each at most once.
    Set,
    /// A list of objects, found by these fields.
    Map {
        /// The names of the key fields.
        keys: Vec<String>,
    },
}

/// One field of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its values.
    pub schema: Arc<Schema>,
    /// The description of the field; empty: that of its schema.
    pub description: String,
    /// When it is written.
    pub presence: Presence,
    /// Listed under `required` in OpenAPI.
    pub required: bool,
    /// The default in OpenAPI, where the type has one.
    pub default: Option<Value>,
}

/// When a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Always, with its zero value (`{}`, `""`, `false`, `null` for lists) when nothing was given.
    Always,
    /// Unless it has its zero value.
    OmitZero,
    /// Exactly when it was given.
    Optional,
}

impl Schema {
    /// The schema of a Rust type.
    ///
    /// # Panics
    /// When the type uses a construction that Kubernetes schemas lack (enums with data, tuples): a mistake in
    /// the source, found by the first test that touches the kind.
    pub fn of<T: schemars::JsonSchema>() -> Self {
        derive::from_json_schema(schemars::SchemaGenerator::default().into_root_schema_for::<T>().as_value())
    }

    /// The schema of a whole kind: `apiVersion`, `kind`, `metadata`, `spec` and `status`, of which the last three
    /// are always written. `component` is the kind's name in OpenAPI, `description` what `kubectl explain` says of it.
    ///
    /// ```
    /// use schemars::JsonSchema;
    /// use serde::{Deserialize, Serialize};
    /// use apiserver_meta::schema::{Presence, Schema};
    ///
    /// /// What is wanted of a ticket.
    /// #[derive(Default, Serialize, Deserialize, JsonSchema)]
    /// #[serde(rename_all = "camelCase", default)]
    /// #[schemars(extend("x-component" = "com.example.v1.TicketSpec"))]
    /// struct TicketSpec {
    ///     /// A name for people.
    ///     #[serde(skip_serializing_if = "String::is_empty")]
    ///     display_name: String,
    /// }
    ///
    /// /// What is known of a ticket.
    /// #[derive(Default, Serialize, Deserialize, JsonSchema)]
    /// #[schemars(extend("x-component" = "com.example.v1.TicketStatus"))]
    /// struct TicketStatus {}
    ///
    /// let schema = Schema::kind::<TicketSpec, TicketStatus>("com.example.v1.Ticket", "A ticket.");
    /// let spec = schema.field("spec").expect("every kind has it");
    /// assert_eq!(spec.schema.field("displayName").expect("it is there").presence, Presence::OmitZero);
    /// ```
    ///
    /// # Panics
    /// As [`Schema::of`].
    pub fn kind<Spec: schemars::JsonSchema, Status: schemars::JsonSchema>(component: &str, description: &str) -> Self {
        let text = || Self::plain(Shape::String { format: None, allowed: Vec::new() });
        let word = |description: &str| Field {
            schema: Arc::new(text()),
            description: description.into(),
            presence: Presence::OmitZero,
            required: false,
            default: None,
        };
        let part = |schema: Self, description: &str| Field {
            schema: Arc::new(schema),
            description: description.into(),
            presence: Presence::Always,
            required: false,
            default: Some(Value::Object(serde_json::Map::new())),
        };
        let fields = BTreeMap::from([
            ("apiVersion".into(), word("Group and version of the API that this object is written in, such as `example.com/v1`.")),
            ("kind".into(), word("The kind of this object, in CamelCase.")),
            ("metadata".into(), part(Self::of::<crate::types::ObjectMeta>(), "Standard metadata of the object.")),
            ("spec".into(), part(Self::of::<Spec>(), "The desired state.")),
            ("status".into(), part(Self::of::<Status>(), "The observed state.")),
        ]);
        Self {
            description: description.into(),
            shape: Shape::Object { fields, merge: MapMerge::Granular },
            component: Some(component.into()),
        }
    }

    /// A schema that says nothing but its shape.
    pub fn plain(shape: Shape) -> Self {
        Self { description: String::new(), shape, component: None }
    }

    /// Any JSON value.
    pub fn any() -> &'static Arc<Self> {
        static ANY: LazyLock<Arc<Schema>> = LazyLock::new(|| Arc::new(Schema::plain(Shape::Any)));
        &ANY
    }

    /// The field `name`, when this is an object that has it.
    pub fn field(&self, name: &str) -> Option<&Field> {
        match &self.shape {
            Shape::Object { fields, .. } => fields.get(name),
            _ => None,
        }
    }
}
