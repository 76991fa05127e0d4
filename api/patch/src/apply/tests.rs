//! Replays writes whose answers a kube-apiserver 1.36 gave (`observed.json`) and compares objects, owners, times and texts.

use super::*;
use crate::{json_patch, merge_patch, same_but_times, update};
use otternauts_meta::Status;
use otternauts_schema::{Schema, apply_defaults, sort_keys};
use serde_json::{Value, json};

fn recording() -> Value {
    serde_json::from_str(include_str!("observed.json")).expect("the recording is JSON")
}

/// The little of a server that the recording needs: defaults, the status subresource, writes that change nothing.
struct Server {
    schema: Schema,
    live: Option<Object>,
}

impl Server {
    fn write(&mut self, step: &Value, now: Timestamp) -> Result<Object, Box<Status>> {
        let manager = step["manager"].as_str().expect("a manager");
        let subresource = step["subresource"].as_str().expect("a subresource");
        let context = Ownership {
            schema: &self.schema,
            api_version: "patch.example.com/v1",
            subresource,
            reset: if subresource == "status" { &["spec", "metadata"] } else { &["status"] },
            sorted_keys: true,
            versions: &["patch.example.com/v1"],
        };
        let body = step["body"].clone();
        let object = |v: Value| Object::from_value(v).expect("an object");
        let mut new = match step["op"].as_str() {
            Some("apply") => {
                let force = step["force"] == json!(true);
                apply(self.live.as_ref(), &object(body), manager, force, &context, now)
                    .map_err(|e| Box::new(Status::from(e)))?
                    .object
            }
            Some("merge") => object(merge_patch(self.live.clone().unwrap_or_default().into_value(), body)),
            _ => object(body),
        };
        new.set_meta_str("namespace", "patch-ns");
        self.restore(&mut new, &context);
        new.metadata_mut().retain(|k, v| k == "managedFields" || ![json!(null), json!([]), json!({})].contains(v));
        let mut value = new.into_value();
        apply_defaults(&self.schema, &mut value);
        let mut new = object(value);
        if step["op"] != json!("apply") {
            update(self.live.as_ref(), &mut new, manager, &context, now);
        }
        if let Some(live) = &self.live
            && same_but_times(live, &new)
        {
            new = live.clone();
        }
        let mut value = new.into_value();
        sort_keys(&mut value);
        let stored = object(value);
        self.live = Some(stored.clone());
        Ok(stored)
    }

    /// What the subresource does not write stays as it is.
    fn restore(&self, new: &mut Object, context: &Ownership<'_>) {
        let list = new.metadata().and_then(|m| m.get("managedFields")).cloned();
        for name in context.reset {
            match self.live.as_ref().and_then(|l| l.0.get(*name)) {
                Some(old) => new.0.insert((*name).to_owned(), old.clone()),
                None => new.0.shift_remove(*name),
            };
        }
        if let (Some(list), false) = (list, context.owns_metadata()) {
            new.metadata_mut().insert("managedFields".to_owned(), list);
        }
    }
}

/// The newest time in an object's owners, in seconds.
fn newest(answer: &Value) -> Option<Timestamp> {
    let entries = answer["metadata"]["managedFields"].as_array()?;
    entries.iter().filter_map(|e| Timestamp::parse(e["time"].as_str()?)).max()
}

/// The recorded server lists the owners of conflicts in no order.
fn with_sorted_causes(mut answer: Value) -> Value {
    if let Some(causes) = answer.get_mut("causes").and_then(Value::as_array_mut) {
        causes.sort_by_key(ToString::to_string);
    }
    answer
}

#[test]
fn ownership_is_what_a_kube_apiserver_recorded() {
    let recording = recording();
    let schema = Schema::parse(&recording["schema"]).expect("a schema");
    let mut wrong = Vec::new();
    for scenario in recording["scenarios"].as_array().expect("scenarios") {
        let mut server = Server { schema: schema.clone(), live: None };
        let never = Timestamp::parse("2050-01-01T00:00:00Z").expect("a time");
        let mut latest = None;
        for (i, step) in scenario["steps"].as_array().expect("steps").iter().enumerate() {
            let expected = &step["answer"];
            // A step that set no time must not set one here either.
            let now = newest(expected).filter(|t| Some(*t) > latest);
            latest = latest.max(now);
            let found = match server.write(step, now.unwrap_or(never)) {
                Ok(object) => object.into_value(),
                Err(status) => {
                    let causes = status.details.as_ref().map(|d| json!(d.causes)).unwrap_or(json!([]));
                    json!({"message": status.message, "reason": status.reason, "causes": causes})
                }
            };
            let (found, expected) = (with_sorted_causes(found), &with_sorted_causes(expected.clone()));
            let (found, expected) = (found.to_string(), expected.to_string());
            if found != expected {
                wrong.push(format!("{} step {i}: {step}\n  found    {found}\n  expected {expected}", scenario["name"]));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn json_patches_of_managed_fields_go_through_update_too() {
    let doc = json!({"metadata":{"managedFields":[{"manager":"a"}]}});
    let patch = json!([{"op":"replace","path":"/metadata/managedFields","value":[{}]}]);
    assert_eq!(json_patch(doc, patch).expect("applies"), json!({"metadata":{"managedFields":[{}]}}));
}

/// Row H4: many fields, in the worst order, cost about what they weigh.
#[test]
fn tens_of_thousands_of_fields_are_owned_compared_and_dropped_soon() {
    let schema = Schema::parse(&json!({"type": "object", "properties": {
        "data": {"type": "object", "additionalProperties": {"type": "integer"}},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}}}))
    .expect("a schema");
    let context = Ownership {
        schema: &schema,
        api_version: "g/v1",
        subresource: "",
        reset: &[],
        sorted_keys: true,
        versions: &[],
    };
    let now = Timestamp::from_micros(0).expect("a time");
    let keys: Vec<String> = (0..30_000_u32).rev().map(|i| format!("{:08x}", i.wrapping_mul(2_654_435_761))).collect();
    let data: serde_json::Map<String, Value> = keys.iter().map(|k| (k.clone(), json!(1))).collect();
    let object = |v: Value| Object::from_value(v).expect("an object");
    let full = object(json!({"metadata": {"name": "x"}, "data": data, "set": keys}));
    let bare = object(json!({"metadata": {"name": "x"}, "data": {keys[7].clone(): 1}, "set": [keys[7]]}));
    let live = apply(None, &full, "m", false, &context, now).expect("applies").object;
    let mut fewer = bare.clone();
    update(Some(&live), &mut fewer, "u", &context, now);
    let left = apply(Some(&live), &bare, "m", false, &context, now).expect("applies").object;
    assert_eq!((&left.0["data"], &left.0["set"]), (&bare.0["data"], &bare.0["set"]));
    let nulls: serde_json::Map<String, Value> = keys.iter().map(|k| (k.clone(), Value::Null)).collect();
    assert_eq!(merge_patch(full.into_value(), json!({"data": nulls}))["data"], json!({}));
}

/// What a kube-apiserver 1.36 answers for a ConfigMap: entries keep their declared order, the core group its slash.
#[test]
fn built_in_kinds_have_entries_in_declared_order() {
    let schema = Schema::parse(&json!({"type": "object", "properties": {
        "data": {"type": "object", "additionalProperties": {"type": "string"}}}}))
    .expect("a schema");
    let context = Ownership {
        schema: &schema,
        api_version: "v1",
        subresource: "",
        reset: &[],
        sorted_keys: false,
        versions: &["v1"],
    };
    let object = |v: Value| Object::from_value(v).expect("an object");
    let config_map = |rest: Value| {
        let head = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c1"}});
        object(merge_patch(head, rest))
    };
    let now = Timestamp::parse("2026-11-21T00:41:49Z").expect("a time");
    let mine = config_map(json!({"metadata": {"labels": {"a": "b"}}, "data": {"x": "y"}}));
    let live = apply(None, &mine, "m", false, &context, now).expect("applies").object;
    let mut new = live.clone();
    new.0["data"]["z"] = json!("1");
    update(Some(&live), &mut new, "k", &context, now);
    let list = new.metadata().expect("metadata")["managedFields"].to_string();
    let expected = r#"[{"manager":"m","operation":"Apply","apiVersion":"v1","time":"2026-11-21T00:41:49Z","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:x":{}},"f:metadata":{"f:labels":{"f:a":{}}}}},{"manager":"k","operation":"Update","apiVersion":"v1","time":"2026-11-21T00:41:49Z","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:z":{}}}}]"#;
    assert_eq!(list, expected);
    let left = apply(Some(&new), &config_map(json!({"data": {}})), "m", false, &context, now).expect("applies").object;
    assert_eq!((left.0["data"].to_string(), left.label("a")), (r#"{"z":"1"}"#.to_owned(), None));
    let wrong = apply(None, &config_map(json!({"foo": {}})), "m", false, &context, now).expect_err("undeclared");
    let text = "failed to create typed patch object (/c1; /v1, Kind=ConfigMap): .foo: field not declared in schema";
    assert_eq!(wrong.to_string(), text);
}
