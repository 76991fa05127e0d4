//! Paths and operations of one kind (rows O4, O5).

use crate::{names, parameters};
use otternauts_schema::Definition;
use serde_json::{Map, Value, json};

const MEDIA: [&str; 2] = ["application/json", "application/yaml"];

/// What all operations of a kind share.
struct Kind<'a> {
    definition: &'a Definition,
    version: &'a str,
    /// Names of its schemas.
    object: String,
    list: String,
}

/// Adds every path of one version of a kind.
pub fn add(paths: &mut Map<String, Value>, definition: &Definition, version: &str) {
    let kind = Kind {
        definition,
        version,
        object: names::schema(definition, version, &definition.names.kind),
        list: names::schema(definition, version, &definition.names.list_kind),
    };
    let root = format!("/{}", names::document_path(&definition.group, version));
    let plural = &definition.names.plural;
    let collection = if definition.is_namespaced() {
        paths.insert(format!("{root}/{plural}"), kind.everywhere());
        format!("{root}/namespaces/{{namespace}}/{plural}")
    } else {
        format!("{root}/{plural}")
    };
    paths.insert(format!("{collection}/{{name}}"), kind.item());
    let served = definition.version(version);
    if served.is_some_and(|v| v.has_status) {
        paths.insert(format!("{collection}/{{name}}/status"), kind.part("Status", &kind.object));
    }
    if served.is_some_and(|v| v.scale.is_some()) {
        paths.insert(format!("{collection}/{{name}}/scale"), kind.part("Scale", names::SCALE));
    }
    paths.insert(collection, kind.collection());
}

impl Kind<'_> {
    /// `readOtternautsDevV1NamespacedStackStatus`.
    fn id(&self, verb: &str, after: &str) -> String {
        let scope = if self.definition.is_namespaced() { "Namespaced" } else { "" };
        let middle = names::group_version(self.definition, self.version);
        format!("{verb}{middle}{scope}{}{after}", self.definition.names.kind)
    }

    fn operation(&self, action: &str, id: String, description: String, more: Value) -> Value {
        let names = &self.definition.names;
        let mut map = Map::new();
        map.insert("tags".to_owned(), json!([names::tag(self.definition, self.version)]));
        map.insert("description".to_owned(), description.into());
        map.insert("operationId".to_owned(), id.into());
        if let Value::Object(more) = more {
            map.extend(more);
        }
        map.insert("x-kubernetes-action".to_owned(), action.into());
        map.insert(
            "x-kubernetes-group-version-kind".to_owned(),
            json!({"group": self.definition.group, "version": self.version, "kind": names.kind}),
        );
        map.into()
    }

    fn everywhere(&self) -> Value {
        let kind = &self.definition.names.kind;
        let middle = names::group_version(self.definition, self.version);
        let id = format!("list{middle}{kind}ForAllNamespaces");
        let mut parameters = parameters::of_list();
        parameters.extend(parameters::of_path(false, None));
        json!({
            "get": self.operation("list", id, format!("list or watch objects of kind {kind}"), json!({
                "responses": responses(&[(200, &self.list)]),
            })),
            "parameters": parameters,
        })
    }

    fn collection(&self) -> Value {
        let kind = &self.definition.names.kind;
        let mut selection = parameters::of_delete();
        selection.extend(parameters::of_list());
        json!({
            "get": self.operation("list", self.id("list", ""), format!("list or watch objects of kind {kind}"), json!({
                "parameters": parameters::of_list(),
                "responses": responses(&[(200, &self.list)]),
            })),
            "post": self.operation("post", self.id("create", ""), format!("create a {kind}"), json!({
                "parameters": parameters::of_write(),
                "requestBody": body(&self.object, true),
                "responses": responses(&[(200, &self.object), (201, &self.object), (202, &self.object)]),
            })),
            "delete": self.operation("deletecollection", self.id("deleteCollection", ""), format!("delete many objects of kind {kind}"), json!({
                "parameters": selection,
                "requestBody": body(names::DELETE_OPTIONS, false),
                "responses": responses(&[(200, names::STATUS)]),
            })),
            "parameters": parameters::of_path(self.definition.is_namespaced(), None),
        })
    }

    fn item(&self) -> Value {
        let kind = &self.definition.names.kind;
        let mut item = self.part("", &self.object);
        item["delete"] = self.operation(
            "delete",
            self.id("delete", ""),
            format!("delete a {kind}"),
            json!({
                "parameters": parameters::of_delete(),
                "requestBody": body(names::DELETE_OPTIONS, false),
                "responses": responses(&[(200, names::STATUS), (202, names::STATUS)]),
            }),
        );
        item
    }

    /// get, put and patch of an object or of one part of it.
    fn part(&self, part: &str, schema: &str) -> Value {
        let kind = &self.definition.names.kind;
        let what = if part.is_empty() { kind.clone() } else { format!("{} of a {kind}", part.to_lowercase()) };
        json!({
            "get": self.operation("get", self.id("read", part), format!("read the {what}"), json!({
                "responses": responses(&[(200, schema)]),
            })),
            "put": self.operation("put", self.id("replace", part), format!("replace the {what}"), json!({
                "parameters": parameters::of_write(),
                "requestBody": body(schema, true),
                "responses": responses(&[(200, schema), (201, schema)]),
            })),
            "patch": self.operation("patch", self.id("patch", part), format!("change parts of the {what}"), json!({
                "parameters": parameters::of_patch(),
                "requestBody": self.patch_body(),
                "responses": responses(&[(200, schema), (201, schema)]),
            })),
            "parameters": parameters::of_path(self.definition.is_namespaced(), Some(kind)),
        })
    }

    /// Row O5: strategic merge patches exist for built-in kinds only.
    fn patch_body(&self) -> Value {
        let mut media =
            vec!["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];
        if self.definition.is_builtin() {
            media.push("application/strategic-merge-patch+json");
        }
        json!({"content": content(&media, names::PATCH), "required": true})
    }
}

fn content(media: &[&str], schema: &str) -> Value {
    let map: Map<String, Value> =
        media.iter().map(|m| ((*m).to_owned(), json!({"schema": {"$ref": names::reference(schema)}}))).collect();
    map.into()
}

fn body(schema: &str, required: bool) -> Value {
    let content = content(&MEDIA, schema);
    if required { json!({"content": content, "required": true}) } else { json!({"content": content}) }
}

fn responses(answers: &[(u16, &str)]) -> Value {
    let mut map = Map::new();
    for (code, schema) in answers {
        let description = match code {
            201 => "Created",
            202 => "Accepted",
            _ => "OK",
        };
        map.insert(code.to_string(), json!({"description": description, "content": content(&MEDIA, schema)}));
    }
    map.insert("401".to_owned(), json!({"description": "Unauthorized"}));
    map.into()
}
