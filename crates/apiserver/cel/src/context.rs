//! The state that operators and functions share: the cost counted so far, and compiled regular expressions.

use crate::error::Error;
use crate::go_regex;
use crate::value::Value;
use std::collections::HashMap;
use std::rc::Rc;

/// The cost limit of one program.
pub const PER_CALL_LIMIT: u64 = 1_000_000;
/// The budget of all expressions of a policy, for one binding and parameter.
pub const POLICY_BUDGET: u64 = 10_000_000;
/// The budget of the match conditions of a policy or webhook.
pub const MATCH_CONDITIONS_BUDGET: u64 = 2_500_000;

/// Counts cost and keeps compiled regular expressions.
pub(crate) struct Context {
    /// The rest of the budget, shared by all programs of an evaluator.
    pub(crate) remaining: u64,
    /// The rest of the limit of the program at hand.
    pub(crate) call_remaining: u64,
    regexes: HashMap<String, Rc<regex::Regex>>,
}

impl Context {
    pub(crate) fn new(budget: u64) -> Self {
        Self { remaining: budget, call_remaining: 0, regexes: HashMap::new() }
    }

    /// Counts work: about one for each node and element, a tenth for each byte of a string.
    pub(crate) fn charge(&mut self, cost: usize) -> Result<(), Error> {
        let cost = cost as u64;
        let (Some(remaining), call_remaining) = (self.remaining.checked_sub(cost), self.call_remaining.checked_sub(cost)) else {
            self.remaining = 0;
            return Err(Error::OutOfBudget);
        };
        self.remaining = remaining;
        self.call_remaining = call_remaining.unwrap_or(0);
        if call_remaining.is_none() { Err(Error::CallLimit) } else { Ok(()) }
    }

    /// Counts a pass over a text of that many bytes.
    pub(crate) fn charge_text(&mut self, bytes: usize) -> Result<(), Error> {
        self.charge(bytes / 10 + 1)
    }

    /// Compares two values, and counts every pair of elements looked at.
    pub(crate) fn equals<'a>(&mut self, a: &Value<'a>, b: &Value<'a>) -> Result<bool, Error> {
        a.equals(b, &mut |cost| self.charge(cost))
    }

    /// Returns a regular expression in Go's syntax, compiled once.
    pub(crate) fn regex(&mut self, pattern: &str) -> Result<Rc<regex::Regex>, Error> {
        if let Some(found) = self.regexes.get(pattern) {
            return Ok(found.clone());
        }
        self.charge(pattern.len() + 1)?;
        let compiled = Rc::new(go_regex::compile(pattern).map_err(Error::Message)?);
        self.regexes.insert(pattern.to_owned(), compiled.clone());
        Ok(compiled)
    }
}
