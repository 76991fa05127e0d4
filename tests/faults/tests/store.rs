//! The store under load, power loss, damage and planted bugs. One binary, so that it links once.

#[path = "store/bounds.rs"]
mod bounds;
#[path = "store/crowd.rs"]
mod crowd;
#[path = "store/disk_errors.rs"]
mod disk_errors;
#[path = "store/flips.rs"]
mod flips;
#[path = "store/lag.rs"]
mod lag;
#[path = "store/lives.rs"]
mod lives;
#[path = "store/long.rs"]
mod long;
#[path = "store/mirror.rs"]
mod mirror;
#[path = "store/planted.rs"]
mod planted;
#[path = "store/power.rs"]
mod power;
#[path = "store/recovery.rs"]
mod recovery;
#[path = "store/registrations.rs"]
mod registrations;
#[path = "store/sealing.rs"]
mod sealing;
#[path = "store/stops.rs"]
mod stops;

use otternauts_faults::Dice;

/// `make test-nightly`: the long numbers.
fn nightly() -> bool {
    std::env::var_os("OTTERNAUTS_NIGHTLY").is_some_and(|value| value == "1")
}

/// The numbers of the runs; `OTTERNAUTS_RUN=N` beside the seed repeats one of them, and `N-M` so many.
fn numbers(runs: u64) -> std::ops::Range<u64> {
    let Ok(asked) = std::env::var("OTTERNAUTS_RUN") else { return 0..runs };
    let (first, last) = asked.split_once('-').unwrap_or((&asked, &asked));
    let number = |text: &str| text.parse::<u64>().expect("OTTERNAUTS_RUN is N or N-M");
    number(first)..number(last) + 1
}

/// Says the seed on standard error, so that a failure can be repeated with `OTTERNAUTS_SEED`.
fn seed(test: &str) -> u64 {
    let seed = Dice::seed();
    say(&format!("{test}: {}={seed}", otternauts_faults::dice::SEED));
    seed
}

/// A line that is read in the output of a failed test, and in the nightly run.
fn say(line: &str) {
    use std::io::Write as _;
    let _best_effort = writeln!(std::io::stderr(), "{line}");
}

/// The totals of a test: said, and kept in `target/faults/NAME.json`.
fn report(name: &str, seed: u64, totals: &[(&str, u64)]) {
    let mut line = serde_json::json!({"test": name, "seed": seed});
    for (total, count) in totals {
        line[*total] = (*count).into();
    }
    say(&line.to_string());
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/faults");
    std::fs::create_dir_all(&directory).expect("target can be written");
    std::fs::write(directory.join(format!("{name}.json")), format!("{line}\n")).expect("target can be written");
}
