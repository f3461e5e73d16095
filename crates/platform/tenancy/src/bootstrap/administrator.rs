//! The administrator whom a server makes at its first start, and the kubeconfig that has the administrator's key.

use super::{Ensured, Registries, refused};
use crate::directory::Directory;
use crate::fresh_secret::fresh_secret;
use crate::kubeconfig::{self, Kubeconfig};
use apiserver_meta::options::{DeleteOptions, ListOptions};
use apiserver_meta::{Object, ObjectFilter, ObjectKey};
use apiserver_registry::WriteFailure;
use apiserver_registry::loopback;
use apiserver_server::StoreUse;
use apiserver_server::{StartError, private_file};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use vci_management::plural::{ACCESS_KEYS, PROJECTS, USERS};

/// The administrator's name.
const NAME: &str = "admin";
/// The name of the key in the kubeconfig.
const KEY: &str = "admin-kubeconfig";
const PROJECT: &str = "my-project";
const API_VERSION: &str = "management.loft.sh/v1";
const TIMEOUT: Duration = Duration::from_secs(30);

/// The values of an administrator's kubeconfig.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Administrator<'a> {
    /// Where it is written.
    pub(crate) kubeconfig: &'a Path,
    /// The server's URL.
    pub(crate) server: &'a str,
    /// The certificate authority to trust, PEM.
    pub(crate) ca_certificate: &'a str,
    /// Whether other servers use the store too.
    pub(crate) store_use: StoreUse,
}

/// The users that a start finds in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Users {
    /// None at all: nobody could call.
    None,
    Some,
}

impl Users {
    pub(super) async fn of(registries: &Registries) -> Result<Self, StartError> {
        let options = ListOptions { limit: 1, ..ListOptions::default() };
        let users = registries.find(USERS)?.list(&loopback::context(TIMEOUT), "", &options, &ObjectFilter::All).await;
        let users = users.map_err(|error| refused(USERS, "", &error))?;
        Ok(if users.items.is_empty() { Self::None } else { Self::Some })
    }
}

/// Makes sure that there is a kubeconfig, and where that is this server's business, an administrator with a good key in it.
/// Returns the file's path if whoever has it can use it as it is.
///
/// The key's clear text is in that file only. When the file is lost, or its key was deleted, a server that uses its store alone makes
/// another key: anybody who can read its data directory has full access anyway. A server that shares its store writes a key only if it
/// was the one that made the administrator. The kubeconfigs of the others have the server and its certificate authority, and no key.
///
/// # Errors
/// Objects that are refused, a file that cannot be written.
pub(super) async fn ensure(
    registries: &Registries,
    directory: &Directory,
    administrator: Administrator<'_>,
    before: Users,
    now: i64,
) -> Result<Option<PathBuf>, StartError> {
    let made = before == Users::None && create_first(registries).await? == Ensured::Created;
    let written = private_file::read(administrator.kubeconfig)?;
    let mut token = written.as_deref().and_then(kubeconfig::token_of);
    let mut good = token.as_ref().is_some_and(|token| directory.identify(token, now).is_some());
    let ours = made || administrator.store_use == StoreUse::Alone && registries.exists(USERS, NAME).await?;
    if !good && ours {
        token = Some(replace_key(registries).await?);
        good = true;
    }
    let text = Kubeconfig {
        server: administrator.server,
        ca_certificate: administrator.ca_certificate,
        user: NAME,
        token: token.as_deref(),
        namespace: &directory.namespace_prefix().namespace_of(PROJECT),
    }
    .render()
    .map_err(|error| StartError::Internal(format!("kubeconfig: {error}")))?;
    if written.as_ref() != Some(&text) {
        private_file::write(administrator.kubeconfig, text.as_bytes())?;
    }
    Ok(good.then(|| administrator.kubeconfig.to_owned()))
}

/// The administrator and a project to begin with. Says whether it was this server that made the administrator.
async fn create_first(registries: &Registries) -> Result<Ensured, StartError> {
    let user = json!({ "displayName": "Administrator", "username": NAME, "subject": NAME, "groups": ["system:masters"] });
    let made = registries.ensure(USERS, object("User", NAME, &user)).await?;
    let project = json!({ "displayName": "My Project", "owner": { "user": NAME }, "allowedClusters": [{ "name": "*" }], "requireTemplate": { "disabled": true } });
    registries.ensure(PROJECTS, object("Project", PROJECT, &project)).await?;
    Ok(made)
}

/// Makes a fresh key for the administrator. The old key is deleted and opens nothing from then on.
async fn replace_key(registries: &Registries) -> Result<String, StartError> {
    let keys = registries.find(ACCESS_KEYS)?;
    match keys.delete(&loopback::context(TIMEOUT), &ObjectKey::new("", KEY), &DeleteOptions::default(), &ObjectFilter::All).await {
        Ok(_) | Err(WriteFailure::Missing(_)) => {}
        Err(failure) => return Err(refused(ACCESS_KEYS, KEY, &failure.into())),
    }
    let secret = fresh_secret().map_err(|error| StartError::Internal(format!("no random numbers: {error}")))?;
    let key = json!({ "displayName": "admin.kubeconfig", "user": NAME, "key": secret });
    registries.create(ACCESS_KEYS, object("OwnedAccessKey", KEY, &key)).await?;
    Ok(secret)
}

fn object(kind: &str, name: &str, spec: &serde_json::Value) -> Object {
    let value = json!({ "apiVersion": API_VERSION, "kind": kind, "metadata": { "name": name }, "spec": spec });
    // It is a JSON object as it stands here.
    Object::from_value(value).unwrap_or_default()
}
