//! The programs of clients/examples, run as a person runs them against the built program (issue 4 item 8).

use crate::sdk::{built, said};
use crate::{OTTER, otter};
use otternauts_harness::skip::skip;
use otternauts_harness::{Otter, until};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/examples").join(path)
}

fn target(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sdk").join(path)
}

/// A program that goes on until it is dropped, with what it has printed so far.
struct Running {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        // In a group of its own: what it has started ends with it.
        let mut child = command.process_group(0).stdout(Stdio::piped()).spawn().expect("the program starts");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let stdout = child.stdout.take().expect("stdout is piped");
        let all = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                all.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Self { child, lines }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has printed a line that begins so.
    fn says(&self, start: &str) {
        until(&format!("the line {start:?}"), PATIENCE, || {
            let lines = self.lines();
            if lines.iter().any(|line| line.starts_with(start)) { Ok(()) } else { Err(lines) }
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _it_may_have_ended = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _it_may_have_ended = self.child.wait();
    }
}

fn stack(otter: &Otter, name: &str) {
    otter.apply(&format!(
        "apiVersion: otternauts.dev/v1\nkind: Stack\nmetadata: {{name: {name}}}\nspec: {{compose: {{inline: 'services: {{web: {{image: nginx}}}}'}}}}\n"
    ));
}

/// The object of a kind, or null.
fn get(otter: &Otter, kind: &str, name: &str) -> Value {
    let found = otter.kubectl(&["get", kind, name, "-o", "json"]);
    if found.code == 0 { found.json() } else { Value::Null }
}

fn status(otter: &Otter, kind: &str, name: &str, status: &str) {
    let patch = format!(r#"{{"status": {status}}}"#);
    otter.kubectl(&["patch", kind, name, "--subresource=status", "--type=merge", "-p", &patch]).ok();
}

#[test]
fn the_curl_watcher_tells_every_change_once_over_a_kill_of_the_server() {
    if !["curl", "jq"].iter().all(|program| installed(program)) {
        return skip("the curl watcher", "curl or jq is not installed");
    }
    let mut otter = otter();
    stack(&otter, "first");
    let watcher = Running::start(
        Command::new(example("curl-watcher/watch.sh"))
            .arg("/apis/otternauts.dev/v1/stacks")
            .env("OTTER_SERVER", &otter.url)
            .env("OTTER_CA", otter.data_dir().join("pki/ca.crt"))
            .env("OTTER_TOKEN", otter.data_dir().join("admin.token")),
    );
    watcher.says("LISTED first ");
    stack(&otter, "second");
    watcher.says("ADDED second ");
    otter.kill();
    otter.boot();
    stack(&otter, "third");
    otter.kubectl(&["delete", "stack", "first"]).ok();
    watcher.says("DELETED first ");
    let told: Vec<String> =
        watcher.lines().iter().map(|line| line.rsplit_once(' ').map_or("", |(words, _)| words).to_owned()).collect();
    assert_eq!(told, ["LISTED first", "ADDED second", "ADDED third", "DELETED first"]);
}

fn installed(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

fn operator(otter: &Otter) -> Running {
    let mut command = Command::new(target("python/bin/python"));
    Running::start(command.arg(example("website-operator/operator.py")).env("KUBECONFIG", otter.kubeconfig()))
}

fn website(image: &str) -> String {
    format!(
        "apiVersion: examples.otternauts.dev/v1\nkind: Website\nmetadata: {{name: blog}}\nspec: {{image: '{image}', domain: blog.example.com}}\n"
    )
}

#[test]
fn the_python_operator_gives_a_website_its_stack_and_catches_up_after_it_was_away() {
    if !built("the Python operator", "python") {
        return;
    }
    let otter = otter();
    otter.apply(&std::fs::read_to_string(example("website-operator/crd.yml")).expect("the example has a CRD"));
    otter.kubectl(&["wait", "--for=condition=Established", "crd/websites.examples.otternauts.dev"]).ok();
    let image_is = |image: &str| {
        until(&format!("the stack to have {image}"), PATIENCE, || {
            let stack = get(&otter, "stack", "blog");
            let compose = stack["spec"]["compose"]["inline"].as_str().unwrap_or_default();
            let compose: Value = serde_json::from_str(compose).unwrap_or_default();
            if compose["services"]["web"]["image"] == image { Ok(compose) } else { Err(stack) }
        })
    };
    let running = operator(&otter);
    otter.apply(&website("nginx:1"));
    let compose = image_is("nginx:1");
    assert_eq!(compose["services"]["web"]["x-otternauts"]["domains"][0], "blog.example.com");
    assert_eq!(compose["services"]["web"]["deploy"]["replicas"], 1, "the default of the CRD");
    status(&otter, "stack", "blog", r#"{"phase": "running"}"#);
    until("the website to say how its stack is", PATIENCE, || {
        let website = get(&otter, "website", "blog");
        if website["status"]["phase"] == "running" { Ok(()) } else { Err(website) }
    });
    otter.apply(&website("nginx:2"));
    image_is("nginx:2");
    drop(running);
    otter.apply(&website("nginx:3"));
    let _again = operator(&otter);
    image_is("nginx:3");
    otter.kubectl(&["delete", "website", "blog"]).ok();
    until("the stack to go with its website", PATIENCE, || match get(&otter, "stack", "blog") {
        Value::Null => Ok(()),
        stack => Err(stack),
    });
}

#[test]
fn the_typescript_bot_rolls_a_failure_back_once_to_what_ran_and_leaves_a_failed_rollback_alone() {
    if !built("the TypeScript bot", "typescript") {
        return;
    }
    let otter = otter();
    stack(&otter, "shop");
    let deployment = |name: &str, stack: &str, version: u8, outcome: &str| {
        otter.apply(&format!(
            "apiVersion: otternauts.dev/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec: {{stackRef: {{name: {stack}}}, version: {version}}}\n"
        ));
        status(&otter, "deployment", name, outcome);
    };
    deployment("shop-1", "shop", 1, r#"{"phase": "superseded", "steps": [{"name": "converge", "state": "Done"}]}"#);
    deployment("shop-2", "shop", 2, r#"{"phase": "superseded", "steps": [{"name": "converge", "state": "Started"}]}"#);
    let running = bot(&otter);
    deployment("shop-3", "shop", 3, r#"{"phase": "failed", "lastError": "Health check failed"}"#);
    running.says("shop-3 failed: shop goes back to version 1");
    let undo = get(&otter, "deployment", "shop-3-undo");
    assert_eq!(undo["spec"]["rollbackTo"], 1, "version 2 was only begun");
    assert_eq!(undo["spec"]["trigger"], "rollback");
    status(&otter, "deployment", "shop-3-undo", r#"{"phase": "failed"}"#);
    deployment("other-1", "other", 1, r#"{"phase": "failed"}"#);
    running.says("other-1 failed, and other has no good version");
    drop(running);
    let again = bot(&otter);
    again.says("other-1 failed, and other has no good version");
    deployment("last-1", "last", 1, r#"{"phase": "failed"}"#);
    again.says("last-1 failed");
    let names = otter.kubectl(&["get", "deployments", "-o", "name"]);
    assert_eq!(names.ok().matches("undo").count(), 1, "{}", names.stdout);
}

fn bot(otter: &Otter) -> Running {
    Running::start(Command::new("node").arg(target("typescript/bot.js")).env("KUBECONFIG", otter.kubeconfig()))
}

#[test]
fn the_monitoring_stack_is_valid_and_so_is_what_it_tells_prometheus() {
    let folder = tempfile::tempdir().expect("a directory");
    let place = folder.path().join("clients/examples/monitoring");
    let alerts = folder.path().join("observability/alerts");
    let dashboards = folder.path().join("observability/dashboards/json");
    std::fs::create_dir_all(&dashboards).expect("made");
    let compose = std::fs::read_to_string(example("monitoring/compose.yml")).expect("it is there");
    let drawn = Path::new(env!("CARGO_MANIFEST_DIR")).join("observability/dashboards/json");
    for entry in std::fs::read_dir(drawn).expect("there are dashboards") {
        let entry = entry.expect("readable");
        let name = entry.file_name().into_string().expect("UTF-8");
        std::fs::copy(entry.path(), dashboards.join(&name)).expect("copied");
        assert!(compose.contains(&format!("/dashboards/json/{name}}}")), "{name} is not among the stack's dashboards");
    }
    std::fs::create_dir_all(&place).expect("made");
    std::fs::create_dir_all(&alerts).expect("made");
    for rules in ["recording.yml", "alerts.yml"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("observability/alerts").join(rules);
        std::fs::copy(from, alerts.join(rules)).expect("the rules are where the example expects them");
    }
    std::fs::write(place.join("compose.yml"), &compose).expect("written");
    for name in ["otternauts.token", "otternauts-ca.crt"] {
        std::fs::write(place.join(name), "what a person puts there\n").expect("written");
    }
    let mut validate = Command::new(OTTER);
    validate.args(["validate", "compose.yml"]).current_dir(&place);
    for value in ["CONTROL_PLANE=198.51.100.7:7443", "GRAFANA_DOMAIN=grafana.example.com", "GRAFANA_PASSWORD=x"] {
        validate.args(["--env", value]);
    }
    let ran = validate.output().expect("otter runs");
    assert!(ran.status.success(), "{}", said(&ran));
    assert!(said(&ran).contains("valid") && !said(&ran).contains("warning"), "{}", said(&ran));

    if !installed("promtool") {
        return skip("what the monitoring stack tells Prometheus", "promtool is not installed");
    }
    let inline = compose.split_once("  prometheus:\n    content: |\n").expect("an inline configuration").1;
    let lines = inline.lines().map_while(|line| line.strip_prefix("      ")).collect::<Vec<_>>().join("\n");
    let file = alerts.join("prometheus.yml");
    std::fs::write(&file, lines.replace("${CONTROL_PLANE}", "198.51.100.7:7443")).expect("written");
    let ran = Command::new("promtool").args(["check", "config", "--syntax-only"]).arg(&file).output().expect("it runs");
    assert!(ran.status.success(), "{}", said(&ran));
}
