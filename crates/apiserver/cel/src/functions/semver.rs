//! Semantic versions.

use crate::overload::{Error, Outcome, Overload, Value, fail, global, member};
use ::semver::Version;
use std::cmp::Ordering;
use std::rc::Rc;

pub(super) const FUNCTIONS: &[Overload] = &[
    global("semver", 1, |_, args| semver(args)).with_optional(),
    global("isSemver", 1, |_, args| parse(args).map(|it| Value::Bool(it.is_ok()))).with_optional(),
    member("isGreaterThan", 2, |_, args| compare(args).map(|it| Value::Bool(it.is_gt()))),
    member("isLessThan", 2, |_, args| compare(args).map(|it| Value::Bool(it.is_lt()))),
    member("compareTo", 2, |_, args| compare(args).map(|it| Value::Int(it as i64))),
    member("major", 1, |_, args| part(args, |it| it.major)),
    member("minor", 1, |_, args| part(args, |it| it.minor)),
    member("patch", 1, |_, args| part(args, |it| it.patch)),
];

fn semver<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match parse(args)? {
        Ok(version) => Ok(Value::Semver(Rc::new(version))),
        Err(text) => fail(text),
    }
}

fn parse(args: &[Value<'_>]) -> Result<Result<Version, String>, Error> {
    let read = |text: &str| Version::parse(text).map_err(|error| wrong(text).unwrap_or_else(|| error.to_string()));
    match args {
        [Value::String(text)] | [Value::String(text), Value::Bool(false)] => Ok(read(text)),
        [Value::String(text), Value::Bool(true)] => Ok(normalized(text).and_then(|it| read(&it))),
        _ => Err(Error::NoSuchOverload),
    }
}

/// Describes the commonest mistakes in upstream's words.
fn wrong(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("Version string empty".into());
    }
    let parts: Vec<&str> = text.splitn(3, '.').collect();
    if parts.len() < 3 {
        return Some("No Major.Minor.Patch elements found".into());
    }
    parts.into_iter().zip(["Major", "Minor"]).find_map(|(part, name)| {
        if part.is_empty() || !part.bytes().all(|it| it.is_ascii_digit()) {
            return Some(format!("Invalid character(s) found in {} number {part:?}", name.to_ascii_lowercase()));
        }
        (part.len() > 1 && part.starts_with('0')).then(|| format!("{name} number must not contain leading zeroes {part:?}"))
    })
}

/// Drops a leading `v` and leading zeros, and adds zeros up to three numbers.
fn normalized(text: &str) -> Result<String, String> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let mut parts: Vec<String> = text.splitn(3, '.').map(without_leading_zeros).collect();
    if parts.len() < 3 && parts.last().is_some_and(|it| it.contains(['+', '-'])) {
        return Err("short version cannot contain PreRelease/Build meta data".into());
    }
    parts.resize(3, "0".into());
    Ok(parts.join("."))
}

fn without_leading_zeros(part: &str) -> String {
    let bare = part.trim_start_matches('0');
    if part.len() > 1 && !bare.starts_with(|c: char| c.is_ascii_digit()) {
        return format!("0{bare}");
    }
    if part.len() > 1 { bare.to_owned() } else { part.to_owned() }
}

fn compare(args: &[Value<'_>]) -> Result<Ordering, Error> {
    let [Value::Semver(a), Value::Semver(b)] = args else { return Err(Error::NoSuchOverload) };
    Ok(a.cmp_precedence(b))
}

fn part<'a>(args: &[Value<'a>], part: fn(&Version) -> u64) -> Outcome<'a> {
    let [Value::Semver(it)] = args else { return Err(Error::NoSuchOverload) };
    Ok(Value::Int(i64::try_from(part(it)).unwrap_or(i64::MAX)))
}
