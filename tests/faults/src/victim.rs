//! What the program `store-victim` does: a small scripted life of a store, each question and answer said in one line.
//!
//! It is run under strace to record what reaches the disk, and told to stop dead at named points. A line is one `write`, made
//! before the question is asked and after the answer came, so whoever reads them knows no more than a client would.

use crate::dice::Dice;
use crate::history::{Change, Expects, Key};
use crate::load::{RESOURCE, list, write_of};
use anyhow::{Context as _, Result, bail};
use otternauts_store::{DiskGuard, Error, Range, Retention, SqliteOptions, Store, WatchItem};
use std::collections::HashSet;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinSet;

/// Each client writes its own objects, so that it is never refused.
const CLIENTS: u32 = 4;
const KEYS_EACH: u32 = 6;
/// The most objects of one transaction.
const MOST_CHANGES: u64 = 3;

/// From opening a store to letting it go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    pub commits: u32,
    /// Bytes of each body.
    pub body: usize,
    /// Ends with `close`; else just ends.
    pub close: bool,
}

impl Session {
    /// `COMMITS:BODY:close` or `COMMITS:BODY:drop`.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Session> {
        let parts: Vec<&str> = text.split(':').collect();
        let [commits, body, end @ ("close" | "drop")] = parts[..] else { bail!("not a session: {text}") };
        Ok(Session { commits: commits.parse()?, body: body.parse()?, close: end == "close" })
    }
}

/// History is short here, so that compaction has its part.
pub fn options(path: &Path) -> SqliteOptions {
    let retention = Retention { age: Duration::ZERO, bytes: 1, revisions: 40 };
    SqliteOptions { retention, ..keeping(path) }
}

/// Nothing is compacted. Without a ballast, because thousands of these are made in memory.
pub fn keeping(path: &Path) -> SqliteOptions {
    SqliteOptions { disk: DiskGuard { ballast_bytes: 0, ..DiskGuard::default() }, ..SqliteOptions::new(path) }
}

/// Opens a store whose last owner has just let it go. A process that is being started at that moment holds copies of
/// everything that was open, its lock too, until it is what it will be.
///
/// # Errors
/// Any refusal but that.
pub fn open(options: SqliteOptions) -> otternauts_store::Result<Store> {
    otternauts_harness::until("the lock to be let go", Duration::from_secs(20), || {
        match Store::sqlite(options.clone()) {
            Err(Error::Engine(error)) if error.to_string().contains("in use by another") => Err(error.to_string()),
            opened => Ok(opened),
        }
    })
}

/// Lives the sessions, one after the other.
///
/// # Errors
/// What the store refuses; it should refuse nothing.
pub async fn live(path: &Path, seed: u64, sessions: &[Session]) -> Result<()> {
    for (number, session) in sessions.iter().enumerate() {
        let store = open(options(path)).context("the store does not open")?;
        let watcher = tokio::spawn(look_on(store.clone()));
        let (_, items) = list(&store).await?;
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let keys: Vec<Key> = (client * KEYS_EACH..(client + 1) * KEYS_EACH).collect();
            let there = items.iter().map(|item| item.key).filter(|key| keys.contains(key)).collect();
            let dice = Dice::part(seed, number as u64 * 100 + u64::from(client));
            let token = (store.revision() + 1) * 1_000_000 + u64::from(client) * 10_000;
            clients.spawn(Client { store: store.clone(), keys, there, dice, token }.work(*session));
        }
        for done in clients.join_all().await {
            done?;
        }
        watcher.abort();
        let _aborted = watcher.await;
        if session.close {
            store.close().await?;
        } else if number + 1 == sessions.len() {
            // Nothing is tidied up.
            std::process::exit(0);
        }
    }
    Ok(())
}

struct Client {
    store: Store,
    keys: Vec<Key>,
    there: HashSet<Key>,
    dice: Dice,
    /// The next one; each line's name is the token of its first change.
    token: u64,
}

impl Client {
    async fn work(mut self, session: Session) -> Result<()> {
        for _ in 0..session.commits {
            let (name, changes) = self.next();
            let text: Vec<String> =
                changes.iter().map(|change| format!("{}={}", change.key, change.put.unwrap_or_default())).collect();
            say(&format!("try {name} {}\n", text.join(" ")));
            let more = session.body / 2 + self.dice.below(session.body as u64) as usize;
            let writes = changes.iter().map(|change| write_of(change, more)).collect();
            let done = self.store.commit(writes).await?;
            say(&format!("ack {name} {}\n", done.revision));
        }
        Ok(())
    }

    fn next(&mut self) -> (u64, Vec<Change>) {
        let name = self.token;
        let count = if self.dice.chance(15) { 2 + self.dice.below(MOST_CHANGES - 1) } else { 1 };
        let first = self.dice.below(self.keys.len() as u64) as usize;
        let mut changes = Vec::new();
        for step in 0..count as usize {
            let key = self.keys[(first + step) % self.keys.len()];
            let put = if count == 1 && self.there.contains(&key) && self.dice.chance(20) {
                self.there.remove(&key);
                None
            } else {
                self.there.insert(key);
                Some(self.token)
            };
            self.token += 1;
            let expects = if put.is_some() { Expects::Anything } else { Expects::Exists };
            changes.push(Change { key, expects, put });
        }
        (name, changes)
    }
}

/// Says each revision as soon as a watch sees it: what was seen must never vanish (P2, B2).
async fn look_on(store: Store) -> Result<()> {
    let mut watcher = store.watch(Range::resource(RESOURCE), store.revision()).await?;
    loop {
        if let WatchItem::Events(events) = watcher.next().await?
            && let Some(event) = events.last()
        {
            say(&format!("saw {}\n", event.revision));
        }
    }
}

/// One system call a line.
fn say(line: &str) {
    // Nobody listens any more: the story is over anyway.
    let _best_effort = std::io::stdout().lock().write_all(line.as_bytes()).and_then(|()| std::io::stdout().flush());
}
