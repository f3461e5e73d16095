//! Secrets that the server makes.

use std::fmt::Write as _;

/// 256 random bits, as 64 hexadecimal digits.
///
/// # Errors
/// The system has no random numbers.
pub(crate) fn fresh_secret() -> Result<String, getrandom::Error> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits)?;
    Ok(bits.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
