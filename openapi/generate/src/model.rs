//! The profile's schemas as the generators see them: named objects with typed fields.

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

/// One named object.
#[derive(Clone, Debug)]
pub struct Model {
    pub name: String,
    pub doc: String,
    pub fields: Vec<Field>,
    /// Set for kinds: where their objects are served.
    pub resource: Option<Resource>,
}

#[derive(Clone, Debug)]
pub struct Field {
    /// As on the wire.
    pub name: String,
    pub doc: String,
    pub required: bool,
    pub ty: Type,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    Text,
    /// A text, one of these.
    Enum(Vec<String>),
    Whole,
    Number,
    Flag,
    /// Any JSON.
    Any,
    /// `80` or `"http"`.
    WholeOrText,
    List(Box<Type>),
    Map(Box<Type>),
    Model(String),
}

#[derive(Clone, Debug)]
pub struct Resource {
    pub group: String,
    pub version: String,
    pub kind: String,
    /// As in the path.
    pub plural: String,
    /// As in names of operations: `RegistryCredentials`.
    pub many: String,
    pub namespaced: bool,
}

impl Resource {
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// All models of a profile but lists, in order of their names. Every SDK has one generic list.
///
/// # Errors
/// For a schema that no generator knows how to write.
pub fn read(profile: &Value) -> anyhow::Result<Vec<Model>> {
    let schemas = profile["components"]["schemas"].as_object().context("the profile has schemas")?;
    let mut models = Vec::new();
    for (name, schema) in schemas {
        let is_list = name.ends_with("List") && schemas.contains_key(name.trim_end_matches("List"));
        if !is_list {
            models.push(model(profile, name, schema).with_context(|| name.clone())?);
        }
    }
    Ok(models)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn model(profile: &Value, name: &str, schema: &Value) -> anyhow::Result<Model> {
    let empty = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut fields = Vec::new();
    for (field, schema) in properties {
        let doc = text(schema.get("description").or_else(|| schema.get("x-description")).unwrap_or(&Value::Null));
        let ty = ty(schema).with_context(|| field.clone())?;
        fields.push(Field { name: field.clone(), doc, required: required.contains(&field.as_str()), ty });
    }
    let resource = resource(profile, name, schema);
    Ok(Model { name: name.to_owned(), doc: text(&schema["description"]), fields, resource })
}

/// A kind is what has a `create…` operation.
fn resource(profile: &Value, name: &str, schema: &Value) -> Option<Resource> {
    let gvk = &schema["x-kubernetes-group-version-kind"][0];
    let create = format!("create{name}");
    for (path, item) in profile["paths"].as_object()? {
        if item["post"]["operationId"] == create.as_str() {
            return Some(Resource {
                group: text(&gvk["group"]),
                version: text(&gvk["version"]),
                kind: text(&gvk["kind"]),
                plural: path.rsplit('/').next()?.to_owned(),
                many: text(&item["get"]["operationId"]).strip_prefix("list")?.to_owned(),
                namespaced: path.contains("/namespaces/{namespace}/"),
            });
        }
    }
    None
}

/// The type of a property's schema.
///
/// # Errors
/// For a schema that no generator knows how to write.
pub fn ty(schema: &Value) -> anyhow::Result<Type> {
    if let Some(target) = schema["$ref"].as_str() {
        return Ok(Type::Model(target.trim_start_matches("#/components/schemas/").to_owned()));
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return Ok(Type::WholeOrText);
    }
    Ok(match schema["type"].as_str() {
        None => Type::Any,
        Some("string") => match schema["enum"].as_array() {
            Some(values) => Type::Enum(values.iter().map(text).collect()),
            None => Type::Text,
        },
        Some("integer") => Type::Whole,
        Some("number") => Type::Number,
        Some("boolean") => Type::Flag,
        Some("array") => Type::List(Box::new(ty(&schema["items"])?)),
        Some("object") => Type::Map(Box::new(match &schema["additionalProperties"] {
            Value::Object(_) => ty(&schema["additionalProperties"])?,
            _ => Type::Any,
        })),
        Some(other) => bail!("no generator knows the type {other}"),
    })
}
