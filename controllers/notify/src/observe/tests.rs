use super::*;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

fn stack(name: &str, reason: &str) -> DynamicObject {
    let status = if reason.is_empty() { "True" } else { "False" };
    let object = json!({
        "apiVersion": "otternauts.dev/v1", "kind": "Stack",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}")},
        "status": {"conditions": [{"type": "Ready", "status": status, "reason": reason, "message": "x"}]},
    });
    serde_json::from_value(object).expect("an object")
}

fn event(name: &str, revision: u64, regarding: &Value) -> KubeEvent {
    let revision = revision.to_string();
    let object = json!({
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}"), "resourceVersion": revision},
        "eventTime": "2026-01-02T03:04:05.000006Z", "type": "Warning", "reason": "Unhealthy", "note": "n",
        "regarding": regarding,
    });
    serde_json::from_value(object).expect("an Event")
}

const STACKS: Source = 2;
const EVENTS: Source = 3;

/// A board whose watches have all told what there is: the given stacks.
fn board(stacks: &[(&str, &str)]) -> Board {
    let board = Board::new();
    list(&board, stacks);
    for source in [0, 1] {
        board.objects(source, "x", Ok(watcher::Event::Init));
        assert!(board.observed().is_none(), "not before everything was listed");
        board.objects(source, "x", Ok(watcher::Event::InitDone));
    }
    board.happened(EVENTS, Ok(watcher::Event::Init));
    board.happened(EVENTS, Ok(watcher::Event::InitDone));
    board
}

fn list(board: &Board, stacks: &[(&str, &str)]) {
    board.objects(STACKS, "Stack", Ok(watcher::Event::Init));
    for (name, reason) in stacks {
        board.objects(STACKS, "Stack", Ok(watcher::Event::InitApply(stack(name, reason))));
    }
    board.objects(STACKS, "Stack", Ok(watcher::Event::InitDone));
}

fn names(board: &Board) -> Vec<String> {
    board.observed().expect("complete").subjects.iter().map(|s| s.object.name.clone()).collect()
}

#[test]
fn what_is_missing_from_a_new_list_is_gone_and_nothing_is_gone_before_its_end() {
    let board = board(&[("api", ""), ("web", "Unhealthy")]);
    assert_eq!(names(&board), ["api", "web"]);
    board.objects(STACKS, "Stack", Ok(watcher::Event::Init));
    board.objects(STACKS, "Stack", Ok(watcher::Event::InitApply(stack("web", "Unhealthy"))));
    assert_eq!(names(&board), ["api", "web"], "the list is not at its end");
    board.objects(STACKS, "Stack", Ok(watcher::Event::InitDone));
    assert_eq!(names(&board), ["web"]);
    board.objects(STACKS, "Stack", Ok(watcher::Event::Delete(stack("web", ""))));
    assert!(names(&board).is_empty());
}

#[test]
fn an_object_stands_since_its_standing_changed_not_since_its_words_did() {
    let board = board(&[("web", "")]);
    let since = |board: &Board| board.observed().expect("complete").subjects[0].since;
    let first = since(&board);
    let put = |object| board.objects(STACKS, "Stack", Ok(watcher::Event::Apply(object)));
    assert!(!put(stack("web", "")), "nothing to look at");
    list(&board, &[("web", "")]);
    assert_eq!(since(&board), first);
    assert!(put(stack("web", "Unhealthy")));
    assert!(put(stack("web", "OutOfMemory")));
    let mut going = stack("web", "OutOfMemory");
    going.metadata.deletion_timestamp = Some(Time(Timestamp::now()));
    assert!(put(going));
    assert_eq!(board.observed().expect("complete").subjects[0].standing, Standing::Unsettled);
}

#[test]
fn an_event_belongs_to_the_namespace_it_is_written_in() {
    let board = board(&[]);
    for (name, revision, regarding) in [
        ("own", 7, json!({"kind": "Stack", "namespace": "shop", "name": "web", "uid": "u"})),
        ("foreign", 5, json!({"kind": "Stack", "namespace": "bank", "name": "vault"})),
        ("wide", 6, json!({"kind": "Server", "name": "harbour"})),
    ] {
        assert!(board.happened(EVENTS, Ok(watcher::Event::Apply(event(name, revision, &regarding)))));
    }
    let observed = board.observed().expect("complete");
    let seen: Vec<(u64, &str, &str)> =
        observed.happenings.iter().map(|h| (h.revision, h.object.namespace.as_str(), h.object.uid.as_str())).collect();
    assert_eq!(seen, [(5, "shop", "Stack/shop/vault"), (6, "", "Server//harbour"), (7, "shop", "u")]);
    assert_eq!(board.newest(), Some(7));
    assert_eq!(observed.happenings[2].time.to_string(), "2026-01-02T03:04:05.000006Z");
}

#[test]
fn events_are_bounded_and_the_oldest_go_first() {
    let board = board(&[]);
    let about = json!({"kind": "Stack", "name": "x"});
    for n in 1..=(MAX_EVENTS as u64 + 10) {
        board.happened(EVENTS, Ok(watcher::Event::Apply(event(&n.to_string(), n, &about))));
    }
    let observed = board.observed().expect("complete");
    assert_eq!((observed.happenings.len(), observed.happenings[0].revision), (MAX_EVENTS, 11));
}

#[test]
fn who_writes_many_events_drives_out_only_his_own() {
    let about = |namespace: &str| json!({"kind": "Stack", "namespace": namespace, "name": "web"});
    let mut events = HashMap::new();
    for (revision, namespace) in [(1, "quiet"), (2, "loud"), (3, "loud"), (4, "loud")] {
        let mut event = event(&format!("e{revision}"), revision, &about(namespace));
        event.metadata.namespace = Some(namespace.to_owned());
        events.insert(format!("e{revision}"), happening(&event).expect("a happening"));
    }
    assert_eq!(superfluous(&events), Some("e2".to_owned()));
}
