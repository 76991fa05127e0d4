//! Watches: every change after a revision, in order, once.

use super::factory::*;
use crate::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn events_say_what_happened_and_what_was_before() {
    for lab in Lab::all() {
        let store = lab.open();
        let mut watcher = store.watch(everything(), 0).await.unwrap();
        let web = key("default", "web");
        set(&store, &web, "one").await;
        set(&store, &web, "two").await;
        remove(&store, &web, "last").await;
        set(&store, &web, "again").await;
        let expected = [
            format!("1 Created default/web {} was absent", text("one", 1)),
            format!("2 Updated default/web {} was {}", text("two", 2), text("one", 1)),
            format!("3 Deleted default/web {} was {}", text("last", 3), text("two", 2)),
            format!("4 Created default/web {} was absent", text("again", 4)),
        ];
        let live: Vec<_> = take(&mut watcher, 4).await.iter().map(|event| line(event)).collect();
        assert_eq!(live, expected);
        let mut late = store.watch(everything(), 1).await.unwrap();
        let replayed: Vec<_> = take(&mut late, 3).await.iter().map(|event| line(event)).collect();
        assert_eq!(replayed, expected[1..]);
    }
}

/// A change as the test remembers it.
struct Change {
    revision: Revision,
    key: Key,
    line: String,
}

/// Random transactions over a few objects; what a watch from 0 must say.
async fn history(store: &Store, random: &mut StdRng, transactions: usize) -> Vec<Change> {
    let mut changes = Vec::new();
    for step in 0..transactions {
        changes.extend(transaction(store, random, step, 3, 4).await);
    }
    changes
}

/// One random transaction of at most `most` writes to three namespaces of `names` objects.
async fn transaction(store: &Store, random: &mut StdRng, step: usize, most: usize, names: usize) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut writes: Vec<Write> = Vec::new();
    for _ in 0..random.random_range(1..=most) {
        let name = format!("o{}", random.random_range(0..names));
        let key = key(&format!("n{}", random.random_range(0..3)), &name);
        if writes.iter().any(|write| write.key == key) {
            continue;
        }
        let there = store.get(&key).await.unwrap().is_some();
        writes.push(match there && random.random_bool(0.3) {
            true => delete(&key, Precondition::Exists, &format!("last {step}")),
            false => put(&key, Precondition::None, &format!("step {step}")),
        });
    }
    let mut before = Vec::new();
    for write in &writes {
        before.push(store.get(&write.key).await.unwrap());
    }
    let done = store.commit(writes.clone()).await.unwrap();
    for ((write, record), before) in writes.iter().zip(&done.records).zip(before) {
        let kind = match (&write.op, &before) {
            (Op::Delete { .. }, _) => EventKind::Deleted,
            (Op::Put(_), None) => EventKind::Created,
            (Op::Put(_), Some(_)) => EventKind::Updated,
        };
        let (key, record, committed) = (write.key.clone(), record.clone(), None);
        let event = Event { revision: done.revision, key, kind, record, previous: before, committed };
        changes.push(Change { revision: done.revision, key: write.key.clone(), line: line(&event) });
    }
    changes
}

fn ranges() -> Vec<Range> {
    vec![
        everything(),
        Range::namespace(STACKS, "n1"),
        Range { name: Some("o2".into()), ..Range::namespace(STACKS, "n2") },
        Range { name: Some("o1".into()), ..everything() },
    ]
}

fn expected<'a>(changes: &'a [Change], range: &Range, after: Revision) -> Vec<&'a str> {
    let of_range = |change: &&Change| change.revision > after && range.holds(&change.key.namespace, &change.key.name);
    changes.iter().filter(of_range).map(|change| change.line.as_str()).collect()
}

#[tokio::test]
async fn a_watch_from_every_revision_is_the_replay_of_the_history() {
    let seed = rand::random();
    println!("seed {seed}");
    for lab in Lab::all() {
        let store = lab.open();
        let mut random = StdRng::seed_from_u64(seed);
        let changes = history(&store, &mut random, 120).await;
        // Once from the window, once (after a new start) from the log.
        let reopened = if lab.is_durable() {
            store.close().await.unwrap();
            lab.open()
        } else {
            store
        };
        for range in ranges() {
            for after in 0..=reopened.revision() {
                let expected = expected(&changes, &range, after);
                let mut watcher = reopened.watch(range.clone(), after).await.unwrap();
                let events = take(&mut watcher, expected.len()).await;
                let lines: Vec<_> = events.iter().map(|event| line(event)).collect();
                assert_eq!(lines, expected, "{range:?} after {after}, seed {seed}");
                catch_up(&mut watcher, reopened.revision()).await;
            }
        }
    }
}

/// B13: with nothing left to deliver, the watch gets to the newest revision, and says so, without an event.
async fn catch_up(watcher: &mut Watcher, revision: Revision) {
    let wait = async {
        while watcher.progress() < revision {
            if let Ok(item) = tokio::time::timeout(Duration::from_millis(5), watcher.next()).await {
                assert!(matches!(item, Ok(WatchItem::Progress(_))), "{item:?}");
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(180), wait).await.expect("the watch gets to the newest revision");
    assert_eq!(watcher.progress(), revision);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_opened_while_others_write_miss_nothing_and_repeat_nothing() {
    let seed = rand::random();
    println!("seed {seed}");
    for lab in Lab::all() {
        let store = lab.open();
        let writer = {
            let store = store.clone();
            tokio::spawn(async move { history(&store, &mut StdRng::seed_from_u64(seed), 400).await })
        };
        let mut watchers = Vec::new();
        while !writer.is_finished() {
            for range in ranges() {
                let after = store.revision();
                watchers.push((after, range.clone(), store.watch(range, after).await.unwrap()));
            }
            tokio::task::yield_now().await;
            if watchers.len() > 2000 {
                break;
            }
        }
        let changes = writer.await.unwrap();
        for (after, range, mut watcher) in watchers {
            let expected = expected(&changes, &range, after);
            let lines: Vec<_> = take(&mut watcher, expected.len()).await.iter().map(|event| line(event)).collect();
            assert_eq!(lines, expected, "{range:?} after {after}, seed {seed}");
        }
    }
}

#[tokio::test]
async fn a_transaction_is_never_split_over_two_batches() {
    for lab in Lab::all() {
        let store = lab.open();
        let mut live = store.watch(everything(), 0).await.unwrap();
        for round in 0..3 {
            let names = (0..400).map(|number| key("default", &format!("o{number}")));
            let writes = names.map(|key| put(&key, Precondition::None, &format!("round {round}"))).collect();
            store.commit(writes).await.unwrap();
        }
        let mut watchers = vec![store.watch(everything(), 0).await.unwrap()];
        watchers.push(std::mem::replace(&mut live, store.watch(everything(), 3).await.unwrap()));
        for watcher in &mut watchers {
            let mut seen = 0;
            while seen < 1200 {
                let events = events(watcher).await;
                let (first, last) = (events[0].revision, events[events.len() - 1].revision);
                assert_eq!(events.len() as u64 % 400, 0, "revisions {first} to {last}");
                seen += events.len();
            }
        }
    }
}

#[tokio::test]
async fn a_slow_watcher_gets_everything_from_the_log() {
    for lab in Lab::all() {
        let store = lab.open();
        let mut slow = store.watch(everything(), 0).await.unwrap();
        let mut quiet = store.watch(Range::namespace(STACKS, "quiet"), 0).await.unwrap();
        set(&store, &key("quiet", "a"), "first").await;
        assert_eq!(take(&mut quiet, 1).await.len(), 1);
        // More than the window holds, many in each transaction to be quick.
        for round in 0..60 {
            let names = (0..100).map(|number| key("busy", &format!("o{number}")));
            let writes = names.map(|key| put(&key, Precondition::None, &format!("round {round}"))).collect();
            store.commit(writes).await.unwrap();
        }
        assert_eq!(quiet.progress(), 61, "a quiet watcher of a busy resource is up to date");
        set(&store, &key("quiet", "a"), "second").await;
        assert_eq!(
            line(&take(&mut quiet, 1).await[0]),
            format!("62 Updated quiet/a {} was {}", text("second", 62), text("first", 1))
        );
        let all = take(&mut slow, 6002).await;
        assert_eq!(all.len(), 6002);
        assert!(all.is_sorted_by_key(|event| event.revision));
        assert!(all.iter().skip(101).all(|event| event.previous.is_some()));
    }
}

#[tokio::test]
async fn a_watch_below_the_floor_is_refused_at_once_and_one_at_the_floor_is_complete() {
    for lab in Lab::all() {
        let lab = lab.keeping(5);
        let store = lab.open();
        let mut parked = store.watch(everything(), 0).await.unwrap();
        let web = key("default", "web");
        for round in 0..40 {
            lab.pass(Duration::from_secs(1));
            set(&store, &web, &format!("round {round}")).await;
        }
        remove(&store, &web, "last").await;
        store.set_meta("settle", bytes::Bytes::new()).await.unwrap();
        let oldest = store.oldest();
        assert!((30..=36).contains(&oldest), "{oldest}");
        // B10: no event, only the refusal.
        let refused = store.watch(everything(), oldest - 1).await;
        assert!(matches!(refused.map(drop), Err(Error::Compacted { asked, oldest: at }) if asked == at - 1));
        // B9: at the floor nothing is missing, not even the state before the first change.
        let mut watcher = store.watch(everything(), oldest).await.unwrap();
        let events = take(&mut watcher, (41 - oldest) as usize).await;
        assert_eq!(events[0].revision, oldest + 1);
        assert_eq!(events[0].previous.as_ref().map(|record| record.revision), Some(oldest));
        assert_eq!(events.last().map(|event| event.kind), Some(EventKind::Deleted));
        // Whoever is still inside the window has lost nothing either.
        assert_eq!(take(&mut parked, 41).await.len(), 41);
    }
}

#[tokio::test]
async fn a_watch_from_the_future_waits_for_it() {
    for lab in Lab::all() {
        let store = lab.open();
        let mut watcher = store.watch(everything(), 3).await.unwrap();
        for round in 0..5 {
            set(&store, &key("default", "web"), &format!("round {round}")).await;
        }
        let events = take(&mut watcher, 2).await;
        assert_eq!(events.iter().map(|event| event.revision).collect::<Vec<_>>(), [4, 5]);
    }
}

#[tokio::test]
async fn progress_follows_other_resources_and_never_passes_an_event() {
    for lab in Lab::all() {
        let store = lab.open();
        let mut watcher = store.watch(everything(), 0).await.unwrap();
        set(&store, &Key::new("other", "", "a"), "x").await;
        assert_eq!(watcher.progress(), 1);
        set(&store, &key("default", "web"), "x").await;
        set(&store, &Key::new("other", "", "a"), "y").await;
        assert!(watcher.progress() < 2);
        assert_eq!(take(&mut watcher, 1).await[0].revision, 2);
        assert_eq!(watcher.progress(), 3);
    }
}

/// What one reader saw: from where, of what range, which lines.
struct Seen {
    after: Revision,
    range: Range,
    lines: Vec<String>,
}

/// Opens watches at random revisions and reads a little of each, until the writer is done.
async fn read_at_random(store: Store, seed: u64, done: tokio::sync::watch::Receiver<bool>) -> Vec<Seen> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut all = Vec::new();
    while !*done.borrow() {
        let range = ranges().swap_remove(random.random_range(0..4));
        let (oldest, newest) = (store.oldest(), store.revision());
        let after = random.random_range(oldest.saturating_sub(3)..=newest);
        let mut lines = Vec::new();
        match store.watch(range.clone(), after).await {
            Err(Error::Compacted { asked, oldest }) => assert!(asked == after && after < oldest),
            Err(error) => panic!("{error:?}"),
            Ok(mut watcher) => {
                for _ in 0..random.random_range(0..20) {
                    match tokio::time::timeout(Duration::from_millis(20), watcher.next()).await {
                        Ok(Ok(WatchItem::Events(events))) => lines.extend(events.iter().map(|event| line(event))),
                        Ok(Err(Error::Compacted { .. })) => break,
                        Ok(Err(error)) => panic!("{error:?}"),
                        Ok(Ok(WatchItem::Progress(_))) | Err(_) => {}
                    }
                }
            }
        }
        all.push(Seen { after, range, lines });
        tokio::task::yield_now().await;
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_beside_compaction_gets_a_true_beginning_or_the_refusal() {
    let seed = rand::random();
    println!("seed {seed}");
    for lab in Lab::all() {
        let lab = lab.keeping(60);
        let store = lab.open();
        let (finish, done) = tokio::sync::watch::channel(false);
        let mut readers = tokio::task::JoinSet::new();
        for reader in 0..4 {
            readers.spawn(read_at_random(store.clone(), seed ^ reader, done.clone()));
        }
        let mut random = StdRng::seed_from_u64(seed);
        let mut changes = Vec::new();
        for step in 0..250 {
            // More events than the window holds are in the history that is kept.
            changes.extend(transaction(&store, &mut random, step, 200, 60).await);
            lab.pass(Duration::from_secs(1));
        }
        finish.send(true).unwrap();
        let mut compared = 0;
        for seen in readers.join_all().await.into_iter().flatten() {
            let expected = expected(&changes, &seen.range, seen.after);
            let begin = &expected[..seen.lines.len().min(expected.len())];
            assert_eq!(seen.lines, begin, "{:?} after {}, seed {seed}", seen.range, seen.after);
            compared += begin.len();
        }
        assert!(compared > 1000, "{compared}");
        assert!(store.oldest() > 100);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_gets_of_the_newest_state_never_meet_a_compacted_row() {
    for lab in Lab::all() {
        let lab = lab.keeping(0);
        let store = lab.open();
        let keys: Vec<Key> = (0..50).map(|number| key("default", &format!("o{number:02}"))).collect();
        // Too large for the cache, so that reads go to the log.
        let large = "x".repeat(1 << 20);
        for key in &keys {
            set(&store, key, if key.name.ends_with('7') { &large } else { "small" }).await;
        }
        let writer = {
            let (store, keys) = (store.clone(), keys.clone());
            tokio::spawn(async move {
                for round in 0..400 {
                    set(&store, &keys[round % 50], "small").await;
                    lab.pass(Duration::from_secs(1));
                }
                lab
            })
        };
        while !writer.is_finished() {
            let page = store.list(list_of(everything())).await.unwrap();
            assert_eq!(page.records.len(), 50);
            assert!(page.records.iter().all(|record| record.revision <= page.revision));
            for key in keys.iter().step_by(7) {
                assert!(store.get(key).await.unwrap().is_some());
            }
        }
        writer.await.unwrap();
    }
}

/// P7: what a watch from an old revision is given at a time is bounded in bytes too, and nothing of it is left out or split.
#[tokio::test]
async fn history_of_large_objects_comes_in_small_parts() {
    let large = "x".repeat(300_000);
    for lab in Lab::all() {
        let store = lab.open();
        // Small ones first, so that their size says nothing of the others; then each replaced, two at once.
        for number in 0..20 {
            set(&store, &key("n", &format!("small{number}")), "x").await;
        }
        let mut revisions: Vec<_> = (1..=store.revision()).collect();
        for round in 0..20 {
            let both =
                ["a", "b"].map(|name| put(&key("n", &format!("{name}{}", round % 5)), Precondition::None, &large));
            let done = store.commit(both.to_vec()).await.unwrap();
            revisions.extend([done.revision; 2]);
        }
        // More than the window holds comes from the log.
        let mut watcher = store.watch(everything(), 0).await.unwrap();
        let mut seen = Vec::new();
        while seen.len() < revisions.len() {
            let events = events(&mut watcher).await;
            let bytes = |event: &Arc<Event>| event.record.body.len();
            let held: usize = events.iter().map(bytes).sum();
            assert!(held <= (1 << 20) + 2 * 300_100, "{held} bytes at once");
            seen.extend(events.iter().map(|event| event.revision));
        }
        assert_eq!(seen, revisions);
    }
}

/// P7: kinds come and go under new names; what was kept of them for watchers goes with them.
#[tokio::test]
async fn of_a_resource_that_is_gone_nothing_is_kept_unless_it_is_watched() {
    for lab in ["memory", "sqlite"].map(Lab::of) {
        let store = lab.open();
        let of = |number: u32| Key::new(format!("kind{number}.example.com"), "n", "one");
        let mut watched = store.watch(Range::resource(of(0).resource), 0).await.unwrap();
        for number in 0..20 {
            set(&store, &of(number), "x").await;
            remove(&store, &of(number), "x").await;
        }
        set(&store, &key("n", "stays"), "x").await;
        assert_eq!(store.inner.visible.hub.topics(), 21);
        store.forget(store.revision()).await.unwrap();
        assert_eq!(store.inner.visible.hub.topics(), 2, "what is there, and what is watched");
        // Who comes back, or comes anew, hears of everything.
        let mut anew = store.watch(Range::resource(of(1).resource), store.revision()).await.unwrap();
        for number in [0, 1] {
            set(&store, &of(number), "again").await;
        }
        assert_eq!(take(&mut anew, 1).await.len(), 1);
        assert_eq!(take(&mut watched, 3).await.len(), 3, "its window was kept");
    }
}
