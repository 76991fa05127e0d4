//! Documents in the protobuf form that client-go asks for (rows O3, O8): gnostic's messages, by tables of field numbers.
//!
//! The JSON document is the source; a table says for each key which field it becomes. What a table does not name is left out,
//! except extensions (`x-…`), which travel as YAML text. JSON is YAML.

mod v2;
mod v3;

use serde_json::Value;

/// `openapi.v2.Document`.
pub fn v2(document: &Value) -> Vec<u8> {
    encode(&v2::DOCUMENT, document)
}

/// `openapi.v3.Document`.
pub fn v3(document: &Value) -> Vec<u8> {
    encode(&v3::DOCUMENT, document)
}

fn encode(shape: &Shape, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    shape.write(&mut out, value);
    out
}

/// What a message looks like.
enum Shape {
    /// Known keys, and what becomes of the others.
    Object(&'static [Field], &'static [Rest]),
    /// A `oneof`: the value decides.
    Choice(fn(&Value) -> Option<(u32, Kind)>),
    /// A message whose field 1 repeats.
    List(Kind),
}

struct Field(&'static str, u32, Kind);

/// Keys that are names, not keywords.
enum Rest {
    /// `x-…` as `NamedAny` in this field.
    Extensions(u32),
    /// Every other key, with its value, as a pair of name and message.
    Named(u32, &'static Shape),
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Flag,
    Whole,
    Number,
    Any,
    Message(&'static Shape),
    /// A list; each item by itself.
    Many(&'static Kind),
}

impl Shape {
    fn write(&self, out: &mut Vec<u8>, value: &Value) {
        match self {
            Self::Object(fields, rest) => object(out, value, fields, rest),
            Self::Choice(choose) => {
                if let Some((number, kind)) = choose(value) {
                    // Inside a `oneof` a zero is written too: that it is there says which one it is.
                    kind.write(out, number, value, true);
                }
            }
            Self::List(kind) => match value {
                Value::Array(list) => list.iter().for_each(|v| kind.write(out, 1, v, true)),
                one => kind.write(out, 1, one, true),
            },
        }
    }
}

fn object(out: &mut Vec<u8>, value: &Value, fields: &[Field], rest: &[Rest]) {
    let Value::Object(map) = value else { return };
    for Field(key, number, kind) in fields {
        if let Some(value) = map.get(*key) {
            kind.write(out, *number, value, false);
        }
    }
    for rest in rest {
        for (key, value) in map {
            let extension = key.starts_with("x-");
            match rest {
                Rest::Extensions(number) if extension => named(out, *number, key, Kind::Any, value),
                Rest::Named(number, shape) if !extension && !fields.iter().any(|f| f.0 == key) => {
                    named(out, *number, key, Kind::Message(shape), value);
                }
                _ => {}
            }
        }
    }
}

fn named(out: &mut Vec<u8>, number: u32, name: &str, kind: Kind, value: &Value) {
    let mut pair = Vec::new();
    bytes(&mut pair, 1, name.as_bytes());
    kind.write(&mut pair, 2, value, true);
    bytes(out, number, &pair);
}

impl Kind {
    /// Writes a field; a zero only if it is `kept`, as proto3 does.
    fn write(self, out: &mut Vec<u8>, number: u32, value: &Value, kept: bool) {
        match self {
            Self::Text => match value.as_str() {
                Some(text) if kept || !text.is_empty() => bytes(out, number, text.as_bytes()),
                _ => {}
            },
            Self::Flag => match value.as_bool() {
                Some(flag) if kept || flag => {
                    tag(out, number, 0);
                    out.push(flag.into());
                }
                _ => {}
            },
            Self::Whole => match value.as_i64() {
                Some(n) if kept || n != 0 => {
                    tag(out, number, 0);
                    varint(out, n.cast_unsigned());
                }
                _ => {}
            },
            Self::Number => match value.as_f64() {
                Some(n) if kept || n != 0.0 => {
                    tag(out, number, 1);
                    out.extend_from_slice(&n.to_le_bytes());
                }
                _ => {}
            },
            Self::Any => {
                let mut any = Vec::new();
                bytes(&mut any, 2, format!("{value}\n").as_bytes());
                bytes(out, number, &any);
            }
            Self::Message(shape) => bytes(out, number, &encode(shape, value)),
            Self::Many(kind) => value.as_array().into_iter().flatten().for_each(|v| kind.write(out, number, v, true)),
        }
    }
}

fn bytes(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    tag(out, number, 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn tag(out: &mut Vec<u8>, number: u32, wire: u32) {
    varint(out, u64::from(number << 3 | wire));
}

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n.to_le_bytes()[0] | 0x80);
        n >>= 7;
    }
    out.push(n.to_le_bytes()[0]);
}
