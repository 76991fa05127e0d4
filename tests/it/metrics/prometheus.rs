//! A real Prometheus scrapes the running binary under scripted work and an incident; every panel and every rule has data.

use super::{program, work};
use crate::notify::receiver::{Answer, Receiver};
use crate::notify::{messages, notifier_of, webhook};
use otternauts_dashboards::{alerts, boards, lint, rules};
use otternauts_harness::{Otter, kubectl, ports, until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(300);
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A program that listens, killed when dropped.
pub struct Program {
    child: Child,
    pub url: String,
    log: PathBuf,
}

impl Program {
    /// Starts it with its own log, and waits until it is ready.
    fn start(mut command: Command, name: &str, dir: &Path, port: u16) -> Self {
        let log = dir.join(format!("{name}.log"));
        let out = std::fs::File::create(&log).expect("a file can be made");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(out).spawn().expect("it starts");
        let new = Self { child, url: format!("http://127.0.0.1:{port}"), log };
        until(name, PATIENCE, || {
            let ready = new.get("/-/ready", &[]);
            if ready.code == 0 { Ok(()) } else { Err(std::fs::read_to_string(&new.log).unwrap_or_default()) }
        });
        new
    }

    pub fn get(&self, path: &str, args: &[&str]) -> kubectl::Ran {
        let mut command = Command::new("curl");
        kubectl::run(command.args(["-fsS", "--max-time", "20"]).args(args).arg(format!("{}{path}", self.url)), "")
    }

    /// The series that a query has now.
    pub fn query(&self, expr: &str) -> Vec<Value> {
        let ran = self.get("/api/v1/query", &["-G", "--data-urlencode", &format!("query={expr}")]);
        ran.json()["data"]["result"].as_array().cloned().unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _it_may_have_ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The committed rules, but for waiting times that no test waits for, and those of the mixin.
fn write_rules(dir: &Path) {
    let read = |path: &str| std::fs::read_to_string(Path::new(ROOT).join(path)).expect("it is committed");
    let alerts = read("observability/alerts/alerts.yml");
    let at_once: String = alerts.lines().filter(|l| !l.starts_with("        for: ")).flat_map(|l| [l, "\n"]).collect();
    std::fs::write(dir.join("alerts.yml"), at_once).expect("a file can be written");
    std::fs::write(dir.join("recording.yml"), read("observability/alerts/recording.yml")).expect("written");
    std::fs::write(dir.join("mixin.yml"), read("tests/fixtures/mixin.yml")).expect("written");
}

fn config(otter: &Otter, alertmanager: Option<&Program>) -> String {
    let target = otter.url.trim_start_matches("https://");
    let data = otter.data_dir();
    let (token, ca) = (data.join("admin.token"), data.join("pki/ca.crt"));
    let mut text = "global: {scrape_interval: 3s, scrape_timeout: 3s, evaluation_interval: 1s}\n\
        rule_files: [recording.yml, alerts.yml, mixin.yml]\n"
        .to_owned();
    if let Some(alertmanager) = alertmanager {
        let at = alertmanager.url.trim_start_matches("http://");
        text += &format!("alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{at}']}}]}}]}}\n");
    }
    text += "scrape_configs:\n";
    let jobs = [
        ("otternauts", "/metrics"),
        ("otternauts-fleet", "/metrics/fleet"),
        ("otternauts-slis", "/metrics/slis"),
        ("otternauts-containers", "/metrics/containers"),
        ("kube-apiserver", "/metrics"),
    ];
    for (job, path) in jobs {
        text += &format!(
            "  - {{job_name: {job}, metrics_path: {path}, scheme: https, authorization: {{credentials_file: {}}}, \
             tls_config: {{ca_file: {}}}, static_configs: [{{targets: ['{target}']}}]}}\n",
            token.display(),
            ca.display()
        );
    }
    text
}

/// Prometheus on the committed rules; without it the test skips loudly.
pub fn prometheus(test: &str, otter: &Otter, dir: &TempDir, alertmanager: Option<&Program>) -> Option<Program> {
    let mut command = program(test, "prometheus")?;
    let port = ports::free();
    write_rules(dir.path());
    std::fs::write(dir.path().join("prometheus.yml"), config(otter, alertmanager)).expect("a file can be written");
    let at = |flag: &str, path: &str| format!("--{flag}={}", dir.path().join(path).display());
    command.args([at("config.file", "prometheus.yml"), at("storage.tsdb.path", "tsdb")]);
    command.args([format!("--web.listen-address=127.0.0.1:{port}"), "--rules.alert.resend-delay=3s".to_owned()]);
    Some(Program::start(command, "prometheus", dir.path(), port))
}

/// Alertmanager that tells our own hook at once.
fn alertmanager(test: &str, otter: &Otter, dir: &TempDir) -> Option<Program> {
    let mut command = program(test, "prometheus-alertmanager")?;
    let port = ports::free();
    let data = otter.data_dir();
    let (token, ca) = (data.join("admin.token"), data.join("pki/ca.crt"));
    let (token, ca, hook) = (token.display(), ca.display(), format!("{}/hooks/alertmanager", otter.url));
    let http = format!("http_config: {{authorization: {{credentials_file: {token}}}, tls_config: {{ca_file: {ca}}}}}");
    let config = format!(
        "route: {{receiver: ours, group_by: [alertname, server], group_wait: 1s, group_interval: 1s, repeat_interval: 1h}}\n\
         receivers: [{{name: ours, webhook_configs: [{{send_resolved: true, url: '{hook}', {http}}}]}}]\n"
    );
    std::fs::write(dir.path().join("alertmanager.yml"), config).expect("a file can be written");
    let at = |flag: &str, path: &str| format!("--{flag}={}", dir.path().join(path).display());
    command.args([at("config.file", "alertmanager.yml"), at("storage.path", "alerts")]);
    command.args([format!("--web.listen-address=127.0.0.1:{port}"), "--cluster.listen-address=".to_owned()]);
    Some(Program::start(command, "alertmanager", dir.path(), port))
}

/// What only an incident brings about: a Stack that comes to be Ready, a message that nobody takes.
fn incident(otter: &Otter) {
    let notifier = format!(
        "apiVersion: otternauts.dev/v1\nkind: Notifier\nmetadata: {{name: nobody, namespace: otternauts-system}}\n\
         spec: {{channel: {{webhook: {{url: 'http://127.0.0.1:{}/', secretRef: {{name: signing}}}}}}}}\n",
        ports::free()
    );
    let key = "--from-literal=key=a signing key of the tests, long enough";
    otter.kubectl(&["-n", "otternauts-system", "create", "secret", "generic", "signing", key]).ok();
    otter.apply(&notifier);
    otter.otter(&["-n", "otternauts-system", "notify", "test", "nobody"]);
    let ready = r#"{"type":"Ready","status":"True","reason":"Deployed","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}"#;
    let status = format!(
        r#"{{"status":{{"phase":"running","observedGeneration":1,"services":[{{"name":"web","desired":2,"running":1}}],"conditions":[{ready}]}}}}"#
    );
    otter.kubectl(&["patch", "stack", "shop", "--subresource=status", "--type=merge", "-p", &status]).ok();
}

/// What goes on all the time: reads, writes, lists, watches.
fn load(otter: &Otter, round: u32) {
    let label = format!("round={round}");
    otter.kubectl(&["label", "--overwrite", "stack", "shop", &label]).ok();
    otter.kubectl(&["create", "configmap", &format!("m{round}"), "--from-literal=x=y"]).ok();
    otter.kubectl(&["create", "configmap", "dry", "--dry-run=server"]).ok();
    otter.kubectl(&["get", "stacks,servers,configmaps", "-A"]).ok();
    otter.kubectl(&["delete", "configmap", &format!("m{round}")]).ok();
    otter.curl_admin("/readyz", &[]).ok();
}

/// Each panel's query with the variables as Grafana would set them, and where it is from.
pub fn panels() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for board in boards::all() {
        let path = Path::new(ROOT).join(format!("observability/dashboards/json/{}.json", board.uid));
        let text = std::fs::read_to_string(path).expect("it is committed");
        let board: Value = serde_json::from_str(&text).expect("a dashboard is JSON");
        for panel in board["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().expect("targets") {
                let expr = target["expr"].as_str().expect("an expression");
                let name = format!("{} / {}", board["title"], panel["title"]);
                let expr = expr.replace("$job", "otternauts.*").replace("$instance", ".+");
                all.push((name, expr.replace("$__rate_interval", "30s")));
            }
        }
    }
    all
}

/// What has no data, of queries that should have.
pub fn empty(prometheus: &Program, queries: &[(String, String)]) -> Vec<(String, String)> {
    queries.iter().filter(|(_, expr)| prometheus.query(expr).is_empty()).cloned().collect()
}

#[test]
fn every_panel_every_rule_and_the_mixins_series_have_data() {
    let test = "every_panel_every_rule_and_the_mixins_series_have_data";
    let otter = crate::whole();
    let dir = tempfile::tempdir().expect("a temporary directory");
    work(&otter);
    let Some(prometheus) = prometheus(test, &otter, &dir, None) else { return };
    incident(&otter);
    let here = |expr: &str| !lint::needs_servers(expr);
    let mut wanted: Vec<_> = panels().into_iter().filter(|(_, expr)| here(expr)).collect();
    assert!(wanted.len() > 60, "most panels need no server: {}", wanted.len());
    wanted.extend(rules::recordings().into_iter().filter(|r| here(&r.expr)).map(|r| (r.name.clone(), r.name)));
    let mixin = std::fs::read_to_string(Path::new(ROOT).join("tests/fixtures/mixin.yml")).expect("it is committed");
    let names = mixin.lines().filter_map(|line| line.trim().strip_prefix("- record: "));
    wanted.extend(names.map(|name| (name.to_owned(), name.to_owned())));
    let mut round = 0;
    until("data behind every panel and rule", PATIENCE, || {
        round += 1;
        load(&otter, round);
        // What has data once is not asked for again: a rate of something that happens once is 0 later, and still data.
        wanted = empty(&prometheus, &wanted);
        if wanted.is_empty() { Ok(()) } else { Err(wanted.clone()) }
    });
    let told = prometheus.get("/api/v1/rules", &[]).json();
    let sick: Vec<&Value> = told["data"]["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .flat_map(|group| group["rules"].as_array().expect("rules"))
        .filter(|rule| rule["health"] != "ok")
        .collect();
    assert!(sick.is_empty(), "{sick:#?}");
    // One scrape may take longer than its second on a busy machine: the next does not.
    until("all targets to be up", PATIENCE, || {
        let targets = prometheus.get("/api/v1/targets", &[]).json();
        let all = targets["data"]["activeTargets"].as_array().expect("targets").clone();
        let down: Vec<_> = all.into_iter().filter(|t| t["health"] != "up").collect();
        if down.is_empty() { Ok(()) } else { Err(down) }
    });
    assert!(alerts::all().count() > 30);
}

/// Ecosystem, section 1: an alert reaches a human. Rule, Alertmanager, our hook, an Event on the object, and its notification.
#[test]
fn an_alert_goes_through_alertmanager_to_an_event_on_its_object() {
    let test = "an_alert_goes_through_alertmanager_to_an_event_on_its_object";
    let otter = crate::whole();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let Some(alertmanager) = alertmanager(test, &otter, &dir) else { return };
    let Some(prometheus) = prometheus(test, &otter, &dir, Some(&alertmanager)) else { return };
    let key = format!("--from-literal=key={}", crate::notify::KEY);
    otter.kubectl(&["-n", "otternauts-system", "create", "secret", "generic", "signing", &key]).ok();
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    let selector = json!({"reasons": ["OtternautsServerNotReady"]});
    notifier_of(&otter, "otternauts-system", "ops", &webhook(&receiver.url("/")), &selector, "0s");
    work(&otter);
    let fires = || prometheus.query("ALERTS{alertname=\"OtternautsServerNotReady\",alertstate=\"firing\"}");
    until("the alert", PATIENCE, || if fires().is_empty() { Err(prometheus.query("ALERTS")) } else { Ok(()) });
    let events = || {
        let all = otter.kubectl(&["get", "events.events.k8s.io", "-n", "default", "-o", "json"]).json();
        let ours = |e: &&Value| e["reason"] == "OtternautsServerNotReady";
        all["items"].as_array().expect("a list").iter().filter(ours).cloned().collect::<Vec<Value>>()
    };
    let event = until("the Event", PATIENCE, || events().into_iter().next().ok_or("none"));
    let uid = otter.kubectl(&["get", "server", "harbour", "-o", "jsonpath={.metadata.uid}"]).ok().to_owned();
    let about = &event["regarding"];
    assert_eq!((&about["kind"], &about["name"]), (&"Server".into(), &"harbour".into()), "{event}");
    assert_eq!(about["uid"], uid.as_str(), "{event}");
    assert_eq!((&event["type"], &event["action"]), (&"Warning".into(), &"Firing".into()), "{event}");
    assert!(event["note"].as_str().is_some_and(|n| n.contains("harbour")), "{event}");
    messages(&receiver, &["event harbour OtternautsServerNotReady"]);
    assert_eq!(events().len(), 1, "one alert is one Event");
    // Over HTTP/1.1: some curls take the end of a stream whose body was not read for an error, and lose the answer.
    let args = ["--http1.1", "-X", "POST", "-d", "{}", "-o", "/dev/null", "-w", "%{http_code}"];
    assert_eq!(otter.curl("/hooks/alertmanager", &args).ok(), "403", "nobody posts without the right to");
}
