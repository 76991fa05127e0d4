//! `otter backup`: of the running server, or of a data directory on which none runs; and back.

#[cfg(feature = "etcd")]
mod into_etcd;

use crate::admin::{BackupLine, BackupRequest};
use crate::backups::{About, Backups, Hash, Whole};
use crate::keys_command::{Offline, Place, say};
use crate::remote;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use futures::{AsyncBufReadExt as _, AsyncReadExt as _};
use otternauts_backup::{Root, Summary, restore, verify};
use otternauts_meta::Secret;
use otternauts_vault::{Identity, recipients};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Handle;

/// Make, verify and restore backups
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Take a backup of the running server: consistent, verified, encrypted
    Create(Create),
    /// Read a backup from beginning to end with a key that opens it
    Verify(Verify),
    /// Make a new data directory of a backup
    Restore(Restore),
}

#[derive(Debug, Args)]
pub struct Create {
    /// Where it goes: a new file, or - for standard output [default: a name made of store, time and revision, here]
    #[arg(long, value_name = "FILE|-")]
    output: Option<PathBuf>,
    /// The public half of a key that can open it, beside the server's recovery keys; may be given more than once
    #[arg(long = "recipient", value_name = "age1...")]
    recipients: Vec<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub struct Verify {
    file: PathBuf,
    /// A key that opens it: a file with one AGE-SECRET-KEY-1... line
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// Print JSON
    #[arg(short = 'o', long = "output", value_name = "json", value_parser = ["json"])]
    output: Option<String>,
}

#[derive(Debug, Args)]
pub struct Restore {
    file: PathBuf,
    /// The new data directory: not there yet, or empty; with --to, of the first replica
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    #[cfg(feature = "etcd")]
    #[command(flatten)]
    etcd: into_etcd::IntoEtcd,
    /// A key that opens the backup
    #[arg(long, value_name = "FILE")]
    identity: PathBuf,
    /// The root key of the restored server, kept by you [default: $OTTERNAUTS_SECRET_KEY, else a new one in the data directory]
    #[arg(long, value_name = "FILE")]
    secret_key_file: Option<PathBuf>,
}

pub async fn run(command: BackupCommand, secret_key: Option<Secret<String>>) -> anyhow::Result<()> {
    match command {
        BackupCommand::Create(args) => create(args, secret_key).await,
        BackupCommand::Verify(args) => {
            let identity = Identity::read(&args.identity)?;
            let (file, shown) = (args.file.clone(), args.file.display());
            let summary = tokio::task::spawn_blocking(move || verify(&file, &identity)).await?;
            let summary = summary.with_context(|| format!("{shown} is no good"))?;
            if args.output.is_some() {
                return say(&format!("{}\n", serde_json::to_string_pretty(&summary)?));
            }
            say(&format!("{shown} is whole: {}\n", in_words(&summary)))
        }
        BackupCommand::Restore(args) => run_restore(args, secret_key).await,
    }
}

async fn run_restore(args: Restore, secret_key: Option<Secret<String>>) -> anyhow::Result<()> {
    #[cfg(feature = "etcd")]
    if args.etcd.is_given() {
        return into_etcd::run(args, secret_key).await;
    }
    let identity = Identity::read(&args.identity)?;
    let root = match (&args.secret_key_file, secret_key) {
        (Some(file), _) => Root::Kept(Identity::read(file)?),
        (None, Some(text)) => Root::Kept(Identity::parse(text.expose(), crate::process::SECRET_KEY_VARIABLE)?),
        (None, None) => Root::New,
    };
    let made_key = matches!(root, Root::New);
    let key = args.secret_key_file.as_ref().map(|file| format!(" --secret-key-file {}", file.display()));
    let (file, target, runtime) = (args.file.clone(), args.data_dir.clone(), Handle::current());
    let work = move || restore(&file, &identity, &target, root, &runtime);
    let summary = tokio::task::spawn_blocking(work).await?.context("nothing was restored")?;
    let dir = args.data_dir.display();
    let mut text = format!("restored into {dir}: {}\n", in_words(&summary));
    if made_key {
        text.push_str(&format!(
            "its secrets are sealed with a new root key, {dir}/secret.key: keep a copy of it off this server\n"
        ));
    }
    text.push_str(&format!("next: otter serve --data-dir {dir}{}\n", key.unwrap_or_default()));
    say(&text)
}

async fn create(args: Create, secret_key: Option<Secret<String>>) -> anyhow::Result<()> {
    // What is no recipient is told before anything is asked for.
    let readers = recipients::parse_all(&args.recipients)?;
    let Some(dir) = args.place.data_dir else {
        let client = args.place.remote.client().await?;
        let request = BackupRequest { recipients: args.recipients };
        let mut answer = std::pin::pin!(remote::post(&client, "/admin/backup", &request).await?);
        let mut line = String::new();
        answer.read_line(&mut line).await.context("the server broke off")?;
        let about = match serde_json::from_str(&line).context("the server said something unexpected")? {
            BackupLine::Made(about) => *about,
            BackupLine::Failed { message } => bail!("{message}"),
        };
        let mut out = Out::begin(args.output.as_deref(), &about)?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            match answer.read(&mut buffer).await.context("the backup broke off: nothing was kept")? {
                0 => return out.finish(&about),
                read => out.write(&buffer[..read])?,
            }
        }
    };
    let offline = Offline::open(&dir, args.place.secret_key_file, secret_key).await?;
    let backups = Backups::new(Arc::clone(&offline.keys));
    let done = copy(&backups, readers, args.output.as_deref()).await;
    drop(backups);
    offline.close().await?;
    done
}

async fn copy(
    backups: &Backups,
    readers: Vec<otternauts_vault::Recipient>,
    output: Option<&Path>,
) -> anyhow::Result<()> {
    let made = backups.make(readers).await?;
    let mut out = Out::begin(output, &made.about)?;
    let mut file = std::fs::File::open(made.path()).context("cannot read the backup")?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match std::io::Read::read(&mut file, &mut buffer).context("cannot read the backup")? {
            0 => return out.finish(&made.about),
            read => out.write(&buffer[..read])?,
        }
    }
}

/// Where the bytes go, and whether they are the right ones.
struct Out {
    /// `None`: standard output.
    file: Option<(Whole, PathBuf)>,
    hash: Hash,
}

impl Out {
    fn begin(output: Option<&Path>, about: &About) -> anyhow::Result<Self> {
        let hash = Hash::default();
        if output == Some(Path::new("-")) {
            return Ok(Self { file: None, hash });
        }
        // A name that a server gives is one name.
        let usual = Path::new(&about.name).file_name().context("the server gave the backup no name")?;
        let path = output.unwrap_or(Path::new(usual));
        Ok(Self { file: Some((Whole::begin(path)?, path.to_owned())), hash })
    }

    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.hash.update(bytes);
        match &mut self.file {
            Some((file, _)) => file.write(bytes),
            None => std::io::stdout().write_all(bytes).context("cannot write to standard output"),
        }
    }

    fn finish(self, about: &About) -> anyhow::Result<()> {
        let (bytes, sha256) = self.hash.finish();
        anyhow::ensure!(
            bytes == about.bytes && sha256 == about.sha256,
            "the backup did not arrive whole: nothing was kept"
        );
        let Some((file, path)) = self.file else {
            return std::io::stdout().flush().context("cannot write to standard output");
        };
        file.finish()?;
        say(&format!("{}: {}, {bytes} bytes\n", path.display(), in_words(&about.summary)))
    }
}

fn in_words(summary: &Summary) -> String {
    let header = &summary.header;
    let mut text = format!("{} objects at revision {} of {}", summary.objects, header.revision, header.created);
    if !summary.damaged.is_empty() {
        text.push_str(&format!("; {} do not open, as before: {}", summary.damaged.len(), summary.damaged.join(", ")));
    }
    if !summary.unreadable.is_empty() {
        let lost = summary.unreadable.join(", ");
        text.push_str(&format!("; {} not in it, their stored bytes are damaged: {lost}", summary.unreadable.len()));
    }
    text.push_str(&format!("; opened by {}", header.recipients.join(", ")));
    text
}
