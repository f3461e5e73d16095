//! The object in the body of a write, decoded with the schema's help into its canonical form.

use super::Call;
use crate::body::{Form, InputFormat, unrecognized};
use apiserver_meta::decode::DecodeError;
use apiserver_meta::options::FieldValidation;
use apiserver_meta::{ApiError, Descriptor, Object};
use apiserver_registry::offload;

impl Call {
    /// Decodes an object of this call's kind. Kind and apiVersion may be absent: the endpoint says them.
    ///
    /// # Errors
    /// 415; 400 for what cannot be understood or is meant for another kind, and for unknown or duplicate fields when
    /// validation is strict.
    pub(crate) async fn decode(&self, body: &[u8], validation: FieldValidation) -> Result<Object, ApiError> {
        offload::compute(body.len(), || self.decode_now(body, validation)).await
    }

    fn decode_now(&self, body: &[u8], validation: FieldValidation) -> Result<Object, ApiError> {
        let Descriptor { version, kind, .. } = *self.descriptor();
        let form = Form { version, kind, api_version: self.descriptor().api_version(), schema: self.registry.schema() };
        let parsed = InputFormat::of(&self.headers)?.parse(body, Some(form.schema)).map_err(|error| self.unrecognized(&error, body))?;
        let conformed = form.conform(&self.ctx, parsed, validation)?;
        let mut object =
            Object::from_value(conformed).ok_or_else(|| self.unrecognized(&DecodeError("the body is not an object".into()), body))?;
        object.0.insert("kind".into(), kind.into());
        object.0.insert("apiVersion".into(), form.api_version.into());
        if let Some(audit) = &self.audit {
            audit.0.request_object(&object.0);
        }
        Ok(object)
    }

    /// 400 for a body that is no object at all. Its beginning is shown, unless it may hold a secret.
    fn unrecognized(&self, error: &DecodeError, body: &[u8]) -> ApiError {
        let secret = self.registry.resource().holds_secrets();
        let shown = if secret { String::new() } else { format!(" ({})", summary(body)) };
        unrecognized(self.descriptor().kind, &format!("{error}{shown}"))
    }

    /// Checks the namespace in a body against the path's, and fills it in.
    ///
    /// # Errors
    /// 400 when they differ.
    pub(crate) fn settle_namespace(&self, object: &mut Object) -> Result<(), ApiError> {
        let given = object.namespace();
        if !given.is_empty() && !self.resource.namespace.is_empty() && given != self.resource.namespace {
            return Err(ApiError::bad_request("the namespace of the provided object does not match the namespace sent on the request"));
        }
        object.set_meta_str("namespace", &self.resource.namespace);
        Ok(())
    }
}

/// The body's beginning, so that a person sees what arrived.
fn summary(body: &[u8]) -> String {
    const SHOWN: usize = 30;
    let (shown, more) = if body.len() > SHOWN { (&body[..SHOWN], " ...") } else { (body, "") };
    match body.first() {
        None => "<empty>".into(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(shown)),
        Some(_) => shown.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + more,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries() {
        let cases = [
            ("", "<empty>"),
            ("{", "{"),
            ("{\"metadata\": {\"name\": \"no-kind\"}}", "{\"metadata\": {\"name\": \"no-kind ..."),
            ("hi", "6869"),
        ];
        for (body, want) in cases {
            assert_eq!(summary(body.as_bytes()), want);
        }
    }
}
