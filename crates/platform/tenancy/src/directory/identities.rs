//! The directory as the server's mapper of identities.

use super::{Directory, EXTRA_ACCESS_KEY, Holder, TEAM_PREFIX};
use apiserver_auth::{Identity, IdentityMapper};
use apiserver_meta::context::GROUP_MASTERS;
use apiserver_meta::{Principal, User};
use std::sync::Arc;
use tokio::sync::watch;
use vci_management::access::Caller;

impl IdentityMapper for Directory {
    /// The identity of a user whom a certificate, a front proxy, the host cluster or an impersonating caller vouches for.
    ///
    /// - Users are matched by name. A vouched-for user whose name equals the name of a User object acts as that User, with its groups
    ///   beside the given ones, so whoever can issue such identities can act as any User. With [`TEAM_PREFIX`] the same holds for Teams.
    /// - A user without a User object is known by name alone. Projects, owners and access rules may name such a user, who cannot hold
    ///   access keys.
    /// - A user joins the teams that list one of the given groups.
    /// - The name of a disabled User, or of a Team that does not exist, gives no rights here.
    /// - An anonymous user never acts as a User, whatever its name.
    fn identity_of(&self, user: User) -> Identity {
        if user.is_anonymous() {
            return Identity::of_user(user);
        }
        let tables = self.read();
        let team = user.name.strip_prefix(TEAM_PREFIX).map(|team| Holder::Team(team.into()));
        let known = tables.holder(team.as_ref().unwrap_or(&Holder::User(user.name.clone())));
        let mut caller = match &known {
            Some(known) => Caller::of(&known.principal).clone(),
            None if team.is_some() || tables.users.contains_key(&user.name) => {
                return Identity::of_user(user);
            }
            None => Caller { user: Some(user.name.clone()), ..Caller::default() },
        };
        let (mut groups, uid) = known.map(|known| (known.user.groups.clone(), known.user.uid.clone())).unwrap_or_default();
        groups.extend(user.groups.iter().filter(|group| !groups.contains(group)).cloned().collect::<Vec<_>>());
        if caller.user.is_some() {
            let joined = tables.teams_of(&user.groups).filter(|team| !caller.teams.contains(team)).cloned().collect::<Vec<_>>();
            groups.extend(joined.iter().map(|team| format!("{TEAM_PREFIX}{team}")).filter(|group| !user.groups.contains(group)));
            caller.teams.extend(joined);
        }
        let uid = if user.uid.is_empty() { uid } else { user.uid };
        Identity { user: Arc::new(User { uid, groups, ..user }), principal: Principal::new(caller) }
    }

    fn known_as(&self, name: &str) -> Option<Identity> {
        Directory::known_as(self, name)
    }

    /// The identity of an impersonated user. It has nothing of the caller but the access key that the request came with, which still
    /// bounds the access keys that the request makes.
    fn impersonated(&self, user: User, caller: &Identity) -> Identity {
        let Identity { user, principal } = self.identity_of(user);
        let access_key = Caller::of(&caller.principal).access_key.clone();
        Identity { user, principal: Principal::new(Caller { access_key, ..Caller::of(&principal).clone() }) }
    }

    fn is_admin(&self, identity: &Identity) -> bool {
        identity.user.in_group(GROUP_MASTERS) || Directory::is_admin(self, Caller::of(&identity.principal))
    }

    fn is_reserved_extra(&self, key: &str) -> bool {
        key == EXTRA_ACCESS_KEY
    }

    fn owns_token(&self, token: &str) -> bool {
        self.is_secret(token)
    }

    fn changes(&self) -> Option<watch::Receiver<u64>> {
        Some(Directory::changes(self))
    }

    fn next_expiry(&self, now: i64) -> Option<i64> {
        Directory::next_expiry(self, now)
    }
}
