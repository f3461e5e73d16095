//! Strings, by characters (code points).

use super::super::evaluate::{Evaluator, Failure, Outcome, failed};
use super::super::value::{List, Value};
use super::{Function, global, member, printf};

pub(super) const FUNCTIONS: &[Function] = &[
    member("charAt", 2, char_at),
    member("indexOf", 2, |evaluator, args| index_of(evaluator, args, search)),
    member("indexOf", 3, |evaluator, args| index_of(evaluator, args, search)),
    member("lastIndexOf", 2, |evaluator, args| index_of(evaluator, args, search_back)),
    member("lastIndexOf", 3, |evaluator, args| index_of(evaluator, args, search_back)),
    member("join", 1, |evaluator, args| match args {
        [Value::List(list)] => join(evaluator, list, ""),
        _ => Err(Failure::NoSuchOverload),
    }),
    member("join", 2, |evaluator, args| match args {
        [Value::List(list), Value::String(separator)] => join(evaluator, list, separator),
        _ => Err(Failure::NoSuchOverload),
    }),
    member("replace", 3, replace),
    member("replace", 4, replace),
    member("split", 2, split),
    member("split", 3, split),
    member("substring", 2, substring),
    member("substring", 3, substring),
    member("lowerAscii", 1, |evaluator, args| mapped(evaluator, args, str::to_ascii_lowercase)),
    member("upperAscii", 1, |evaluator, args| mapped(evaluator, args, str::to_ascii_uppercase)),
    member("trim", 1, |evaluator, args| mapped(evaluator, args, |it| it.trim().to_owned())),
    global("strings.quote", 1, |evaluator, args| mapped(evaluator, args, quote)),
    member("format", 2, |evaluator, args| match args {
        [Value::String(pattern), Value::List(values)] => printf::format(evaluator, pattern, values).map(Value::text),
        _ => Err(Failure::NoSuchOverload),
    }),
];

fn mapped<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>], map: fn(&str) -> String) -> Outcome<'a> {
    let [Value::String(text)] = args else { return Err(Failure::NoSuchOverload) };
    evaluator.charge_text(text.len())?;
    Ok(Value::text(map(text)))
}

fn out_of_range<T>(index: i64) -> Result<T, Failure> {
    failed(format!("index out of range: {index}"))
}

fn char_at<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text), Value::Int(index)] = args else { return Err(Failure::NoSuchOverload) };
    evaluator.charge_text(text.len())?;
    let place = byte_at(text, *index)?;
    Ok(Value::text(text.get(place..).and_then(|rest| rest.chars().next()).map_or_else(String::new, String::from)))
}

/// Where the character of that number begins; the end counts.
fn byte_at(text: &str, index: i64) -> Result<usize, Failure> {
    let starts = text.char_indices().map(|(place, _)| place).chain([text.len()]);
    let found = usize::try_from(index).ok().and_then(|index| { starts }.nth(index));
    found.map_or_else(|| out_of_range(index), Ok)
}

type Search = fn(&[char], &[char], Option<usize>) -> Option<usize>;

/// Searches characters. An empty part is found where the search begins.
fn index_of<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>], search: Search) -> Outcome<'a> {
    let (text, part, offset) = match args {
        [Value::String(text), Value::String(part)] => (text, part, None),
        [Value::String(text), Value::String(part), Value::Int(offset)] => (text, part, Some(*offset)),
        _ => return Err(Failure::NoSuchOverload),
    };
    evaluator.charge_text(text.len())?;
    evaluator.charge((text.len() / 10).saturating_mul(part.len().min(text.len()) / 10))?;
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

fn join<'a>(evaluator: &mut Evaluator<'a>, list: &List<'a>, separator: &str) -> Outcome<'a> {
    let mut joined = String::new();
    for (index, item) in list.iter().enumerate() {
        let Value::String(item) = item else { return failed(format!("join: invalid input: {}", item.type_name())) };
        evaluator.charge_text(item.len() + separator.len())?;
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(&item);
    }
    Ok(Value::text(joined))
}

/// A limit as Go has it: negative for none.
fn limit(args: Option<&Value<'_>>) -> Result<usize, Failure> {
    match args {
        None => Ok(usize::MAX),
        Some(Value::Int(limit)) => Ok(usize::try_from(*limit).unwrap_or(usize::MAX)),
        Some(_) => Err(Failure::NoSuchOverload),
    }
}

fn replace<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text), Value::String(old), Value::String(new), rest @ ..] = args else { return Err(Failure::NoSuchOverload) };
    let limit = limit(rest.first())?;
    evaluator.charge_text(text.len())?;
    // Paid before it is made: it may be far longer than what it is made from.
    let count = text.matches(&**old).take(limit).count();
    evaluator.charge_text(text.len().saturating_add(count.saturating_mul(new.len())))?;
    Ok(Value::text(text.replacen(&**old, new, limit)))
}

fn split<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text), Value::String(separator), rest @ ..] = args else { return Err(Failure::NoSuchOverload) };
    let limit = limit(rest.first())?;
    evaluator.charge_text(text.len())?;
    let mut parts = Vec::new();
    if limit == 0 {
        return Ok(Value::list(parts));
    }
    if separator.is_empty() {
        // Every character; what is beyond the limit stays together.
        let cut = text.char_indices().nth(limit.saturating_sub(1)).map_or(text.len(), |(place, _)| place);
        let (single, together) = text.split_at(cut);
        evaluator.charge(single.len() + 1)?;
        parts.extend(single.chars().map(|it| Value::text(it.encode_utf8(&mut [0; 4]))));
        if !together.is_empty() {
            parts.push(Value::text(together));
        }
        return Ok(Value::list(parts));
    }
    for part in text.splitn(limit, &**separator) {
        evaluator.charge(1)?;
        parts.push(Value::text(part));
    }
    Ok(Value::list(parts))
}

fn substring<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let (text, start, end) = match args {
        [Value::String(text), Value::Int(start)] => (text, *start, None),
        [Value::String(text), Value::Int(start), Value::Int(end)] => (text, *start, Some(*end)),
        _ => return Err(Failure::NoSuchOverload),
    };
    evaluator.charge_text(text.len())?;
    if let Some(end) = end
        && start > end
    {
        return failed(format!("invalid substring range. start: {start}, end: {end}"));
    }
    let from = byte_at(text, start)?;
    let to = end.map_or(Ok(text.len()), |end| byte_at(text, end))?;
    Ok(Value::text(text.get(from..to).unwrap_or_default()))
}

/// In double quotes, with the escapes that a literal would need.
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
