//! Public halves of keys: who can open a keyring, or a stream such as a backup.

use crate::{Error, Identity};
use std::fmt;
use std::io::{Read, Write};

/// One `age1...`: what it seals opens with that identity alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient(age::x25519::Recipient);

impl Recipient {
    /// Refuses everything but one `age1...`; a private key given by mistake is not repeated in the error.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let shown =
            if text.starts_with("age1") { text.chars().take(80).collect() } else { "what was given".to_owned() };
        text.parse().map(Self).map_err(|_| Error::NotARecipient { given: shown })
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Parses several and leaves out what is there twice.
pub fn parse_all<T: AsRef<str>>(texts: &[T]) -> Result<Vec<Recipient>, Error> {
    let mut found: Vec<Recipient> = Vec::new();
    for text in texts {
        let recipient = Recipient::parse(text.as_ref())?;
        if !found.contains(&recipient) {
            found.push(recipient);
        }
    }
    Ok(found)
}

fn encryptor(readers: &[&Recipient]) -> Result<age::Encryptor, Error> {
    let readers = readers.iter().map(|reader| &reader.0 as &dyn age::Recipient);
    age::Encryptor::with_recipients(readers).map_err(|error| match error {
        age::EncryptError::MissingRecipients => Error::NoRecipient,
        _ => Error::Seal,
    })
}

pub(crate) fn encrypt(readers: &[&Recipient], plain: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    let mut stream = encryptor(readers)?.wrap_output(&mut out).map_err(|_| Error::Seal)?;
    stream.write_all(plain).and_then(|()| stream.finish()).map_err(|_| Error::Seal)?;
    Ok(out)
}

/// An age file as it is written. It counts only once [`SealedStream::finish`] has ended it: what is cut short does not open.
pub struct SealedStream<W: Write>(age::stream::StreamWriter<W>);

impl<W: Write> SealedStream<W> {
    /// Refused when nobody could open it (A13).
    pub fn begin(readers: &[Recipient], out: W) -> Result<Self, Error> {
        let readers: Vec<&Recipient> = readers.iter().collect();
        encryptor(&readers)?.wrap_output(out).map(Self).map_err(Error::Stream)
    }

    /// Writes the end, and gives back what is below.
    pub fn finish(self) -> Result<W, Error> {
        self.0.finish().map_err(Error::Stream)
    }
}

impl<W: Write> Write for SealedStream<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Opens what [`SealedStream`] has written; `None`: the identity is not one of its readers. A changed or cut stream fails where it is
/// read.
pub fn open_stream<R: Read>(identity: &Identity, input: R) -> Result<Option<impl Read + use<R>>, Error> {
    let decryptor = age::Decryptor::new(input).map_err(|error| match error {
        age::DecryptError::Io(error) => Error::Stream(error),
        _ => Error::NotAStream,
    })?;
    match decryptor.decrypt(std::iter::once(&identity.0 as &dyn age::Identity)) {
        Ok(reader) => Ok(Some(reader)),
        Err(age::DecryptError::NoMatchingKeys) => Ok(None),
        Err(age::DecryptError::Io(error)) => Err(Error::Stream(error)),
        Err(_) => Err(Error::NotAStream),
    }
}
