//! The document as written: a YAML tree in which every node knows its line and column.

use crate::finding::Finding;
use granit_parser::{Event, Marker, Parser, ScalarStyle};
use std::collections::HashMap;

/// Largest compose text accepted, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting accepted, aliases expanded.
pub const MAX_DEPTH: usize = 64;
/// Most aliases followed in one document.
pub const MAX_ALIASES: usize = 100;
/// Most nodes after aliases are expanded: 100 aliases of one another could otherwise double 100 times.
pub const MAX_NODES: usize = 100_000;

/// Line and column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl From<Marker> for Position {
    fn from(m: Marker) -> Self {
        Self { line: m.line().max(1), column: m.col() + 1 }
    }
}

/// One value and where it stands. Of an alias that is where the alias stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub at: Position,
    pub value: Value,
}

/// What a node holds. Numbers keep their text: `0444` is a file mode and `1.10` a version.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    /// A text whose variables have no value yet: it may become any scalar.
    Open(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    pub key_at: Position,
    pub value: Node,
}

impl Node {
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|e| &e.value)
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == key),
            _ => None,
        }
    }

    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// Whether this is a text that still waits for a variable.
    pub fn is_open(&self) -> bool {
        matches!(self.value, Value::Open(_))
    }

    /// A scalar as text, however it was written; `None` for null, lists, maps and open texts.
    pub fn text(&self) -> Option<String> {
        match &self.value {
            Value::Text(s) | Value::Number(s) => Some(s.clone()),
            Value::Bool(b) => Some(b.to_string()),
            _ => None,
        }
    }

    /// What it is, in the words of an error message.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) | Value::Open(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Reads one YAML document. `Err` is the one place where reading had to stop.
pub fn parse(text: &str) -> Result<Node, Finding> {
    if text.len() > MAX_BYTES {
        return Err(at_start(format!("the file has {} bytes; at most {MAX_BYTES} are accepted", text.len())));
    }
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut reader = Reader {
        events: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        aliases: 0,
        nodes: 0,
    };
    reader.document()
}

fn at_start(message: String) -> Finding {
    Finding { path: String::new(), line: 1, column: 1, message }
}

struct Anchored {
    node: Node,
    nodes: usize,
    depth: usize,
}

struct Reader<'t> {
    events: Parser<'t, granit_parser::StrInput<'t>>,
    anchors: HashMap<usize, Anchored>,
    aliases: usize,
    nodes: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Position), Finding> {
        match self.events.next_event() {
            Some(Ok((event, span))) => Ok((event, span.start.into())),
            Some(Err(e)) => Err(wrong((*e.marker()).into(), format!("YAML: {}", e.info()))),
            None => Ok((Event::StreamEnd, Position { line: 1, column: 1 })),
        }
    }

    fn document(&mut self) -> Result<Node, Finding> {
        loop {
            match self.next()? {
                (Event::StreamStart, _) => {}
                (Event::DocumentStart(..), _) => break,
                _ => return Err(at_start("the file is empty".into())),
            }
        }
        let (first, at) = self.next()?;
        let root = self.node(first, at, 1)?;
        loop {
            match self.next()? {
                (Event::DocumentEnd, _) => {}
                (Event::DocumentStart(..), at) => {
                    return Err(wrong(at, "a second YAML document: a compose file is one document".into()));
                }
                _ => return Ok(root),
            }
        }
    }

    fn node(&mut self, event: Event<'t>, at: Position, depth: usize) -> Result<Node, Finding> {
        self.count(1, depth, at)?;
        let before = self.nodes;
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                (anchor, if plain { plain_scalar(&text) } else { Value::Text(text.into_owned()) })
            }
            Event::SequenceStart(_, anchor, _) => (anchor, Value::List(self.list(depth)?)),
            Event::MappingStart(_, anchor, _) => (anchor, Value::Map(self.map(depth)?)),
            Event::Alias(id) => return self.alias(id, at, depth),
            _ => return Err(wrong(at, "YAML: a value is missing here".into())),
        };
        let node = Node { at, value };
        if anchor != 0 {
            let nodes = self.nodes - before + 1;
            self.anchors.insert(anchor, Anchored { depth: depth_of(&node), nodes, node: node.clone() });
        }
        Ok(node)
    }

    fn count(&mut self, nodes: usize, depth: usize, at: Position) -> Result<(), Finding> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(wrong(at, format!("more than {MAX_NODES} values, aliases expanded")));
        }
        if depth > MAX_DEPTH {
            return Err(wrong(at, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, at: Position, depth: usize) -> Result<Node, Finding> {
        self.aliases += 1;
        if self.aliases > MAX_ALIASES {
            return Err(wrong(at, format!("more than {MAX_ALIASES} aliases")));
        }
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(wrong(at, "an alias inside the value it names".into()));
        };
        let (nodes, deep, node) = (anchored.nodes, anchored.depth, anchored.node.clone());
        self.count(nodes, depth + deep, at)?;
        Ok(Node { at, ..node })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Finding> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, at) => items.push(self.node(event, at, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, Finding> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Entry> = Vec::new();
        loop {
            let (event, key_at) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, key_at, depth + 1)?;
            let Some(key) = key.text() else {
                return Err(wrong(key_at, format!("{} cannot be a key: write a string", key.kind())));
            };
            let (event, at) = self.next()?;
            let value = self.node(event, at, depth + 1)?;
            if key == "<<" {
                merge(&mut merged, value)?;
            } else if let Some(first) = entries.iter().find(|e| e.key == key) {
                return Err(wrong(key_at, format!("key {key:?} is already set in line {}", first.key_at.line)));
            } else {
                entries.push(Entry { key, key_at, value });
            }
        }
        for extra in merged {
            if !entries.iter().any(|e| e.key == extra.key) {
                entries.push(extra);
            }
        }
        Ok(entries)
    }
}

/// `<<: *a` and `<<: [*a, *b]`: earlier maps win over later ones, the map's own keys over all.
fn merge(merged: &mut Vec<Entry>, value: Node) -> Result<(), Finding> {
    let at = value.at;
    match value.value {
        Value::Map(entries) => {
            for e in entries {
                if !merged.iter().any(|m| m.key == e.key) {
                    merged.push(e);
                }
            }
            Ok(())
        }
        Value::List(items) if items.iter().all(|i| matches!(i.value, Value::Map(_))) => {
            items.into_iter().try_for_each(|item| merge(merged, item))
        }
        _ => Err(wrong(at, "<< takes a mapping or a list of mappings".into())),
    }
}

fn depth_of(node: &Node) -> usize {
    let below = match &node.value {
        Value::List(items) => items.iter().map(depth_of).max(),
        Value::Map(entries) => entries.iter().map(|e| depth_of(&e.value)).max(),
        _ => None,
    };
    1 + below.unwrap_or(0)
}

fn wrong(at: Position, message: String) -> Finding {
    Finding { path: String::new(), line: at.line, column: at.column, message }
}

/// YAML's core schema for a scalar without quotes.
fn plain_scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ if is_number(text) => Value::Number(text.to_owned()),
        _ => Value::Text(text.to_owned()),
    }
}

fn is_number(text: &str) -> bool {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(hex) = body.strip_prefix("0x") {
        return !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit());
    }
    if let Some(octal) = body.strip_prefix("0o") {
        return !octal.is_empty() && octal.bytes().all(|b| b.is_ascii_digit());
    }
    body.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && body.bytes().any(|b| b.is_ascii_digit())
        && body.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'))
        && body.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests;
