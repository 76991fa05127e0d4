//! Bodies that clients send as protobuf (row N4): decoded by tables of field numbers into the JSON a client could have sent.

mod kinds;
mod schema_props;
mod table;
mod wire;

use otternauts_meta::Timestamp;
use serde_json::{Map, Value};
use table::{Kind, Table};
use wire::{Field, Reader, Wire};

/// What every such body begins with.
pub const MAGIC: [u8; 4] = *b"k8s\0";
/// Deepest nesting read; the same as for JSON.
const MAX_DEPTH: usize = 128;

/// Why a body could not be decoded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    NoMagic,
    #[error("the message ends in the middle of a field")]
    Truncated,
    #[error("field {0} has an unexpected wire type")]
    WireType(u32),
    #[error("field {0} is not valid text")]
    Text(u32),
    #[error("field {0} does not hold valid JSON")]
    Json(u32),
    #[error("field {0} is no time that can be written")]
    Time(u32),
    #[error("nested too deep")]
    TooDeep,
    #[error("no kind \"{kind}\" is registered for version \"{api_version}\"")]
    UnknownKind { api_version: String, kind: String },
}

/// Decodes a body with its envelope: the object as JSON, `kind` and `apiVersion` first.
pub fn decode(bytes: &[u8]) -> Result<Value, Error> {
    let body = bytes.strip_prefix(&MAGIC).ok_or(Error::NoMagic)?;
    let (mut api_version, mut kind) = (String::new(), String::new());
    let (mut raw, mut content_type): (&[u8], String) = (&[], String::new());
    for field in Reader::new(body) {
        let field = field?;
        match field.number {
            1 => {
                for inner in Reader::new(field.bytes()?) {
                    let inner = inner?;
                    match inner.number {
                        1 => api_version = inner.text()?.to_owned(),
                        2 => kind = inner.text()?.to_owned(),
                        _ => {}
                    }
                }
            }
            2 => raw = field.bytes()?,
            4 => field.text()?.clone_into(&mut content_type),
            _ => {}
        }
    }
    let inner = if content_type == "application/json" {
        serde_json::from_slice(raw).map_err(|_| Error::Json(2))?
    } else {
        let unknown = || Error::UnknownKind { api_version: api_version.clone(), kind: kind.clone() };
        let table = kinds::find(&api_version, &kind).ok_or_else(unknown)?;
        message(table, raw, 0)?
    };
    let mut out = Map::new();
    out.insert("kind".to_owned(), kind.into());
    out.insert("apiVersion".to_owned(), api_version.into());
    out.extend(inner);
    Ok(Value::Object(out))
}

fn message(table: &Table, bytes: &[u8], depth: usize) -> Result<Map<String, Value>, Error> {
    if depth > MAX_DEPTH {
        return Err(Error::TooDeep);
    }
    let mut out = Map::new();
    for field in Reader::new(bytes) {
        let field = field?;
        let Some(known) = table.0.iter().find(|k| k.number == field.number) else { continue };
        match &known.kind {
            Kind::List(item) => {
                let value = single(item, &field, depth)?.unwrap_or_default();
                if let Value::Array(list) = out.entry(known.name).or_insert_with(|| Value::Array(Vec::new())) {
                    list.push(value);
                }
            }
            Kind::Map(values) => {
                let (key, value) = entry(values, &field, depth)?;
                if let Value::Object(map) = out.entry(known.name).or_insert_with(|| Value::Object(Map::new())) {
                    map.insert(key, value);
                }
            }
            kind => {
                if let Some(value) = single(kind, &field, depth)? {
                    out.insert(known.name.to_owned(), value);
                }
            }
        }
    }
    Ok(out)
}

fn entry(values: &Kind, field: &Field<'_>, depth: usize) -> Result<(String, Value), Error> {
    let (mut key, mut value) = (String::new(), None);
    for inner in Reader::new(field.bytes()?) {
        let inner = inner?;
        match inner.number {
            1 => inner.text()?.clone_into(&mut key),
            2 => value = single(values, &inner, depth)?,
            _ => {}
        }
    }
    let empty = || match values {
        Kind::Message(_) => Value::Object(Map::new()),
        Kind::Texts => Value::Array(Vec::new()),
        _ => Value::String(String::new()),
    };
    Ok((key, value.unwrap_or_else(empty)))
}

/// One value. `None`: what Go writes for a field that was never set, and leaves out of JSON.
fn single(kind: &Kind, field: &Field<'_>, depth: usize) -> Result<Option<Value>, Error> {
    let number = field.number;
    Ok(match kind {
        Kind::Text => Some(field.text()?).filter(|t| !t.is_empty()).map(Value::from),
        Kind::TextKept => Some(field.text()?.into()),
        Kind::Bool => Some(field.varint()? != 0).filter(|b| *b).map(Value::from),
        Kind::BoolKept => Some((field.varint()? != 0).into()),
        Kind::Int => Some(field.signed()?).filter(|n| *n != 0).map(Value::from),
        Kind::IntKept => Some(field.signed()?.into()),
        Kind::Double => {
            let Wire::Fixed64(bits) = field.wire else { return Err(Error::WireType(number)) };
            Some(whole_or_float(f64::from_bits(bits)))
        }
        Kind::Bytes => Some(wire::base64(field.bytes()?).into()),
        Kind::Time => time(field)?.map(|t| t.to_string().into()),
        Kind::MicroTime => time(field)?.map(|t| t.micro_time().into()),
        Kind::Json => json(field)?,
        Kind::Texts => Some(Value::Array(texts(field)?)),
        Kind::Message(table) => Some(Value::Object(message(table, field.bytes()?, depth + 1)?)),
        Kind::SchemaOr { table, name } => schema_or(table, name, field, depth)?,
        Kind::List(_) | Kind::Map(_) => return Err(Error::WireType(number)),
    })
}

fn whole_or_float(float: f64) -> Value {
    let mut value = Value::from(float);
    crate::normalize_numbers(&mut value);
    value
}

fn time(field: &Field<'_>) -> Result<Option<Timestamp>, Error> {
    let (mut seconds, mut nanos, mut any) = (0_i64, 0_i64, false);
    for inner in Reader::new(field.bytes()?) {
        let inner = inner?;
        match inner.number {
            1 => seconds = inner.signed()?,
            2 => nanos = inner.signed()?,
            _ => continue,
        }
        any = true;
    }
    if !any {
        return Ok(None);
    }
    let micros = seconds.checked_mul(1_000_000).and_then(|s| s.checked_add(nanos / 1000));
    micros.and_then(Timestamp::from_micros).map(Some).ok_or(Error::Time(field.number))
}

fn json(field: &Field<'_>) -> Result<Option<Value>, Error> {
    let mut raw: &[u8] = &[];
    for inner in Reader::new(field.bytes()?) {
        let inner = inner?;
        if inner.number == 1 {
            raw = inner.bytes()?;
        }
    }
    if raw.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(raw).map(Some).map_err(|_| Error::Json(field.number))
}

fn texts(field: &Field<'_>) -> Result<Vec<Value>, Error> {
    let mut out = Vec::new();
    for inner in Reader::new(field.bytes()?) {
        let inner = inner?;
        if inner.number == 1 {
            out.push(inner.text()?.into());
        }
    }
    Ok(out)
}

/// `items`, `additionalProperties` and `dependencies` hold a schema or something else.
fn schema_or(table: &Table, name: &str, field: &Field<'_>, depth: usize) -> Result<Option<Value>, Error> {
    let mut allows = None;
    let mut list = Vec::new();
    let schema_field = if name == "additionalProperties" { 2 } else { 1 };
    for inner in Reader::new(field.bytes()?) {
        let inner = inner?;
        match (inner.number, name) {
            (n, _) if n == schema_field => {
                return Ok(Some(Value::Object(message(table, inner.bytes()?, depth + 1)?)));
            }
            (1, "additionalProperties") => {
                // A schema may follow, and then it counts.
                allows = Some(inner.varint()? != 0);
            }
            (2, "items") => list.push(Value::Object(message(table, inner.bytes()?, depth + 1)?)),
            (2, _) => list.push(inner.text()?.into()),
            _ => {}
        }
    }
    Ok(Some(match allows {
        Some(allows) => Value::Bool(allows),
        None if name == "additionalProperties" => Value::Bool(false),
        None => Value::Array(list),
    }))
}

#[cfg(test)]
mod tests;
