//! Where a virtual cluster is on its host: a release in a namespace.

use rustls_pki_types::ServerName;
use std::fmt;

/// The release of a virtual cluster and the namespace of the host cluster that it is in. Both are DNS labels, so they are safe in host
/// names, in URL paths and in label selectors.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    namespace: String,
    release: String,
}

/// A namespace or a release that is no DNS label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a {1}")]
pub struct InvalidAddress(String, &'static str);

impl Address {
    /// The release of this name in this namespace.
    ///
    /// # Errors
    /// One of them is no DNS label.
    pub fn new(namespace: &str, release: &str) -> Result<Self, InvalidAddress> {
        for (name, what) in [(namespace, "namespace"), (release, "release")] {
            if !is_label(name) {
                return Err(InvalidAddress(name.to_owned(), what));
            }
        }
        Ok(Self { namespace: namespace.to_owned(), release: release.to_owned() })
    }

    /// The namespace of the host cluster.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The release, after which the Service and the workload are named.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The Secret with the administrator's certificate.
    pub fn secret_name(&self) -> String {
        format!("vc-{}", self.release)
    }

    /// The host name of the Service inside of the host cluster.
    pub fn service_host(&self) -> String {
        format!("{}.{}.svc", self.release, self.namespace)
    }

    /// The name in the serving certificate.
    pub fn server_name(&self) -> String {
        format!("{}.{}", self.release, self.namespace)
    }

    /// The name that TLS verifies. A name that ends in a label of digits alone could be an address and is none to TLS, so the release
    /// stands for it, which the certificate has as well.
    pub(crate) fn verified_name(&self) -> Option<ServerName<'static>> {
        ServerName::try_from(self.server_name()).or_else(|_| ServerName::try_from(self.release.clone())).ok()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.release)
    }
}

/// Whether this is an RFC 1123 label.
fn is_label(name: &str) -> bool {
    let inner = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    matches!(name.len(), 1..=63) && name.bytes().all(|byte| inner(&byte)) && !name.starts_with('-') && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_labels_become_addresses() {
        for (namespace, release, is_one) in [
            ("ns", "my-vc", true),
            ("1", "2", true),
            ("", "my-vc", false),
            ("ns", "", false),
            ("ns", "My", false),
            ("ns", "a.b", false),
            ("ns/../kube-system", "a", false),
            ("ns", "a,release!=b", false),
            ("ns", "-a", false),
            ("ns", "a-", false),
            ("ns", &"a".repeat(64), false),
        ] {
            assert_eq!(Address::new(namespace, release).is_ok(), is_one, "{namespace:?} {release:?}");
        }
    }

    #[test]
    fn a_name_that_looks_like_an_address_gives_way_to_the_release() {
        let name = |namespace, release| {
            let name = Address::new(namespace, release).unwrap().verified_name();
            name.map(|name| name.to_str().into_owned())
        };
        assert_eq!(name("ns", "vc").as_deref(), Some("vc.ns"));
        assert_eq!(name("123", "vc").as_deref(), Some("vc"));
        assert_eq!(name("123", "456"), None);
    }
}
