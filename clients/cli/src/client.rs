//! Which API server, as whom.

use crate::args::Global;
use crate::exit::{Code, fail};
use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use std::path::PathBuf;

/// Name of our field manager (row A1).
pub const MANAGER: &str = "otter";

pub struct Session {
    pub client: Client,
    pub namespace: String,
}

/// Connects to nothing yet: reads the kubeconfig and builds a client.
pub async fn open(global: &Global) -> anyhow::Result<Session> {
    let kubeconfig = read(global)?;
    let options = KubeConfigOptions { context: global.context.clone(), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.context("cannot use the kubeconfig")?;
    let namespace = global.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).context("cannot use the kubeconfig")?;
    Ok(Session { client, namespace })
}

/// The flag, `$KUBECONFIG`, `~/.kube/config`, the data directory: the first that is there.
fn read(global: &Global) -> anyhow::Result<Kubeconfig> {
    if let Some(path) = &global.kubeconfig {
        return Kubeconfig::read_from(path).with_context(|| format!("cannot read {}", path.display()));
    }
    if std::env::var_os("KUBECONFIG").is_some_and(|v| !v.is_empty()) {
        return Kubeconfig::read().context("cannot read $KUBECONFIG");
    }
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let usual = home.as_ref().map(|h| h.join(".kube/config"));
    for path in usual.into_iter().chain(data_dirs()) {
        if path.is_file() {
            return Kubeconfig::read_from(&path).with_context(|| format!("cannot read {}", path.display()));
        }
    }
    let text =
        "no kubeconfig: give one with --kubeconfig or KUBECONFIG, or start a control plane here with `otter serve`";
    Err(fail(Code::Usage, text))
}

/// Where `otter serve` leaves its administrator's file.
fn data_dirs() -> impl Iterator<Item = PathBuf> {
    let home = std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".otternauts/admin.kubeconfig"));
    [Some(PathBuf::from("/var/lib/otternauts/admin.kubeconfig")), home].into_iter().flatten()
}
