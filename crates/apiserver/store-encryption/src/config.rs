//! Reads `EncryptionConfiguration` of `apiserver.config.k8s.io/v1`, by kube-apiserver's rules. The provider `kms` is refused.
//!
//! The file holds keys. So it is walked by hand: what is wrong is told by the path of the field, and no value is ever quoted,
//! which a derived deserializer would do.

use crate::cipher::{self, Make};
use crate::rules::{Pattern, Provider, Rule, Rules};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

const API_VERSION: &str = "apiserver.config.k8s.io/v1";
const KIND: &str = "EncryptionConfiguration";

/// A provider that has keys.
struct Keyed {
    name: &'static str,
    /// Bytes that a key may have.
    sizes: &'static [usize],
    make: Make,
}

const KEYED: [Keyed; 3] = [
    Keyed { name: "aesgcm", sizes: &[16, 24, 32], make: cipher::aes_gcm },
    Keyed { name: "aescbc", sizes: &[16, 24, 32], make: cipher::aes_cbc },
    Keyed { name: "secretbox", sizes: &[32], make: cipher::secretbox },
];

/// Why a configuration is of no use: one line, without any of the file's secrets.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// Its content is wrong.
    #[error("{}: {why}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The path of the field, and what is wrong with it.
        why: String,
    },
}

impl Rules {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// The file cannot be read, or is not valid. The text says which field is wrong.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::from_text(path, &text(path)?)
    }

    pub(crate) fn from_text(path: &Path, text: &[u8]) -> Result<Self, ConfigError> {
        configuration(text).map_err(|why| ConfigError::Content { path: path.to_owned(), why })
    }
}

/// The file's bytes.
pub(crate) fn text(path: &Path) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    std::fs::read(path).map(Zeroizing::new).map_err(|source| ConfigError::File { path: path.to_owned(), source })
}

fn configuration(text: &[u8]) -> Result<Rules, String> {
    // As Kubernetes reads it, `n` is a text; and nothing of the file is quoted.
    let options = serde_yaml::options! { strict_booleans: true, with_snippet: false };
    let value: Value = serde_yaml::from_slice_with_options(text, options).map_err(|error| match error.location() {
        Some(at) => format!("line {}, column {}: is not good YAML", at.line(), at.column()),
        None => "is not good YAML".into(),
    })?;
    let mut fields = Fields::of(value, "")?;
    let (api_version, kind) = (fields.text("apiVersion")?, fields.text("kind")?);
    if api_version != API_VERSION || kind != KIND {
        return Err(format!("must be of apiVersion {API_VERSION} and kind {KIND}"));
    }
    let entries = fields.list("resources")?;
    fields.end()?;
    let mut rules: Vec<Rule> = Vec::new();
    for entry in entries {
        let mut fields = Fields::of(entry.value, entry.path)?;
        let (resources, providers) = (fields.list("resources")?, fields.list("providers")?);
        fields.end()?;
        let patterns = patterns(resources)?;
        let mut list = Vec::new();
        for provider in providers {
            list.extend(self::providers(provider)?.into_iter().map(Arc::new));
        }
        for (path, pattern) in patterns {
            add(&mut rules, &path, pattern, &list)?;
        }
    }
    Ok(Rules(rules))
}

/// A resource that was named before gets more providers; one that a wider rule before it covers would never be looked at.
fn add(rules: &mut Vec<Rule>, path: &str, resources: Pattern, providers: &[Arc<Provider>]) -> Result<(), String> {
    match rules.iter_mut().find(|rule| rule.resources.covers(&resources)) {
        Some(rule) if rule.resources == resources => rule.providers.extend_from_slice(providers),
        Some(rule) => return Err(format!("{path}: {resources} is masked by the earlier rule for {}", rule.resources)),
        None => rules.push(Rule { resources, providers: providers.to_vec() }),
    }
    Ok(())
}

/// The resources of one entry, which must not overlap.
fn patterns(resources: Vec<Member>) -> Result<Vec<(String, Pattern)>, String> {
    let mut patterns: Vec<(String, Pattern)> = Vec::new();
    for Member { path, value } in resources {
        let pattern = pattern(value).map_err(|why| format!("{path}: {why}"))?;
        if let Some((_, other)) = patterns.iter().find(|(_, other)| other.covers(&pattern) || pattern.covers(other)) {
            return Err(format!("{path}: {pattern} and {other} overlap in one list"));
        }
        patterns.push((path, pattern));
    }
    Ok(patterns)
}

fn pattern(value: Value) -> Result<Pattern, &'static str> {
    let Value::String(text) = value else { return Err("must be a string") };
    if text == "*" {
        return Err("use '*.' for all resources of the core API group or '*.*' for all resources");
    }
    if text.is_empty() || text.chars().any(char::is_uppercase) {
        return Err("must be RESOURCE.GROUP in lower case");
    }
    let (resource, group) = text.split_once('.').unwrap_or((&text, ""));
    if group == "*" && resource != "*" {
        return Err("encrypting the same resource across groups is not supported");
    }
    Ok(Pattern { resource: resource.into(), group: group.into() })
}

/// One element of `providers`: as many providers as it has keys, for each is tried on its own.
fn providers(element: Member) -> Result<Vec<Provider>, String> {
    let mut fields = Fields::of(element.value, element.path)?;
    let names = KEYED.iter().map(|keyed| keyed.name).chain(["identity", "kms"]);
    let found: Vec<_> = names.filter_map(|name| Some((name, fields.member(name)?))).collect();
    let path = fields.path.clone();
    fields.end()?;
    let Ok([(name, member)]) = <[_; 1]>::try_from(found) else {
        return Err(format!("{path}: must be exactly one of aesgcm, aescbc, secretbox and identity"));
    };
    if let Some(keyed) = KEYED.iter().find(|keyed| keyed.name == name) {
        return keys(member, keyed);
    }
    if name == "kms" {
        return Err(format!("{}: kms is not supported by this server: use aesgcm or secretbox", member.path));
    }
    Fields::of(member.value, member.path)?.end()?;
    Ok(vec![Provider::Identity])
}

fn keys(member: Member, keyed: &Keyed) -> Result<Vec<Provider>, String> {
    let mut fields = Fields::of(member.value, member.path)?;
    let keys = fields.list("keys")?;
    fields.end()?;
    let key = |member: Member| {
        let mut fields = Fields::of(member.value, member.path)?;
        let name = fields.text("name")?;
        let secret_at = fields.at("secret");
        let secret = Zeroizing::new(fields.text("secret")?);
        fields.end()?;
        let cipher = make(&secret, keyed).map_err(|why| format!("{secret_at}: {why}"))?;
        Ok(Provider::Key { prefix: format!("{}{}:v1:{name}:", apiserver_store::ENCRYPTED, keyed.name), cipher })
    };
    keys.into_iter().map(key).collect()
}

fn make(secret: &str, keyed: &Keyed) -> Result<Box<dyn cipher::Cipher>, String> {
    // What YAML makes of several lines.
    let text: Zeroizing<String> = Zeroizing::new(secret.chars().filter(|char| !matches!(char, '\n' | '\r')).collect());
    let key = STANDARD.decode(text.as_bytes()).map(Zeroizing::new).map_err(|_| "secrets must be base64 encoded")?;
    (keyed.make)(&key)
        .ok_or_else(|| format!("secret is not of the expected length, got {}, expected one of {:?} bytes", key.len(), keyed.sizes))
}

/// A value and where it stands.
struct Member {
    path: String,
    value: Value,
}

/// The members of a mapping, taken out one by one: what is left in the end is unknown.
struct Fields {
    path: String,
    map: Map<String, Value>,
}

impl Fields {
    fn of(value: Value, path: impl Into<String>) -> Result<Self, String> {
        let path = path.into();
        match value {
            Value::Object(map) => Ok(Self { path, map }),
            _ if path.is_empty() => Err("must be a mapping".into()),
            _ => Err(format!("{path}: must be a mapping")),
        }
    }

    fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.into() } else { format!("{}.{name}", self.path) }
    }

    /// `null` is the same as nothing.
    fn member(&mut self, name: &str) -> Option<Member> {
        let value = self.map.remove(name).filter(|value| !value.is_null())?;
        Some(Member { path: self.at(name), value })
    }

    fn text(&mut self, name: &str) -> Result<String, String> {
        match self.member(name) {
            Some(Member { value: Value::String(text), .. }) if !text.is_empty() => Ok(text),
            Some(Member { value: Value::String(_), path }) => Err(format!("{path}: is required")),
            Some(Member { path, .. }) => Err(format!("{path}: must be a string")),
            None => Err(format!("{}: is required", self.at(name))),
        }
    }

    /// At least one.
    fn list(&mut self, name: &str) -> Result<Vec<Member>, String> {
        match self.member(name) {
            Some(Member { value: Value::Array(values), path }) if !values.is_empty() => {
                Ok(values.into_iter().enumerate().map(|(index, value)| Member { path: format!("{path}[{index}]"), value }).collect())
            }
            Some(Member { value: Value::Array(_), path }) => Err(format!("{path}: at least one is required")),
            Some(Member { path, .. }) => Err(format!("{path}: must be a list")),
            None => Err(format!("{}: at least one is required", self.at(name))),
        }
    }

    fn end(self) -> Result<(), String> {
        match self.map.keys().next() {
            Some(name) => Err(format!("{}: unknown field", self.at(name))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
