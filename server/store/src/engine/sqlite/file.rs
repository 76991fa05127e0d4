//! Opening the file: the lock, the settings (read back), the tables.

use crate::engine::sqlite::engine;
use crate::error::{Error, Result};
use crate::locked::Locked;
use crate::planted::{Bug, planted, point};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::{OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Older ones can corrupt the file when two connections write and checkpoint at once.
const OLDEST_SQLITE: i32 = 3_051_003;
/// "otnt", in the file's header.
const APPLICATION: i64 = 0x6f74_6e74;
/// The layout below. A newer one is refused (R45).
const LAYOUT: i64 = 1;
/// How much of the WAL file stays on disk after it was checkpointed.
const WAL_KEPT: i64 = 16 << 20;

/// `body` is last so that the columns before it are read without it. `id` is revision and position, see `Place`;
/// `chain` is set on the last row of each revision. `meta` holds `name -> value`, ours prefixed with a dot.
const TABLES: &str = "
CREATE TABLE log (
  id INTEGER PRIMARY KEY,
  resource TEXT NOT NULL,
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  op INTEGER NOT NULL,
  schema INTEGER NOT NULL,
  previous INTEGER NOT NULL,
  checksum INTEGER NOT NULL,
  chain INTEGER,
  body BLOB NOT NULL
) STRICT;
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
";

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("SQLite {0} is too old, 3.51.3 is needed")]
    OldSqlite(&'static str),
    #[error("{0} is in use by another store")]
    InUse(PathBuf),
    #[error("cannot lock {0}")]
    Lock(PathBuf, #[source] std::io::Error),
    #[error("{0} is not a database of ours")]
    Foreign(PathBuf),
    #[error("the database has layout {found}, this program knows {LAYOUT}")]
    Layout { found: i64 },
    #[error("SQLite did not take the setting {name}: it is {is}, not {wanted}")]
    Setting { name: &'static str, wanted: String, is: String },
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Error::Engine(Box::new(refused))
    }
}

/// Takes the lock on a side file. A lock on the database itself would be lost whenever some other descriptor of it is closed
/// in this process (R51).
pub(super) fn lock(path: &Path) -> Result<Locked> {
    let path = beside(path, ".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| Refused::Lock(path.clone(), error))?;
    Locked::take(file).map_err(|refused| match refused {
        TryLockError::WouldBlock => Refused::InUse(path).into(),
        TryLockError::Error(error) => Refused::Lock(path, error).into(),
    })
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Opens the one writable connection, making the file when it is missing.
pub(super) fn open(path: &Path) -> Result<Connection> {
    check_version(rusqlite::version_number(), rusqlite::version())?;
    // Made here and not by SQLite, so that nobody else can read it from the first moment on.
    let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    drop(made.map_err(|error| Error::Engine(Box::new(error)))?);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(engine)?;
    identify(&connection, path)?;
    point("open");
    configure(&connection)?;
    point("configured");
    make_tables(&connection)?;
    point("tables");
    Ok(connection)
}

fn check_version(number: i32, version: &'static str) -> Result<(), Refused> {
    if number < OLDEST_SQLITE { Err(Refused::OldSqlite(version)) } else { Ok(()) }
}

/// Refuses files of other programs and of newer versions before anything is changed.
fn identify(connection: &Connection, path: &Path) -> Result<()> {
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(engine)?;
    if tables == 0 {
        return Ok(());
    }
    if number(connection, "application_id")? != APPLICATION {
        return Err(Refused::Foreign(path.to_owned()).into());
    }
    match number(connection, "user_version")? {
        LAYOUT => Ok(()),
        found => Err(Refused::Layout { found }.into()),
    }
}

/// R1, each setting read back.
fn configure(connection: &Connection) -> Result<()> {
    connection.busy_timeout(Duration::from_millis(100)).map_err(engine)?;
    connection.set_prepared_statement_cache_capacity(32);
    for (config, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
        (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
        // Until what is there was verified nothing is moved from the log to the database: it may not be of this one.
        (DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true),
    ] {
        let is = connection.set_db_config(config, on).map_err(engine)?;
        if is != on {
            let (wanted, is) = (on.to_string(), is.to_string());
            return Err(Refused::Setting { name: "database configuration", wanted, is }.into());
        }
    }
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(engine)?;
    if mode != "wal" {
        return Err(Refused::Setting { name: "journal_mode", wanted: "wal".to_owned(), is: mode }.into());
    }
    set(connection, "synchronous", if planted(Bug::SynchronousNormal) { 1 } else { 2 })?;
    set(connection, "mmap_size", 0)?;
    set(connection, "trusted_schema", 0)?;
    set(connection, "secure_delete", 1)?;
    set(connection, "foreign_keys", 1)?;
    set(connection, "wal_autocheckpoint", 0)?;
    set(connection, "journal_size_limit", WAL_KEPT)?;
    set(connection, "cache_size", -4096)
}

/// What is there is good: from now on the log is taken into the database when it is closed.
pub(super) fn accept(connection: &Connection) -> Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map(drop).map_err(engine)
}

/// A read-only connection for the pool.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(engine)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(engine)?;
    set(&connection, "query_only", 1)?;
    set(&connection, "mmap_size", 0)?;
    set(&connection, "trusted_schema", 0)?;
    set(&connection, "cache_size", -1024)?;
    Ok(connection)
}

fn set(connection: &Connection, name: &'static str, wanted: i64) -> Result<()> {
    connection.pragma_update(None, name, wanted).map_err(engine)?;
    // With no memory mapping compiled in or allowed, the question has no answer, which is what we want.
    let is = match connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)) {
        Err(rusqlite::Error::QueryReturnedNoRows) if name == "mmap_size" => 0,
        is => is.map_err(engine)?,
    };
    if is != wanted {
        return Err(Refused::Setting { name, wanted: wanted.to_string(), is: is.to_string() }.into());
    }
    Ok(())
}

fn number(connection: &Connection, name: &str) -> Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0)).map_err(engine)
}

fn make_tables(connection: &Connection) -> Result<()> {
    if number(connection, "user_version")? == LAYOUT {
        return Ok(());
    }
    let script = format!(
        "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {LAYOUT}; COMMIT;"
    );
    connection.execute_batch(&script).map_err(engine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlite_that_can_corrupt_the_file_is_refused_r1() {
        for (number, version, taken) in [
            (3_007_000, "3.7.0", false),
            (3_050_004, "3.50.4", false),
            (3_051_002, "3.51.2", false),
            (3_051_003, "3.51.3", true),
            (3_052_000, "3.52.0", true),
            (4_000_000, "4.0.0", true),
        ] {
            let said = check_version(number, version).err().map(|refused| refused.to_string());
            assert_eq!(said, (!taken).then(|| format!("SQLite {version} is too old, 3.51.3 is needed")));
        }
        assert!(check_version(rusqlite::version_number(), rusqlite::version()).is_ok(), "the one we come with");
    }
}
