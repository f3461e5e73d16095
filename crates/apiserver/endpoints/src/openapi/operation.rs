//! One operation that can be asked of a kind, free of dialect.

/// One operation.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) path: String,
    /// Lower-case.
    pub(super) method: &'static str,
    pub(super) id: String,
    pub(super) tag: String,
    pub(super) description: String,
    /// `x-kubernetes-action`; `None` for operations on no kind.
    pub(super) action: Option<&'static str>,
    /// Group, version and kind.
    pub(super) kind: Option<(&'static str, &'static str, &'static str)>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<RequestBody>,
    /// Code and component.
    pub(super) answers: Vec<(u16, String)>,
    /// The media types of answers.
    pub(super) produces: &'static [&'static str],
}

/// A request body.
#[derive(Clone, Debug)]
pub(super) struct RequestBody {
    pub(super) component: String,
    pub(super) media_types: Vec<&'static str>,
    pub(super) required: bool,
}

/// One query or path parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: &'static str,
    pub(super) r#type: &'static str,
    pub(super) description: &'static str,
}

pub(super) const fn query(name: &'static str, r#type: &'static str, description: &'static str) -> Parameter {
    Parameter { name, place: "query", r#type, description }
}

pub(super) const fn path(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, place: "path", r#type: "string", description }
}

pub(super) const PRETTY: Parameter =
    query("pretty", "string", "If 'true', the answer is indented. People's tools get that without asking.");
pub(super) const NAMESPACE: Parameter = path("namespace", "The namespace of the object.");
pub(super) const NAME: Parameter = path("name", "The name of the object.");

pub(super) const DRY_RUN: Parameter = query("dryRun", "string", "With All, every step is taken and answered but nothing is stored.");
pub(super) const FIELD_MANAGER: Parameter =
    query("fieldManager", "string", "Who makes the change, at most 128 printable characters. Required for apply patches.");
pub(super) const FIELD_VALIDATION: Parameter = query(
    "fieldValidation",
    "string",
    "What happens to unknown and duplicate fields: Ignore drops them, Warn drops them with a warning (the default), Strict refuses the request.",
);

pub(super) const OBJECTS: &[&str] = &["application/json", "application/yaml"];

/// The version of the API described; constant, so that a new build of the server does not change the hashes.
pub(super) const INFO_VERSION: &str = "v1";

/// The words that go with a status code.
pub(super) fn reason(code: u16) -> &'static str {
    match code {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        401 => "Unauthorized",
        _ => "",
    }
}

/// `LibraryExampleComV1` for `library.example.com/v1`.
pub(super) fn camel(group: &str, version: &str) -> String {
    let group = if group.is_empty() { "core" } else { group };
    group.split('.').chain([version]).map(capitalized).collect()
}

/// `libraryExampleCom_v1`.
pub(super) fn tag(group: &str, version: &str) -> String {
    let group = if group.is_empty() { "core" } else { group };
    let (first, rest) = group.split_once('.').unwrap_or((group, ""));
    let rest: String = rest.split('.').map(capitalized).collect();
    format!("{first}{rest}_{version}")
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}
