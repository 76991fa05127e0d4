//! kubectl's everyday verbs against our kinds, a user's CRD, Namespaces and Secrets: no warning, no flag (section 1.21).

use crate::otter;
use otternauts_harness::{Otter, Ran};

const STACK: &str = r"
apiVersion: otternauts.dev/v1
kind: Stack
metadata: {name: shop}
spec:
  deployPolicy: Manual
  compose:
    inline: |
      services:
        web: {image: nginx}
";

const WIDGETS: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    schema:
      openAPIV3Schema:
        type: object
        description: A widget of the test.
        properties:
          spec:
            type: object
            required: [size]
            properties:
              size: {type: integer, minimum: 1, description: How big it is.}
              color: {type: string, enum: [red, blue], default: red}
          status:
            type: object
            properties: {phase: {type: string}}
"#;

fn quiet(ran: &Ran) -> &str {
    assert!(ran.stderr.is_empty(), "a warning: {}", ran.stderr);
    ran.ok()
}

fn with_widgets() -> Otter {
    let otter = otter();
    quiet(&otter.kubectl_in(&["apply", "-f", "-"], WIDGETS));
    quiet(&otter.kubectl(&["wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=120s"]));
    otter
}

#[test]
fn apply_get_describe_label_patch_edit_and_delete_work_on_our_kinds() {
    let otter = otter();
    assert_eq!(quiet(&otter.kubectl_in(&["apply", "-f", "-"], STACK)), "stack.otternauts.dev/shop created\n");
    assert_eq!(quiet(&otter.kubectl_in(&["apply", "-f", "-"], STACK)), "stack.otternauts.dev/shop unchanged\n");
    let table = otter.kubectl(&["get", "stacks"]);
    let head: Vec<&str> = quiet(&table).lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(head, ["NAME", "PHASE", "VERSION", "READY", "AGE"]);
    assert!(quiet(&otter.kubectl(&["get", "stk", "shop", "-o", "name"])).contains("stack.otternauts.dev/shop"));
    assert!(quiet(&otter.kubectl(&["describe", "stack", "shop"])).contains("Deploy Policy:"));
    quiet(&otter.kubectl(&["label", "stack", "shop", "tier=front"]));
    quiet(&otter.kubectl(&["annotate", "stack", "shop", "why=test"]));
    quiet(&otter.kubectl(&["patch", "stack", "shop", "--type=merge", "-p", r#"{"spec":{"revisionHistoryLimit":3}}"#]));
    let patch = r#"[{"op":"replace","path":"/spec/revisionHistoryLimit","value":4}]"#;
    quiet(&otter.kubectl(&["patch", "stack", "shop", "--type=json", "-p", patch]));
    let stack = otter.kubectl(&["get", "stack", "shop", "-o", "json"]).json();
    assert_eq!(stack["spec"]["revisionHistoryLimit"], 4);
    assert_eq!(stack["metadata"]["labels"]["tier"], "front");
    assert_eq!(stack["metadata"]["generation"], 3, "labels do not count, the two patches do (S5)");
    quiet(&otter.kubectl(&["get", "all"]));
    assert!(
        otter.kubectl(&["edit", "stack", "shop"]).ok().is_empty()
            || otter.kubectl(&["edit", "stack", "shop"]).code == 0
    );
    assert_eq!(quiet(&otter.kubectl(&["delete", "stack", "shop"])), "stack.otternauts.dev \"shop\" deleted\n");
    assert!(otter.kubectl(&["get", "stack", "shop"]).refused().contains("\"shop\" not found"));
}

#[test]
fn server_side_apply_owns_fields_and_conflicts_are_told() {
    let otter = with_widgets();
    let widget =
        |size: u8| format!("apiVersion: example.com/v1\nkind: Widget\nmetadata: {{name: a}}\nspec: {{size: {size}}}\n");
    let apply = ["apply", "--server-side", "-f", "-"];
    assert_eq!(quiet(&otter.kubectl_in(&apply, &widget(1))), "widget.example.com/a serverside-applied\n");
    let mine = ["apply", "--server-side", "--field-manager=other", "-f", "-"];
    let conflict = otter.kubectl_in(&mine, &widget(2));
    assert!(conflict.refused().contains("conflict with \"kubectl\": .spec.size"), "{}", conflict.stderr);
    let forced = ["apply", "--server-side", "--force-conflicts", "--field-manager=other", "-f", "-"];
    quiet(&otter.kubectl_in(&forced, &widget(2)));
    let managed = otter.kubectl(&["get", "widget", "a", "-o", "json", "--show-managed-fields"]).json();
    let managers: Vec<&str> = managed["metadata"]["managedFields"]
        .as_array()
        .expect("managed fields")
        .iter()
        .filter_map(|m| m["manager"].as_str())
        .collect();
    assert!(managers.contains(&"other"), "{managers:?}");
}

#[test]
fn a_users_crd_is_defaulted_validated_explained_and_diffed() {
    let otter = with_widgets();
    let good = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\nspec: {size: 3}\n";
    quiet(&otter.kubectl_in(&["create", "-f", "-"], good));
    let stored = otter.kubectl(&["get", "wd", "a", "-o", "json"]).json();
    assert_eq!(stored["spec"]["color"], "red", "the default of the schema (X9)");
    let bad = good.replace("size: 3", "size: 0, color: green").replace("name: a", "name: b");
    let refused = otter.kubectl_in(&["create", "-f", "-"], &bad);
    for text in [
        "The Widget \"b\" is invalid",
        "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1",
        "spec.color: Unsupported value: \"green\": supported values: \"red\", \"blue\"",
    ] {
        assert!(refused.refused().contains(text), "{text}: {}", refused.stderr);
    }
    let explained = otter.kubectl(&["explain", "widget.spec"]);
    assert!(quiet(&explained).contains("How big it is."), "{}", explained.stdout);
    let changed = good.replace("size: 3", "size: 5");
    let diff = otter.kubectl_in(&["diff", "-f", "-"], &changed);
    assert_eq!(diff.code, 1, "{}", diff.stderr);
    assert!(diff.stdout.contains("-  size: 3") && diff.stdout.contains("+  size: 5"), "{}", diff.stdout);
    let after = otter.kubectl(&["get", "widget", "a", "-o", "json"]).json();
    assert_eq!(
        after["metadata"]["resourceVersion"], stored["metadata"]["resourceVersion"],
        "a diff changes nothing (F1)"
    );
    let table = otter.kubectl(&["get", "widgets"]);
    assert!(
        quiet(&table).lines().nth(1).is_some_and(|l| l.split_whitespace().take(2).eq(["a", "3"])),
        "{}",
        table.stdout
    );
}

#[test]
fn deleting_a_crd_takes_its_objects_along() {
    let otter = with_widgets();
    otter.apply("apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\nspec: {size: 3}\n");
    quiet(&otter.kubectl(&["delete", "crd", "widgets.example.com", "--timeout=120s"]));
    let gone = otter.kubectl(&["get", "widgets.example.com"]);
    assert!(gone.refused().contains("the server doesn't have a resource type"), "{}", gone.stderr);
}

#[test]
fn namespaces_empty_themselves() {
    let otter = otter();
    assert_eq!(quiet(&otter.kubectl(&["create", "namespace", "n"])), "namespace/n created\n");
    quiet(&otter.kubectl(&["-n", "n", "create", "configmap", "c", "--from-literal=a=b"]));
    quiet(&otter.kubectl(&["-n", "n", "create", "secret", "generic", "s", "--from-literal=a=b"]));
    otter.kubectl_in(&["-n", "n", "apply", "-f", "-"], STACK).ok();
    quiet(&otter.kubectl(&["delete", "namespace", "n", "--timeout=120s"]));
    assert!(otter.kubectl(&["get", "namespace", "n"]).refused().contains("not found"));
    assert!(quiet(&otter.kubectl(&["get", "stacks", "-A", "-o", "name"])).is_empty());
    let kept = otter.kubectl(&["delete", "namespace", "default"]);
    assert!(kept.refused().contains("this namespace may not be deleted"), "{}", kept.stderr);
}

#[test]
fn secrets_are_read_back_and_described_without_their_values() {
    let otter = otter();
    let create = ["create", "secret", "generic", "s", "--from-literal=user=otto", "--from-literal=pass=geheim"];
    assert_eq!(quiet(&otter.kubectl(&create)), "secret/s created\n");
    assert_eq!(otter.kubectl(&["get", "secret", "s", "-o", "jsonpath={.data.pass}"]).ok(), "Z2VoZWlt");
    let table = otter.kubectl(&["get", "secret", "s"]);
    assert!(
        quiet(&table).lines().nth(1).is_some_and(|l| l.split_whitespace().take(3).eq(["s", "Opaque", "2"])),
        "{}",
        table.stdout
    );
    assert!(!quiet(&otter.kubectl(&["describe", "secret", "s"])).contains("geheim"));
    quiet(&otter.kubectl(&["patch", "secret", "s", "-p", r#"{"stringData":{"pass":"neu"}}"#]));
    assert_eq!(otter.kubectl(&["get", "secret", "s", "-o", "jsonpath={.data.pass}"]).ok(), "bmV1");
    quiet(&otter.kubectl(&["delete", "secret", "s"]));
}

#[test]
fn resources_and_rights_are_told() {
    let otter = otter();
    let resources = otter.kubectl(&["api-resources"]);
    for (short, kind) in [
        ("cl", "Cluster"),
        ("srv", "Server"),
        ("stk", "Stack"),
        ("dpl", "Deployment"),
        ("hrule", "HealRule"),
        ("regcred", "RegistryCredential"),
    ] {
        let found = quiet(&resources).lines().any(|l| {
            let words: Vec<&str> = l.split_whitespace().collect();
            words.contains(&short) && words.last() == Some(&kind)
        });
        assert!(found, "{short} {kind}: {}", resources.stdout);
    }
    let me = otter.kubectl(&["auth", "whoami", "-o", "json"]).json();
    assert_eq!(me["status"]["userInfo"]["username"], "admin");
    assert_eq!(quiet(&otter.kubectl(&["auth", "can-i", "delete", "stacks"])), "yes\n");
    assert_eq!(
        otter.kubectl(&["auth", "can-i", "delete", "servers"]).ok(),
        "yes\n",
        "kubectl warns that servers have no namespace"
    );
    assert!(quiet(&otter.kubectl(&["auth", "can-i", "--list"])).contains("*.*"));
    let version = otter.kubectl(&["version", "-o", "json"]).json();
    assert!(
        version["serverVersion"]["gitVersion"].as_str().is_some_and(|v| v.starts_with("v1.36.0+otternauts.")),
        "{version}"
    );
    assert!(quiet(&otter.kubectl(&["explain", "stack.spec.compose"])).contains("configMapRef"));
}

#[test]
fn a_watch_prints_changes_as_they_come() {
    use std::io::{BufRead as _, BufReader};
    let otter = otter();
    let cache = otter.data_dir().join("kubectl-watch-cache");
    let mut child = otternauts_harness::kubectl::command(&otter.kubeconfig(), &cache)
        .args(["get", "stacks", "-w", "-o", "name"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("kubectl starts");
    let (send, lines) = std::sync::mpsc::channel();
    let out = child.stdout.take().expect("piped");
    std::thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).try_for_each(|l| send.send(l)));
    otter.apply(STACK);
    let line = lines.recv_timeout(std::time::Duration::from_secs(180));
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert_eq!(line.as_deref(), Ok("stack.otternauts.dev/shop"));
}
