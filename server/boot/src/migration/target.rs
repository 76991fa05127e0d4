//! Where objects are taken to: nobody can serve from it before it is complete.

use crate::data_dir::DataDir;
use crate::ending::Ending;
use crate::storage;
use anyhow::Context as _;
use otternauts_store::{EtcdImporter, EtcdOptions, Importer, Record, Store};
use std::path::PathBuf;
use std::sync::Arc;

/// What is being filled. All of it blocks.
pub enum Target {
    Sqlite {
        /// Gone once the database is finished.
        importer: Option<Box<Importer>>,
        path: PathBuf,
        data: Arc<DataDir>,
    },
    Etcd(Box<EtcdImporter>),
}

/// What there is to fill.
#[derive(Clone)]
pub enum Wanted {
    Sqlite(Arc<DataDir>),
    Etcd(Box<EtcdOptions>),
}

impl Wanted {
    /// Whether it is empty, or what an unfinished migration has left. Writes nothing.
    pub fn look(&self) -> anyhow::Result<()> {
        match self {
            Self::Etcd(options) => EtcdImporter::look(options).context("the target cannot be taken"),
            Self::Sqlite(data) if data.file(storage::ARRIVING).exists() => Ok(()),
            Self::Sqlite(data) => match data.named(storage::DATABASE)?.first() {
                None => Ok(()),
                Some(found) => Err(Ending::conflict(format!(
                    "{} is there: a store is moved to where none is; move it away, or name another directory",
                    data.file(found).display()
                ))
                .into()),
            },
        }
    }

    /// Takes the place, and removes what an unfinished migration has left there.
    pub fn begin(&self, note: &str) -> anyhow::Result<Target> {
        self.look()?;
        match self {
            Self::Etcd(options) => {
                let importer = EtcdImporter::begin(options, note).context("the target cannot be taken")?;
                Ok(Target::Etcd(Box::new(importer)))
            }
            Self::Sqlite(data) => {
                data.protect()?;
                data.write(storage::ARRIVING, &format!("{note}\n"), 0o600)?;
                for left in data.named(storage::DATABASE)? {
                    data.remove(&left)?;
                }
                let path = data.file(storage::DATABASE);
                let importer = Importer::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
                Ok(Target::Sqlite { importer: Some(Box::new(importer)), path, data: Arc::clone(data) })
            }
        }
    }
}

impl Target {
    pub fn put(&mut self, record: &Record) -> anyhow::Result<()> {
        match self {
            Self::Etcd(importer) => importer.put(record).context("etcd did not take an object"),
            Self::Sqlite { importer, .. } => {
                open(importer.as_deref_mut())?.put(record).context("the database did not take an object")
            }
        }
    }

    pub fn set_meta(&mut self, name: &str, value: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Etcd(importer) => importer.set_meta(name, value).context("etcd did not take a small value"),
            Self::Sqlite { importer, .. } => {
                open(importer.as_deref_mut())?.set_meta(name, value).context("the database did not take a small value")
            }
        }
    }

    /// Nothing more is put in.
    pub fn finish(&mut self, revision: u64, epoch: u64) -> anyhow::Result<()> {
        match self {
            Self::Etcd(importer) => importer.finish(revision, epoch).context("etcd did not take the end"),
            Self::Sqlite { importer, .. } => {
                let importer = importer.take().context("the database is finished already")?;
                importer.finish(revision, epoch).context("the database did not take the end")
            }
        }
    }

    /// What arrived, for us alone.
    pub fn open(&self) -> anyhow::Result<Store> {
        match self {
            Self::Etcd(importer) => importer.open().context("cannot open what arrived"),
            Self::Sqlite { path, .. } => storage::open_file(path),
        }
    }

    /// Gives it free. The store is closed by then.
    pub fn complete(self) -> anyhow::Result<()> {
        match self {
            Self::Etcd(importer) => importer.complete().context("cannot give the target free"),
            Self::Sqlite { data, .. } => data.remove_for_good(storage::ARRIVING),
        }
    }
}

fn open(importer: Option<&mut Importer>) -> anyhow::Result<&mut Importer> {
    importer.context("the database is finished already")
}
