//! `extended=true` on a read: the fields that say what whoever asks may do with an object.
//!
//! The authorizers are asked once for each verb, not for each object; what they answer is a view, which is then held against
//! what an object says of itself. Only here are objects decoded to be read: without the parameter stored bytes are copied.
//! An open watch goes on with the first answer: whom a rule makes an admin is told with the next list.

use crate::call::Call;
use crate::layers::{attributes, decide};
use crate::request_info::RequestInfo;
use serde_json::{Map, Value};
use std::borrow::Cow;
use vci_meta::resource::ExtendedField;
use vci_meta::{Subresource, View};
use vci_registry::Item;

/// What is filled in, and by which views. Empty unless it was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extended(Vec<(ExtendedField, View)>);

impl Extended {
    /// What a request asks for. A verb that the caller has on no object at all is left out.
    pub(crate) async fn of(call: &Call) -> Self {
        let asked = call.subresource == Subresource::Main && matches!(call.query().first("extended").as_deref(), Some("true" | "1"));
        let mut fields = Vec::new();
        for field in call.descriptor().extended.iter().filter(|_| asked) {
            let info = RequestInfo { verb: Cow::Borrowed(field.verb), ..RequestInfo::clone(&call.info) };
            let attributes = attributes(call.identity.clone(), &info);
            if let Ok(view) = decide(&call.app.config.authorizers, &attributes).await {
                fields.push((*field, view));
            }
        }
        Self(fields)
    }

    /// Whether objects are as they are stored.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object with its fields filled in.
    pub(crate) fn fill<'a>(&self, item: &'a Item) -> Cow<'a, [u8]> {
        let held = self.0.iter().filter(|(_, view)| view.shows(&item.key.namespace, &item.access)).map(|(field, _)| field.path);
        let paths: Vec<_> = held.collect();
        if paths.is_empty() {
            return Cow::Borrowed(&item.bytes);
        }
        let Ok(mut object) = serde_json::from_slice::<Map<String, Value>>(&item.bytes) else { return Cow::Borrowed(&item.bytes) };
        for path in paths {
            set_true(&mut object, path);
        }
        serde_json::to_vec(&object).map_or(Cow::Borrowed(&item.bytes), Cow::Owned)
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
