//! What may not go: a line for each STABLE family, with its type, and one for each of its labels.

use otternauts_telemetry::names::{self, Stability};
use std::collections::BTreeSet;

const HEAD: &str =
    "# STABLE metrics. `make generate` adds lines; a line leaves only by hand, with a reason in the commit.\n";

/// What the table promises now.
pub fn lines() -> BTreeSet<String> {
    let stable = names::all().filter(|family| family.stability == Stability::Stable);
    stable
        .flat_map(|family| {
            let labels = family.labels.iter().map(|label| format!("{} label {label}", family.name));
            std::iter::once(format!("{} {} {}", family.name, family.kind.as_str(), family.page.path())).chain(labels)
        })
        .collect()
}

/// The committed list with what is new.
pub fn grown(committed: &str, now: &BTreeSet<String>) -> String {
    let mut all: BTreeSet<&str> = promised(committed).collect();
    all.extend(now.iter().map(String::as_str));
    all.into_iter().fold(HEAD.to_owned(), |text, line| text + line + "\n")
}

/// What was promised and is not kept.
pub fn broken(committed: &str, now: &BTreeSet<String>) -> Vec<String> {
    promised(committed).filter(|line| !now.contains(*line)).map(str::to_owned).collect()
}

fn promised(committed: &str) -> impl Iterator<Item = &str> {
    committed.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}
