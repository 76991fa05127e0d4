//! B17: controllers whose watches are late, and who are killed while they are. They run apart, through a relay that holds watches
//! back, so that they act on old objects; what they did is judged by every change they asked the API for.

use crate::faults::{nightly, say};
use crate::{OTTER, otter};
use otternauts_faults::Dice;
use otternauts_faults::late::{Deed, judge};
use otternauts_faults::relay::Relay;
use otternauts_faults::wire::Door;
use otternauts_harness::{Otter, until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);
const STACK: &str = "/apis/otternauts.dev/v1/namespaces/default/stacks/web";
const SERVER: &str = "/apis/otternauts.dev/v1/servers/harbour";
const WATCHED: [&str; 7] = ["stacks", "servers", "clusters", "deployments", "configmaps", "secrets", "namespaces"];

/// `otter controllers`, killed when dropped.
struct Controllers(Child);

impl Controllers {
    fn start(kubeconfig: &Path, log: &Path) -> Controllers {
        let log = std::fs::File::options().create(true).append(true).open(log).expect("a log");
        let mut command = Command::new(OTTER);
        command.args(["controllers", "--kubeconfig"]).arg(kubeconfig).stdin(Stdio::null()).stdout(Stdio::null());
        Controllers(command.stderr(log).env_remove("KUBECONFIG").spawn().expect("it starts"))
    }
}

impl Drop for Controllers {
    fn drop(&mut self) {
        // With no time to end a step.
        let _dead_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// What is asked for now, each round something else.
#[derive(Clone, Copy)]
struct Wish {
    image: u64,
    port: u64,
    setting: u64,
}

impl Wish {
    fn stack(self, otter: &Otter) {
        let compose =
            format!("services: {{web: {{image: 'nginx:1.{}', environment: {{SETTING: '${{SETTING}}'}}}}}}", self.image);
        let spec = json!({"compose": {"inline": compose}, "env": [{"configMapRef": {"name": "settings"}}]});
        apply(
            otter,
            json!({"apiVersion": "otternauts.dev/v1", "kind": "Stack", "metadata": {"name": "web"}, "spec": spec}),
        );
    }

    /// Nobody listens on such a port.
    fn server(self, otter: &Otter) {
        let spec = json!({"address": "127.0.0.1", "port": self.port, "user": "deploy"});
        let metadata = json!({"name": "harbour"});
        apply(otter, json!({"apiVersion": "otternauts.dev/v1", "kind": "Server", "metadata": metadata, "spec": spec}));
    }

    fn settings(self, otter: &Otter) {
        let data = json!({"SETTING": self.setting.to_string()});
        apply(otter, json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data}));
    }
}

fn apply(otter: &Otter, object: Value) {
    otter.apply(&object.to_string());
}

fn get(otter: &Otter, path: &str) -> Value {
    otter.curl_admin(path, &[]).json()
}

/// Waits until the controllers have come to what is asked for.
fn arrived(otter: &Otter, wish: Wish) {
    let observed = |object: &Value| {
        let generation = object["metadata"]["generation"].as_i64();
        generation.is_some() && object["status"]["observedGeneration"].as_i64() == generation
    };
    until("the controllers to see the newest Server and Stack", PATIENCE, || {
        let (stack, server) = (get(otter, STACK), get(otter, SERVER));
        let made = get(otter, "/apis/otternauts.dev/v1/namespaces/default/deployments");
        let made = made["items"].as_array().cloned().unwrap_or_default();
        let newest = made.iter().max_by_key(|one| one["spec"]["version"].as_i64());
        let compose = newest.and_then(|one| one["spec"]["snapshot"]["compose"].as_str()).unwrap_or_default();
        let newest = compose.contains(&format!("nginx:1.{}'", wish.image));
        let port = server["status"]["lastError"].as_str().is_some_and(|error| error.contains(&wish.port.to_string()));
        let there = observed(&stack) && observed(&server) && newest && port;
        there.then_some(()).ok_or_else(|| format!("{} {} {compose}", stack["status"], server["status"]))
    });
}

/// How many Deployments were made of a Stack that was no longer asked for like that.
fn of_old(relay: &Relay, generation: i64) -> usize {
    let made = |deed: &&Deed| deed.code == 201 && deed.path.ends_with("/deployments");
    let of = |deed: &Deed| deed.answer["spec"]["snapshot"]["stackGeneration"].as_i64();
    relay.deeds().iter().filter(made).filter(|deed| of(deed).is_some_and(|of| of < generation)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn controllers_whose_watches_are_late_do_nothing_twice_and_overwrite_nothing_newer_b17() {
    let rounds = if nightly() { 200 } else { 2 };
    let seed = Dice::seed();
    say(&format!("late watches: {}={seed}", otternauts_faults::dice::SEED));
    let otter = otter();
    let directory = tempfile::tempdir().expect("a directory");
    let (kubeconfig, log): (PathBuf, PathBuf) = (directory.path().join("kubeconfig"), directory.path().join("log"));
    let relay = Relay::before(Door::of(&otter.url, &otter.data_dir()).expect("a door")).await.expect("a relay");
    std::fs::write(&kubeconfig, relay.kubeconfig()).expect("written");
    tokio::task::block_in_place(|| {
        let mut wish = Wish { image: 10, port: 2, setting: 0 };
        wish.settings(&otter);
        wish.server(&otter);
        wish.stack(&otter);
        let mut controllers = Controllers::start(&kubeconfig, &log);
        arrived(&otter, wish);
        // What a ConfigMap brings about is done for the Stack that is known: an old one.
        relay.hold(&["stacks"]);
        let before = of_old(&relay, 2);
        wish.image += 1;
        wish.stack(&otter);
        assert_eq!(get(&otter, STACK)["metadata"]["generation"], 2);
        wish.setting += 1;
        wish.settings(&otter);
        until("a Deployment of an old Stack", PATIENCE, || match of_old(&relay, 2) - before {
            0 => Err(relay.deeds().len()),
            _ => Ok(()),
        });
        relay.hold(&[]);
        arrived(&otter, wish);
        for round in 0..rounds {
            let mut dice = Dice::part(seed, round);
            let held: Vec<&str> = WATCHED.into_iter().filter(|_| dice.chance(60)).collect();
            relay.hold(&held);
            for _ in 0..1 + dice.below(4) {
                disturb(&otter, &mut wish, &mut dice);
            }
            if dice.chance(40) {
                // There is never more than one.
                drop(controllers);
                disturb(&otter, &mut wish, &mut dice);
                controllers = Controllers::start(&kubeconfig, &log);
            }
            // Some come back before others.
            let some: Vec<&str> = held.into_iter().filter(|_| dice.chance(50)).collect();
            relay.hold(&some);
            disturb(&otter, &mut wish, &mut dice);
            relay.hold(&[]);
            arrived(&otter, wish);
        }
    });
    let log = std::fs::read_to_string(&log).unwrap_or_default();
    let report = judge(&relay.deeds()).unwrap_or_else(|error| panic!("seed {seed}: {error:#}; the log:\n{log}"));
    say(&format!("late watches: {rounds} rounds, {} pieces were late, {report:?}", relay.late()));
    assert!(relay.late() > rounds && report.made > 2 && report.told > 0, "{report:?}");
}

#[test]
fn of_all_controllers_that_run_apart_or_inside_one_acts_p11() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap_or_default();
    let start = |otter: &Otter, name: &str| {
        let apart = Controllers::start(&otter.data_dir().join("admin.kubeconfig"), &directory.path().join(name));
        until("it to reach the server", PATIENCE, || log(name).contains("controllers start").then_some(()).ok_or("no"));
        apart
    };
    let acts = |name: &str| log(name).contains("a controller starts");
    let until_acts = |name: &str| until("it to act", PATIENCE, || acts(name).then_some(()).ok_or_else(|| log(name)));
    let mut wish = Wish { image: 10, port: 2, setting: 0 };
    let mut done = |otter: &Otter| {
        wish.port += 1;
        wish.server(otter);
        until("somebody to look at the Server", PATIENCE, || {
            let server = get(otter, SERVER);
            let told = server["status"]["lastError"].as_str().is_some_and(|said| said.contains(&wish.port.to_string()));
            told.then_some(()).ok_or(server)
        });
    };

    let mut otter = otter();
    let first = start(&otter, "first");
    until_acts("first");
    let second = start(&otter, "second");
    done(&otter);
    assert!(!acts("second"), "the first has not ended:\n{}", log("second"));
    drop(first);
    until_acts("second");
    done(&otter);
    drop(second);
    otter.stop();

    // A server that nobody shares the store with has its own, from its start on and after a crash.
    let mut otter = crate::whole();
    let holder = |otter: &Otter| {
        let lease = "/apis/coordination.k8s.io/v1/namespaces/otternauts-system/leases/otternauts-controllers";
        until("the Lease", PATIENCE, || match get(otter, lease)["spec"]["holderIdentity"].as_str() {
            Some("otter serve") => Ok(()),
            other => Err(other.map(str::to_owned)),
        });
    };
    holder(&otter);
    let apart = start(&otter, "apart");
    done(&otter);
    otter.kill();
    otter.boot();
    holder(&otter);
    done(&otter);
    assert!(!acts("apart"), "the server has its own:\n{}", log("apart"));
    drop(apart);
}

/// Something is asked for, or somebody touches an object without asking for anything.
fn disturb(otter: &Otter, wish: &mut Wish, dice: &mut Dice) {
    match dice.below(6) {
        0 => {
            wish.image += 1;
            wish.stack(otter);
        }
        1 => {
            wish.port = 2 + (wish.port + 1 + dice.below(5)) % 7;
            wish.server(otter);
        }
        2 => {
            wish.setting += 1;
            wish.settings(otter);
        }
        touched => {
            let what = ["stack/web", "server/harbour", "cluster/default"][touched as usize - 3];
            let note = format!("touched={}", dice.next());
            otter.kubectl(&["annotate", "--overwrite", what, &note]).ok();
        }
    }
}
