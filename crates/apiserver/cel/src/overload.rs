//! Overloads: the implementations of functions, by style, name and number of arguments. Libraries of functions find here all
//! that they are written with.

pub(crate) use crate::context::Context;
pub(crate) use crate::error::{Error, Outcome, fail};
pub(crate) use crate::value::{List, Value};

/// Calls an overload and charges its cost to the context: `NoSuchOverload` when the arguments are not of its types.
type Call = for<'a> fn(&mut Context, &[Value<'a>]) -> Outcome<'a>;

/// One implementation of a function.
#[derive(Debug)]
pub(crate) struct Overload {
    style: Style,
    name: &'static str,
    /// The fewest arguments; the receiver counts.
    arguments: usize,
    /// The number of further arguments that may be given.
    optional: usize,
    pub(crate) call: Call,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// `f(x)`.
    Global,
    /// `x.f()`.
    Member,
}

pub(crate) const fn global(name: &'static str, arguments: usize, call: Call) -> Overload {
    Overload { style: Style::Global, name, arguments, optional: 0, call }
}

pub(crate) const fn member(name: &'static str, arguments: usize, call: Call) -> Overload {
    Overload { style: Style::Member, name, arguments, optional: 0, call }
}

impl Overload {
    /// Lets one more argument be given.
    pub(crate) const fn with_optional(self) -> Self {
        Self { optional: 1, ..self }
    }

    pub(crate) fn matches(&self, style: Style, name: &str, arguments: usize) -> bool {
        self.style == style && self.name == name && (self.arguments..=self.arguments + self.optional).contains(&arguments)
    }
}
