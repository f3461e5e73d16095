//! Metadata that the server itself writes: time, UID, generated names.

use apiserver_meta::Object;

/// Metadata that clients may send and the server decides. `resourceVersion` is not among them: it has rules of its own.
pub(super) const SYSTEM_FIELDS: [&str; 5] = ["creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "selfLink", "uid"];

/// Letters of generated suffixes: no vowels and no look-alikes, so that no words come out.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX: usize = 5;
/// A generated name stays a DNS label.
const MAX_GENERATED: usize = 63;

/// Now, as metadata writes it: RFC 3339, whole seconds, UTC.
pub(super) fn now() -> String {
    let seconds = jiff::Timestamp::now().as_second();
    jiff::Timestamp::from_second(seconds).unwrap_or_default().to_string()
}

/// A fresh UID (RFC 4122, version 4).
pub(super) fn uid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// A name that begins with `base` and ends at random.
pub(super) fn generated_name(base: &str) -> String {
    let mut end = base.len().min(MAX_GENERATED - SUFFIX);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let random = uuid::Uuid::new_v4().into_bytes();
    // Bytes 9.. of a version 4 UUID are all random; the bias of a remainder does not matter for a name.
    let suffix = random[9..9 + SUFFIX].iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
    base[..end].chars().chain(suffix).collect()
}

/// Whether anything but metadata and status differs: what a generation counts.
pub(super) fn desired_state_differs(a: &Object, b: &Object) -> bool {
    let desired = |object: &Object| object.0.iter().filter(|(name, _)| *name != "metadata" && *name != "status").count();
    desired(a) != desired(b) || a.0.iter().any(|(name, value)| name != "metadata" && name != "status" && b.0.get(name) != Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_keep_the_base_and_fit_a_label() {
        let name = generated_name("gen-");
        assert!(name.starts_with("gen-") && name.len() == 9, "{name}");
        assert_eq!(generated_name(&"x".repeat(80)).len(), MAX_GENERATED);
        assert!(generated_name(&"é".repeat(40)).len() <= MAX_GENERATED);
        assert_ne!(generated_name("a"), generated_name("a"));
    }

    #[test]
    fn time_has_whole_seconds() {
        let now = now();
        assert!(now.len() == 20 && now.ends_with('Z'), "{now}");
    }
}
