//! Requests in the words of an admission review: their attributes, their objects and their names.

use apiserver_meta::options::DryRun;
use apiserver_meta::{Object, RequestContext, Verb};
use apiserver_registry::AdmissionRequest;
use serde_json::{Value, json};

/// The name that a refusal speaks of: for one that is to be generated, what it is made from.
pub(super) fn shown_name(request: AdmissionRequest<'_>, object: Option<&Object>) -> String {
    let of_object = |field| object.map(|it| it.meta_str(field)).filter(|it| !it.is_empty());
    let given = Some(request.key.name.as_str()).filter(|it| !it.is_empty());
    given.or_else(|| of_object("name")).or_else(|| of_object("generateName")).unwrap_or("Unknown").to_owned()
}

/// An object as clients see it: it says what it is.
pub(super) fn typed(object: &Object, request: AdmissionRequest<'_>) -> Value {
    let mut fields = object.0.clone();
    fields.insert("kind".into(), request.descriptor.kind.into());
    fields.insert("apiVersion".into(), request.descriptor.api_version().into());
    Value::Object(fields)
}

/// `request` in expressions: the attributes, without the objects.
pub(super) fn request_attributes(ctx: &RequestContext, request: AdmissionRequest<'_>) -> Value {
    let AdmissionRequest { descriptor, verb, subresource, key, dry_run, .. } = request;
    let kind = json!({"group": descriptor.group, "version": descriptor.version, "kind": descriptor.kind});
    let resource = json!({"group": descriptor.group, "version": descriptor.version, "resource": descriptor.plural});
    let operation = operation(verb);
    let options_kind = match operation {
        "CREATE" => "CreateOptions",
        "DELETE" => "DeleteOptions",
        _ => "UpdateOptions",
    };
    let mut options = json!({"kind": options_kind, "apiVersion": "meta.k8s.io/v1"});
    if dry_run == DryRun::All {
        options["dryRun"] = json!(["All"]);
    }
    let mut attributes = json!({
        "uid": "",
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "operation": operation,
        "userInfo": user_info(&ctx.user),
        "dryRun": dry_run == DryRun::All,
        "options": options,
    });
    if let Value::Object(fields) = &mut attributes {
        let mut set = |field: &str, text: &str| {
            if !text.is_empty() {
                fields.insert(field.into(), text.into());
            }
        };
        set("subResource", subresource.as_str());
        set("requestSubResource", subresource.as_str());
        set("name", &key.name);
        set("namespace", &key.namespace);
    }
    attributes
}

/// A user in the words of an admission request: what is empty is left out.
fn user_info(user: &apiserver_meta::User) -> Value {
    let mut info = serde_json::Map::new();
    for (field, text) in [("username", &user.name), ("uid", &user.uid)] {
        if !text.is_empty() {
            info.insert(field.into(), text.as_str().into());
        }
    }
    if !user.groups.is_empty() {
        info.insert("groups".into(), user.groups.clone().into());
    }
    if !user.extra.is_empty() {
        info.insert("extra".into(), json!(user.extra));
    }
    Value::Object(info)
}

/// The word for what is done.
pub(super) fn operation(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "CREATE",
        Verb::Delete | Verb::DeleteCollection => "DELETE",
        Verb::Update | Verb::Patch | Verb::Get | Verb::List | Verb::Watch => "UPDATE",
    }
}
