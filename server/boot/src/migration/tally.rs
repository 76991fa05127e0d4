//! What a store holds, read page by page at one revision: counted and hashed, so that two can be compared.

use anyhow::Context as _;
use otternauts_store::{List, Range, Record, Store};
use ring::digest;
use std::collections::BTreeMap;
use tokio::runtime::Handle;

/// Objects in one short read (R39).
const PAGE: usize = 500;

/// Everything that was passed, by number and by content.
pub struct Tally {
    pub objects: u64,
    pub bytes: u64,
    pub resources: BTreeMap<String, u64>,
    hash: digest::Context,
}

impl Default for Tally {
    fn default() -> Self {
        Self { objects: 0, bytes: 0, resources: BTreeMap::new(), hash: digest::Context::new(&digest::SHA256) }
    }
}

impl Tally {
    pub fn add(&mut self, record: &Record) {
        let key = &record.key;
        self.objects += 1;
        self.bytes += record.body.len() as u64;
        *self.resources.entry(key.resource.to_string()).or_default() += 1;
        for part in [key.resource.as_bytes(), key.namespace.as_bytes(), key.name.as_bytes(), &record.body] {
            self.hash.update(&(part.len() as u64).to_be_bytes());
            self.hash.update(part);
        }
        self.hash.update(&record.revision.to_be_bytes());
        self.hash.update(&record.schema.to_be_bytes());
    }

    /// The SHA-256 of all of it, in order.
    pub fn sha256(&self) -> String {
        let digest = self.hash.clone().finish();
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Shows every live object at a revision, resources by name. An object that cannot be read ends it, and is named. Blocks.
pub fn each(
    store: &Store,
    at: u64,
    runtime: &Handle,
    mut visit: impl FnMut(&Record) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut resources: Vec<_> = store.counts().into_iter().map(|(resource, _)| resource).collect();
    resources.sort_unstable();
    for resource in resources {
        let mut after = None;
        loop {
            let list = List { range: Range::resource(resource.clone()), at: Some(at), after, limit: PAGE };
            let page = runtime.block_on(store.list(list)).with_context(|| format!("cannot read {resource}"))?;
            page.records.iter().try_for_each(&mut visit)?;
            let Some(last) = page.records.last().filter(|_| page.more) else { break };
            after = Some((last.key.namespace.clone(), last.key.name.clone()));
        }
    }
    Ok(())
}
