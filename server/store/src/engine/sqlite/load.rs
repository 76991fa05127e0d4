//! Start: the index is rebuilt from the log without reading a body, and the hash chain is checked (R2, R5).

use crate::engine::sqlite::head::Mark;
use crate::engine::sqlite::{engine, header, read_meta};
use crate::error::{Error, Result};
use crate::index::Index;
use crate::key::Revision;
use crate::log::{Chain, row_size};
use rusqlite::Connection;

/// Names of our own small values.
pub(super) const META_OLDEST: &str = ".oldest";
pub(super) const META_REVISION: &str = ".revision";
pub(super) const META_CHAIN: &str = ".chain";

#[derive(Debug)]
pub(super) struct Loaded {
    pub index: Index,
    /// The chain at the newest revision.
    pub chain: Chain,
    pub history_bytes: u64,
}

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("history went back: revision {0} is missing from the log")]
    Missing(Revision),
    #[error("history went back: the hash chain breaks at revision {0}")]
    Chain(Revision),
    #[error("history went back: the newest revision is {found}, and {} was answered", .told.revision)]
    Shorter { found: Revision, told: Mark },
    #[error("history went back: revision {0} is not the one that was answered")]
    Other(Revision),
    #[error("the stored value {0} has the wrong length")]
    Meta(&'static str),
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        Error::Engine(Box::new(broken))
    }
}

/// Follows revisions above `oldest`: each must be there, and its chain value must be what its rows make.
struct Follower {
    chain: Chain,
    revision: Revision,
    checksums: Vec<u64>,
    open: bool,
    /// What the side file says of one revision.
    told: Option<Mark>,
}

/// `told` is what the side file remembers: a database that does not reach it, or reaches it differently, is refused.
pub(super) fn load(connection: &mut Connection, told: Option<Mark>) -> Result<Loaded> {
    let oldest = meta_number(connection, META_OLDEST)?;
    let newest = meta_number(connection, META_REVISION)?;
    let mut index = Index::new(oldest);
    let chain = Chain(meta_number(connection, META_CHAIN)?);
    let mut follower = Follower { chain, revision: oldest, checksums: Vec::new(), open: false, told };
    let mut history_bytes = 0;

    let query = "SELECT id, resource, namespace, name, op, schema, previous, checksum, chain, length(body)
                 FROM log ORDER BY id";
    let mut statement = connection.prepare(query).map_err(engine)?;
    let mut rows = statement.query([]).map_err(engine)?;
    while let Some(row) = rows.next().map_err(engine)? {
        let header = header(row).map_err(engine)?;
        index.apply(&header);
        let revision = header.place.revision();
        if revision > oldest {
            let body: i64 = row.get(9).map_err(engine)?;
            let key = header.resource.len() + header.namespace.len() + header.name.len();
            history_bytes += row_size(key, body as usize);
            let checksum: i64 = row.get(7).map_err(engine)?;
            let chain: Option<i64> = row.get(8).map_err(engine)?;
            follower.follow(revision, checksum as u64, chain.map(|chain| Chain(chain as u64)))?;
        }
    }
    if follower.open {
        return Err(Broken::Chain(follower.revision).into());
    }
    if index.revision < newest {
        return Err(Broken::Missing(index.revision + 1).into());
    }
    if let Some(told) = told.filter(|told| told.revision > index.revision) {
        return Err(Broken::Shorter { found: index.revision, told }.into());
    }
    Ok(Loaded { index, chain: follower.chain, history_bytes })
}

impl Follower {
    fn follow(&mut self, revision: Revision, checksum: u64, chain: Option<Chain>) -> Result<()> {
        let expected = if self.open { self.revision } else { self.revision + 1 };
        if revision != expected {
            return Err(Broken::Missing(expected).into());
        }
        self.revision = revision;
        self.open = true;
        self.checksums.push(checksum);
        if let Some(chain) = chain {
            self.chain = self.chain.extend(revision, self.checksums.drain(..));
            self.open = false;
            if self.chain != chain {
                return Err(Broken::Chain(revision).into());
            }
            if self.told.is_some_and(|told| told.revision == revision && told.chain != chain) {
                return Err(Broken::Other(revision).into());
            }
        }
        Ok(())
    }
}

fn meta_number(connection: &Connection, name: &'static str) -> Result<u64> {
    let Some(value) = read_meta(connection, name).map_err(engine)? else { return Ok(0) };
    let bytes: [u8; 8] = value.as_ref().try_into().map_err(|_| Broken::Meta(name))?;
    Ok(u64::from_be_bytes(bytes))
}
