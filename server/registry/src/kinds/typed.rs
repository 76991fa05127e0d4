//! How Go's types read what JSON says: times, bytes, and empty maps and lists that are left out.

use base64::DecodeError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use otternauts_meta::field::quoted;
use otternauts_meta::{Object, Timestamp};
use serde_json::{Map, Value};

/// A time with exactly six decimals, kept in UTC (row B11).
pub(super) fn micro_time(object: &mut Object, path: &[&str]) -> Result<(), String> {
    let Some(slot) = slot(object, path) else { return Ok(()) };
    let Value::String(text) = slot else { return Ok(()) };
    let layout = "2006-01-02T15:04:05.000000Z07:00";
    let why = |what: String| format!("parsing time {} as {layout:?}: {what}", quoted(text));
    let rest = text.get(19..).unwrap_or_default();
    let decimals = rest.strip_prefix('.').map_or(0, |digits| digits.bytes().take_while(u8::is_ascii_digit).count());
    let Some(time) = Timestamp::parse(text) else {
        return Err(why(format!("cannot parse {} as \"2006\"", quoted(text))));
    };
    if decimals != 6 {
        return Err(why(format!("cannot parse {} as \".000000\"", quoted(rest))));
    }
    *slot = time.micro_time().into();
    Ok(())
}

/// A time, kept in UTC and whole seconds.
pub(super) fn time(object: &mut Object, path: &[&str]) -> Result<(), String> {
    let Some(slot) = slot(object, path) else { return Ok(()) };
    let Value::String(text) = slot else { return Ok(()) };
    let Some(time) = Timestamp::parse(text) else {
        let layout = "2006-01-02T15:04:05Z07:00";
        return Err(format!("parsing time {} as {layout:?}: cannot parse {} as \"2006\"", quoted(text), quoted(text)));
    };
    *slot = time.to_string().into();
    Ok(())
}

/// A map of bytes in base64.
pub(super) fn base64_map(object: &Object, field: &str) -> Result<(), String> {
    let map = object.at(&[field]).and_then(Value::as_object);
    for text in map.into_iter().flatten().filter_map(|(_, value)| value.as_str()) {
        let at = match STANDARD.decode(text) {
            Ok(_) => continue,
            Err(DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _)) => at,
            Err(DecodeError::InvalidLength(_) | DecodeError::InvalidPadding) => text.len(),
        };
        return Err(format!("illegal base64 data at input byte {at}"));
    }
    Ok(())
}

/// Empty maps and lists at the top are absent ones.
pub(super) fn omit_empty(object: &mut Object, fields: &[&str]) {
    for field in fields {
        let empty = match object.0.get(*field) {
            Some(Value::Object(map)) => map.is_empty(),
            Some(Value::Array(list)) => list.is_empty(),
            _ => false,
        };
        if empty {
            object.0.shift_remove(*field);
        }
    }
}

fn slot<'o>(object: &'o mut Object, path: &[&str]) -> Option<&'o mut Value> {
    let (last, parents) = path.split_last()?;
    let inner = |map: &'o mut Map<String, Value>, key: &&str| map.get_mut(*key)?.as_object_mut();
    parents.iter().try_fold(&mut object.0, inner)?.get_mut(*last)
}
