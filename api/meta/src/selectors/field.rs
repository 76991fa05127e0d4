//! `metadata.name=x,spec.a!=b`: all requirements must hold (row L14).

use crate::field::quoted;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldOp {
    Equals,
    NotEquals,
}

/// One part of a field selector; which paths a kind knows is its own matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRequirement {
    pub path: String,
    pub op: FieldOp,
    pub value: String,
}

/// `metadata.name=x,spec.a!=b`: all requirements must hold; the empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    requirements: Vec<FieldRequirement>,
}

impl FieldSelector {
    /// Reads a `fieldSelector` parameter. The error is the message of the 400 answer.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut requirements = Vec::new();
        for term in terms(text) {
            if term.is_empty() {
                continue;
            }
            let Some((path, op, value)) = split_term(term) else {
                return Err(format!("invalid selector: '{text}'; can't understand '{term}'"));
            };
            requirements.push(FieldRequirement { path: path.to_owned(), op, value: unescape(value)? });
        }
        Ok(Self { requirements })
    }

    /// The selector of one object by name (row W9).
    pub fn name(name: &str) -> Self {
        let one = FieldRequirement { path: "metadata.name".to_owned(), op: FieldOp::Equals, value: name.to_owned() };
        Self { requirements: vec![one] }
    }

    pub fn requirements(&self) -> &[FieldRequirement] {
        &self.requirements
    }

    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The value that a path must equal, if the selector says so: how `metadata.name=x` becomes one object (row L15).
    pub fn required_value(&self, path: &str) -> Option<&str> {
        self.requirements.iter().find(|r| r.path == path && r.op == FieldOp::Equals).map(|r| r.value.as_str())
    }

    /// True when every requirement holds; `read` answers a path's value, absent ones as the empty string.
    pub fn matches<'a>(&self, read: impl Fn(&str) -> std::borrow::Cow<'a, str>) -> bool {
        self.requirements.iter().all(|r| (read(&r.path) == r.value) == (r.op == FieldOp::Equals))
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, r) in self.requirements.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            let op = if r.op == FieldOp::Equals { "=" } else { "!=" };
            let value = r.value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
            write!(f, "{}{op}{value}", r.path)?;
        }
        Ok(())
    }
}

/// Splits at commas that no backslash protects.
fn terms(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                out.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    out.push(&text[start..]);
    out
}

fn split_term(term: &str) -> Option<(&str, FieldOp, &str)> {
    let at = term.find('=')?;
    let rest = &term[at + 1..];
    match term[..at].strip_suffix('!') {
        Some(path) => Some((path, FieldOp::NotEquals, rest)),
        None => Some((&term[..at], FieldOp::Equals, rest.strip_prefix('=').unwrap_or(rest))),
    }
}

fn unescape(value: &str) -> Result<String, String> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(e @ ('\\' | ',' | '=')) => out.push(e),
                other => {
                    let sequence: String = std::iter::once('\\').chain(other).collect();
                    return Err(format!("invalid field selector: invalid escape sequence: {sequence}"));
                }
            },
            ',' | '=' => return Err(format!("invalid field selector: unescaped character in value: {}", c as u32)),
            c => out.push(c),
        }
    }
    Ok(out)
}

/// The text of a path that a kind does not know (row L14). `known` is given for built-in kinds.
pub fn unsupported(path: &str, known: Option<&[&str]>) -> String {
    match known {
        None => format!("field label not supported: {path}"),
        Some(known) => {
            let list: Vec<String> = known.iter().map(|k| quoted(k)).collect();
            format!("{} is not a known field selector: only {}", quoted(path), list.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_selectors_are_read_as_the_reference_reads_them() {
        let check = |s: &str, expected: &[(&str, FieldOp, &str)]| {
            let parsed = FieldSelector::parse(s).expect(s);
            let got: Vec<_> = parsed.requirements().iter().map(|r| (r.path.as_str(), r.op, r.value.as_str())).collect();
            assert_eq!(got, expected, "{s}");
            assert_eq!(FieldSelector::parse(&parsed.to_string()), Ok(parsed), "{s}");
        };
        check("", &[]);
        check("metadata.name=a", &[("metadata.name", FieldOp::Equals, "a")]);
        check("a==b,c!=d", &[("a", FieldOp::Equals, "b"), ("c", FieldOp::NotEquals, "d")]);
        check("a=", &[("a", FieldOp::Equals, "")]);
        check("a=,,b=c", &[("a", FieldOp::Equals, ""), ("b", FieldOp::Equals, "c")]);
        check(r"a=x\,y\=z\\", &[("a", FieldOp::Equals, r"x,y=z\")]);
    }

    #[test]
    fn bad_field_selectors_get_the_reference_text() {
        let check = |s: &str, text: &str| assert_eq!(FieldSelector::parse(s).expect_err(s), text);
        check("a", "invalid selector: 'a'; can't understand 'a'");
        check("metadata.name=a=b", "invalid field selector: unescaped character in value: 61");
        check(r"a=\x", r"invalid field selector: invalid escape sequence: \x");
        check(r"a=b\", r"invalid field selector: invalid escape sequence: \");
        let known = ["metadata.name", "metadata.namespace"];
        let text = r#""data" is not a known field selector: only "metadata.name", "metadata.namespace""#;
        assert_eq!(unsupported("data", Some(&known)), text);
        assert_eq!(unsupported("spec.foo", None), "field label not supported: spec.foo");
    }

    #[test]
    fn absent_values_count_as_empty() {
        let selector = FieldSelector::parse("a=,b!=x").expect("valid");
        assert!(selector.matches(|_| "".into()));
        assert!(!selector.matches(|_| "x".into()));
    }
}
