//! The subject of a request, told by method and URL alone (upstream's `RequestInfo`).
//!
//! The one parser of paths and queries: the listener, authorization, routing, metrics and audit all read its answer, which travels with
//! the request, so they cannot disagree about what a request touches. Refused: consistency of which kinds are served.

mod resolver;

use crate::query::Query;
use apiserver_meta::options::is_true;
use http::{Method, Uri};
use percent_encoding::percent_decode_str;
pub use resolver::RequestInfoResolver;
use std::borrow::Cow;

/// The subject of a request. Set as an extension on requests and on responses, for layers around the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestInfo {
    /// The decoded path, without the server's prefix; `/` is its only possible last slash.
    pub path: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; outside of resources
    /// the lower-case method.
    pub verb: Cow<'static, str>,
    /// The part of the API that is touched; `None` for paths such as `/healthz` and for discovery.
    pub resource: Option<ResourceInfo>,
    /// The query.
    pub query: Query,
    /// Of a request that a [`crate::Proxy`] answers: what it is to the API behind. Verb and query are what they are there, the
    /// resource is the object that leads to that API, with the subresource `proxy`.
    pub proxied: Option<ProxiedInfo>,
}

/// A request as the API behind a proxy gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxiedInfo {
    /// Which of the server's proxies.
    pub(crate) proxy: usize,
    /// The verb that the caller must be allowed on the object.
    pub(crate) permission: &'static str,
    /// The path there, as it came: escapes are left alone.
    pub path: String,
    /// Whether it asks for another protocol on its connection.
    pub is_upgrade: bool,
    /// Whether its answer goes on until somebody ends it.
    pub is_long_running: bool,
}

/// Subresources whose answers go on until somebody ends them.
const STREAMS: [&str; 5] = ["attach", "exec", "log", "portforward", "proxy"];

/// The part of the API that a request touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceInfo {
    /// API group; empty for core.
    pub group: String,
    /// API version.
    pub version: String,
    /// Namespace; empty for cluster scope and for all namespaces.
    pub namespace: String,
    /// Plural.
    pub resource: String,
    /// Name, from the path or from a `metadata.name` field selector; empty when neither gives one.
    pub name: String,
    /// Subresource, or empty.
    pub subresource: String,
    /// The form of the path.
    pub form: PathForm,
}

/// The ways in which a path gives verb and name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathForm {
    /// `.../plural`: the collection. A name comes from the field selector.
    #[default]
    Collection,
    /// `.../plural/name`, with or without a subresource.
    Object,
    /// The deprecated `/watch/.../plural`.
    WatchCollection,
    /// The deprecated `/watch/.../plural/name`.
    WatchObject,
    /// More segments than any path has.
    Other,
}

/// The path holds escapes that are malformed or are no UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedPath;

impl RequestInfo {
    /// Whether it asks for the server's health.
    pub(crate) fn is_health(&self) -> bool {
        matches!(self.segments().next(), Some("healthz" | "livez" | "readyz"))
    }

    /// The segments of the path.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').skip(1)
    }

    /// Whether the response goes on until somebody ends it, as upstream's long-running requests.
    pub fn is_long_running(&self) -> bool {
        match &self.proxied {
            Some(proxied) => proxied.is_long_running,
            None => self.verb == "watch" && self.resource.is_some(),
        }
    }

    /// Whether an API like this one would take it for long-running.
    fn streams(&self) -> bool {
        self.resource
            .as_ref()
            .is_some_and(|resource| matches!(&*self.verb, "watch" | "proxy") || STREAMS.contains(&resource.subresource.as_str()))
    }

    /// Whether it is answered in microseconds: health, and one object as it is stored.
    pub fn is_brief(&self) -> bool {
        let is_object = |resource: &ResourceInfo| matches!(resource.subresource.as_str(), "" | "status");
        self.is_health() || self.verb == "get" && self.resource.as_ref().is_some_and(is_object)
    }

    /// Whether it writes one object, or its status, of the API that is served here.
    pub fn writes_object(&self) -> bool {
        let is_write = matches!(&*self.verb, "create" | "update" | "patch" | "delete");
        let is_object = |resource: &ResourceInfo| matches!(resource.subresource.as_str(), "" | "status");
        is_write && self.proxied.is_none() && self.resource.as_ref().is_some_and(is_object)
    }

    /// Reads method and URL. `prefix` is taken off the path when it is there.
    ///
    /// # Errors
    /// [`MalformedPath`].
    pub fn parse(method: &Method, uri: &Uri, prefix: &str) -> Result<Self, MalformedPath> {
        let decoded = decode(uri.path())?;
        let path = without_prefix(&decoded, prefix).trim_matches('/');
        let query = Query::parse(uri.query().unwrap_or(""));
        let resource = Resourceful::split(path);
        let mut info = Self { path: format!("/{path}"), verb: lower(method), resource: None, query, proxied: None };
        if let Some(found) = resource {
            let (verb, resource) = found.read(method, &info.query);
            info.verb = verb;
            info.resource = Some(resource);
        }
        Ok(info)
    }
}

/// Decodes escapes.
fn decode(path: &str) -> Result<Cow<'_, str>, MalformedPath> {
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let escape = rest.as_bytes().get(at + 1..at + 3).ok_or(MalformedPath)?;
        if !escape.iter().all(u8::is_ascii_hexdigit) {
            return Err(MalformedPath);
        }
        rest = &rest[at + 3..];
    }
    percent_decode_str(path).decode_utf8().map_err(|_| MalformedPath)
}

fn without_prefix<'a>(path: &'a str, prefix: &str) -> &'a str {
    let prefix = prefix.trim_end_matches('/');
    match path.strip_prefix(prefix) {
        Some(rest) if !prefix.is_empty() && (rest.is_empty() || rest.starts_with('/')) => rest,
        _ => path,
    }
}

fn lower(method: &Method) -> Cow<'static, str> {
    match *method {
        Method::GET => Cow::Borrowed("get"),
        Method::POST => Cow::Borrowed("post"),
        ref other => Cow::Owned(other.as_str().to_ascii_lowercase()),
    }
}

/// A path with group, version and at least one more segment.
struct Resourceful<'a> {
    group: &'a str,
    version: &'a str,
    parts: Vec<&'a str>,
    special: Option<Special>,
}

/// The deprecated verbs in paths.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Special {
    Proxy,
    Watch,
}

impl<'a> Resourceful<'a> {
    /// `None` for everything that is no resource's path, and for paths with empty, `.` or `..` segments: those
    /// name nothing.
    fn split(path: &'a str) -> Option<Self> {
        let mut parts: Vec<&str> = path.split('/').collect();
        if parts.iter().any(|part| part.is_empty() || *part == "." || *part == "..") {
            return None;
        }
        let (group, version, used) = match parts.as_slice() {
            ["api", version, _, ..] => ("", *version, 2),
            ["apis", group, version, _, ..] => (*group, *version, 3),
            _ => return None,
        };
        parts.drain(..used);
        let special = match parts.as_slice() {
            ["watch", _, ..] => Some(Special::Watch),
            ["proxy", _, ..] => Some(Special::Proxy),
            ["watch" | "proxy"] => return None,
            _ => None,
        };
        if special.is_some() {
            parts.remove(0);
        }
        Some(Self { group, version, parts, special })
    }

    fn read(self, method: &Method, query: &Query) -> (Cow<'static, str>, ResourceInfo) {
        // In /namespaces/NAME/status the third segment is the namespace's own subresource.
        let (namespace, parts) = match self.parts.as_slice() {
            ["namespaces", namespace, "status" | "finalize", ..] | ["namespaces", namespace] => (*namespace, &self.parts[..]),
            ["namespaces", namespace, ..] => (*namespace, &self.parts[2..]),
            _ => ("", &self.parts[..]),
        };
        let at = |index: usize| parts.get(index).copied().unwrap_or("").to_owned();
        let mut info = ResourceInfo {
            group: self.group.into(),
            version: self.version.into(),
            namespace: namespace.into(),
            resource: at(0),
            name: at(1),
            subresource: if self.special == Some(Special::Proxy) { String::new() } else { at(2) },
            form: form(self.special, parts.len()),
        };
        let verb = match self.special {
            Some(Special::Watch) => "watch",
            Some(Special::Proxy) => "proxy",
            None => plain_verb(method, &mut info, query),
        };
        (Cow::Borrowed(verb), info)
    }
}

fn form(special: Option<Special>, segments: usize) -> PathForm {
    match (special, segments) {
        (None, 1) => PathForm::Collection,
        (None, 2 | 3) => PathForm::Object,
        (Some(Special::Watch), 1) => PathForm::WatchCollection,
        (Some(Special::Watch), 2) => PathForm::WatchObject,
        _ => PathForm::Other,
    }
}

fn plain_verb(method: &Method, info: &mut ResourceInfo, query: &Query) -> &'static str {
    let collection = info.name.is_empty();
    match *method {
        Method::GET | Method::HEAD if collection => {
            info.name = query.first("fieldSelector").and_then(selected_name).unwrap_or_default();
            if query.first("watch").is_some_and(is_true) { "watch" } else { "list" }
        }
        Method::GET | Method::HEAD => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if collection => "deletecollection",
        Method::DELETE => "delete",
        _ => "",
    }
}

/// The name that a field selector demands. Selectors with escapes or malformed terms demand none here: the
/// request then needs the permission for the whole collection, which is never less.
fn selected_name(selector: &str) -> Option<String> {
    if selector.contains('\\') {
        return None;
    }
    let mut found = None;
    for term in selector.split(',').filter(|term| !term.is_empty()) {
        let (field, value) = term.split_once('=')?;
        let value = value.strip_prefix('=').unwrap_or(value);
        let names_one = field == "metadata.name" && !matches!(value, "" | "." | "..") && !value.contains(['/', '%', '=']);
        if names_one && found.is_none() {
            found = Some(value.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests;
