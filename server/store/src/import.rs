//! What is refused of records that were taken elsewhere, whichever engine takes them in (R44).

use crate::error::{Error, Result};
use crate::key::Revision;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("{0:?} is a name of the engine's own")]
    Name(String),
    #[error("revision {0} has too many records")]
    Crowded(Revision),
    #[error("record {record} is above {newest}, the newest revision")]
    Above { record: Revision, newest: Revision },
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Error::Engine(Box::new(refused))
    }
}

/// A small value may have this name.
pub(crate) fn accept_name(name: &str) -> Result<()> {
    if name.starts_with('.') { Err(Refused::Name(name.to_owned()).into()) } else { Ok(()) }
}

/// An import that ends at `newest` may have this record.
pub(crate) fn accept_newest(record: Revision, newest: Revision) -> Result<()> {
    if record > newest { Err(Refused::Above { record, newest }.into()) } else { Ok(()) }
}
