//! A server that is measured.

use crate::api::{Api, List};
use crate::client::{Connector, JSON};
use crate::process::Process;
use std::sync::Arc;

/// A server that is measured.
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) process: Process,
    pub(crate) connector: Connector,
    pub(crate) api: Arc<Api>,
}

impl Target {
    /// The version of the collection now.
    pub(crate) async fn version(&self) -> String {
        let list: List = self.connector.connect().await.read(self.api.list("limit=1", JSON)).await;
        list.metadata.resource_version
    }
}
