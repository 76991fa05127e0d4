//! `otter keys`: of the running server, or of a data directory on which none runs.

#[cfg(feature = "etcd")]
mod root_in_etcd;

use crate::admin::RotateRequest;
use crate::data_dir::DataDir;
use crate::keys::{Keys, Listing, Progress};
use crate::remote::{self, RemoteArgs};
use crate::{seal, storage};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use futures::{AsyncBufReadExt as _, StreamExt as _};
use otternauts_meta::Secret;
use otternauts_store::Store;
use otternauts_vault::{Identity, Vault};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// List, rotate and recover the keys that seal secrets
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Show the root key's public half, recovery keys, data keys and what names them
    List(List),
    /// Seal everything with a new data key and drop the old one; with --root, replace the root key
    Rotate(Rotate),
    /// Make a new root key with a recovery key, when the old one is lost
    Recover(Recover),
    /// Make a key pair for backups or recovery: keep the file off the server
    New(New),
}

#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    place: Place,
    /// Print JSON
    #[arg(short = 'o', long = "output", value_name = "json", value_parser = ["json"])]
    output: Option<String>,
}

#[derive(Debug, Args)]
pub struct Rotate {
    #[command(flatten)]
    place: Place,
    /// The root key, rather than the data key
    #[arg(long)]
    root: bool,
    /// The new root key, where the server's is not in the data directory (see --secret-key-file of otter serve)
    #[arg(long, value_name = "FILE", requires = "root", requires = "data_dir")]
    new_secret_key_file: Option<PathBuf>,
    #[cfg(feature = "etcd")]
    #[command(flatten)]
    etcd: root_in_etcd::InEtcd,
}

const IN_DIRECTORY: &str =
    "the root key is in the data directory, and so will the new one be: leave --new-secret-key-file out";
const KEPT_OUTSIDE: &str = "the root key is not in the data directory: name the new one with --new-secret-key-file";

#[derive(Debug, Args)]
pub struct Recover {
    /// The recovery key: a file with one AGE-SECRET-KEY-1... line
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// The data directory, on which no server runs [default: /var/lib/otternauts for root, else ~/.otternauts]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The new root key, where it is to be kept outside the data directory (see --secret-key-file of otter serve)
    #[arg(long, value_name = "FILE")]
    new_secret_key_file: Option<PathBuf>,
    #[cfg(feature = "etcd")]
    #[command(flatten)]
    etcd: root_in_etcd::InEtcd,
}

#[derive(Debug, Args)]
pub struct New {
    /// Where the private key goes; must not exist yet
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

/// The server, or the directory.
#[derive(Clone, Debug, Default, Args)]
pub struct Place {
    #[command(flatten)]
    pub remote: RemoteArgs,
    /// Work on this data directory, on which no server runs
    #[arg(long, value_name = "DIR", conflicts_with_all = ["kubeconfig", "context"])]
    pub data_dir: Option<PathBuf>,
    /// The root key, with --data-dir [default: $OTTERNAUTS_SECRET_KEY, else secret.key in the data directory]
    #[arg(long, value_name = "FILE", requires = "data_dir")]
    pub secret_key_file: Option<PathBuf>,
}

pub async fn run(command: KeysCommand, secret_key: Option<Secret<String>>) -> anyhow::Result<()> {
    match command {
        KeysCommand::List(args) => list(args, secret_key).await,
        KeysCommand::Rotate(args) => rotate(args, secret_key).await,
        KeysCommand::Recover(args) => recover(args).await,
        KeysCommand::New(args) => new(&args),
    }
}

/// A store on which no server runs, with its keys.
pub struct Offline {
    pub keys: Arc<Keys>,
    store: Store,
    /// Locked for as long as this lives.
    _data: Arc<DataDir>,
}

impl Offline {
    /// Opens what is there; nothing is made. A directory that a server uses is refused.
    pub async fn open(dir: &Path, file: Option<PathBuf>, secret_key: Option<Secret<String>>) -> anyhow::Result<Self> {
        let data = Arc::new(existing(dir, "leave --data-dir out to ask the running server")?);
        let found = seal::find(&data, secret_key, file)?;
        let store = storage::open_plain(&data).await?;
        let unlocked = found.unlock(&data, &store, &[]).await?;
        let keys = Arc::new(Keys::open(&data, store.clone(), unlocked).await?);
        Ok(Self { keys, store, _data: data })
    }

    pub async fn close(self) -> anyhow::Result<()> {
        self.store.close().await.context("cannot close the store")
    }
}

/// The directory of a server that has run there.
fn existing(dir: &Path, where_one_runs: &'static str) -> anyhow::Result<DataDir> {
    if !dir.join(storage::DATABASE).is_file() {
        bail!("there is no {} in {}: is it the data directory of a server?", storage::DATABASE, dir.display());
    }
    DataDir::open(dir).context(where_one_runs)
}

async fn list(args: List, secret_key: Option<Secret<String>>) -> anyhow::Result<()> {
    let listing = match args.place.data_dir {
        None => remote::get::<Listing>(&args.place.remote.client().await?, "/admin/keys").await?,
        Some(dir) => {
            let offline = Offline::open(&dir, args.place.secret_key_file, secret_key).await?;
            let listing = offline.keys.list().await?;
            offline.close().await?;
            listing
        }
    };
    if args.output.is_some() {
        return say(&format!("{}\n", serde_json::to_string_pretty(&listing)?));
    }
    let place = if listing.root_in_data_directory { "secret.key in the data directory" } else { "kept outside" };
    let mut text = format!("root key   {} ({place})\n", listing.root);
    for recovery in &listing.recovery {
        text.push_str(&format!("recovery   {recovery}\n"));
    }
    if listing.recovery.is_empty() {
        text.push_str(
            "recovery   none: without the root key no secret can be read (otter serve --recovery-recipient)\n",
        );
    }
    for key in &listing.keys {
        let state = match (key.number == listing.active, listing.rotating) {
            (true, _) => "seals",
            (false, _) => "opens, goes when the rotation ends",
        };
        text.push_str(&format!("data key   {} ({state}; named by {} rows)\n", key.number, key.rows));
    }
    say(&text)
}

async fn rotate(args: Rotate, secret_key: Option<Secret<String>>) -> anyhow::Result<()> {
    let Some(dir) = args.place.data_dir else {
        let client = args.place.remote.client().await?;
        let answer = remote::post(&client, "/admin/keys/rotate", &RotateRequest { root: args.root }).await?;
        let mut lines = std::pin::pin!(answer.lines());
        let mut ended = false;
        while let Some(line) = lines.next().await {
            let line = line.context("the server broke off; a rotation that has begun goes on there")?;
            let progress: Progress = serde_json::from_str(&line).context("the server said something unexpected")?;
            ended |= matches!(progress, Progress::Done { .. } | Progress::Root { .. });
            tell(&progress)?;
        }
        anyhow::ensure!(ended, "the server broke off; a rotation that has begun goes on when it starts again");
        return Ok(());
    };
    #[cfg(feature = "etcd")]
    if args.etcd.is_given() {
        if !args.root {
            bail!(
                "with --data-dir the data key of a store in etcd is replaced by no command: ask a running replica, or add --root"
            );
        }
        let order = root_in_etcd::Order {
            store: args.etcd.options()?,
            data_dir: dir,
            with: root_in_etcd::With::Root(args.place.secret_key_file),
            new_secret_key_file: args.new_secret_key_file,
        };
        return root_in_etcd::command(order, secret_key).await;
    }
    let offline = Offline::open(&dir, args.place.secret_key_file, secret_key).await?;
    let done = if args.root {
        rotate_root(&offline.keys, args.new_secret_key_file.as_deref()).await
    } else {
        offline.keys.rotate(|progress| drop(tell(&progress))).await
    };
    offline.close().await?;
    done
}

async fn rotate_root(keys: &Keys, file: Option<&Path>) -> anyhow::Result<()> {
    let (next, keep_file) = match (file, keys.root_in_data_directory()) {
        (Some(file), false) => (Identity::read(file)?, false),
        (None, true) => (Identity::generate(), true),
        (Some(_), true) => bail!(IN_DIRECTORY),
        (None, false) => bail!(KEPT_OUTSIDE),
    };
    tell(&keys.rotate_root(next, keep_file).await?)
}

fn tell(progress: &Progress) -> anyhow::Result<()> {
    say(&match progress {
        Progress::Begun { active, resumed: false } => format!("data key {active} seals from now on\n"),
        Progress::Begun { active, resumed: true } => format!("going on with the rotation to data key {active}\n"),
        Progress::Resealing { seen, rewritten } => format!("{seen} sealed objects seen, {rewritten} rewritten\n"),
        Progress::History { revision } => format!("history up to revision {revision} forgotten\n"),
        Progress::Proof { revision, keys } if keys.is_empty() => {
            format!("looked through at revision {revision}: nothing is sealed\n")
        }
        Progress::Proof { revision, keys } => {
            let keys: Vec<String> =
                keys.iter().map(|key| format!("{} rows name key {}", key.rows, key.number)).collect();
            format!("looked through at revision {revision}: {}\n", keys.join(", "))
        }
        Progress::Done { active, dropped } => {
            let dropped: Vec<String> = dropped.iter().map(ToString::to_string).collect();
            format!("done: data key {active} is the only one; {} gone\n", dropped.join(", "))
        }
        Progress::Root { root } => format!("done: the root key is {root}; keep a copy of it off this server\n"),
        Progress::Failed { message } => bail!("{message}"),
    })
}

async fn recover(args: Recover) -> anyhow::Result<()> {
    let dir = match args.data_dir {
        Some(dir) => dir,
        None => crate::config::default_data_dir()?,
    };
    let identity = Identity::read(&args.identity)?;
    #[cfg(feature = "etcd")]
    if args.etcd.is_given() {
        let order = root_in_etcd::Order {
            store: args.etcd.options()?,
            data_dir: dir,
            with: root_in_etcd::With::Recovery(identity),
            new_secret_key_file: args.new_secret_key_file,
        };
        return root_in_etcd::command(order, None).await;
    }
    let next = args.new_secret_key_file.as_deref().map(Identity::read).transpose()?;
    let data = existing(&dir, "stop the server first")?;
    let store = storage::open_plain(&data).await?;
    let kept = store.meta(seal::META).await.context("cannot read the store's keyring")?;
    let kept = kept.context("this store has no keyring: nothing was ever sealed in it")?;
    let vault = opened_with(&identity, &kept)?;
    let keep_file = next.is_none();
    let next = next.unwrap_or_else(Identity::generate);
    seal::replace_root(&data, &store, &vault, &next, keep_file).await?;
    store.close().await.context("cannot close the store")?;
    let place = args.new_secret_key_file.unwrap_or_else(|| data.file(seal::PRIVATE));
    say(&format!(
        "done: the new root key {} is {}; keep a copy of it off this server\n",
        next.recipient(),
        place.display()
    ))
}

/// The keys of a kept keyring, opened with a recovery key. One that is none of its readers is refused, with the names of those.
fn opened_with(recovery: &Identity, kept: &[u8]) -> anyhow::Result<Vault> {
    let readers = Vault::readers(kept)?;
    let Some((root, others)) = readers.split_first() else { bail!("the keyring names nobody who can open it") };
    if !readers.contains(&recovery.recipient()) {
        let others = match others.is_empty() {
            true => "no recovery key was ever named to the server (otter serve --recovery-recipient)".to_owned(),
            false => format!("so do the recovery keys {}", others.join(" and ")),
        };
        bail!("the key {} does not open this store: its root key {root} does, and {others}", recovery.recipient());
    }
    Ok(Vault::open(recovery, Some(kept))?.0)
}

fn new(args: &New) -> anyhow::Result<()> {
    let identity = Identity::generate();
    let shown = args.output.display();
    let text = Secret::new(format!("# public key: {}\n{}", identity.recipient(), identity.to_line().expose()));
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&args.output);
    let mut file = file.with_context(|| format!("cannot make {shown}"))?;
    let written = file.write_all(text.expose().as_bytes()).and_then(|()| file.sync_all());
    written.with_context(|| format!("cannot write {shown}"))?;
    say(&format!("{}\n", identity.recipient()))
}

/// Data on standard output.
pub fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")
}

/// A line of progress on standard error; nobody is left to tell when it is closed.
#[cfg(feature = "etcd")]
pub fn progress(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
