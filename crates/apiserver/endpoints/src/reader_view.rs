//! The object as its reader sees it: less where the kind has something private, and with `extended=true` more, the fields
//! that say what whoever asks may do with the object, and what the object leaves to be understood.
//!
//! The authorizers are asked once for each verb, not for each object; what they answer is a view, which is then held against
//! what an object says of itself. Only here are objects decoded to be read: others are copied as they are stored.
//! An open watch goes on with the first answer about `extended=true`: whom a rule makes an admin is told with the next list. When
//! somebody is to see less of what is private, the watch ends ([`crate::verbs::while_allowed`]).

use crate::access::authorization::{attributes, decide, target};
use crate::access::private::Private;
use crate::call::Call;
use crate::render::Shown;
use apiserver_meta::resource::ExtendedField;
use apiserver_meta::{Facts, Object, ObjectFilter, Resource, Subresource};
use apiserver_registry::{Item, Mask};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The fields that are filled in and the part that is hidden, and by which views. For most requests neither.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReaderView {
    /// The kind, if anything is filled in.
    resource: Option<Arc<dyn Resource>>,
    fields: Vec<(ExtendedField, ObjectFilter)>,
    private: Option<Private>,
}

impl ReaderView {
    /// The extensions that a read asks for. A verb that the caller has on no object at all is left out.
    pub(crate) async fn of(call: &Call) -> Self {
        let extended = call.descriptor().extended;
        let asked =
            !extended.is_empty() && call.subresource == Subresource::Main && matches!(call.query().first("extended"), Some("true" | "1"));
        let mut fields = Vec::new();
        for field in extended.iter().filter(|_| asked) {
            let attributes = attributes(call.identity.clone(), field.verb, target(&call.info));
            if let Ok(view) = decide(&call.app.config.authorizers, &attributes).await {
                fields.push((*field, view));
            }
        }
        let resource = asked.then(|| Arc::clone(call.registry.resource()));
        Self { resource, fields, ..Self::of_answer(call).await }
    }

    /// The parts that are hidden in the answer to any request, such as a write.
    pub(crate) async fn of_answer(call: &Call) -> Self {
        let private = Private::of(&call.app.config.authorizers, &call.identity, &call.info, &**call.registry.resource()).await;
        Self { private, ..Self::default() }
    }

    /// What is hidden, for a write that reads what is stored; `None`: nothing.
    pub(crate) fn mask(self, call: &Call) -> Option<Mask> {
        self.private.map(|private| private.mask(Arc::clone(call.registry.resource())))
    }

    /// Whether objects are as they are stored.
    pub(crate) fn is_empty(&self) -> bool {
        self.resource.is_none() && self.private.is_none()
    }

    /// The part that is hidden, to be asked again later.
    pub(crate) fn private(&self) -> Option<&Private> {
        self.private.as_ref()
    }

    /// The object as this reader sees it.
    pub(crate) fn fill<'a>(&self, item: &'a Item) -> Shown<'a> {
        let private = self.private.as_ref().filter(|private| private.hides(item.namespace(), &item.facts));
        if self.resource.is_none() && private.is_none() {
            return Shown::Stored(item);
        }
        let Some(mut object) = object(&item.bytes) else { return unreadable(&item.bytes, private) };
        if let Some(resource) = &self.resource {
            self.fill_in(&mut object, resource, item.namespace(), &item.facts);
        }
        private.inspect(|private| private.hide(&mut object, item.namespace(), &item.facts));
        Shown::Made(object.to_bytes().into())
    }

    /// A written object as its writer sees it.
    pub(crate) fn written<'a>(&self, bytes: &'a [u8], resource: &dyn Resource) -> Shown<'a> {
        let Some(private) = &self.private else { return Shown::Made(bytes.into()) };
        let Some(mut object) = object(bytes) else { return unreadable(bytes, Some(private)) };
        let (namespace, facts) = (object.namespace().to_owned(), resource.facts(&object));
        if !private.hides(&namespace, &facts) {
            return Shown::Made(bytes.into());
        }
        private.hide(&mut object, &namespace, &facts);
        Shown::Made(object.to_bytes().into())
    }

    fn fill_in(&self, object: &mut Object, resource: &Arc<dyn Resource>, namespace: &str, facts: &Facts) {
        resource.fill_extended(object);
        let held = self.fields.iter().filter(|(_, view)| view.allows(namespace, facts));
        held.for_each(|(field, _)| set_true(&mut object.0, field.path));
    }
}

fn object(bytes: &[u8]) -> Option<Object> {
    serde_json::from_slice(bytes).ok().map(Object)
}

/// Stored bytes were written by this API, so that they can be read. If not, nothing of them is shown where something is to be hidden.
fn unreadable<'a>(bytes: &'a [u8], private: Option<&Private>) -> Shown<'a> {
    Shown::Made(if private.is_some() { &b"{}"[..] } else { bytes }.into())
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
