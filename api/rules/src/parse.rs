//! Words to an expression, or an error with its place.

use crate::expr::{Expr, Metric, Op, SIZES, Unit, Value};
use crate::span::Span;
use crate::token::{Kind, Token, tokens};

/// The longest text, in bytes.
const MOST_BYTES: usize = 1024;
/// The deepest nesting.
const MOST_LEVELS: usize = 16;

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct Error {
    /// From 1, in characters.
    pub column: usize,
    /// How many characters it is about; at least 1.
    pub width: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Error {
    /// The text with the place marked under it.
    pub fn show(&self, text: &str) -> String {
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("{line}\n{}{}", " ".repeat(self.column - 1), "^".repeat(self.width))
    }
}

/// Reads a rule's condition and checks its units.
pub fn parse(text: &str) -> Result<Expr, Error> {
    let mut parser = Parser { text, tokens: Vec::new(), at: 0 };
    if text.len() > MOST_BYTES {
        return Err(parser.error(0, 0, format!("the condition is longer than {MOST_BYTES} bytes")));
    }
    parser.tokens = tokens(text);
    let expr = parser.or(0)?;
    match parser.next() {
        None => Ok(expr),
        Some(token) => Err(parser.unexpected(Some(&token), "`and`, `or`, `for` or the end")),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
}

type Parsed<T> = Result<T, Error>;

impl Parser<'_> {
    fn error(&self, start: usize, end: usize, message: impl Into<String>) -> Error {
        let chars = |range: &str| range.chars().count();
        let column = chars(&self.text[..start]) + 1;
        Error { column, width: chars(&self.text[start..end]).max(1), message: message.into() }
    }

    fn about(&self, token: &Token, message: impl Into<String>) -> Error {
        self.error(token.start, token.end, message)
    }

    fn unexpected(&self, token: Option<&Token>, expected: &str) -> Error {
        match token {
            None => {
                self.error(self.text.len(), self.text.len(), format!("the condition ends here; expected {expected}"))
            }
            Some(t) => {
                let found = &self.text[t.start..t.end];
                self.about(t, format!("unexpected {found:?}; expected {expected}"))
            }
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += usize::from(token.is_some());
        token
    }

    /// Takes the word if it comes next.
    fn word(&mut self, word: &str) -> bool {
        let here = matches!(self.peek(), Some(Token { kind: Kind::Word(w), .. }) if w == word);
        self.at += usize::from(here);
        here
    }

    fn or(&mut self, level: usize) -> Parsed<Expr> {
        if level > MOST_LEVELS {
            let start = self.peek().map_or(self.text.len(), |t| t.start);
            return Err(self.error(start, start, format!("more than {MOST_LEVELS} levels of nesting")));
        }
        let mut parts = vec![self.and(level)?];
        while self.word("or") {
            parts.push(self.and(level)?);
        }
        Ok(one_or(parts, Expr::Or))
    }

    fn and(&mut self, level: usize) -> Parsed<Expr> {
        let mut parts = vec![self.unary(level)?];
        while self.word("and") {
            parts.push(self.unary(level)?);
        }
        Ok(one_or(parts, Expr::And))
    }

    fn unary(&mut self, level: usize) -> Parsed<Expr> {
        if self.word("not") {
            if level >= MOST_LEVELS {
                return self.or(level + 1);
            }
            return Ok(Expr::Not(Box::new(self.unary(level + 1)?)));
        }
        let inner = self.primary(level)?;
        if !self.word("for") {
            return Ok(inner);
        }
        let span = self.span()?;
        Ok(Expr::For(Box::new(inner), span))
    }

    fn primary(&mut self, level: usize) -> Parsed<Expr> {
        const EXPECTED: &str = "a measurement, `unhealthy`, `not` or `(`";
        let token = self.next();
        let Some(token) = token else { return Err(self.unexpected(None, EXPECTED)) };
        match &token.kind {
            Kind::Open => {
                let inner = self.or(level + 1)?;
                match self.next() {
                    Some(Token { kind: Kind::Close, .. }) => Ok(inner),
                    other => Err(self.unexpected(other.as_ref(), "`)`")),
                }
            }
            Kind::Word(word) if word == "unhealthy" => Ok(Expr::Unhealthy),
            Kind::Word(word) if word == "restarts" => self.within(),
            Kind::Word(word) => match Metric::ALL.into_iter().find(|m| m.name() == word) {
                Some(metric) => self.compare(metric),
                None => Err(self.about(&token, format!("nothing called {word:?} is measured; there are {}", names()))),
            },
            _ => Err(self.unexpected(Some(&token), EXPECTED)),
        }
    }

    fn op(&mut self) -> Parsed<Op> {
        match self.next() {
            Some(Token { kind: Kind::Op(op), .. }) => Ok(op),
            other => Err(self.unexpected(other.as_ref(), "one of < <= > >= == !=")),
        }
    }

    fn span(&mut self) -> Parsed<Span> {
        let token = self.next();
        let Some(Token { kind: Kind::Number(text), .. }) = &token else {
            return Err(self.unexpected(token.as_ref(), "a time such as 30s, 5m or 1h30m"));
        };
        Span::parse(text).ok_or_else(|| self.unexpected(token.as_ref(), "a time such as 30s, 5m or 1h30m"))
    }

    fn within(&mut self) -> Parsed<Expr> {
        let op = self.op()?;
        let token = self.next();
        let Some(Value::Number(count, Unit::Count)) = token.as_ref().and_then(number) else {
            return Err(self.unexpected(token.as_ref(), Unit::Count.describe()));
        };
        if !self.word("in") {
            let next = self.next();
            return Err(
                self.unexpected(next.as_ref(), "`in` and a time: restarts are counted within one, such as `in 1h`")
            );
        }
        Ok(Expr::Within { op, count, span: self.span()? })
    }

    fn compare(&mut self, left: Metric) -> Parsed<Expr> {
        let op = self.op()?;
        let expected = || {
            let units: Vec<&str> = left.units().iter().map(|u| u.describe()).collect();
            let counts = if left.units() == [Unit::Count] { " or another count such as replicas.desired" } else { "" };
            format!("{}{counts}: {} is measured in that", units.join(" or "), left.name())
        };
        let token = self.next();
        let Some(found) = &token else { return Err(self.unexpected(None, &expected())) };
        let right = match &found.kind {
            Kind::Word(word) => Metric::ALL.into_iter().find(|m| m.name() == word).map(Value::Metric),
            _ => number(found),
        };
        let fits = match right {
            Some(Value::Number(_, unit)) => left.units().contains(&unit),
            Some(Value::Metric(other)) => left.units() == [Unit::Count] && other.units() == [Unit::Count],
            None => false,
        };
        match right {
            Some(right) if fits => Ok(Expr::Compare { left, op, right }),
            _ => Err(self.unexpected(token.as_ref(), &expected())),
        }
    }
}

fn one_or(mut parts: Vec<Expr>, many: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.len() {
        1 => parts.remove(0),
        _ => many(parts),
    }
}

fn names() -> String {
    let mut names: Vec<&str> = Metric::ALL.into_iter().map(Metric::name).collect();
    names.extend(["restarts", "unhealthy"]);
    names.join(", ")
}

/// A number with its unit.
fn number(token: &Token) -> Option<Value> {
    let Kind::Number(text) = &token.kind else { return None };
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits);
    let n: f64 = digits.parse().ok()?;
    if !n.is_finite() || digits.len() > 15 || digits.ends_with('.') {
        return None;
    }
    match unit {
        "" => Some(Value::Number(n, Unit::Count)),
        "%" => Some(Value::Number(n, Unit::Percent)),
        unit => {
            let (_, size) = SIZES.iter().find(|(name, _)| *name == unit)?;
            Some(Value::Number(n * size, Unit::Bytes))
        }
    }
}
