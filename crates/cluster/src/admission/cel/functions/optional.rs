//! Optional values: what `?.` and `[?]` give. `or` and `orValue` are parts of the language here: they do not look at what
//! they do not need.

use super::super::evaluate::{Failure, failed};
use super::super::value::{List, Value};
use super::{Function, global, member};

pub(super) const FUNCTIONS: &[Function] = &[
    global("optional.of", 1, |_, args| args.first().cloned().map(Value::some).ok_or(Failure::NoSuchOverload)),
    global("optional.none", 0, |_, _| Ok(Value::Optional(None))),
    global("optional.ofNonZeroValue", 1, |_, args| match args {
        [it] if it.is_zero() => Ok(Value::Optional(None)),
        [it] => Ok(Value::some(it.clone())),
        _ => Err(Failure::NoSuchOverload),
    }),
    member("hasValue", 1, |_, args| match args {
        [Value::Optional(it)] => Ok(Value::Bool(it.is_some())),
        _ => Err(Failure::NoSuchOverload),
    }),
    member("value", 1, |_, args| match args {
        [Value::Optional(Some(it))] => Ok((**it).clone()),
        [Value::Optional(None)] => failed("optional.none() dereference"),
        _ => Err(Failure::NoSuchOverload),
    }),
    global("optional.unwrap", 1, unwrap),
    member("unwrapOpt", 1, unwrap),
];

/// The values of a list's optionals, without the absent ones.
fn unwrap<'a>(evaluator: &mut super::Evaluator<'a>, args: &[Value<'a>]) -> super::Outcome<'a> {
    let [Value::List(list)] = args else { return Err(Failure::NoSuchOverload) };
    evaluator.charge(list.len())?;
    present(list)
}

fn present<'a>(list: &List<'a>) -> super::Outcome<'a> {
    let values = list.iter().filter_map(|it| match it {
        Value::Optional(it) => it.map(|it| Ok((*it).clone())),
        _ => Some(Err(Failure::NoSuchOverload)),
    });
    values.collect::<Result<_, _>>().map(Value::list)
}
