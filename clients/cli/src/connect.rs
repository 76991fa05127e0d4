//! Which API server, as whom.

use crate::args::Global;
use crate::exit::{Code, Failure};
use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Our name as a field manager (row A1).
pub const FIELD_MANAGER: &str = "otter";

/// Where the kubeconfig is looked for when nobody names one.
const SYSTEM_DATA_DIR: &str = "/var/lib/otternauts";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client and the namespace to work in.
pub struct Session {
    pub client: Client,
    pub namespace: String,
    /// The person named a namespace on the command line.
    pub namespace_given: bool,
}

/// Reads the kubeconfig and builds a client. Connects to nothing yet.
pub async fn open(global: &Global) -> anyhow::Result<Session> {
    let kubeconfig = read(global)?;
    let options = KubeConfigOptions { context: global.context.clone(), ..KubeConfigOptions::default() };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.context("cannot use the kubeconfig")?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    let namespace = global.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = crate::trace::client(config).context("cannot use the kubeconfig")?;
    Ok(Session { client, namespace, namespace_given: global.namespace.is_some() })
}

/// The flag, `$KUBECONFIG`, `~/.kube/config`, the data directory: the first that is there.
fn read(global: &Global) -> anyhow::Result<Kubeconfig> {
    if let Some(path) = &global.kubeconfig {
        return file(path);
    }
    if std::env::var_os("KUBECONFIG").is_some_and(|v| !v.is_empty()) {
        return Kubeconfig::read().context("cannot use $KUBECONFIG");
    }
    let home = std::env::var_os("HOME").filter(|h| !h.is_empty()).map(PathBuf::from);
    match usual_places(home.as_deref()).into_iter().find(|path| path.is_file()) {
        Some(path) => file(&path),
        None => Err(Failure::new(Code::Usage, "no kubeconfig found")
            .next("give one with --kubeconfig or KUBECONFIG, or start a control plane on this machine: otter serve")
            .into()),
    }
}

fn file(path: &Path) -> anyhow::Result<Kubeconfig> {
    let read = Kubeconfig::read_from(path).map_err(|error| match error {
        // The path is said once, by us.
        KubeconfigError::ReadConfig(why, _) => anyhow::Error::new(why),
        other => other.into(),
    });
    read.with_context(|| format!("cannot use the kubeconfig {}", path.display()))
}

/// kubectl's file, then where `otter serve` leaves the administrator's: root's directory is closed to everybody else.
fn usual_places(home: Option<&Path>) -> Vec<PathBuf> {
    let kube = home.map(|h| h.join(".kube/config"));
    let own = home.map(|h| h.join(".otternauts/admin.kubeconfig"));
    [kube, Some(Path::new(SYSTEM_DATA_DIR).join("admin.kubeconfig")), own].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectls_file_comes_before_the_data_directory() {
        let places = usual_places(Some(Path::new("/home/otto")));
        let expected = [
            "/home/otto/.kube/config",
            "/var/lib/otternauts/admin.kubeconfig",
            "/home/otto/.otternauts/admin.kubeconfig",
        ];
        assert_eq!(places, expected.map(PathBuf::from));
        assert_eq!(usual_places(None), [PathBuf::from("/var/lib/otternauts/admin.kubeconfig")]);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let global = Global { kubeconfig: Some("/does/not/exist".into()), ..Global::default() };
        let error = read(&global).err().map(|e| e.to_string());
        assert_eq!(error.as_deref(), Some("cannot use the kubeconfig /does/not/exist"));
    }
}
