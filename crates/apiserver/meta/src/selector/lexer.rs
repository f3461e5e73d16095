//! The tokens of a label selector.

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    End,
    Open,
    Close,
    Comma,
    Bang,
    Equal,
    DoubleEqual,
    NotEqual,
    Greater,
    Less,
    In,
    NotIn,
    Word(&'a str),
}

impl<'a> Token<'a> {
    /// The token's text in errors.
    pub(super) fn text(self) -> &'a str {
        match self {
            Self::End => "",
            Self::Open => "(",
            Self::Close => ")",
            Self::Comma => ",",
            Self::Bang => "!",
            Self::Equal => "=",
            Self::DoubleEqual => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::In => "in",
            Self::NotIn => "notin",
            Self::Word(word) => word,
        }
    }

    /// The token where a key or value is expected: `in` and `notin` are words there.
    pub(super) fn as_word(self) -> Self {
        match self {
            Self::In => Self::Word("in"),
            Self::NotIn => Self::Word("notin"),
            other => other,
        }
    }
}

/// The tokens of `text`, without the end.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut rest = text;
    let mut tokens = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        if rest.is_empty() {
            return tokens;
        }
        let (token, length) = next(rest);
        tokens.push(token);
        rest = &rest[length..];
    }
}

/// The first token of a text that is not empty and does not begin with white space, and its length.
fn next(text: &str) -> (Token<'_>, usize) {
    const SIGNS: [(&str, Token<'static>); 9] = [
        ("==", Token::DoubleEqual),
        ("!=", Token::NotEqual),
        ("=", Token::Equal),
        ("!", Token::Bang),
        ("(", Token::Open),
        (")", Token::Close),
        (",", Token::Comma),
        (">", Token::Greater),
        ("<", Token::Less),
    ];
    for (sign, token) in SIGNS {
        if text.starts_with(sign) {
            return (token, sign.len());
        }
    }
    let end = text.find(|char: char| "=!(),><".contains(char) || " \t\r\n".contains(char)).unwrap_or(text.len());
    let word = &text[..end];
    let token = match word {
        "in" => Token::In,
        "notin" => Token::NotIn,
        _ => Token::Word(word),
    };
    (token, end)
}
