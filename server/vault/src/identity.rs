//! The root key: one age identity, and where it comes from.

use crate::Error;
use age::secrecy::ExposeSecret as _;
use otternauts_meta::Secret;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The root of all sealing: whoever has it reads every secret, without it nobody does.
pub struct Identity(pub(crate) age::x25519::Identity);

/// Where the key may stand, most wanted first.
#[derive(Debug)]
pub struct KeySources {
    /// The value of `OTTERNAUTS_SECRET_KEY`.
    pub environment: Option<Secret<String>>,
    /// `--secret-key-file`. It must exist when it is named.
    pub file: Option<PathBuf>,
    /// `secret.key` in the data directory; may be absent.
    pub data_dir_file: PathBuf,
}

impl KeySources {
    /// Reads the first source that is there. `None`: there is no key yet. Nothing is written.
    pub fn load(&self) -> Result<Option<Identity>, Error> {
        if let Some(text) = &self.environment {
            return Identity::parse(text.expose(), "OTTERNAUTS_SECRET_KEY").map(Some);
        }
        if let Some(path) = &self.file {
            closed_to_others(path)?;
            return read(path).map(Some);
        }
        // The directory around this one is closed to others.
        match self.data_dir_file.try_exists() {
            Ok(false) => Ok(None),
            _ => read(&self.data_dir_file).map(Some),
        }
    }
}

fn closed_to_others(path: &Path) -> Result<(), Error> {
    let file = std::fs::metadata(path).map_err(|source| Error::KeyFile { path: path.to_owned(), source })?;
    let mode = file.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(Error::KeyFileOpen { path: path.to_owned(), mode }) }
}

fn read(path: &Path) -> Result<Identity, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::KeyFile { path: path.to_owned(), source })?;
    let text = Zeroizing::new(text);
    Identity::parse(&text, &path.display().to_string())
}

impl Identity {
    pub fn generate() -> Self {
        Self(age::x25519::Identity::generate())
    }

    /// One `AGE-SECRET-KEY-1...` line; blank lines and `#` comments (as age-keygen writes them) are left out.
    /// `from` is for the message only.
    pub fn parse(text: &str, from: &str) -> Result<Self, Error> {
        let refuse = || Error::NotAKey { from: from.to_owned() };
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (Some(line), None) = (lines.next(), lines.next()) else { return Err(refuse()) };
        line.parse().map(Self).map_err(|_| refuse())
    }

    /// The identity in a file that somebody named.
    pub fn read(path: &Path) -> Result<Self, Error> {
        read(path)
    }

    /// The public half (`age1...`): says which key is meant and opens nothing.
    pub fn recipient(&self) -> String {
        self.0.to_public().to_string()
    }

    /// The line for the key file, with its end.
    pub fn to_line(&self) -> Secret<String> {
        Secret::new(format!("{}\n", self.0.to_string().expose_secret()))
    }
}
