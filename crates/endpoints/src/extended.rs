//! `extended=true` on a read: the fields that say what whoever asks may do with an object, and what the object leaves to be
//! understood.
//!
//! The authorizers are asked once for each verb, not for each object; what they answer is a view, which is then held against
//! what an object says of itself. Only here are objects decoded to be read: without the parameter stored bytes are copied.
//! An open watch goes on with the first answer: whom a rule makes an admin is told with the next list.

use crate::call::Call;
use crate::layers::{attributes, decide};
use crate::request_info::RequestInfo;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::sync::Arc;
use vci_meta::resource::ExtendedField;
use vci_meta::{Object, Resource, Subresource, View};
use vci_registry::Item;

/// What is filled in, and by which views. Empty unless it was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extended {
    /// The kind, if anything is filled in.
    resource: Option<Arc<dyn Resource>>,
    fields: Vec<(ExtendedField, View)>,
}

impl Extended {
    /// What a request asks for. A verb that the caller has on no object at all is left out.
    pub(crate) async fn of(call: &Call) -> Self {
        let extended = call.descriptor().extended;
        let asked = !extended.is_empty()
            && call.subresource == Subresource::Main
            && matches!(call.query().first("extended").as_deref(), Some("true" | "1"));
        let mut fields = Vec::new();
        for field in extended.iter().filter(|_| asked) {
            let info = RequestInfo { verb: Cow::Borrowed(field.verb), ..RequestInfo::clone(&call.info) };
            let attributes = attributes(call.identity.clone(), &info);
            if let Ok(view) = decide(&call.app.config.authorizers, &attributes).await {
                fields.push((*field, view));
            }
        }
        Self { resource: asked.then(|| Arc::clone(call.registry.resource())), fields }
    }

    /// Whether objects are as they are stored.
    pub(crate) fn is_empty(&self) -> bool {
        self.resource.is_none()
    }

    /// The object with its fields filled in.
    pub(crate) fn fill<'a>(&self, item: &'a Item) -> Cow<'a, [u8]> {
        let Some(resource) = &self.resource else { return Cow::Borrowed(&item.bytes) };
        let Ok(mut object) = serde_json::from_slice(&item.bytes).map(Object) else { return Cow::Borrowed(&item.bytes) };
        resource.fill_extended(&mut object);
        let held = self.fields.iter().filter(|(_, view)| view.shows(&item.key.namespace, &item.access));
        held.for_each(|(field, _)| set_true(&mut object.0, field.path));
        serde_json::to_vec(&object.0).map_or(Cow::Borrowed(&item.bytes), Cow::Owned)
    }
}

fn set_true(object: &mut Map<String, Value>, path: &[&str]) {
    match path {
        [] => {}
        [last] => _ = object.insert((*last).to_owned(), true.into()),
        [first, rest @ ..] => {
            let inner = object.entry(*first).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                set_true(inner, rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_set_where_they_belong() {
        for (before, want) in [
            (json!({}), json!({ "status": { "canUse": true } })),
            (json!({ "status": { "phase": "Ready" } }), json!({ "status": { "canUse": true, "phase": "Ready" } })),
            (json!({ "status": { "canUse": false } }), json!({ "status": { "canUse": true } })),
        ] {
            let mut object = before.as_object().unwrap().clone();
            set_true(&mut object, &["status", "canUse"]);
            assert_eq!(Value::Object(object), want, "{before}");
        }
    }
}
