//! A batch: the accepted transactions that will be made durable together.
//!
//! Pure: preconditions are checked against the index and the batch itself, revisions are given out, bodies are put
//! together. Nothing of it counts before the engine has it on disk.

use crate::error::{Error, Result};
use crate::event::EventKind;
use crate::index::Index;
use crate::key::{Key, Revision};
use crate::log::{MOST_WRITES, Place, Row};
use crate::record::{Body, Op, Precondition, Write};
use bytes::{BufMut, Bytes, BytesMut};
use foldhash::HashMap;
use std::collections::HashSet;

#[derive(Debug)]
pub(crate) struct Batch {
    /// The newest revision: before the batch, then of its newest transaction.
    pub revision: Revision,
    pub rows: Vec<Row>,
    /// Where objects written in this batch are now; none: deleted.
    places: HashMap<Key, Place>,
}

/// Something is wrong with a transaction itself, whatever is stored.
#[derive(Debug, thiserror::Error)]
enum Malformed {
    #[error("a transaction holds at most {MOST_WRITES} writes, not {0}")]
    TooMany(usize),
    #[error("a transaction writes {0:?} twice")]
    Twice(Key),
}

impl Batch {
    pub(crate) fn new(revision: Revision) -> Batch {
        Batch { revision, rows: Vec::new(), places: HashMap::default() }
    }

    /// What somebody else committed.
    #[cfg(feature = "etcd")]
    pub(crate) fn of(revision: Revision, rows: Vec<Row>) -> Batch {
        Batch { revision, rows, places: HashMap::default() }
    }

    /// Takes in a transaction at the next revision and says which rows are its own, or refuses it and stays as it was.
    pub(crate) fn admit(&mut self, index: &Index, writes: Vec<Write>) -> Result<std::ops::Range<usize>> {
        check_shape(&writes)?;
        let mut places = Vec::with_capacity(writes.len());
        for write in &writes {
            places.push(self.check(index, write)?);
        }
        let revision = self.revision + 1;
        let start = self.rows.len();
        for (position, (write, previous)) in writes.into_iter().zip(places).enumerate() {
            let place = Place::new(revision, position);
            let (kind, body, now) = match write.op {
                Op::Put(body) if previous.is_none() => (EventKind::Created, body, place),
                Op::Put(body) => (EventKind::Updated, body, place),
                Op::Delete { last } => (EventKind::Deleted, last, Place::NONE),
            };
            self.places.insert(write.key.clone(), now);
            let schema = body.schema;
            self.rows.push(Row { place, key: write.key, kind, schema, previous, body: splice(&body, revision) });
        }
        self.revision = revision;
        Ok(start..self.rows.len())
    }

    /// The row at this place, if it is of this batch.
    pub(crate) fn at(&self, place: Place) -> Option<&Row> {
        self.rows.binary_search_by_key(&place, |row| row.place).ok().map(|i| &self.rows[i])
    }

    /// Where the object is now, if the write may go ahead.
    fn check(&self, index: &Index, write: &Write) -> Result<Place> {
        let place = match self.places.get(&write.key) {
            Some(place) => *place,
            None => index.get(&write.key).unwrap_or(Place::NONE),
        };
        let holds = match write.precondition {
            Precondition::Absent => place.is_none(),
            Precondition::At(revision) => !place.is_none() && place.revision() == revision,
            Precondition::Exists => !place.is_none(),
            Precondition::None => true,
        };
        let nothing_to_delete = matches!(write.op, Op::Delete { .. }) && place.is_none();
        if !holds || nothing_to_delete {
            let current = (!place.is_none()).then(|| place.revision());
            return Err(Error::Conflict { key: write.key.clone(), current });
        }
        Ok(place)
    }
}

fn check_shape(writes: &[Write]) -> Result<()> {
    if writes.len() > MOST_WRITES {
        return Err(Error::Engine(Box::new(Malformed::TooMany(writes.len()))));
    }
    if writes.len() < 2 {
        return Ok(());
    }
    let mut keys = HashSet::with_capacity(writes.len());
    match writes.iter().find(|write| !keys.insert(&write.key)) {
        Some(write) => Err(Error::Engine(Box::new(Malformed::Twice(write.key.clone())))),
        None => Ok(()),
    }
}

/// The body as it will be stored and served: the revision's digits between head and tail.
fn splice(body: &Body, revision: Revision) -> Bytes {
    let digits = revision.to_string();
    let mut bytes = BytesMut::with_capacity(body.head.len() + digits.len() + body.tail.len());
    bytes.put_slice(&body.head);
    bytes.put_slice(digits.as_bytes());
    bytes.put_slice(&body.tail);
    bytes.freeze()
}
