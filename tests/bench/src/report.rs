//! The table and the JSON.

use crate::target::Target;
use anyhow::Result;
use serde_json::json;
use std::path::Path;

/// Which way is good.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Better {
    Higher,
    Lower,
}

/// One figure on every target.
pub struct Row {
    what: String,
    better: Better,
    /// By target, as taken.
    taken: Vec<Vec<f64>>,
    /// What the machine can do at all, taken in the same run.
    limit: Vec<f64>,
}

impl Row {
    pub fn new(what: String, better: Better, targets: usize) -> Self {
        Self { what, better, taken: vec![Vec::new(); targets], limit: Vec::new() }
    }

    pub fn add_limit(&mut self, value: f64) {
        self.limit.push(value);
    }

    pub fn add(&mut self, target: usize, value: f64) {
        self.taken[target].push(value);
    }

    fn median(&self, target: usize) -> Option<f64> {
        median(self.taken.get(target)?)
    }

    /// The first target beside the limit, as percent: 100 is as good as can be.
    fn of_limit(&self) -> Option<f64> {
        let (ours, limit) = (self.median(0)?, median(&self.limit)?);
        Some(100.0 * if self.better == Better::Higher { ours / limit } else { limit / ours })
    }

    /// How many times better the first target is than the second.
    fn ratio(&self) -> Option<f64> {
        let (ours, theirs) = (self.median(0)?, self.median(1)?);
        Some(match self.better {
            Better::Higher => ours / theirs,
            Better::Lower => theirs / ours.max(0.005),
        })
    }

    /// Prints the row at once, so that a long run shows where it is.
    pub fn said(self) -> Self {
        let figures: Vec<String> =
            (0..self.taken.len()).map(|i| self.median(i).map_or("-".to_owned(), |m| format!("{m:.1}"))).collect();
        let limit = self.of_limit().map(|p| format!("   {p:.0} % of the limit")).unwrap_or_default();
        eprint_line(&format!("{:<60} {}{limit}", self.what, figures.join("   ")));
        self
    }
}

fn median(taken: &[f64]) -> Option<f64> {
    let mut sorted = taken.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

#[allow(clippy::print_stderr, reason = "progress belongs beside the result, not into it")]
fn eprint_line(line: &str) {
    eprintln!("{line}");
}

pub fn print(targets: &[Target], rows: &[Row], file: &Path) -> Result<()> {
    let names: Vec<String> = targets.iter().map(|t| format!("{:>12}", t.name)).collect();
    let ratio = if targets.len() > 1 { "  times better" } else { "" };
    println!("\n{:<60}{}{ratio}", "medians", names.join(""));
    for row in rows {
        let figures: Vec<String> = (0..targets.len())
            .map(|i| row.median(i).map_or_else(|| format!("{:>12}", "-"), |m| format!("{m:>12.1}")))
            .collect();
        let ratio = row.ratio().map(|r| format!("{r:>13.1}x")).unwrap_or_default();
        let limit = row.of_limit().map(|p| format!("{p:>8.0} % of the limit")).unwrap_or_default();
        println!("{:<60}{}{ratio}{limit}", row.what, figures.join(""));
    }
    let json: Vec<_> = rows
        .iter()
        .map(|row| {
            let taken: serde_json::Map<_, _> =
                targets.iter().zip(&row.taken).map(|(t, v)| (t.name.to_owned(), json!(v))).collect();
            json!({"what": row.what, "taken": taken, "timesBetter": row.ratio(),
                "limit": row.limit, "percentOfLimit": row.of_limit()})
        })
        .collect();
    std::fs::write(file, serde_json::to_vec_pretty(&json!({"rows": json}))?)?;
    println!("\nwritten to {}", file.display());
    Ok(())
}
