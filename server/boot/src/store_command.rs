//! `otter store`: what is done to a store as a whole, with no server on it.

use crate::config::EtcdConfig;
use crate::keys_command::{progress, say};
use crate::migration::place::Place;
use crate::migration::{self, Order, Report};
use clap::{Args, Subcommand};
use otternauts_meta::Secret;
use std::path::PathBuf;

/// Move the store between SQLite and etcd
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Move every object to the other engine, with no server running: copied, compared, then marked as moved
    Migrate(Box<Migrate>),
}

/// What it takes to speak with etcd over TLS; endpoints and prefix are in the place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct EtcdFiles {
    /// Who signed etcd's certificates (PEM), for https
    #[arg(long, value_name = "FILE")]
    etcd_cafile: Option<PathBuf>,
    /// Our certificate for etcd (PEM)
    #[arg(long, value_name = "FILE")]
    etcd_certfile: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE")]
    etcd_keyfile: Option<PathBuf>,
}

impl EtcdFiles {
    pub fn config(self) -> EtcdConfig {
        EtcdConfig {
            ca_file: self.etcd_cafile,
            certificate_file: self.etcd_certfile,
            key_file: self.etcd_keyfile,
            ..EtcdConfig::default()
        }
    }
}

#[derive(Debug, Args)]
pub struct Migrate {
    /// Where everything is: sqlite:DIR (a data directory) or etcd:URL,URL,...[/PREFIX]
    #[arg(long, value_name = "STORE")]
    from: Place,
    /// Where it goes, and where nothing is yet; the other kind
    #[arg(long, value_name = "STORE")]
    to: Place,
    #[command(flatten)]
    tls: EtcdFiles,
    /// The root key [default: $OTTERNAUTS_SECRET_KEY, else secret.key in the data directory]
    #[arg(long, value_name = "FILE")]
    secret_key_file: Option<PathBuf>,
    /// Look whether it could be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(short = 'o', long = "output", value_name = "json", value_parser = ["json"])]
    output: Option<String>,
}

pub async fn run(command: StoreCommand, secret_key: Option<Secret<String>>) -> anyhow::Result<()> {
    let StoreCommand::Migrate(args) = command;
    let json = args.output.is_some();
    let tls = args.tls.config();
    let (from, to) = (args.from, args.to);
    let next = next(&to, &from);
    let order = Order { from, to, tls, secret_key_file: args.secret_key_file, dry_run: args.dry_run };
    let report = migration::run(order, secret_key, progress).await?;
    if json {
        return say(&format!("{}\n", serde_json::to_string_pretty(&report)?));
    }
    say(&in_words(&report, &next))
}

/// How the target is served; more than the place is its owner's affair.
pub fn next(to: &Place, from: &Place) -> String {
    match (to, from) {
        (Place::Etcd { endpoints, prefix }, Place::Sqlite(dir)) => format!(
            "otter serve --store etcd --etcd-endpoints {} --etcd-prefix {prefix} --data-dir {}",
            endpoints.join(","),
            dir.display()
        ),
        (Place::Sqlite(dir), _) => format!("otter serve --data-dir {}", dir.display()),
        (Place::Etcd { .. }, _) => "otter serve --store etcd".to_owned(),
    }
}

fn in_words(report: &Report, next: &str) -> String {
    let Report { from, to, objects, bytes, source_revision, target_revision, sha256, .. } = report;
    if report.dry_run {
        return format!(
            "{objects} objects ({bytes} bytes) at revision {source_revision} of {from} can be moved to {to}; nothing was changed\n"
        );
    }
    let mut text = format!(
        "{objects} objects ({bytes} bytes) moved from {from} to {to}: read there again and the same, SHA-256 {sha256}\n\
         revision {source_revision} before, {target_revision} now: clients that hold an older one list anew\n"
    );
    if !report.damaged.is_empty() {
        let damaged = report.damaged.join(", ");
        text.push_str(&format!("{} do not open, as before: {damaged}\n", report.damaged.len()));
    }
    text.push_str(&format!("{from} is marked as moved, and is not served any more\nnext: {next}\n"));
    text
}
