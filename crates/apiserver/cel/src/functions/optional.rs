//! Optional values, the results of `?.` and `[?]`. `or` and `orValue` are no functions: they evaluate their argument only
//! when they need it.

use crate::overload::{Context, Error, Outcome, Overload, Value, fail, global, member};

pub(super) const FUNCTIONS: &[Overload] = &[
    global("optional.of", 1, |_, args| args.first().cloned().map(Value::some).ok_or(Error::NoSuchOverload)),
    global("optional.none", 0, |_, _| Ok(Value::Optional(None))),
    global("optional.ofNonZeroValue", 1, |_, args| match args {
        [it] if it.is_zero() => Ok(Value::Optional(None)),
        [it] => Ok(Value::some(it.clone())),
        _ => Err(Error::NoSuchOverload),
    }),
    member("hasValue", 1, |_, args| match args {
        [Value::Optional(it)] => Ok(Value::Bool(it.is_some())),
        _ => Err(Error::NoSuchOverload),
    }),
    member("value", 1, |_, args| match args {
        [Value::Optional(Some(it))] => Ok((**it).clone()),
        [Value::Optional(None)] => fail("optional.none() dereference"),
        _ => Err(Error::NoSuchOverload),
    }),
    global("optional.unwrap", 1, unwrap),
    member("unwrapOpt", 1, unwrap),
];

/// Returns the values of a list's optionals, without the empty ones.
fn unwrap<'a>(context: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::List(list)] = args else { return Err(Error::NoSuchOverload) };
    context.charge(list.len())?;
    let values = list.iter().filter_map(|it| match it {
        Value::Optional(it) => it.map(|it| Ok((*it).clone())),
        _ => Some(Err(Error::NoSuchOverload)),
    });
    values.collect::<Result<_, _>>().map(Value::list)
}
