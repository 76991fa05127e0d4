//! What is in the file.
//!
//! Two lines that anybody can read, `otternauts-backup 1` and a header in JSON: whose keys open it, and from when it is. Then an age stream of
//! gzip of frames: a letter, a length, the bytes. The header comes once more inside, where it cannot be changed; the keyring; small values;
//! objects; files; and at the end the counts and a SHA-256 of all frames before.

use crate::{Error, Result};
use otternauts_store::{Key, Record};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::io::{BufRead, Read, Write};

pub const VERSION: u32 = 1;
const MAGIC: &str = "otternauts-backup ";
/// No header is longer, so no more is read of a file that is something else.
const LONGEST_HEADER: u64 = 64 << 10;
/// Far above the largest object.
const LONGEST_FRAME: usize = 64 << 20;

/// What everybody may know of a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// When it was begun, as RFC 3339.
    pub created: String,
    /// The program's version.
    pub version: String,
    /// The revision that everything in it is at.
    pub revision: u64,
    /// How often the store had been restored.
    pub epoch: u64,
    /// Public halves of the keys that open it; the server's root key is the last.
    pub recipients: Vec<String>,
    /// Public halves of the server's recovery keys.
    pub recovery: Vec<String>,
}

/// A file of the data directory.
#[derive(Clone)]
pub struct FileEntry {
    /// Relative, such as `pki/ca.crt`.
    pub name: String,
    pub mode: u32,
    pub content: otternauts_meta::Secret<Vec<u8>>,
}

/// One frame.
pub enum Frame {
    Header(Header),
    Keyring(Vec<u8>),
    Meta(String, Vec<u8>),
    Object(Record),
    File(FileEntry),
    End(End),
}

/// Counts at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    pub objects: u64,
    /// Objects that could not be read when it was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    pub sha256: String,
}

pub fn write_header(out: &mut impl Write, header: &Header) -> Result<()> {
    let json = serde_json::to_string(header).map_err(|error| Error::Write(error.into()))?;
    write!(out, "{MAGIC}{VERSION}\n{json}\n").map_err(Error::Write)
}

/// Reads the two lines and nothing behind them.
pub fn read_header(input: &mut impl BufRead) -> Result<Header> {
    let mut line = |most: u64| -> Result<String> {
        let mut bytes = Vec::new();
        input.take(most).read_until(b'\n', &mut bytes).map_err(|_| Error::NotABackup)?;
        let text = String::from_utf8(bytes).map_err(|_| Error::NotABackup)?;
        text.strip_suffix('\n').map(str::to_owned).ok_or(Error::NotABackup)
    };
    let first = line(64)?;
    let version: u32 = first.strip_prefix(MAGIC).and_then(|v| v.parse().ok()).ok_or(Error::NotABackup)?;
    if version != VERSION {
        return Err(Error::Newer(version));
    }
    serde_json::from_str(&line(LONGEST_HEADER)?).map_err(|_| Error::Damaged("its header is no JSON".to_owned()))
}

pub struct FrameWriter<W> {
    out: W,
    hash: Sha256,
}

impl<W: Write> FrameWriter<W> {
    pub fn new(out: W) -> Self {
        Self { out, hash: Sha256::new() }
    }

    fn frame(&mut self, letter: u8, parts: &[&[u8]]) -> Result<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let long = || Error::Write(std::io::Error::other("an object is too large for a backup"));
        let length = u32::try_from(length).ok().filter(|length| *length as usize <= LONGEST_FRAME).ok_or_else(long)?;
        for part in [&[letter][..], &length.to_be_bytes()].into_iter().chain(parts.iter().copied()) {
            self.hash.update(part);
            self.out.write_all(part).map_err(Error::Write)?;
        }
        Ok(())
    }

    pub fn header(&mut self, header: &Header) -> Result<()> {
        let json = serde_json::to_vec(header).map_err(|error| Error::Write(error.into()))?;
        self.frame(b'H', &[&json])
    }

    pub fn keyring(&mut self, wrapped: &[u8]) -> Result<()> {
        self.frame(b'K', &[wrapped])
    }

    pub fn meta(&mut self, name: &str, value: &[u8]) -> Result<()> {
        self.frame(b'M', &[&word(name)?, name.as_bytes(), value])
    }

    pub fn object(&mut self, record: &Record) -> Result<()> {
        let Key { resource, namespace, name } = &record.key;
        self.frame(
            b'O',
            &[
                &record.revision.to_be_bytes(),
                &record.schema.to_be_bytes(),
                &word(resource)?,
                resource.as_bytes(),
                &word(namespace)?,
                namespace.as_bytes(),
                &word(name)?,
                name.as_bytes(),
                &record.body,
            ],
        )
    }

    pub fn file(&mut self, file: &FileEntry) -> Result<()> {
        let mode = file.mode.to_be_bytes();
        self.frame(b'F', &[&mode, &word(&file.name)?, file.name.as_bytes(), file.content.expose()])
    }

    /// Writes the end and gives back what is below.
    pub fn finish(mut self, objects: u64, unreadable: &[String]) -> Result<W> {
        let end = End { objects, unreadable: unreadable.to_vec(), sha256: hex::encode(self.hash.clone().finalize()) };
        let json = serde_json::to_vec(&end).map_err(|error| Error::Write(error.into()))?;
        self.frame(b'E', &[&json])?;
        Ok(self.out)
    }
}

/// The length of a name.
fn word(text: &str) -> Result<[u8; 2]> {
    let length = u16::try_from(text.len()).map_err(|_| Error::Write(std::io::Error::other("a name is too long")))?;
    Ok(length.to_be_bytes())
}

pub struct FrameReader<R> {
    input: R,
    hash: Sha256,
}

fn cut(error: &std::io::Error) -> Error {
    Error::Damaged(error.to_string())
}

impl<R: Read> FrameReader<R> {
    pub fn new(input: R) -> Self {
        Self { input, hash: Sha256::new() }
    }

    /// The next frame. The end is checked against everything before it, and nothing may follow.
    pub fn next(&mut self) -> Result<Frame> {
        let mut head = [0_u8; 5];
        self.input.read_exact(&mut head).map_err(|error| cut(&error))?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if length > LONGEST_FRAME {
            return Err(Error::Damaged("a length is out of bounds".to_owned()));
        }
        let mut body = vec![0; length];
        self.input.read_exact(&mut body).map_err(|error| cut(&error))?;
        let before = (head[0] == b'E').then(|| hex::encode(self.hash.clone().finalize()));
        self.hash.update(head);
        self.hash.update(&body);
        let odd = |what: &str| Error::Damaged(format!("{what} cannot be read"));
        match head[0] {
            b'H' => serde_json::from_slice(&body).map(Frame::Header).map_err(|_| odd("the header")),
            b'K' => Ok(Frame::Keyring(body)),
            b'M' => split_meta(&body).ok_or_else(|| odd("a small value")),
            b'O' => split_object(&body).map(Frame::Object).ok_or_else(|| odd("an object")),
            b'F' => split_file(&body).map(Frame::File).ok_or_else(|| odd("a file")),
            b'E' => {
                let end: End = serde_json::from_slice(&body).map_err(|_| odd("the end"))?;
                if before.as_ref() != Some(&end.sha256) {
                    return Err(Error::Damaged("its hash is another".to_owned()));
                }
                if self.input.read(&mut [0]).map_err(|error| cut(&error))? != 0 {
                    return Err(Error::Damaged("something follows its end".to_owned()));
                }
                Ok(Frame::End(end))
            }
            _ => Err(odd("a frame")),
        }
    }
}

/// Takes a text with its length off the front.
fn text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(u16::from_be_bytes(*length) as usize)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

fn split_meta(body: &[u8]) -> Option<Frame> {
    let (name, value) = text(body)?;
    Some(Frame::Meta(name.to_owned(), value.to_vec()))
}

fn split_object(body: &[u8]) -> Option<Record> {
    let (revision, rest) = body.split_first_chunk::<8>()?;
    let (schema, rest) = rest.split_first_chunk::<8>()?;
    let (resource, rest) = text(rest)?;
    let (namespace, rest) = text(rest)?;
    let (name, rest) = text(rest)?;
    Some(Record {
        key: Key::new(resource, namespace, name),
        revision: u64::from_be_bytes(*revision),
        schema: u64::from_be_bytes(*schema),
        body: bytes::Bytes::copy_from_slice(rest),
    })
}

/// Only names that stay inside the directory.
fn split_file(body: &[u8]) -> Option<FileEntry> {
    let (mode, rest) = body.split_first_chunk::<4>()?;
    let (name, content) = text(rest)?;
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    if !name.split('/').all(plain) {
        return None;
    }
    let content = otternauts_meta::Secret::new(content.to_vec());
    Some(FileEntry { name: name.to_owned(), mode: u32::from_be_bytes(*mode) & 0o777, content })
}
