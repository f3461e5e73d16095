//! Kinds whose objects are computed for whoever reads them and never stored: get and list, of the whole cluster, in every
//! representation. Refused: writes and watches.

pub(crate) mod serve;

use apiserver_auth::Identity;
use apiserver_meta::virtual_resource::Audience;
use apiserver_meta::{Object, Resource};
use std::fmt;
use std::sync::Arc;

/// A kind whose objects are computed.
pub trait VirtualCollection: fmt::Debug + Send + Sync + 'static {
    /// The kind: its descriptor has the verbs get and list and the scope of the whole cluster.
    fn resource(&self) -> &Arc<dyn Resource>;

    /// The callers who may ask. The answer holds only what the caller may see in any case.
    fn audience(&self) -> Audience;

    /// The objects that the caller may see, in the order of their names.
    fn objects(&self, caller: &Identity) -> Vec<Object>;
}
