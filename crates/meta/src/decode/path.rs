//! Where in a tree a walk stands: a chain on the stack, turned into text only when something is odd.

use std::fmt::{self, Write};

/// The longest text of a path, in bytes: keys come from the client and may be huge.
const MAX_TEXT: usize = 1024;

pub(super) enum Path<'a> {
    Root,
    Member(&'a Path<'a>, &'a str),
    Item(&'a Path<'a>, usize),
}

impl Path<'_> {
    /// The path as a client reads it, cut when it is very long.
    pub(super) fn text(&self) -> String {
        let mut text = Cut(String::new());
        if write!(text, "{self}").is_err() {
            text.0.push_str("...");
        }
        text.0
    }
}

/// Takes text until it is full; full is an error, so that the writer stops.
struct Cut(String);

impl Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut fits = text.len().min(MAX_TEXT - self.0.len());
        while !text.is_char_boundary(fits) {
            fits -= 1;
        }
        self.0.push_str(&text[..fits]);
        if fits == text.len() { Ok(()) } else { Err(fmt::Error) }
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
