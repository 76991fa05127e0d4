//! Traces as a collector gets them: what is connected, what is told, what never is (ecosystem, section 2).

use crate::OTTER;
use crate::notify::receiver::{Answer, Receiver};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use otternauts_harness::{Otter, OtterOptions, ports, until};
use prost::Message as _;
use std::collections::BTreeSet;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const STACKS: &str = "/apis/otternauts.dev/v1/namespaces/{:namespace}/stacks";
const STACK: &str = r#"{"apiVersion": "otternauts.dev/v1", "kind": "Stack", "metadata": {"name": "NAME"},
    "spec": {"suspend": true, "compose": {"inline": "services: {web: {image: 'nginx:1.27'}}"}}}"#;

/// Variables that send a program's spans to a receiver, soon.
pub fn variables(receiver: &Receiver) -> Vec<(String, String)> {
    let pairs = [("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url("")), ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned())];
    pairs.map(|(k, v)| (k.to_owned(), v)).to_vec()
}

/// Every span that came so far. A batch that cannot be read is a failure.
pub fn spans(receiver: &Receiver) -> Vec<Span> {
    let batches = receiver.seen();
    let read = |body: &[u8]| ExportTraceServiceRequest::decode(body).expect("OTLP as protobuf");
    let all = batches.iter().flat_map(|got| read(&got.body).resource_spans);
    all.flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect()
}

pub fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|a| a.key == key).and_then(|a| a.value.clone()?.value);
    match found {
        Some(Any::StringValue(text)) => text,
        Some(Any::IntValue(n)) => n.to_string(),
        other => format!("{other:?}"),
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The span of this name, once it has come.
#[track_caller]
fn named(receiver: &Receiver, name: &str, nth: usize) -> Span {
    until(&format!("span {name:?}"), PATIENCE, || {
        let all = spans(receiver);
        let found = all.iter().filter(|s| s.name == name).nth(nth).cloned();
        found.ok_or_else(|| all.iter().map(|s| s.name.clone()).collect::<BTreeSet<_>>())
    })
}

fn start(receiver: &Receiver) -> Otter {
    Otter::start(OtterOptions { env: variables(receiver), ..OtterOptions::api(OTTER) })
}

#[test]
fn a_request_and_its_commit_are_one_trace_that_the_object_names() {
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    let otter = start(&receiver);
    otter.apply(&STACK.replace("NAME", "shop"));
    let request = named(&receiver, &format!("POST {STACKS}"), 0);
    assert_eq!(attribute(&request, "http.response.status_code"), "201", "{request:?}");
    assert_eq!(attribute(&request, "http.route"), STACKS);
    assert!(attribute(&request, "url.path").ends_with("/namespaces/default/stacks"));
    assert!(!attribute(&request, "audit-id").is_empty() && !attribute(&request, "client.address").is_empty());
    let commit = until("the commit", PATIENCE, || {
        let all = spans(&receiver);
        all.into_iter().find(|s| s.name.starts_with("commit stacks") && s.trace_id == request.trace_id).ok_or(())
    });
    assert_eq!(commit.parent_span_id, request.span_id);
    assert_eq!(attribute(&commit, "db.system.name"), "sqlite");
    // What the object says leads back to the request; nobody owns the annotation.
    let stack = otter.kubectl(&["get", "stack", "shop", "-o", "json", "--show-managed-fields"]).json();
    let expected = format!("00-{}-{}-01", hex(&request.trace_id), hex(&request.span_id));
    assert_eq!(stack["metadata"]["annotations"]["tracing.k8s.io/traceparent"], expected.as_str());
    assert!(!stack["metadata"]["managedFields"].to_string().contains("traceparent"), "{stack}");
    // A change of anything but the spec keeps the cause; a dry run changes nothing.
    otter.kubectl(&["label", "stack", "shop", "a=b"]).ok();
    let spec = r#"{"spec":{"revisionHistoryLimit":3}}"#;
    otter.kubectl(&["patch", "stack", "shop", "--type=merge", "-p", spec, "--dry-run=server"]).ok();
    let cause = || {
        let path = r"jsonpath={.metadata.annotations.tracing\.k8s\.io/traceparent}";
        otter.kubectl(&["get", "stack", "shop", "-o", path]).ok().to_owned()
    };
    assert_eq!(cause(), expected);
    otter.kubectl(&["patch", "stack", "shop", "--type=merge", "-p", spec]).ok();
    assert_ne!(cause(), expected);
}

#[test]
fn only_an_administrator_puts_requests_into_a_trace_of_his_own() {
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    let otter = start(&receiver);
    let mine = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let header = format!("traceparent: {mine}");
    otter.curl_admin("/apis/otternauts.dev/v1/namespaces/default/stacks/a", &["-H", &header]);
    let trusted = named(&receiver, &format!("GET {STACKS}/{{:name}}"), 0);
    assert_eq!((hex(&trusted.trace_id), hex(&trusted.parent_span_id)), (mine[3..35].into(), mine[36..52].into()));
    otter.kubectl(&["create", "serviceaccount", "guest"]).ok();
    let grant = ["create", "clusterrolebinding", "guest", "--clusterrole=view", "--serviceaccount=default:guest"];
    otter.kubectl(&grant).ok();
    let token = otter.kubectl(&["create", "token", "guest"]).ok().trim().to_owned();
    let bearer = format!("Authorization: Bearer {token}");
    let path = "/apis/otternauts.dev/v1/namespaces/default/stacks/b";
    let answer = otter.curl(path, &["-i", "-H", &bearer, "-H", &header]);
    let guest = named(&receiver, &format!("GET {STACKS}/{{:name}}"), 1);
    assert_ne!(hex(&guest.trace_id), mine[3..35]);
    assert!(guest.parent_span_id.is_empty(), "{guest:?}");
    assert_eq!(guest.links.iter().map(|l| hex(&l.trace_id)).collect::<Vec<_>>(), [mine[3..35].to_owned()]);
    // A refusal tells which trace to look for.
    let told = format!("x-otternauts-trace-id: {}", hex(&guest.trace_id));
    assert!(answer.stdout.to_ascii_lowercase().contains(&told), "{}", answer.stdout);
}

#[test]
fn nothing_of_secrets_and_nothing_that_stays_open_is_traced() {
    let receiver = Receiver::start(|_| Answer::Status(200, ""));
    let otter = start(&receiver);
    let value = "planted-value-8f3a";
    otter.kubectl(&["create", "secret", "generic", "planted-name", &format!("--from-literal=k={value}")]).ok();
    otter.curl_admin("/apis/otternauts.dev/v1/stacks?watch=true&timeoutSeconds=1", &[]);
    otter.apply(&STACK.replace("NAME", "last"));
    named(&receiver, &format!("POST {STACKS}"), 0);
    let created = named(&receiver, "POST /api/v1/namespaces/{:namespace}/secrets", 0);
    assert_eq!(attribute(&created, "http.response.status_code"), "201");
    for got in receiver.seen() {
        let body = String::from_utf8_lossy(&got.body).into_owned();
        assert!(!body.contains(value) && !body.contains("planted-name"), "{body}");
    }
    let list = format!("GET {}", STACKS.replace("/namespaces/{:namespace}", ""));
    let watches = spans(&receiver).iter().filter(|s| s.name == list).count();
    assert_eq!(watches, 0, "a watch is no span");
}

#[test]
fn a_collector_that_is_dead_or_silent_costs_only_spans() {
    let silent = Receiver::start(|_| Answer::Silence);
    let dead = format!("http://127.0.0.1:{}", ports::free());
    for endpoint in [dead, silent.url("")] {
        let mut env = vec![("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), endpoint.clone())];
        env.push(("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "50".to_owned()));
        env.push(("OTEL_EXPORTER_OTLP_TIMEOUT".to_owned(), "300".to_owned()));
        let mut otter = Otter::start(OtterOptions { env, ..OtterOptions::api(OTTER) });
        otter.apply(&STACK.replace("NAME", "shop"));
        until("the loss to be counted", PATIENCE, || {
            let metrics = otter.curl_admin("/metrics", &[]).ok().to_owned();
            let line = metrics.lines().find(|l| l.starts_with("otternauts_telemetry_spans_dropped_total"));
            let count = line.and_then(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or_default();
            if count > 0.0 { Ok(()) } else { Err(line.map(str::to_owned)) }
        });
        assert_eq!(otter.stop(), 0, "{endpoint}");
    }
}

#[test]
fn a_protocol_that_is_not_spoken_is_refused_at_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let out = std::process::Command::new(OTTER)
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(dir.path().join("data"))
        .envs([("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("this program speaks http/protobuf"), "{said}");
}
