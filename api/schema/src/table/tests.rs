use crate::{builtin, table};
use otternauts_meta::{Object, Timestamp};
use serde_json::{Value, json};

#[expect(clippy::needless_pass_by_value, reason = "rows of a table read better")]
fn check(group: &str, plural: &str, names: &[&str], object: Value, cells: Value) {
    let definition = builtin::definitions()
        .into_iter()
        .find(|d| d.group == group && d.names.plural == plural)
        .expect("a built-in kind");
    let columns: Vec<String> = table::columns(&definition, "v1").into_iter().map(|c| c.name).collect();
    assert_eq!(columns, names, "{plural}");
    let now = Timestamp::parse("2026-01-02T00:00:00Z").expect("a time");
    let object = Object::from_value(object).expect("an object");
    assert_eq!(Value::Array(table::cells(&definition, "v1", &object, now)), cells, "{plural}");
}

#[test]
fn built_in_kinds_show_what_the_reference_shows() {
    let meta = json!({"name": "n", "creationTimestamp": "2026-01-01T00:00:00Z"});
    check(
        "",
        "secrets",
        &["Name", "Type", "Data", "Age"],
        json!({"metadata": meta, "type": "Opaque", "data": {"a": "", "b": ""}}),
        json!(["n", "Opaque", 2, "24h"]),
    );
    check("", "configmaps", &["Name", "Data", "Age"], json!({"metadata": meta}), json!(["n", 0, "24h"]));
    check(
        "",
        "namespaces",
        &["Name", "Status", "Age"],
        json!({"metadata": meta, "status": {"phase": "Active"}}),
        json!(["n", "Active", "24h"]),
    );
    check("", "serviceaccounts", &["Name", "Age"], json!({"metadata": {"name": "n"}}), json!(["n", "<unknown>"]));
    check(
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        &["Name", "Created At"],
        json!({"metadata": meta}),
        json!(["n", "2026-01-01T00:00:00Z"]),
    );
    check(
        "rbac.authorization.k8s.io",
        "rolebindings",
        &["Name", "Role", "Age", "Users", "Groups", "ServiceAccounts"],
        json!({"metadata": meta, "roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "a"},
            {"kind": "User", "name": "b"}, {"kind": "ServiceAccount", "namespace": "x", "name": "c"}]}),
        json!(["n", "Role/r", "24h", "a, b", "", "x/c"]),
    );
}

#[test]
fn events_of_both_apis_read_alike() {
    let columns =
        ["Last Seen", "Type", "Reason", "Object", "Subobject", "Source", "Message", "First Seen", "Count", "Name"];
    check(
        "",
        "events",
        &columns,
        json!({"metadata": {"name": "e"}, "involvedObject": {"kind": "Stack", "name": "a"}, "type": "Normal", "reason": "R",
            "message": " m\n", "source": {"component": "c", "host": "h"}, "firstTimestamp": "2026-01-01T23:00:00Z",
            "lastTimestamp": "2026-01-01T23:59:00Z", "count": 3}),
        json!(["60s", "Normal", "R", "stack/a", "", "c, h", "m", "60m", 3, "e"]),
    );
    check(
        "events.k8s.io",
        "events",
        &columns,
        json!({"metadata": {"name": "e"}, "regarding": {"kind": "Stack"}, "type": "Warning", "reason": "R", "note": "m",
            "reportingController": "c", "eventTime": "2026-01-01T23:00:00.000000Z",
            "series": {"count": 7, "lastObservedTime": "2026-01-01T23:59:30.000000Z"}}),
        json!(["30s", "Warning", "R", "stack", "", "c", "m", "60m", 7, "e"]),
    );
}
