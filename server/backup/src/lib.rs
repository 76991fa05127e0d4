//! One file that brings a control plane back: made, verified, restored. See README.md.

mod create;
mod format;
mod restore;
pub mod schedule;
#[cfg(test)]
mod tests;

pub use create::{Opening, Source, create};
pub use format::{FileEntry, Header};
pub use restore::{DATABASE, KEYRING, Piece, REVISION_BUMP, Root, Unpacked, restore, test_restore, unpack, verify};

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a backup holds, as found while it was made or read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub header: Header,
    pub objects: u64,
    pub files: u64,
    /// The data keys under which something in it was opened.
    pub keys: Vec<u32>,
    /// Objects that do not open: they were damaged before, and are in it as they are.
    pub damaged: Vec<String>,
    /// Objects whose stored bytes could not be read when it was made: they are not in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
}

/// Why there is no backup, or none to use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "nobody could decrypt this backup: name at least one recipient (--recipient age1..., or a recovery recipient of the server); \
         otter keys new makes a key pair. The server's own root key does not count: it would be lost with the server"
    )]
    NobodyCouldOpen,
    #[error("nothing that is sealed under data key {key} can be opened ({example}): a backup would be worth nothing")]
    UnreadableKey { key: u32, example: String },
    #[error("this is not a backup of otter")]
    NotABackup,
    #[error("this backup has format {0}, and this program knows {known}: use a newer one", known = format::VERSION)]
    Newer(u32),
    #[error("the key {given} cannot open this backup; these can: {}", .readers.join(", "))]
    WrongIdentity { given: String, readers: Vec<String> },
    #[error("the backup was cut short or changed: {0}")]
    Damaged(String),
    #[error("{path} is not empty ({found}): a backup is restored into a new directory")]
    NotEmpty { path: PathBuf, found: String },
    #[error("another restore is at work in {0}")]
    Busy(PathBuf),
    #[error("{what} {path}")]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot write the backup")]
    Write(#[source] std::io::Error),
    #[error("the store failed")]
    Store(#[from] otternauts_store::Error),
    #[error("the keys failed")]
    Vault(#[from] otternauts_vault::Error),
}

pub type Result<T> = std::result::Result<T, Error>;
