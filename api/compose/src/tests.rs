//! Whole files in, findings and documents out.

use super::*;
use serde_json::Value as Json;

fn errors(text: &str, policy: &Policy) -> Vec<String> {
    check(text, policy).errors.iter().map(Finding::to_string).collect()
}

fn baseline(text: &str) -> Vec<String> {
    errors(text, &Policy::default())
}

fn rendered(text: &str, values: &Values, policy: &Policy) -> (Rendered, Json) {
    let compiled = compile(text, values, policy).unwrap_or_else(|e| panic!("{e:#?}"));
    let who = Identity {
        namespace: "default".into(),
        stack: "shop".into(),
        deployment: "shop-1".into(),
        ..Identity::default()
    };
    let rendered = render(&compiled.project, &who).expect("renders");
    let json = serde_json::from_str(rendered.document().expose()).expect("JSON");
    (rendered, json)
}

fn service(body: &str) -> String {
    format!("services:\n  web:\n    image: nginx:1\n{body}")
}

#[test]
fn a_file_without_services_is_refused_ot_41() {
    assert_eq!(baseline("services: {}\n"), ["line 1, column 11: services: a stack needs at least one service"]);
    assert_eq!(baseline("version: '3.8'\n"), ["line 1, column 1: services: a stack needs at least one service"]);
    assert_eq!(baseline("- a\n"), ["line 1, column 1: expected a mapping with \"services\", found a list"]);
}

#[test]
fn unknown_keys_are_errors_with_a_suggestion() {
    assert_eq!(
        baseline("services:\n  web:\n    imge: nginx\n    image: nginx\n"),
        ["line 3, column 5: services.web.imge: unknown key; did you mean \"image\"?"]
    );
    assert_eq!(
        baseline(&service("    deploy: {replica: 2}\n")),
        ["line 4, column 14: services.web.deploy.replica: unknown key; did you mean \"replicas\"?"]
    );
    assert_eq!(baseline(&service("    x-mine: 1\n")), [""; 0]);
}

#[test]
fn keys_that_leave_the_container_need_a_privileged_namespace() {
    for key in [
        "privileged: true",
        "devices: [/dev/x]",
        "security_opt: [a]",
        "pid: host",
        "ipc: host",
        "userns_mode: host",
        "network_mode: host",
        "cap_add: [NET_ADMIN]",
    ] {
        let text = service(&format!("    {key}\n"));
        let found = baseline(&text);
        assert_eq!(found.len(), 1, "{key}: {found:?}");
        assert!(
            found[0].contains("line 4, column 5") && found[0].contains("otternauts.dev/policy=privileged"),
            "{found:?}"
        );
        assert_eq!(errors(&text, &Policy::of(Level::Privileged)), [""; 0], "{key}");
    }
    assert_eq!(baseline(&service("    privileged: false\n")), [""; 0]);
    let honoured = check(&service("    cap_add: [NET_ADMIN]\n"), &Policy::of(Level::Privileged));
    assert_eq!(honoured.warnings, []);
    assert_eq!(check(&service("    pid: host\n"), &Policy::of(Level::Privileged)).warnings.len(), 1);
}

#[test]
fn keys_without_meaning_in_swarm_are_warnings() {
    let found = check(
        &service("    restart: always\n    container_name: x\n    mem_limit: 5m\n    build: .\n"),
        &Policy::default(),
    );
    assert_eq!(found.errors, []);
    let texts: Vec<String> = found.warnings.iter().map(Finding::to_string).collect();
    assert_eq!(
        texts,
        [
            "line 4, column 5: services.web.restart: Swarm ignores it; use deploy.restart_policy",
            "line 5, column 5: services.web.container_name: Swarm names its containers itself",
            "line 6, column 5: services.web.mem_limit: Swarm ignores it; use deploy.resources",
            "line 7, column 5: services.web.build: nothing is built: the image is pulled",
        ]
    );
}

#[test]
fn what_needs_a_file_of_the_author_is_refused() {
    assert_eq!(baseline("services:\n  web:\n    build: .\n").len(), 1);
    assert!(baseline(&service("    env_file: .env\n"))[0].contains("services.web.env_file: a path means nothing"));
    for section in ["configs", "secrets"] {
        let text = service("") + &format!("{section}:\n  a:\n    file: ./a\n");
        assert!(
            baseline(&text)[0].contains(&format!("line 6, column 5: {section}.a.file: a path means nothing")),
            "{text}"
        );
    }
    assert!(baseline(&service("    volumes: ['./data:/data']\n"))[0].contains("is a path on your machine"));
}

#[test]
fn images_are_checked_before_anything_is_sent_ot_47() {
    let check = |image: &str, fine: bool| {
        let found = baseline(&format!("services:\n  web:\n    image: {image}\n"));
        assert_eq!(found.is_empty(), fine, "{image}: {found:?}");
    };
    for fine in [
        "nginx",
        "nginx:1.27",
        "registry.lab/lab/web:v1",
        "localhost:5000/a/b",
        "ghcr.io/o/r@sha256:".to_owned().as_str(),
    ] {
        if fine.ends_with(':') {
            check(&format!("{fine}{}", "a".repeat(64)), true);
        } else {
            check(fine, true);
        }
    }
    for bad in ["Nginx", "'nginx:'", "'a b'", "nginx@sha256:12", "'../x'", "'nginx:la test'", "'x//y'"] {
        check(bad, false);
    }
    let policy = Policy { registries: vec!["registry.lab".into()], ..Policy::default() };
    assert!(errors(&service(""), &policy)[0].contains("images from docker.io are not allowed by the cluster"));
}

#[test]
fn host_ports_follow_the_policy() {
    let ports = |list: &str, policy: &Policy| errors(&service(&format!("    ports: [{list}]\n")), policy);
    let plain = Policy::default();
    assert_eq!(ports("'8080:80', '1024:81/udp', '65535:82', '9000'", &plain), [""; 0]);
    assert!(ports("'80:80'", &plain)[0].contains("host port 80 belongs to the ingress"));
    assert!(ports("'443:443'", &plain)[0].contains("belongs to the ingress"));
    assert!(ports("'22:22'", &plain)[0].contains("not allowed under policy baseline: 1024 to 65535 are, and"));
    assert!(ports("'8080:80'", &Policy::of(Level::Restricted))[0].contains("not allowed under policy restricted"));
    assert_eq!(ports("'22:22', '80:80'", &Policy::of(Level::Privileged)), [""; 0]);
    let listed = Policy { host_ports: vec![53], ..Policy::default() };
    assert_eq!(ports("'53:53/udp', '9005:80'", &listed), [""; 0]);
    assert!(ports("'54:80'", &listed)[0].contains("spec.policy.hostPorts"));
    assert!(ports("'127.0.0.1:8080:80'", &plain)[0].contains("open on every address"));
    assert!(ports("'8000-8002:80-81'", &plain)[0].contains("differ in length"));
    assert!(ports("'70000:80'", &plain)[0].contains("expected HOST:CONTAINER"));
    assert!(ports("'8080:80', '8080:81'", &plain)[0].contains("already published"));
    assert_eq!(ports("'${PORT}:80', {target: 80, published: '${P}'}", &plain), [""; 0]);
}

#[test]
fn bind_mounts_follow_the_policy() {
    let mount = |volume: &str, policy: &Policy| errors(&service(&format!("    volumes: [{volume}]\n")), policy);
    assert!(mount("'/var/run/docker.sock:/x'", &Policy::default())[0].contains("host path \"/var/run/docker.sock\""));
    let listed = Policy { bind_mounts: vec!["/srv/data".into()], ..Policy::default() };
    assert_eq!(mount("'/srv/data:/a', '/srv/data/b:/c:ro'", &listed), [""; 0]);
    for outside in ["/srv/data/../etc:/a", "/srv/database:/a", "/srv:/a"] {
        assert_eq!(mount(&format!("'{outside}'"), &listed).len(), 1, "{outside}");
    }
    let by_volume =
        service("    volumes: ['d:/d']\n") + "volumes: {d: {driver_opts: {type: none, o: bind, device: /etc}}}\n";
    assert!(baseline(&by_volume)[0].contains("it mounts the host path \"/etc\""));
    assert!(mount("'data:/data'", &Policy::default())[0].contains("is not declared under volumes"));
}

#[test]
fn networks_of_the_machine_are_out_of_reach() {
    let text = service("    networks: [h]\n") + "networks: {h: {external: true, name: host}}\n";
    assert!(baseline(&text)[0].contains("belongs to the machine"), "{:?}", baseline(&text));
    let fixed = service("    networks: [h]\n") + "networks: {h: {name: shared}}\n";
    assert!(baseline(&fixed)[0].contains("a fixed name is shared"));
    assert!(baseline(&service("    networks: [gone]\n"))[0].contains("\"gone\" is not declared"));
}

#[test]
fn domains_are_checked_with_line_and_column_ot_43() {
    let domain =
        |d: &str| baseline(&service(&format!("    expose: [80]\n    x-otternauts:\n      domains:\n        - {d}\n")));
    assert_eq!(domain("shop.example.com"), [""; 0]);
    assert_eq!(domain("{host: shop.example.com, path: /api, port: 8080}"), [""; 0]);
    assert!(
        domain("exa_mple.com")[0]
            .starts_with("line 7, column 11: services.web.x-otternauts.domains[0]: \"exa_mple.com\"")
    );
    for bad in ["-a.com", "'a..com'", "10.0.0.1", "'*.example.com'", "'https://a.com'", "'a b.com'"] {
        assert_eq!(domain(bad).len(), 1, "{bad}");
    }
    let two = service("    expose: [80, 81]\n    x-otternauts: {domains: [a.com]}\n");
    assert!(baseline(&two)[0].contains("Ports 80, 81 are known: set x-otternauts.port"));
}

#[test]
fn a_health_check_is_one_of_three_and_says_where_it_goes() {
    let probe = |x: &str| {
        let text = service(&format!("    expose: ['8080']\n    x-otternauts: {x}\n"));
        let compiled = compile(&text, &Values::default(), &Policy::default()).map_err(|e| e[0].message.clone())?;
        Ok::<_, String>(compiled.project.services[0].ingress.probe.clone())
    };
    let seconds = std::time::Duration::from_secs;
    let http = |path: &str, port| {
        let shown = path.split('?').next().unwrap_or_default().to_owned();
        Check::Http { path: path.into(), shown, port }
    };
    let usual = |check| Some(Probe { check, interval: seconds(10), timeout: seconds(3), retries: 3 });
    assert_eq!(probe("{port: 80}"), Ok(None));
    assert_eq!(probe("{health: {http: /ok}}"), Ok(usual(http("/ok", 8080))));
    assert_eq!(probe("{port: 81, health: {http: '/ok?a=b'}}"), Ok(usual(http("/ok?a=b", 81))));
    assert_eq!(probe("{health: {tcp: 5432}}"), Ok(usual(Check::Tcp { port: 5432 })));
    let command = Check::Command(vec!["pg_isready".into(), "-q".into()]);
    assert_eq!(
        probe("{health: {command: [pg_isready, -q], interval: 1m, timeout: 2m, retries: 5}}"),
        Ok(Some(Probe { check: command, interval: seconds(60), timeout: seconds(60), retries: 5 }))
    );
    for (x, why) in [
        ("{health: {}}", "exactly one of http, tcp and command"),
        ("{health: {http: /, tcp: 1}}", "exactly one of http, tcp and command"),
        ("{health: {http: ok}}", "a path begins with /"),
        ("{health: {tcp: 70000}}", "a number from 1 to 65535"),
        ("{health: {command: 'true; rm -rf /'}}", "no shell reads it"),
        ("{health: {tcp: 1, interval: 10ms}}", "at least 1s"),
        ("{health: {tcp: 1, interval: 99999999999999999999h}}", "at most 1h"),
        ("{health: {tcp: 1, retries: 0}}", "from 1 to 100"),
    ] {
        let error = probe(x).expect_err(x);
        assert!(error.contains(why), "{x}: {error}");
    }
    assert!(baseline(&service("    x-otternauts: {health: {http: /}}\n"))[0].contains("Set x-otternauts.port"));
    // What a variable will say is judged when it is known.
    assert_eq!(baseline(&service("    x-otternauts: {health: {tcp: '${P}'}}\n")), [""; 0]);
}

/// What is said of a failing check reaches everybody who may look at the Stack.
#[test]
fn what_may_be_said_of_a_health_check_has_no_value_and_no_query_r24() {
    let mut values = Values::default();
    values.insert("TOKEN", "hunter2secret");
    for (path, expected) in [
        ("/h?token=${TOKEN}", "/h"),
        ("/h?token=hunter2secret", "/h"),
        ("/h/${TOKEN}/x", "/h/${TOKEN}/x"),
        ("/${TOKEN}?a=${TOKEN}", "/${TOKEN}"),
        ("/${NONE:-${TOKEN}}", "/${NONE:-${TOKEN}}"),
        ("/plain", "/plain"),
    ] {
        let text = service(&format!("    expose: ['80']\n    x-otternauts: {{health: {{http: '{path}'}}}}\n"));
        let compiled = compile(&text, &values, &Policy::default()).expect(path);
        let probe = compiled.project.services[0].ingress.probe.clone().expect("a probe");
        let Check::Http { path: asked, shown, .. } = probe.check else { panic!("{path}") };
        assert_eq!(shown, expected, "{path}");
        assert!(!path.contains("TOKEN") || asked.contains("hunter2secret"), "{asked} is what is asked");
    }
    let said = Mask::of(&values).text("curl: no host hunter2secret, nor http://hunter2secret@db");
    assert_eq!(said, "curl: no host ${TOKEN}, nor http://${TOKEN}@db");
}

#[test]
fn another_declared_health_check_is_another_revision_for_which_nothing_is_sent() {
    let with = |health: &str| {
        let text = service(&format!("    x-otternauts: {{port: 80, health: {health}}}\n"));
        rendered(&text, &Values::default(), &Policy::default()).0
    };
    let (one, same) = (with("{http: /a}"), with("{http: /a, interval: 10s}"));
    assert_eq!(one.spec_sha256(), same.spec_sha256(), "the usual interval, said");
    let without = rendered(&service("    x-otternauts: {port: 80}\n"), &Values::default(), &Policy::default()).0;
    for other in [with("{http: /b}"), with("{tcp: 80}"), with("{http: /a, retries: 4}"), without] {
        assert_ne!(one.spec_sha256(), other.spec_sha256());
        assert_eq!(one.services, other.services, "no service has it in its hash");
        let changes: Vec<String> = diff(Some(&one), &other).iter().map(|c| c.path.clone()).collect();
        assert_eq!(changes, ["services.web.x-otternauts.health"]);
    }
}

#[test]
fn every_unresolved_variable_is_listed_with_its_place() {
    let text = service("    environment:\n      A: ${ONE}\n      B: x${TWO}y$THREE\n");
    assert_eq!(baseline(&text), [""; 0]);
    let found = compile(&text, &Values::default(), &Policy::default()).err().expect("refused");
    let texts: Vec<String> = found.iter().map(Finding::to_string).collect();
    assert_eq!(
        texts,
        [
            "line 5, column 10: services.web.environment.A: variable ONE has no value",
            "line 6, column 10: services.web.environment.B: variable TWO has no value",
            "line 6, column 10: services.web.environment.B: variable THREE has no value",
        ]
    );
}

#[test]
fn a_value_cannot_smuggle_anything_past_the_policy() {
    let mut values = Values::default();
    values.insert("PORT", "22");
    values.insert("PATH_", "/etc");
    let text = service("    ports: ['${PORT}:22']\n    volumes: ['${PATH_}:/x']\n");
    assert_eq!(baseline(&text), [""; 0]);
    assert_eq!(compile(&text, &values, &Policy::default()).err().map(|e| e.len()), Some(2));
}

#[test]
fn services_come_in_start_order() {
    let text = "services:\n  web: {image: a, depends_on: {db: {condition: service_healthy}}}\n  db: {image: b, depends_on: [cache]}\n  cache: {image: c}\n";
    let compiled = compile(text, &Values::default(), &Policy::default()).map_err(|e| format!("{e:?}")).expect("fine");
    let names: Vec<&str> = compiled.project.services.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["cache", "db", "web"]);
    assert_eq!(compiled.warnings.len(), 1);
    let circle = "services:\n  a: {image: a, depends_on: [b]}\n  b: {image: b, depends_on: [a]}\n";
    assert!(baseline(circle)[0].contains("goes round in a circle: a, b"));
}

#[test]
fn combinations_swarm_would_refuse_are_found_first() {
    let deploy = |d: &str| baseline(&service(&format!("    deploy: {d}\n")));
    assert_eq!(deploy("{mode: global, replicas: 2}").len(), 1);
    assert_eq!(deploy("{mode: replicated-job, update_config: {order: start-first}}").len(), 1);
    assert_eq!(deploy("{update_config: {order: sideways}}").len(), 1);
    assert_eq!(deploy("{resources: {limits: {memory: lots}}}").len(), 1);
    assert!(baseline(&service("    ports: ['8080:80']\n    deploy: {endpoint_mode: dnsrr}\n"))[0].contains("dnsrr"));
    assert_eq!(
        baseline(&service(
            "    ports: [{target: 80, published: 8080, mode: host}]\n    deploy: {endpoint_mode: dnsrr}\n"
        )),
        [""; 0]
    );
}

#[test]
fn the_sample_renders_exactly_like_this() {
    let mut values = Values::default();
    values.insert("DB_PASSWORD", "pa$$word");
    let (rendered, json) = rendered(include_str!("../fixtures/sample.yaml"), &values, &Policy::default());
    let golden = include_str!("../fixtures/sample.rendered.json");
    let pretty = serde_json::to_string_pretty(&json).expect("JSON") + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/sample.rendered.json");
        std::fs::write(path, &pretty).expect("golden written");
        return;
    }
    assert_eq!(pretty, golden, "run with UPDATE_GOLDEN=1 after a deliberate change");
    assert_eq!(rendered.stack_name, swarm_stack_name("default", "shop"));
    assert_eq!(rendered.inline.len(), 2);
}

#[test]
fn only_what_changed_gets_a_new_hash_and_is_sent() {
    let two = |image: &str| format!("services:\n  a: {{image: one}}\n  b: {{image: {image}}}\n");
    let (first, _) = rendered(&two("two"), &Values::default(), &Policy::default());
    let (again, _) = rendered(&two("two"), &Values::default(), &Policy::default());
    assert_eq!(first.services, again.services);
    assert_eq!(first.spec_sha256(), again.spec_sha256());
    assert_eq!(diff(Some(&first), &again), []);
    let (second, _) = rendered(&two("three"), &Values::default(), &Policy::default());
    assert_ne!(first.spec_sha256(), second.spec_sha256());
    assert_eq!((&first.services[0], &first.services[1].name), (&second.services[0], &second.services[1].name));
    assert_ne!(first.services[1].spec_sha256, second.services[1].spec_sha256);
    let part: Json = serde_json::from_str(second.document_of(|name| name == "b").expose()).expect("JSON");
    let sent: Vec<&String> = part["services"].as_object().expect("services").keys().collect();
    assert_eq!(sent, ["b"]);
    let changes: Vec<String> = diff(Some(&first), &second).iter().map(Change::to_string).collect();
    assert_eq!(changes, ["~ services.b.image: \"two\" -> \"three\""]);
}

#[test]
fn a_hash_does_not_depend_on_the_order_of_keys() {
    let (a, _) = rendered(&service("    user: x\n    hostname: h\n"), &Values::default(), &Policy::default());
    let (b, _) = rendered(&service("    hostname: h\n    user: x\n"), &Values::default(), &Policy::default());
    assert_eq!(a.services, b.services);
}

#[test]
fn new_content_of_a_config_is_a_new_object_and_a_new_hash() {
    let text = |c: &str| {
        service("    configs: [{source: c, target: /c, mode: 0440}]\n") + &format!("configs: {{c: {{content: {c}}}}}\n")
    };
    let (a, json) = rendered(&text("one"), &Values::default(), &Policy::default());
    let (b, _) = rendered(&text("two"), &Values::default(), &Policy::default());
    assert_ne!(a.inline[0].name, b.inline[0].name);
    assert_ne!(a.services[0].spec_sha256, b.services[0].spec_sha256);
    assert_eq!(json["services"]["web"]["configs"][0]["mode"], 0o440);
    assert_eq!(json["configs"]["c"]["external"], true);
}

#[test]
fn names_that_docker_would_refuse_are_found_first() {
    let compiled = compile(&service("").replace("web", &"w".repeat(60)), &Values::default(), &Policy::default());
    let compiled = compiled.map_err(|e| format!("{e:?}")).expect("fine");
    let who = Identity { namespace: "n".into(), stack: "shop".into(), ..Identity::default() };
    assert!(render(&compiled.project, &who).err().expect("too long").contains("at most 49 characters are left"));
}

#[test]
fn a_new_login_sends_again_the_services_of_its_registry_and_no_others() {
    let text = "services:\n  own: {image: r.example.com/a:1}\n  other: {image: b:1}\n";
    let hashes = |logins: &[(&str, &str)]| {
        let logins = logins.iter().map(|(r, m)| ((*r).to_owned(), (*m).to_owned())).collect();
        let who =
            Identity { namespace: "n".into(), stack: "s".into(), deployment: "s-1".into(), logins, ingress: None };
        let compiled =
            compile(text, &Values::default(), &Policy::default()).map_err(|e| format!("{e:?}")).expect("fine");
        let rendered = render(&compiled.project, &who).expect("fine");
        let hash = |name: &str| rendered.services.iter().find(|s| s.name == name).expect("there").spec_sha256.clone();
        (hash("own"), hash("other"))
    };
    let (none, first, second) =
        (hashes(&[]), hashes(&[("r.example.com", "1"), ("x", "1")]), hashes(&[("r.example.com", "2")]));
    assert_eq!((&none.1, &first.1), (&first.1, &second.1), "docker.io has no login");
    assert_ne!(none.0, first.0);
    assert_ne!(first.0, second.0);
}

proptest::proptest! {
    #[test]
    fn no_input_panics(text in "(services|web|image|ports|:|\n|  |- |\\[|\\]|\\{|\\}|\\$|a|1|&x|\\*x|<<|\"|'|,){0,60}") {
        let _ = check(&text, &Policy::default());
        let _ = compile(&text, &Values::default(), &Policy::of(Level::Privileged));
    }
}

#[test]
fn what_another_stack_made_cannot_be_external() {
    for section in ["volumes", "networks", "configs", "secrets"] {
        for declared in ["{external: true, name: shop-0badcafe_data}", "{external: {name: shop-0badcafe_data}}"] {
            let text = service("") + &format!("{section}:\n  d: {declared}\n");
            let found = baseline(&text);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with("line 5, column ") && found[0].contains(&format!(": {section}.d: not allowed under policy baseline: \"shop-0badcafe_data\" is the name of something another stack made")), "{found:?}");
            assert_eq!(errors(&text, &Policy::of(Level::Privileged)), [""; 0]);
        }
        for free in ["shared", "my_data", "data-0badcafe", "x-0BADCAFE_y", "-0badcafe_x"] {
            let text = service("") + &format!("{section}:\n  d: {{external: true, name: '{free}'}}\n");
            assert_eq!(baseline(&text), [""; 0], "{free}");
        }
    }
    let waits = service("") + "networks:\n  host: {external: true, name: '${N}'}\n";
    assert_eq!(baseline(&waits), [""; 0]);
    let by_key = service("") + "volumes:\n  shop-0badcafe_data: {external: true}\n";
    assert_eq!(baseline(&by_key).len(), 1);
    let mut values = Values::default();
    values.insert("V", "shop-0badcafe_data");
    let hidden = service("") + "volumes:\n  d: {external: true, name: '${V}'}\n";
    assert_eq!(baseline(&hidden), [""; 0]);
    assert_eq!(compile(&hidden, &values, &Policy::default()).err().map(|e| e.len()), Some(1));
}

#[test]
fn volume_drivers_and_what_they_mount_follow_the_policy() {
    let volume = |body: &str, policy: &Policy| errors(&(service("") + &format!("volumes:\n  d: {body}\n")), policy);
    let plain = Policy::default();
    for fine in [
        "{driver: local}",
        "{driver_opts: {type: tmpfs, device: tmpfs, o: 'size=10m'}}",
        "{driver_opts: {type: nfs, device: ':/export', o: 'addr=10.0.0.1,rw'}}",
        "{driver_opts: {type: cifs, device: '//nas/share', o: 'username=a'}}",
    ] {
        assert_eq!(volume(fine, &plain), [""; 0], "{fine}");
    }
    assert_eq!(
        volume("{driver: rexray}", &plain),
        [
            "line 5, column 15: volumes.d.driver: not allowed under policy baseline: volume driver \"rexray\"; local is, and what \
          the cluster lists in spec.policy.volumeDrivers"
        ]
    );
    let listed = Policy { volume_drivers: vec!["rexray".into()], ..Policy::default() };
    assert_eq!(volume("{driver: rexray, driver_opts: {size: 10}}", &listed), [""; 0]);
    for mounts in [
        "{driver_opts: {type: none, o: bind, device: etc}}",
        "{driver_opts: {type: nfs, o: 'rw,rbind', device: ':/'}}",
        "{driver_opts: {type: tmpfs, o: 'remount', device: x}}",
        "{driver_opts: {type: ext4, device: dev/sda1}}",
        "{driver_opts: {type: ext4, device: /dev/sda1}}",
        "{driver_opts: {type: devtmpfs, device: x}}",
        "{driver_opts: {type: overlay, device: x, o: 'lowerdir=/etc'}}",
        "{driver_opts: {type: cifs, device: '//etc', o: bind}}",
        "{driver: local, driver_opts: [type=none, o=bind, device=/etc]}",
    ] {
        assert_eq!(volume(mounts, &plain).len(), 1, "{mounts}");
        assert_eq!(volume(mounts, &Policy::of(Level::Privileged)), [""; 0], "{mounts}");
    }
    let binds = Policy { bind_mounts: vec!["/srv".into()], ..Policy::default() };
    assert_eq!(volume("{driver_opts: {type: none, o: bind, device: /srv/a}}", &binds), [""; 0]);
}

#[test]
fn logs_leave_the_machine_only_where_the_cluster_says_so() {
    let logging =
        |driver: &str, policy: &Policy| errors(&service(&format!("    logging: {{driver: {driver}}}\n")), policy);
    for fine in ["json-file", "local", "journald", "none"] {
        assert_eq!(logging(fine, &Policy::default()), [""; 0], "{fine}");
    }
    let found = logging("fluentd", &Policy::default());
    let start = "line 4, column 23: services.web.logging.driver: not allowed under policy baseline: logging driver \"fluentd\"; ";
    assert!(found.len() == 1 && found[0].starts_with(start), "{found:?}");
    assert_eq!(logging("syslog", &Policy::of(Level::Restricted)).len(), 1);
    assert_eq!(logging("syslog", &Policy::of(Level::Privileged)), [""; 0]);
    let listed = Policy { logging_drivers: vec!["loki".into()], ..Policy::default() };
    assert_eq!(logging("loki", &listed), [""; 0]);
}

#[test]
fn a_variable_without_value_is_one_finding_wherever_it_stands() {
    let mut lines = 0;
    for text in [
        "services:\n  web:\n    image: ${X}\n".to_owned(),
        "services:\n  web:\n    image: '${X'\n".to_owned(),
        "services:\n  web:\n    image: 'nginx:${X}'\n    build: .\n".to_owned(),
        "services:\n  web: ${X}\n".to_owned(),
        "services: ${X}\n".to_owned(),
        service("    deploy: ${X}\n"),
        service("    deploy: {replicas: '${X}', mode: '${X'}\n").replace("'${X'", "global"),
        service("    ports: '${X}'\n"),
        service("    ports: ['${X}:80']\n"),
        service("    ports: [{target: '${X}'}]\n"),
        service("    ports: [{target: 80, mode: '${X}'}]\n"),
        service("    ports: [{target: 80, protocol: '${X}'}]\n"),
        service("    volumes: ['${X}:/x']\n"),
        service("    volumes: [{type: bind, source: '${X}', target: /x}]\n"),
        service("    networks: ['${X}']\n"),
        service("    networks: '${X}'\n"),
        service("    configs: ['${X}']\n"),
        service("    configs: [{source: '${X}'}]\n"),
        service("    depends_on: ['${X}']\n"),
        service("    environment: '${X}'\n"),
        service("    environment: ['A=${X}']\n"),
        service("    extra_hosts: ['${X}']\n"),
        service("    logging: {driver: '${X}'}\n"),
        service("    x-otternauts: {domains: ['${X}']}\n"),
        service("    x-otternauts: {domains: [{host: '${X}'}]}\n"),
        service("    x-otternauts: '${X}'\n"),
        service("") + "volumes: {d: '${X}'}\n",
        service("") + "volumes: {d: {driver: '${X}'}}\n",
        service("") + "networks: {d: {external: '${X}'}}\n",
        service("") + "configs: {d: {content: '${X}'}}\n",
    ] {
        let Err(found) = compile(&text, &Values::default(), &Policy::default()) else { panic!("accepted: {text}") };
        let texts: Vec<String> = found.iter().map(Finding::to_string).collect();
        let of_variable = |t: &String| t.contains("variable X has no value") || t.contains("is never closed");
        assert!(texts.len() == 1 && of_variable(&texts[0]), "{text}: {texts:#?}");
        lines += 1;
    }
    assert_eq!(lines, 30);
}
