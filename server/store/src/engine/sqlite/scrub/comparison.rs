//! B16, R13: what is served from memory is what is stored. Each row that a pass reads is held against the index and the cache.

use crate::engine::BodyRef;
use crate::engine::sqlite::engine;
use crate::error::Result;
use crate::event::EventKind;
use crate::key::Key;
use crate::log::{Header, Place};
use crate::visible::Visible;
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashMap;

/// More objects than this that the index lacks are not told apart.
const MOST: usize = 1_000;

/// What of memory is not what is stored.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum Differs {
    #[error("the index has {key:?} at {has:?}, and {stored:?} is stored")]
    Index { key: Key, has: Place, stored: Place },
    #[error("the index lacks {key:?}, which is stored at {stored:?}")]
    Lacks { key: Key, stored: Place },
    #[error("the cache has other bytes of {key:?} at {stored:?} than are stored")]
    Cache { key: Key, stored: Place },
}

/// Of one pass, whose rows come in their order up to the newest.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// Stored, and not in the index. Their deletion comes later in the pass, or compaction takes both, or they are lost.
    missing: HashMap<Key, Place>,
}

impl Comparison {
    pub(super) fn row(
        &mut self,
        visible: &Visible,
        row: &Header<'_>,
        body: &BodyRef<'_>,
    ) -> std::result::Result<(), Differs> {
        let key = Key::new(row.resource, row.namespace, row.name);
        let stored = row.place;
        self.missing.remove(&key);
        let has = {
            let index = visible.index.read();
            if stored.revision() > index.revision {
                // It was committed a moment ago, and is about to be visible.
                return Ok(());
            }
            index.get(&key)
        };
        match has {
            // Written again since; that row comes later.
            Some(has) if has > stored => Ok(()),
            Some(has) if has < stored || row.kind == EventKind::Deleted => Err(Differs::Index { key, has, stored }),
            Some(_) => match visible.cache.peek(stored) {
                Some(record) if record.body != body.bytes() => Err(Differs::Cache { key, stored }),
                _ => Ok(()),
            },
            None => {
                if row.kind != EventKind::Deleted && self.missing.len() < MOST {
                    self.missing.insert(key, stored);
                }
                Ok(())
            }
        }
    }

    /// After the last row: what is still missing, and still stored.
    pub(super) fn finish(self, connection: &Connection, visible: &Visible) -> Result<Vec<Differs>> {
        let mut lost = Vec::new();
        for (key, stored) in self.missing {
            let query = "SELECT 1 FROM log WHERE id = ?1";
            let there: Option<i64> =
                connection.query_row(query, [stored.0 as i64], |row| row.get(0)).optional().map_err(engine)?;
            if there.is_some() && visible.index.read().get(&key).is_none() {
                lost.push(Differs::Lacks { key, stored });
            }
        }
        Ok(lost)
    }
}
