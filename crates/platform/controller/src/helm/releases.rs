//! What helm knows of a release, read from the Secrets in which it keeps its records: `sh.helm.release.v1.NAME.vREVISION`.
//!
//! A list of their labels answers what `helm status` would, for much less. And it can do what no command of helm does: a run that
//! was killed leaves a record that says `pending-...`, and helm then refuses every upgrade. [`recover`] writes into that record
//! that it failed, as helm itself would have done. The next upgrade then compares with what was deployed, or with what that run
//! meant to install, so nothing is forgotten; deleting the record, the common advice, forgets what a first installation has made.

use super::{HelmError, is_label};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};

/// A record is at most a megabyte of gzip; what is larger unpacked is none of helm's.
const LARGEST: u64 = 32 << 20;

/// Where a release is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Installed.
    Deployed,
    /// The last run failed. The next one takes it from there.
    Failed,
    /// A run works on it, or was killed.
    Pending,
    /// Its record is kept, but nothing of it is left.
    Uninstalled,
}

/// The last revision of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its number.
    pub number: u64,
    /// Its state.
    pub state: State,
    /// When the record was last written, in Unix seconds.
    pub written: i64,
}

/// The last revision of a release; `None` when there is no release.
///
/// # Errors
/// The cluster does not answer or does not allow it.
pub async fn last(client: &Client, namespace: &str, name: &str) -> Result<Option<Revision>, HelmError> {
    if !is_label(name) {
        return Err(HelmError::InvalidRelease(format!("the release {name:?} must be a DNS label")));
    }
    let records = secrets(client, namespace).list_metadata(&ListParams::default().labels(&format!("owner=helm,name={name}"))).await;
    let records = records.map_err(|error| cluster_error(&error))?;
    Ok(records.items.iter().filter_map(|record| revision(record.metadata.labels.as_ref()?)).max_by_key(|revision| revision.number))
}

/// Makes a release usable again that a killed run left pending. Does nothing for any other, nor when somebody writes the record
/// at the same time: that somebody is a run that lives.
///
/// Call it when no run of this process works on the release, and a run of another process has had its time since
/// [`Revision::written`].
///
/// # Errors
/// The cluster does not answer or does not allow it, or the record cannot be read.
pub async fn recover(client: &Client, namespace: &str, name: &str) -> Result<(), HelmError> {
    let Some(Revision { number, state: State::Pending, .. }) = last(client, namespace, name).await? else { return Ok(()) };
    let (api, secret) = (secrets(client, namespace), format!("sh.helm.release.v1.{name}.v{number}"));
    let Some(mut record) = api.get_opt(&secret).await.map_err(|error| cluster_error(&error))? else { return Ok(()) };
    fail(&mut record).ok_or_else(|| HelmError::Failed(format!("its record cannot be read: remove the Secret {secret}")))?;
    // The resource version that was read goes along.
    match api.replace(&secret, &PostParams::default(), &record).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(cluster_error(&error)),
    }
}

fn secrets(client: &Client, namespace: &str) -> Api<Secret> {
    Api::namespaced(client.clone(), namespace)
}

fn cluster_error(error: &kube::Error) -> HelmError {
    match error {
        kube::Error::Api(status) if matches!(status.code, 401 | 403) => HelmError::Forbidden(status.message.clone()),
        kube::Error::Api(status) => HelmError::Failed(status.message.clone()),
        other => HelmError::ClusterUnreachable(other.to_string()),
    }
}

fn revision(labels: &std::collections::BTreeMap<String, String>) -> Option<Revision> {
    let state = match labels.get("status")?.as_str() {
        "deployed" | "superseded" => State::Deployed,
        "failed" => State::Failed,
        "uninstalled" => State::Uninstalled,
        // Also `uninstalling`, on which helm refuses upgrades as well.
        _ => State::Pending,
    };
    let seconds = |label: &str| labels.get(label).and_then(|text| text.parse().ok());
    let written = seconds("modifiedAt").or_else(|| seconds("createdAt")).unwrap_or_default();
    Some(Revision { number: labels.get("version")?.parse().ok()?, state, written })
}

/// Writes into a record that its run failed; `None` when it is no record.
fn fail(record: &mut Secret) -> Option<()> {
    let packed = record.data.as_mut()?.get_mut("release")?;
    let mut release = unpack(&packed.0)?;
    let info = release.get_mut("info")?.as_object_mut()?;
    info.insert("status".into(), "failed".into());
    info.insert("description".into(), json!("The run was interrupted"));
    *packed = ByteString(pack(&release)?);
    record.metadata.labels.as_mut()?.insert("status".into(), "failed".into());
    Some(())
}

/// A record is JSON in gzip in base64.
fn unpack(bytes: &[u8]) -> Option<Value> {
    let gzip = STANDARD.decode(bytes).ok()?;
    let mut json = Vec::new();
    GzDecoder::new(gzip.as_slice()).take(LARGEST).read_to_end(&mut json).ok()?;
    serde_json::from_slice(&json).ok()
}

fn pack(release: &Value) -> Option<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&serde_json::to_vec(release).ok()?).ok()?;
    Some(STANDARD.encode(gzip.finish().ok()?).into_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeMap;

    fn labels(status: &str) -> BTreeMap<String, String> {
        let labels = [("owner", "helm"), ("name", "a"), ("status", status), ("version", "3"), ("createdAt", "100")];
        labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn states_are_read_from_labels() {
        for (status, state) in [
            ("deployed", State::Deployed),
            ("failed", State::Failed),
            ("uninstalled", State::Uninstalled),
            ("pending-install", State::Pending),
            ("pending-upgrade", State::Pending),
            ("pending-rollback", State::Pending),
            ("uninstalling", State::Pending),
        ] {
            assert_eq!(revision(&labels(status)), Some(Revision { number: 3, state, written: 100 }), "{status}");
        }
        let mut changed = labels("deployed");
        changed.insert("modifiedAt".into(), "200".into());
        assert_eq!(revision(&changed).unwrap().written, 200);
        assert_eq!(revision(&BTreeMap::new()), None);
    }

    #[test]
    fn an_interrupted_record_becomes_one_that_failed_and_keeps_the_rest() {
        let release = json!({"name": "a", "info": {"status": "pending-upgrade", "notes": "n"}, "manifest": "---\nx: 1\n", "version": 3});
        let data = BTreeMap::from([("release".to_owned(), ByteString(pack(&release).unwrap()))]);
        let mut record = Secret { data: Some(data), ..Secret::default() };
        record.metadata.labels = Some(labels("pending-upgrade"));
        fail(&mut record).unwrap();
        let mut want = release;
        want["info"] = json!({"status": "failed", "description": "The run was interrupted", "notes": "n"});
        assert_eq!(unpack(&record.data.as_ref().unwrap()["release"].0), Some(want));
        assert_eq!(record.metadata.labels.unwrap()["status"], "failed");

        let broken = BTreeMap::from([("release".to_owned(), ByteString(b"junk".to_vec()))]);
        assert_eq!(fail(&mut Secret { data: Some(broken), ..Secret::default() }), None);
    }
}
