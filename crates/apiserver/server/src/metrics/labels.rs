//! By which labels a request is counted: upstream's words, of which there is only ever a bounded number.

use apiserver_endpoints::{PathForm, Query, RequestInfo, ResourceInfo};
use http::Method;

/// The media type of a server-side apply.
const APPLY: &str = "application/apply-patch+yaml";

/// Label `verb`: the method, with lists, watches, applies and streams behind proxies told apart. A PUT is a `PUT` and the deletion of a collection a
/// `DELETE` in scope `namespace` or `cluster`, as upstream counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Post,
    Put,
    Patch,
    Apply,
    Delete,
    /// An answer that goes on until somebody ends it, other than a watch.
    Connect,
    /// Any method that means nothing here.
    Other,
}

impl Verb {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::ALL.len();
    pub(crate) const ALL: [Self; 10] =
        [Self::Get, Self::List, Self::Watch, Self::Post, Self::Put, Self::Patch, Self::Apply, Self::Delete, Self::Connect, Self::Other];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::List => "LIST",
            Self::Watch => "WATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Apply => "APPLY",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Other => "other",
        }
    }
}

/// Label `dry_run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DryRun {
    No,
    All,
    Invalid,
}

impl DryRun {
    pub(crate) const COUNT: usize = Self::ALL.len();
    pub(crate) const ALL: [Self; 3] = [Self::No, Self::All, Self::Invalid];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::No => "",
            Self::All => "All",
            Self::Invalid => "invalid",
        }
    }

    fn of(query: &Query) -> Self {
        match query.all("dryRun").map(|value| value == "All").reduce(|all, is_all| all && is_all) {
            None => Self::No,
            Some(true) => Self::All,
            Some(false) => Self::Invalid,
        }
    }
}

/// Label `scope`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One object.
    Resource,
    /// A collection in a namespace.
    Namespace,
    /// A collection in the whole cluster.
    Cluster,
    /// No part of the API.
    None,
}

impl Scope {
    pub(crate) const COUNT: usize = Self::ALL.len();
    pub(crate) const ALL: [Self; 4] = [Self::Resource, Self::Namespace, Self::Cluster, Self::None];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::Namespace => "namespace",
            Self::Cluster => "cluster",
            Self::None => "",
        }
    }

    /// Returns the scope of a request. That of a create is the object that it makes.
    pub(crate) fn of(resource: Option<&ResourceInfo>, is_create: bool) -> Self {
        match resource {
            None => Self::None,
            Some(resource) => match resource.form {
                PathForm::Object | PathForm::WatchObject => Self::Resource,
                PathForm::Collection | PathForm::WatchCollection | PathForm::Other if is_create => Self::Resource,
                PathForm::Collection | PathForm::WatchCollection | PathForm::Other if resource.namespace.is_empty() => Self::Cluster,
                PathForm::Collection | PathForm::WatchCollection | PathForm::Other => Self::Namespace,
            },
        }
    }
}

/// The parts of a request's head that metrics need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    method: Known,
}

/// The methods that mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Read,
    Post,
    Put,
    Patch,
    Apply,
    Delete,
    Other,
}

impl Head {
    pub(crate) fn of<B>(request: &http::Request<B>) -> Self {
        let method = match *request.method() {
            Method::GET | Method::HEAD => Known::Read,
            Method::POST => Known::Post,
            Method::PUT => Known::Put,
            Method::PATCH if request.headers().get(http::header::CONTENT_TYPE).is_some_and(|value| value == APPLY) => Known::Apply,
            Method::PATCH => Known::Patch,
            Method::DELETE => Known::Delete,
            _ => Known::Other,
        };
        Self { method }
    }

    /// Whether it is a dry run.
    pub(crate) fn dry_run(self, info: Option<&RequestInfo>) -> DryRun {
        match (self.method, info) {
            (Known::Read | Known::Other, _) | (_, None) => DryRun::No,
            (_, Some(info)) => DryRun::of(&info.query),
        }
    }

    /// Whether nothing is to be changed (label `request_kind`).
    pub(crate) fn is_read_only(self) -> bool {
        self.method == Known::Read
    }

    /// The verb, once it is known what was touched.
    pub(crate) fn verb(self, info: Option<&RequestInfo>) -> Verb {
        if info.is_some_and(|info| info.is_long_running() && info.verb != "watch") {
            return Verb::Connect;
        }
        match self.method {
            Known::Read => match info.map_or("", |info| &*info.verb) {
                "watch" => Verb::Watch,
                "list" => Verb::List,
                _ => Verb::Get,
            },
            Known::Post => Verb::Post,
            Known::Put => Verb::Put,
            Known::Patch => Verb::Patch,
            Known::Apply => Verb::Apply,
            Known::Delete => Verb::Delete,
            Known::Other => Verb::Other,
        }
    }
}

/// Label `code`, what comes often first. Whatever else an answer says counts as the first of its hundred.
const CODES: [u16; 25] =
    [200, 201, 404, 409, 403, 401, 422, 400, 429, 202, 101, 204, 304, 405, 406, 410, 413, 415, 431, 500, 501, 503, 504, 100, 300];

/// How many codes are told apart.
pub(crate) const CODE_COUNT: usize = CODES.len();

/// The index of a code in [`CODES`]; that of its class for others.
pub(crate) fn code_index(code: http::StatusCode) -> usize {
    let index = |code: u16| CODES.iter().position(|known| *known == code);
    index(code.as_u16()).or_else(|| index(code.as_u16() / 100 * 100)).or_else(|| index(500)).unwrap_or(0)
}

/// Iterates over the codes, in the order of [`code_index`].
pub(crate) fn codes() -> impl Iterator<Item = u16> {
    CODES.into_iter()
}

/// Label `username`: nobody's name, but for those that every cluster has.
pub(crate) const USERNAMES: [&str; 7] =
    ["other", "admin", "client", "kube_proxy", "kubelet", "system:serviceaccount:kube-system:default", "email_id"];

/// The index of a user in [`USERNAMES`].
pub(crate) fn username_index(name: &str) -> usize {
    let known = USERNAMES.iter().position(|known| *known == name && *known != "email_id");
    known.unwrap_or(if name.contains('@') { USERNAMES.len() - 1 } else { 0 })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::Request;

    #[test]
    fn verbs_scopes_and_dry_runs_are_upstreams() {
        const APPLY_TYPE: Option<&str> = Some(APPLY);
        let cases: [(&str, &str, Option<&str>, [&str; 3]); 22] = [
            ("GET", "/apis/g/v1/namespaces/a/things", None, ["LIST", "namespace", ""]),
            ("GET", "/apis/g/v1/things", None, ["LIST", "cluster", ""]),
            ("HEAD", "/apis/g/v1/things", None, ["LIST", "cluster", ""]),
            ("GET", "/apis/g/v1/namespaces/a/things?fieldSelector=metadata.name%3Dx", None, ["LIST", "namespace", ""]),
            ("GET", "/apis/g/v1/namespaces/a/things?watch=1", None, ["WATCH", "namespace", ""]),
            ("GET", "/apis/g/v1/watch/things", None, ["WATCH", "cluster", ""]),
            ("GET", "/apis/g/v1/watch/namespaces/a/things/x", None, ["WATCH", "resource", ""]),
            ("GET", "/apis/g/v1/namespaces/a/things/x?dryRun=All", None, ["GET", "resource", ""]),
            ("HEAD", "/apis/g/v1/namespaces/a/things/x/status", None, ["GET", "resource", ""]),
            ("POST", "/apis/g/v1/namespaces/a/things", None, ["POST", "resource", ""]),
            ("POST", "/apis/g/v1/namespaces/a/things?dryRun=All", None, ["POST", "resource", "All"]),
            ("POST", "/apis/g/v1/namespaces/a/things?dryRun=All&dryRun=All", None, ["POST", "resource", "All"]),
            ("POST", "/apis/g/v1/namespaces/a/things?dryRun=foo", None, ["POST", "resource", "invalid"]),
            ("POST", "/apis/g/v1/namespaces/a/things?notdryRun=All", None, ["POST", "resource", ""]),
            ("PUT", "/apis/g/v1/things/x", None, ["PUT", "resource", ""]),
            ("PATCH", "/apis/g/v1/things/x", Some("application/merge-patch+json"), ["PATCH", "resource", ""]),
            ("PATCH", "/apis/g/v1/things/x", APPLY_TYPE, ["APPLY", "resource", ""]),
            ("DELETE", "/apis/g/v1/things/x", None, ["DELETE", "resource", ""]),
            ("DELETE", "/apis/g/v1/namespaces/a/things", None, ["DELETE", "namespace", ""]),
            ("PROPFIND", "/apis/g/v1/things", None, ["other", "cluster", ""]),
            ("GET", "/healthz?watch=1", None, ["GET", "", ""]),
            ("POST", "/healthz", None, ["POST", "", ""]),
        ];
        for (method, uri, media, want) in cases {
            let mut request = Request::builder().method(method).uri(uri);
            if let Some(media) = media {
                request = request.header("content-type", media);
            }
            let request = request.body(()).unwrap();
            let info = RequestInfo::parse(request.method(), request.uri(), "").unwrap();
            let head = Head::of(&request);
            let verb = head.verb(Some(&info));
            let scope = Scope::of(info.resource.as_ref(), verb == Verb::Post);
            assert_eq!([verb.as_str(), scope.as_str(), head.dry_run(Some(&info)).as_str()], want, "{method} {uri}");
        }
    }

    #[test]
    fn every_code_has_an_index() {
        for (code, want) in [(200, 200), (404, 404), (206, 200), (418, 400), (599, 500), (301, 300), (999, 500)] {
            let index = code_index(http::StatusCode::from_u16(code).unwrap());
            assert_eq!(codes().nth(index), Some(want), "{code}");
        }
    }

    #[test]
    fn usernames_tell_nobodys_name() {
        for (name, want) in [
            ("admin", "admin"),
            ("ann", "other"),
            ("ann@example.com", "email_id"),
            ("email_id", "other"),
            ("system:anonymous", "other"),
            ("system:serviceaccount:kube-system:default", "system:serviceaccount:kube-system:default"),
        ] {
            assert_eq!(USERNAMES[username_index(name)], want, "{name}");
        }
    }
}
