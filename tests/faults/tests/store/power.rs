//! A3: simulated power losses, and the planted bugs that they must catch.

use crate::lives::{memory, strace};
use crate::{nightly, report, say, seed};
use otternauts_faults::disk::Lie;
use otternauts_faults::power::{Recording, Totals, database};
use otternauts_faults::trace::record;
use std::path::Path;
use std::process::Command;

/// First creation, a clean end, then larger bodies so that checkpoints and a new turn of the WAL come in the midst of it,
/// with compaction all the time, and an end without a goodbye.
const SESSIONS: [&str; 4] = ["12:200:close", "70:6000:drop", "40:300:close", "15:300:drop"];

/// `None`: strace cannot be used here.
fn recording(seed: u64, planted: &str) -> Option<Recording> {
    if !strace("simulated power losses") {
        return None;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let inside = directory.path().join("run");
    std::fs::create_dir(&inside).expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_store-victim"));
    command
        .arg("live")
        .arg(database(&inside))
        .arg(seed.to_string())
        .args(SESSIONS)
        .env("OTTERNAUTS_PLANTED", planted)
        .env("OTTERNAUTS_SMALL", "1");
    Some(Recording::new(record(command, &inside).expect("the victim lives")))
}

/// Searches on as many threads as there are processors.
fn search(recording: &Recording, seed: u64, states: u64, directory: &Path) -> anyhow::Result<Totals> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from) as u64;
    let mut totals = Totals::default();
    std::thread::scope(|scope| {
        let part = |thread: u64| {
            let numbers = (0..states).filter(move |number| number % threads == thread);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(recording.search(seed, numbers, directory))
            })
        };
        for handle in (0..threads).map(part).collect::<Vec<_>>() {
            let found = handle.join().expect("the search does not panic")?;
            totals.states += found.states;
            totals.answers += found.answers;
            totals.ahead += found.ahead;
            totals.compacted += found.compacted;
        }
        Ok(totals)
    })
}

#[test]
fn no_power_loss_loses_an_answered_write_or_harms_the_database() {
    let states = if nightly() { 100_000 } else { 2_000 };
    let seed = seed("power losses");
    let Some(recording) = recording(seed, "") else { return };
    let [writes, syncs, truncations, names, answers, turns] = recording.shape();
    say(&format!(
        "power losses: {writes} writes, {syncs} syncs, {truncations} truncations, {names} names, {answers} answers, {turns} turns of the log"
    ));
    assert!(turns > SESSIONS.len(), "no checkpoint came in the midst of a session");
    let directory = memory();
    let totals = search(&recording, seed, states, directory.path()).unwrap_or_else(|error| panic!("{error:#}"));
    report(
        "power",
        seed,
        &[
            ("states", totals.states),
            ("answersChecked", totals.answers),
            ("ahead", totals.ahead),
            ("compacted", totals.compacted),
        ],
    );
    assert_eq!(totals.states, states);
    assert!(totals.ahead > states / 100, "un-synced writes hardly ever survived: {totals:?}");
    assert!(totals.compacted > states / 4, "history was hardly ever compacted: {totals:?}");
}

#[test]
fn the_power_losses_catch_the_planted_bugs_in_under_100_states() {
    // The store itself refuses what its side files know to be too old.
    let expected = ["lost: ", "vanished: ", "history went back"];
    for planted in ["synchronous=NORMAL", "ack-before-commit", "publish-before-commit"] {
        let seed = seed(planted);
        let Some(recording) = recording(seed, planted) else { return };
        let directory = memory();
        let error = match search(&recording, seed, 100, directory.path()) {
            Ok(totals) => panic!("{planted} was not caught: {totals:?}"),
            Err(error) => format!("{error:#}"),
        };
        say(&format!("{planted}: caught: {}", error.lines().next().unwrap_or_default()));
        assert!(expected.iter().any(|expected| error.contains(expected)), "{planted}: {error}");
    }
}

/// A4: what can be known is refused or told, and what cannot is an older state, whole; a lie is never served.
#[test]
fn a_disk_that_lies_is_found_out_or_leaves_an_older_state_but_never_a_wrong_one_a4() {
    let states = if nightly() { 20_000 } else { 100 };
    let seed = seed("lies");
    let Some(recording) = recording(seed, "") else { return };
    let directory = memory();
    for (name, lie) in
        [("dropped", Lie::Dropped), ("misdirected", Lie::Misdirected { by: 0 }), ("unsynced", Lie::Unsynced)]
    {
        let victim = env!("CARGO_BIN_EXE_store-victim");
        let fates = recording.lies(seed, 0..states, lie, victim, directory.path());
        let fates = fates.unwrap_or_else(|error| panic!("{error:#}"));
        let found = fates.refused + fates.stopped + fates.told;
        let counts = [
            ("states", states),
            ("harmless", fates.harmless),
            ("refused", fates.refused),
            ("stopped", fates.stopped),
            ("told", fates.told),
            ("shorter", fates.shorter),
        ];
        report(&format!("lies-{name}"), seed, &counts);
        assert!(found > 0, "{name}: nothing was ever found: {fates:?}");
    }
}
