//! `/metrics` of the running binary: the table beside what is served, both formats, and what promtool says of it.

mod page;
mod prometheus;
mod real;
mod rules;

use otternauts_harness::{Otter, kubectl, skip, until};
use otternauts_telemetry::names::{self, Page};
use page::Samples;
use serde_json::json;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const OPEN_METRICS: &str = "Accept: application/openmetrics-text;version=1.0.0";

/// One of Prometheus' programs; without it the test skips loudly.
fn program(test: &str, name: &str) -> Option<Command> {
    if Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success()) {
        return Some(Command::new(name));
    }
    skip::skip(test, &format!("{name} is not here (Debian packages prometheus and prometheus-alertmanager)"));
    None
}

/// Something of everything that needs no server: writes, reads, watches, errors, dry runs, two controllers with work.
fn work(otter: &Otter) {
    let stack = "apiVersion: otternauts.dev/v1\nkind: Stack\nmetadata: {name: shop}\nspec:\n  compose:\n    inline: |\n      services: {web: {image: nginx}}\n";
    let server = "apiVersion: otternauts.dev/v1\nkind: Server\nmetadata: {name: harbour}\nspec: {address: 127.0.0.1, port: 1, user: u}\n";
    otter.apply(stack);
    otter.apply(server);
    otter.kubectl(&["create", "configmap", "a", "--from-literal=x=y"]).ok();
    otter.kubectl(&["create", "configmap", "b", "--dry-run=server"]).ok();
    otter.kubectl(&["get", "configmap", "nope"]).refused();
    otter.kubectl(&["get", "stacks", "-A"]).ok();
    otter.kubectl(&["delete", "configmap", "a"]).ok();
    otter.kubectl(&["get", "configmaps", "--watch", "--request-timeout=5s"]);
    otter.curl("/api/v1/namespaces", &[]).ok();
}

/// Each family of a page has the type, the help and the labels of the table. Answers their names.
fn as_the_table_says(text: &str, page: Page) -> BTreeSet<String> {
    let samples = Samples::parse(text);
    let mut served = BTreeSet::new();
    for (name, kind, help) in samples.families() {
        let family = names::find(name).unwrap_or_else(|| panic!("{name} is served and not in the table"));
        assert_eq!(family.page, page, "{name}");
        let classic = if family.kind == names::Kind::Info { "gauge" } else { family.kind.as_str() };
        assert_eq!(kind, classic, "{name}");
        assert_eq!(help, family.described(), "{name}");
        let expected: BTreeSet<&str> = family.labels.iter().copied().collect();
        for labels in samples.labels_of(name) {
            let labels: BTreeSet<&str> = labels.into_iter().filter(|l| *l != "le").collect();
            assert_eq!(labels, expected, "{name}");
        }
        served.insert(name.to_owned());
    }
    served
}

#[test]
fn what_is_served_is_what_the_table_says_and_promtool_finds_nothing() {
    let test = "what_is_served_is_what_the_table_says_and_promtool_finds_nothing";
    let otter = crate::whole();
    work(&otter);
    let text = until("a reconcile of the server", PATIENCE, || {
        let text = otter.curl_admin("/metrics", &[]).ok().to_owned();
        let labels = [("controller", "onboarding"), ("result", "requeue_after")];
        let looked = Samples::parse(&text).any("controller_runtime_reconcile_total", &labels);
        if looked { Ok(text) } else { Err("no look has ended") }
    });
    // What is in the table, needs nothing but a server-less machine, and is not rare.
    let expected = names::all().filter(|f| f.page == Page::Main && !f.needs_servers && !RARE.contains(&f.name));
    let expected: BTreeSet<&str> = expected.map(|f| f.name).collect();
    until("everything of the table to be served", PATIENCE, || {
        let served = as_the_table_says(otter.curl_admin("/metrics", &[]).ok(), Page::Main);
        let absent: Vec<&str> = expected.iter().copied().filter(|name| !served.contains(*name)).collect();
        if absent.is_empty() { Ok(()) } else { Err(absent) }
    });

    let open = otter.curl_admin("/metrics", &["-H", OPEN_METRICS]).ok().to_owned();
    assert!(open.ends_with("# EOF\n"), "{}", &open[open.len().saturating_sub(200)..]);
    assert!(open.contains("# TYPE otternauts_build info\n"), "infos are infos in OpenMetrics");
    let Some(mut promtool) = program(test, "promtool") else { return };
    let said = kubectl::run(promtool.args(["check", "metrics"]), &text);
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (0, "", ""), "promtool check metrics");
}

/// The tests of Prometheus and of several replicas bring these about.
const RARE: &[&str] = &[
    "otternauts_convergence_seconds",
    "otternauts_notifications_total",
    "leader_election_master_status",
    "leader_election_slowpath_total",
];

#[test]
fn the_size_of_a_list_is_counted_also_when_it_is_sent_in_parts() {
    let otter = crate::otter();
    let maps: Vec<String> = (0..300)
        .map(|i| {
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m{i}}}\ndata: {{x: {}}}", "y".repeat(2000))
        })
        .collect();
    otter.kubectl_in(&["create", "-f", "-"], &maps.join("\n---\n")).ok();
    let list = otter.curl_admin("/api/v1/namespaces/default/configmaps", &["-H", "User-Agent: test"]);
    let bytes = list.ok().len();
    let labels = [("verb", "LIST"), ("resource", "configmaps"), ("scope", "namespace")];
    let counted = until("the size of the list", PATIENCE, || {
        let text = otter.curl_admin("/metrics", &[]).ok().to_owned();
        Samples::parse(&text).value("apiserver_response_sizes_sum", &labels).ok_or("none")
    });
    assert!(counted >= f64::from(u32::try_from(bytes).expect("small")), "{counted} < {bytes}");
}

#[test]
fn who_may_scrape_is_a_matter_of_rights_and_one_role_has_them() {
    let otter = crate::otter();
    let config = |user: &str, groups: &[&str]| {
        let groups: Vec<String> = groups.iter().flat_map(|g| ["--group".to_owned(), (*g).to_owned()]).collect();
        let data = otter.data_dir().display().to_string();
        let mut args = vec!["kubeconfig", "--data-dir", &data, "--user", user];
        args.extend(groups.iter().map(String::as_str));
        let file = otter.data_dir().join(format!("{user}.kubeconfig"));
        std::fs::write(&file, otter.otter(&args).ok()).expect("a file can be written");
        file
    };
    let (bob, scraper) = (config("bob", &[]), config("scraper", &["system:monitoring"]));
    for page in Page::ALL {
        let get = |who| otter.kubectl_as(who, &["get", "--raw", page.path()], "");
        assert!(
            get(&bob).refused().contains("Forbidden") || get(&bob).refused().contains("forbidden"),
            "{}",
            page.path()
        );
        get(&scraper).ok();
        assert_eq!(otter.curl(page.path(), &["-o", "/dev/null", "-w", "%{http_code}"]).ok(), "403");
    }
}

/// What deploy and onboarding would have written had there been servers.
fn standing(otter: &Otter) {
    let stack = json!({"status": {
        "phase": "running", "swarmStack": "shop-01234567",
        "services": [{"name": "web", "desired": 3, "running": 2}],
        "conditions": [{"type": "Ready", "status": "False", "reason": "Unavailable", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    }});
    otter.kubectl(&["patch", "stack", "shop", "--subresource=status", "--type=merge", "-p", &stack.to_string()]).ok();
}

#[test]
fn the_fleet_and_the_checks_have_pages_of_their_own_in_both_formats() {
    let test = "the_fleet_and_the_checks_have_pages_of_their_own_in_both_formats";
    let otter = crate::otter();
    work(&otter);
    standing(&otter);
    let fleet = otter.curl_admin("/metrics/fleet", &[]).ok().to_owned();
    for line in [
        r#"otternauts_server_info{server="harbour",cluster="default",role="manager",os="",docker_version=""} 1"#,
        r#"otternauts_stack_info{namespace="default",stack="shop",cluster="default"} 1"#,
        r#"otternauts_stack_status_condition{namespace="default",stack="shop",condition="Ready",status="false"} 1"#,
        r#"otternauts_stack_status_condition{namespace="default",stack="shop",condition="Ready",status="true"} 0"#,
        r#"otternauts_service_replicas_desired{namespace="default",stack="shop",service="web"} 3"#,
        r#"otternauts_service_replicas_running{namespace="default",stack="shop",service="web"} 2"#,
    ] {
        assert!(fleet.lines().any(|l| l == line), "{line}\nis not in\n{fleet}");
    }
    let slis = otter.curl_admin("/metrics/slis", &[]).ok().to_owned();
    let checks = Samples::parse(&slis);
    assert_eq!(checks.value("kubernetes_healthcheck", &[("name", "data-directory"), ("type", "livez")]), Some(1.0));
    assert_eq!(checks.value("kubernetes_healthchecks_total", &[("name", "ping"), ("status", "success")]), Some(1.0));
    assert_eq!(otter.curl_admin("/metrics/containers", &[]).ok(), "", "no server is followed");
    let code = ["-o", "/dev/null", "-w", "%{http_code}"];
    assert_eq!(otter.curl_admin("/metrics/nothing", &code).ok(), "404");
    assert_eq!(otter.curl_admin("/metrics/fleet", &[&["-X", "POST"], &code[..]].concat()).ok(), "405");
    let open = otter.curl_admin("/metrics/fleet", &["-H", OPEN_METRICS]).ok().to_owned();
    assert!(open.contains("# TYPE otternauts_stack info\n") && open.ends_with("# EOF\n"), "{open}");
    for page in [&fleet, &slis] {
        let Some(mut promtool) = program(test, "promtool") else { return };
        let said = kubectl::run(promtool.args(["check", "metrics"]), page);
        assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (0, "", ""), "promtool check metrics");
    }
}

/// Ecosystem, section 1: a scrape with 100 servers and 100 stacks stays under 400 KiB, each page.
#[test]
fn a_scrape_of_a_hundred_servers_and_stacks_is_small() {
    let otter = crate::otter();
    let objects: Vec<String> = (0..100)
        .flat_map(|i| {
            let server = format!("kind: Server\nmetadata: {{name: s{i}}}\nspec: {{address: 127.0.0.1, user: u}}");
            let compose = "spec: {compose: {inline: 'services: {web: {image: nginx}}'}}";
            [server, format!("kind: Stack\nmetadata: {{name: t{i}}}\n{compose}")]
        })
        .map(|object| format!("apiVersion: otternauts.dev/v1\n{object}"))
        .collect();
    otter.kubectl_in(&["create", "-f", "-"], &objects.join("\n---\n")).ok();
    for page in ["/metrics", "/metrics/fleet"] {
        let text = otter.curl_admin(page, &[]).ok().to_owned();
        assert!(text.len() < 400 << 10, "{page} has {} bytes", text.len());
    }
    let fleet = otter.curl_admin("/metrics/fleet", &[]).ok().to_owned();
    let infos = |name: &str| fleet.lines().filter(|l| l.starts_with(&format!("{name}{{"))).count();
    assert_eq!((infos("otternauts_server_info"), infos("otternauts_stack_info")), (100, 100));
}
