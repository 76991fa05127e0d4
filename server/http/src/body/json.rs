//! JSON to a [`Value`], noting every key that came twice (row F4) and keeping numbers as Kubernetes does (row N16).

use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// How many duplicate keys are reported at most; one more is not worth a longer answer.
const MAX_DUPLICATES: usize = 100;
/// The deepest nesting accepted (design section 10, row T7).
pub const MAX_DEPTH: usize = 128;

/// A decoded document and the fields that came twice, as `duplicate field "spec.replicas"`.
#[derive(Debug, Default)]
pub struct Decoded {
    pub value: Value,
    pub duplicates: Vec<String>,
}

/// Reads one JSON document. The last of several equal keys wins; what is no Unicode is read as U+FFFD, as Go reads it.
pub fn decode(bytes: &[u8]) -> Result<Decoded, serde_json::Error> {
    decode_strict(bytes).or_else(|error| match otternauts_meta::json::mended(bytes) {
        Some(mended) => decode_strict(&mended),
        None => Err(error),
    })
}

fn decode_strict(bytes: &[u8]) -> Result<Decoded, serde_json::Error> {
    let mut found = Found { path: String::new(), depth: 0, duplicates: Vec::new() };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Node { found: &mut found }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(Decoded { value, duplicates: found.duplicates })
}

/// Where the reader is, and what it has noticed.
struct Found {
    path: String,
    depth: usize,
    duplicates: Vec<String>,
}

impl Found {
    fn note(&mut self, key: &str) {
        let field = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        let text = format!("duplicate field {field:?}");
        if self.duplicates.len() < MAX_DUPLICATES && !self.duplicates.contains(&text) {
            self.duplicates.push(text);
        }
    }
}

struct Node<'a> {
    found: &'a mut Found,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(Value::Number(v.into()))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(match i64::try_from(v) {
            Ok(v) => Value::Number(v.into()),
            Err(_) => number(v as f64),
        })
    }

    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(number(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(Value::String(v.to_owned()))
    }

    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(Value::String(v))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let Self { found } = self;
        enter(found)?;
        let length = found.path.len();
        let mut list = Vec::new();
        loop {
            found.path.push_str(&format!("[{}]", list.len()));
            let item = seq.next_element_seed(Node { found })?;
            found.path.truncate(length);
            let Some(item) = item else { break };
            list.push(item);
        }
        found.depth -= 1;
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let Self { found } = self;
        enter(found)?;
        let length = found.path.len();
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if map.contains_key(&key) {
                found.note(&key);
            }
            if length > 0 {
                found.path.push('.');
            }
            found.path.push_str(&key);
            let value = access.next_value_seed(Node { found })?;
            found.path.truncate(length);
            map.insert(key, value);
        }
        found.depth -= 1;
        Ok(Value::Object(map))
    }
}

fn enter<E: serde::de::Error>(found: &mut Found) -> Result<(), E> {
    found.depth += 1;
    if found.depth > MAX_DEPTH { Err(E::custom("exceeded max depth")) } else { Ok(()) }
}

/// The integer a whole float stands for, else the float: `1.0` is valid where an integer is asked for.
fn number(v: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if v.fract() == 0.0 && v.abs() <= EXACT {
        return Value::Number((v as i64).into());
    }
    Number::from_f64(v).map_or(Value::Null, Value::Number)
}

/// Applies row N16 to a value that another decoder (YAML) made.
pub fn normalise(value: &mut Value) {
    match value {
        Value::Number(n) => {
            if n.as_i64().is_none()
                && let Some(f) = n.as_f64()
            {
                *value = number(f);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(normalise),
        Value::Object(map) => map.values_mut().for_each(normalise),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, value: &str, duplicates: &[&str]) {
        let decoded = decode(text.as_bytes()).expect("valid JSON");
        assert_eq!(decoded.value.to_string(), value);
        assert_eq!(decoded.duplicates, duplicates);
    }

    #[test]
    fn duplicate_keys_are_reported_with_their_path_and_the_last_one_wins() {
        check(
            r#"{"spec":{"replicas":1,"replicas":2}}"#,
            r#"{"spec":{"replicas":2}}"#,
            &[r#"duplicate field "spec.replicas""#],
        );
        check(r#"{"a":1,"a":2,"a":3}"#, r#"{"a":3}"#, &[r#"duplicate field "a""#]);
        check(
            r#"{"spec":{"ports":[{"n":1},{"n":1,"n":2}]}}"#,
            r#"{"spec":{"ports":[{"n":1},{"n":2}]}}"#,
            &[r#"duplicate field "spec.ports[1].n""#],
        );
    }

    #[test]
    fn what_is_no_unicode_is_read_as_the_reference_reads_it() {
        check(r#"{"a":"x\ud800y","b":"\udc00"}"#, "{\"a\":\"x\u{fffd}y\",\"b\":\"\u{fffd}\"}", &[]);
        let decoded = decode(b"{\"a\":\"x\xffy\"}").expect("read");
        assert_eq!(decoded.value["a"], "x\u{fffd}y");
    }

    #[test]
    fn whole_floats_become_integers_and_integers_beyond_int64_floats() {
        check("[1.0,1e2,1.5,-0.25]", "[1,100,1.5,-0.25]", &[]);
        check("[9223372036854775807,-9223372036854775808]", "[9223372036854775807,-9223372036854775808]", &[]);
        assert!(decode(b"[18446744073709551615]").expect("valid").value[0].is_f64());
    }

    #[test]
    fn nesting_is_bounded_and_trailing_text_refused() {
        let deep = "[".repeat(MAX_DEPTH + 1) + &"]".repeat(MAX_DEPTH + 1);
        assert!(decode(deep.as_bytes()).is_err());
        let fits = "[".repeat(MAX_DEPTH - 1) + &"]".repeat(MAX_DEPTH - 1);
        assert!(decode(fits.as_bytes()).is_ok());
        assert!(decode(b"{} x").is_err());
    }
}
