//! The functions that expressions can call: a table of overloads for each library.

mod authorizer;
mod conversions;
mod format;
mod ip;
mod lists;
mod optional;
mod quantity;
mod regex;
mod semver;
mod sets;
mod strings;
mod time;
mod url;

use crate::overload::{Overload, Style};

const LIBRARIES: &[&[Overload]] = &[
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

/// Finds the overloads of a call, in the order in which they are tried. The receiver counts as an argument.
pub(crate) fn overloads(style: Style, name: &str, arguments: usize) -> Vec<&'static Overload> {
    LIBRARIES.iter().copied().flatten().filter(|it| it.matches(style, name, arguments)).collect()
}
