//! The requests that are handled where their connection is.

use apiserver_endpoints::RequestInfo;
use apiserver_meta::Descriptor;
use apiserver_registry::offload;
use axum::body::HttpBody;

/// Whether a request is handled in microseconds: health, one object as it is stored, and a small write of one object. What a write
/// does that may take long is done elsewhere: expressions of the host cluster are evaluated on threads for that, and an object
/// that is not small is merged on the registry's runtime.
///
/// `kinds` are those that registries serve: what others do with a body is not known here.
pub(super) fn is_brief(info: &RequestInfo, body: &impl HttpBody, kinds: &[&'static Descriptor]) -> bool {
    let is_small = || body.size_hint().exact().is_some_and(|size| size <= offload::LIGHT as u64);
    let is_stored = || {
        info.resource.as_ref().is_some_and(|resource| {
            kinds.iter().any(|kind| kind.plural == resource.resource && kind.group == resource.group && kind.version == resource.version)
        })
    };
    info.is_brief() || info.writes_object() && is_small() && is_stored()
}
