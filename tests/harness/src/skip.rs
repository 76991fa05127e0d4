//! Skipping out loud.

use std::io::Write as _;

/// Says that a test was not run and why, and leaves a line for the summary in the file that `OTTERNAUTS_SKIPPED` names.
///
/// # Panics
/// With `OTTERNAUTS_REQUIRE_LAB=1`: there a skip is a failure.
pub fn skip(test: &str, why: &str) {
    let line = format!("SKIPPED, NOT TESTED: {test}: {why}");
    assert!(std::env::var_os("OTTERNAUTS_REQUIRE_LAB").is_none_or(|v| v != "1"), "{line}");
    say(&line);
}

/// The same for a part of a test that needs what no machine has by itself, such as an image: never a failure.
pub fn untested(what: &str, why: &str) {
    say(&format!("SKIPPED, NOT TESTED: {what}: {why}"));
}

fn say(line: &str) {
    // Straight to the terminal: the test runner swallows what passing tests print.
    let _best_effort = writeln!(std::io::stderr(), "{line}");
    if let Some(path) = std::env::var_os("OTTERNAUTS_SKIPPED")
        && let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path)
    {
        let _best_effort = writeln!(file, "{line}");
    }
}
