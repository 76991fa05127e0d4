//! B15, P8: a list of what is newest has every write that was answered before it began, however late what is in memory follows
//! what is stored: the writer is held up between commit and publication, or between the answer and the cache.

use crate::{report, say, seed};
use otternauts_faults::Dice;
use otternauts_faults::history::{Change, Expects, Key};
use otternauts_faults::load::{key, list, write};
use otternauts_faults::power::database;
use otternauts_faults::victim;
use otternauts_store::Store;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const WRITERS: Key = 8;
const READERS: u64 = 8;
/// At each of those places, and more until so much was written beside them.
const LISTS: u64 = 25_000;
/// Where the writer is late, and for how many microseconds at most; and up to which revision it is listed, at least.
const LATE: [(&str, u64); 4] = [
    ("after-commit:500", 2_500),
    ("after-answer:500", 2_500),
    ("after-commit:500000", 250),
    ("after-answer:500000", 250),
];

/// A writer that failed, or that never has the processor, is told of after so long.
const PATIENCE: Duration = Duration::from_secs(300);

/// The newest revision answered for each object.
type Answered = Arc<[AtomicU64; WRITERS as usize]>;

/// The delay is of a whole process, so each is a run of this test alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_list_is_older_than_an_answer_however_late_memory_is_b15() {
    let seed = seed("lag");
    if let Ok(late) = std::env::var("OTTERNAUTS_LATE") {
        return race(seed, &late).await;
    }
    for (late, _) in LATE {
        let mut again = Command::new(std::env::current_exe().expect("this program"));
        again.args(["--exact", "lag::no_list_is_older_than_an_answer_however_late_memory_is_b15", "--nocapture"]);
        let ran = again.env("OTTERNAUTS_LATE", late).env(otternauts_faults::dice::SEED, seed.to_string()).output();
        let ran = ran.expect("it starts");
        let output = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{late}: {output}");
        output.lines().filter(|line| line.starts_with('{')).for_each(say);
    }
}

async fn race(seed: u64, late: &str) {
    let place = crate::lives::memory();
    let store = victim::open(victim::options(&database(place.path()))).expect("it opens");
    let answered: Answered = Arc::default();
    let over = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        writers.spawn(write_on(store.clone(), number, answered.clone(), over.clone()));
    }
    let mut readers = JoinSet::new();
    let least = LATE.iter().find_map(|&(known, least)| (known == late).then_some(least)).unwrap_or(1);
    for number in 0..READERS {
        let (store, answered, dice) = (store.clone(), answered.clone(), Dice::part(seed, number));
        readers.spawn(async move { read(&store, LISTS / READERS, least, &answered, dice).await });
    }
    let judged: Result<Vec<(u64, u64)>, String> = readers.join_all().await.into_iter().collect();
    over.store(true, Ordering::SeqCst);
    writers.join_all().await;
    let revisions = store.revision();
    store.close().await.expect("it closes");
    let judged = judged.unwrap_or_else(|wrong| panic!("seed {seed}, {late}: {wrong}")).into_iter();
    let (lists, newer) = judged.fold((0, 0), |(lists, newer), (its, its_newer)| (lists + its, newer + its_newer));
    let totals = [("lists", lists), ("withNewerThanAnswered", newer), ("revisions", revisions), ("older", 0)];
    report(&format!("lag-{}", late.replace(':', "-")), seed, &totals);
}

/// Writes one object again and again; what it was answered is known to all.
async fn write_on(store: Store, number: Key, answered: Answered, over: Arc<AtomicBool>) {
    for token in 1.. {
        if over.load(Ordering::SeqCst) {
            return;
        }
        let put = write(&Change { key: number, expects: Expects::Anything, put: Some(token) });
        let done = store.commit(vec![put]).await.expect("it is taken");
        answered[number as usize].store(done.revision, Ordering::SeqCst);
    }
}

/// Lists so often, and until a revision is there, and gets one object each time; says how many lists there were, and how many of them
/// had more than was answered before.
async fn read(
    store: &Store,
    least: u64,
    revision: u64,
    answered: &Answered,
    mut dice: Dice,
) -> Result<(u64, u64), String> {
    let (mut lists, mut newer, begun) = (0, 0, Instant::now());
    while lists < least || store.revision() < revision {
        assert!(lists < least || begun.elapsed() < PATIENCE, "hardly anything was written: {}", store.revision());
        lists += 1;
        let before = answered.each_ref().map(|revision| revision.load(Ordering::SeqCst));
        let (at, items) = list(store).await.map_err(|error| format!("{error:#}"))?;
        let is = before.iter().zip(0..).all(|(&least, number)| {
            let found = items.iter().find(|item| item.key == number).map_or(0, |item| item.revision);
            (least..=at).contains(&found)
        });
        if !is || items.iter().any(|item| item.revision > at) {
            return Err(format!("a list at {at} of {items:?} is older than {before:?}, which were answered before it"));
        }
        newer += u64::from(items.iter().any(|item| item.revision > before[item.key as usize]));
        let number = dice.below(u64::from(WRITERS));
        let least = answered[number as usize].load(Ordering::SeqCst);
        let found = store.get(&key(number as Key)).await.map_err(|error| format!("{error:#}"))?;
        if found.as_ref().map_or(0, |record| record.revision) < least {
            return Err(format!("a get of {number} is older than {least}, which was answered before it: {found:?}"));
        }
        // The writers want the processor too.
        tokio::task::yield_now().await;
    }
    Ok((lists, newer))
}
