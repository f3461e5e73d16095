#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

const LOCATION: &str = "/registry/management.loft.sh/virtualclusterinstances/loft-p-my-project/demo";
const VALUE: &str = r#"{"kind":"VirtualClusterInstance","metadata":{"name":"demo"}}"#;

/// What k8s.io/apiserver v0.36.0 made of [`VALUE`] at [`LOCATION`], with keys of the bytes 0, 1, 2, ... in hexadecimal digits.
const UPSTREAM: [(&str, &str); 7] = [
    (
        "k8s:enc:aesgcm:v1:k16:",
        "7f30d7703d6b3ce9fa1b7c1975b28682a8da16f5369c76144de4f8db9502f555a3213bc821b7538b5c82006f35d505c8d5f907a31c44ab838861a6d48a562f42a952a7a3cf16290ec38aa6d49d893ee173979254fbd74ad5",
    ),
    (
        "k8s:enc:aesgcm:v1:k24:",
        "28011f3813a06631cf9e474816438e30495df68e182a2e9df350d0dec96933e897ccb96e2ebbec424aa145812e75cb09cdc493db78231c9097d951d49448bb4cdee44b5cc99616670eb2b1d7a782016ea264ae62c4fc6f14",
    ),
    (
        "k8s:enc:aesgcm:v1:k32:",
        "26c87d2f9c148c74a12fb785e74d85535090941f8ab786ce7028313dd5ff44bb976bfb152c2ae9e6a008204cc2688afc6391604442f5c10194c41f655377d7481999866efe2bdd6749cef24c932ffe6d56d396fd6527192f",
    ),
    (
        "k8s:enc:aescbc:v1:k16:",
        "bb04a5ed9f6c2b3511294a4a2b0580a35159095c018af5f64c35c129480b5a4579c38d0a333cf59c3ce21de5019802aec270114bd4c6ae1961190625a04414a26496d99fcd88fe9f9be93469679821de",
    ),
    (
        "k8s:enc:aescbc:v1:k24:",
        "344c7db65bb5199802b4c442a0de6a70e1969a979b83c0606b9a76c3b1921edd846d71ad32a722d8fbf01af3ebbc7a9de318acbb494057d2f2c6d53d53c3832f35e4b6f699a8d5d6f6064c124a82e458",
    ),
    (
        "k8s:enc:aescbc:v1:k32:",
        "baad49093c7f5449c225eefac2b6f6e31ce040500ef9a4a766bc9a6f3b213d325c195b84efe8b8f9dfdc333f08be33dd80f313ad4592ab822908686c2ab6fdcb54f07ff815457f03aa4a321653474f02",
    ),
    (
        "k8s:enc:secretbox:v1:k32:",
        "318d714486416751c37bdaa452d4515501fc65701c8730e2e0bedb3708def764d30245b7bc50493373a1af335f582a5f220da7b68c7da7092f7a7cd8d2622190ea2602f2edb150b4d22f1b1ea305802696ebe1ab7374d03524c852924d079243d4321def",
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
