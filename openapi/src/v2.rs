//! The one OpenAPI 2.0 document (rows O8, O9), made from the 3.0 ones: Argo CD, Terraform and old kubectl read it.

use serde_json::{Map, Value, json};

/// Keywords that 2.0 does not have, and defaults, which Kubernetes leaves out of it.
const UNKNOWN: [&str; 7] = ["allOf", "anyOf", "oneOf", "not", "nullable", "default", "discriminator"];
/// What says how an object or a list looks inside.
const INSIDE: [&str; 6] = ["type", "format", "items", "properties", "required", "additionalProperties"];

/// Joins documents of group-versions to one.
pub fn document<'a>(v3: impl Iterator<Item = &'a Value>) -> Value {
    let (mut paths, mut definitions) = (Map::new(), Map::new());
    for document in v3 {
        for (path, item) in entries(&document["paths"]) {
            paths.insert(path.clone(), path_item(item));
        }
        for (name, schema) in entries(&document["components"]["schemas"]) {
            definitions.entry(name.clone()).or_insert_with(|| root(schema));
        }
    }
    paths.sort_keys();
    definitions.sort_keys();
    json!({
        "swagger": "2.0",
        "info": {"title": "Otternauts", "version": "1.36"},
        "paths": paths,
        "definitions": definitions,
        "securityDefinitions": {
            "BearerToken": {
                "description": "Bearer token", "type": "apiKey", "name": "authorization", "in": "header",
            },
        },
        "security": [{"BearerToken": []}],
    })
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn path_item(item: &Value) -> Value {
    let convert = |(key, value): (&String, &Value)| {
        let value = if key == "parameters" { parameters(value) } else { operation(value) };
        (key.clone(), value)
    };
    entries(item).map(convert).collect::<Map<_, _>>().into()
}

fn operation(v3: &Value) -> Value {
    let mut out = Map::new();
    let mut own = parameters(&v3["parameters"]);
    let content = &v3["requestBody"]["content"];
    if let (Some((_, media)), Some(list)) = (entries(content).next(), own.as_array_mut()) {
        let mut body = json!({"name": "body", "in": "body", "schema": schema(&media["schema"])});
        if v3["requestBody"]["required"] == true {
            body["required"] = true.into();
        }
        list.insert(0, body);
    }
    let consumes: Vec<&String> = entries(content).map(|(media, _)| media).collect();
    out.insert("consumes".to_owned(), if consumes.is_empty() { json!(["application/json"]) } else { json!(consumes) });
    let produces: Vec<&String> = entries(&v3["responses"]["200"]["content"]).map(|(media, _)| media).collect();
    out.insert("produces".to_owned(), json!(produces));
    out.insert("schemes".to_owned(), json!(["https"]));
    for (key, value) in entries(v3) {
        match key.as_str() {
            "requestBody" | "parameters" => {}
            "responses" => {
                let answers: Map<String, Value> = entries(value).map(|(code, v)| (code.clone(), response(v))).collect();
                out.insert(key.clone(), answers.into());
            }
            _ => {
                out.insert(key.clone(), value.clone());
            }
        }
    }
    if own.as_array().is_some_and(|list| !list.is_empty()) {
        out.insert("parameters".to_owned(), own);
    }
    out.into()
}

/// In 2.0 a parameter's type stands beside its name.
fn parameters(v3: &Value) -> Value {
    let flat = |parameter: &Value| {
        let mut out = parameter.as_object().cloned().unwrap_or_default();
        if let Some(Value::Object(schema)) = out.remove("schema") {
            out.extend(schema);
        }
        Value::from(out)
    };
    v3.as_array().into_iter().flatten().map(flat).collect()
}

fn response(v3: &Value) -> Value {
    let mut out = json!({"description": v3["description"]});
    if let Some((_, media)) = entries(&v3["content"]).next() {
        out["schema"] = schema(&media["schema"]);
    }
    out
}

/// A named schema stays an object whatever it holds (row O9).
fn root(v3: &Value) -> Value {
    let mut out = schema(v3);
    if v3["type"] == "object" {
        out["type"] = "object".into();
    }
    out
}

fn schema(v3: &Value) -> Value {
    let Value::Object(v3) = v3 else { return v3.clone() };
    let on = |key: &str| v3.get(key) == Some(&Value::Bool(true));
    let bare = on("nullable") || on("x-kubernetes-preserve-unknown-fields");
    let any_type = bare || on("x-kubernetes-int-or-string");
    let mut out = Map::new();
    for (key, value) in v3 {
        let key_str = key.as_str();
        if UNKNOWN.contains(&key_str) || bare && INSIDE.contains(&key_str) || any_type && key_str == "type" {
            continue;
        }
        let value = match key_str {
            "$ref" => reference(value),
            "items" | "additionalProperties" => schema(value),
            "properties" => entries(value).map(|(name, v)| (name.clone(), schema(v))).collect::<Map<_, _>>().into(),
            "required" => required(value, v3.get("properties")),
            _ => value.clone(),
        };
        if !(key_str == "required" && value == json!([])) {
            out.insert(key.clone(), value);
        }
    }
    // `allOf` of one reference is how 3.0 gives a reference a description; 2.0 has both side by side.
    if let Some([only]) = v3.get("allOf").and_then(Value::as_array).map(Vec::as_slice)
        && let Some(target) = only.get("$ref")
    {
        out.insert("$ref".to_owned(), reference(target));
    }
    out.into()
}

/// What may be null need not be there.
fn required(names: &Value, properties: Option<&Value>) -> Value {
    let kept = |name: &&Value| {
        let property = name.as_str().and_then(|n| properties?.get(n));
        property.is_none_or(|p| p["nullable"] != true)
    };
    names.as_array().into_iter().flatten().filter(kept).cloned().collect()
}

fn reference(target: &Value) -> Value {
    target.as_str().unwrap_or_default().replace("#/components/schemas/", "#/definitions/").into()
}
