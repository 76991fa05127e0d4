//! A backup, made while the server works: every live object at one revision, page by page.

use crate::format::{FileEntry, FrameWriter, Header, write_header};
use crate::{Error, Result, Summary};
use flate2::Compression;
use flate2::write::GzEncoder;
use otternauts_meta::Object;
use otternauts_schema::{Definition, builtin};
use otternauts_store::{Key, List, Range, Record, Store};
use otternauts_vault::{Recipient, SealedStream, Vault, fields};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Objects in one short read (R39).
const PAGE: usize = 500;

/// What to back up.
pub struct Source<'a> {
    pub store: &'a Store,
    pub vault: &'a Vault,
    /// Files of the data directory that go along.
    pub files: Vec<FileEntry>,
    /// Now, as RFC 3339.
    pub created: String,
    /// The program's version.
    pub version: String,
    /// Small values that are not to go along, such as the keyring: it goes wrapped for the readers.
    pub without: &'a [&'a str],
}

/// Writes a whole backup. `readers` are those who may open it beside the server's recovery keys; with neither it is refused (A13). The
/// root key can open it too, for tests of it. Blocks: run it on a thread that may.
pub fn create<W: Write>(
    source: &Source<'_>,
    readers: &[Recipient],
    mut out: W,
    runtime: &Handle,
) -> Result<(Summary, W)> {
    let mut all: Vec<Recipient> = Vec::new();
    let root = source.vault.root();
    for reader in readers.iter().cloned().chain(source.vault.recovery()) {
        if reader != root && !all.contains(&reader) {
            all.push(reader);
        }
    }
    if all.is_empty() {
        return Err(Error::NobodyCouldOpen);
    }
    all.push(root);

    let hold = runtime.block_on(source.store.hold())?;
    let header = Header {
        created: source.created.clone(),
        version: source.version.clone(),
        revision: hold.revision,
        epoch: runtime.block_on(source.store.epoch())?,
        recipients: all.iter().map(ToString::to_string).collect(),
        recovery: source.vault.recovery().iter().map(ToString::to_string).collect(),
    };
    write_header(&mut out, &header)?;
    let sealed = SealedStream::begin(&all, out)?;
    let mut frames = FrameWriter::new(GzEncoder::new(sealed, Compression::fast()));
    frames.header(&header)?;
    frames.keyring(&source.vault.export(&all)?)?;
    for (name, value) in runtime.block_on(source.store.metas())? {
        if !source.without.contains(&name.as_str()) {
            frames.meta(&name, &value)?;
        }
    }
    let mut opening = Opening::new(source.vault);
    let (mut objects, mut unreadable) = (0, Vec::new());
    for (resource, _) in source.store.counts() {
        let lost = each_page(source.store, &resource, hold.revision, runtime, |record| {
            opening.look(record);
            objects += 1;
            frames.object(record)
        })?;
        // A damaged object harms only itself: the others are not to be without a backup for it (P16).
        unreadable.extend(lost.iter().map(place));
    }
    drop(hold);
    for file in &source.files {
        frames.file(file)?;
    }
    let keys = opening.end()?;
    let compressed = frames.finish(objects, &unreadable)?.finish().map_err(Error::Write)?;
    let out = compressed.finish()?;
    let (files, damaged) = (source.files.len() as u64, opening.damaged);
    Ok((Summary { header, objects, files, keys, damaged, unreadable }, out))
}

/// Visits what can be read, and answers with the keys of what cannot.
fn each_page(
    store: &Store,
    resource: &Arc<str>,
    at: u64,
    runtime: &Handle,
    mut visit: impl FnMut(&Record) -> Result<()>,
) -> Result<Vec<Key>> {
    let (mut after, mut lost) = (None, Vec::new());
    loop {
        let list = List { range: Range::resource(resource.clone()), at: Some(at), after, limit: PAGE };
        let (page, unreadable) = runtime.block_on(store.readable(list))?;
        page.records.iter().try_for_each(&mut visit)?;
        lost.extend(unreadable.into_iter().map(|object| object.key));
        // The page may end with one that cannot be read.
        let last = page.records.last().map(|record| &record.key).max(lost.last());
        let Some(last) = last.filter(|_| page.more) else { return Ok(lost) };
        after = Some((last.namespace.clone(), last.name.clone()));
    }
}

/// How an object is called in reports.
fn place(key: &Key) -> String {
    format!("{} {}/{}", key.resource, key.namespace, key.name)
}

/// Opens sealed values on the way past: where nothing opens under the key that seals, a backup is worthless.
pub struct Opening<'a> {
    vault: &'a Vault,
    kinds: BTreeMap<String, Definition>,
    opened: BTreeSet<u32>,
    /// An object that does not open under the key that seals.
    failed: Option<String>,
    /// Objects that do not open.
    pub damaged: Vec<String>,
}

impl<'a> Opening<'a> {
    /// Opens with these keys.
    pub fn new(vault: &'a Vault) -> Self {
        let kinds = builtin::definitions().into_iter().map(|kind| (kind.group_resource().to_string(), kind));
        let kinds = kinds.filter(|(resource, _)| fields::RESOURCES.contains(&resource.as_str())).collect();
        Self { vault, kinds, opened: BTreeSet::new(), failed: None, damaged: Vec::new() }
    }

    /// Opens what is sealed in an object, and throws it away.
    pub fn look(&mut self, record: &Record) {
        let Some(kind) = self.kinds.get(&*record.key.resource) else { return };
        let value = serde_json::from_slice(&record.body).unwrap_or_default();
        let mut object = Object::from_value(value).unwrap_or_default();
        let named = self.vault.keys_named(kind, &mut object);
        match self.vault.open_object(kind, &mut object) {
            Ok(()) => self.opened.extend(named),
            Err(_) => {
                let place = place(&record.key);
                if named.contains(&self.vault.active_key()) {
                    self.failed = Some(place.clone());
                }
                self.damaged.push(place);
            }
        }
    }

    /// The keys that open something. [`Error::UnreadableKey`] where the one that seals opens nothing that it should: that is no damage of
    /// single objects, which under another key may be all that is left of it (P16).
    pub fn end(&self) -> Result<Vec<u32>> {
        let key = self.vault.active_key();
        if let Some(example) = self.failed.clone().filter(|_| !self.opened.contains(&key)) {
            return Err(Error::UnreadableKey { key, example });
        }
        Ok(self.opened.iter().copied().collect())
    }
}
