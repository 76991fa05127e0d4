//! From one data key to the next (R28): every sealed object rewritten through ordinary commits, and the proof that no older key is
//! named any more. Which keys there are is the vault's matter, and what is kept of them boot's.
//!
//! There is no cursor to keep: what is under the newest key already is passed over, so a rotation that was killed starts over and does
//! only what is left.

use crate::encode;
use crate::registry::{Permit, Registry};
use crate::shape::as_object;
use otternauts_meta::Object;
use otternauts_schema::Definition;
use otternauts_store::{Body, Error, List, Op, Precondition, Range, Record, Result, Revision, Write};
use otternauts_vault::{Change, SEALED_PREFIX, fields};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Objects that are read and rewritten at once.
const BATCH: usize = 100;

/// How far a rewriting is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Objects looked at.
    pub seen: u64,
    /// Objects rewritten.
    pub rewritten: u64,
    /// Objects (`resource namespace/name`) that do not open, so cannot be sealed anew. They keep their key in the keyring.
    pub damaged: Vec<String>,
}

/// What the log names, live objects and retained history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealedUnder {
    /// The newest revision that was looked at for sure.
    pub revision: Revision,
    /// Rows by the number of the key; 0 stands for a value that is not sealed at all.
    pub rows: BTreeMap<u32, u64>,
}

/// Whether objects of this resource have sealed fields.
pub(crate) fn is_sealed(resource: &str) -> bool {
    fields::RESOURCES.contains(&resource)
}

impl Registry {
    /// Makes a changed keyring the one that seals. When it answers, nothing that another key sealed will be committed any more.
    pub async fn install_keys(&self, change: Change) {
        let _alone = self.inner.sealing.write().await;
        self.inner.vault.install(change);
    }

    /// Rewrites every object that is not under the newest key, and tells how far it is. Objects that change meanwhile are under it already.
    pub async fn reseal(&self, mut tell: impl FnMut(&Resealed) + Send) -> Result<Resealed> {
        let mut done = Resealed::default();
        for resource in fields::RESOURCES {
            let Some(definition) = self.sealed_kind(resource) else { continue };
            let mut after = None;
            loop {
                let list = List { range: Range::resource(resource), at: None, after, limit: BATCH };
                let page = self.store().list(list).await?;
                let writes: Vec<Write> =
                    page.records.iter().filter_map(|record| self.rewrite(&definition, record, &mut done)).collect();
                let commits = writes.into_iter().map(|write| self.commit(Permit::Free, vec![write]));
                for committed in futures::future::join_all(commits).await {
                    match committed {
                        Ok(_) => done.rewritten += 1,
                        // Somebody else has written it meanwhile, under the newest key.
                        Err(Error::Conflict { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
                done.seen += page.records.len() as u64;
                tell(&done);
                let last = page.records.last().filter(|_| page.more);
                let Some(last) = last else { break };
                after = Some((last.key.namespace.clone(), last.key.name.clone()));
            }
        }
        Ok(done)
    }

    /// The write that puts an object under the newest key; `None` when there is nothing to do, or it does not open.
    fn rewrite(&self, definition: &Definition, record: &Record, done: &mut Resealed) -> Option<Write> {
        let mut object = as_object(serde_json::from_slice(&record.body).unwrap_or_default());
        let named = self.inner.vault.keys_named(definition, &mut object);
        if named.iter().all(|number| *number == self.inner.vault.active_key()) {
            return None;
        }
        match self.seal_anew(definition, object) {
            Ok(body) => {
                // The row keeps the schema it was written under, so that readers treat it as before.
                let body = Body { schema: record.schema, ..body };
                let precondition = Precondition::At(record.revision);
                Some(Write { key: record.key.clone(), precondition, op: Op::Put(body) })
            }
            Err(error) => {
                let key = &record.key;
                tracing::error!(?key, error = &error as &dyn std::error::Error, "an object cannot be sealed anew");
                done.damaged.push(format!("{} {}/{}", key.resource, key.namespace, key.name));
                None
            }
        }
    }

    fn seal_anew(
        &self,
        definition: &Definition,
        mut object: Object,
    ) -> std::result::Result<Body, otternauts_vault::Error> {
        self.inner.vault.open_object(definition, &mut object)?;
        self.inner.vault.seal_object(definition, &mut object)?;
        Ok(encode::body(definition, &object))
    }

    /// Seals anew what was sealed before the key changed and comes to be committed after.
    pub(crate) fn sealed_under_the_active_key(&self, mut writes: Vec<Write>) -> Result<Vec<Write>> {
        let active = format!("{SEALED_PREFIX}{}:", self.inner.vault.active_key());
        for write in &mut writes {
            let Some(definition) = self.sealed_kind(&write.key.resource) else { continue };
            let body = match &mut write.op {
                Op::Put(body) | Op::Delete { last: body } => body,
            };
            if names_only(&body.head, &active) && names_only(&body.tail, &active) {
                continue;
            }
            // A number where the revision will be: it is written anew anyway.
            let bytes = [&body.head[..], b"0", &body.tail[..]].concat();
            let object = as_object(serde_json::from_slice(&bytes).unwrap_or_default());
            let anew = self.seal_anew(&definition, object).map_err(|error| Error::Engine(Box::new(error)))?;
            *body = Body { schema: body.schema, leaving: body.leaving, ..anew };
        }
        Ok(writes)
    }

    /// Looks through everything the log has of kinds with sealed fields.
    pub async fn sealed_under(&self) -> Result<SealedUnder> {
        let revision = self.store().revision();
        let rows: Arc<Mutex<BTreeMap<u32, u64>>> = Arc::default();
        for resource in fields::RESOURCES {
            let Some(definition) = self.sealed_kind(resource) else { continue };
            let (rows, vault) = (Arc::clone(&rows), Arc::clone(&self.inner.vault));
            let visit = move |_: &_, _, body: &[u8]| {
                let mut object = as_object(serde_json::from_slice(body).unwrap_or_default());
                let named: BTreeSet<u32> = vault.keys_named(&definition, &mut object);
                let mut rows = rows.lock().expect("nobody panics with it");
                for number in named {
                    *rows.entry(number).or_default() += 1;
                }
            };
            self.store().scan(resource, visit).await?;
        }
        let rows = std::mem::take(&mut *rows.lock().expect("nobody panics with it"));
        Ok(SealedUnder { revision, rows })
    }

    fn sealed_kind(&self, resource: &str) -> Option<Arc<Definition>> {
        let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
        is_sealed(resource).then(|| self.definitions().resource(group, plural).cloned()).flatten()
    }
}

/// Whether each sealed value in these bytes is under the key that this prefix names. Text of a user's that looks like one says no: then
/// it is looked at more closely.
fn names_only(bytes: &[u8], active: &str) -> bool {
    let mut rest = bytes;
    while let Some(at) = find(rest, SEALED_PREFIX.as_bytes()) {
        if !rest[at..].starts_with(active.as_bytes()) {
            return false;
        }
        rest = &rest[at + active.len()..];
    }
    true
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_active_prefix_passes_unseen() {
        for (bytes, only) in [
            ("", true),
            ("{}", true),
            ("\"otter:v1:2:AAAA\" \"otter:v1:2:B\"", true),
            ("\"otter:v1:2:AAAA\" \"otter:v1:1:B\"", false),
            ("\"otter:v1:21:AAAA\"", false),
            ("otter:v1:", false),
        ] {
            assert_eq!(names_only(bytes.as_bytes(), "otter:v1:2:"), only, "{bytes}");
        }
    }
}
