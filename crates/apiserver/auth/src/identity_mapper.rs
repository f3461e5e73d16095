//! The mapping from users whom certificates, front proxies or token reviews vouch for to identities of the product.

use crate::Identity;
use apiserver_meta::User;
use apiserver_meta::context::GROUP_MASTERS;
use std::fmt;
use tokio::sync::watch;

/// Maps users to identities, and announces changes. A server has one: that of its product, or [`Unmapped`].
pub trait IdentityMapper: fmt::Debug + Send + Sync + 'static {
    /// Returns the identity of a user whom a certificate, a front proxy or a token review vouches for. Users are matched by name:
    /// an issuer of certificates or tokens with a name that the product knows issues that identity.
    fn identity_of(&self, user: User) -> Identity;

    /// Returns the identity of a user of the product by name; `None` when the product has no such user.
    fn known_as(&self, _name: &str) -> Option<Identity> {
        None
    }

    /// Returns the identity of a user whom `caller` impersonates. Restrictions of the caller's credentials must apply to it too.
    fn impersonated(&self, user: User, _caller: &Identity) -> Identity {
        self.identity_of(user)
    }

    /// Whether an identity may do everything. Only callers who may do everything can impersonate it.
    fn is_admin(&self, identity: &Identity) -> bool {
        identity.user.in_group(GROUP_MASTERS)
    }

    /// Whether an extra key of users is set by the server alone. Impersonation with such a key is refused.
    fn is_reserved_extra(&self, _key: &str) -> bool {
        false
    }

    /// Whether a bearer token has the form of the product's own tokens, valid or not. Such a token is never sent to the host
    /// cluster for review.
    fn owns_token(&self, _token: &str) -> bool {
        false
    }

    /// Returns a counter that changes at once when a write may have changed the identity or the rights of a caller; `None` when
    /// writes never do.
    fn changes(&self) -> Option<watch::Receiver<u64>> {
        None
    }

    /// Returns the time of the next expiry of an identity after `now`, both in Unix seconds.
    fn next_expiry(&self, _now: i64) -> Option<i64> {
        None
    }
}

/// Maps every user to an identity without objects of a product.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unmapped;

impl IdentityMapper for Unmapped {
    fn identity_of(&self, user: User) -> Identity {
        Identity::of_user(user)
    }
}
