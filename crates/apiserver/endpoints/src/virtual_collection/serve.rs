//! Reads of a virtual collection.

use super::VirtualCollection;
use crate::negotiation::{self, Offer};
use crate::render::{self, Columns, Renderer, Shown};
use crate::request_info::{PathForm, RequestInfo, ResourceInfo};
use crate::respond::{Wire, no_such_method};
use crate::selectable::list_options;
use apiserver_auth::Identity;
use apiserver_meta::options::ListOptions;
use apiserver_meta::{ApiError, Descriptor, Object};
use axum::response::Response;
use http::StatusCode;
use http::request::Parts;
use serde_json::{Value, json};

pub(crate) fn serve(
    kind: &dyn VirtualCollection,
    parts: &Parts,
    info: &RequestInfo,
    resource: &ResourceInfo,
) -> Result<Response, ApiError> {
    let identity = parts.extensions.get::<Identity>().ok_or_else(ApiError::unauthorized)?;
    let descriptor = kind.resource().descriptor();
    let representation = negotiation::negotiate(&parts.headers, &info.query, Offer::Objects)?;
    let wire = Wire::new(representation, &parts.headers);
    let objects = kind.objects(identity);
    match (&*info.verb, resource.form, resource.subresource.as_str()) {
        ("list", PathForm::Collection, "") => {
            let options = list_options(descriptor, &info.query)?;
            list(descriptor, &objects, &options, &Renderer::of_list(representation.target, kind.resource())?, wire)
        }
        ("get", PathForm::Object, "") => {
            let found = objects.iter().find(|object| object.name() == resource.name);
            let found = found.ok_or_else(|| ApiError::not_found(descriptor.group_resource(), &resource.name))?;
            let mut json = Vec::new();
            Renderer::of_object(representation.target, kind.resource())?.object(
                &Shown::Made(found.to_bytes().into()),
                Columns::Shown,
                &mut json,
            );
            Ok(wire.send(StatusCode::OK, json))
        }
        (_, PathForm::Collection | PathForm::Object, "") => Err(no_such_method()),
        _ => Err(ApiError::no_such_path()),
    }
}

fn list(descriptor: &Descriptor, objects: &[Object], options: &ListOptions, renderer: &Renderer, wire: Wire) -> Result<Response, ApiError> {
    let newest = objects.iter().filter_map(|object| object.resource_version().parse::<u64>().ok()).max().unwrap_or(1);
    let now = render::now();
    let mut json = renderer.list_head(descriptor, &json!({ "resourceVersion": newest.to_string() }));
    for (index, object) in objects.iter().filter(|object| selected(descriptor, object, options)).enumerate() {
        if index > 0 {
            json.push(b',');
        }
        renderer.item(&Shown::Made(object.to_bytes().into()), now, &mut json);
    }
    json.extend_from_slice(b"]}");
    Ok(wire.send(StatusCode::OK, json))
}

fn selected(descriptor: &Descriptor, object: &Object, options: &ListOptions) -> bool {
    let labels = object.at(&["metadata", "labels"]).and_then(Value::as_object).into_iter().flatten();
    let labels: Vec<_> = labels.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    let field = |name: &str| match name {
        "metadata.name" => Some(object.name()),
        _ => descriptor.selectable_fields.iter().find(|field| field.label == name).map(|field| object.str_at(field.path)),
    };
    options.labels.matches(&labels) && options.fields.matches(field)
}
