use super::*;
use otternauts_schema::{Names, Origin, Scope, Version};

fn definition(group: &str, kind: &str, origin: Origin) -> Arc<Definition> {
    let schema_json = json!({
        "description": "A test kind.",
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "ports": {
                        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                        "items": {"type": "object", "properties": {"name": {"type": "string"}}},
                    },
                    "template": {"type": "object", "x-kubernetes-embedded-resource": true},
                },
            },
        },
    });
    Arc::new(Definition {
        group: group.to_owned(),
        names: Names {
            plural: format!("{}s", kind.to_lowercase()),
            singular: kind.to_lowercase(),
            kind: kind.to_owned(),
            list_kind: format!("{kind}List"),
            ..Names::default()
        },
        scope: Scope::Namespaced,
        origin,
        versions: vec![Version {
            name: "v1".to_owned(),
            served: true,
            storage: true,
            schema: Arc::default(),
            schema_json: Arc::new(schema_json),
            has_status: true,
            scale: None,
            columns: Vec::new(),
            selectable_fields: Vec::new(),
            deprecation: None,
        }],
        hash: 1,
    })
}

fn custom() -> Arc<Definition> {
    definition("otternauts.dev", "Stack", Origin::Custom { crd_uid: "u".to_owned() })
}

fn read(documents: &Documents, path: &str) -> Value {
    serde_json::from_slice(&documents.get(path).expect("there").bytes).expect("JSON")
}

#[test]
fn the_index_names_each_document_with_its_hash() {
    let documents = Documents::build(&[custom(), definition("", "ConfigMap", Origin::BuiltIn)]);
    let index: Value = serde_json::from_slice(documents.index()).expect("JSON");
    let hash = &documents.get("api/v1").expect("there").hash;
    assert_eq!(index["paths"]["api/v1"]["serverRelativeURL"], format!("/openapi/v3/api/v1?hash={hash}"));
    assert_eq!(hash.len(), 128);
    assert!(index["paths"]["apis/otternauts.dev/v1"].is_object());
    assert!(documents.get("apis/otternauts.dev/v2").is_none());
}

#[test]
fn the_same_kinds_give_the_same_hash_and_a_changed_schema_another() {
    let hash = |d: Arc<Definition>| Documents::build(&[d]).get("apis/otternauts.dev/v1").expect("there").hash.clone();
    assert_eq!(hash(custom()), hash(custom()));
    let mut changed = Definition::clone(&custom());
    changed.versions[0].schema_json = Arc::new(json!({"type": "object"}));
    assert_ne!(hash(custom()), hash(Arc::new(changed)));
}

#[test]
fn patch_tells_kubectl_that_the_server_validates_fields_row_o4() {
    let documents = Documents::build(&[custom()]);
    let document = read(&documents, "apis/otternauts.dev/v1");
    let patch = &document["paths"]["/apis/otternauts.dev/v1/namespaces/{namespace}/stacks/{name}"]["patch"];
    let names: Vec<&str> =
        patch["parameters"].as_array().expect("a list").iter().filter_map(|p| p["name"].as_str()).collect();
    assert_eq!(names, ["dryRun", "fieldManager", "fieldValidation", "force"]);
    assert_eq!(
        patch["x-kubernetes-group-version-kind"],
        json!({"group": "otternauts.dev", "version": "v1", "kind": "Stack"})
    );
    assert_eq!(patch["operationId"], "patchOtternautsDevV1NamespacedStack");
}

#[test]
fn strategic_patches_are_listed_for_builtin_kinds_only_row_o5() {
    let documents = Documents::build(&[custom(), definition("", "ConfigMap", Origin::BuiltIn)]);
    let types = |document: &str, path: &str| -> Vec<String> {
        let content = &read(&documents, document)["paths"][path]["patch"]["requestBody"]["content"];
        content.as_object().expect("an object").keys().cloned().collect()
    };
    let ours = types("apis/otternauts.dev/v1", "/apis/otternauts.dev/v1/namespaces/{namespace}/stacks/{name}");
    assert_eq!(ours, ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"]);
    let builtin = types("api/v1", "/api/v1/namespaces/{namespace}/configmaps/{name}");
    assert!(builtin.contains(&"application/strategic-merge-patch+json".to_owned()));
}

#[test]
fn schemas_have_the_names_and_extensions_of_row_o6() {
    let documents = Documents::build(&[custom()]);
    let schemas = &read(&documents, "apis/otternauts.dev/v1")["components"]["schemas"];
    let stack = &schemas["dev.otternauts.v1.Stack"];
    assert_eq!(stack["x-kubernetes-group-version-kind"][0]["kind"], "Stack");
    assert_eq!(stack["properties"]["metadata"]["allOf"][0]["$ref"], names::reference(names::OBJECT_META));
    assert_eq!(stack["properties"]["spec"]["properties"]["ports"]["x-kubernetes-list-map-keys"], json!(["name"]));
    assert!(stack["properties"]["spec"]["properties"]["template"]["properties"]["kind"].is_object());
    assert_eq!(schemas["dev.otternauts.v1.StackList"]["required"], json!(["items"]));
}

#[test]
fn every_reference_leads_somewhere() {
    fn references(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                out.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|v| references(v, out));
            }
            Value::Array(list) => list.iter().for_each(|v| references(v, out)),
            _ => {}
        }
    }
    let document = read(&Documents::build(&[custom()]), "apis/otternauts.dev/v1");
    let mut all = Vec::new();
    references(&document, &mut all);
    assert!(!all.is_empty());
    for reference in all {
        let name = reference.strip_prefix("#/components/schemas/").expect("a component");
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
}

#[test]
fn v2_joins_all_group_versions_and_leaves_out_what_2_0_does_not_know_rows_o8_and_o9() {
    let mut kind = Definition::clone(&custom());
    kind.versions[0].schema_json = Arc::new(json!({
        "type": "object",
        "properties": {"spec": {
            "type": "object", "required": ["size", "maybe"],
            "properties": {
                "size": {"type": "integer", "minimum": 1, "default": 2, "description": "How big."},
                "maybe": {"type": "object", "nullable": true, "properties": {"a": {"type": "string"}}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "description": "anything"},
                "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                "choice": {"type": "object", "oneOf": [{"required": ["a"]}]},
            },
        }},
    }));
    let documents = Documents::build(&[Arc::new(kind), definition("", "ConfigMap", Origin::BuiltIn)]);
    let document: Value = serde_json::from_slice(&documents.v2().bytes).expect("JSON");
    // What kube-apiserver 1.36 publishes for this schema.
    let spec = &document["definitions"]["dev.otternauts.v1.Stack"]["properties"]["spec"];
    assert_eq!(
        *spec,
        json!({
            "type": "object", "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1, "description": "How big."},
                "maybe": {},
                "free": {"x-kubernetes-preserve-unknown-fields": true, "description": "anything"},
                "port": {"x-kubernetes-int-or-string": true},
                "choice": {"type": "object"},
            },
        })
    );
    let metadata = &document["definitions"]["dev.otternauts.v1.Stack"]["properties"]["metadata"];
    assert_eq!(metadata["$ref"], format!("#/definitions/{}", names::OBJECT_META));
    let post = &document["paths"]["/api/v1/namespaces/{namespace}/configmaps"]["post"];
    assert_eq!(post["parameters"][0]["in"], "body");
    assert_eq!(post["parameters"][1]["type"], "string");
    let patch = &document["paths"]["/apis/otternauts.dev/v1/namespaces/{namespace}/stacks/{name}"]["patch"];
    assert_eq!(patch["consumes"].as_array().map(Vec::len), Some(3));
    let mut kinds: Vec<String> = Vec::new();
    for schema in document["definitions"].as_object().expect("a map").values() {
        kinds.extend(schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten().map(Value::to_string));
    }
    let all = kinds.len();
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds.len(), all, "no kind is published twice: gitops-engine complains");
}

#[test]
fn protobuf_has_the_bytes_that_gnostic_writes() {
    let small = json!({
        "swagger": "2.0", "info": {"title": "T", "version": "1"},
        "definitions": {"A": {
            "type": "object", "required": ["n"], "x-kubernetes-k": [1],
            "properties": {"n": {"type": "integer", "minimum": 1.0, "enum": [1]}},
            "additionalProperties": false,
        }},
    });
    let head: &[u8] = &[0x0a, 3, b'2', b'.', b'0', 0x12, 6, 0x0a, 1, b'T', 0x12, 1, b'1', 0x4a];
    let found = protobuf::v2(&small);
    assert!(found.starts_with(head), "{found:?}");
    let has = |bytes: &[u8]| found.windows(bytes.len()).any(|w| w == bytes);
    assert!(has(&[0x49, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]), "minimum is a double in field 9");
    assert!(has(&[0x9a, 1, 1, b'n']), "required");
    assert!(has(&[0xaa, 1, 2, 0x10, 0]), "a false in a oneof is written");
    assert!(found.ends_with(b"[1]\n"), "extensions travel as YAML");
    assert!(!protobuf::v3(&json!({"openapi": "3.0.0"})).is_empty());
}
