//! Bearer tokens in the `Authorization` header (RFC 6750, section 2.1).

/// Returns the token of a header `Bearer TOKEN`; schemes are compared without case (RFC 9110, section 11.1).
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    let token = token.trim_start_matches(' ');
    let whole = !token.is_empty() && !token.contains([' ', '\t', ',']);
    (scheme.eq_ignore_ascii_case("bearer") && whole).then_some(token)
}
