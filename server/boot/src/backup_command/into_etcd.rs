//! `otter backup restore --to etcd:...`.

use super::{Restore, in_words};
use crate::config::EtcdConfig;
use crate::keys_command::{progress, say};
use crate::migration::place::Place;
use crate::store_command::{self, EtcdFiles};
use crate::{restoring, storage};
use anyhow::{Context as _, bail};
use clap::Args;
use otternauts_meta::Secret;
use otternauts_store::Purpose;
use otternauts_vault::Identity;

/// Into etcd, rather than into a file.
#[derive(Debug, Args)]
pub struct IntoEtcd {
    /// Restore into etcd, where nothing is yet: etcd:URL,URL,...[/PREFIX]
    #[arg(long, value_name = "STORE")]
    to: Option<Place>,
    #[command(flatten)]
    tls: EtcdFiles,
}

impl IntoEtcd {
    pub fn is_given(&self) -> bool {
        self.to.is_some() || self.tls != EtcdFiles::default()
    }
}

pub async fn run(args: Restore, secret_key: Option<Secret<String>>) -> anyhow::Result<()> {
    let Some(to @ Place::Etcd { endpoints, prefix }) = &args.etcd.to else {
        bail!("--to and --etcd-... are for --to etcd:URL,...; a directory is named with --data-dir alone");
    };
    let config = EtcdConfig { endpoints: endpoints.clone(), prefix: prefix.clone(), ..args.etcd.tls.config() };
    let order = restoring::Order {
        file: args.file,
        identity: Identity::read(&args.identity)?,
        to: storage::etcd_options(&config, Purpose::Serve),
        data_dir: args.data_dir.clone(),
        secret_key_file: args.secret_key_file,
    };
    let done = restoring::run(order, secret_key, progress).await.context("nothing was restored")?;
    let dir = args.data_dir.display();
    let mut text = format!("restored into {to} at revision {}: {}\n", done.revision, in_words(&done.summary));
    if done.key_in_data_dir {
        text.push_str(&format!(
            "its secrets are sealed with a new root key, {dir}/secret.key: keep a copy of it, and give it to every replica\n"
        ));
    }
    text.push_str(&format!("next: {}\n", store_command::next(to, &Place::Sqlite(args.data_dir.clone()))));
    say(&text)
}
