//! Types that every kind embeds: object metadata, with the descriptions that `kubectl explain` shows.
//!
//! The list types are those that upstream declares, so server-side apply merges metadata alike.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Metadata that every stored object has: how it is named and found, who owns it, and what the server notes about its life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"))]
pub struct ObjectMeta {
    /// The name, unique among the objects of one kind in one namespace. It is part of the object's URL and never changes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// A prefix from which the server makes a unique name when no name is given. Five random characters are added to it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub generate_name: String,
    /// The namespace that holds the object; empty for kinds that live in the whole cluster. It never changes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// A field of old that the server no longer fills in.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub self_link: String,
    /// An identifier that tells this object from every other, also from a later one of the same name. Set by the server.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The version of the object as it is stored. Clients compare it, hand it back on update so that no change of others
    /// is lost, and start watches from it. Set by the server.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    /// A number that grows with every change of the wanted state. Set by the server.
    #[serde(skip_serializing_if = "is_zero")]
    pub generation: i64,
    /// When the server stored the object first, in UTC (RFC 3339). Set by the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub creation_timestamp: Option<String>,
    /// When the object was asked to go. It stays until the list of finalizers is empty. Set by the server when the object is
    /// deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub deletion_timestamp: Option<String>,
    /// How many seconds the object is given to end gracefully. Set by the server together with deletionTimestamp.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_grace_period_seconds: Option<i64>,
    /// Short keys and values by which objects are selected and grouped.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Keys and values that tools keep with the object; they cannot be selected by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The objects that this one depends on. When all of them are gone, it is collected as garbage. At most one of them is the
    /// managing controller.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["uid"]))]
    pub owner_references: Vec<OwnerReference>,
    /// Who must still do something before the object may vanish. Each entry is removed by the one it names; none may be added
    /// once the object is being deleted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub finalizers: Vec<String>,
    /// Which manager set which fields. Kept by the server for server-side apply; seldom of use to people.
    // Optional, because an empty list says something: it resets what is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub managed_fields: Option<Vec<ManagedFieldsEntry>>,
}

fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// What identifies an owner. It lives in the same namespace as the object, or in none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-component" = "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference", "x-kubernetes-map-type" = "atomic"))]
pub struct OwnerReference {
    /// API group and version of the owner.
    pub api_version: String,
    /// Kind of the owner.
    pub kind: String,
    /// Name of the owner.
    pub name: String,
    /// UID of the owner.
    pub uid: String,
    /// Whether this owner is the controller that manages the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<bool>,
    /// Whether an owner that is deleted in the foreground waits until this object is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_owner_deletion: Option<bool>,
}

/// One manager, and the set of fields it has set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry"))]
pub struct ManagedFieldsEntry {
    /// The name of the manager.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub manager: String,
    /// How the fields were set: `Apply` for server-side apply, `Update` for everything else.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub operation: String,
    /// The version of the API that the fields are spelled in.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// When the set of fields or one of their values last changed through this manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub time: Option<String>,
    /// How `fieldsV1` is written; there is only `FieldsV1`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fields_type: String,
    /// The set of fields, as a tree whose keys name fields (`f:name`), list items (`k:{...}`, `v:...`) and the thing itself (`.`).
    #[serde(rename = "fieldsV1", skip_serializing_if = "Option::is_none")]
    pub fields_v1: Option<FieldsV1>,
    /// The subresource that the fields were set through; empty for the object itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subresource: String,
}

/// A set of fields as a tree of JSON objects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend(
    "x-component" = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1",
    "type" = "object",
    "x-kubernetes-preserve-unknown-fields" = true
))]
pub struct FieldsV1(pub Value);

/// Metadata of a list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"))]
pub struct ListMeta {
    /// A field of old that the server no longer fills in.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub self_link: String,
    /// The version of the collection that the list shows. A watch that starts from it misses nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    /// Set when there is more: hand it back as `continue` for the next page.
    #[serde(rename = "continue", skip_serializing_if = "String::is_empty")]
    pub r#continue: String,
    /// How many items follow on later pages, where the server knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_item_count: Option<i64>,
}

/// What a delete asks for, as the body of the request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"))]
pub struct DeleteOptions {
    /// Group and version of the API that these options are written in.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// What this is: DeleteOptions.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// After how many seconds the object is to be gone; 0 is at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_period_seconds: Option<i64>,
    /// What must be true of the object, or it is not deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preconditions: Option<Preconditions>,
    /// Deprecated: say propagationPolicy instead. Whether the objects that depend on this one stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orphan_dependents: Option<bool>,
    /// What happens to the objects that depend on this one: Orphan leaves them, Background deletes them afterwards,
    /// Foreground deletes them first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagation_policy: Option<String>,
    /// With All the request is carried out in every respect but that nothing is stored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub dry_run: Vec<String>,
}

/// What must be true of an object that is to be changed or deleted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-component" = "io.k8s.apimachinery.pkg.apis.meta.v1.Preconditions"))]
pub struct Preconditions {
    /// The UID it must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The resourceVersion it must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::schema::{ListMerge, MapMerge, Presence, Schema, Shape};

    #[test]
    fn metadata_merges_as_upstream_declares() {
        let schema = Schema::of::<ObjectMeta>();
        assert_eq!(schema.component.as_deref(), Some("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"));
        let list = |name: &str| match &schema.field(name).unwrap().schema.shape {
            Shape::List { items, merge } => (items.clone(), merge.clone()),
            other => panic!("{name} is {other:?}"),
        };
        let (owner, merge) = list("ownerReferences");
        assert_eq!(merge, ListMerge::Map { keys: vec!["uid".into()] });
        assert!(matches!(owner.shape, Shape::Object { merge: MapMerge::Atomic, .. }));
        assert!(owner.field("uid").unwrap().required);
        assert_eq!(list("finalizers").1, ListMerge::Set);
        let (entry, merge) = list("managedFields");
        assert_eq!(merge, ListMerge::Atomic);
        assert_eq!(entry.field("fieldsV1").unwrap().schema.shape, Shape::Any);
        assert_eq!(schema.field("creationTimestamp").unwrap().presence, Presence::Optional);
        assert_eq!(schema.field("generation").unwrap().presence, Presence::OmitZero);
    }

    #[test]
    fn every_field_is_explained() {
        for schema in [
            Schema::of::<ObjectMeta>(),
            Schema::of::<OwnerReference>(),
            Schema::of::<ManagedFieldsEntry>(),
            Schema::of::<ListMeta>(),
            Schema::of::<DeleteOptions>(),
            Schema::of::<Preconditions>(),
        ] {
            let Shape::Object { fields, .. } = &schema.shape else { panic!("no object") };
            assert!(!schema.description.is_empty());
            assert!(fields.values().all(|field| !field.description.is_empty()), "{:?}", schema.component);
        }
    }
}
