//! J3: a sealed field that was moved to another place does not open there.

use otternauts_meta::Object;
use otternauts_schema::definition::{Definition, Names, Origin, Scope};
use otternauts_vault::{Identity, Vault};
use serde_json::json;

fn secret(name: &str) -> Object {
    let metadata = json!({"name": name, "namespace": "default", "uid": "u-1"});
    let value = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"a": "aHVudGVyMg=="}});
    Object::from_value(value).expect("an object")
}

#[test]
fn a_sealed_field_opens_nowhere_but_in_its_place() {
    let kind = Definition {
        group: String::new(),
        names: Names { kind: "Secret".to_owned(), ..Names::default() },
        scope: Scope::Namespaced,
        origin: Origin::BuiltIn,
        versions: Vec::new(),
        hash: 0,
    };
    let (vault, _) = Vault::open(&Identity::generate(), None).expect("made");
    let mut sealed = secret("db");
    vault.seal_object(&kind, &mut sealed).expect("sealed");
    let mut moved = sealed.clone();
    moved.set_meta_str("name", "other");
    assert!(vault.open_object(&kind, &mut moved).is_err(), "it was moved to another name, and opened there");
    vault.open_object(&kind, &mut sealed).expect("it opens in its own place");
    assert_eq!(sealed, secret("db"));
}
