//! Where in a tree a walk stands: a chain on the stack, turned into text only when something is odd.

use crate::excerpt::excerpt;
use std::fmt;

/// The longest text of a path, in bytes: keys come from the client and may be huge.
const MAX_TEXT: usize = 1024;

pub(crate) enum Path<'a> {
    Root,
    Member(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl Path<'_> {
    /// The path as a client reads it, cut when it is very long.
    pub(crate) fn text(&self) -> String {
        excerpt(self, MAX_TEXT)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(Path::Root, name) => f.write_str(name),
            Self::Member(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}
