//! Where scheduled backups are kept: a directory, or a bucket that speaks S3.

mod s3;

use crate::backups::Whole;
use anyhow::{Context as _, bail};
use s3::S3;
use std::path::{Path, PathBuf};

/// One place.
pub enum BackupTarget {
    Directory(PathBuf),
    S3(Box<S3>),
}

impl BackupTarget {
    /// A path, or `s3://bucket/prefix?endpoint=https://...&region=...`.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        if let Some(rest) = text.strip_prefix("s3://") {
            return S3::parse(rest).map(|s3| Self::S3(Box::new(s3))).with_context(|| format!("--backup-to {text}"));
        }
        if text.is_empty() || text.contains("://") {
            bail!("--backup-to {text:?} is neither a directory nor s3://bucket/prefix?endpoint=https://...");
        }
        Ok(Self::Directory(PathBuf::from(text)))
    }

    /// For labels.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Directory(_) => "directory",
            Self::S3(_) => "s3",
        }
    }

    /// The names that are there, ours and others.
    pub async fn names(&self) -> anyhow::Result<Vec<String>> {
        match self {
            Self::Directory(dir) => {
                make(dir)?;
                let entries = std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
                Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
            }
            Self::S3(s3) => s3.names().await,
        }
    }

    /// Keeps a file under a name; it has the name only when it is whole.
    pub async fn put(&self, name: &str, file: &Path) -> anyhow::Result<()> {
        match self {
            Self::Directory(dir) => {
                make(dir)?;
                let (file, place) = (file.to_owned(), dir.join(name));
                tokio::task::spawn_blocking(move || copy(&file, &place)).await?
            }
            Self::S3(s3) => s3.put(name, file).await,
        }
    }

    /// Fetches what is kept into a new file, to try it.
    pub async fn get(&self, name: &str, file: &Path) -> anyhow::Result<()> {
        match self {
            Self::Directory(dir) => {
                let (from, file) = (dir.join(name), file.to_owned());
                tokio::task::spawn_blocking(move || copy(&from, &file)).await?
            }
            Self::S3(s3) => s3.get(name, file).await,
        }
    }

    pub async fn remove(&self, name: &str) -> anyhow::Result<()> {
        match self {
            Self::Directory(dir) => {
                let path = dir.join(name);
                std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
            }
            Self::S3(s3) => s3.remove(name).await,
        }
    }
}

fn make(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut file = std::fs::File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
    let mut whole = Whole::begin(to)?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match std::io::Read::read(&mut file, &mut buffer).with_context(|| format!("cannot read {}", from.display()))? {
            0 => return whole.finish(),
            read => whole.write(&buffer[..read])?,
        }
    }
}
