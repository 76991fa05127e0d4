//! Reads a schema document (row X7).

use crate::object_meta::object_meta;
use crate::schema::{ListType, MapType, Rules, Schema, Type};
use crate::structural;
use otternauts_meta::{ErrorList, FieldError, Path};
use serde_json::{Map, Value};

impl Schema {
    /// Reads the structural schema of a whole object. Errors carry paths relative to the document (`properties[a].type`).
    /// The result knows `kind`, `apiVersion` and `metadata` at its root, whatever the document says of them.
    pub fn parse(document: &Value) -> Result<Self, ErrorList> {
        Self::parse_at(document, &Path::root())
    }

    /// The same with all error paths below `path`.
    pub fn parse_at(document: &Value, path: &Path) -> Result<Self, ErrorList> {
        let mut errors = ErrorList::new();
        structural::check_root(document, path, &mut errors);
        let mut schema = node(document, path, &mut errors);
        if errors.is_empty() {
            structural::check_defaults(&schema, path, &mut errors);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        schema.become_root();
        Ok(schema)
    }

    /// Reads the schema of a built-in kind, which need not be structural: Kubernetes' own lists have keys that may be absent.
    pub(crate) fn trusted(document: &Value) -> Result<Self, ErrorList> {
        let mut errors = ErrorList::new();
        let mut schema = node(document, &Path::root(), &mut errors);
        schema.become_root();
        if errors.is_empty() { Ok(schema) } else { Err(errors) }
    }

    fn become_root(&mut self) {
        self.is_root = true;
        let mut take = |name: &str| {
            let at = self.properties.iter().position(|(n, _)| n == name)?;
            Some(self.properties.remove(at).1)
        };
        let text = || Schema { r#type: Some(Type::String), ..Schema::default() };
        let kind = take("kind").unwrap_or_else(text);
        let api_version = take("apiVersion").unwrap_or_else(text);
        let mut metadata = object_meta().clone();
        for (name, said) in take("metadata").map(|m| m.properties).unwrap_or_default() {
            if let Some((_, known)) = metadata.properties.iter_mut().find(|(n, _)| *n == name) {
                known.rules = said.rules;
            }
        }
        let head = [("kind", kind), ("apiVersion", api_version), ("metadata", metadata)];
        self.properties.splice(0..0, head.into_iter().map(|(n, s)| (n.to_owned(), s)));
    }
}

/// Reads one node and everything below. What cannot be read is an error and left out.
fn node(document: &Value, path: &Path, errors: &mut ErrorList) -> Schema {
    let Some(doc) = document.as_object() else {
        if !document.is_null() {
            errors.push(FieldError::invalid(path, document.clone(), "must be a schema object"));
        }
        return Schema::default();
    };
    let mut schema = Schema {
        r#type: text(doc, "type").and_then(Type::from_word),
        default: doc.get("default").cloned(),
        nullable: flag(doc, "nullable"),
        int_or_string: flag(doc, "x-kubernetes-int-or-string"),
        preserve_unknown: flag(doc, "x-kubernetes-preserve-unknown-fields"),
        embedded_resource: flag(doc, "x-kubernetes-embedded-resource"),
        list_type: list_type(doc),
        list_type_declared: doc.contains_key("x-kubernetes-list-type"),
        map_type: if text(doc, "x-kubernetes-map-type") == Some("atomic") {
            MapType::Atomic
        } else {
            MapType::Granular
        },
        patch_merge_key: text(doc, "x-kubernetes-patch-merge-key").map(str::to_owned),
        patch_strategy: text(doc, "x-kubernetes-patch-strategy").map(str::to_owned),
        rules: rules(doc, path, errors),
        ..Schema::default()
    };
    if let Some(properties) = doc.get("properties").and_then(Value::as_object) {
        let path = path.child("properties");
        schema.properties = properties.iter().map(|(n, d)| (n.clone(), node(d, &path.key(n), errors))).collect();
    }
    schema.additional_properties = match doc.get("additionalProperties") {
        None | Some(Value::Null) => None,
        // Kubernetes keeps any key for both, and knows nothing of what is below.
        Some(Value::Bool(_)) => Some(Box::default()),
        Some(other) => Some(Box::new(node(other, &path.child("additionalProperties"), errors))),
    };
    if let Some(items) = doc.get("items").filter(|i| i.is_object()) {
        schema.items = Some(Box::new(node(items, &path.child("items"), errors)));
    }
    schema
}

fn rules(doc: &Map<String, Value>, path: &Path, errors: &mut ErrorList) -> Rules {
    let number = |key: &str| doc.get(key).and_then(Value::as_f64);
    let count = |key: &str| doc.get(key).and_then(Value::as_i64).and_then(|n| u64::try_from(n).ok());
    let pattern = text(doc, "pattern").filter(|p| !p.is_empty());
    Rules {
        required: strings(doc, "required"),
        r#enum: doc.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
        format: text(doc, "format").filter(|f| !f.is_empty()).map(str::to_owned),
        pattern: pattern.map(str::to_owned),
        regex: pattern.and_then(|p| compiled(p, &path.child("pattern"), errors)),
        minimum: number("minimum"),
        maximum: number("maximum"),
        exclusive_minimum: flag(doc, "exclusiveMinimum"),
        exclusive_maximum: flag(doc, "exclusiveMaximum"),
        multiple_of: number("multipleOf"),
        min_length: count("minLength"),
        max_length: count("maxLength"),
        min_items: count("minItems"),
        max_items: count("maxItems"),
        min_properties: count("minProperties"),
        max_properties: count("maxProperties"),
        all_of: branches(doc, "allOf", path, errors),
        any_of: branches(doc, "anyOf", path, errors),
        one_of: branches(doc, "oneOf", path, errors),
        not: doc.get("not").filter(|n| n.is_object()).map(|n| Box::new(node(n, &path.child("not"), errors))),
        cel: doc.get("x-kubernetes-validations").and_then(Value::as_array).cloned().unwrap_or_default(),
    }
}

fn branches(doc: &Map<String, Value>, key: &str, path: &Path, errors: &mut ErrorList) -> Vec<Schema> {
    let list = doc.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().enumerate().map(|(i, d)| node(d, &path.child(key).index(i), errors)).collect()
}

fn compiled(pattern: &str, path: &Path, errors: &mut ErrorList) -> Option<regex::Regex> {
    match regex::Regex::new(pattern) {
        Ok(regex) => Some(regex),
        Err(error) => {
            let text = error.to_string();
            let why = match text.lines().last().unwrap_or_default().trim_start_matches("error: ") {
                "unclosed group" => format!("missing closing ): `{pattern}`"),
                other => other.to_owned(),
            };
            let text = format!("must be a valid regular expression, but isn't: error parsing regexp: {why}");
            errors.push(FieldError::invalid(path, pattern, text));
            None
        }
    }
}

fn list_type(doc: &Map<String, Value>) -> ListType {
    match text(doc, "x-kubernetes-list-type") {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(strings(doc, "x-kubernetes-list-map-keys")),
        _ => ListType::Atomic,
    }
}

fn text<'a>(doc: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    doc.get(key).and_then(Value::as_str)
}

fn flag(doc: &Map<String, Value>, key: &str) -> bool {
    doc.get(key).and_then(Value::as_bool).unwrap_or_default()
}

fn strings(doc: &Map<String, Value>, key: &str) -> Vec<String> {
    let list = doc.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
