//! `a=b,c in (x,y),!d`: all requirements must hold (row L13).

use super::lexer::{Token, tokens};
use crate::field::{FieldError, Path};
use crate::names;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;

/// How one label is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelOp {
    Exists,
    DoesNotExist,
    In,
    NotIn,
    Equals,
    NotEquals,
    GreaterThan,
    LessThan,
}

/// One part of a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRequirement {
    pub key: String,
    pub op: LabelOp,
    pub values: BTreeSet<String>,
}

impl LabelRequirement {
    /// True when an object with this label value (or without the label) is selected. `!=` and `notin` select objects without the key.
    pub fn matches(&self, value: Option<&str>) -> bool {
        let number = |text: Option<&str>| text.and_then(|t| t.parse::<i64>().ok());
        let bound = || number(self.values.first().map(String::as_str));
        match self.op {
            LabelOp::Exists => value.is_some(),
            LabelOp::DoesNotExist => value.is_none(),
            LabelOp::In | LabelOp::Equals => value.is_some_and(|v| self.values.contains(v)),
            LabelOp::NotIn | LabelOp::NotEquals => value.is_none_or(|v| !self.values.contains(v)),
            LabelOp::GreaterThan => matches!((number(value), bound()), (Some(v), Some(b)) if v > b),
            LabelOp::LessThan => matches!((number(value), bound()), (Some(v), Some(b)) if v < b),
        }
    }

    /// Checks key and values as the reference does; the text is complete.
    fn check(self) -> Result<Self, String> {
        let complaints = names::qualified_name(&self.key);
        if !complaints.is_empty() {
            return Err(FieldError::invalid(&Path::root(), self.key, complaints.join("; ")).to_string());
        }
        for (i, value) in self.values.iter().enumerate() {
            let path = Path::new("values").index(i);
            if matches!(self.op, LabelOp::GreaterThan | LabelOp::LessThan) && value.parse::<i64>().is_err() {
                let text = "for 'Gt', 'Lt' operators, the value must be an integer";
                return Err(FieldError::invalid(&path, value.as_str(), text).to_string());
            }
            let complaints = names::label_value(value);
            if !complaints.is_empty() {
                return Err(
                    FieldError::invalid(&path.key(&self.key), value.as_str(), complaints.join("; ")).to_string()
                );
            }
        }
        Ok(self)
    }
}

/// `a=b,c in (x,y),!d`: all requirements must hold; the empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<LabelRequirement>,
}

impl LabelSelector {
    /// Reads a `labelSelector` parameter. The error is the message of the 400 answer.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { tokens: tokens(text), at: 0 };
        let mut requirements = parser.selector()?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { requirements })
    }

    /// A selector that asks each of these labels to be equal.
    pub fn from_match_labels<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let one = |(key, value): (&str, &str)| LabelRequirement {
            key: key.to_owned(),
            op: LabelOp::Equals,
            values: BTreeSet::from([value.to_owned()]),
        };
        Self { requirements: labels.into_iter().map(one).collect() }
    }

    pub fn requirements(&self) -> &[LabelRequirement] {
        &self.requirements
    }

    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// True when every requirement holds for `metadata.labels`.
    pub fn matches(&self, labels: Option<&Map<String, Value>>) -> bool {
        let value = |key: &str| labels.and_then(|m| m.get(key)).and_then(Value::as_str);
        self.requirements.iter().all(|r| r.matches(value(&r.key)))
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, r) in self.requirements.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            let values: Vec<&str> = r.values.iter().map(String::as_str).collect();
            let values = values.join(",");
            match r.op {
                LabelOp::Exists => write!(f, "{}", r.key)?,
                LabelOp::DoesNotExist => write!(f, "!{}", r.key)?,
                LabelOp::In => write!(f, "{} in ({values})", r.key)?,
                LabelOp::NotIn => write!(f, "{} notin ({values})", r.key)?,
                LabelOp::Equals => write!(f, "{}={values}", r.key)?,
                LabelOp::NotEquals => write!(f, "{}!={values}", r.key)?,
                LabelOp::GreaterThan => write!(f, "{}>{values}", r.key)?,
                LabelOp::LessThan => write!(f, "{}<{values}", r.key)?,
            }
        }
        Ok(())
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn selector(&mut self) -> Result<Vec<LabelRequirement>, String> {
        let mut out = Vec::new();
        loop {
            match self.peek() {
                Token::End => return Ok(out),
                Token::Word(_) | Token::Sign("!") => {
                    let requirement = self.requirement().and_then(LabelRequirement::check);
                    out.push(requirement.map_err(|e| format!("unable to parse requirement: {e}"))?);
                }
                Token::Sign(s) => return Err(format!("found '{s}', expected: !, identifier, or 'end of string'")),
            }
            match self.next() {
                Token::End => return Ok(out),
                Token::Sign(",") => {}
                other => return Err(format!("found '{}', expected: ',' or 'end of string'", other.text())),
            }
            if !matches!(self.peek(), Token::Word(_) | Token::Sign("!")) {
                return Err(format!("found '{}', expected: identifier after ','", self.peek().text()));
            }
        }
    }

    fn requirement(&mut self) -> Result<LabelRequirement, String> {
        let negated = *self.peek() == Token::Sign("!");
        if negated {
            self.next();
        }
        let key = match self.next() {
            Token::Word(key) => key,
            other => return Err(format!("found '{}', expected: identifier", other.text())),
        };
        let op = match self.peek() {
            _ if negated => LabelOp::DoesNotExist,
            Token::End | Token::Sign(",") => LabelOp::Exists,
            _ => {
                // A bad key is reported before a bad operator.
                LabelRequirement { key: key.clone(), op: LabelOp::Exists, values: BTreeSet::new() }.check()?;
                self.operator()?
            }
        };
        let values = match op {
            LabelOp::Exists | LabelOp::DoesNotExist => BTreeSet::new(),
            LabelOp::In | LabelOp::NotIn => self.value_list()?,
            _ => BTreeSet::from([self.value()?]),
        };
        Ok(LabelRequirement { key, op, values })
    }

    fn operator(&mut self) -> Result<LabelOp, String> {
        let token = self.next();
        Ok(match token.text() {
            "=" | "==" => LabelOp::Equals,
            "!=" => LabelOp::NotEquals,
            ">" => LabelOp::GreaterThan,
            "<" => LabelOp::LessThan,
            "in" => LabelOp::In,
            "notin" => LabelOp::NotIn,
            other => return Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
        })
    }

    fn value(&mut self) -> Result<String, String> {
        match self.peek() {
            Token::End | Token::Sign(",") => Ok(String::new()),
            Token::Sign(s) => Err(format!("found '{s}', expected: identifier")),
            Token::Word(w) => {
                let word = w.clone();
                self.next();
                Ok(word)
            }
        }
    }

    /// `(a,b)`; an empty place between commas is the empty value.
    fn value_list(&mut self) -> Result<BTreeSet<String>, String> {
        match self.next() {
            Token::Sign("(") => {}
            other => return Err(format!("found '{}' expected: '('", other.text())),
        }
        let mut values = BTreeSet::new();
        let mut empty_place = true;
        loop {
            match self.next() {
                Token::Word(w) => {
                    values.insert(w);
                    empty_place = false;
                    if !matches!(self.peek(), Token::Sign("," | ")")) {
                        return Err(format!("found '{}', expected: ',' or ')'", self.peek().text()));
                    }
                }
                Token::Sign(",") => {
                    if empty_place {
                        values.insert(String::new());
                    }
                    empty_place = true;
                }
                Token::Sign(")") => {
                    if empty_place {
                        values.insert(String::new());
                    }
                    return Ok(values);
                }
                other if values.is_empty() => {
                    return Err(format!("found '{}', expected: ',', ')' or identifier", other.text()));
                }
                other => return Err(format!("found '{}', expected: ',', or identifier", other.text())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[expect(clippy::needless_pass_by_value, reason = "rows of a table read better")]
    fn selects(selector: &str, labels: Value) -> bool {
        LabelSelector::parse(selector).expect(selector).matches(labels.as_object())
    }

    #[test]
    fn every_operator_selects_what_it_says() {
        let check = |s: &str, labels: Value, expected: bool| {
            assert_eq!(selects(s, labels.clone()), expected, "{s} on {labels}");
        };
        check("", json!({}), true);
        check("a=b", json!({"a": "b"}), true);
        check("a==b", json!({"a": "c"}), false);
        check("a!=b", json!({}), true);
        check("a!=b", json!({"a": "b"}), false);
        check("a in (x, y)", json!({"a": "y"}), true);
        check("a notin (x)", json!({}), true);
        check("a notin (x)", json!({"a": "x"}), false);
        check("a", json!({"a": ""}), true);
        check("!a", json!({"a": ""}), false);
        check("a>1,a<3", json!({"a": "2"}), true);
        check("a>1", json!({"a": "x"}), false);
        check("a=", json!({"a": ""}), true);
        check("a in ()", json!({"a": ""}), true);
        check("a in (,x)", json!({"a": "x"}), true);
        check("in in (in)", json!({"in": "in"}), true);
    }

    #[test]
    fn bad_selectors_get_the_reference_text() {
        let check = |s: &str, text: &str| {
            let error = LabelSelector::parse(s).expect_err(s);
            assert!(error.starts_with(text), "{s}: {error}");
        };
        check("x in", "unable to parse requirement: found '' expected: '('");
        check("a=b c", "found 'c', expected: ',' or 'end of string'");
        check("a in (x y)", "unable to parse requirement: found 'y', expected: ',' or ')'");
        check("!", "unable to parse requirement: found '', expected: identifier");
        check(",", "found ',', expected: !, identifier, or 'end of string'");
        check("a===b", "unable to parse requirement: found '=', expected: identifier");
        check("a>b", r#"unable to parse requirement: values[0]: Invalid value: "b": for 'Gt', 'Lt' operators"#);
        check("a foo b", "unable to parse requirement: found 'foo', expected: in, notin, =, ==, !=, gt, lt");
        check("A_=b", r#"unable to parse requirement: <nil>: Invalid value: "A_": name part must consist"#);
        check("a=-b", r#"unable to parse requirement: values[0][a]: Invalid value: "-b": a valid label"#);
        check("a,", "found '', expected: identifier after ','");
        check("a=b,,c", "found ',', expected: identifier after ','");
        check("(a)", "found '(', expected: !, identifier, or 'end of string'");
        check("!a=b", "found '=', expected: ',' or 'end of string'");
    }

    #[test]
    fn a_selector_prints_and_reads_back() {
        for text in ["", "!d,a=b", "c in (x,y)", "a>1", "a notin (q),b!=c,k"] {
            let one = LabelSelector::parse(text).expect(text);
            assert_eq!(LabelSelector::parse(&one.to_string()).as_ref(), Ok(&one), "{text}");
        }
    }
}
