//! Regular expressions over strings.

use crate::overload::{Context, Error, Outcome, Overload, Value, global, member};
use std::rc::Rc;

pub(super) const FUNCTIONS: &[Overload] = &[
    member("matches", 2, matches),
    global("matches", 2, matches),
    member("find", 2, |context, args| {
        let (regex, text) = prepared(context, args)?;
        Ok(Value::text(regex.find(text).map_or("", |it| it.as_str())))
    }),
    member("findAll", 2, |context, args| match args {
        [_, _] => find_all(context, args, usize::MAX),
        [_, _, Value::Int(limit)] => find_all(context, args, usize::try_from(*limit).unwrap_or(usize::MAX)),
        _ => Err(Error::NoSuchOverload),
    })
    .with_optional(),
];

/// Returns the compiled expression and the text; costs the product of their lengths.
fn prepared<'a, 'v>(context: &mut Context, args: &'v [Value<'a>]) -> Result<(Rc<regex::Regex>, &'v str), Error> {
    let [Value::String(text), Value::String(pattern), ..] = args else { return Err(Error::NoSuchOverload) };
    context.charge((text.len() / 10 + 1).saturating_mul(pattern.len() / 4 + 1))?;
    Ok((context.regex(pattern)?, text))
}

fn matches<'a>(context: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    let (regex, text) = prepared(context, args)?;
    Ok(Value::Bool(regex.is_match(text)))
}

fn find_all<'a>(context: &mut Context, args: &[Value<'a>], limit: usize) -> Outcome<'a> {
    let (regex, text) = prepared(context, args)?;
    let mut found = Vec::new();
    for part in regex.find_iter(text).take(limit) {
        context.charge(1)?;
        found.push(Value::text(part.as_str()));
    }
    Ok(Value::list(found))
}
