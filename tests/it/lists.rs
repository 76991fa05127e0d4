//! Long lists are sent while they are read: in every form a client may ask for, they are the same (section 1.14, rows T8, T12).

use crate::otter;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

const COUNT: usize = 1_200;
const PATH: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_the_same_in_every_form() {
    let otter = otter();
    let api: Api<ConfigMap> = Api::default_namespaced(otter.client().await);
    let mut clients = tokio::task::JoinSet::new();
    for first in 0..16 {
        let api = api.clone();
        clients.spawn(async move {
            for i in (first..COUNT).step_by(16) {
                let text = "x".repeat(300 + i % 700);
                let object = json!({"metadata": {"name": format!("m{i:05}")}, "data": {"text": text}});
                let object: ConfigMap = serde_json::from_value(object).expect("a ConfigMap");
                api.create(&PostParams::default(), &object).await.expect("created");
            }
        });
    }
    clients.join_all().await;

    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().expect("items");
        items.iter().map(|i| i["metadata"]["name"].as_str().expect("a name").to_owned()).collect()
    };
    let plain = otter.curl_admin(PATH, &["-A", "test", "--http1.1"]).json();
    let mut expected: Vec<String> = (0..COUNT).map(|i| format!("m{i:05}")).collect();
    expected.extend(names(&plain).into_iter().filter(|n| !n.starts_with('m')));
    expected.sort();
    assert_eq!(names(&plain), expected);
    assert_eq!(plain["kind"], "ConfigMapList");
    assert!(plain["items"][0].get("kind").is_none(), "items of built-in kinds do not repeat their kind");

    let forms: [&[&str]; 4] = [
        &["-A", "test", "--http2"],
        &["-A", "test", "--http1.1", "--compressed"],
        &["-A", "test", "--http2", "--compressed"],
        // curl itself is a person's tool: its answers are indented.
        &["--http1.1"],
    ];
    for form in forms {
        assert!(otter.curl_admin(PATH, form).json() == plain, "{form:?} answers something else");
    }
    let paged = otter.kubectl(&["get", "configmaps", "-o", "name"]);
    assert_eq!(paged.ok().lines().count(), expected.len());
    let yaml = otter.curl_admin(PATH, &["-A", "test", "-H", "Accept: application/yaml"]);
    assert_eq!(yaml.ok().matches("\n    name: m").count(), COUNT, "YAML has them all");
}
