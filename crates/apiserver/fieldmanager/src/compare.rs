//! What differs between two objects, as sets of fields.

use crate::order;
use crate::path::PathElement;
use crate::set::FieldSet;
use crate::typed::{deduced, is_atomic, list_element, member};
use apiserver_meta::schema::{ListMerge, Schema, Shape};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The fields in which two objects differ. No field is in more than one of the sets.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// In the first only.
    pub(crate) removed: FieldSet,
    /// In both, with other values.
    pub(crate) modified: FieldSet,
    /// In the second only.
    pub(crate) added: FieldSet,
}

/// Compares two objects of a schema. Fields that the schema lacks are not seen.
pub(crate) fn compare(schema: &Schema, live: &Map<String, Value>, new: &Map<String, Value>) -> Comparison {
    let mut out = Comparison::default();
    members(&schema.shape, Some(live), Some(new), &mut out, 0);
    out
}

/// Down to which depth a whole value is compared before its parts are: below, that would cost its size once more at each level.
const SHALLOW: usize = 8;

impl Comparison {
    fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.modified.is_empty() && self.added.is_empty()
    }

    fn attach(&mut self, element: PathElement, change: Change, below: Self) {
        // One set at a time is the rule; the element is copied only for more.
        let Self { removed, modified, added } = below;
        if !removed.is_empty() || change == Change::Removed {
            self.removed.attach(element.clone(), change == Change::Removed, removed);
        }
        if !modified.is_empty() || change == Change::Modified {
            self.modified.attach(element.clone(), change == Change::Modified, modified);
        }
        self.added.attach(element, change == Change::Added, added);
    }
}

/// What happened to a field itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    Removed,
    Modified,
    Added,
}

/// Compares two values, at least one of which is there; what differs below goes to `out`.
fn visit(schema: &Schema, live: Option<&Value>, new: Option<&Value>, out: &mut Comparison, depth: usize) -> Change {
    if depth < SHALLOW && live == new {
        return Change::None;
    }
    let of = |value: Option<&Value>| value.map_or(&schema.shape, |value| deduced(&schema.shape, value));
    // A value that was an object and is none any more, or the other way round, is both: its members come or go.
    let shape = if is_atomic(of(live)) { of(new) } else { of(live) };
    let leaf = is_atomic(shape)
        || match shape {
            Shape::List { items, merge } => lists(items, merge, live.and_then(Value::as_array), new.and_then(Value::as_array), out, depth),
            shape => members(shape, live.and_then(Value::as_object), new.and_then(Value::as_object), out, depth),
        };
    match (live, new) {
        (None, _) => Change::Added,
        (_, None) => Change::Removed,
        (Some(live), Some(new))
            if (leaf || live.is_object() != new.is_object() && schema.shape == Shape::Any) && !order::same(live, new) =>
        {
            Change::Modified
        }
        _ => Change::None,
    }
}

/// Compares member by member; `true` when both are empty: then null and empty are told apart as leaves are.
fn members(shape: &Shape, live: Option<&Map<String, Value>>, new: Option<&Map<String, Value>>, out: &mut Comparison, depth: usize) -> bool {
    let mut one = |name: &str, live: Option<&Value>, new: Option<&Value>| {
        let Some(child) = member(shape, name) else { return };
        let mut below = Comparison::default();
        let change = visit(child, live, new, &mut below, depth + 1);
        if change != Change::None || !below.is_empty() {
            out.attach(PathElement::field(name), change, below);
        }
    };
    for (name, value) in live.into_iter().flatten() {
        one(name, Some(value), new.and_then(|new| new.get(name)));
    }
    for (name, value) in new.into_iter().flatten() {
        if live.is_none_or(|live| !live.contains_key(name)) {
            one(name, None, Some(value));
        }
    }
    live.is_none_or(Map::is_empty) && new.is_none_or(Map::is_empty)
}

/// Compares item by item; `true` when both are empty.
fn lists(
    items: &Schema,
    merge: &ListMerge,
    live: Option<&Vec<Value>>,
    new: Option<&Vec<Value>>,
    out: &mut Comparison,
    depth: usize,
) -> bool {
    // An item without a key has no owner; validation says so to whoever wrote it.
    let element = |item: &Value| list_element(items, merge, item).ok();
    let mut pairs: BTreeMap<PathElement, Pair<'_>> = BTreeMap::new();
    for item in live.into_iter().flatten() {
        if let Some(element) = element(item) {
            pairs.entry(element).or_default().live.push(item);
        }
    }
    for item in new.into_iter().flatten() {
        if let Some(element) = element(item) {
            pairs.entry(element).or_default().new.push(item);
        }
    }
    for (element, Pair { live, new }) in pairs {
        let mut below = Comparison::default();
        let change = match (live.as_slice(), new.as_slice()) {
            ([], [one]) => visit(items, None, Some(one), &mut below, depth + 1),
            ([one], []) => visit(items, Some(one), None, &mut below, depth + 1),
            ([one], [other]) => visit(items, Some(one), Some(other), &mut below, depth + 1),
            // Items that share a key are one leaf while they do.
            ([_, _, ..], [_, _, ..]) if !same_items(&live, &new) => Change::Modified,
            ([_, _, ..], [_, _, ..]) => Change::None,
            // An item that stops or starts to share its key is gone as what it was and new as what it is.
            ([_, _, ..], rest) => {
                for one in rest {
                    let change = visit(items, None, Some(one), &mut below, depth + 1);
                    out.attach(element.clone(), change, std::mem::take(&mut below));
                }
                Change::Removed
            }
            (rest, _) => {
                for one in rest {
                    let change = visit(items, Some(one), None, &mut below, depth + 1);
                    out.attach(element.clone(), change, std::mem::take(&mut below));
                }
                Change::Added
            }
        };
        out.attach(element, change, below);
    }
    live.is_none_or(Vec::is_empty) && new.is_none_or(Vec::is_empty)
}

/// The items of two lists that share a key.
#[derive(Default)]
struct Pair<'a> {
    live: Vec<&'a Value>,
    new: Vec<&'a Value>,
}

fn same_items(live: &[&Value], new: &[&Value]) -> bool {
    live.len() == new.len() && live.iter().zip(new).all(|(l, r)| order::same(l, r))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// The processor time of this thread.
    fn cpu(work: impl FnOnce()) -> Duration {
        let used = || {
            let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
            Duration::from_nanos(text.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
        };
        let before = used();
        work();
        used() - before
    }

    #[test]
    fn what_differs_far_down_is_not_compared_at_each_level() {
        let compared = |levels: usize| {
            let nest = |end: i32| {
                let list: Vec<Value> = (0..300_000).map(Value::from).chain([end.into()]).collect();
                (0..levels).fold(Value::from(list), |inner, _| serde_json::json!({ "a": inner }))
            };
            let schema = (0..levels).fold(Schema::plain(Shape::Any), |inner, _| {
                Schema::plain(Shape::Map { values: inner.into(), merge: apiserver_meta::schema::MapMerge::Granular })
            });
            let (live, new) = (nest(1), nest(2));
            let (Value::Object(live), Value::Object(new)) = (&live, &new) else { panic!("no objects") };
            cpu(|| assert_eq!(compare(&schema, live, new).modified.paths(), [".a".repeat(levels)]))
        };
        let (shallow, deep) = (compared(8), compared(120));
        assert!(deep < 5 * shallow + Duration::from_millis(50), "{deep:?} against {shallow:?}");
    }
}
