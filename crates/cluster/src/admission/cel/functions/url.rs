//! URLs, by Go's rules of `url.ParseRequestURI`: with a scheme, or an absolute path.

use super::super::evaluate::{Evaluator, Failure, Outcome, failed};
use super::super::value::{Key, Map, Text, Value};
use super::{Function, global, member};
use std::collections::BTreeMap;
use std::rc::Rc;

/// A parsed URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Url {
    scheme: String,
    host: String,
    path: String,
    query: String,
    fragment: String,
}

pub(super) const FUNCTIONS: &[Function] = &[
    global("url", 1, |evaluator, args| match parsed(evaluator, args)? {
        Ok(url) => Ok(Value::Url(Rc::new(url))),
        Err(error) => failed(format!("URL parse error during conversion from string: {error}")),
    }),
    global("isURL", 1, |evaluator, args| parsed(evaluator, args).map(|it| Value::Bool(it.is_ok()))),
    member("getScheme", 1, |_, args| of(args, |it| it.scheme.clone())),
    member("getHost", 1, |_, args| of(args, |it| it.host.clone())),
    member("getHostname", 1, |_, args| of(args, |it| hostname(&it.host).to_owned())),
    member("getPort", 1, |_, args| of(args, |it| port(&it.host).unwrap_or_default().to_owned())),
    member("getEscapedPath", 1, |_, args| of(args, |it| escaped_path(&it.path))),
    member("getQuery", 1, query),
];

fn parsed(evaluator: &mut Evaluator<'_>, args: &[Value<'_>]) -> Result<Result<Url, String>, Failure> {
    let [Value::String(text)] = args else { return Err(Failure::NoSuchOverload) };
    evaluator.charge_text(text.len())?;
    Ok(parse(text))
}

fn of<'a>(args: &[Value<'a>], part: fn(&Url) -> String) -> Outcome<'a> {
    match args {
        [Value::Url(url)] => Ok(Value::text(part(url))),
        _ => Err(Failure::NoSuchOverload),
    }
}

/// Reads a URL, or says what Go would.
pub(super) fn parse(text: &str) -> Result<Url, String> {
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

fn port(host: &str) -> Option<&str> {
    let after = host.rfind(']').map_or(host, |end| host.get(end..).unwrap_or_default());
    after.rsplit_once(':').map(|(_, port)| port)
}

fn hostname(host: &str) -> &str {
    let name = port(host).map_or(host, |port| host.get(..host.len() - port.len() - 1).unwrap_or(host));
    name.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(name)
}

/// The path as it was written, with what must be escaped.
fn escaped_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@%!'()*[]".contains(&byte);
        if plain { out.push(char::from(byte)) } else { out.push_str(&format!("%{byte:02X}")) }
    }
    out
}

fn query<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::Url(url)] = args else { return Err(Failure::NoSuchOverload) };
    evaluator.charge_text(url.query.len())?;
    let mut values: BTreeMap<Key<'a>, Vec<Value<'a>>> = BTreeMap::new();
    // As Go does, what is malformed is left out.
    for pair in url.query.split('&').filter(|it| !it.is_empty() && !it.contains(';')) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let (Some(name), Some(value)) = (unescaped(name), unescaped(value)) {
            values.entry(Key::String(Text::Made(name.into()))).or_default().push(Value::text(value));
        }
    }
    let map = values.into_iter().map(|(name, values)| (name, Value::list(values))).collect();
    Ok(Value::Map(Map::Made(Rc::new(map))))
}

fn unescaped(text: &str) -> Option<String> {
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
