//! Secret: `stringData` is merged, `data` is base64 and sealed at rest, the type never changes (row B13).

use super::{Kind, immutable, text_at, typed};
use crate::request::Subresource;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use otternauts_meta::json::syntax;
use otternauts_meta::{ErrorList, FieldError, FieldErrorKind, Object, Path};
use serde_json::{Map, Value};

/// Bytes of all values together.
pub(super) const MAX_DATA: usize = 1024 * 1024;

/// The account that a token is of.
const ACCOUNT: &str = "kubernetes.io/service-account.name";

pub(super) struct Secret;

impl Kind for Secret {
    fn read(&self, object: &mut Object) -> Result<(), String> {
        typed::base64_map(object, "data")?;
        typed::omit_empty(object, &["data", "stringData"]);
        Ok(())
    }

    fn prepare_create(&self, object: &mut Object) {
        merge_string_data(object);
        if object.at(&["type"]).and_then(Value::as_str).is_none_or(str::is_empty) {
            object.0.insert("type".into(), "Opaque".into());
        }
    }

    fn prepare_update(&self, object: &mut Object, old: &Object, _subresource: Subresource) {
        merge_string_data(object);
        if object.at(&["type"]).and_then(Value::as_str).is_none_or(str::is_empty)
            && let Some(kept) = old.at(&["type"])
        {
            object.0.insert("type".into(), kept.clone());
        }
    }

    fn validate(&self, object: &Object, old: Option<&Object>, _subresource: Subresource) -> ErrorList {
        let mut errors = ErrorList::new();
        if let Some(old) = old {
            immutable(&mut errors, &Path::new("type"), object.at(&["type"]), old.at(&["type"]));
            errors.extend(immutable_data(object, old, &["data"]));
        }
        let data = Path::new("data");
        let mut total = 0;
        for (key, value) in object.at(&["data"]).and_then(Value::as_object).into_iter().flatten() {
            if let Some(why) = bad_key(key) {
                errors.push(FieldError::invalid(&data.key(key), key.as_str(), why));
            }
            match value.as_str().map(|text| STANDARD.decode(text)) {
                Some(Ok(bytes)) => total += bytes.len(),
                // The value itself must not appear in an error.
                _ => errors.push(FieldError::new(FieldErrorKind::Invalid, &data.key(key), None, "must be base64")),
            }
        }
        if total > MAX_DATA {
            errors.push(FieldError::too_long(&data, MAX_DATA));
        }
        errors.extend(typed_rules(object));
        errors
    }

    fn is_secret(&self) -> bool {
        true
    }

    fn field_labels(&self) -> &'static [&'static str] {
        &["type"]
    }
}

/// `stringData` wins over `data` and is never stored.
fn merge_string_data(object: &mut Object) {
    let Some(Value::Object(plain)) = object.0.shift_remove("stringData") else { return };
    let slot = object.0.entry("data").or_insert_with(|| Value::Object(Map::new()));
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    if let Some(data) = slot.as_object_mut() {
        for (key, value) in plain {
            let text = value.as_str().unwrap_or_default();
            data.insert(key, STANDARD.encode(text).into());
        }
    }
}

/// What Kubernetes asks of the well-known types, in its words (row B13).
fn typed_rules(object: &Object) -> ErrorList {
    let data = Path::new("data");
    let value = |key: &str| object.at(&["data", key]).and_then(Value::as_str);
    let missing = |key: &str| FieldError::required(&data.key(key), "");
    match object.at(&["type"]).and_then(Value::as_str).unwrap_or_default() {
        "kubernetes.io/dockerconfigjson" => docker_config(object, ".dockerconfigjson").into_iter().collect(),
        "kubernetes.io/dockercfg" => docker_config(object, ".dockercfg").into_iter().collect(),
        "kubernetes.io/basic-auth" if value("username").is_none() && value("password").is_none() => {
            vec![missing("username"), missing("password")]
        }
        "kubernetes.io/ssh-auth" if value("ssh-privatekey").is_none_or(str::is_empty) => {
            vec![missing("ssh-privatekey")]
        }
        "kubernetes.io/tls" => {
            ["tls.crt", "tls.key"].into_iter().filter(|key| value(key).is_none()).map(missing).collect()
        }
        "kubernetes.io/service-account-token" if text_at(object, &["metadata", "annotations", ACCOUNT]).is_empty() => {
            vec![FieldError::required(&Path::new("metadata.annotations").key(ACCOUNT), "")]
        }
        _ => ErrorList::new(),
    }
}

/// The key must be there and hold a JSON object. The error says where it stops being one, never what it holds.
fn docker_config(object: &Object, key: &str) -> Option<FieldError> {
    let path = Path::new("data").key(key);
    let Some(Value::String(text)) = object.at(&["data", key]) else { return Some(FieldError::required(&path, "")) };
    // What is no base64 has an error of its own.
    let document = STANDARD.decode(text).ok()?;
    let found = match document.trim_ascii_start().first() {
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "bool",
        Some(b'-' | b'0'..=b'9') => "number",
        _ => "",
    };
    let why = match syntax::error(&document) {
        Some(why) => why,
        None if found.is_empty() => return None,
        None => format!("json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"),
    };
    Some(FieldError::invalid(&path, "<secret contents redacted>", why))
}

/// Keys of ConfigMaps and Secrets become file names.
pub(super) fn bad_key(key: &str) -> Option<&'static str> {
    if key.len() > 253 {
        return Some("must be no more than 253 characters");
    }
    match key {
        "." => return Some("must not be '.'"),
        ".." => return Some("must not be '..'"),
        _ if key.starts_with("..") => return Some("must not start with '..'"),
        _ => {}
    }
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (key.is_empty() || !key.chars().all(fine)).then_some(
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or \
         'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
    )
}

/// `immutable: true` holds for ever (row B13).
pub(super) fn immutable_data(object: &Object, old: &Object, fields: &[&str]) -> ErrorList {
    let mut errors = ErrorList::new();
    if old.at(&["immutable"]) != Some(&Value::Bool(true)) {
        return errors;
    }
    let detail = "field is immutable when `immutable` is set";
    if object.at(&["immutable"]) != Some(&Value::Bool(true)) {
        errors.push(FieldError::forbidden(&Path::new("immutable"), detail));
    }
    for field in fields {
        if object.at(&[field]) != old.at(&[field]) {
            errors.push(FieldError::forbidden(&Path::new(field), detail));
        }
    }
    errors
}
