//! What of an instance the gateway goes by: where its virtual cluster is, whether it is awake, who is what inside.

use crate::sleep::SleepState;
use apiserver_meta::ApiError;
use apiserver_registry::Item;
use serde::Deserialize;
use std::collections::BTreeMap;
use vci_management::cluster::LOCAL_CLUSTER;
use vci_management::types::{AccessPoint, InstanceAccess, InstanceAccessRule};
use vci_management::virtualclusterinstance::VirtualClusterClusterRef;
use vci_virtualcluster::Address;

/// What of an instance the gateway goes by. Unknown members are passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Instance {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: String,
    annotations: BTreeMap<String, String>,
    deletion_timestamp: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    cluster_ref: VirtualClusterClusterRef,
    extra_access_rules: Vec<InstanceAccessRule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    reason: String,
    message: String,
    #[serde(rename = "serviceUID")]
    service_uid: String,
    virtual_cluster: Rendered,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rendered {
    access: Option<InstanceAccess>,
    access_point: AccessPoint,
    forward_token: bool,
    forward_token_mode: String,
}

/// What becomes of bearer tokens that are none of this server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForeignTokens {
    /// They are refused.
    Refused,
    /// The virtual cluster says whose they are, and is asked on behalf of that user.
    Reviewed,
    /// They are handed over.
    PassedOn,
}

impl Instance {
    /// Reads an item.
    ///
    /// # Errors
    /// 500 when the stored object is not of this form.
    pub(crate) fn of(item: &Item) -> Result<Self, ApiError> {
        serde_json::from_slice(&item.bytes).map_err(|error| ApiError::internal("a stored object cannot be read").with_source(error))
    }

    /// Where the virtual cluster is.
    ///
    /// A user may have chosen cluster and namespace, so they count only once the controller has said that what is there belongs to this
    /// instance: nobody else writes a status.
    ///
    /// # Errors
    /// 503, and why.
    pub(crate) fn address(&self) -> Result<Address, ApiError> {
        let VirtualClusterClusterRef { cluster, namespace, virtual_cluster } = &self.spec.cluster_ref;
        if self.status.service_uid.is_empty() || self.status.phase.is_empty() {
            return Err(self.not_ready());
        }
        if cluster != LOCAL_CLUSTER {
            return Err(unavailable(format!("the virtual cluster runs in cluster {cluster:?}, which this server does not reach")));
        }
        Address::new(namespace, virtual_cluster).map_err(|error| unavailable(format!("spec.clusterRef: {error}")))
    }

    /// The refusal of an instance that is not there yet, or not any more.
    pub(crate) fn not_ready(&self) -> ApiError {
        let phase = match self.status.phase.as_str() {
            _ if self.metadata.deletion_timestamp.is_some() => "Terminating",
            "" => "Pending",
            phase => phase,
        };
        let mut text = format!("virtual cluster {:?} is not ready: phase {phase}", self.metadata.name);
        if !self.status.reason.is_empty() {
            text.push_str(&format!(" ({})", self.status.reason));
        }
        if !self.status.message.is_empty() {
            text.push_str(&format!(": {}", self.status.message));
        }
        unavailable(text)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.status.phase == "Ready"
    }

    /// Whether it sleeps, and what wakes it.
    pub(crate) fn sleep(&self) -> SleepState {
        SleepState::of(&self.status.phase, &self.metadata.annotations)
    }

    pub(crate) fn annotations(&self) -> &BTreeMap<String, String> {
        &self.metadata.annotations
    }

    /// The rules of the template, as rendered, and those of the instance.
    pub(crate) fn access(&self) -> (Option<&InstanceAccess>, &[InstanceAccessRule]) {
        (self.status.virtual_cluster.access.as_ref(), &self.spec.extra_access_rules)
    }

    /// By what the rendered template says, which only the controller writes. What is no known word means the safest.
    pub(crate) fn foreign_tokens(&self) -> ForeignTokens {
        let Rendered { forward_token, forward_token_mode, .. } = &self.status.virtual_cluster;
        match forward_token_mode.as_str() {
            "TokenReview" => ForeignTokens::Reviewed,
            "" if *forward_token => ForeignTokens::Reviewed,
            "Passthrough" => ForeignTokens::PassedOn,
            _ => ForeignTokens::Refused,
        }
    }

    /// Whether it is reached through an ingress, too.
    pub(crate) fn has_ingress(&self) -> bool {
        self.status.virtual_cluster.access_point.ingress.enabled
    }
}

fn unavailable(text: String) -> ApiError {
    ApiError::unavailable(text, 5)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn instance(object: Value) -> Instance {
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn only_where_the_controller_says_that_it_is_it_is_looked_for() {
        let at = |cluster: &str, namespace: &str, status: Value| {
            let cluster_ref = json!({"cluster": cluster, "namespace": namespace, "virtualCluster": "vc"});
            instance(json!({"metadata": {"name": "n"}, "spec": {"clusterRef": cluster_ref}, "status": status})).address()
        };
        let ready = json!({"phase": "Ready", "serviceUID": "u"});
        let address = at(LOCAL_CLUSTER, "ns", ready.clone()).unwrap();
        assert_eq!((address.namespace(), address.release()), ("ns", "vc"));
        for (cluster, namespace, status) in [
            (LOCAL_CLUSTER, "ns", json!({})),
            (LOCAL_CLUSTER, "ns", json!({"phase": "Ready"})),
            (LOCAL_CLUSTER, "ns", json!({"serviceUID": "u"})),
            ("", "ns", ready.clone()),
            ("other", "ns", ready.clone()),
            (LOCAL_CLUSTER, "", ready.clone()),
            (LOCAL_CLUSTER, "ns/../kube-system", ready),
        ] {
            let error = at(cluster, namespace, status.clone()).unwrap_err();
            assert_eq!((error.code(), error.details.unwrap().retry_after_seconds), (503, 5), "{cluster} {namespace} {status}");
        }
    }

    #[test]
    fn a_refusal_says_phase_reason_and_message() {
        let text = |object| instance(object).not_ready().message;
        assert_eq!(text(json!({"metadata": {"name": "n"}})), r#"virtual cluster "n" is not ready: phase Pending"#);
        let status = json!({"phase": "Failed", "reason": "ChartNotFound", "message": "no such chart"});
        let want = r#"virtual cluster "n" is not ready: phase Failed (ChartNotFound): no such chart"#;
        assert_eq!(text(json!({"metadata": {"name": "n"}, "status": status})), want);
        let going = json!({"metadata": {"name": "n", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Ready"}});
        assert_eq!(text(going), r#"virtual cluster "n" is not ready: phase Terminating"#);
    }

    #[test]
    fn modes_of_foreign_tokens() {
        use ForeignTokens::{PassedOn, Refused, Reviewed};
        for (rendered, want) in [
            (json!({}), Refused),
            (json!({"forwardToken": false}), Refused),
            (json!({"forwardToken": true}), Reviewed),
            (json!({"forwardToken": true, "forwardTokenMode": "Off"}), Refused),
            (json!({"forwardTokenMode": "TokenReview"}), Reviewed),
            (json!({"forwardTokenMode": "Passthrough"}), PassedOn),
            (json!({"forwardToken": true, "forwardTokenMode": "passthrough"}), Refused),
        ] {
            assert_eq!(instance(json!({"status": {"virtualCluster": rendered}})).foreign_tokens(), want, "{rendered}");
            assert_eq!(
                instance(json!({"spec": {"template": rendered}})).foreign_tokens(),
                Refused,
                "what users write is nothing: {rendered}"
            );
        }
    }
}
