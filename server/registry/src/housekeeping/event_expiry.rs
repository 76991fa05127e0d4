//! Events live for an hour after their last write (row B8). One timer, for the oldest; nothing runs while there are none.

use super::follow::{Follower, Seen};
use crate::registry::Registry;
use crate::shape::as_object;
use otternauts_meta::{Object, Timestamp};
use otternauts_store::{Key, Range, Record};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

pub(super) const LIFETIME: Duration = Duration::from_secs(3600);
/// Events that end together are removed together; tests do not wait for more of them.
const SLACK: Duration = if cfg!(test) { Duration::from_millis(20) } else { Duration::from_secs(5) };

/// When, which, and at which revision it was seen: a later write makes the entry void.
type Entry = Reverse<(i64, u64, Key)>;

pub(super) async fn run(registry: Registry) {
    let mut follower = Follower::new(registry.store(), Range::resource(crate::kinds::EVENTS));
    let mut ends: BinaryHeap<Entry> = BinaryHeap::new();
    let mut started = false;
    loop {
        let now = registry.now().as_micros();
        let pause =
            ends.peek().map(|Reverse((end, ..))| Duration::from_micros(u64::try_from(end - now).unwrap_or_default()));
        let seen = tokio::select! {
            seen = follower.next() => seen,
            () = tokio::time::sleep(pause.unwrap_or(LIFETIME) + SLACK), if pause.is_some() => {
                remove_ended(&registry, &mut ends).await;
                continue;
            }
        };
        let Some(seen) = seen else { return };
        for one in seen {
            match one {
                Seen::Start => {
                    ends.clear();
                    started = true;
                }
                // What was there before the start has its time of writing inside; a change has just been written.
                Seen::Object(record) => {
                    let written = if started { last_written(&record).unwrap_or(now) } else { now };
                    ends.push(Reverse((written + micros(LIFETIME), record.revision, record.key)));
                }
                Seen::Gone(_) => {}
            }
        }
        started = false;
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The newest time an event speaks of.
fn last_written(record: &Record) -> Option<i64> {
    let object: Object = serde_json::from_slice(&record.body).map(as_object).ok()?;
    let paths: [&[&str]; 5] = [
        &["metadata", "creationTimestamp"],
        &["lastTimestamp"],
        &["firstTimestamp"],
        &["eventTime"],
        &["series", "lastObservedTime"],
    ];
    let read = |path: &[&str]| Timestamp::parse(object.at(path)?.as_str()?).map(Timestamp::as_micros);
    paths.into_iter().filter_map(read).max()
}

async fn remove_ended(registry: &Registry, ends: &mut BinaryHeap<Entry>) {
    let now = registry.now().as_micros();
    let definitions = registry.definitions();
    let Some(definition) = definitions.resource("", crate::kinds::EVENTS) else { return };
    while let Some(Reverse((end, ..))) = ends.peek()
        && *end <= now
    {
        let Some(Reverse((_, revision, key))) = ends.pop() else { return };
        let Ok(Some(record)) = registry.store().get(&key).await else { continue };
        if record.revision != revision {
            continue;
        }
        let Ok(object) = serde_json::from_slice(&record.body).map(as_object) else { continue };
        if let Err(status) = registry.remove(definition, &object, "Background").await {
            tracing::warn!(namespace = %key.namespace, name = %key.name, %status, "an old event cannot be removed");
        }
    }
}
