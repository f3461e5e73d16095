//! Acting for somebody else: `Impersonate-User`, `-Group`, `-Uid`, `-Extra-KEY` and, as one list, `-Joined-Group`.
//!
//! Every part of the request is a request of its own to the authorizers, with the verb `impersonate`. Whoever is then acted for
//! is who goes by that name here, with their groups and teams, so that the answer is the one that they would get.
//! Nobody becomes more than they are: only `system:masters` act for `system:masters`, and only those who may do everything
//! act for others who may. Refused: to pass over a request that cannot be read, because it would then be carried out with the
//! rights of the wrong one.

use super::authentication::AuthenticationState;
use super::authorization::{decide, forbidden};
use crate::app::App;
use apiserver_auth::{Attributes, Authorizer, Identity, IdentityMapper, Target};
use apiserver_meta::context::{GROUP_AUTHENTICATED, GROUP_MASTERS, GROUP_UNAUTHENTICATED, USER_ANONYMOUS};
use apiserver_meta::{ApiError, ObjectFilter, User};
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use std::sync::Arc;

const PREFIX: &str = "impersonate-";
const EXTRA: &str = "impersonate-extra-";
const AUTHENTICATION: &str = "authentication.k8s.io";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// Whether a header says for whom to act.
pub(crate) fn is_impersonation_header(name: &HeaderName) -> bool {
    name.as_str().starts_with(PREFIX)
}

/// The user that a request acts as by its headers: the impersonated user, or the caller.
///
/// # Errors
/// 401 for a request of somebody who is not known, 400 for one that cannot be read, 403 for one that the caller may not have.
pub(crate) async fn impersonated_user(
    app: &App,
    headers: &HeaderMap,
    caller: &Identity,
    standing: AuthenticationState,
) -> Result<(Identity, AuthenticationState), ApiError> {
    if standing != AuthenticationState::Proved && headers.keys().any(is_impersonation_header) {
        return Err(ApiError::unauthorized());
    }
    let Some(request) = ImpersonationRequest::read(headers)? else { return Ok((caller.clone(), standing)) };
    let identity = request.grant(&app.config.authorizers, &*app.config.identities, caller).await?;
    let standing = AuthenticationState::of(&identity);
    Ok((identity, standing))
}

/// For whom somebody wants to act.
#[derive(Debug, Default, PartialEq, Eq)]
struct ImpersonationRequest {
    user: String,
    uid: String,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
}

impl ImpersonationRequest {
    fn read(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        let mut request = Self::default();
        let mut any = false;
        for (name, value) in headers.iter().filter(|(name, _)| is_impersonation_header(name)) {
            any = true;
            let refused = || ApiError::bad_request(format!("header {name:?} cannot be read"));
            let value = std::str::from_utf8(value.as_bytes()).map_err(|_| refused())?;
            match name.as_str() {
                "impersonate-user" if request.user.is_empty() => request.user = value.to_owned(),
                "impersonate-uid" if request.uid.is_empty() => request.uid = value.to_owned(),
                "impersonate-group" => request.groups.push(value.to_owned()),
                "impersonate-joined-group" => {
                    request.groups.extend(value.split(',').map(str::trim).filter(|group| !group.is_empty()).map(str::to_owned));
                }
                other => {
                    let key = other.strip_prefix(EXTRA).filter(|key| !key.is_empty()).ok_or_else(refused)?;
                    request.extra.entry(unescape(key)).or_default().push(value.to_owned());
                }
            }
        }
        if any && request.user.is_empty() {
            return Err(ApiError::bad_request("requested groups, a UID or extra facts without impersonating a user"));
        }
        Ok(any.then_some(request))
    }

    async fn grant(
        self,
        authorizers: &[Arc<dyn Authorizer>],
        identities: &dyn IdentityMapper,
        caller: &Identity,
    ) -> Result<Identity, ApiError> {
        for target in self.targets() {
            ask(authorizers, caller, target).await?;
        }
        // What the server says of a caller is not for callers to say.
        if let Some(key) = self.extra.keys().find(|key| identities.is_reserved_extra(key)) {
            return Err(may_not(caller, extra(key, "")));
        }
        let name = self.user.clone();
        let identity = identities.impersonated(self.into_user(), caller);
        let masters = |identity: &Identity| identity.user.in_group(GROUP_MASTERS);
        if masters(&identity) && !masters(caller) {
            return Err(may_not(caller, core("groups", GROUP_MASTERS)));
        }
        if identities.is_admin(&identity) && !identities.is_admin(caller) {
            return Err(may_not(caller, core("users", &name)));
        }
        Ok(identity)
    }

    /// Everything that is asked for, in the words of authorization.
    fn targets(&self) -> Vec<Target> {
        let user = match service_account(&self.user) {
            Some((namespace, name)) => in_core("serviceaccounts", namespace, name),
            None => core("users", &self.user),
        };
        let groups = self.groups.iter().map(|group| core("groups", group));
        let facts = self.extra.iter().flat_map(|(key, values)| values.iter().map(|value| extra(key, value)));
        let uid = (!self.uid.is_empty()).then(|| authentication("uids", "", &self.uid));
        std::iter::once(user).chain(groups).chain(facts).chain(uid).collect()
    }

    /// The user, with the groups that nobody has to name.
    fn into_user(self) -> User {
        let Self { user: name, uid, mut groups, extra } = self;
        if let Some((namespace, _)) = service_account(&name)
            && groups.is_empty()
        {
            groups = vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")];
        }
        let given = |group: &str| groups.iter().any(|one| one == group);
        if name == USER_ANONYMOUS {
            if !given(GROUP_UNAUTHENTICATED) {
                groups.push(GROUP_UNAUTHENTICATED.into());
            }
        } else if !given(GROUP_AUTHENTICATED) && !given(GROUP_UNAUTHENTICATED) {
            groups.push(GROUP_AUTHENTICATED.into());
        }
        User { name, uid, groups, extra }
    }
}

async fn ask(authorizers: &[Arc<dyn Authorizer>], caller: &Identity, target: Target) -> Result<(), ApiError> {
    let attributes = Attributes { identity: caller.clone(), verb: "impersonate".into(), target };
    match decide(authorizers, &attributes).await {
        Ok(ObjectFilter::All) => Ok(()),
        // Nothing stored is touched: there is nothing that could grant it.
        Ok(ObjectFilter::Access(_)) => Err(forbidden(&attributes, "")),
        Err(refusal) => Err(refusal.error),
    }
}

fn may_not(caller: &Identity, target: Target) -> ApiError {
    forbidden(&Attributes { identity: caller.clone(), verb: "impersonate".into(), target }, "")
}

/// Namespace and name in the user name of a service account.
fn service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(SERVICE_ACCOUNT)?.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then_some((namespace, name))
}

fn core(resource: &str, name: &str) -> Target {
    in_core(resource, "", name)
}

fn in_core(resource: &str, namespace: &str, name: &str) -> Target {
    Target::Resource {
        group: String::new(),
        version: "v1".into(),
        resource: resource.into(),
        subresource: String::new(),
        namespace: namespace.into(),
        name: name.into(),
    }
}

fn extra(key: &str, value: &str) -> Target {
    authentication("userextras", key, value)
}

fn authentication(resource: &str, subresource: &str, name: &str) -> Target {
    Target::Resource {
        group: AUTHENTICATION.into(),
        version: "v1".into(),
        resource: resource.into(),
        subresource: subresource.into(),
        namespace: String::new(),
        name: name.into(),
    }
}

/// Header names cannot hold every character: keys are percent-encoded. What is no good encoding is meant as it stands.
fn unescape(key: &str) -> String {
    let good =
        key.match_indices('%').all(|(at, _)| key.as_bytes().get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)));
    let decoded = good.then(|| percent_decode_str(key).decode_utf8().ok()).flatten();
    decoded.map_or_else(|| key.to_owned(), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests;
