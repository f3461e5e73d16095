//! Strings, by characters (code points).

use crate::overload::{Context, Error, List, Outcome, Overload, Value, fail, global, member};
use crate::printf;

pub(super) const FUNCTIONS: &[Overload] = &[
    member("charAt", 2, char_at),
    member("indexOf", 2, |context, args| index_of(context, args, search)).with_optional(),
    member("lastIndexOf", 2, |context, args| index_of(context, args, search_back)).with_optional(),
    member("join", 1, |context, args| match args {
        [Value::List(list)] => join(context, list, ""),
        [Value::List(list), Value::String(separator)] => join(context, list, separator),
        _ => Err(Error::NoSuchOverload),
    })
    .with_optional(),
    member("replace", 3, replace).with_optional(),
    member("split", 2, split).with_optional(),
    member("substring", 2, substring).with_optional(),
    member("lowerAscii", 1, |context, args| mapped(context, args, str::to_ascii_lowercase)),
    member("upperAscii", 1, |context, args| mapped(context, args, str::to_ascii_uppercase)),
    member("trim", 1, |context, args| mapped(context, args, |it| it.trim().to_owned())),
    global("strings.quote", 1, |context, args| mapped(context, args, quote)),
    member("format", 2, |context, args| match args {
        [Value::String(pattern), Value::List(values)] => printf::format(context, pattern, values).map(Value::text),
        _ => Err(Error::NoSuchOverload),
    }),
];

fn mapped<'a>(context: &mut Context, args: &[Value<'a>], map: fn(&str) -> String) -> Outcome<'a> {
    let [Value::String(text)] = args else { return Err(Error::NoSuchOverload) };
    context.charge_text(text.len())?;
    Ok(Value::text(map(text)))
}

fn out_of_range<T>(index: i64) -> Result<T, Error> {
    fail(format!("index out of range: {index}"))
}

fn char_at<'a>(context: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text), Value::Int(index)] = args else { return Err(Error::NoSuchOverload) };
    context.charge_text(text.len())?;
    let start = byte_at(text, *index)?;
    Ok(Value::text(text.get(start..).and_then(|rest| rest.chars().next()).map_or_else(String::new, String::from)))
}

/// The byte at which the character with an index begins; the end counts.
fn byte_at(text: &str, index: i64) -> Result<usize, Error> {
    let starts = text.char_indices().map(|(place, _)| place).chain([text.len()]);
    let found = usize::try_from(index).ok().and_then(|index| { starts }.nth(index));
    found.map_or_else(|| out_of_range(index), Ok)
}

type Search = fn(&[char], &[char], Option<usize>) -> Option<usize>;

/// Searches characters. An empty part is found where the search begins.
fn index_of<'a>(context: &mut Context, args: &[Value<'a>], search: Search) -> Outcome<'a> {
    let (text, part, offset) = match args {
        [Value::String(text), Value::String(part)] => (text, part, None),
        [Value::String(text), Value::String(part), Value::Int(offset)] => (text, part, Some(*offset)),
        _ => return Err(Error::NoSuchOverload),
    };
    context.charge_text(text.len())?;
    context.charge((text.len() / 10).saturating_mul(part.len().min(text.len()) / 10))?;
    if let (true, Some(offset)) = (part.is_empty(), offset) {
        return Ok(Value::Int(offset));
    }
    let text: Vec<char> = text.chars().collect();
    let part: Vec<char> = part.chars().collect();
    let offset = match offset.map(usize::try_from) {
        Some(Err(_)) => return out_of_range(offset.unwrap_or_default()),
        Some(Ok(offset)) if offset >= text.len() => return Ok(Value::Int(-1)),
        Some(Ok(offset)) => Some(offset),
        None => None,
    };
    Ok(Value::Int(search(&text, &part, offset).map_or(-1, |it| it as i64)))
}

fn search(text: &[char], part: &[char], offset: Option<usize>) -> Option<usize> {
    let last = text.len().checked_sub(part.len())?;
    (offset.unwrap_or(0)..=last).find(|start| text.get(*start..).is_some_and(|rest| rest.starts_with(part)))
}

fn search_back(text: &[char], part: &[char], offset: Option<usize>) -> Option<usize> {
    let last = text.len().checked_sub(part.len())?;
    (0..=offset.unwrap_or(last).min(last)).rev().find(|start| text.get(*start..).is_some_and(|rest| rest.starts_with(part)))
}

fn join<'a>(context: &mut Context, list: &List<'a>, separator: &str) -> Outcome<'a> {
    let mut joined = String::new();
    for (index, item) in list.iter().enumerate() {
        let Value::String(item) = item else { return fail(format!("join: invalid input: {}", item.type_name())) };
        context.charge_text(item.len() + separator.len())?;
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(&item);
    }
    Ok(Value::text(joined))
}

/// Reads a limit as Go does: none if negative.
fn limit(args: Option<&Value<'_>>) -> Result<usize, Error> {
    match args {
        None => Ok(usize::MAX),
        Some(Value::Int(limit)) => Ok(usize::try_from(*limit).unwrap_or(usize::MAX)),
        Some(_) => Err(Error::NoSuchOverload),
    }
}

fn replace<'a>(context: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text), Value::String(old), Value::String(new), rest @ ..] = args else { return Err(Error::NoSuchOverload) };
    let limit = limit(rest.first())?;
    context.charge_text(text.len())?;
    // Paid before it is made: it may be far longer than what it is made from.
    let count = text.matches(&**old).take(limit).count();
    context.charge_text(text.len().saturating_add(count.saturating_mul(new.len())))?;
    Ok(Value::text(text.replacen(&**old, new, limit)))
}

fn split<'a>(context: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text), Value::String(separator), rest @ ..] = args else { return Err(Error::NoSuchOverload) };
    let limit = limit(rest.first())?;
    context.charge_text(text.len())?;
    let mut parts = Vec::new();
    if limit == 0 {
        return Ok(Value::list(parts));
    }
    if separator.is_empty() {
        // Every character; what is beyond the limit stays together.
        let cut = text.char_indices().nth(limit.saturating_sub(1)).map_or(text.len(), |(place, _)| place);
        let (single, together) = text.split_at(cut);
        context.charge(single.len() + 1)?;
        parts.extend(single.chars().map(|it| Value::text(it.encode_utf8(&mut [0; 4]))));
        if !together.is_empty() {
            parts.push(Value::text(together));
        }
        return Ok(Value::list(parts));
    }
    for part in text.splitn(limit, &**separator) {
        context.charge(1)?;
        parts.push(Value::text(part));
    }
    Ok(Value::list(parts))
}

fn substring<'a>(context: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    let (text, start, end) = match args {
        [Value::String(text), Value::Int(start)] => (text, *start, None),
        [Value::String(text), Value::Int(start), Value::Int(end)] => (text, *start, Some(*end)),
        _ => return Err(Error::NoSuchOverload),
    };
    context.charge_text(text.len())?;
    if let Some(end) = end
        && start > end
    {
        return fail(format!("invalid substring range. start: {start}, end: {end}"));
    }
    let from = byte_at(text, start)?;
    let to = end.map_or(Ok(text.len()), |end| byte_at(text, end))?;
    Ok(Value::text(text.get(from..to).unwrap_or_default()))
}

/// Quotes a text, with the escapes that a literal needs.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x0b' => quoted.push_str("\\v"),
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
