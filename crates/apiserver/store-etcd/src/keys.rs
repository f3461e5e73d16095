//! Between the store's keys and etcd's: every key of this store lies under one prefix.

use apiserver_store::{Entry, Form, Key, Revision, StoreError};
use etcd_client::KeyValue;

use crate::config::ConnectError;

/// The prefix, always `/SEGMENT/.../`.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    prefix: String,
}

/// A range of etcd's keys, `[start, end)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRange {
    pub(crate) start: Vec<u8>,
    pub(crate) end: Vec<u8>,
}

impl Keys {
    /// Takes the prefix with or without slashes at its ends, but not an empty one: it would take in everything that others
    /// keep in the same etcd.
    pub(crate) fn new(prefix: &str) -> Result<Self, ConnectError> {
        let trimmed = prefix.trim_matches('/');
        let clean = trimmed.split('/').all(|segment| !matches!(segment, "" | "." | "..") && !segment.contains(char::is_control));
        if !clean {
            return Err(ConnectError::Config(format!("prefix {prefix:?} must be a path like /registry/name")));
        }
        Ok(Self { prefix: format!("/{trimmed}/") })
    }

    /// The prefix of all keys.
    pub(crate) fn root(&self) -> &str {
        &self.prefix
    }

    /// etcd's key of a key.
    pub(crate) fn of(&self, key: &Key) -> Vec<u8> {
        self.extend(key.as_str())
    }

    /// A key that never has a value: what to ask etcd for when only its revision is wanted.
    pub(crate) fn nothing(&self) -> Vec<u8> {
        self.extend("")
    }

    /// All keys that begin with `prefix`, of these the ones at or behind `start`.
    pub(crate) fn range(&self, prefix: &str, start: &str) -> KeyRange {
        let first = self.extend(prefix);
        let end = behind(first.clone());
        KeyRange { start: first.max(self.extend(start)), end }
    }

    /// The entry that etcd's pair is.
    pub(crate) fn entry(&self, pair: KeyValue) -> Result<Entry, StoreError> {
        let revision = revision(pair.mod_revision())?;
        let (key, value) = pair.into_key_value();
        Ok(Entry { key: self.key(&key)?, value: value.into(), revision, form: Form::Current })
    }

    /// The key that etcd's key is.
    pub(crate) fn key(&self, raw: &[u8]) -> Result<Key, StoreError> {
        let text = std::str::from_utf8(raw).ok().and_then(|text| text.strip_prefix(&self.prefix));
        let text = text.ok_or_else(|| StoreError::Corrupt(format!("etcd has a foreign key {:?}", String::from_utf8_lossy(raw))))?;
        Ok(Key::new(text))
    }

    fn extend(&self, text: &str) -> Vec<u8> {
        format!("{}{text}", self.prefix).into_bytes()
    }
}

/// The first key behind all keys that begin with this one. It exists, because a prefix of text has a byte below 0xff.
fn behind(mut prefix: Vec<u8>) -> Vec<u8> {
    while let Some(last) = prefix.pop() {
        if last < 0xff {
            prefix.push(last + 1);
            break;
        }
    }
    prefix
}

/// etcd's revisions are positive numbers of 63 bits.
pub(crate) fn revision(raw: i64) -> Result<Revision, StoreError> {
    Revision::try_from(raw).map_err(|_| StoreError::Corrupt(format!("etcd says revision {raw}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn prefixes() {
        for (prefix, want) in [("/registry/x", Some("/registry/x/")), ("r", Some("/r/")), ("/r/", Some("/r/")), ("", None), ("/", None)]
            .into_iter()
            .chain(["/a//b", "/a/../b", "/a/./b", "/a\n"].map(|prefix| (prefix, None)))
        {
            assert_eq!(Keys::new(prefix).ok().map(|keys| keys.prefix).as_deref(), want, "{prefix:?}");
        }
    }

    #[test]
    fn ranges() {
        let keys = Keys::new("/r").unwrap();
        for (prefix, start, want) in [
            ("pods/", "", ("/r/pods/", "/r/pods0")),
            ("pods/", "pods/b\0", ("/r/pods/b\0", "/r/pods0")),
            ("pods/", "a", ("/r/pods/", "/r/pods0")),
            ("pods/", "z", ("/r/z", "/r/pods0")),
            ("", "", ("/r/", "/r0")),
        ] {
            let range = keys.range(prefix, start);
            assert_eq!((range.start.as_slice(), range.end.as_slice()), (want.0.as_bytes(), want.1.as_bytes()), "{prefix} {start}");
        }
        assert_eq!(behind(vec![b'a', 0xff, 0xff]), b"b");
    }

    #[test]
    fn foreign_keys_are_corrupt() {
        let keys = Keys::new("/r").unwrap();
        assert_eq!(keys.key(b"/r/a/b").unwrap(), Key::new("a/b"));
        for raw in [&b"/other/a"[..], b"/r", b"/r/\xff"] {
            assert!(matches!(keys.key(raw), Err(StoreError::Corrupt(_))));
        }
    }
}
