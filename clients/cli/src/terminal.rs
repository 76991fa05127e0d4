//! Standard output is data, standard error is talk.

use anyhow::Context as _;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// Writes data. A closed pipe ends the program quietly, as every filter does.
pub fn data(text: &str) -> anyhow::Result<()> {
    bytes(text.as_bytes())
}

/// As [`data`], for what may not be text.
pub fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.context("cannot write to standard output"),
    }
}

/// Says something to the person. Nobody is left to tell when standard error is closed.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Whether a person watches the progress.
pub fn is_interactive() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// Whether a person can answer.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for one line and answers it without blanks around it.
pub fn ask(question: &str) -> anyhow::Result<String> {
    let _ = write!(std::io::stderr(), "{question} ");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("cannot read the answer")?;
    Ok(line.trim().to_owned())
}
