//! Start: the index is read from its file and brought up to date from the log, or rebuilt from all of the log without
//! reading a body; the hash chain is checked from the last verified revision on (R2, R5).

use crate::engine::sqlite::head::Mark;
use crate::engine::sqlite::index_file::Snapshot;
use crate::engine::sqlite::{engine, header, read_meta};
use crate::error::{Error, Result};
use crate::index::Index;
use crate::key::Revision;
use crate::log::{Chain, Place, row_size};
use rusqlite::{Connection, OptionalExtension};

/// Names of our own small values.
pub(super) const META_OLDEST: &str = ".oldest";
pub(super) const META_REVISION: &str = ".revision";
pub(super) const META_CHAIN: &str = ".chain";

#[derive(Debug)]
pub(super) struct Loaded {
    pub index: Index,
    /// What compaction let go of. The index may say a little more: what was about to go when it was written.
    pub floor: Revision,
    /// The chain at the newest revision.
    pub chain: Chain,
    pub history_bytes: u64,
    /// Where the index file stands, if it was of use.
    pub stands_at: Option<Revision>,
}

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("history went back: revision {0} is missing from the log")]
    Missing(Revision),
    #[error("history went back: the hash chain breaks at revision {0}")]
    Chain(Revision),
    #[error("history went back: the newest revision is {found}, and {} was answered", .told.revision)]
    Shorter { found: Revision, told: Mark },
    #[error("history went back: the newest revision is {found}, and {seen} was seen by readers")]
    Unseen { found: Revision, seen: Revision },
    #[error("history went back: revision {0} is not the one that was answered")]
    Other(Revision),
    #[error("the history is said to begin at revision {oldest}, after its end at {newest}")]
    Floor { oldest: Revision, newest: Revision },
    #[error("a row of revision {0} does not match its checksum")]
    Row(Revision),
    #[error("the stored value {0} has the wrong length")]
    Meta(&'static str),
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        Error::Engine(Box::new(broken))
    }
}

/// Where reading the log begins.
struct Base {
    index: Index,
    /// Rows at or below it are in the index already, and verified.
    after: Revision,
    chain: Chain,
    history_bytes: u64,
    /// The log must reach so far.
    seen: Revision,
}

/// `told` is what the side file remembers: a database that does not reach it, or reaches it differently, is refused.
/// With a snapshot of the index that fits, only what came after it is read.
pub(super) fn load(connection: &mut Connection, told: Option<Mark>, snapshot: Option<Snapshot>) -> Result<Loaded> {
    let oldest = meta_number(connection, META_OLDEST)?;
    let newest = meta_number(connection, META_REVISION)?;
    // The three are always written together: a damaged floor would have us pass over the history below it unread.
    if oldest > newest {
        return Err(Broken::Floor { oldest, newest }.into());
    }
    let base = match snapshot {
        Some(snapshot) => from_snapshot(connection, snapshot, oldest, told)?,
        None => None,
    };
    let stands_at = base.as_ref().map(|base| base.after);
    let base = match base {
        Some(base) => base,
        None => {
            let chain = Chain(meta_number(connection, META_CHAIN)?);
            Base { index: Index::new(oldest), after: 0, chain, history_bytes: 0, seen: 0 }
        }
    };
    let Base { mut index, after, chain, mut history_bytes, seen } = base;
    let mut follower = Follower { told, ..Follower::new(after.max(oldest), chain) };

    let query = "SELECT id, resource, namespace, name, op, schema, previous, checksum, chain, length(body)
                 FROM log WHERE id > ?1 ORDER BY id";
    let mut statement = connection.prepare(query).map_err(engine)?;
    let first = if after > 0 { Place::last_of(after) } else { Place::NONE };
    let mut rows = statement.query([first.0 as i64]).map_err(engine)?;
    while let Some(row) = rows.next().map_err(engine)? {
        let header = header(row).map_err(engine)?;
        let revision = header.place.revision();
        let checksum: i64 = row.get(7).map_err(engine)?;
        // A row under a wrong name would leave an older state of its object in the index, to be served as the newest.
        if !header.is_whole(checksum as u64) {
            return Err(Broken::Row(revision).into());
        }
        index.apply(&header);
        if revision > oldest {
            let body: i64 = row.get(9).map_err(engine)?;
            let key = header.resource.len() + header.namespace.len() + header.name.len();
            history_bytes += row_size(key, body as usize);
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
    if index.revision < seen {
        return Err(Broken::Unseen { found: index.revision, seen }.into());
    }
    if let Some(told) = told.filter(|told| told.revision > index.revision) {
        return Err(Broken::Shorter { found: index.revision, told }.into());
    }
    if told.is_some_and(|told| told.revision == index.revision && told.chain != follower.chain) {
        return Err(Broken::Other(index.revision).into());
    }
    Ok(Loaded { index, floor: oldest, chain: follower.chain, history_bytes, stands_at })
}

/// Takes over a snapshot if the log is the one it was made of, and still has everything after it.
fn from_snapshot(
    connection: &Connection,
    snapshot: Snapshot,
    oldest: Revision,
    told: Option<Mark>,
) -> Result<Option<Base>> {
    let Snapshot { stand, seen, floor, mut index } = snapshot;
    if stand.revision < oldest {
        tracing::info!("the index file is older than the history that is kept: the whole log is read");
        return Ok(None);
    }
    if chain_at(connection, stand.revision, oldest)? != Some(stand.chain) {
        tracing::warn!("the index file is not of this database: the whole log is read");
        return Ok(None);
    }
    if let Some(told) = told.filter(|told| told.revision > oldest && told.revision <= stand.revision)
        && chain_at(connection, told.revision, oldest)? != Some(told.chain)
    {
        return Err(Broken::Other(told.revision).into());
    }
    index.compact(oldest.max(floor));
    // What went since the file was written is taken as an even part of it.
    let (had, has) = (stand.revision - stand.oldest.min(stand.revision), stand.revision - oldest);
    let share = if had == 0 { 0.0 } else { has.min(had) as f64 / had as f64 };
    let history_bytes = (stand.history_bytes as f64 * share) as u64;
    Ok(Some(Base { index, after: stand.revision, chain: stand.chain, history_bytes, seen }))
}

/// The chain at a revision that is not below the floor of history.
fn chain_at(connection: &Connection, revision: Revision, oldest: Revision) -> Result<Option<Chain>> {
    if revision == oldest {
        return Ok(Some(Chain(meta_number(connection, META_CHAIN)?)));
    }
    let bounds = [Place::last_of(revision - 1).0 as i64, Place::last_of(revision).0 as i64];
    let query = "SELECT chain FROM log WHERE id > ?1 AND id <= ?2 AND chain IS NOT NULL";
    let chain: Option<i64> = connection.query_row(query, bounds, |row| row.get(0)).optional().map_err(engine)?;
    Ok(chain.map(|chain| Chain(chain as u64)))
}

/// Follows revisions above a verified one: each must be there, and its chain value must be what its rows make.
#[derive(Debug)]
pub(super) struct Follower {
    chain: Chain,
    revision: Revision,
    checksums: Vec<u64>,
    open: bool,
    /// What the side file says of one revision.
    told: Option<Mark>,
}

impl Follower {
    pub(super) fn new(revision: Revision, chain: Chain) -> Follower {
        Follower { chain, revision, checksums: Vec::new(), open: false, told: None }
    }

    /// Whether the next row is one above this floor of history: nothing went between.
    pub(super) fn can_go_on(&self, oldest: Revision) -> bool {
        self.revision > oldest || (self.revision == oldest && !self.open)
    }

    /// Goes on behind a break.
    pub(super) fn resume(&mut self, revision: Revision, chain: Option<Chain>) {
        self.checksums.clear();
        self.revision = revision;
        self.open = chain.is_none();
        self.chain = chain.unwrap_or(self.chain);
    }

    pub(super) fn follow(&mut self, revision: Revision, checksum: u64, chain: Option<Chain>) -> Result<()> {
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

pub(super) fn meta_number(connection: &Connection, name: &'static str) -> Result<u64> {
    let Some(value) = read_meta(connection, name).map_err(engine)? else { return Ok(0) };
    let bytes: [u8; 8] = value.as_ref().try_into().map_err(|_| Broken::Meta(name))?;
    Ok(u64::from_be_bytes(bytes))
}
