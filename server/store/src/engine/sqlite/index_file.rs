//! The index as a file beside the database, so that a start reads some dozen bytes an object and not the whole log (C8).
//!
//! It is written while commits go on: each object is read from the index at some moment after the revision in the file's
//! head. That is enough, because a start follows every change after that revision, and following one twice does nothing.
//! A file that is damaged, of another history, or too old for the log to tell what came after it, is passed over.

use crate::index::{Index, Loading};
use crate::key::{Range, Revision};
use crate::log::{Chain, Place};
use crate::planted::point;
use crate::visible::Visible;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"otntidx1";
/// How many objects are read from the index at once: commits wait for no more than that.
const CHUNK: usize = 1_000;
/// Nothing that is stored has a longer name; a damaged length must not cost more memory than this.
const LONGEST: usize = 64 << 10;
const END: u8 = 0;
const RESOURCE: u8 = 1;
const NAMESPACE: u8 = 2;
const OBJECT: u8 = 3;
const HISTORY: u8 = 4;

/// Where in the log a file stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stand {
    /// Every change after it must be followed.
    pub revision: Revision,
    pub chain: Chain,
    /// The oldest revision then, and the bytes of history from there to `revision`.
    pub oldest: Revision,
    pub history_bytes: u64,
}

/// What a file says.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub stand: Stand,
    /// A revision that was visible while it was written: a log that does not reach it has lost its end.
    pub seen: Revision,
    /// What compaction had let go of by then, or was about to.
    pub floor: Revision,
    pub index: Index,
}

/// Writes the index as it is from `stand` on, beside and then in place of the file there was. `Ok(false)`: told to stop.
pub(super) fn write(path: &Path, visible: &Visible, stand: Stand, stop: impl Fn() -> bool) -> io::Result<bool> {
    let beside = path.with_extension("index.new");
    let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
    let mut out = Sum { inner: BufWriter::with_capacity(256 << 10, file), crc: crc32fast::Hasher::new() };
    out.write_all(MAGIC)?;
    for number in [stand.revision, stand.chain.0, stand.oldest, stand.history_bytes] {
        out.number(number)?;
    }
    let resources = visible.index.read().resources();
    for resource in resources {
        out.text(RESOURCE, &resource)?;
        if !objects(&mut out, visible, &resource, &stop)? {
            drop(out);
            std::fs::remove_file(&beside)?;
            return Ok(false);
        }
        let history = visible.index.read().history(&resource, stand.oldest, usize::MAX);
        out.write_all(&[HISTORY])?;
        let known = history.partition_point(|place| place.revision() <= stand.revision);
        out.number(known as u64)?;
        history[..known].iter().try_for_each(|place| out.number(place.0))?;
    }
    out.write_all(&[END])?;
    out.number(visible.revision())?;
    out.number(visible.oldest())?;
    let crc = out.crc.clone().finalize();
    out.inner.write_all(&crc.to_be_bytes())?;
    let file = out.inner.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_data()?;
    point("index-written");
    std::fs::rename(&beside, path)?;
    point("index-renamed");
    Ok(true)
}

fn objects(
    out: &mut Sum<BufWriter<File>>,
    visible: &Visible,
    resource: &Arc<str>,
    stop: &impl Fn() -> bool,
) -> io::Result<bool> {
    let range = Range::resource(resource.clone());
    let mut after: Option<(Arc<str>, Arc<str>)> = None;
    loop {
        if stop() {
            return Ok(false);
        }
        let entries = visible.index.read().walk(&range, after.as_ref(), CHUNK);
        for (namespace, name, place) in &entries {
            if after.as_ref().is_none_or(|(before, _)| before != namespace) {
                out.text(NAMESPACE, namespace)?;
            }
            out.text(OBJECT, name)?;
            out.number(place.0)?;
            after = Some((namespace.clone(), name.clone()));
        }
        if entries.len() < CHUNK {
            return Ok(true);
        }
    }
}

/// Reads a file whole; an error of kind `InvalidData` when it is not what was written.
pub(super) fn read(path: &Path) -> io::Result<Snapshot> {
    let file = File::open(path)?;
    let mut file = Sum { inner: BufReader::with_capacity(256 << 10, file), crc: crc32fast::Hasher::new() };
    let mut magic = [0; MAGIC.len()];
    file.fill(&mut magic)?;
    if &magic != MAGIC {
        return Err(damaged());
    }
    let (revision, chain) = (file.read_number()?, Chain(file.read_number()?));
    let stand = Stand { revision, chain, oldest: file.read_number()?, history_bytes: file.read_number()? };
    let mut loading = Loading::new(stand.oldest, stand.revision);
    loop {
        match file.tag()? {
            END => break,
            RESOURCE => loading.resource(file.read_text()?),
            NAMESPACE => loading.namespace(file.read_text()?),
            OBJECT => {
                let name = file.read_text()?;
                loading.object(name, Place(file.read_number()?));
            }
            HISTORY => {
                for _ in 0..file.read_number()? {
                    loading.history(Place(file.read_number()?));
                }
            }
            _ => return Err(damaged()),
        }
    }
    let (seen, floor) = (file.read_number()?, file.read_number()?);
    let crc = file.crc.clone().finalize();
    let mut told = [0; 4];
    file.inner.read_exact(&mut told)?;
    if told != crc.to_be_bytes() || file.inner.read(&mut [0])? != 0 {
        return Err(damaged());
    }
    Ok(Snapshot { stand, seen, floor, index: loading.finish().ok_or_else(damaged)? })
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the index file is damaged")
}

/// Sums up what passes through.
struct Sum<T> {
    inner: T,
    crc: crc32fast::Hasher,
}

impl<W: Write> Sum<W> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc.update(bytes);
        self.inner.write_all(bytes)
    }

    fn number(&mut self, number: u64) -> io::Result<()> {
        self.write_all(&number.to_be_bytes())
    }

    fn text(&mut self, tag: u8, text: &str) -> io::Result<()> {
        let length = u32::try_from(text.len()).map_err(|_| damaged())?;
        self.write_all(&[tag])?;
        self.write_all(&length.to_be_bytes())?;
        self.write_all(text.as_bytes())
    }
}

impl<R: Read> Sum<R> {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.inner.read_exact(bytes)?;
        self.crc.update(bytes);
        Ok(())
    }

    fn tag(&mut self) -> io::Result<u8> {
        let mut tag = [0];
        self.fill(&mut tag)?;
        Ok(tag[0])
    }

    fn read_number(&mut self) -> io::Result<u64> {
        let mut number = [0; 8];
        self.fill(&mut number)?;
        Ok(u64::from_be_bytes(number))
    }

    fn read_text(&mut self) -> io::Result<Arc<str>> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > LONGEST {
            return Err(damaged());
        }
        let mut short = [0; 256];
        if let Some(bytes) = short.get_mut(..length) {
            self.fill(bytes)?;
            return Ok(std::str::from_utf8(bytes).map_err(|_| damaged())?.into());
        }
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok(std::str::from_utf8(&bytes).map_err(|_| damaged())?.into())
    }
}

#[cfg(test)]
mod tests;
