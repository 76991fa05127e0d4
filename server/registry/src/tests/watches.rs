//! Section 1.15.

use super::*;
use otternauts_store::{Event, EventKind, List, Range, WatchItem};

fn shown(event: &WatchEvent) -> String {
    let name = |kind: &str, bytes: &Bytes| {
        let object: Value = serde_json::from_slice(bytes).expect("JSON");
        format!("{kind} {}", object["metadata"]["name"].as_str().unwrap_or_default())
    };
    match event {
        WatchEvent::Added(bytes) => name("ADDED", bytes),
        WatchEvent::Modified(bytes) => name("MODIFIED", bytes),
        WatchEvent::Deleted(bytes) => name("DELETED", bytes),
        WatchEvent::Bookmark { initial_end, .. } => format!("BOOKMARK {initial_end}"),
        WatchEvent::Error(status) => format!("ERROR {} {}", status.code, status.message),
    }
}

async fn expect(session: &mut WatchSession, expected: &[&str]) {
    for text in expected {
        let event = soon(session.next()).await.unwrap_or_else(|| panic!("{text} before the end"));
        assert_eq!(&shown(&event), text);
    }
}

fn from(version: u64) -> WatchOptions {
    WatchOptions { resource_version: version.to_string(), ..WatchOptions::default() }
}

#[tokio::test]
async fn a_watch_shows_the_state_then_every_change_rows_w4_to_w7() {
    let world = world().await;
    world.create("configmaps@default", config_map("a")).await.expect("created");
    let start = world.registry.store().revision();
    let mut session =
        world.watch("configmaps@default", WatchOptions { allow_bookmarks: true, ..WatchOptions::default() }).await;
    expect(&mut session, &["ADDED a", "BOOKMARK true"]).await;
    let mut later = world.watch("configmaps@default", from(start)).await;
    world.create("configmaps@default", config_map("b")).await.expect("created");
    world.merge("configmaps@default b", json!({"data": {"x": "y"}})).await.expect("patched");
    world.merge("configmaps@default b", json!({"data": {"x": "y"}})).await.expect("nothing");
    let before = world.get("configmaps@default b").await.expect("there");
    world.delete("configmaps@default b").await.expect("deleted");
    expect(&mut session, &["ADDED b", "MODIFIED b"]).await;
    let Some(WatchEvent::Deleted(bytes)) = soon(session.next()).await else { panic!("a deletion") };
    let last: Value = serde_json::from_slice(&bytes).expect("JSON");
    let number =
        |o: &Value| o["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse::<u64>().ok()).unwrap_or_default();
    assert_eq!(last["data"], before["data"]);
    assert!(number(&last) > number(&before));
    assert_eq!(number(&last), world.registry.store().revision());
    expect(&mut later, &["ADDED b", "MODIFIED b", "DELETED b"]).await;
    let Some(WatchEvent::Bookmark { resource_version, .. }) = session.bookmark() else { panic!("a bookmark") };
    assert_eq!(resource_version, world.registry.store().revision().to_string());
}

#[tokio::test]
async fn selectors_turn_changes_into_comings_and_goings_rows_w8_w9() {
    let world = world().await;
    let mut options = WatchOptions { labels: LabelSelector::parse("x=1").expect("valid"), ..WatchOptions::default() };
    let mut chosen = world.watch("configmaps@default", options.clone()).await;
    options.labels = LabelSelector::default();
    options.fields = FieldSelector::name("a");
    let mut named = world.watch("configmaps@default", options).await;
    world.create("configmaps@default", config_map("a")).await.expect("created");
    world.create("configmaps@default", config_map("b")).await.expect("created");
    let label = |v: Value| json!({"metadata": {"labels": {"x": v}}});
    world.merge("configmaps@default a", label("1".into())).await.expect("patched");
    world.merge("configmaps@default a", json!({"data": {"k": "v"}})).await.expect("patched");
    world.merge("configmaps@default a", label("2".into())).await.expect("patched");
    world.delete("configmaps@default a").await.expect("deleted");
    expect(&mut chosen, &["ADDED a", "MODIFIED a"]).await;
    let Some(WatchEvent::Deleted(bytes)) = soon(chosen.next()).await else { panic!("it left") };
    let left: Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(left["metadata"]["labels"]["x"], "1", "the old object with the new version");
    expect(&mut named, &["ADDED a", "MODIFIED a", "MODIFIED a", "MODIFIED a", "DELETED a"]).await;
}

#[tokio::test]
async fn who_sees_a_part_lists_anew_after_a_change_of_what_could_not_be_read_row_w8() {
    let world = world().await;
    world.create("configmaps@default", config_map("a")).await.expect("created");
    let store = world.registry.store();
    let range = Range::resource("configmaps");
    let page = store.list(List { range, at: None, after: None, limit: 0 }).await.expect("a list");
    let record = page.records.into_iter().find(|record| &*record.key.name == "a").expect("it is there");
    for (kind, word) in [(EventKind::Updated, "MODIFIED a"), (EventKind::Deleted, "DELETED a")] {
        let (key, revision, record) = (record.key.clone(), page.revision + 1, record.clone());
        let unread = Arc::new(Event { revision, key, kind, record, previous: None, committed: None });
        let told = |mut session: WatchSession| {
            session.take(Ok(WatchItem::Events(vec![Arc::clone(&unread)])));
            session
        };
        let part = WatchOptions { labels: LabelSelector::parse("x=1").expect("valid"), ..from(page.revision) };
        let mut part = told(world.watch("configmaps@default", part).await);
        let error = soon(part.next()).await.map(|event| shown(&event)).expect("it is told");
        assert!(error.starts_with("ERROR 410 "), "{kind:?}: {error}");
        assert!(soon(part.next()).await.is_none(), "and the watch is over");
        // Who sees everything has seen it before.
        expect(&mut told(world.watch("configmaps@default", from(page.revision)).await), &[word]).await;
    }
}

#[tokio::test]
async fn watch_lists_end_their_state_with_a_bookmark_rows_w14_w17_w20() {
    let world = world().await;
    world.create("configmaps@default", config_map("a")).await.expect("created");
    let initial = |version: &str, matching: &str| WatchOptions {
        send_initial_events: Some(true),
        resource_version: version.to_owned(),
        resource_version_match: matching.to_owned(),
        allow_bookmarks: true,
        ..WatchOptions::default()
    };
    let mut session = world.watch("configmaps@default", initial("", "NotOlderThan")).await;
    expect(&mut session, &["ADDED a", "BOOKMARK true"]).await;
    let target = world.target("configmaps@default");
    for (options, text) in [
        (
            initial("", ""),
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (
            WatchOptions { send_initial_events: None, ..initial("", "NotOlderThan") },
            "resourceVersionMatch: Forbidden: ",
        ),
        (from(0).tap("abc"), "invalid resource version: "),
    ] {
        let status = world.registry.watch(&world.caller, &target, &options).await.err().expect(text);
        assert!(status.message.contains(text), "{status}");
    }
    let mut now = world
        .watch("configmaps@default", WatchOptions { send_initial_events: Some(false), ..initial("", "NotOlderThan") })
        .await;
    world.create("configmaps@default", config_map("b")).await.expect("created");
    expect(&mut now, &["ADDED b"]).await;
    let mut future = world.watch("configmaps@default", initial("9999", "NotOlderThan")).await;
    let current = world.registry.store().revision();
    expect(&mut future, &[&format!("ERROR 504 Timeout: Too large resource version: 9999, current: {current}")]).await;
    assert!(future.next().await.is_none());
}

trait Tap {
    fn tap(self, version: &str) -> Self;
}

impl Tap for WatchOptions {
    fn tap(mut self, version: &str) -> Self {
        self.resource_version = version.to_owned();
        self
    }
}

#[tokio::test]
async fn a_version_that_is_gone_is_an_error_event_and_the_end_row_w10() {
    use otternauts_store::{MemoryOptions, Retention};
    let retention = Retention { age: Duration::ZERO, bytes: 0, revisions: 0 };
    let world = world_on(Store::memory_with(&MemoryOptions { retention, ..MemoryOptions::default() })).await;
    world.create("configmaps@default", config_map("a")).await.expect("created");
    let mut i = 0;
    while world.registry.store().oldest() <= 2 {
        world.merge("configmaps@default a", json!({"data": {"i": i.to_string()}})).await.expect("patched");
        i += 1;
        assert!(i < 30_000, "history is not kept for ever");
    }
    let mut session = world.watch("configmaps@default", from(1)).await;
    let Some(WatchEvent::Error(status)) = soon(session.next()).await else { panic!("an error") };
    assert_eq!((status.code, status.reason), (410, "Expired"));
    assert!(status.message.starts_with("too old resource version: 1 ("), "{status}");
    assert!(session.next().await.is_none());
}

#[tokio::test]
async fn a_watch_that_is_read_late_holds_little_and_tells_everything_p7() {
    const MOST: usize = (1 << 20) + 500_000;
    let world = world().await;
    let before = world.registry.store().revision();
    let large = "x".repeat(200_000);
    let names: Vec<String> = (0..20).map(|number| format!("m{number:02}")).collect();
    for name in &names {
        let map = json!({"metadata": {"name": name}, "data": {"a": large}});
        world.create("configmaps@default", map).await.expect("created");
    }
    let options = WatchOptions { allow_bookmarks: true, ..WatchOptions::default() };
    let old = world.watch("configmaps@default", from(before)).await;
    let state = world.watch("configmaps@default", options).await;
    assert!(state.held() > 0);
    // None of this is in the state as it was when the watch began.
    world.merge("configmaps@default m19", json!({"data": {"a": "y"}})).await.expect("patched");
    world.delete("configmaps@default m18").await.expect("deleted");
    world.create("configmaps@default", config_map("later")).await.expect("created");
    let added = names.iter().map(|name| format!("ADDED {name}"));
    let after = ["MODIFIED m19", "DELETED m18", "ADDED later"].map(str::to_owned);
    let end = ["BOOKMARK true".to_owned()];
    for (mut session, end) in [(state, &end[..]), (old, &[])] {
        let mut size = 0;
        for text in added.clone().chain(end.iter().cloned()).chain(after.clone()) {
            assert!(session.held() <= MOST, "{} bytes are held before {text}", session.held());
            assert!(!end.contains(&text) || session.bookmark().is_none(), "the state is not told yet");
            let event = soon(session.next()).await.unwrap_or_else(|| panic!("{text} before the end"));
            assert_eq!(shown(&event), text);
            if let WatchEvent::Added(bytes) = event {
                size += bytes.len();
            }
        }
        assert!(size > 20 * large.len(), "m19 is told as it was first");
    }
}

#[tokio::test]
async fn a_quiet_watch_is_marked_from_time_to_time_row_w13() {
    let world = world().await;
    let options = WatchOptions { allow_bookmarks: true, ..from(world.registry.store().revision()) };
    let mut session = world.watch("configmaps@default", options.clone()).await;
    let mut unasked = world.watch("configmaps@default", WatchOptions { allow_bookmarks: false, ..options }).await;
    world.create("secrets@default", json!({"metadata": {"name": "elsewhere"}})).await.expect("created");
    let Some(WatchEvent::Bookmark { resource_version, initial_end: false }) = soon(session.next()).await else {
        panic!("a bookmark")
    };
    assert_eq!(resource_version, world.registry.store().revision().to_string());
    assert!(unasked.bookmark().is_none());
}
