//! The running server, for the commands of this room that ask it something.

use crate::config::default_data_dir;
use crate::ending::Ending;
use anyhow::Context as _;
use futures::AsyncBufRead;
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::path::PathBuf;
use std::time::Duration;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which server, as whom.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct RemoteArgs {
    /// The kubeconfig to use [default: $KUBECONFIG, ~/.kube/config, the data directory's]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig to use
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

impl RemoteArgs {
    pub async fn client(&self) -> anyhow::Result<kube::Client> {
        let kubeconfig = self.read()?;
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let mut config = config.context("cannot use the kubeconfig")?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // A step of a rotation, or a snapshot, takes as long as it takes.
        config.read_timeout = None;
        kube::Client::try_from(config).context("cannot use the kubeconfig")
    }

    fn read(&self) -> anyhow::Result<Kubeconfig> {
        if let Some(path) = &self.kubeconfig {
            return Kubeconfig::read_from(path).with_context(|| format!("cannot read {}", path.display()));
        }
        if std::env::var_os("KUBECONFIG").is_some_and(|value| !value.is_empty()) {
            return Kubeconfig::read().context("cannot use $KUBECONFIG");
        }
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let usual = home.map(|home| home.join(".kube/config"));
        let own = default_data_dir().ok().map(|dir| dir.join("admin.kubeconfig"));
        let found = usual.into_iter().chain(own).find(|path| path.is_file());
        let found =
            found.context("no kubeconfig found: give one with --kubeconfig, or name the directory with --data-dir")?;
        Kubeconfig::read_from(&found).with_context(|| format!("cannot read {}", found.display()))
    }
}

/// A GET whose answer is JSON.
pub async fn get<T: serde::de::DeserializeOwned>(client: &kube::Client, path: &str) -> anyhow::Result<T> {
    let request = http::Request::get(path).body(Vec::new()).context("no request")?;
    Ok(client.request(request).await.map_err(|error| Ending::of_server(&error))?)
}

/// A POST whose answer comes piece by piece.
pub async fn post<B: serde::Serialize>(
    client: &kube::Client,
    path: &str,
    body: &B,
) -> anyhow::Result<impl AsyncBufRead + use<B>> {
    let body = serde_json::to_vec(body).context("no JSON")?;
    let request = http::Request::post(path).header(http::header::CONTENT_TYPE, "application/json").body(body);
    let answered = client.request_stream(request.context("no request")?).await;
    Ok(answered.map_err(|error| Ending::of_server(&error))?)
}
