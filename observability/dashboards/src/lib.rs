//! What is made from the table of metrics. See README.md.

pub mod alerts;
pub mod boards;
pub mod docs;
pub mod expr;
pub mod lint;
pub mod rules;
pub mod stable;
#[cfg(test)]
mod tests;

use std::path::Path;

/// Where the list of stable names is.
pub const STABLE: &str = "observability/stable-metrics.txt";

/// Every file that is made here: path in the repository, text. The list of stable names continues the committed one.
pub fn files(root: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let committed = std::fs::read_to_string(root.join(STABLE)).unwrap_or_default();
    let mut files = vec![
        ("docs/metrics.md".to_owned(), docs::page()),
        ("observability/alerts/recording.yml".to_owned(), rules::file()),
        ("observability/alerts/alerts.yml".to_owned(), alerts::file()),
        ("observability/alerts/alerts.test.yml".to_owned(), alerts::tests()),
        (STABLE.to_owned(), stable::grown(&committed, &stable::lines())),
    ];
    files.extend(
        boards::all().map(|board| (format!("observability/dashboards/json/{}.json", board.uid), boards::file(board))),
    );
    Ok(files)
}
