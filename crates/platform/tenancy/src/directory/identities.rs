//! The directory as the server's mapper of identities.

use super::{Directory, EXTRA_ACCESS_KEY, Holder, TEAM_PREFIX};
use apiserver_auth::{Identity, IdentityMapper};
use apiserver_meta::context::GROUP_MASTERS;
use apiserver_meta::{Principal, User};
use std::sync::Arc;
use tokio::sync::watch;
use vci_management::access::Caller;

impl IdentityMapper for Directory {
    /// Somebody whom somebody else vouches for: a certificate's signer, a front proxy, the host cluster, or who acts for them.
    /// Whoever is known by the name is that user or team, with all their groups beside those that are given. Whoever is not is
    /// a user by the name alone: projects, owners and rules may name them, and they hold no keys. Everybody is in the teams that
    /// take in one of their groups. A user who is locked out here stays out, and who is anonymous is nobody, whatever the name.
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

    /// What is said of the caller is not true of somebody else. But what is bounded by the key that the request came with, such
    /// as keys made with it, stays bounded.
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
