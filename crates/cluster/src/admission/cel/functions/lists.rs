//! Lists: Kubernetes' own functions, and those of the CEL extension.

use super::super::compile::Operator;
use super::super::evaluate::{Evaluator, Failure, Outcome, elements, failed};
use super::super::operators;
use super::super::value::{List, Value};
use super::{Function, global, member};
use std::cmp::Ordering;

pub(super) const FUNCTIONS: &[Function] = &[
    member("isSorted", 1, is_sorted),
    member("sum", 1, sum),
    member("min", 1, |evaluator, args| extreme(evaluator, args, Ordering::Less, "min")),
    member("max", 1, |evaluator, args| extreme(evaluator, args, Ordering::Greater, "max")),
    member("indexOf", 2, |evaluator, args| position(evaluator, args, false)),
    member("lastIndexOf", 2, |evaluator, args| position(evaluator, args, true)),
    member("slice", 3, slice),
    member("flatten", 1, |evaluator, args| flattened(evaluator, args.first(), 1)),
    member("flatten", 2, |evaluator, args| match args {
        [_, Value::Int(depth)] if *depth < 0 => failed("level must be non-negative"),
        [list, Value::Int(depth)] => flattened(evaluator, Some(list), *depth),
        _ => Err(Failure::NoSuchOverload),
    }),
    member("sort", 1, |evaluator, args| {
        let list = one(args)?;
        evaluator.charge(list.len())?;
        operators::sorted_by_key(evaluator, list.iter().map(|it| (it.clone(), it)).collect())
    }),
    member("distinct", 1, distinct),
    member("reverse", 1, |evaluator, args| {
        let list = one(args)?;
        evaluator.charge(list.len())?;
        Ok(Value::list(list.iter().rev().collect()))
    }),
    member("first", 1, |_, args| one(args).map(|list| list.item(0).map_or(Value::Optional(None), Value::some))),
    member("last", 1, |_, args| one(args).map(|list| list.iter().next_back().map_or(Value::Optional(None), Value::some))),
    global("lists.range", 1, |evaluator, args| match args {
        [Value::Int(end)] => {
            evaluator.charge(usize::try_from(*end).unwrap_or(0))?;
            Ok(Value::list((0..*end).map(Value::Int).collect()))
        }
        _ => Err(Failure::NoSuchOverload),
    }),
];

fn one<'v, 'a>(args: &'v [Value<'a>]) -> Result<&'v List<'a>, Failure> {
    args.first().map_or(Err(Failure::NoSuchOverload), elements)
}

fn is_sorted<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let list = one(args)?;
    let mut before: Option<Value<'a>> = None;
    for item in list.iter() {
        evaluator.charge(1)?;
        if let Some(before) = &before
            && operators::ordered(evaluator, before, &item)?.is_gt()
        {
            return Ok(Value::Bool(false));
        }
        before = Some(item);
    }
    Ok(Value::Bool(true))
}

fn sum<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let list = one(args)?;
    let mut items = list.iter();
    let Some(mut total) = items.next() else { return Ok(Value::Int(0)) };
    if !matches!(total, Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Duration(_)) {
        return Err(Failure::NoSuchOverload);
    }
    for item in items {
        evaluator.charge(1)?;
        total = operators::apply(evaluator, Operator::Add, &total, &item)?;
    }
    Ok(total)
}

fn extreme<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>], wanted: Ordering, name: &str) -> Outcome<'a> {
    let list = one(args)?;
    let mut items = list.iter();
    let Some(mut best) = items.next() else { return failed(format!("{name} called on empty list")) };
    if !operators::has_order(&best) {
        return Err(Failure::NoSuchOverload);
    }
    for item in items {
        evaluator.charge(1)?;
        if operators::ordered(evaluator, &item, &best)? == wanted {
            best = item;
        }
    }
    Ok(best)
}

fn position<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>], from_end: bool) -> Outcome<'a> {
    let [Value::List(list), wanted] = args else { return Err(Failure::NoSuchOverload) };
    for step in 0..list.len() {
        let index = if from_end { list.len() - 1 - step } else { step };
        if let Some(item) = list.item(index)
            && evaluator.equals(&item, wanted)?
        {
            return Ok(Value::Int(index as i64));
        }
    }
    Ok(Value::Int(-1))
}

fn slice<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::List(list), Value::Int(start), Value::Int(end)] = args else { return Err(Failure::NoSuchOverload) };
    let cannot = |why: &str| failed(format!("cannot slice({start}, {end}), {why}"));
    let (Ok(from), Ok(to)) = (usize::try_from(*start), usize::try_from(*end)) else { return cannot("negative indexes not supported") };
    if from > to {
        return cannot("start index must be less than or equal to end index");
    }
    if list.len() < to {
        return cannot(&format!("list is length {}", list.len()));
    }
    evaluator.charge(to - from)?;
    Ok(Value::list((from..to).filter_map(|index| list.item(index)).collect()))
}

fn flattened<'a>(evaluator: &mut Evaluator<'a>, list: Option<&Value<'a>>, depth: i64) -> Outcome<'a> {
    let list = list.map_or(Err(Failure::NoSuchOverload), elements)?;
    let mut flat = Vec::new();
    // Deeper than any JSON that gets here; bounds the calls.
    flatten_into(evaluator, list, depth.min(128), &mut flat)?;
    Ok(Value::list(flat))
}

fn flatten_into<'a>(evaluator: &mut Evaluator<'a>, list: &List<'a>, depth: i64, flat: &mut Vec<Value<'a>>) -> Result<(), Failure> {
    for item in list.iter() {
        evaluator.charge(1)?;
        match item {
            Value::List(inner) if depth > 0 => flatten_into(evaluator, &inner, depth - 1, flat)?,
            other => flat.push(other),
        }
    }
    Ok(())
}

fn distinct<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>]) -> Outcome<'a> {
    let list = one(args)?;
    let mut kept: Vec<Value<'a>> = Vec::new();
    'items: for item in list.iter() {
        evaluator.charge(1)?;
        for known in &kept {
            if evaluator.equals(known, &item)? {
                continue 'items;
            }
        }
        kept.push(item);
    }
    Ok(Value::list(kept))
}
