//! Text to words: each with its place.

use crate::expr::Op;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Letters, digits and dots, beginning with a letter.
    Word(String),
    /// A number and what is written right behind it: `90%`, `1GB`, `5m`, `1h30m`.
    Number(String),
    Op(Op),
    Open,
    Close,
    /// Something that begins no word of the language.
    Stray(char),
}

/// A word and where it stands, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (kind, length) = if let Some((sign, op)) = Op::ALL.iter().find(|(sign, _)| rest.starts_with(sign)) {
            (Kind::Op(*op), sign.len())
        } else if first.is_ascii_alphabetic() || first.is_ascii_digit() {
            let inside = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '%' || c == '_';
            let length = rest.find(|c| !inside(c)).unwrap_or(rest.len());
            let word = rest[..length].to_owned();
            (if first.is_ascii_digit() { Kind::Number(word) } else { Kind::Word(word) }, length)
        } else {
            let kind = match first {
                '(' => Kind::Open,
                ')' => Kind::Close,
                other => Kind::Stray(other),
            };
            (kind, first.len_utf8())
        };
        tokens.push(Token { kind, start: at, end: at + length });
        at += length;
    }
    tokens
}
