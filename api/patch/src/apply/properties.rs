//! Laws of apply and update over random objects; proptest prints the seed of a failure.

use super::*;
use crate::{same_but_times, update};
use otternauts_schema::Schema;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let recording: Value = serde_json::from_str(include_str!("observed.json")).expect("json");
    Schema::parse(&recording["schema"]).expect("a schema")
});

fn context() -> Ownership<'static> {
    Ownership {
        schema: &SCHEMA,
        api_version: "patch.example.com/v1",
        subresource: "",
        reset: &["status"],
        sorted_keys: true,
        versions: &[],
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000).expect("a time")
}

prop_compose! {
    fn named()(name in "[a-d]", v in prop::option::of(0..3)) -> Value {
        match v {
            Some(v) => json!({"name": name, "v": v}),
            None => json!({"name": name}),
        }
    }
}

/// Without empty sets and keyed lists: an applied empty one owns nothing, so the first apply may drop and the second add it.
fn spec_field() -> impl Strategy<Value = (&'static str, Value)> {
    let number = || (0..3).prop_map(|n| json!(n));
    prop_oneof![
        number().prop_map(|n| ("a", n)),
        number().prop_map(|n| ("sub", json!({"x": n}))),
        prop::collection::btree_map("[k-m]", 0..3, 0..3).prop_map(|m| ("m", json!(m))),
        prop::collection::vec("[p-r]", 0..3).prop_map(|l| ("al", json!(l))),
        prop::collection::btree_set("[s-v]", 1..4).prop_map(|l| ("set", json!(l))),
        prop::collection::vec(named(), 1..4).prop_map(|mut l| {
            l.sort_by_key(|v| v["name"].to_string());
            l.dedup_by_key(|v| v["name"].clone());
            ("named", json!(l))
        }),
        number().prop_map(|n| ("any", json!({"o": {"p": n}}))),
    ]
}

fn object() -> impl Strategy<Value = Object> {
    let labels = prop::collection::btree_map("[a-c]", "[x-y]", 0..3);
    (prop::collection::vec(spec_field(), 0..5), labels).prop_map(|(fields, labels)| {
        let spec: serde_json::Map<String, Value> = fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let value = json!({"apiVersion": "patch.example.com/v1", "kind": "Widget",
            "metadata": {"name": "w", "uid": "u", "labels": labels}, "spec": spec});
        Object::from_value(value).expect("an object")
    })
}

proptest! {
    #[test]
    fn applying_twice_changes_nothing_the_second_time(
        live in object(), other in object(), first in object(), mine in object()
    ) {
        let mut live = live;
        update(None, &mut live, "u", &context(), at(1));
        let live = apply(Some(&live), &other, "other", true, &context(), at(2)).expect("forced").object;
        let live = apply(Some(&live), &first, "me", true, &context(), at(3)).expect("forced").object;
        let once = apply(Some(&live), &mine, "me", true, &context(), at(4)).expect("forced").object;
        let twice = apply(Some(&once), &mine, "me", false, &context(), at(5)).expect("own fields do not conflict");
        prop_assert!(!twice.changed);
        prop_assert_eq!(twice.object, once);
    }

    #[test]
    fn what_was_applied_is_there_and_owned(live in object(), mine in object()) {
        let mut live = live;
        update(None, &mut live, "u", &context(), at(1));
        let applied = apply(Some(&live), &mine, "me", true, &context(), at(2)).expect("forced").object;
        let set = extract(&mine, &context());
        let left = compare(Some(&mine), &applied, &context());
        prop_assert!(left.removed.is_empty(), "nothing applied is missing: {:?}", left.removed.paths());
        prop_assert!(left.changed.intersection(&set).is_empty(), "nothing applied differs");
        let owners = ManagedFields::of(&applied).expect("owners");
        let own = owners.0.iter().find(|e| e.manager == "me").map(|e| e.fields.clone()).unwrap_or_default();
        prop_assert_eq!(own, set);
    }

    #[test]
    fn an_update_owns_exactly_what_it_changed(old in object(), new in object()) {
        let mut live = old;
        update(None, &mut live, "a", &context(), at(1));
        let mut written = new.clone();
        update(Some(&live), &mut written, "b", &context(), at(2));
        let diff = compare(Some(&live), &new, &context());
        let owners = ManagedFields::of(&written).expect("owners");
        let fields = |m: &str| owners.0.iter().find(|e| e.manager == m).map(|e| e.fields.clone()).unwrap_or_default();
        prop_assert_eq!(fields("b"), diff.changed);
        prop_assert!(fields("a").intersection(&fields("b")).is_empty());
        let mut again = written.clone();
        again.metadata_mut().shift_remove("managedFields");
        update(Some(&written), &mut again, "c", &context(), at(3));
        prop_assert!(same_but_times(&written, &again), "a write without a change leaves everything");
    }

    #[test]
    fn booking_in_the_stored_list_gives_what_reading_it_all_gives(writes in prop::collection::vec((object(), 0..3_usize), 1..6)) {
        let mut live: Option<Object> = None;
        for (second, (new, who)) in writes.into_iter().enumerate() {
            let now = at(1 + second as i64 / 2);
            let manager = ["a", "b", "c"][who];
            let mut quick = new.clone();
            update(live.as_ref(), &mut quick, manager, &context(), now);
            let mut slow = new.clone();
            let mut managed = live.as_ref().map(|l| ManagedFields::of(l).expect("owners")).unwrap_or_default();
            if live.is_none() || !managed.0.is_empty() {
                managed.take(compare(live.as_ref(), &new, &context()), manager, &context(), now);
                managed.tidy(&context());
            }
            managed.store(&mut slow, true);
            prop_assert_eq!(Value::Object(quick.0.clone()).to_string(), Value::Object(slow.0).to_string());
            live = Some(quick);
        }
    }
}
