//! Texts within a bound. What a client sent can be as long as a body, and what is told of it must not be.

use std::fmt::{self, Display, Write};

/// The end of a text that was cut.
pub(crate) const MORE: &str = "...";

/// The text of something, and `...` in place of what lies beyond `most` bytes. The rest is not even written.
pub fn excerpt(shown: &(impl Display + ?Sized), most: usize) -> String {
    let mut cut = Cut { text: String::new(), most };
    if write!(cut, "{shown}").is_err() {
        cut.text.push_str(MORE);
    }
    cut.text
}

/// Cuts a text that is at hand already as [`excerpt`] does.
pub fn shorten(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(boundary(text, most));
        text.push_str(MORE);
    }
}

/// Adds to a text until it has `most` bytes; says whether all of `more` had room.
pub(crate) fn push_within(text: &mut String, more: &str, most: usize) -> bool {
    let fits = boundary(more, most.saturating_sub(text.len()));
    text.push_str(&more[..fits]);
    fits == more.len()
}

/// The last place before `most` at which a text can be cut.
fn boundary(text: &str, most: usize) -> usize {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// Takes text until it is full; full is an error, so that the writer stops.
struct Cut {
    text: String,
    most: usize,
}

impl Write for Cut {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        if push_within(&mut self.text, more, self.most) { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        for (text, most, want) in [("", 0, ""), ("abc", 3, "abc"), ("abcd", 3, "abc..."), ("aä", 2, "a..."), ("ä", 0, "...")] {
            assert_eq!(excerpt(text, most), want);
            let mut cut = text.to_owned();
            shorten(&mut cut, most);
            assert_eq!(cut, want);
        }
        assert_eq!(excerpt(&format_args!("{}{}{}", "ab", "cd", "ef"), 3), "abc...");
    }

    #[test]
    fn what_lies_beyond_is_never_written() {
        struct Endless;
        impl Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("more and ")?;
                }
            }
        }
        assert_eq!(excerpt(&Endless, 8), "more and...");
    }
}
