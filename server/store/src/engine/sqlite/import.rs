//! A database made from records that were taken elsewhere: the last step of a restore (R44).

use crate::engine::sqlite::head::{Head, Mark};
use crate::engine::sqlite::load::{META_CHAIN, META_OLDEST, META_REVISION};
use crate::engine::sqlite::{engine, file};
use crate::error::{Error, Result};
use crate::event::EventKind;
use crate::import::{Refused, accept_name, accept_newest};
use crate::key::Revision;
use crate::log::{Chain, Header, MOST_WRITES, Place, kind_code};
use crate::record::Record;
use crate::store::META_EPOCH;
use rusqlite::{Connection, params};
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Rows in one transaction: the write-ahead log stays small.
const BATCH: u64 = 5_000;

#[derive(Debug, thiserror::Error)]
#[error("{0} is there already: a database is restored where none was")]
struct Leftover(PathBuf);

/// Fills a new database. It is one only after [`Importer::finish`]; what is left before that is to be thrown away.
pub struct Importer {
    connection: Connection,
    path: PathBuf,
    chain: Chain,
    rows: u64,
    newest: Revision,
    /// The next position of revisions that have more than one record.
    positions: HashMap<Revision, usize>,
}

impl Importer {
    /// Refused where any file of a database lies already (A15).
    pub fn create(path: &Path) -> Result<Importer> {
        for suffix in ["", "-wal", "-shm", "-journal", ".head", ".lock"] {
            let leftover = file::beside(path, suffix);
            if leftover.symlink_metadata().is_ok() {
                return Err(Error::Engine(Box::new(Leftover(leftover))));
            }
        }
        let connection = file::open(path)?;
        file::accept(&connection)?;
        connection.execute_batch("BEGIN IMMEDIATE").map_err(engine)?;
        let (path, positions) = (path.to_owned(), HashMap::new());
        Ok(Importer { connection, path, chain: Chain::default(), rows: 0, newest: 0, positions })
    }

    /// Takes in one live object, its bytes and its revision as they are.
    pub fn put(&mut self, record: &Record) -> Result<()> {
        let revision = record.revision;
        self.newest = self.newest.max(revision);
        let first = self.positions.get(&revision).copied().unwrap_or(0);
        for position in first..MOST_WRITES {
            if self.insert(Place::new(revision, position), record)? {
                if position > 0 {
                    self.positions.insert(revision, position + 1);
                }
                self.rows += 1;
                if self.rows.is_multiple_of(BATCH) {
                    self.connection.execute_batch("COMMIT; BEGIN IMMEDIATE").map_err(engine)?;
                }
                return Ok(());
            }
        }
        Err(Refused::Crowded(revision).into())
    }

    /// False: the place is taken.
    fn insert(&mut self, place: Place, record: &Record) -> Result<bool> {
        let key = &record.key;
        let header = Header {
            place,
            resource: &key.resource,
            namespace: &key.namespace,
            name: &key.name,
            kind: EventKind::Created,
            schema: record.schema,
            previous: Place::NONE,
        };
        let checksum = header.checksum(&record.body);
        let chain = self.chain.extend(record.revision, [checksum]);
        let insert =
            "INSERT OR IGNORE INTO log (id, resource, namespace, name, op, schema, previous, checksum, chain, body)
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let mut statement = self.connection.prepare_cached(insert).map_err(engine)?;
        let inserted = statement.execute(params![
            place.0 as i64,
            &*key.resource,
            &*key.namespace,
            &*key.name,
            kind_code(EventKind::Created),
            record.schema as i64,
            Place::NONE.0 as i64,
            checksum as i64,
            chain.0 as i64,
            &*record.body,
        ]);
        let inserted = inserted.map_err(engine)? == 1;
        if inserted {
            self.chain = chain;
        }
        Ok(inserted)
    }

    /// Takes in one small value.
    pub fn set_meta(&mut self, name: &str, value: &[u8]) -> Result<()> {
        accept_name(name)?;
        self.write_meta(name, value)
    }

    fn write_meta(&self, name: &str, value: &[u8]) -> Result<()> {
        let set =
            "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.connection.execute(set, params![name, value]).map(drop).map_err(engine)
    }

    /// Ends it at `revision`, above every record, with nothing below it left to watch from: whoever held a version from before gets
    /// [`Error::Compacted`] and lists anew (A14, R44). Durable when it answers, the side file included.
    pub fn finish(self, revision: Revision, epoch: u64) -> Result<()> {
        accept_newest(self.newest, revision)?;
        self.write_meta(META_OLDEST, &revision.to_be_bytes())?;
        self.write_meta(META_REVISION, &revision.to_be_bytes())?;
        self.write_meta(META_CHAIN, &self.chain.0.to_be_bytes())?;
        self.write_meta(META_EPOCH, &epoch.to_be_bytes())?;
        self.connection.execute_batch("COMMIT").map_err(engine)?;
        let emptied = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        emptied.map_err(engine)?;
        self.connection.close().map_err(|(_, error)| engine(error))?;
        let io = |error: std::io::Error| Error::Engine(Box::new(error));
        let mut head = Head::open(&file::beside(&self.path, ".head"))?;
        head.note(Mark { revision, chain: self.chain });
        head.write().map_err(io)?;
        for path in [self.path.clone(), file::beside(&self.path, ".head")] {
            File::open(path).and_then(|file| file.sync_all()).map_err(io)?;
        }
        Ok(())
    }
}
