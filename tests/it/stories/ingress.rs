//! HTTPS by domain through the cluster's proxy, with certificates of the lab's own authority (OT-30 to OT-38); what goes wrong with a
//! domain, in the product's words, and how it passes by itself (OT-F8, OT-F13 to OT-F15, OT-F18).

use super::{condition, docker, events, get, last_error, onboard, server_in, stack_running};
use otternauts_harness::{Lab, Otter, OtterOptions, kubectl, skip, until};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);

/// A control plane that resolves names as the lab does, and one manager.
fn begin(lab: &Lab, ingress: &Value) -> Otter {
    lab.run_with(&[("LAB_DOCKER", "1")], &["up", "1"]).ok();
    lab.ok(&["images", "web", "caddy"]);
    lab.ok(&["web"]);
    let program = lab.resolving(crate::OTTER);
    let otter = Otter::start(OtterOptions::whole(program.to_str().expect("UTF-8")));
    let authority = std::fs::read_to_string(lab.setting("LAB_CA")).expect("the lab's authority");
    let acme = json!({"email": "ops@lab.example", "server": "https://acme.lab/acme/lab/directory", "caCertificates": authority});
    set(&otter, &json!({"acme": acme, "ingress": ingress}));
    onboard(&otter, lab, "harbour", 1, "manager");
    server_in(&otter, "harbour", "ready", 240);
    otter
}

fn set(otter: &Otter, spec: &Value) {
    let patch = json!({ "spec": spec }).to_string();
    otter.kubectl(&["patch", "cluster", "default", "--type=merge", "-p", &patch]).ok();
}

fn caddy() -> Value {
    json!({"provider": "caddy", "version": "2.6", "publishMode": "host"})
}

fn stack(otter: &Otter, name: &str, domain: &str, version: &str, replicas: u32) {
    stack_in_order(otter, name, domain, version, &json!({"replicas": replicas, "endpoint_mode": "dnsrr"}));
}

fn stack_in_order(otter: &Otter, name: &str, domain: &str, version: &str, deploy: &Value) {
    let compose = json!({"services": {"web": {
        "image": format!("registry.lab/lab/web:{version}"), "deploy": deploy,
        "x-otternauts": {"domains": [domain], "port": 8080},
    }}});
    let stack = json!({"apiVersion": "otternauts.dev/v1", "kind": "Stack", "metadata": {"name": name},
        "spec": {"compose": {"inline": compose.to_string()}}});
    otter.apply(&stack.to_string());
}

/// One request over HTTPS, with the lab's authority alone: the status and the body, or what curl says.
fn fetch(authority: &str, address: &str, domain: &str) -> Result<String, String> {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--max-time", "30", "--fail-with-body", "--cacert", authority, "--resolve"]);
    curl.arg(format!("{domain}:443:{address}")).arg(format!("https://{domain}/"));
    let ran = kubectl::run(&mut curl, "");
    if ran.code == 0 { Ok(ran.stdout) } else { Err(format!("{} {}", ran.stdout, ran.stderr)) }
}

/// A connection of HTTP/2 that the proxy takes leave of (a new configuration) before it has taken the request is no answer: another one
/// is made (RFC 9113, 6.8). curl does so on connections that it uses again, and these are all new.
fn fetch_as_browsers_do(authority: &str, address: &str, domain: &str) -> Result<String, String> {
    match fetch(authority, address, domain) {
        Err(error) if error.contains("curl: (16)") => fetch(authority, address, domain),
        answer => answer,
    }
}

fn fetched(lab: &Lab, domain: &str, expected: &str) {
    fetched_from(lab, 1, domain, expected);
}

fn fetched_from(lab: &Lab, host: u8, domain: &str, expected: &str) {
    let (authority, address) = (lab.setting("LAB_CA"), lab.ip(host));
    until(&format!("https://{domain}/ to say {expected:?}"), PATIENCE, || match fetch(&authority, &address, domain) {
        Ok(body) if body.contains(expected) => Ok(()),
        Ok(other) | Err(other) => Err(other),
    });
}

/// The status of a stack once its first domain's certificate is in a state.
fn certificate(otter: &Otter, name: &str, state: &str) -> Value {
    until(&format!("the certificate of {name} to be {state}"), PATIENCE, || {
        let status = get(otter, "stack", name)["status"].clone();
        if status["domains"][0]["certificate"] == state { Ok(status) } else { Err(status) }
    })
}

fn ingress(otter: &Otter, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    until(&format!("the ingress to be {what}"), PATIENCE, || {
        let status = get(otter, "cluster", "default")["status"]["ingress"].clone();
        if holds(&status) { Ok(status) } else { Err(status) }
    })
}

/// An error of a stack goes when its cause has gone: by another controller than the one that saw that.
fn without_error(otter: &Otter, name: &str) {
    until(&format!("{name} to have no error"), PATIENCE, || {
        let status = get(otter, "stack", name)["status"].clone();
        if status["lastError"].is_null() { Ok(()) } else { Err(status) }
    });
}

/// An Event comes after the status that it tells of; and there is one of it.
fn told_once(otter: &Otter, name: &str, reason: &str) {
    let told = until(&format!("{reason} of {name} to be told"), PATIENCE, || {
        let told = events(otter, "Stack", name, reason);
        if told.is_empty() { Err(told) } else { Ok(told) }
    });
    assert_eq!(told.len(), 1, "told once: {told:?}");
}

/// How often it was told that a proxy that ran has ended.
fn downs(otter: &Otter) -> usize {
    events(otter, "Cluster", "default", "IngressDown").len()
}

/// An outage beyond the `before` that were told already is told (OT-F18), however short it was.
fn down(otter: &Otter, before: usize) {
    until("the outage to be told", PATIENCE, || match downs(otter) {
        told if told > before => Ok(()),
        told => Err(told),
    });
}

/// Clients that ask again and again, each over a connection of its own; answers what failed and how many did not.
struct Load {
    stop: Arc<AtomicBool>,
    good: Arc<AtomicU64>,
    clients: Vec<std::thread::JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(lab: &Lab, domain: &'static str, clients: usize) -> Self {
        let (stop, good) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = || {
            let (stop, good, authority, address) =
                (Arc::clone(&stop), Arc::clone(&good), lab.setting("LAB_CA"), lab.ip(1));
            std::thread::spawn(move || {
                let mut bad = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    match fetch_as_browsers_do(&authority, &address, domain) {
                        Ok(_) => drop(good.fetch_add(1, Ordering::Relaxed)),
                        Err(error) => bad.push(error),
                    }
                }
                bad
            })
        };
        let clients = (0..clients).map(|_| client()).collect();
        Self { stop, good, clients }
    }

    /// Goes on until so many were answered, however slow this machine is; then nobody asks any more.
    fn end(self, enough: u64) -> (u64, Vec<String>) {
        until("requests to be answered", PATIENCE, || match self.good.load(Ordering::Relaxed) {
            good if good >= enough => Ok(()),
            good => Err(good),
        });
        self.stop.store(true, Ordering::Relaxed);
        let bad = self.clients.into_iter().flat_map(|c| c.join().expect("a client does not panic")).collect();
        (self.good.load(Ordering::Relaxed), bad)
    }
}

#[test]
fn a_stack_answers_over_https_at_its_domain_ot_34() {
    let Some(lab) = Lab::take("a_stack_answers_over_https_at_its_domain_ot_34") else { return };
    with_each_proxy(&lab, https_by_domain);
}

/// Caddy, whose image the lab makes; and Traefik, where there is one.
fn with_each_proxy(lab: &Lab, story: impl Fn(&Lab, &Value)) {
    story(lab, &caddy());
    match std::env::var("OTTERNAUTS_TEST_TRAEFIK_IMAGE") {
        Ok(image) => {
            lab.ok(&["down"]);
            story(lab, &json!({"provider": "traefik", "image": image, "publishMode": "host"}));
        }
        Err(_) => skip::untested("the ingress with Traefik", "OTTERNAUTS_TEST_TRAEFIK_IMAGE names no image"),
    }
}

fn https_by_domain(lab: &Lab, provider: &Value) {
    let otter = begin(lab, provider);
    stack(&otter, "duo", "duo.apps.lab", "v1", 2);
    fetched(lab, "duo.apps.lab", "web v1");
    let status = certificate(&otter, "duo", "issued");
    assert!(status["domains"][0]["notAfter"].as_str().is_some_and(|t| t.starts_with("20")), "{status}");
    assert_eq!(condition(&status, "DomainsReady")["status"], "True", "{status}");
    without_error(&otter, "duo");
    told_once(&otter, "duo", "CertificateIssued");
    let runs = ingress(&otter, "deployed", |i| i["phase"] == "deployed");
    assert_eq!((&runs["server"], &runs["lastError"]), (&json!("harbour"), &Value::Null), "{runs}");
    if provider["provider"] == "caddy" {
        let form = "{{json .Spec.TaskTemplate.ContainerSpec.Mounts}}";
        let mounts = docker(lab, 1, &["service", "inspect", "otternauts-ingress_caddy", "-f", form]);
        assert!(!mounts.contains("docker.sock"), "{mounts}");
    }

    // Plain HTTP is sent to HTTPS.
    let to = format!("duo.apps.lab:80:{}", lab.ip(1));
    let form = "%{http_code} %{redirect_url}";
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-o", "/dev/null", "-w", form, "--resolve", &to, "http://duo.apps.lab/x"]);
    let answer = kubectl::run(&mut curl, "");
    assert!(answer.ok().starts_with("30") && answer.stdout.ends_with(" https://duo.apps.lab/x"), "{}", answer.stdout);

    // A younger stack cannot take the domain: it says whose it is.
    stack(&otter, "pirate", "duo.apps.lab", "v3", 1);
    let refused = last_error(&otter, "stack", "pirate", "Domain duo.apps.lab belongs to Stack default/duo", 120);
    assert_eq!(condition(&refused, "DomainsReady")["reason"], "DomainConflict", "{refused}");
    fetched(lab, "duo.apps.lab", "web v1");
    otter.kubectl(&["delete", "stack", "pirate", "--timeout=120s"]).ok();

    // Rolling updates under constant load, in Docker's own order and in the other: no request fails.
    for (version, order) in [("v3", "stop-first"), ("v2", "start-first")] {
        let load = Load::start(lab, "duo.apps.lab", 4);
        let deploy = json!({"replicas": 2, "endpoint_mode": "dnsrr", "update_config": {"order": order}});
        stack_in_order(&otter, "duo", "duo.apps.lab", version, &deploy);
        stack_running(&otter, "duo", 180);
        fetched(lab, "duo.apps.lab", &format!("web {version}"));
        let (good, bad) = load.end(50);
        assert!(bad.is_empty(), "{order}: {good} answered, {} failed: {:?}", bad.len(), bad.first());
    }

    if provider["provider"] == "caddy" {
        versions_and_failures_of_the_proxy(lab, &otter);
    }
}

/// Caddy's own knob for when a certificate is due, turned on the host: it is due now.
const DUE_NOW: &str = r#"
use IO::Socket::UNIX;
my $s = IO::Socket::UNIX->new(Peer => "/var/lib/otternauts-ingress/admin.sock") or die "no socket: $!";
print $s "POST /config/apps/tls/automation/policies/0/renewal_window_ratio HTTP/1.1\r\nHost: \r\nContent-Type: application/json\r\n",
  "Content-Length: 6\r\nConnection: close\r\n\r\n0.9999";
my $answer = <$s>;
$answer =~ / 200 / or die $answer;
"#;

/// The serial number of the certificate that a domain is served with.
fn serial(lab: &Lab, domain: &str) -> String {
    let to = format!("{}:443", lab.ip(1));
    let mut handshake = Command::new("openssl");
    let shown = kubectl::run(handshake.args(["s_client", "-connect", &to, "-servername", domain]), "");
    let ran = kubectl::run(Command::new("openssl").args(["x509", "-noout", "-serial"]), &shown.stdout);
    ran.ok().trim().to_owned()
}

/// A certificate is renewed while requests come: none of them fails, and the new one is what is served.
#[test]
fn no_request_fails_while_a_certificate_is_renewed() {
    let Some(lab) = Lab::take("no_request_fails_while_a_certificate_is_renewed") else { return };
    let otter = begin(&lab, &caddy());
    stack(&otter, "duo", "duo.apps.lab", "v1", 2);
    fetched(&lab, "duo.apps.lab", "web v1");
    certificate(&otter, "duo", "issued");
    let old = serial(&lab, "duo.apps.lab");
    let load = Load::start(&lab, "duo.apps.lab", 4);
    lab.exec(1, &["perl", "-e", DUE_NOW]).ok();
    until("the new certificate", PATIENCE, || {
        let now = serial(&lab, "duo.apps.lab");
        if now == old { Err(now) } else { Ok(()) }
    });
    let (good, bad) = load.end(20);
    assert!(bad.is_empty(), "{good} requests answered, {} failed: {:?}", bad.len(), bad.first());
}

/// OT-38, OT-F8, OT-F18.
fn versions_and_failures_of_the_proxy(lab: &Lab, otter: &Otter) {
    set(otter, &json!({"ingress": {"version": "9.9"}}));
    let failed = ingress(otter, "failed", |i| i["phase"] == "failed");
    let error = failed["lastError"].as_str().unwrap_or_default();
    assert!(error.starts_with("Ingress deployment failed. ") && error.contains("caddy:9.9"), "{failed}");
    assert_eq!(failed["reason"], "IngressDeployFailed");
    until("the failure to be told", PATIENCE, || {
        if events(otter, "Cluster", "default", "IngressDeployFailed").is_empty() { Err("not yet") } else { Ok(()) }
    });
    set(otter, &json!({"ingress": {"version": "2"}}));
    let runs = ingress(otter, "upgraded", |i| i["phase"] == "deployed" && i["version"] == "2");
    assert_eq!(runs["lastError"], Value::Null, "{runs}");
    fetched(lab, "duo.apps.lab", "web v2");
    let index = || super::indexes(lab, 1);
    let before = index();
    assert_eq!(events(otter, "Stack", "duo", "CertificateIssued").len(), 1, "its certificate stayed");

    // The proxy dies: the swarm starts it again, with its routes, and it is told.
    let container = docker(lab, 1, &["ps", "-q", "--filter", "name=otternauts-ingress_caddy"]);
    let told = downs(otter);
    docker(lab, 1, &["kill", &container]);
    down(otter, told);
    ingress(otter, "up again", |i| i["phase"] == "deployed");
    fetched(lab, "duo.apps.lab", "web v2");
    assert_eq!(index(), before, "nothing was deployed again");

    // The last domain goes, and a person no longer asks for an ingress: so does the proxy.
    otter.kubectl(&["delete", "stack", "duo", "--timeout=120s"]).ok();
    otter
        .kubectl(&["patch", "cluster", "default", "--type=merge", "-p", r#"{"spec":{"ingress":{"provider":"none"}}}"#])
        .ok();
    until("no service to be left", PATIENCE, || {
        let left = docker(lab, 1, &["service", "ls", "--format", "{{.Name}}"]);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    until("the ingress to be no more", PATIENCE, || {
        let status = get(otter, "cluster", "default")["status"].clone();
        if status["ingress"].is_null() { Ok(()) } else { Err(status) }
    });
}

#[test]
fn what_is_wrong_with_a_domain_is_told_and_passes_by_itself_ot_f13_f14_f15() {
    let Some(lab) = Lab::take("what_is_wrong_with_a_domain_is_told_and_passes_by_itself_ot_f13_f14_f15") else {
        return;
    };
    with_each_proxy(&lab, trouble_with_domains);
}

fn trouble_with_domains(lab: &Lab, provider: &Value) {
    let otter = begin(lab, provider);
    stack(&otter, "first", "first.apps.lab", "v1", 1);
    certificate(&otter, "first", "issued");

    // DNS that points nowhere (OT-F13), and a port 80 that nobody reaches (OT-F14).
    stack(&otter, "adrift", "adrift.lab", "v1", 1);
    let sentence = "Cannot obtain certificate for adrift.lab: DNS does not resolve to a cluster node";
    let told = last_error(&otter, "stack", "adrift", sentence, 120);
    assert_eq!(told["domains"][0]["reason"], "DNSMismatch", "{told}");
    assert_eq!(condition(&told, "DomainsReady")["reason"], "DNSMismatch", "{told}");
    told_once(&otter, "adrift", "DNSMismatch");
    lab.ok(&["block", "ctl", "1", "tcp/80"]);
    stack(&otter, "blocked", "blocked.apps.lab", "v1", 1);
    let sentence = "Cannot obtain certificate: HTTP challenge failed. Ensure port 80 is accessible from the internet.";
    let told = last_error(&otter, "stack", "blocked", sentence, 120);
    assert_eq!(condition(&told, "DomainsReady")["reason"], "HTTPChallengeFailed", "{told}");
    for name in ["adrift", "blocked"] {
        assert!(!is_asked_for(lab, &otter, name, provider), "{name}: nothing is asked for");
    }
    lab.ok(&["name", "adrift.lab", &lab.ip(1)]);
    lab.ok(&["heal"]);

    // Both are looked at again within a minute. Meanwhile the authority has had enough (OT-F15).
    let mended = [("adrift", "adrift.lab"), ("blocked", "blocked.apps.lab")];
    for (name, domain) in mended {
        let status = certificate(&otter, name, "issued");
        assert_eq!(condition(&status, "DomainsReady")["status"], "True", "{status}");
        fetched(lab, domain, "web v1");
        without_error(&otter, name);
    }
    lab.ok(&["acme", "limited", "90"]);
    stack(&otter, "greedy", "greedy.apps.lab", "v1", 1);
    let limited = until("the limit to be told with the time when it ends", PATIENCE, || {
        let status = get(&otter, "stack", "greedy")["status"].clone();
        let at = status["domains"][0]["retryAt"].as_str().unwrap_or_default();
        let sentence = format!("Let's Encrypt rate limit reached. Try again in {at}.");
        let told = status["domains"][0]["certificate"] == "failed" && status["lastError"] == sentence.as_str();
        if told { Ok(status) } else { Err(status) }
    });
    assert_eq!(condition(&limited, "DomainsReady")["reason"], "RateLimited", "{limited}");
    lab.ok(&["acme", "ok"]);
    let issued = certificate(&otter, "greedy", "issued");
    assert!(issued["domains"][0]["retryAt"].is_null(), "{issued}");
    fetched(lab, "greedy.apps.lab", "web v1");
    told_once(&otter, "greedy", "RateLimited");
}

/// Whether the proxy has been told to ask for a certificate for a stack.
fn is_asked_for(lab: &Lab, otter: &Otter, name: &str, provider: &Value) -> bool {
    let status = get(otter, "stack", name)["status"].clone();
    if provider["provider"] == "caddy" {
        let host = status["domains"][0]["host"].as_str().expect("a domain").to_owned();
        let log = lab.exec(1, &["docker", "service", "logs", "otternauts-ingress_caddy"]);
        let asked = |l: &str| l.contains("obtaining certificate") && l.contains(&host);
        return log.stdout.lines().chain(log.stderr.lines()).any(asked);
    }
    let service = format!("{}_web", status["swarmStack"].as_str().expect("a name"));
    docker(lab, 1, &["service", "inspect", &service, "-f", "{{json .Spec.Labels}}"]).contains("certresolver")
}

/// Of three managers the one dies that runs the proxy: the swarm starts it on another, routes and a certificate come by themselves, and
/// the outage is told (OT-F18).
#[test]
fn the_proxy_moves_to_another_manager_when_its_server_dies_ot_f18() {
    let Some(lab) = Lab::take("the_proxy_moves_to_another_manager_when_its_server_dies_ot_f18") else { return };
    lab.run_with(&[("LAB_DOCKER", "1")], &["up", "3"]).ok();
    let otter = begin(&lab, &caddy());
    for (name, host) in [("reef", 2), ("cove", 3)] {
        onboard(&otter, &lab, name, host, "manager");
        server_in(&otter, name, "ready", 240);
    }
    let hosts = [("harbour", 1), ("reef", 2), ("cove", 3)];
    let of = |server: &Value| hosts.iter().find(|(name, _)| server == name).map(|(_, host)| *host);
    stack(&otter, "duo", "duo.lab", "v1", 2);
    let first = ingress(&otter, "deployed", |i| i["phase"] == "deployed");
    let first = of(&first["server"]).expect("a server of ours");
    lab.ok(&["name", "duo.lab", &lab.ip(first)]);
    fetched_from(&lab, first, "duo.lab", "web v1");

    lab.ok(&["kill", &first.to_string()]);
    let moved = until("the proxy to run elsewhere", Duration::from_secs(240), || {
        let status = get(&otter, "cluster", "default")["status"]["ingress"].clone();
        match of(&status["server"]) {
            Some(host) if host != first && status["phase"] == "deployed" => Ok(host),
            _ => Err(status),
        }
    });
    lab.ok(&["name", "duo.lab", &lab.ip(moved)]);
    fetched_from(&lab, moved, "duo.lab", "web v1");
    down(&otter, 0);
    lab.ok(&["boot", &first.to_string()]);
    for (name, _) in hosts {
        server_in(&otter, name, "ready", 240);
    }
    fetched_from(&lab, moved, "duo.lab", "web v1");
}
