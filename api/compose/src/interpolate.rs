//! `${VAR}` as the Compose specification words it (OT-44), on the parsed tree: a value can never become structure.

use crate::finding::Finding;
use crate::tree::{Entry, Node, Position, Value};
use otternauts_meta::Secret;
use std::collections::{BTreeMap, BTreeSet};

/// How deep `${A:-${B:-…}}` may nest.
const MAX_NESTING: usize = 16;
/// Longest text one scalar may become, in bytes: a few references to a large value must not exhaust memory.
const MAX_EXPANDED: usize = 1 << 20;

/// The variables a stack may use. Values can be secrets: they are not printed and are wiped when dropped.
#[derive(Clone, Debug, Default)]
pub struct Values(BTreeMap<String, Secret<Vec<u8>>>);

impl Values {
    /// Sets a variable; the last one set wins.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.0.insert(name.into(), Secret::new(value.into()));
    }

    /// The value as bytes: configs and secrets with `environment:` may be binary.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(|v| v.expose().as_slice())
    }

    /// The value as text. `None` as well when it is not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.bytes(name)?).ok()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.expose().as_slice()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What is known about variables while a document is read.
#[derive(Clone, Copy)]
pub(crate) enum Known<'a> {
    /// Admission: values may arrive later, so a text with a variable stays open.
    Nothing,
    /// Deployment: what is not here has no value.
    All(&'a Values),
}

/// Where variables were put into texts, and how those were written. A mapping or list counts with its own scalars: what is said
/// of a mount in the long form may quote its source.
#[derive(Default)]
pub(crate) struct Expanded {
    written: BTreeMap<(usize, usize), String>,
    unresolved: BTreeSet<(usize, usize)>,
}

impl Expanded {
    /// The text as written at a place that holds a value now.
    pub fn written(&self, at: Position) -> Option<&str> {
        self.written.get(&(at.line, at.column)).map(String::as_str)
    }

    /// Whether the place has a variable that could not be replaced, which was told.
    pub fn is_unresolved(&self, at: Position) -> bool {
        self.unresolved.contains(&(at.line, at.column))
    }
}

/// Replaces the variables of every scalar value; keys stay as they are. All unresolved names are reported, not only the first.
pub(crate) fn interpolate(root: &mut Node, path: &str, known: Known<'_>, errors: &mut Vec<Finding>) -> Expanded {
    let mut expanded = Expanded::default();
    visit(root, path, known, errors, &mut expanded);
    expanded
}

/// Answers how the scalar was written, if a variable was put into it.
fn visit(
    node: &mut Node,
    path: &str,
    known: Known<'_>,
    errors: &mut Vec<Finding>,
    expanded: &mut Expanded,
) -> Option<String> {
    let place = (node.at.line, node.at.column);
    let inside = match &mut node.value {
        Value::Text(text) if text.contains('$') => {
            let mut expander = Expander { known, open: false, problems: Vec::new() };
            let result = expander.expand(text, 0);
            // One mistake is one finding: a text that cannot be had is not judged further.
            let open = expander.open || !expander.problems.is_empty();
            if !expander.problems.is_empty() {
                expanded.unresolved.insert(place);
            }
            let written = (matches!(known, Known::All(_)) && !open && result != *text).then(|| text.clone());
            for message in expander.problems {
                let (line, column) = (node.at.line, node.at.column);
                errors.push(Finding { path: path.to_owned(), line, column, message });
            }
            node.value = if open { Value::Open(std::mem::take(text)) } else { Value::Text(result) };
            if let Some(written) = &written {
                expanded.written.insert(place, written.clone());
            }
            return written;
        }
        Value::List(items) => {
            let mut inside = None;
            for (i, item) in items.iter_mut().enumerate() {
                let written = visit(item, &format!("{path}[{i}]"), known, errors, expanded);
                inside = inside.or(written);
            }
            inside
        }
        Value::Map(entries) => {
            let mut inside = None;
            for Entry { key, value, .. } in entries {
                let written = visit(value, &join(path, key), known, errors, expanded);
                inside = inside.or(written);
            }
            inside
        }
        _ => None,
    };
    if let Some(written) = inside {
        expanded.written.entry(place).or_insert(written);
    }
    None
}

/// `services` + `web` = `services.web`; keys with dots are quoted so that the path stays readable.
pub(crate) fn join(path: &str, key: &str) -> String {
    match (path, key.contains('.')) {
        ("", false) => key.to_owned(),
        ("", true) => format!("[{key:?}]"),
        (_, false) => format!("{path}.{key}"),
        (_, true) => format!("{path}[{key:?}]"),
    }
}

struct Expander<'a> {
    known: Known<'a>,
    /// A variable was met whose value is not known yet.
    open: bool,
    problems: Vec<String>,
}

impl Expander<'_> {
    fn expand(&mut self, text: &str, depth: usize) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            out.push_str(&rest[..dollar]);
            rest = &rest[dollar + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some(inside) = rest.strip_prefix('{') {
                let Some(end) = closing_brace(inside) else {
                    self.problem(format!(
                        "invalid interpolation: \"${{{inside}\" is never closed; write $$ for a literal $"
                    ));
                    return out;
                };
                let value = self.braced(&inside[..end], depth);
                out.push_str(&value);
                rest = &inside[end + 1..];
            } else {
                let length = name_length(rest);
                if length == 0 {
                    self.problem("invalid interpolation: a lone \"$\"; write $$ for a literal $".into());
                    return out;
                }
                let value = self.required(&rest[..length]);
                out.push_str(&value);
                rest = &rest[length..];
            }
            if out.len() > MAX_EXPANDED {
                self.problem(format!("the value would be longer than {MAX_EXPANDED} bytes"));
                return String::new();
            }
        }
        out.push_str(rest);
        out
    }

    fn problem(&mut self, message: String) {
        if !self.problems.contains(&message) {
            self.problems.push(message);
        }
    }

    /// `None`: not set. While nothing is known every variable counts as open.
    fn lookup(&mut self, name: &str) -> Option<String> {
        match self.known {
            Known::Nothing => {
                self.open = true;
                None
            }
            Known::All(values) => match values.bytes(name) {
                None => None,
                Some(_) => match values.text(name) {
                    Some(text) => Some(text.to_owned()),
                    None => {
                        self.problem(format!("the value of variable {name} is not UTF-8 text"));
                        Some(String::new())
                    }
                },
            },
        }
    }

    fn required(&mut self, name: &str) -> String {
        match self.lookup(name) {
            Some(value) => value,
            None => {
                if matches!(self.known, Known::All(_)) {
                    self.problem(format!("variable {name} has no value"));
                }
                String::new()
            }
        }
    }

    /// What stands between `${` and `}`.
    fn braced(&mut self, inside: &str, depth: usize) -> String {
        let length = name_length(inside);
        let (name, operation) = inside.split_at(length);
        if length == 0 {
            self.problem(format!(
                "invalid interpolation: \"${{{inside}}}\" names no variable; write $$ for a literal $"
            ));
            return String::new();
        }
        if depth >= MAX_NESTING {
            self.problem(format!("interpolation is nested deeper than {MAX_NESTING} levels"));
            return String::new();
        }
        if operation.is_empty() {
            return self.required(name);
        }
        let (or_empty, operation) = match operation.strip_prefix(':') {
            Some(rest) => (true, rest),
            None => (false, operation),
        };
        let value = self.lookup(name).filter(|v| !(or_empty && v.is_empty()));
        let mut chars = operation.chars();
        let operator = chars.next();
        let argument = chars.as_str();
        match operator {
            Some('-') => match value {
                Some(value) => value,
                None => self.expand(argument, depth + 1),
            },
            Some('+') => match value {
                Some(_) => self.expand(argument, depth + 1),
                None => String::new(),
            },
            Some('?') => match value {
                Some(value) => value,
                None => {
                    // As written: what it would become may hold the value of another variable.
                    if matches!(self.known, Known::All(_)) {
                        let detail = if argument.is_empty() { String::new() } else { format!(": {argument}") };
                        self.problem(format!("variable {name} has no value{detail}"));
                    }
                    String::new()
                }
            },
            _ => {
                self.problem(format!(
                    "invalid interpolation: \"${{{inside}}}\"; after the name come :- - :? ? :+ or +"
                ));
                String::new()
            }
        }
    }
}

fn name_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    match bytes.first() {
        Some(b) if b.is_ascii_alphabetic() || *b == b'_' => {}
        _ => return 0,
    }
    bytes.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count()
}

/// Where the `}` of an already open `${` stands; inner `${…}` count, `$$` hides the next character.
fn closing_brace(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut i) = (0usize, 0usize);
    while i < bytes.len() {
        match bytes[i] {
            b'$' if bytes.get(i + 1) == Some(&b'$') => i += 1,
            b'$' if bytes.get(i + 1) == Some(&b'{') => {
                depth += 1;
                i += 1;
            }
            b'}' if depth == 0 => return Some(i),
            b'}' => depth -= 1,
            _ => {}
        }
        i += 1;
    }
    None
}

#[cfg(test)]
mod tests;
