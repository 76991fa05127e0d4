//! Standard output is data, standard error is talk.

use anyhow::Context as _;
use serde::Serialize;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

/// Set once, before any command runs: `--quiet`.
static QUIET: AtomicBool = AtomicBool::new(false);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Json,
    Yaml,
    Name,
}

pub fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Writes data. A closed pipe ends the program quietly, as every filter does.
pub fn data(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.context("cannot write to standard output"),
    }
}

/// Prints a value as JSON or YAML; `Table` and `Name` are up to the caller.
pub fn document(format: Format, value: &impl Serialize) -> anyhow::Result<()> {
    let text = match format {
        Format::Yaml => serde_saphyr::to_string(value).context("cannot write YAML")?,
        _ => serde_json::to_string_pretty(value).context("cannot write JSON")? + "\n",
    };
    data(text.as_bytes())
}

/// Says something to the person, unless `--quiet`.
pub fn note(text: &str) {
    if !is_quiet() {
        complain(text);
    }
}

/// Says it even with `--quiet`: errors and questions. Nobody is left to tell when standard error is closed.
pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Whether a person watches what is said.
pub fn is_watched() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// Whether a person can answer. Without one nothing is ever asked.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for yes or no; anything but yes is no. On a thread of its own, so that Ctrl-C is heard meanwhile.
pub async fn ask(question: &str) -> anyhow::Result<bool> {
    let _ = write!(std::io::stderr(), "{question} [y/N] ");
    let read = || {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    };
    let answer = tokio::task::spawn_blocking(read).await.context("cannot ask")?;
    let line = answer.context("cannot read the answer")?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes" | "Yes" | "YES"))
}

/// Text from elsewhere on one line, without what would steer a terminal.
pub fn clean(text: &str) -> String {
    text.split(char::is_whitespace)
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .replace(|c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'), "\u{fffd}")
}

/// Columns as kubectl prints them: three blanks apart, nothing trailing, a line feed after each row.
pub fn table(headers: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = headers.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let headers: Vec<String> = headers.iter().map(|h| (*h).to_owned()).collect();
    let mut out = String::new();
    for row in std::iter::once(&headers).chain(rows) {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("   ");
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// How long, as kubectl says it: `45s`, `12m`, `5h`, `3d`.
pub fn age(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..120 => format!("{s}s"),
        s @ 120..7200 => format!("{}m", s / 60),
        s @ 7200..172_800 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

/// How long something took, for the last line of a wait.
pub fn took(duration: std::time::Duration) -> String {
    match duration.as_secs() {
        s @ 0..120 => format!("{s} s"),
        s => format!("{} min {} s", s / 60, s % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_do_not_trail() {
        let rows = vec![vec!["a".into(), "long one".into(), String::new()], vec!["bcd".into(), "x".into(), "y".into()]];
        assert_eq!(table(&["N", "M", "O"], &rows), "N     M          O\na     long one\nbcd   x          y\n");
    }

    #[test]
    fn ages_are_short() {
        for (seconds, text) in [(-3, "0s"), (45, "45s"), (130, "2m"), (7300, "2h"), (200_000, "2d")] {
            assert_eq!(age(seconds), text);
        }
    }

    #[test]
    fn text_from_elsewhere_cannot_steer_a_terminal() {
        for (text, expected) in [
            ("plain text", "plain text"),
            ("two\n  lines\t", "two lines"),
            ("\u{1b}[31mred\u{7}", "\u{fffd}[31mred\u{fffd}"),
            ("a\u{202e}b", "a\u{fffd}b"),
        ] {
            assert_eq!(clean(text), expected);
        }
    }
}
