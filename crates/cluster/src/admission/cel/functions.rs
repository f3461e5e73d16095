//! The functions that expressions can call, library by library.

pub(super) mod authorizer;
mod conversions;
pub(super) mod format;
pub(super) mod ip;
mod lists;
mod optional;
mod printf;
pub(super) mod quantity;
mod regex;
mod semver;
mod sets;
mod strings;
pub(super) mod time;
pub(super) mod url;

use super::evaluate::{Evaluator, Outcome};
use super::value::Value;

/// What a function does: `NoSuchOverload` when the arguments are not of its types.
type Call = for<'a> fn(&mut Evaluator<'a>, &[Value<'a>]) -> Outcome<'a>;

/// One function for one number of arguments.
#[derive(Debug)]
pub(super) struct Function {
    style: Style,
    name: &'static str,
    /// The receiver counts.
    arguments: usize,
    pub(super) call: Call,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// `f(x)`.
    Global,
    /// `x.f()`.
    Member,
}

const fn global(name: &'static str, arguments: usize, call: Call) -> Function {
    Function { style: Style::Global, name, arguments, call }
}

const fn member(name: &'static str, arguments: usize, call: Call) -> Function {
    Function { style: Style::Member, name, arguments, call }
}

const LIBRARIES: &[&[Function]] = &[
    conversions::FUNCTIONS,
    strings::FUNCTIONS,
    lists::FUNCTIONS,
    sets::FUNCTIONS,
    regex::FUNCTIONS,
    time::FUNCTIONS,
    optional::FUNCTIONS,
    url::FUNCTIONS,
    ip::FUNCTIONS,
    quantity::FUNCTIONS,
    semver::FUNCTIONS,
    format::FUNCTIONS,
    authorizer::FUNCTIONS,
];

fn overloads(style: Style, name: &str, arguments: usize) -> Vec<&'static Function> {
    let all = LIBRARIES.iter().copied().flatten();
    all.filter(|it| it.style == style && it.name == name && it.arguments == arguments).collect()
}

/// A scalar as `string()` has it; empty for others.
pub(super) fn text_of(value: &Value<'_>) -> String {
    conversions::text_of(value).map_or_else(String::new, |it| it.to_string())
}

/// What `name(...)` may mean.
pub(super) fn global_overloads(name: &str, arguments: usize) -> Vec<&'static Function> {
    overloads(Style::Global, name, arguments)
}

/// What `x.name(...)` may mean; `arguments` counts `x`.
pub(super) fn member_overloads(name: &str, arguments: usize) -> Vec<&'static Function> {
    overloads(Style::Member, name, arguments)
}
