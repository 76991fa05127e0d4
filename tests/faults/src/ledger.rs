//! The acknowledgement ledger: what was answered, on the disk before anybody relies on it, so that a failed run leaves its
//! evidence behind whatever happens to the machine.

use crate::history::{Action, Key, Operation, Outcome, Revision, Token};
use anyhow::{Context as _, Result};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct Ledger {
    file: File,
    path: PathBuf,
}

/// One line: an answered change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: Key,
    /// What was stored; none: it was deleted.
    pub put: Option<Token>,
    /// Answers to a deletion do not tell it.
    pub revision: Option<Revision>,
}

impl Ledger {
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path) -> Result<Ledger> {
        Ok(Ledger { file: File::create(path)?, path: path.to_owned() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the acknowledged writes of a round, and returns when they are on the disk. Answers how many there were.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn note(&mut self, round: u64, operations: &[Operation]) -> Result<u64> {
        let mut lines = String::new();
        let mut acknowledged = 0;
        for operation in operations {
            let (Action::Write(changes), Outcome::Done(revision)) = (&operation.action, &operation.outcome) else {
                continue;
            };
            acknowledged += 1;
            let revision = revision.map_or("-".to_owned(), |revision| revision.to_string());
            for change in changes {
                let token = change.put.map_or("deleted".to_owned(), |token| token.to_string());
                lines += &format!("{round} {} o{} {token} {revision}\n", operation.client, change.key);
            }
        }
        self.file.write_all(lines.as_bytes())?;
        self.file.sync_data()?;
        Ok(acknowledged)
    }

    /// What is on the disk of a round.
    ///
    /// # Errors
    /// When it cannot be read, or is not what was written.
    pub fn entries(&self, round: u64) -> Result<Vec<Entry>> {
        let text = std::fs::read_to_string(&self.path)?;
        let round = round.to_string();
        let mut entries = Vec::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [of, _, key, put, revision] = words[..] else { anyhow::bail!("not a line of a ledger: {line}") };
            if of == round {
                let key = key.strip_prefix('o').context("a key")?.parse()?;
                let number = |word: &str, none| (word != none).then(|| word.parse::<u64>()).transpose();
                entries.push(Entry { key, put: number(put, "deleted")?, revision: number(revision, "-")? });
            }
        }
        Ok(entries)
    }
}
