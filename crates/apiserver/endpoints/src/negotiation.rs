//! Which representation a client gets: JSON or YAML, the object itself, its metadata or a table of it.
//!
//! After upstream's rules: the first clause of `Accept` that this server can fulfil wins, parameters
//! included. Protobuf is not offered: a server that lists it must have it for everything.

use crate::accept::{self, Clause};
use crate::query::Query;
use apiserver_meta::field::{FieldError, FieldPath};
use apiserver_meta::{ApiError, Reason};
use http::HeaderMap;
use http::header::USER_AGENT;

/// The encoding of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Yaml,
}

impl Media {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
        }
    }

    fn sub(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Yaml => "yaml",
        }
    }
}

/// Whether white space makes it readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    Compact,
    Pretty,
}

/// The versions of `meta.k8s.io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetaVersion {
    V1,
    V1Beta1,
}

impl MetaVersion {
    pub(crate) fn api_version(self) -> &'static str {
        match self {
            Self::V1 => "meta.k8s.io/v1",
            Self::V1Beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

/// The part of an object that a table row carries beside its cells (`includeObject`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    None,
    Metadata,
    Object,
}

/// The form that the answer's objects are turned into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Object,
    Table(MetaVersion, IncludeObject),
    Metadata(MetaVersion),
    MetadataList(MetaVersion),
}

/// The representation that a client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Representation {
    pub(crate) media: Media,
    pub(crate) layout: Layout,
    pub(crate) target: Target,
}

/// The answers that a request may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Objects and lists, in any representation.
    Objects,
    /// A stream of watch frames: JSON only.
    Frames,
    /// Documents that have one form, such as discovery.
    Documents,
}

/// Finds the representation.
///
/// # Errors
/// 406 when no clause can be fulfilled; 400 for a bad `includeObject`.
pub(crate) fn negotiate(headers: &HeaderMap, query: &Query, offer: Offer) -> Result<Representation, ApiError> {
    let layout = layout(headers, query);
    let mut found = match accept::clauses(headers) {
        None => Representation { media: Media::Json, layout, target: Target::Object },
        Some(clauses) => clauses.iter().find_map(|clause| fulfil(clause, layout, offer)).ok_or_else(|| {
            // A client that would read the objects is told in what it could watch them.
            let streams = offer == Offer::Frames && clauses.iter().any(|clause| fulfil(clause, layout, Offer::Objects).is_some());
            not_acceptable(if streams { STREAMED } else { ACCEPTED })
        })?,
    };
    if let Target::Table(_, include) = &mut found.target {
        *include = include_object(query)?;
    }
    Ok(found)
}

/// In what an error is told: as [`negotiate`] says of a document, but never refused, because a 406 would hide the error.
pub(crate) fn for_errors(headers: &HeaderMap, query: &Query) -> Representation {
    let found = negotiate(headers, &Query::default(), Offer::Documents).ok();
    let media = found.map_or(Media::Json, |r| r.media);
    Representation { media, layout: layout(headers, query), target: Target::Object }
}

fn fulfil(clause: &Clause<'_>, layout: Layout, offer: Offer) -> Option<Representation> {
    let media = [Media::Json, Media::Yaml].into_iter().find(|media| {
        let watchable = *media == Media::Json || (offer != Offer::Frames && clause.parameter("stream").is_none_or(str::is_empty));
        watchable && clause.covers("application", media.sub())
    })?;
    let known_stream = clause.parameter("stream").is_none_or(|stream| matches!(stream, "" | "watch"));
    let known_version = clause.parameter("sv").is_none_or(|version| matches!(version, "" | "v1"));
    if !known_stream || !known_version {
        return None;
    }
    let target = target(clause, offer)?;
    let layout = if clause.parameter("pretty") == Some("1") { Layout::Pretty } else { layout };
    Some(Representation { media, layout, target })
}

fn target(clause: &Clause<'_>, offer: Offer) -> Option<Target> {
    let (kind, group, version) = (clause.parameter("as"), clause.parameter("g"), clause.parameter("v"));
    if kind.is_none() && group.is_none() && version.is_none() {
        return Some(Target::Object);
    }
    let version = match (group?, version?) {
        ("meta.k8s.io", "v1") => MetaVersion::V1,
        ("meta.k8s.io", "v1beta1") => MetaVersion::V1Beta1,
        _ => return None,
    };
    match kind? {
        _ if offer == Offer::Documents => None,
        "Table" => Some(Target::Table(version, IncludeObject::Metadata)),
        "PartialObjectMetadata" => Some(Target::Metadata(version)),
        "PartialObjectMetadataList" => Some(Target::MetadataList(version)),
        _ => None,
    }
}

fn include_object(query: &Query) -> Result<IncludeObject, ApiError> {
    match query.first("includeObject").unwrap_or("") {
        "" | "Metadata" => Ok(IncludeObject::Metadata),
        "None" => Ok(IncludeObject::None),
        "Object" => Ok(IncludeObject::Object),
        other => {
            let error = FieldError::invalid(&FieldPath::new("includeObject"), other, "must be 'Metadata', 'Object', 'None', or empty");
            Err(ApiError::bad_request(format!("Unable to convert to Table as requested: {error}")))
        }
    }
}

/// People's tools get readable JSON unless they say otherwise.
fn layout(headers: &HeaderMap, query: &Query) -> Layout {
    let pretty = match query.first("pretty") {
        Some(value) if !value.is_empty() => matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True"),
        _ => {
            let agent = headers.get(USER_AGENT).map_or(&b""[..], |agent| agent.as_bytes());
            [&b"curl"[..], b"Wget", b"Mozilla/5.0"].iter().any(|tool| agent.starts_with(tool))
        }
    };
    if pretty { Layout::Pretty } else { Layout::Compact }
}

const ACCEPTED: &str = "application/json, application/yaml";
const STREAMED: &str = "application/json;stream=watch";

fn not_acceptable(types: &str) -> ApiError {
    ApiError::new(Reason::NotAcceptable, format!("only the following media types are accepted: {types}"))
}

#[cfg(test)]
mod tests;
