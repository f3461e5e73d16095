//! Evaluation: walks a program's tree and counts what that costs.

use crate::activation::{Activation, Binding};
use crate::ast::{Literal, Node};
use crate::context::{Context, PER_CALL_LIMIT};
use crate::error::{Error, EvaluationError, Outcome, fail};
use crate::operators;
use crate::overload::Overload;
use crate::program::Program;
use crate::select::{self, Presence};
use crate::value::{Key, Map, Text, Value};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

mod comprehension;

/// The deepest nesting of an evaluation, composited variables within each other included: as deep as a thread's stack holds.
const MAX_DEPTH: usize = 400;

/// The value of a program, as far as callers tell values apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A truth value.
    Bool(bool),
    /// A string.
    String(String),
    /// Null.
    Null,
    /// Any other value: its type.
    Other(&'static str),
}

/// Evaluates programs that share an activation and a budget.
pub struct Evaluator<'a> {
    activation: &'a Activation,
    context: Context,
    /// The composited variables evaluated so far.
    composited: HashMap<&'a str, Result<Value<'a>, String>>,
    /// The variables of macros, innermost last.
    locals: Vec<Value<'a>>,
    depth: usize,
}

impl<'a> Evaluator<'a> {
    /// Creates an evaluator whose programs may cost `budget` together.
    pub fn new(activation: &'a Activation, budget: u64) -> Self {
        Self { activation, context: Context::new(budget), composited: HashMap::new(), locals: Vec::new(), depth: 0 }
    }

    /// Evaluates a program.
    ///
    /// # Errors
    /// [`EvaluationError::Failed`], or [`EvaluationError::OutOfBudget`] for this and every later program.
    pub fn evaluate(&mut self, program: &'a Program) -> Result<Output, EvaluationError> {
        Ok(match self.program(program).map_err(|error| program.error(error))? {
            Value::Bool(it) => Output::Bool(it),
            Value::String(it) => Output::String(it.to_string()),
            Value::Null => Output::Null,
            other => Output::Other(other.type_name()),
        })
    }

    /// Evaluates a condition.
    ///
    /// # Errors
    /// Those of [`Evaluator::evaluate`], and [`EvaluationError::Failed`] for a value that is not a truth value.
    pub fn evaluate_bool(&mut self, program: &'a Program) -> Result<bool, EvaluationError> {
        let outcome = self.program(program).and_then(|value| match value {
            Value::Bool(it) => Ok(it),
            other => fail(format!("must evaluate to bool but got {}", other.type_name())),
        });
        outcome.map_err(|error| program.error(error))
    }

    /// Returns the rest of the budget.
    pub fn remaining(&self) -> u64 {
        self.context.remaining
    }

    /// Evaluates a program with a cost limit and macro variables of its own.
    fn program(&mut self, program: &'a Program) -> Outcome<'a> {
        let locals = std::mem::take(&mut self.locals);
        let limit = std::mem::replace(&mut self.context.call_remaining, PER_CALL_LIMIT);
        let outcome = self.value(&program.root);
        self.locals = locals;
        self.context.call_remaining = limit;
        outcome
    }

    fn value(&mut self, node: &'a Node) -> Outcome<'a> {
        if self.depth == MAX_DEPTH {
            return fail("the expression is nested too deeply");
        }
        self.context.charge(1)?;
        self.depth += 1;
        let outcome = self.value_within(node);
        self.depth -= 1;
        outcome
    }

    // Each arm of some length is a function of its own: this one is on the stack once for every level of nesting.
    fn value_within(&mut self, node: &'a Node) -> Outcome<'a> {
        match node {
            Node::Literal(it) => Ok(literal(it)),
            Node::Local(index) => self.locals.get(*index).cloned().ok_or(Error::NoSuchOverload),
            Node::Variable(name) => self.variable(name),
            Node::Composited(name) => self.composited(name),
            Node::List(items) => self.list(items),
            Node::Map(entries) => self.map(entries),
            Node::Select { operand, field, access } => {
                let operand = self.value(operand)?;
                select::select(&operand, field, *access)
            }
            Node::Has { operand, field } => {
                let operand = self.value(operand)?;
                select::has(&operand, field)
            }
            Node::Index { operand, index, access } => {
                let operand = self.value(operand)?;
                let index = self.value(index)?;
                select::at(&operand, &index, *access)
            }
            Node::And(a, b) => self.logical(a, b, false),
            Node::Or(a, b) => self.logical(a, b, true),
            Node::Not(it) => operators::not(&self.value(it)?),
            Node::Negate(it) => operators::negate(&self.value(it)?),
            Node::Conditional(parts) => {
                let [condition, yes, no] = &**parts;
                match self.value(condition)? {
                    Value::Bool(true) => self.value(yes),
                    Value::Bool(false) => self.value(no),
                    _ => Err(Error::NoSuchOverload),
                }
            }
            Node::Binary { operator, operands } => {
                let [left, right] = &**operands;
                let left = self.value(left)?;
                let right = self.value(right)?;
                operators::apply(&mut self.context, *operator, &left, &right)
            }
            Node::Call { name, overloads, arguments } => self.call(name, overloads, arguments),
            Node::OrElse { optional, other, flat } => self.or_else(optional, other, *flat),
            Node::Comprehension(it) => self.comprehension(it),
            Node::OptionalMap { target, body, flat } => self.optional_map(target, body, *flat),
        }
    }

    fn variable(&self, name: &str) -> Outcome<'a> {
        let activation: &'a Activation = self.activation;
        match activation.binding(name) {
            Some(Binding::Json(json)) => Ok(Value::of_json(json)),
            Some(Binding::Authorizer(check)) => Ok(Value::Authorizer(Rc::new(check.clone()))),
            Some(Binding::ResourceCheck(check)) => Ok(Value::ResourceCheck(Rc::new(check.clone()))),
            None => fail(format!("no such attribute(s): {}", name.split('.').next().unwrap_or(name))),
        }
    }

    fn composited(&mut self, name: &'a str) -> Outcome<'a> {
        if let Some(known) = self.composited.get(name) {
            return known.clone().map_err(Error::Message);
        }
        let activation: &'a Activation = self.activation;
        let Some(variable) = activation.composited(name) else { return fail(format!("no such key: {name}")) };
        // Absent to its own expression: no variable can depend on itself.
        self.composited.insert(&variable.name, Err(format!("no such key: {name}")));
        let outcome = match &variable.program {
            Err(error) => Err(format!("composited variable {name:?} fails to compile: {error}")),
            Ok(program) => match self.program(program) {
                Err(Error::OutOfBudget) => return Err(Error::OutOfBudget),
                Err(error) => Err(format!("composited variable {name:?} fails to evaluate: {}", error.into_reason())),
                Ok(value) => Ok(value),
            },
        };
        self.composited.insert(&variable.name, outcome.clone());
        outcome.map_err(Error::Message)
    }

    fn list(&mut self, items: &'a [(Node, Presence)]) -> Outcome<'a> {
        self.context.charge(10)?;
        let mut list = Vec::with_capacity(items.len());
        for (item, presence) in items {
            match (self.value(item)?, presence) {
                (value, Presence::Required) => list.push(value),
                (Value::Optional(value), Presence::Optional) => list.extend(value.map(|it| (*it).clone())),
                (_, Presence::Optional) => return fail("cannot initialize optional list element from non-optional value"),
            }
        }
        Ok(Value::list(list))
    }

    fn map(&mut self, entries: &'a [(Node, Node, Presence)]) -> Outcome<'a> {
        self.context.charge(30)?;
        let mut map = BTreeMap::new();
        for (key, value, presence) in entries {
            let key = self.value(key)?;
            let Some(key) = Key::of(&key) else { return fail(format!("unsupported key type: {}", key.type_name())) };
            match (self.value(value)?, presence) {
                (value, Presence::Required) => _ = map.insert(key, value),
                (Value::Optional(Some(value)), Presence::Optional) => _ = map.insert(key, (*value).clone()),
                (Value::Optional(None), Presence::Optional) => {}
                (_, Presence::Optional) => return fail("cannot initialize optional entry from non-optional value"),
            }
        }
        Ok(Value::Map(Map::Owned(Rc::new(map))))
    }

    /// Evaluates `&&` and `||`: the value that decides wins, on whichever side it is, even over a failure on the other.
    fn logical(&mut self, left: &'a Node, right: &'a Node, decides: bool) -> Outcome<'a> {
        let left = self.value(left);
        match &left {
            Ok(Value::Bool(it)) if *it == decides => return left,
            Err(error) if error.is_final() => return left,
            _ => {}
        }
        let right = self.value(right);
        match (left, right) {
            (_, Ok(Value::Bool(it))) if it == decides => Ok(Value::Bool(decides)),
            (_, Err(error)) if error.is_final() => Err(error),
            (Err(error), _) | (Ok(Value::Bool(_)), Err(error)) => Err(error),
            (Ok(Value::Bool(_)), Ok(Value::Bool(_))) => Ok(Value::Bool(!decides)),
            _ => Err(Error::NoSuchOverload),
        }
    }

    fn call(&mut self, name: &str, overloads: &[&'static Overload], arguments: &'a [Node]) -> Outcome<'a> {
        let arguments = arguments.iter().map(|it| self.value(it)).collect::<Result<Vec<_>, _>>()?;
        for overload in overloads {
            match (overload.call)(&mut self.context, &arguments) {
                Err(Error::NoSuchOverload) => {}
                outcome => return outcome,
            }
        }
        // Upstream's words, which differ by how it finds the function.
        let types: Vec<_> = arguments.iter().map(Value::type_name).collect();
        match name {
            "startsWith" | "endsWith" | "contains" => Err(Error::NoSuchOverload),
            "matches" if arguments.first().is_some_and(operators::takes_any_call) => Err(Error::NoSuchOverload),
            "matches" => fail("no such overload: matches"),
            "size" => fail("no such overload: size"),
            _ => fail(format!("no such overload: {name}({})", types.join(", "))),
        }
    }

    fn optional_map(&mut self, target: &'a Node, body: &'a Node, flat: bool) -> Outcome<'a> {
        match self.value(target)? {
            Value::Optional(None) => Ok(Value::Optional(None)),
            Value::Optional(Some(value)) => {
                let mapped = self.with_local(vec![(*value).clone()], body)?;
                match mapped {
                    Value::Optional(_) if flat => Ok(mapped),
                    _ if flat => Err(Error::NoSuchOverload),
                    _ => Ok(Value::some(mapped)),
                }
            }
            _ => Err(Error::NoSuchOverload),
        }
    }

    /// Evaluates `x.or(y)` and `x.orValue(y)`: `y` only if `x` is empty. A value that is not optional is its own value.
    fn or_else(&mut self, optional: &'a Node, other: &'a Node, flat: bool) -> Outcome<'a> {
        match self.value(optional)? {
            Value::Optional(None) => match self.value(other)? {
                value if !flat || matches!(value, Value::Optional(_)) => Ok(value),
                _ => Err(Error::NoSuchOverload),
            },
            Value::Optional(Some(value)) if !flat => Ok((*value).clone()),
            value => Ok(value),
        }
    }

    fn with_local(&mut self, values: Vec<Value<'a>>, body: &'a Node) -> Outcome<'a> {
        let before = self.locals.len();
        self.locals.extend(values);
        let outcome = self.value(body);
        self.locals.truncate(before);
        outcome
    }

    fn condition(&mut self, variables: Vec<Value<'a>>, body: &'a Node) -> Result<bool, Error> {
        match self.with_local(variables, body)? {
            Value::Bool(it) => Ok(it),
            _ => Err(Error::NoSuchOverload),
        }
    }
}

fn literal(literal: &Literal) -> Value<'_> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(it) => Value::Bool(*it),
        Literal::Int(it) => Value::Int(*it),
        Literal::Uint(it) => Value::Uint(*it),
        Literal::Double(it) => Value::Double(*it),
        Literal::String(it) => Value::String(Text::Borrowed(it)),
        Literal::Bytes(it) => Value::Bytes(it.as_ref().into()),
        Literal::Type(it) => Value::Type(it),
    }
}
