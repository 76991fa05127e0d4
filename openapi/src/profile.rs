//! The client profile: the same kinds in a document that code generators can read.
//!
//! What Kubernetes publishes is right for kubectl and breaks generators: references wrapped in `allOf`, defaults that a client would
//! then own under server-side apply, objects that drop fields they do not know, bodies of four media types, errors without a type.
//! Here every object is a named schema that keeps unknown fields, nothing has a default, each operation has a short name of its own,
//! and every error is a `Status`. Watches are left out: no generated client can read a stream, the SDKs do it by hand.

use crate::{names, schemas};
use otternauts_schema::Definition;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Shared schemas that the profile has no use for: it types patches itself, and writes the simple ones in place.
const IN_PLACE: [&str; 4] = ["Time", "MicroTime", "FieldsV1", "Patch"];
/// Keywords that would make a generated client lie: it would send defaults and nulls that nobody wrote.
const DROPPED: [&str; 8] =
    ["default", "nullable", "uniqueItems", "allOf", "anyOf", "oneOf", "not", "x-kubernetes-validations"];

/// The document for these kinds. The same kinds and version give the same bytes.
pub fn document(definitions: &[Arc<Definition>], version: &str) -> Value {
    let mut profile = Profile::new(definitions);
    let mut paths = Map::new();
    for definition in definitions {
        for served in definition.versions.iter().filter(|v| v.served) {
            profile.operations(&mut paths, definition, &served.name);
        }
    }
    paths.sort_keys();
    profile.schemas.insert("JsonPatchOperation".to_owned(), json_patch());
    let schemas: Map<String, Value> = profile.schemas.into_iter().collect();
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "Otternauts",
            "version": version,
            "description": "The kinds of a control plane for fleets of Docker Swarm servers, for code generators.",
        },
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    })
}

struct Profile {
    /// From a published schema's name to its short one.
    short: BTreeMap<String, String>,
    /// Schemas that are no objects of ours, written where they are used.
    in_place: BTreeMap<String, Value>,
    schemas: BTreeMap<String, Value>,
}

impl Profile {
    fn new(definitions: &[Arc<Definition>]) -> Self {
        let mut components = schemas::shared();
        let mut own = Vec::new();
        for definition in definitions {
            for served in definition.versions.iter().filter(|v| v.served) {
                let mut added = Map::new();
                schemas::add(&mut added, definition, &served.name);
                own.extend(added.keys().map(|name| (name.clone(), definition.group.clone())));
                components.extend(added);
            }
        }
        let mut profile = Self { short: BTreeMap::new(), in_place: BTreeMap::new(), schemas: BTreeMap::new() };
        profile.name(&components, &own);
        for (name, schema) in &components {
            if let Some(short) = profile.short.get(name).cloned() {
                let schema = profile.named(schema, &short);
                profile.schemas.insert(short, schema);
            }
        }
        profile
    }

    /// The last part of each name; a kind that is not the first of its name has its group's first word in front.
    fn name(&mut self, components: &Map<String, Value>, own: &[(String, String)]) {
        let mut taken = BTreeSet::new();
        for name in components.keys() {
            let last = name.rsplit('.').next().unwrap_or(name).to_owned();
            if IN_PLACE.contains(&last.as_str()) {
                let mut schema = components[name].clone();
                if let Some(map) = schema.as_object_mut() {
                    map.remove("description");
                    map.remove("x-kubernetes-map-type");
                }
                self.in_place.insert(name.clone(), schema);
                continue;
            }
            let group = own.iter().find(|(n, _)| n == name).map(|(_, group)| group.as_str()).unwrap_or_default();
            let first = group.split('.').next().unwrap_or_default();
            let short = if taken.contains(&last) { capital(first) + &last } else { last };
            taken.insert(short.clone());
            self.short.insert(name.clone(), short);
        }
    }

    /// A schema under the name `place`: objects inside it get names of their own.
    fn named(&mut self, schema: &Value, place: &str) -> Value {
        let mut out = Map::new();
        for (key, value) in schema.as_object().into_iter().flatten() {
            match key.as_str() {
                "properties" => {
                    let properties: Map<String, Value> = value
                        .as_object()
                        .into_iter()
                        .flatten()
                        .map(|(name, schema)| (name.clone(), self.property(schema, place, name)))
                        .collect();
                    out.insert(key.clone(), properties.into());
                }
                key_str if DROPPED.contains(&key_str) => {}
                key_str if key_str.starts_with("x-kubernetes-") && key_str != "x-kubernetes-group-version-kind" => {}
                _ => {
                    out.insert(key.clone(), value.clone());
                }
            }
        }
        out.insert("additionalProperties".to_owned(), true.into());
        out.into()
    }

    fn property(&mut self, schema: &Value, owner: &str, name: &str) -> Value {
        if let Some(target) = reference(schema) {
            return self.link(target, schema.get("description"));
        }
        let mut out = Map::new();
        for (key, value) in schema.as_object().into_iter().flatten() {
            let value = match key.as_str() {
                "items" => self.property(value, owner, singular(name)),
                "additionalProperties" if value.is_object() => self.property(value, owner, singular(name)),
                "properties" => continue,
                key if DROPPED.contains(&key) || key == "x-kubernetes-preserve-unknown-fields" => continue,
                key if key.starts_with("x-kubernetes-list-") || key.starts_with("x-kubernetes-map-") => continue,
                key if key.starts_with("x-kubernetes-patch-") || key == "x-kubernetes-embedded-resource" => continue,
                _ => value.clone(),
            };
            out.insert(key.clone(), value);
        }
        let is_object = schema["type"] == "object";
        if is_object && schema["properties"].as_object().is_some_and(|p| !p.is_empty()) {
            let description = schema.get("description").cloned();
            let hoisted = self.named(schema, &format!("{owner}{}", capital(name)));
            let place = self.place(owner, name, hoisted);
            return link_to(&place, description.as_ref());
        }
        if is_object && !out.contains_key("additionalProperties") {
            out.insert("additionalProperties".to_owned(), true.into());
        }
        out.into()
    }

    /// Conditions are the same in every kind and get one name; everything else is named after where it stands.
    fn place(&mut self, owner: &str, name: &str, schema: Value) -> String {
        let shared = capital(name);
        let same = self.schemas.get(&shared).is_none_or(|known| *known == schema);
        let place = if shared == "Condition" && same { shared } else { format!("{owner}{}", capital(name)) };
        self.schemas.insert(place.clone(), schema);
        place
    }

    fn link(&self, target: &str, description: Option<&Value>) -> Value {
        let name = target.trim_start_matches("#/components/schemas/");
        if let Some(schema) = self.in_place.get(name) {
            let mut schema = schema.clone();
            if let (Some(text), Some(map)) = (description, schema.as_object_mut()) {
                map.insert("description".to_owned(), text.clone());
            }
            if schema["type"] == "object" {
                schema["additionalProperties"] = true.into();
            }
            return schema;
        }
        link_to(self.short.get(name).map_or(name, String::as_str), description)
    }

    fn operations(&self, paths: &mut Map<String, Value>, definition: &Definition, version: &str) {
        let kind = self.short[&names::schema(definition, version, &definition.names.kind)].clone();
        let list = self.short[&names::schema(definition, version, &definition.names.list_kind)].clone();
        // `EventsEvent` lists as `EventsEvents`: what is in front of the kind stays in front of the plural.
        let prefix = kind.strip_suffix(&definition.names.kind).unwrap_or_default();
        let many = format!("{prefix}{}", plural(&definition.names.kind, &definition.names.plural));
        let root = format!("/{}", names::document_path(&definition.group, version));
        let resource = &definition.names.plural;
        let namespaced = definition.is_namespaced();
        let collection = if namespaced {
            format!("{root}/namespaces/{{namespace}}/{resource}")
        } else {
            format!("{root}/{resource}")
        };
        if namespaced {
            let all = operation(&kind, &format!("listAll{many}"), &of_list(), None, &list);
            paths.insert(format!("{root}/{resource}"), json!({ "get": all }));
        }
        paths.insert(
            collection.clone(),
            json!({
                "parameters": of_path(namespaced, false),
                "get": operation(&kind, &format!("list{many}"), &of_list(), None, &list),
                "post": operation(&kind, &format!("create{kind}"), &of_write(), Some(json_body(&kind)), &kind),
                "delete": operation(&kind, &format!("deleteAll{many}"), &of_list(), Some(json_body("DeleteOptions")), "Status"),
            }),
        );
        let mut item = part(&kind, "", namespaced);
        item["delete"] = operation(&kind, &format!("delete{kind}"), &[], Some(json_body("DeleteOptions")), "Status");
        paths.insert(format!("{collection}/{{name}}"), item);
        if definition.version(version).is_some_and(|v| v.has_status) {
            paths.insert(format!("{collection}/{{name}}/status"), part(&kind, "Status", namespaced));
        }
    }
}

/// get, replace and patch of an object, or of its status.
fn part(kind: &str, suffix: &str, namespaced: bool) -> Value {
    let patches = json!({"required": true, "content": {
        "application/merge-patch+json": {"schema": {"type": "object", "additionalProperties": true}},
        "application/apply-patch+yaml": {"schema": link_to(kind, None)},
        "application/json-patch+json": {"schema": {"type": "array", "items": link_to("JsonPatchOperation", None)}},
    }});
    let mut of_patch = of_write();
    of_patch.push(query("force", "boolean", "take over fields that others own; for apply only"));
    json!({
        "parameters": of_path(namespaced, true),
        "get": operation(kind, &format!("get{kind}{suffix}"), &[], None, kind),
        "put": operation(kind, &format!("replace{kind}{suffix}"), &of_write(), Some(json_body(kind)), kind),
        "patch": operation(kind, &format!("patch{kind}{suffix}"), &of_patch, Some(patches), kind),
    })
}

fn operation(kind: &str, id: &str, parameters: &[Value], body: Option<Value>, answer: &str) -> Value {
    let mut out = json!({"operationId": id, "tags": [kind], "parameters": parameters});
    if let Some(body) = body {
        out["requestBody"] = body;
    }
    let content = |name: &str| json!({"application/json": {"schema": link_to(name, None)}});
    out["responses"] = json!({
        "200": {"description": "OK", "content": content(answer)},
        "default": {"description": "What is wrong", "content": content("Status")},
    });
    if id.starts_with("create") {
        out["responses"]["201"] = json!({"description": "Created", "content": content(answer)});
    }
    out
}

fn json_body(schema: &str) -> Value {
    let content = json!({"application/json": {"schema": link_to(schema, None)}});
    if schema == "DeleteOptions" { json!({"content": content}) } else { json!({"content": content, "required": true}) }
}

fn query(name: &str, kind: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": {"type": kind}})
}

fn of_path(namespaced: bool, named: bool) -> Vec<Value> {
    let mut list = Vec::new();
    for (name, there) in [("namespace", namespaced), ("name", named)] {
        if there {
            list.push(json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
        }
    }
    list
}

fn of_write() -> Vec<Value> {
    vec![
        query("dryRun", "string", "All: go through every stage and store nothing"),
        query("fieldManager", "string", "who is making the change"),
        query("fieldValidation", "string", "what to do about unknown fields: Ignore, Warn or Strict"),
    ]
}

fn of_list() -> Vec<Value> {
    vec![
        query("continue", "string", "the next page of an earlier list"),
        query("fieldSelector", "string", "only objects with these fields"),
        query("labelSelector", "string", "only objects with these labels"),
        query("limit", "integer", "at most so many objects a page"),
        query("resourceVersion", "string", "how recent the answer must be"),
    ]
}

fn json_patch() -> Value {
    json!({
        "description": "One step of a JSON patch (RFC 6902).",
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"type": "string", "enum": ["add", "remove", "replace", "move", "copy", "test"]},
            "path": {"type": "string"},
            "from": {"type": "string"},
            "value": {},
        },
        "additionalProperties": true,
    })
}

/// The target of a reference, alone or wrapped in `allOf`.
fn reference(schema: &Value) -> Option<&str> {
    let wrapped =
        || schema["allOf"].as_array().filter(|list| list.len() == 1).and_then(|list| list[0]["$ref"].as_str());
    schema["$ref"].as_str().or_else(wrapped)
}

/// A reference; 3.0 has no place for a description beside it, so it rides along as an extension.
fn link_to(name: &str, description: Option<&Value>) -> Value {
    let mut link = json!({"$ref": names::reference(name)});
    if let Some(text) = description {
        link["x-description"] = text.clone();
    }
    link
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// `conditions` -> `condition`: how one item of a list is called.
fn singular(name: &str) -> &str {
    match name {
        "addresses" => "address",
        _ => name.strip_suffix('s').filter(|n| !n.ends_with('s') && !n.ends_with("u")).unwrap_or(name),
    }
}

/// `Stack` and `stacks` -> `Stacks`; `RegistryCredential` keeps its inner capital.
fn plural(kind: &str, resource: &str) -> String {
    let same = kind.len().min(resource.len());
    let common = kind
        .char_indices()
        .zip(resource.chars())
        .take_while(|((_, a), b)| a.eq_ignore_ascii_case(b))
        .map(|((i, a), _)| i + a.len_utf8())
        .last()
        .unwrap_or(same);
    format!("{}{}", &kind[..common], &resource[common..])
}
