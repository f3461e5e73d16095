//! Walking an expression, and counting what that costs.

use super::compile::{Fold, FoldKind, Literal, Node, Presence, Root};
use super::functions::authorizer::{Authority, ResourceCheck};
use super::value::{Key, List, Map, Text, Value};
use super::{Answer, EvaluationError, Expression, PER_CALL_LIMIT, Variables, access, go_regex, operators};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// How deep evaluation may nest, variables of the policy within each other included: what a thread's stack holds.
const MAX_DEPTH: usize = 400;

/// Why there is no value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Failure {
    /// A function or operator does not take such values.
    NoSuchOverload,
    /// Something else about the values.
    Message(String),
    /// The expression's own limit is reached: nothing can make up for it.
    CallLimit,
    /// All that the session may spend is spent.
    OutOfBudget,
}

pub(super) type Outcome<'a> = Result<Value<'a>, Failure>;

/// A failure with a text.
pub(super) fn failed<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Message(text.into()))
}

impl Failure {
    /// Whether `||`, `&&` and macros may go on after it.
    fn is_final(&self) -> bool {
        matches!(self, Self::CallLimit | Self::OutOfBudget)
    }

    fn into_reason(self) -> String {
        match self {
            Self::NoSuchOverload => "no such overload".into(),
            Self::Message(text) => text,
            Self::CallLimit | Self::OutOfBudget => "operation cancelled: actual cost limit exceeded".into(),
        }
    }
}

/// What is known while expressions are evaluated.
pub(super) struct Evaluator<'a> {
    variables: &'a Variables,
    /// The policy's variables so far.
    known: HashMap<&'a str, Result<Value<'a>, String>>,
    /// The variables of macros, innermost last.
    locals: Vec<Value<'a>>,
    /// What the expression at hand, and what the session may still spend.
    call_remaining: u64,
    remaining: u64,
    depth: usize,
    regexes: HashMap<String, Rc<regex::Regex>>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(variables: &'a Variables, budget: u64) -> Self {
        Self {
            variables,
            known: HashMap::new(),
            locals: Vec::new(),
            call_remaining: 0,
            remaining: budget,
            depth: 0,
            regexes: HashMap::new(),
        }
    }

    pub(super) fn remaining(&self) -> u64 {
        self.remaining
    }

    pub(super) fn run(&mut self, expression: &'a Expression) -> Result<Answer, EvaluationError> {
        match self.whole(expression) {
            Ok(Value::Bool(it)) => Ok(Answer::Bool(it)),
            Ok(Value::String(it)) => Ok(Answer::Text(it.to_string())),
            Ok(Value::Null) => Ok(Answer::Null),
            Ok(other) => Ok(Answer::Other(other.type_name())),
            Err(Failure::OutOfBudget) => Err(EvaluationError::OutOfBudget),
            Err(failure) => Err(EvaluationError::Failed { expression: expression.source.to_string(), reason: failure.into_reason() }),
        }
    }

    /// An expression with its own limit and its own macro variables.
    fn whole(&mut self, expression: &'a Expression) -> Outcome<'a> {
        let locals = std::mem::take(&mut self.locals);
        let limit = std::mem::replace(&mut self.call_remaining, PER_CALL_LIMIT);
        let outcome = self.value(&expression.root);
        self.locals = locals;
        self.call_remaining = limit;
        outcome
    }

    /// Counts work: about one for each node and element, a tenth for each byte of a string.
    pub(super) fn charge(&mut self, cost: usize) -> Result<(), Failure> {
        let cost = cost as u64;
        let (Some(remaining), call_remaining) = (self.remaining.checked_sub(cost), self.call_remaining.checked_sub(cost)) else {
            self.remaining = 0;
            return Err(Failure::OutOfBudget);
        };
        self.remaining = remaining;
        self.call_remaining = call_remaining.unwrap_or(0);
        if call_remaining.is_none() { Err(Failure::CallLimit) } else { Ok(()) }
    }

    /// Counts a pass over a text of that many bytes.
    pub(super) fn charge_text(&mut self, bytes: usize) -> Result<(), Failure> {
        self.charge(bytes / 10 + 1)
    }

    pub(super) fn equals(&mut self, a: &Value<'a>, b: &Value<'a>) -> Result<bool, Failure> {
        a.equals(b, &mut |cost| self.charge(cost))
    }

    /// A regular expression in Go's syntax, made once.
    pub(super) fn regex(&mut self, pattern: &str) -> Result<Rc<regex::Regex>, Failure> {
        if let Some(found) = self.regexes.get(pattern) {
            return Ok(found.clone());
        }
        self.charge(pattern.len() + 1)?;
        let compiled = Rc::new(go_regex::compile(pattern).map_err(Failure::Message)?);
        self.regexes.insert(pattern.to_owned(), compiled.clone());
        Ok(compiled)
    }

    fn value(&mut self, node: &'a Node) -> Outcome<'a> {
        if self.depth == MAX_DEPTH {
            return failed("the expression is nested too deeply");
        }
        self.charge(1)?;
        self.depth += 1;
        let outcome = self.value_within(node);
        self.depth -= 1;
        outcome
    }

    // Each arm of some length is a function of its own: this one is on the stack once for every level of nesting.
    fn value_within(&mut self, node: &'a Node) -> Outcome<'a> {
        match node {
            Node::Literal(it) => Ok(literal(it)),
            Node::Local(place) => self.locals.get(*place).cloned().ok_or(Failure::NoSuchOverload),
            Node::Root(it) => self.root(*it),
            Node::Variable(name) => self.variable(name),
            Node::List(items) => self.list(items),
            Node::Map(entries) => self.map(entries),
            Node::Select { operand, field, access } => {
                let operand = self.value(operand)?;
                access::select(&operand, field, *access)
            }
            Node::Has { operand, field } => {
                let operand = self.value(operand)?;
                access::has(&operand, field)
            }
            Node::Index { operand, index, access } => {
                let operand = self.value(operand)?;
                let index = self.value(index)?;
                access::at(&operand, &index, *access)
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
                    _ => Err(Failure::NoSuchOverload),
                }
            }
            Node::Binary { operator, operands } => {
                let [left, right] = &**operands;
                let left = self.value(left)?;
                let right = self.value(right)?;
                operators::apply(self, *operator, &left, &right)
            }
            Node::Call { name, overloads, arguments } => self.call(name, overloads, arguments),
            Node::OrElse { optional, other, flat } => self.or_else(optional, other, *flat),
            Node::Fold(fold) => self.fold(fold),
            Node::OptionalMap { target, body, flat } => self.optional_map(target, body, *flat),
        }
    }

    fn root(&mut self, root: Root) -> Outcome<'a> {
        let variables = self.variables;
        Ok(match root {
            Root::Object => Value::of_json(&variables.object),
            Root::OldObject => Value::of_json(&variables.old_object),
            Root::Request => Value::of_json(&variables.request),
            Root::Params => Value::of_json(&variables.params),
            Root::NamespaceObject => Value::of_json(&variables.namespace_object),
            Root::Authorizer | Root::RequestResource => {
                let Some(authorization) = &variables.authorizer else { return failed("no such attribute(s): authorizer") };
                let authority = Rc::new(Authority { authorizer: authorization.authorizer.clone(), user: authorization.user.clone() });
                match root {
                    Root::Authorizer => Value::Authorizer(authority),
                    _ => Value::ResourceCheck(Rc::new(ResourceCheck { authority, access: authorization.request_resource.clone() })),
                }
            }
        })
    }

    fn variable(&mut self, name: &'a str) -> Outcome<'a> {
        if let Some(known) = self.known.get(name) {
            return known.clone().map_err(Failure::Message);
        }
        let variables: &'a Variables = self.variables;
        let Some(variable) = variables.variables.iter().find(|it| it.name == name) else { return failed(format!("no such key: {name}")) };
        // What it speaks of itself is not there yet: no variable can go round in a circle.
        self.known.insert(&variable.name, Err(format!("no such key: {name}")));
        let outcome = match &variable.expression {
            Err(error) => Err(format!("composited variable {name:?} fails to compile: {error}")),
            Ok(expression) => match self.whole(expression) {
                Err(Failure::OutOfBudget) => return Err(Failure::OutOfBudget),
                Err(failure) => Err(format!("composited variable {name:?} fails to evaluate: {}", failure.into_reason())),
                Ok(value) => Ok(value),
            },
        };
        self.known.insert(&variable.name, outcome.clone());
        outcome.map_err(Failure::Message)
    }

    fn list(&mut self, items: &'a [(Node, Presence)]) -> Outcome<'a> {
        self.charge(10)?;
        let mut list = Vec::with_capacity(items.len());
        for (item, presence) in items {
            match (self.value(item)?, presence) {
                (value, Presence::Required) => list.push(value),
                (Value::Optional(value), Presence::Optional) => list.extend(value.map(|it| (*it).clone())),
                (_, Presence::Optional) => return failed("cannot initialize optional list element from non-optional value"),
            }
        }
        Ok(Value::list(list))
    }

    fn map(&mut self, entries: &'a [(Node, Node, Presence)]) -> Outcome<'a> {
        self.charge(30)?;
        let mut map = BTreeMap::new();
        for (key, value, presence) in entries {
            let key = self.value(key)?;
            let Some(key) = Key::of(&key) else { return failed(format!("unsupported key type: {}", key.type_name())) };
            match (self.value(value)?, presence) {
                (value, Presence::Required) => _ = map.insert(key, value),
                (Value::Optional(Some(value)), Presence::Optional) => _ = map.insert(key, (*value).clone()),
                (Value::Optional(None), Presence::Optional) => {}
                (_, Presence::Optional) => return failed("cannot initialize optional entry from non-optional value"),
            }
        }
        Ok(Value::Map(Map::Made(Rc::new(map))))
    }

    /// `&&` and `||`: the value that decides wins, on whichever side it is, even over a failure on the other.
    fn logical(&mut self, left: &'a Node, right: &'a Node, decides: bool) -> Outcome<'a> {
        let left = self.value(left);
        match &left {
            Ok(Value::Bool(it)) if *it == decides => return left,
            Err(failure) if failure.is_final() => return left,
            _ => {}
        }
        let right = self.value(right);
        match (left, right) {
            (_, Ok(Value::Bool(it))) if it == decides => Ok(Value::Bool(decides)),
            (_, Err(failure)) if failure.is_final() => Err(failure),
            (Err(failure), _) | (Ok(Value::Bool(_)), Err(failure)) => Err(failure),
            (Ok(Value::Bool(_)), Ok(Value::Bool(_))) => Ok(Value::Bool(!decides)),
            _ => Err(Failure::NoSuchOverload),
        }
    }

    fn call(&mut self, name: &str, overloads: &[&'static super::functions::Function], arguments: &'a [Node]) -> Outcome<'a> {
        let arguments = arguments.iter().map(|it| self.value(it)).collect::<Result<Vec<_>, _>>()?;
        for overload in overloads {
            match (overload.call)(self, &arguments) {
                Err(Failure::NoSuchOverload) => {}
                outcome => return outcome,
            }
        }
        // Upstream's words, which differ by how it finds the function.
        let types: Vec<_> = arguments.iter().map(Value::type_name).collect();
        match name {
            "startsWith" | "endsWith" | "contains" => Err(Failure::NoSuchOverload),
            "matches" if arguments.first().is_some_and(operators::takes_any_call) => Err(Failure::NoSuchOverload),
            "matches" => failed("no such overload: matches"),
            "size" => failed("no such overload: size"),
            _ => failed(format!("no such overload: {name}({})", types.join(", "))),
        }
    }

    fn optional_map(&mut self, target: &'a Node, body: &'a Node, flat: bool) -> Outcome<'a> {
        match self.value(target)? {
            Value::Optional(None) => Ok(Value::Optional(None)),
            Value::Optional(Some(value)) => {
                let mapped = self.with_local(vec![(*value).clone()], body)?;
                match mapped {
                    Value::Optional(_) if flat => Ok(mapped),
                    _ if flat => Err(Failure::NoSuchOverload),
                    _ => Ok(Value::some(mapped)),
                }
            }
            _ => Err(Failure::NoSuchOverload),
        }
    }

    /// `x.or(y)` and `x.orValue(y)`: `y` is looked at only when `x` is none. What is not optional is its own value.
    fn or_else(&mut self, optional: &'a Node, other: &'a Node, flat: bool) -> Outcome<'a> {
        match self.value(optional)? {
            Value::Optional(None) => match self.value(other)? {
                value if !flat || matches!(value, Value::Optional(_)) => Ok(value),
                _ => Err(Failure::NoSuchOverload),
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

    fn condition(&mut self, variables: Vec<Value<'a>>, body: &'a Node) -> Result<bool, Failure> {
        match self.with_local(variables, body)? {
            Value::Bool(it) => Ok(it),
            _ => Err(Failure::NoSuchOverload),
        }
    }

    fn fold(&mut self, fold: &'a Fold) -> Outcome<'a> {
        let range = self.value(&fold.range)?;
        self.charge(range.len())?;
        let rounds = rounds(&range, fold.two_variables)?;
        match fold.kind {
            FoldKind::All => self.quantify(fold, rounds, false),
            FoldKind::Exists => self.quantify(fold, rounds, true),
            FoldKind::ExistsOne => {
                let mut count = 0;
                for round in rounds {
                    count += usize::from(self.condition(round, &fold.body)?);
                }
                Ok(Value::Bool(count == 1))
            }
            FoldKind::Filter => {
                let mut kept = Vec::new();
                for round in rounds {
                    if self.condition(round.clone(), &fold.body)? {
                        kept.extend(round);
                    }
                }
                Ok(Value::list(kept))
            }
            FoldKind::List => Ok(Value::list(self.transformed(fold, rounds)?.into_iter().map(|(_, value)| value).collect())),
            FoldKind::MapValues | FoldKind::MapEntries => self.transformed_map(fold, rounds),
            FoldKind::SortBy => {
                let keyed = self.transformed(fold, rounds)?;
                operators::sorted_by_key(self, keyed.into_iter().map(|(round, key)| (key, round)).collect())
            }
        }
    }

    /// `all` and `exists`: the value that decides ends it, and makes up for failures before it.
    fn quantify(&mut self, fold: &'a Fold, rounds: Vec<Vec<Value<'a>>>, decides: bool) -> Outcome<'a> {
        let mut first_failure = None;
        for round in rounds {
            match self.condition(round, &fold.body) {
                Ok(it) if it == decides => return Ok(Value::Bool(decides)),
                Ok(_) => {}
                Err(failure) if failure.is_final() => return Err(failure),
                Err(failure) => first_failure = first_failure.or(Some(failure)),
            }
        }
        first_failure.map_or(Ok(Value::Bool(!decides)), Err)
    }

    /// What the body makes of each round that passes the filter, with the round's first variable.
    fn transformed(&mut self, fold: &'a Fold, rounds: Vec<Vec<Value<'a>>>) -> Result<Vec<(Value<'a>, Value<'a>)>, Failure> {
        let mut made = Vec::new();
        for round in rounds {
            if let Some(filter) = &fold.filter
                && !self.condition(round.clone(), filter)?
            {
                continue;
            }
            let first = round.first().cloned().unwrap_or(Value::Null);
            made.push((first, self.with_local(round, &fold.body)?));
        }
        Ok(made)
    }

    fn transformed_map(&mut self, fold: &'a Fold, rounds: Vec<Vec<Value<'a>>>) -> Outcome<'a> {
        let mut map = BTreeMap::new();
        for (key, value) in self.transformed(fold, rounds)? {
            let entries = match (fold.kind, value) {
                (FoldKind::MapEntries, Value::Map(entries)) => entries.entries(),
                (FoldKind::MapEntries, _) => return Err(Failure::NoSuchOverload),
                (_, value) => vec![(key, value)],
            };
            self.charge(entries.len())?;
            for (key, value) in entries {
                let key = Key::of(&key).ok_or(Failure::NoSuchOverload)?;
                if map.contains_key(&key) {
                    return failed(format!("insert failed: key {} already exists", key.display()));
                }
                map.insert(key, value);
            }
        }
        Ok(Value::Map(Map::Made(Rc::new(map))))
    }
}

/// The values of a comprehension's variables, round by round.
fn rounds<'a>(range: &Value<'a>, two_variables: bool) -> Result<Vec<Vec<Value<'a>>>, Failure> {
    Ok(match (range, two_variables) {
        (Value::List(list), false) => list.iter().map(|it| vec![it]).collect(),
        (Value::List(list), true) => list.iter().zip(0..).map(|(it, index)| vec![Value::Int(index), it]).collect(),
        (Value::Map(map), false) => map.entries().into_iter().map(|(key, _)| vec![key]).collect(),
        (Value::Map(map), true) => map.entries().into_iter().map(|(key, value)| vec![key, value]).collect(),
        _ => return failed(format!("got '{}', expected iterable type", access::go_type(range))),
    })
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

/// The elements of a list.
pub(super) fn elements<'v, 'a>(value: &'v Value<'a>) -> Result<&'v List<'a>, Failure> {
    match value {
        Value::List(it) => Ok(it),
        _ => Err(Failure::NoSuchOverload),
    }
}
