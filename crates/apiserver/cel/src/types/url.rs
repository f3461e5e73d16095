//! URLs, by Go's rules of `url.ParseRequestURI`: with a scheme, or an absolute path.

/// A parsed URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) scheme: String,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) query: String,
    fragment: String,
}

/// Parses a URL.
///
/// # Errors
/// The fault of the text, in Go's words.
pub(crate) fn parse(text: &str) -> Result<Url, String> {
    parse_parts(text).map_err(|error| format!("parse {text:?}: {error}"))
}

fn parse_parts(text: &str) -> Result<Url, String> {
    if text.bytes().any(|it| it < 0x20 || it == 0x7f) {
        return Err("net/url: invalid control character in URL".into());
    }
    if text.is_empty() {
        return Err("empty url".into());
    }
    let (scheme, rest) = scheme_of(text)?;
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut url = Url { scheme: scheme.to_ascii_lowercase(), query: query.into(), fragment: fragment.into(), ..Url::default() };
    if !rest.starts_with('/') {
        // `mailto:x` has neither host nor path; without a scheme it is no absolute URL.
        return if scheme.is_empty() { Err("invalid URI for request".into()) } else { Ok(url) };
    }
    let path = match rest.strip_prefix("//") {
        Some(rest) if !scheme.is_empty() => {
            let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            url.host = checked_host(host)?;
            path
        }
        _ => rest,
    };
    check_escapes(path)?;
    url.path = path.into();
    Ok(url)
}

fn scheme_of(text: &str) -> Result<(&str, &str), String> {
    for (place, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if place > 0 => {}
            '0'..='9' | '+' | '-' | '.' => return Ok(("", text)),
            ':' if place == 0 => return Err("missing protocol scheme".into()),
            ':' => return Ok((text.get(..place).unwrap_or_default(), text.get(place + 1..).unwrap_or_default())),
            _ => return Ok(("", text)),
        }
    }
    Ok(("", text))
}

fn checked_host(host: &str) -> Result<String, String> {
    if let Some(bad) = host.chars().find(|c| matches!(c, ' ' | '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}')) {
        return Err(format!("invalid character {:?} in host name", bad.to_string()));
    }
    if host.starts_with('[') && !host.contains(']') {
        return Err("missing ']' in host".into());
    }
    check_escapes(host)?;
    let after = host.rfind(']').map_or(host, |end| host.get(end..).unwrap_or_default());
    if let Some((_, port)) = after.rsplit_once(':')
        && !port.bytes().all(|it| it.is_ascii_digit())
    {
        return Err(format!("invalid port {:?} after host", format!(":{port}")));
    }
    Ok(host.to_owned())
}

fn check_escapes(text: &str) -> Result<(), String> {
    for (place, _) in text.match_indices('%') {
        let code = text.as_bytes().get(place + 1..place + 3);
        if !code.is_some_and(|it| it.iter().all(u8::is_ascii_hexdigit)) {
            let bad: String = text.get(place..).unwrap_or_default().chars().take(3).collect();
            return Err(format!("invalid URL escape {bad:?}"));
        }
    }
    Ok(())
}

pub(crate) fn port(host: &str) -> Option<&str> {
    let after = host.rfind(']').map_or(host, |end| host.get(end..).unwrap_or_default());
    after.rsplit_once(':').map(|(_, port)| port)
}

pub(crate) fn hostname(host: &str) -> &str {
    let name = port(host).map_or(host, |port| host.get(..host.len() - port.len() - 1).unwrap_or(host));
    name.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(name)
}

/// Escapes the characters of a path that must be.
pub(crate) fn escaped_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@%!'()*[]".contains(&byte);
        if plain { out.push(char::from(byte)) } else { out.push_str(&format!("%{byte:02X}")) }
    }
    out
}

pub(crate) fn unescaped(text: &str) -> Option<String> {
    check_escapes(text).ok()?;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let code = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&code).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
