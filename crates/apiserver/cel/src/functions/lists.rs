//! Lists: Kubernetes' own functions, and those of the CEL extension.

use crate::operators::{self, Operator};
use crate::overload::{Context, Error, List, Outcome, Overload, Value, fail, global, member};
use std::cmp::Ordering;

pub(super) const FUNCTIONS: &[Overload] = &[
    member("isSorted", 1, is_sorted),
    member("sum", 1, sum),
    member("min", 1, |context, args| extreme(context, args, Ordering::Less, "min")),
    member("max", 1, |context, args| extreme(context, args, Ordering::Greater, "max")),
    member("indexOf", 2, |context, args| position(context, args, false)),
    member("lastIndexOf", 2, |context, args| position(context, args, true)),
    member("slice", 3, slice),
    member("flatten", 1, |context, args| match args {
        [Value::List(list)] => flattened(context, list, 1),
        [_, Value::Int(depth)] if *depth < 0 => fail("level must be non-negative"),
        [Value::List(list), Value::Int(depth)] => flattened(context, list, *depth),
        _ => Err(Error::NoSuchOverload),
    })
    .with_optional(),
    member("sort", 1, |context, args| {
        let list = one(args)?;
        context.charge(list.len())?;
        operators::sorted_by_key(context, list.iter().map(|it| (it.clone(), it)).collect())
    }),
    member("distinct", 1, distinct),
    member("reverse", 1, |context, args| {
        let list = one(args)?;
        context.charge(list.len())?;
        Ok(Value::list(list.iter().rev().collect()))
    }),
    member("first", 1, |_, args| one(args).map(|list| list.item(0).map_or(Value::Optional(None), Value::some))),
    member("last", 1, |_, args| one(args).map(|list| list.iter().next_back().map_or(Value::Optional(None), Value::some))),
    global("lists.range", 1, |context, args| match args {
        [Value::Int(end)] => {
            context.charge(usize::try_from(*end).unwrap_or(0))?;
            Ok(Value::list((0..*end).map(Value::Int).collect()))
        }
        _ => Err(Error::NoSuchOverload),
    }),
];

fn one<'v, 'a>(args: &'v [Value<'a>]) -> Result<&'v List<'a>, Error> {
    let [Value::List(it)] = args else { return Err(Error::NoSuchOverload) };
    Ok(it)
}

fn is_sorted<'a>(context: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    let list = one(args)?;
    let mut before: Option<Value<'a>> = None;
    for item in list.iter() {
        context.charge(1)?;
        if let Some(before) = &before
            && operators::ordered(context, before, &item)?.is_gt()
        {
            return Ok(Value::Bool(false));
        }
        before = Some(item);
    }
    Ok(Value::Bool(true))
}

fn sum<'a>(context: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    let list = one(args)?;
    let mut items = list.iter();
    let Some(mut total) = items.next() else { return Ok(Value::Int(0)) };
    if !matches!(total, Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Duration(_)) {
        return Err(Error::NoSuchOverload);
    }
    for item in items {
        context.charge(1)?;
        total = operators::apply(context, Operator::Add, &total, &item)?;
    }
    Ok(total)
}

fn extreme<'a>(context: &mut Context, args: &[Value<'a>], wanted: Ordering, name: &str) -> Outcome<'a> {
    let list = one(args)?;
    let mut items = list.iter();
    let Some(mut best) = items.next() else { return fail(format!("{name} called on empty list")) };
    if !operators::has_order(&best) {
        return Err(Error::NoSuchOverload);
    }
    for item in items {
        context.charge(1)?;
        if operators::ordered(context, &item, &best)? == wanted {
            best = item;
        }
    }
    Ok(best)
}

fn position<'a>(context: &mut Context, args: &[Value<'a>], from_end: bool) -> Outcome<'a> {
    let [Value::List(list), wanted] = args else { return Err(Error::NoSuchOverload) };
    for step in 0..list.len() {
        let index = if from_end { list.len() - 1 - step } else { step };
        if let Some(item) = list.item(index)
            && context.equals(&item, wanted)?
        {
            return Ok(Value::Int(index as i64));
        }
    }
    Ok(Value::Int(-1))
}

fn slice<'a>(context: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::List(list), Value::Int(start), Value::Int(end)] = args else { return Err(Error::NoSuchOverload) };
    let cannot = |why: &str| fail(format!("cannot slice({start}, {end}), {why}"));
    let (Ok(from), Ok(to)) = (usize::try_from(*start), usize::try_from(*end)) else { return cannot("negative indexes not supported") };
    if from > to {
        return cannot("start index must be less than or equal to end index");
    }
    if list.len() < to {
        return cannot(&format!("list is length {}", list.len()));
    }
    context.charge(to - from)?;
    Ok(Value::list((from..to).filter_map(|index| list.item(index)).collect()))
}

fn flattened<'a>(context: &mut Context, list: &List<'a>, depth: i64) -> Outcome<'a> {
    let mut flat = Vec::new();
    // Deeper than any JSON that gets here; bounds the calls.
    flatten_into(context, list, depth.min(128), &mut flat)?;
    Ok(Value::list(flat))
}

fn flatten_into<'a>(context: &mut Context, list: &List<'a>, depth: i64, flat: &mut Vec<Value<'a>>) -> Result<(), Error> {
    for item in list.iter() {
        context.charge(1)?;
        match item {
            Value::List(inner) if depth > 0 => flatten_into(context, &inner, depth - 1, flat)?,
            other => flat.push(other),
        }
    }
    Ok(())
}

fn distinct<'a>(context: &mut Context, args: &[Value<'a>]) -> Outcome<'a> {
    let list = one(args)?;
    let mut kept: Vec<Value<'a>> = Vec::new();
    for item in list.iter() {
        context.charge(1)?;
        if !operators::any_equals(context, kept.iter().cloned(), &item)? {
            kept.push(item);
        }
    }
    Ok(Value::list(kept))
}
