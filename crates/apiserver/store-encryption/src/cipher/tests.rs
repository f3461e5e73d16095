#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

const LOCATION: &str = "/registry/library.example.com/books/room-my-shelf/demo";
const VALUE: &str = r#"{"kind":"Book","metadata":{"name":"demo"}}"#;

/// Outputs of k8s.io/apiserver v0.36.0 for [`VALUE`] at [`LOCATION`], with keys of the bytes 0, 1, 2, ... in hexadecimal digits.
const UPSTREAM: [(&str, &str); 7] = [
    (
        "k8s:enc:aesgcm:v1:k16:",
        "79a84e306a8ea54d21b3a6bb44e0b8c5090542c0dbf39246af32f52c244ff494316b30b36089c7ac8c23420d5538da8ac0472d68ad50cef4cc4481c9783ac1a254bcac9f1f9f",
    ),
    (
        "k8s:enc:aesgcm:v1:k24:",
        "754836ffb2fc2ca9b74152c3f0bae5bbbb25179a0536b9782409b1609551d1f88ddda256a86dfb9af2a8a74b4e55c32c0d0294dc76155423d2dea7ec69ed3283c7420e067d93",
    ),
    (
        "k8s:enc:aesgcm:v1:k32:",
        "bab798b87db0f3d878962e3e3d12004879b2407b215cdc4dd02ec813a3a0d2fd71fe89f5859c7eac8507b3fc3335afcc42eee22fa7fbc18929dbe013a36aa44131726a877b8d",
    ),
    (
        "k8s:enc:aescbc:v1:k16:",
        "f58836a7d4fd34d6025201d70450dc2607ccf7a5be1ab2ad6eb7008cfcdd3cd6200bceb9e82d8385d20703b6dff123ce60df960f79d6e5cc3c01130924b3282c",
    ),
    (
        "k8s:enc:aescbc:v1:k24:",
        "12dc5d33c728b89621ee77e0d337bf695906e6c7fb4119fba8352d222fda968ff2247f5f661bf9665ece917730cc748da7f2dab25aa44d2e53eb55e09994c322",
    ),
    (
        "k8s:enc:aescbc:v1:k32:",
        "096790dd7c263be216e338fd0ee4cdf21cda6ac6ded494d18b849c603b2d70b55e7da197e7c5b972a1703dbad5f3f762a3695e6790c7dba805027df137cb5d51",
    ),
    (
        "k8s:enc:secretbox:v1:k32:",
        "713313a20146a6b3d8582793ba2f8867eb60d6f76b153feff811335a1bdaf6f76cd56d91347337e5d8703d34ad38274ccb836f9e6e01166ed37fbe1354b4483a7623427084471cc1d22af931cd2835df0dea",
    ),
];

fn cipher(name: &str, size: usize) -> Box<dyn Cipher> {
    let key: Vec<u8> = (0..size as u8).collect();
    let make = match name {
        "aesgcm" => aes_gcm,
        "aescbc" => aes_cbc,
        _ => secretbox,
    };
    make(&key).unwrap()
}

fn ciphers() -> Vec<(&'static str, usize)> {
    vec![("aesgcm", 16), ("aesgcm", 24), ("aesgcm", 32), ("aescbc", 16), ("aescbc", 24), ("aescbc", 32), ("secretbox", 32)]
}

fn encrypted(cipher: &dyn Cipher, location: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = b"prefix".to_vec();
    cipher.encrypt(location, value, &mut out).unwrap();
    assert!(out.starts_with(b"prefix"));
    out.split_off(6)
}

fn bytes(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn what_kubernetes_wrote_is_read() {
    for (prefix, digits) in UPSTREAM {
        let words: Vec<&str> = prefix.split(':').collect();
        let cipher = cipher(words[2], words[4][1..].parse().unwrap());
        assert_eq!(cipher.decrypt(LOCATION.as_bytes(), &bytes(digits)).as_deref(), Some(VALUE.as_bytes()), "{prefix}");
        let elsewhere = cipher.decrypt(b"/registry/elsewhere", &bytes(digits));
        assert_eq!(elsewhere.is_none(), words[2] == "aesgcm", "{prefix}: only this provider binds a value to its place");
    }
}

#[test]
fn keys_have_one_of_few_lengths() {
    for size in 0..=64 {
        let key = vec![7; size];
        let made = [aes_gcm, aes_cbc, secretbox].map(|make| make(&key).is_some());
        assert_eq!(made, [matches!(size, 16 | 24 | 32), matches!(size, 16 | 24 | 32), size == 32], "{size}");
    }
}

proptest! {
    #[test]
    fn what_is_encrypted_is_decrypted_and_nothing_else(
        which in 0..7usize,
        value in prop::collection::vec(any::<u8>(), 0..200),
        location: String,
        place: prop::sample::Index,
        bit in 0..8u8,
        cut: prop::sample::Index,
    ) {
        let (name, size) = ciphers()[which];
        let cipher = cipher(name, size);
        let good = encrypted(&*cipher, location.as_bytes(), &value);
        prop_assert_eq!(cipher.decrypt(location.as_bytes(), &good), Some(value.clone()));
        prop_assert_ne!(&encrypted(&*cipher, location.as_bytes(), &value), &good, "a nonce came twice");

        let mut bad = good.clone();
        bad[place.index(good.len())] ^= 1 << bit;
        let short = &good[..cut.index(good.len())];
        // CBC authenticates nothing; it must get along with anything.
        for tampered in [cipher.decrypt(location.as_bytes(), &bad), cipher.decrypt(location.as_bytes(), short)] {
            prop_assert!(tampered.is_none() || name == "aescbc");
        }
        let moved = cipher.decrypt(format!("{location}x").as_bytes(), &good);
        prop_assert_eq!(moved.is_none(), name == "aesgcm");
    }
}
