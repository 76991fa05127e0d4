//! A8, A9: one flipped bit anywhere in the files. It is harmless, or the start is refused, or the read of what it hit; never
//! is a history silently shorter, or a wrong byte served.

use crate::{nightly, report, seed};
use otternauts_faults::Dice;
use otternauts_faults::history::{Change, Expects};
use otternauts_faults::load::{item, key, write_of};
use otternauts_faults::power::database;
use otternauts_faults::story::{Found, read};
use otternauts_faults::victim;
use otternauts_store::{Error as StoreError, Store};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The files of a store, by the end of their names.
type Files = BTreeMap<&'static str, Vec<u8>>;
const MAIN: &str = "";
const WAL: &str = "-wal";
const HEAD: &str = ".head";
const INDEX: &str = ".index";

/// What became of one flipped bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Harmless,
    /// The store does not open.
    Refused,
    /// It opens, and says so where the damage is.
    Told,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_is_harmless_or_found() {
    let flips = if nightly() { 40_000 } else { 400 };
    let seed = seed("flips");
    let place = crate::lives::memory();
    let (truth, running, closed) = sample(place.path(), seed).await;
    let files =
        [("wal", &running, WAL), ("main", &running, MAIN), ("closed-main", &closed, MAIN), ("index", &closed, INDEX)];
    let mut fates = [[0_u64; 3]; 4];
    for number in 0..flips {
        // Each file has as many.
        let turn = (number % 4) as usize;
        let (_, files, hit) = files[turn];
        let (mut dice, mut files) = (Dice::part(seed, number), files.clone());
        let bytes = files.get_mut(hit).expect("it is there");
        let at = dice.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << dice.below(8);
        let directory = place.path().join(format!("flip-{number}"));
        put(&files, &directory);
        let fate = fate(&directory, &truth).await;
        let fate = fate.unwrap_or_else(|wrong| panic!("seed {seed}, flip {number}, byte {at} of main{hit}: {wrong}"));
        fates[turn][fate as usize] += 1;
        std::fs::remove_dir_all(&directory).expect("it was there");
    }
    let mut found = [0, 0];
    for ((name, ..), [harmless, refused, told]) in files.iter().zip(fates) {
        let totals = [("flips", flips / 4), ("harmless", harmless), ("refused", refused), ("told", told)];
        report(&format!("flips-{name}"), seed, &totals);
        // What of a database the write-ahead log has newer is never read, and what is wrong in the index is made anew.
        assert!(
            !nightly() || *name == "index" || refused + told > flips / 1000,
            "the flips of {name} hit nothing: {totals:?}"
        );
        found = [found[0] + refused, found[1] + told];
    }
    assert!(found.iter().all(|found| *found > flips / 50), "the flips hit nothing: {fates:?}");
}

/// A store with compacted history, as it is after `kill -9` (part of it only in the WAL) and after a clean end.
async fn sample(place: &Path, seed: u64) -> (Found, Files, Files) {
    let directory = place.join("sample");
    std::fs::create_dir(&directory).expect("a directory");
    let path = database(&directory);
    // A life of its own process leaves a file of the index too, which is made for large stores only elsewhere.
    let mut life = Command::new(env!("CARGO_BIN_EXE_store-victim"));
    life.arg("live")
        .arg(&path)
        .arg(seed.to_string())
        .args(["20:300:close", "20:300:close"])
        .env("OTTERNAUTS_SMALL", "1");
    assert!(life.output().expect("it starts").status.success());
    let store = victim::open(victim::options(&path)).expect("it opens");
    fill(&store, seed).await;
    // What is answered is in the side file a tenth of a second later; a flip in a WAL that is younger goes unnoticed.
    let newest = store.revision().to_be_bytes();
    otternauts_harness::until("the side file to follow", Duration::from_secs(10), || {
        let head = std::fs::read(path.with_extension("db.head")).unwrap_or_default();
        if head.starts_with(&newest) && store.oldest() + 40 == store.revision() { Ok(()) } else { Err(head) }
    });
    let truth = read(&store).await.expect("it can be read");
    let running = take(&directory);
    store.close().await.expect("it closes");
    (truth, running, take(&directory))
}

async fn fill(store: &Store, seed: u64) {
    for token in 1..20 {
        let mut dice = Dice::part(seed, token);
        let change = Change { key: dice.below(25) as u32, expects: Expects::Anything, put: Some(token) };
        store.commit(vec![write_of(&change, dice.below(900) as usize)]).await.expect("it is taken");
    }
}

/// Opens the files and asks for everything. `Err` says which promise is broken.
async fn fate(directory: &Path, truth: &Found) -> Result<Fate, String> {
    let Ok(store) = Store::sqlite(victim::keeping(&database(directory))) else { return Ok(Fate::Refused) };
    if store.revision() != truth.at {
        return Err(format!("silently at revision {} instead of {}", store.revision(), truth.at));
    }
    let mut told = false;
    for wanted in &truth.items {
        match store.get(&key(wanted.key)).await {
            Ok(Some(record)) => match item(&record) {
                Ok(found) if found == *wanted => {}
                found => return Err(format!("{found:?} instead of {wanted:?}")),
            },
            Ok(None) => return Err(format!("{wanted:?} is silently gone")),
            Err(_) => told = true,
        }
    }
    match read(&store).await {
        // Only a last step of compaction may be undone: then there is more history, not less.
        Ok(found) if found.items == truth.items && found.watched.seen.ends_with(&truth.watched.seen) => {}
        Ok(found) => return Err(format!("it reads {found:?} instead of {truth:?}")),
        Err(error) if error.chain().any(|cause| cause.is::<StoreError>()) => told = true,
        Err(error) => return Err(format!("wrong bytes: {error:#}")),
    }
    Ok(if told { Fate::Told } else { Fate::Harmless })
}

fn take(directory: &Path) -> Files {
    let read = |end: &'static str| {
        let mut name = database(directory).into_os_string();
        name.push(end);
        Some((end, std::fs::read(name).ok()?))
    };
    [MAIN, WAL, HEAD, INDEX].into_iter().filter_map(read).collect()
}

fn put(files: &Files, directory: &Path) {
    std::fs::create_dir(directory).expect("a directory");
    for (end, bytes) in files {
        let mut name = database(directory).into_os_string();
        name.push(end);
        std::fs::write(name, bytes).expect("it can be written");
    }
}
