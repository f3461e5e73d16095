//! Regular expressions over strings.

use super::super::evaluate::{Evaluator, Failure, Outcome};
use super::super::value::Value;
use super::{Function, global, member};
use std::rc::Rc;

pub(super) const FUNCTIONS: &[Function] = &[
    member("matches", 2, matches),
    global("matches", 2, matches),
    member("find", 2, |evaluator, args| {
        let (regex, text) = prepared(evaluator, args)?;
        Ok(Value::text(regex.find(text).map_or("", |it| it.as_str())))
    }),
    member("findAll", 2, |evaluator, args| find_all(evaluator, args, usize::MAX)),
    member("findAll", 3, |evaluator, args| match args {
        [_, _, Value::Int(limit)] => find_all(evaluator, args, usize::try_from(*limit).unwrap_or(usize::MAX)),
        _ => Err(Failure::NoSuchOverload),
    }),
];

/// The compiled expression and the text, paid for by the product of their lengths.
fn prepared<'a, 'v>(evaluator: &mut Evaluator<'a>, args: &'v [Value<'a>]) -> Result<(Rc<regex::Regex>, &'v str), Failure> {
    let [Value::String(text), Value::String(pattern), ..] = args else { return Err(Failure::NoSuchOverload) };
    evaluator.charge((text.len() / 10 + 1).saturating_mul(pattern.len() / 4 + 1))?;
    Ok((evaluator.regex(pattern)?, text))
}

fn matches<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let (regex, text) = prepared(evaluator, args)?;
    Ok(Value::Bool(regex.is_match(text)))
}

fn find_all<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>], limit: usize) -> Outcome<'a> {
    let (regex, text) = prepared(evaluator, args)?;
    let mut found = Vec::new();
    for part in regex.find_iter(text).take(limit) {
        evaluator.charge(1)?;
        found.push(Value::text(part.as_str()));
    }
    Ok(Value::list(found))
}
