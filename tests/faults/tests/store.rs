//! The store under load, power loss, damage and planted bugs. One binary, so that it links once.

#[path = "store/long.rs"]
mod long;

use otternauts_faults::Dice;

/// `make test-nightly`: the long numbers.
fn nightly() -> bool {
    std::env::var_os("OTTERNAUTS_NIGHTLY").is_some_and(|value| value == "1")
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
