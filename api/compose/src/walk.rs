//! Checks a tree against the key tables and makes the canonical JSON that Swarm gets, in one walk.

use crate::finding::Finding;
use crate::interpolate::{Expanded, join};
use crate::keys::{Fate, Key, Shape};
use crate::policy::{Level, Policy};
use crate::tree::{Node, Position, Value};
use serde_json::{Map, Value as Json, json};

/// The walk's memory: what was found so far, under which policy.
pub(crate) struct Walk<'a> {
    pub policy: &'a Policy,
    pub errors: Vec<Finding>,
    pub warnings: Vec<Finding>,
    /// The texts that variables were put into: what is said of them shows them as they were written (R24).
    pub expanded: Expanded,
}

/// What is said of a place: words of ours, or words with something of the file in them.
pub(crate) enum Message {
    Fixed(&'static str),
    Made(String),
}

impl From<&'static str> for Message {
    fn from(text: &'static str) -> Self {
        Self::Fixed(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Made(text)
    }
}

impl<'a> Walk<'a> {
    pub fn new(policy: &'a Policy) -> Self {
        Self { policy, errors: Vec::new(), warnings: Vec::new(), expanded: Expanded::default() }
    }

    /// A made message about a place with a variable could hold its value, in whatever form: it is not shown there. Use
    /// [`Walk::error_of`] to say more.
    pub fn error(&mut self, path: &str, at: Position, message: impl Into<Message>) {
        let text = self.safe(at, message.into());
        self.put(path, at, text);
    }

    pub fn warn(&mut self, path: &str, at: Position, message: impl Into<Message>) {
        let message = self.safe(at, message.into());
        if !self.expanded.is_unresolved(at) {
            self.warnings.push(Finding { path: path.to_owned(), line: at.line, column: at.column, message });
        }
    }

    /// A message that quotes a text of the file, and nothing else of it: where variables were put into it, as it was written.
    pub fn error_of(&mut self, path: &str, at: Position, text: &str, message: impl FnOnce(&str) -> String) {
        let message = message(self.expanded.written(at).unwrap_or(text));
        self.put(path, at, message);
    }

    /// A message that is known to hold no value. A place whose variable has none was told already.
    pub fn put(&mut self, path: &str, at: Position, message: String) {
        if !self.expanded.is_unresolved(at) {
            self.errors.push(Finding { path: path.to_owned(), line: at.line, column: at.column, message });
        }
    }

    fn safe(&self, at: Position, message: Message) -> String {
        match (message, self.expanded.written(at)) {
            (Message::Fixed(text), _) => text.to_owned(),
            (Message::Made(text), None) => text,
            (Message::Made(_), Some(written)) => {
                format!("not accepted with the values of the variables in {written:?}")
            }
        }
    }

    pub fn expected(&mut self, path: &str, node: &Node, what: &str) {
        self.put(path, node.at, format!("expected {what}, found {}", node.kind()));
    }

    /// Whether `node` is a mapping; complains when it is something else.
    pub fn is_map(&mut self, node: &Node, path: &str) -> bool {
        let fits = matches!(node.value, Value::Map(_));
        if !fits {
            self.expected(path, node, "a mapping");
        }
        fits
    }

    /// Checks every key of a mapping and returns what is kept. `Own` keys are left to the caller.
    pub fn object(&mut self, node: &Node, path: &str, keys: &'static [Key]) -> Map<String, Json> {
        let mut out = Map::new();
        if !self.is_map(node, path) {
            return out;
        }
        for entry in node.entries() {
            let here = join(path, &entry.key);
            let Some(key) = keys.iter().find(|k| k.name == entry.key) else {
                if !entry.key.starts_with("x-") {
                    self.unknown(&here, &entry.key, entry.key_at, keys);
                }
                continue;
            };
            match key.fate {
                Fate::Own => {}
                Fate::Keep => {
                    if let Some(value) = self.value(&entry.value, &here, key.shape) {
                        out.insert(entry.key.clone(), value);
                    }
                }
                Fate::Idle(advice) => self.warn(&here, entry.key_at, advice),
                Fate::Refuse(why) => self.error(&here, entry.key_at, why),
                Fate::Privileged(_) if harmless(&entry.value) => {}
                Fate::Privileged(_) if self.policy.level < Level::Privileged => {
                    let message = format!(
                        "not allowed under policy {}: it needs a namespace labelled {}=privileged",
                        self.policy.level.name(),
                        crate::POLICY_LABEL
                    );
                    self.put(&here, entry.key_at, message);
                }
                Fate::Privileged(false) => self.warn(&here, entry.key_at, "Swarm ignores it"),
                Fate::Privileged(true) => {
                    if let Some(value) = self.value(&entry.value, &here, key.shape) {
                        out.insert(entry.key.clone(), value);
                    }
                }
            }
        }
        out
    }

    fn unknown(&mut self, path: &str, name: &str, at: Position, keys: &[Key]) {
        let near = keys.iter().map(|k| (distance(name, k.name), k.name)).min();
        let message = match near {
            Some((d, close)) if d <= 2 && d < name.chars().count() => format!("unknown key; did you mean {close:?}?"),
            _ => "unknown key".to_owned(),
        };
        self.put(path, at, message);
    }

    /// One value in its shape. `None` when there is nothing to render: null, an open text, or an error (then recorded).
    pub fn value(&mut self, node: &Node, path: &str, shape: Shape) -> Option<Json> {
        if node.is_null() {
            return None;
        }
        if node.is_open() {
            let scalar = !matches!(shape, Shape::List(_) | Shape::MapOf(_) | Shape::Object(_) | Shape::Pairs);
            if !scalar {
                self.error(path, node.at, "a variable can only stand for a scalar value");
            }
            return None;
        }
        match shape {
            Shape::Any => None,
            Shape::Text => self.text(node, path).map(Json::String),
            Shape::Bool => self.parsed(node, path, "true or false", |s| match s {
                "true" => Some(json!(true)),
                "false" => Some(json!(false)),
                _ => None,
            }),
            Shape::Int => self.parsed(node, path, "a whole number", |s| s.parse::<u64>().ok().map(|n| json!(n))),
            Shape::Ratio => self.parsed(node, path, "a number from 0 to 1", |s| {
                s.parse::<f64>().ok().filter(|n| (0.0..=1.0).contains(n)).map(|n| json!(n))
            }),
            Shape::Decimal => self.parsed(node, path, "a number", |s| {
                s.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0).map(|_| json!(s))
            }),
            Shape::Duration => {
                self.parsed(node, path, "a duration such as 1m30s", |s| is_duration(s).then(|| json!(s)))
            }
            Shape::Bytes => self.parsed(node, path, "a size such as 512M", |s| is_size(s).then(|| json!(s))),
            Shape::Word(words) => {
                let list = words.iter().map(|w| format!("{w:?}")).collect::<Vec<_>>().join(", ");
                self.parsed(node, path, &format!("one of {list}"), |s| words.contains(&s).then(|| json!(s)))
            }
            Shape::Texts => match &node.value {
                Value::List(_) => self.value(node, path, Shape::List(&Shape::Text)),
                _ => self.text(node, path).map(Json::String),
            },
            Shape::TextList => match &node.value {
                Value::List(_) => self.value(node, path, Shape::List(&Shape::Text)),
                _ => self.text(node, path).map(|s| json!([s])),
            },
            Shape::Pairs => {
                let pairs = self.pairs(node, path);
                Some(Json::Object(pairs.into_iter().map(|(k, v)| (k, json!(v.unwrap_or_default()))).collect()))
            }
            Shape::List(item) => {
                if !matches!(node.value, Value::List(_)) {
                    self.expected(path, node, "a list");
                    return None;
                }
                let items = node.items().iter().enumerate();
                Some(items.filter_map(|(i, n)| self.value(n, &format!("{path}[{i}]"), *item)).collect())
            }
            Shape::MapOf(item) => self.is_map(node, path).then(|| {
                let entries = node.entries().iter();
                let kept =
                    entries.filter_map(|e| Some((e.key.clone(), self.value(&e.value, &join(path, &e.key), *item)?)));
                Json::Object(kept.collect())
            }),
            Shape::Object(keys) => Some(Json::Object(self.object(node, path, keys))),
            Shape::Ulimit => match &node.value {
                Value::Map(_) => self.value(node, path, Shape::Object(ULIMIT)),
                _ => self.parsed(node, path, "a whole number", |s| s.parse::<i64>().ok().map(|n| json!(n))),
            },
        }
    }

    /// A scalar as text; complains about lists and mappings.
    pub fn text(&mut self, node: &Node, path: &str) -> Option<String> {
        let text = node.text();
        if text.is_none() && !node.is_open() {
            self.expected(path, node, "a string");
        }
        text
    }

    fn parsed(&mut self, node: &Node, path: &str, what: &str, parse: impl Fn(&str) -> Option<Json>) -> Option<Json> {
        let Some(text) = node.text() else {
            self.expected(path, node, what);
            return None;
        };
        let value = parse(&text);
        if value.is_none() {
            self.error_of(path, node.at, &text, |shown| format!("expected {what}, found {shown:?}"));
        }
        value
    }

    /// A mapping, or a list of `key=value`, in order; the last of a name wins. `None`: a key without a value.
    pub fn pairs(&mut self, node: &Node, path: &str) -> Vec<(String, Option<String>)> {
        let mut out: Vec<(String, Option<String>)> = Vec::new();
        let mut set = |key: String, value: Option<String>| match out.iter_mut().find(|(k, _)| *k == key) {
            Some(slot) => slot.1 = value,
            None => out.push((key, value)),
        };
        match &node.value {
            Value::Map(entries) => {
                for e in entries {
                    if e.value.is_null() {
                        set(e.key.clone(), None);
                    } else if e.value.is_open() {
                        set(e.key.clone(), Some(String::new()));
                    } else if let Some(text) = self.text(&e.value, &join(path, &e.key)) {
                        set(e.key.clone(), Some(text));
                    }
                }
            }
            Value::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    let Some(text) = self.text(item, &format!("{path}[{i}]")) else { continue };
                    match text.split_once('=') {
                        Some((key, value)) => set(key.to_owned(), Some(value.to_owned())),
                        None => set(text, None),
                    }
                }
            }
            Value::Null => {}
            _ => self.expected(path, node, "a mapping or a list of key=value"),
        }
        out
    }
}

const ULIMIT: &[Key] = &[
    Key { name: "hard", shape: Shape::Int, fate: Fate::Keep },
    Key { name: "soft", shape: Shape::Int, fate: Fate::Keep },
];

/// `privileged: false`, `devices: []` and the like ask for nothing.
fn harmless(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Bool(false) => true,
        Value::Text(s) => s.is_empty() || s == "false",
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        _ => false,
    }
}

/// Go's duration: numbers with a unit, one after another.
pub(crate) fn is_duration(text: &str) -> bool {
    seconds(text).is_some()
}

/// The seconds of a duration; `None` when it is none.
pub(crate) fn seconds(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 7] =
        [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    if text == "0" {
        return Some(0.0);
    }
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let (unit, size) = UNITS.iter().find(|(u, _)| {
            let after = rest.strip_prefix(*u);
            after.is_some_and(|a| a.is_empty() || a.starts_with(|c: char| c.is_ascii_digit()))
        })?;
        total += number * size;
        rest = &rest[unit.len()..];
    }
    (!text.is_empty()).then_some(total)
}

/// Docker's sizes: a number, then nothing, b, k, m, g, t or p, with or without a b or ib.
fn is_size(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let digits = lower.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let unit = lower[digits..].trim_start();
    let unit = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(unit);
    lower[..digits].parse::<f64>().is_ok() && matches!(unit, "" | "k" | "m" | "g" | "t" | "p")
}

/// Levenshtein distance, for "did you mean".
pub(crate) fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substitute = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substitute.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
