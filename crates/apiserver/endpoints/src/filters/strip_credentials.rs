//! Headers that say who is calling (`Authorization`, the front proxy's `X-Remote-*`, and what an authenticator names) go no further
//! than authentication.

use crate::access::authentication::is_credential;
use apiserver_auth::Authenticator;
use http::HeaderMap;
use std::sync::Arc;

/// Removes every header that is a credential.
pub(super) fn strip_credentials(headers: &mut HeaderMap, chain: &[Arc<dyn Authenticator>]) {
    let named: Vec<_> = headers.keys().filter(|name| is_credential(name, chain)).cloned().collect();
    for name in named {
        headers.remove(name);
    }
}
