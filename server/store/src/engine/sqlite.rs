//! The SQLite engine: one file, one writer thread, a few read-only connections (R1 to R8).

mod ballast;
mod disk;
mod file;
mod head;
mod import;
mod index_file;
mod indexer;
mod load;
mod pool;
mod premises;
mod scrub;
mod task;
#[cfg(test)]
mod tests;
mod writer;

use crate::engine::{BodyRef, Visit, VisitHeader};
use crate::error::{Error, Result};
use crate::key::Revision;
use crate::locked::Locked;
use crate::log::{Header, Place, kind_of};
use crate::observer::{NoObserver, Observer, Statement};
use crate::planted::{Bug, announce, planted};
use crate::record::{Committed, Write};
use crate::retention::{Ages, Clock, Retention, system_clock};
use crate::visible::Visible;
use bytes::Bytes;
pub use disk::DiskGuard;
pub use import::Importer;
use parking_lot::Mutex;
use pool::{LONGEST, Pool, Time};
use rusqlite::{Connection, OptionalExtension};
pub use scrub::Scrub;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// How many requests may wait for the writer; more wait for a place in the queue.
const QUEUE: usize = 4096;
/// The most rows read in one snapshot (R39).
pub(crate) const SNAPSHOT_ROWS: usize = 500;

/// [`SNAPSHOT_ROWS`], but for a planted bug.
pub(crate) fn snapshot_rows() -> usize {
    if planted(Bug::OneLongReadTransaction) { usize::MAX } else { SNAPSHOT_ROWS }
}

/// Up to so many rows are a short read.
pub(crate) const SHORT: usize = 16;

/// Where a SQLite store is and how it behaves.
#[derive(Clone)]
pub struct SqliteOptions {
    /// The database file; made when missing, in a directory that exists. `-wal`, `-shm`, `.lock`, `.head` and
    /// `.ballast` and `.index` lie beside it.
    pub path: PathBuf,
    pub retention: Retention,
    pub clock: Clock,
    pub observer: Arc<dyn Observer>,
    pub disk: DiskGuard,
    pub scrub: Scrub,
    /// Where the newest revision that was answered is noted; `None`: in `.head` beside the database. In a place that is not put back
    /// together with the database it tells also of a whole directory from before, as a snapshot of a machine is (A16).
    pub high_water_mark: Option<PathBuf>,
}

impl SqliteOptions {
    fn head(&self) -> PathBuf {
        self.high_water_mark.clone().unwrap_or_else(|| file::beside(&self.path, ".head"))
    }

    /// The defaults of design section 5 for the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> SqliteOptions {
        SqliteOptions { path: path.into(), ..SqliteOptions::default() }
    }
}

impl Default for SqliteOptions {
    fn default() -> Self {
        SqliteOptions {
            path: PathBuf::from("otternauts.db"),
            retention: Retention::default(),
            clock: system_clock(),
            observer: Arc::new(NoObserver),
            disk: DiskGuard::default(),
            scrub: Scrub::default(),
            high_water_mark: None,
        }
    }
}

/// What the writer is asked for.
enum Request {
    Commit { writes: Vec<Write>, reply: oneshot::Sender<Result<Committed>>, _place: OwnedSemaphorePermit },
    SetMeta { name: String, value: Bytes, reply: oneshot::Sender<Result<()>> },
    Forget { upto: Revision, reply: oneshot::Sender<Result<()>> },
    Close { reply: oneshot::Sender<Result<()>> },
}

pub(crate) struct Sqlite {
    queue: Mutex<Option<mpsc::Sender<Request>>>,
    places: Arc<Semaphore>,
    path: PathBuf,
    pool: Arc<Pool>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Sqlite {
    pub(crate) fn open(options: SqliteOptions) -> Result<(Arc<Visible>, Sqlite)> {
        announce();
        let lock = file::lock(&options.path)?;
        disk::make_room(&options.path, &options.disk);
        let answered = head::Head::open(&options.head())?.read()?.map_or(0, |mark| mark.revision);
        premises::check(&options.path, answered)?;
        let connection = file::open(&options.path)?;
        Sqlite::start(options, lock, connection)
    }

    fn start(options: SqliteOptions, lock: Locked, mut connection: Connection) -> Result<(Arc<Visible>, Sqlite)> {
        let mut head = head::Head::open(&options.head())?;
        let told = head.read()?;
        let loaded = load::load(&mut connection, told, indexer::found(&options.path))?;
        if told.is_none() && loaded.index.revision > 0 {
            let file = options.head();
            tracing::warn!(
                file = %file.display(),
                "the note of the newest revision is missing or damaged: an older database in its place would not be noticed"
            );
        }
        let mark = head::Mark { revision: loaded.index.revision, chain: loaded.chain };
        if told != Some(mark) {
            head.note(mark);
        }
        file::accept(&connection)?;
        let pool = Arc::new(Pool::open(&options.path)?);
        let (oldest, newest) = (loaded.index.oldest, loaded.index.revision);
        let ages = Ages::new(options.retention, oldest, newest, loaded.history_bytes, (options.clock)());
        let verified = writer::Verified { chain: loaded.chain, floor: loaded.floor };
        let indexer = indexer::Indexer::new(&options.path, loaded.stands_at);
        let visible = Arc::new(Visible::new(loaded.index, options.observer));
        let (queue, requests) = mpsc::channel();
        let mut disk = disk::Disk::open(&options.path, options.disk);
        disk.look(|| 0);
        let scrubber = scrub::Scrubber::start(&options.path, options.scrub, &visible);
        let premises = premises::Premises::of(&options.path);
        let files = writer::Files { connection, head, premises, disk, indexer, scrubber, lock };
        let writer = writer::Writer::new(files, visible.clone(), options.clock, ages, verified)?;
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run_or_abort(writer, &requests))
            .map_err(|error| Error::Engine(Box::new(error)))?;
        let sqlite = Sqlite {
            queue: Mutex::new(Some(queue)),
            places: Arc::new(Semaphore::new(QUEUE)),
            path: options.path,
            pool,
            writer: Mutex::new(Some(thread)),
        };
        Ok((visible, sqlite))
    }

    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Result<Committed> {
        let place = self.places.clone().acquire_owned().await.map_err(|_| Error::Closed)?;
        let (reply, answer) = oneshot::channel();
        self.send(Request::Commit { writes, reply, _place: place })?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    pub(crate) async fn set_meta(&self, name: &str, value: Bytes) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::SetMeta { name: name.to_owned(), value, reply })?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    pub(crate) fn metas(&self) -> Result<Vec<(String, Bytes)>> {
        self.pool.short(|connection| {
            let query = "SELECT name, value FROM meta WHERE name NOT LIKE '.%' ORDER BY name";
            let mut statement = connection.prepare_cached(query).map_err(engine)?;
            let rows = statement.query_map([], |row| {
                Ok((row.get::<_, String>(0)?, Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?)))
            });
            rows.map_err(engine)?.collect::<rusqlite::Result<_>>().map_err(engine)
        })
    }

    pub(crate) async fn forget(&self, upto: Revision) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Forget { upto, reply })?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    pub(crate) async fn close(&self) -> Result<()> {
        self.places.close();
        // Readers first: an open snapshot would keep the last checkpoint from finishing.
        self.pool.close();
        let (reply, answer) = oneshot::channel();
        match self.send(Request::Close { reply }) {
            Ok(()) => {}
            Err(Error::Closed) => return Ok(()),
            Err(error) => return Err(error),
        }
        self.queue.lock().take();
        let result = answer.await.unwrap_or(Err(Error::Closed));
        self.join();
        result
    }

    fn send(&self, request: Request) -> Result<()> {
        match &*self.queue.lock() {
            Some(queue) => queue.send(request).map_err(|_| Error::Closed),
            None => Err(Error::Closed),
        }
    }

    fn join(&self) {
        let thread = self.writer.lock().take();
        if let Some(thread) = thread {
            // It cannot have panicked: see `run_or_abort`.
            let _ = thread.join();
        }
    }

    pub(crate) fn rows(&self, visible: &Visible, what: Statement, places: &[Place], visit: Visit<'_>) -> Result<()> {
        if places.is_empty() {
            return Ok(());
        }
        debug_assert!(places.is_sorted());
        let most = snapshot_rows();
        let mut rest = places;
        while !rest.is_empty() {
            let done = self.some_rows(visible, what, &rest[..rest.len().min(most)], visit)?;
            rest = &rest[done..];
        }
        Ok(())
    }

    /// Reads rows in one snapshot, as long as it may be held; answers of how many places.
    fn some_rows(&self, visible: &Visible, what: Statement, places: &[Place], visit: Visit<'_>) -> Result<usize> {
        let started = Instant::now();
        let mut read = |connection: &Connection, time: Option<&Time>| {
            let mut statement = connection.prepare_cached(ROWS).map_err(engine)?;
            let mut done = 0;
            for run in runs(places) {
                if done > 0 && time.is_some_and(Time::is_over) {
                    break;
                }
                visit_run(&mut statement, run, visit)?;
                done += run.len();
            }
            Ok(done)
        };
        // Watchers that catch up are many at once: they wait for one another, not those who get one object.
        let result = if places.len() <= SHORT && what != Statement::History {
            self.pool.short(|connection| read(connection, None))
        } else {
            self.pool.snapshot(LONGEST, |connection, time| read(connection, Some(time)))
        };
        // A damaged page of the file is damage of the rows in it.
        let result = match result {
            Err(error) if is_damage(&error) => {
                Err(Error::Corrupt { key: nobody(), revision: places.first().map_or(0, |place| place.revision()) })
            }
            result => result,
        };
        if let Err(Error::Corrupt { .. }) = &result {
            visible.found_damage();
        }
        let done = result?;
        visible.observer.statement(what, started.elapsed());
        Ok(done)
    }

    pub(crate) fn headers(&self, visible: &Visible, places: &[Place], visit: VisitHeader<'_>) -> Result<()> {
        let started = Instant::now();
        for places in places.chunks(SNAPSHOT_ROWS) {
            self.pool.snapshot(LONGEST, |connection, _| {
                let mut statement = connection.prepare_cached(HEADER).map_err(engine)?;
                for place in places {
                    let mut rows = statement.query([place.0 as i64]).map_err(engine)?;
                    if let Some(row) = rows.next().map_err(engine)? {
                        visit(&header(row).map_err(engine)?);
                    }
                }
                Ok(())
            })?;
        }
        visible.observer.statement(Statement::History, started.elapsed());
        Ok(())
    }

    pub(crate) fn file_bytes(&self) -> Vec<(&'static str, u64)> {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        let beside = |suffix| size(&file::beside(&self.path, suffix));
        vec![("main", size(&self.path)), ("wal", beside("-wal")), ("ballast", beside(".ballast"))]
    }

    /// Pages that deletions left (what a closed store has is not known), and what is free on the disk below.
    pub(crate) fn free_bytes(&self) -> Vec<(&'static str, u64)> {
        let free = self.pool.short(|connection| {
            let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(engine);
            Ok(pragma("freelist_count")? * pragma("page_size")?)
        });
        let mut sizes = Vec::new();
        sizes.extend(free.map(|bytes| ("main", u64::try_from(bytes).unwrap_or_default())));
        let directory = self.path.parent().unwrap_or(Path::new("."));
        sizes.extend(disk::Space::of(directory).map(|space| ("disk", space.free)));
        sizes
    }

    pub(crate) fn meta(&self, name: &str) -> Result<Option<Bytes>> {
        self.pool.short(|connection| read_meta(connection, name).map_err(engine))
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.pool.close();
        self.queue.lock().take();
        self.join();
    }
}

/// A panic of the writer is a bug that leaves open what is durable: the process stops and recovers from disk (R4).
fn run_or_abort(writer: writer::Writer, requests: &mpsc::Receiver<Request>) {
    let run = std::panic::AssertUnwindSafe(|| writer.run(requests));
    if std::panic::catch_unwind(run).is_err() {
        tracing::error!("the store's writer panicked: stopping at once");
        std::process::abort();
    }
}

const HEADER: &str = "SELECT id, resource, namespace, name, op, schema, previous FROM log WHERE id = ?1";
const ROWS: &str = "SELECT id, resource, namespace, name, op, schema, previous, checksum, body FROM log WHERE id BETWEEN ?1 AND ?2 \
     ORDER BY id";
/// Up to so many revisions that nobody asked for are stepped over rather than sought around.
const GAP: u64 = 4;

/// Cuts ascending places into runs of near neighbours: a step to the next row costs a fraction of a search.
fn runs(places: &[Place]) -> impl Iterator<Item = &[Place]> {
    places.chunk_by(|a, b| b.revision() - a.revision() <= GAP)
}

/// Reads the rows of one run that are there, and checks each.
fn visit_run(statement: &mut rusqlite::Statement<'_>, run: &[Place], visit: Visit<'_>) -> Result<()> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
    let mut rows = statement.query([first.0 as i64, last.0 as i64]).map_err(engine)?;
    let mut wanted = run.iter().peekable();
    while let Some(row) = rows.next().map_err(engine)? {
        let place = Place(row.get::<_, i64>(0).map_err(engine)? as u64);
        while wanted.next_if(|w| **w < place).is_some() {}
        if wanted.next_if_eq(&&place).is_some() {
            visit_row(row, visit)?;
        }
    }
    Ok(())
}

fn visit_row(row: &rusqlite::Row<'_>, visit: Visit<'_>) -> Result<()> {
    let Ok(header) = header(row) else {
        let revision = Place(row.get::<_, i64>(0).map_err(engine)? as u64).revision();
        tracing::error!(revision, "a stored row is not one of ours");
        return Err(Error::Corrupt { key: nobody(), revision });
    };
    let checksum: i64 = row.get(7).map_err(engine)?;
    let body = row.get_ref(8).and_then(|body| Ok(body.as_blob()?)).map_err(engine)?;
    if header.checksum(body) != checksum as u64 && !planted(Bug::DropChecksum) {
        let key = crate::key::Key::new(header.resource, header.namespace, header.name);
        tracing::error!(?key, revision = header.place.revision(), "a stored row does not match its checksum");
        return Err(Error::Corrupt { key, revision: header.place.revision() });
    }
    visit(&header, &BodyRef::Borrowed(body));
    Ok(())
}

/// The first seven columns: id, resource, namespace, name, op, schema, previous.
fn header<'a>(row: &'a rusqlite::Row<'_>) -> rusqlite::Result<Header<'a>> {
    let code: i64 = row.get(4)?;
    let kind = kind_of(code).ok_or(rusqlite::Error::IntegralValueOutOfRange(4, code))?;
    Ok(Header {
        place: Place(row.get::<_, i64>(0)? as u64),
        resource: row.get_ref(1)?.as_str()?,
        namespace: row.get_ref(2)?.as_str()?,
        name: row.get_ref(3)?.as_str()?,
        kind,
        schema: row.get::<_, i64>(5)? as u64,
        previous: Place(row.get::<_, i64>(6)? as u64),
    })
}

fn read_meta(connection: &Connection, name: &str) -> rusqlite::Result<Option<Bytes>> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    statement.query_row([name], |row| Ok(Bytes::copy_from_slice(row.get_ref(0)?.as_blob()?))).optional()
}

/// The key of a row that does not say its own.
fn nobody() -> crate::key::Key {
    crate::key::Key::new("", "", "")
}

fn is_damage(error: &Error) -> bool {
    let Error::Engine(source) = error else { return false };
    let sqlite = source.downcast_ref::<rusqlite::Error>();
    sqlite.and_then(rusqlite::Error::sqlite_error_code) == Some(rusqlite::ErrorCode::DatabaseCorrupt)
}

fn engine(error: rusqlite::Error) -> Error {
    Error::Engine(Box::new(error))
}
