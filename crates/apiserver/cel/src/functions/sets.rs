//! Lists as sets: order and repetition do not count.

use crate::operators::any_equals;
use crate::overload::{Context, Error, List, Outcome, Overload, Value, global};

pub(super) const FUNCTIONS: &[Overload] = &[
    global("sets.contains", 2, |context, args| pair(context, args, includes)),
    global("sets.equivalent", 2, |context, args| {
        pair(context, args, |context, a, b| Ok(includes(context, a, b)? && includes(context, b, a)?))
    }),
    global("sets.intersects", 2, |context, args| pair(context, args, intersects)),
];

type Test = for<'a> fn(&mut Context, &List<'a>, &List<'a>) -> Result<bool, Error>;

fn pair<'a>(context: &mut Context, args: &[Value<'a>], test: Test) -> Outcome<'a> {
    let [Value::List(a), Value::List(b)] = args else { return Err(Error::NoSuchOverload) };
    test(context, a, b).map(Value::Bool)
}

fn includes<'a>(context: &mut Context, list: &List<'a>, part: &List<'a>) -> Result<bool, Error> {
    for wanted in part.iter() {
        if !any_equals(context, list.iter(), &wanted)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn intersects<'a>(context: &mut Context, a: &List<'a>, b: &List<'a>) -> Result<bool, Error> {
    for item in a.iter() {
        if any_equals(context, b.iter(), &item)? {
            return Ok(true);
        }
    }
    Ok(false)
}
