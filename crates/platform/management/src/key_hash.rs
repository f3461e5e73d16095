//! The hash of an access key's secret: SHA-256. Secrets have at least 256 random bits, so a slow hash would protect nothing.

use sha2::Sha256;
use std::fmt::Write as _;

/// A SHA-256.
pub type Digest = [u8; 32];

/// The digest of a secret.
pub fn digest(secret: &str) -> Digest {
    <Sha256 as sha2::Digest>::digest(secret.as_bytes()).into()
}

/// The digest of a secret as `status.keyHash` has it: 64 lower-case hexadecimal digits.
pub fn of(secret: &str) -> String {
    digest(secret).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The digest that such a text says; `None` for any other text.
pub fn parse(text: &str) -> Option<Digest> {
    if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut digest = [0; 32];
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let text = of("s3cret");
        assert_eq!(parse(&text), Some(digest("s3cret")));
        for other in ["", &text[1..], &text.to_uppercase(), &format!("{text}0"), &text.replace(['0', '1'], "g")] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
