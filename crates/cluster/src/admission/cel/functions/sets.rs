//! Lists as sets: order and repetition do not count.

use super::super::evaluate::{Evaluator, Failure, Outcome};
use super::super::value::{List, Value};
use super::{Function, global};

pub(super) const FUNCTIONS: &[Function] = &[
    global("sets.contains", 2, |evaluator, args| pair(evaluator, args, includes)),
    global("sets.equivalent", 2, |evaluator, args| {
        pair(evaluator, args, |evaluator, a, b| Ok(includes(evaluator, a, b)? && includes(evaluator, b, a)?))
    }),
    global("sets.intersects", 2, |evaluator, args| pair(evaluator, args, intersects)),
];

type Test = for<'a> fn(&mut Evaluator<'a>, &List<'a>, &List<'a>) -> Result<bool, Failure>;

fn pair<'a>(evaluator: &mut Evaluator<'a>, args: &[Value<'a>], test: Test) -> Outcome<'a> {
    match args {
        [Value::List(a), Value::List(b)] => test(evaluator, a, b).map(Value::Bool),
        _ => Err(Failure::NoSuchOverload),
    }
}

fn has<'a>(evaluator: &mut Evaluator<'a>, list: &List<'a>, wanted: &Value<'a>) -> Result<bool, Failure> {
    for item in list.iter() {
        if evaluator.equals(&item, wanted)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn includes<'a>(evaluator: &mut Evaluator<'a>, list: &List<'a>, part: &List<'a>) -> Result<bool, Failure> {
    for wanted in part.iter() {
        if !has(evaluator, list, &wanted)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn intersects<'a>(evaluator: &mut Evaluator<'a>, a: &List<'a>, b: &List<'a>) -> Result<bool, Failure> {
    for item in a.iter() {
        if has(evaluator, b, &item)? {
            return Ok(true);
        }
    }
    Ok(false)
}
