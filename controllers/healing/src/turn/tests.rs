use super::*;
use crate::fake::{self, Shared};
use kube::runtime::reflector::{self, store::Writer};
use kube::runtime::watcher::Event;
use otternauts_types::stack::{ServiceStatus, StackPhase, StackStatus};
use otternauts_types::{Server, Stack, StackSpec};
use parking_lot::Mutex;
use serde_json::Value;

const CAUSE: &str = "replicas.running 0 < replicas.desired 1";
const TARGET: &str = "Stack/default/shop/web";

struct World {
    keeper: Keeper,
    api: Shared,
    audited: Arc<Mutex<Vec<String>>>,
    stacks: Writer<Stack>,
}

fn rule(name: &str, more: Value) -> HealRule {
    let mut spec = json!({"target": {"stack": "shop"}, "condition": "replicas.running < replicas.desired"});
    let mut status = json!({});
    for (key, value) in more.as_object().into_iter().flatten() {
        if key == "status" { status = value.clone() } else { spec[key] = value.clone() }
    }
    let metadata = json!({"name": name, "namespace": "default", "uid": format!("{name}-00ff"), "generation": 1});
    let rule = json!({"apiVersion": "otternauts.dev/v1", "kind": "HealRule", "metadata": metadata, "spec": spec, "status": status});
    serde_json::from_value(rule).expect("a rule")
}

fn hook(more: Value) -> Value {
    let webhook = json!({"url": "https://127.0.0.1:1/", "secretRef": {"name": "hook"}});
    let mut spec = json!({"action": "webhook", "webhook": webhook});
    more.as_object().into_iter().flatten().for_each(|(key, value)| spec[key] = value.clone());
    spec
}

/// A Stack with one service, of which so many tasks run.
fn shop(running: i32) -> Event<Stack> {
    let mut stack = Stack::new("shop", StackSpec::default());
    stack.metadata.namespace = Some("default".into());
    let web = ServiceStatus { name: "web".into(), desired: 1, running, ..ServiceStatus::default() };
    stack.status = Some(StackStatus {
        phase: StackPhase::Running,
        swarm_stack: Some("shop-1".into()),
        services: vec![web],
        ..StackStatus::default()
    });
    Event::Apply(stack)
}

/// The service does not run.
fn world(rules: &[HealRule]) -> World {
    world_of(rules, &[])
}

fn world_of(rules: &[HealRule], servers: &[Server]) -> World {
    let (known, mut stacks) = reflector::store();
    stacks.apply_watcher_event(&shop(0));
    let audited = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&audited);
    let audit: crate::Audit = Arc::new(move |acted: &Acted<'_>| {
        let how = if acted.failed { "failed" } else { "done" };
        let Acted { namespace, rule, action, target, cause, .. } = acted;
        lines.lock().push(format!("{namespace}/{rule} {action} {how} on {target}: {cause}"));
    });
    let (context, api) = fake::context(rules, known, servers, audit);
    World { keeper: Keeper::new(context), api, audited, stacks }
}

impl World {
    /// Takes the next report of somebody who acts.
    async fn take(&mut self) {
        let report = self.keeper.reports.1.recv().await.expect("the keeper holds a sender");
        self.keeper.take(report).await;
    }

    /// Lets everybody who can go on do so, and answers how many reports there are then.
    async fn reports(&mut self) -> usize {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        self.keeper.reports.1.len()
    }

    fn actions(&self, rule: &str) -> Vec<Value> {
        let api = self.api.lock();
        api.statuses.get(rule).and_then(|s| s["recentActions"].as_array().cloned()).unwrap_or_default()
    }

    fn states(&self, rule: &str) -> Vec<String> {
        self.actions(rule).iter().map(|a| a["state"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

#[tokio::test]
async fn two_rules_that_act_at_one_moment_act_once_each_under_names_of_their_own() {
    let mut world = world(&[rule("tell", json!({"action": "alert"})), rule("hook", hook(json!({})))]);
    world.keeper.turn().await;
    // That the webhook begins, and that the alert is over.
    world.take().await;
    world.take().await;
    assert_eq!([world.states("tell"), world.states("hook")], [["Done"], ["Started"]]);
    assert_ne!(world.actions("tell")[0]["id"], world.actions("hook")[0]["id"]);
    world.keeper.turn().await;
    assert_eq!(world.reports().await, 0, "the webhook is on its way: it is not begun beside itself");
    assert_eq!(world.api.lock().keys, 1);
}

#[tokio::test]
async fn the_audit_is_told_of_each_action_with_the_values_that_caused_it() {
    let mut world = world(&[rule("tell", json!({"action": "alert"}))]);
    world.keeper.turn().await;
    assert!(world.audited.lock().is_empty(), "it is not over");
    world.take().await;
    assert_eq!(*world.audited.lock(), [format!("default/tell alert done on {TARGET}: {CAUSE}")]);
}

#[tokio::test]
async fn the_end_of_an_action_is_written_as_soon_as_the_api_takes_it() {
    let mut world = world(&[rule("tell", json!({"action": "alert"}))]);
    world.keeper.turn().await;
    // All is well before it is over: nothing but its end is left to be written.
    world.stacks.apply_watcher_event(&shop(1));
    world.keeper.turn().await;
    world.api.lock().refuses = true;
    world.take().await;
    assert_eq!(world.states("tell"), ["Intended"], "as the next process would find it");
    assert!(world.keeper.turn().await.is_some_and(|wait| wait <= RETRY), "it is tried again");
    world.api.lock().refuses = false;
    world.keeper.turn().await;
    assert_eq!(world.states("tell"), ["Done"]);
    let writes = world.api.lock().writes;
    world.keeper.turn().await;
    assert_eq!(world.api.lock().writes, writes, "and then left alone");
}

#[tokio::test]
async fn what_was_interrupted_is_not_gone_on_with_by_a_rule_that_has_become_a_dry_run() {
    let time = status::text(jiff::Timestamp::now().as_millisecond() - 60_000);
    for (dry_run, state) in [(false, "Started"), (true, "Failed")] {
        let open = json!({"id": "a", "time": time, "action": "webhook", "target": TARGET, "cause": CAUSE, "state": "Intended"});
        let status = json!({"recentActions": [open]});
        let mut world = world(&[rule("hook", hook(json!({"dryRun": dry_run, "status": status})))]);
        world.keeper.turn().await;
        if world.reports().await > 0 {
            world.take().await;
        }
        world.reports().await;
        let action = world.actions("hook")[0].clone();
        assert_eq!((&action["id"], &action["state"]), (&json!("a"), &json!(state)));
        assert_eq!(world.api.lock().keys, usize::from(!dry_run));
        if dry_run {
            assert_eq!(action["message"], "interrupted, and not gone on with: dryRun is set");
        }
    }
}

#[tokio::test]
async fn nobody_knows_that_a_service_is_well_while_a_server_of_its_cluster_was_not_reached_yet() {
    for (cluster, member, acts) in
        [("default", false, true), ("default", true, false), ("other", true, true), ("other", false, true)]
    {
        let spec = json!({"address": "192.0.2.1", "clusterRef": {"name": cluster}});
        let status = if member { json!({"swarmNodeID": "n1"}) } else { json!({}) };
        let server = json!({"apiVersion": "otternauts.dev/v1", "kind": "Server", "metadata": {"name": "h1"},
            "spec": spec, "status": status});
        let server: Server = serde_json::from_value(server).expect("a Server");
        let mut world = world_of(&[rule("tell", json!({"action": "alert", "condition": "not unhealthy"}))], &[server]);
        world.keeper.turn().await;
        assert_eq!(!world.actions("tell").is_empty(), acts, "{cluster}, {member}");
    }
}
