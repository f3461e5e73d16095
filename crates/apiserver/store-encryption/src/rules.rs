//! Which value is written with which key, and with which ones it may have been written.

use crate::cipher::Cipher;
use apiserver_store::{ENCRYPTED, Form, Key};
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// An encryption configuration, ready for use. Has no way to tell its keys.
#[derive(Debug, Default)]
pub struct Rules(pub(crate) Vec<Rule>);

/// The providers for some resources.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) resources: Pattern,
    /// The first one writes; all of them read, in this order. Never empty.
    pub(crate) providers: Vec<Arc<Provider>>,
}

/// Resources of the API: `books.library.example.com`, `*.library.example.com`, `*.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) resource: String,
    pub(crate) group: String,
}

/// One way to write a value.
pub(crate) enum Provider {
    /// As it is.
    Identity,
    /// Encrypted.
    Key {
        /// `k8s:enc:PROVIDER:v1:NAME:`, which tells readers what follows.
        prefix: String,
        cipher: Box<dyn Cipher>,
    },
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.prefix().unwrap_or("identity"))
    }
}

/// No provider that is configured for the resource has the value's prefix.
const UNKNOWN: &str = "the encryption configuration has no such provider and key for it";
/// The value is plain, and nothing says that it may be: anybody who can write to the store could have put it there.
const PLAIN: &str = "it is not encrypted, and the encryption configuration does not allow that";
/// A key of the name is there.
const REFUSED: &str = "the key of that name does not decrypt it: it is another key, or the value was damaged or moved";

impl Rules {
    /// How values of a resource are written: what they will begin with, such as `k8s:enc:aesgcm:v1:key1:`; `None`: they are not
    /// encrypted.
    pub fn written(&self, group: &str, resource: &str) -> Option<&str> {
        self.0.iter().find(|rule| rule.resources.matches(group, resource))?.providers.first()?.prefix()
    }

    /// The value as it is written under a key.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn encrypt(&self, key: &Key, location: &str, value: &Bytes) -> Result<Bytes, getrandom::Error> {
        match self.providers(key).first().map(|provider| &**provider) {
            // Without bytes there is nothing to hide, and who writes none means that nobody shall read any.
            Some(Provider::Key { prefix, cipher }) if !value.is_empty() => {
                let mut out = Vec::with_capacity(prefix.len() + value.len() + 48);
                out.extend_from_slice(prefix.as_bytes());
                cipher.encrypt(location.as_bytes(), value, &mut out)?;
                Ok(out.into())
            }
            Some(Provider::Identity | Provider::Key { .. }) | None => Ok(value.clone()),
        }
    }

    /// Decrypts a stored value, and tells whether it would be written in the same form today. A value that no provider can decrypt is returned
    /// as it is stored, except plain text under a resource without the `identity` provider.
    pub(crate) fn decrypt(&self, key: &Key, location: &str, stored: Bytes) -> (Bytes, Form) {
        let providers = self.providers(key);
        // A resource without a rule is written as it is.
        if stored.is_empty() || (providers.is_empty() && !is_encrypted(&stored)) {
            return (stored, Form::Current);
        }
        if !is_encrypted(&stored) {
            let plain = providers.iter().position(|provider| matches!(**provider, Provider::Identity));
            return plain.map_or((Bytes::new(), Form::Unreadable(PLAIN)), |index| (stored, form(index)));
        }
        let mut why = UNKNOWN;
        for (index, provider) in providers.iter().enumerate() {
            let Provider::Key { prefix, cipher } = &**provider else { continue };
            let Some(encrypted) = stored.strip_prefix(prefix.as_bytes()) else { continue };
            // Keys of one name may come twice, while one is being replaced by another.
            match cipher.decrypt(location.as_bytes(), encrypted) {
                Some(value) => return (value.into(), form(index)),
                None => why = REFUSED,
            }
        }
        (stored, Form::Unreadable(why))
    }

    /// The providers for a key: none for what is no object's, and for resources without a rule.
    fn providers(&self, key: &Key) -> &[Arc<Provider>] {
        let mut parts = key.as_str().splitn(3, '/');
        let (Some(group), Some(resource)) = (parts.next(), parts.next()) else { return &[] };
        self.0.iter().find(|rule| rule.resources.matches(group, resource)).map_or(&[], |rule| &rule.providers)
    }
}

fn is_encrypted(stored: &[u8]) -> bool {
    stored.starts_with(ENCRYPTED.as_bytes())
}

/// The first provider is the one that writes.
fn form(index: usize) -> Form {
    if index == 0 { Form::Current } else { Form::Stale }
}

impl Provider {
    fn prefix(&self) -> Option<&str> {
        match self {
            Self::Identity => None,
            Self::Key { prefix, .. } => Some(prefix),
        }
    }
}

impl Pattern {
    pub(crate) fn matches(&self, group: &str, resource: &str) -> bool {
        let any = self.resource == "*";
        (any && self.group == "*") || (self.group == group && (any || self.resource == resource))
    }

    /// Whether everything that the other one matches is matched.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.matches(&other.group, &other.resource)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.resource, self.group)
    }
}
