//! Evaluation of comprehensions, round by round.

use super::Evaluator;
use crate::ast::{Comprehension, ComprehensionKind};
use crate::error::{Error, Outcome, fail};
use crate::operators;
use crate::select;
use crate::value::{Key, Map, Value};
use std::collections::BTreeMap;
use std::rc::Rc;

impl<'a> Evaluator<'a> {
    pub(super) fn comprehension(&mut self, it: &'a Comprehension) -> Outcome<'a> {
        let range = self.value(&it.range)?;
        self.context.charge(range.len())?;
        let rounds = rounds(&range, it.two_variables)?;
        match it.kind {
            ComprehensionKind::All => self.quantify(it, rounds, false),
            ComprehensionKind::Exists => self.quantify(it, rounds, true),
            ComprehensionKind::ExistsOne => {
                let mut count = 0;
                for round in rounds {
                    count += usize::from(self.condition(round, &it.body)?);
                }
                Ok(Value::Bool(count == 1))
            }
            ComprehensionKind::Filter => {
                let mut kept = Vec::new();
                for round in rounds {
                    if self.condition(round.clone(), &it.body)? {
                        kept.extend(round);
                    }
                }
                Ok(Value::list(kept))
            }
            ComprehensionKind::List => Ok(Value::list(self.transformed(it, rounds)?.into_iter().map(|(_, value)| value).collect())),
            ComprehensionKind::MapValues | ComprehensionKind::MapEntries => self.transformed_map(it, rounds),
            ComprehensionKind::SortBy => {
                let keyed = self.transformed(it, rounds)?;
                operators::sorted_by_key(&mut self.context, keyed.into_iter().map(|(round, key)| (key, round)).collect())
            }
        }
    }

    /// Evaluates `all` and `exists`: the value that decides ends them, and absorbs errors before it.
    fn quantify(&mut self, it: &'a Comprehension, rounds: Vec<Vec<Value<'a>>>, decides: bool) -> Outcome<'a> {
        let mut first_error = None;
        for round in rounds {
            match self.condition(round, &it.body) {
                Ok(it) if it == decides => return Ok(Value::Bool(decides)),
                Ok(_) => {}
                Err(error) if error.is_final() => return Err(error),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(Value::Bool(!decides)), Err)
    }

    /// Evaluates the body in each round that passes the filter. Returns it with the round's first variable.
    fn transformed(&mut self, it: &'a Comprehension, rounds: Vec<Vec<Value<'a>>>) -> Result<Vec<(Value<'a>, Value<'a>)>, Error> {
        let mut made = Vec::new();
        for round in rounds {
            if let Some(filter) = &it.filter
                && !self.condition(round.clone(), filter)?
            {
                continue;
            }
            let first = round.first().cloned().unwrap_or(Value::Null);
            made.push((first, self.with_local(round, &it.body)?));
        }
        Ok(made)
    }

    fn transformed_map(&mut self, it: &'a Comprehension, rounds: Vec<Vec<Value<'a>>>) -> Outcome<'a> {
        let mut map = BTreeMap::new();
        for (key, value) in self.transformed(it, rounds)? {
            let entries = match (it.kind, value) {
                (ComprehensionKind::MapEntries, Value::Map(entries)) => entries.entries(),
                (ComprehensionKind::MapEntries, _) => return Err(Error::NoSuchOverload),
                (_, value) => vec![(key, value)],
            };
            self.context.charge(entries.len())?;
            for (key, value) in entries {
                let key = Key::of(&key).ok_or(Error::NoSuchOverload)?;
                if map.contains_key(&key) {
                    return fail(format!("insert failed: key {} already exists", key.display()));
                }
                map.insert(key, value);
            }
        }
        Ok(Value::Map(Map::Owned(Rc::new(map))))
    }
}

/// Lists the values of a comprehension's variables, round by round.
fn rounds<'a>(range: &Value<'a>, two_variables: bool) -> Result<Vec<Vec<Value<'a>>>, Error> {
    Ok(match (range, two_variables) {
        (Value::List(list), false) => list.iter().map(|it| vec![it]).collect(),
        (Value::List(list), true) => list.iter().zip(0..).map(|(it, index)| vec![Value::Int(index), it]).collect(),
        (Value::Map(map), false) => map.entries().into_iter().map(|(key, _)| vec![key]).collect(),
        (Value::Map(map), true) => map.entries().into_iter().map(|(key, value)| vec![key, value]).collect(),
        _ => return fail(format!("got '{}', expected iterable type", select::go_type(range))),
    })
}
