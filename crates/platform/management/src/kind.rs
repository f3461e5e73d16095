//! What all kinds of this API have in common: a kind is its types, its descriptor, and rules of its own.

/// The methods of `impl Resource` that every kind has, from what differs:
///
/// - `types`, `description`, `descriptor`: the schema and the descriptor, whose other fields are those of [`crate::STORED`];
/// - `size_limits`: how much parts of an object may hold;
/// - `errors`: what is wrong with a spec, `fn(&Spec, &FieldPath, &Object) -> Vec<FieldError>`;
/// - `access`: who may do what with an object, `fn(&Object) -> ObjectAccess`;
/// - `keeps`: what an update that leaves it out does not take away, `fn(new: &mut Object, old: &Object)` each.
macro_rules! stored_kind {
    (
        types: $spec:ty, $status:ty;
        description: $description:literal;
        descriptor: { kind: $kind:literal, $($field:ident: $value:expr),+ $(,)? };
        size_limits: $size_limits:expr;
        errors: $errors:ident;
        access: $access:ident;
        $(keeps: $($keep:ident),+;)?
    ) => {
        fn descriptor(&self) -> &'static apiserver_meta::Descriptor {
            static DESCRIPTOR: apiserver_meta::Descriptor =
                apiserver_meta::Descriptor { kind: $kind, list_kind: concat!($kind, "List"), $($field: $value,)+ ..crate::STORED };
            &DESCRIPTOR
        }

        fn schema(&self) -> &apiserver_meta::Schema {
            static SCHEMA: std::sync::LazyLock<apiserver_meta::Schema> = std::sync::LazyLock::new(|| {
                apiserver_meta::Schema::kind::<$spec, $status>(concat!("sh.loft.management.v1.", $kind), $description)
            });
            &SCHEMA
        }

        fn size_limits(&self) -> &'static [apiserver_meta::validation::SizeLimit] {
            $size_limits
        }

        fn validate(&self, object: &apiserver_meta::Object) -> Vec<apiserver_meta::FieldError> {
            match crate::rules::part::<$spec>(object, &["spec"]) {
                Ok(spec) => $errors(&spec, &apiserver_meta::FieldPath::new("spec"), object),
                Err(error) => vec![error],
            }
        }

        fn facts(&self, object: &apiserver_meta::Object) -> apiserver_meta::Facts {
            apiserver_meta::Facts::new($access(object))
        }

        $(fn prepare_for_update(
            &self,
            _ctx: &apiserver_meta::RequestContext,
            new: &mut apiserver_meta::Object,
            old: &apiserver_meta::Object,
        ) {
            $($keep(new, old);)+
        })?
    };
}

pub(crate) use stored_kind;
