//! From a user whom something outside vouches for to the [`Identity`] that a product knows them by.

use crate::Identity;
use apiserver_meta::User;
use apiserver_meta::context::GROUP_MASTERS;
use std::fmt;
use tokio::sync::watch;

/// Maps users to identities, and tells when identities change. A server has one: that of its product, or [`Unmapped`].
pub trait IdentityMapper: fmt::Debug + Send + Sync + 'static {
    /// The identity of a user whom a certificate, a front proxy or a token review vouches for.
    fn identity_of(&self, user: User) -> Identity;

    /// The identity that goes by a name here; `None` for a name that says nothing here.
    fn known_as(&self, _name: &str) -> Option<Identity> {
        None
    }

    /// The identity of a user for whom `caller` acts. Whatever bounds the credentials of the caller bounds it as well.
    fn impersonated(&self, user: User, _caller: &Identity) -> Identity {
        self.identity_of(user)
    }

    /// Whether an identity may do everything, so that only its equals act for it.
    fn is_admin(&self, identity: &Identity) -> bool {
        identity.user.in_group(GROUP_MASTERS)
    }

    /// Whether an extra key of users is the server's own to say, so that nobody impersonates with it.
    fn is_reserved_extra(&self, _key: &str) -> bool {
        false
    }

    /// Whether a bearer token is one of the product's own, good or not: such a token is shown to nobody else.
    fn owns_token(&self, _token: &str) -> bool {
        false
    }

    /// A counter that changes at once whenever who somebody is, or what they may do, may have changed by a write; `None`:
    /// it never does.
    fn changes(&self) -> Option<watch::Receiver<u64>> {
        None
    }

    /// When, after `now` (both in Unix seconds), the next identity expires by time alone.
    fn next_expiry(&self, _now: i64) -> Option<i64> {
        None
    }
}

/// Knows users by nothing but what is said of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unmapped;

impl IdentityMapper for Unmapped {
    fn identity_of(&self, user: User) -> Identity {
        Identity::of_user(user)
    }
}
