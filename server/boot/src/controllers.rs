//! The controllers: in this process beside the API, or apart with a kubeconfig.

use crate::config::{Controller, Controllers};
use crate::inside::SYSTEM_NAMESPACE;
use crate::leadership::Elector;
use crate::shutdown::Signals;
use crate::{deeds, duties, inside};
use anyhow::Context as _;
use otternauts_fleet::Fleet;
use otternauts_fleet::fence::Right;
use otternauts_healing::Audit;
use otternauts_http::Api;
use otternauts_telemetry::{LogFormat, Metrics};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a controller may take to end its step once we stop.
const GRACE: Duration = Duration::from_secs(10);
/// A controller that fails is started again, after a while that doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest that pause becomes.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Run the controllers apart from the API server, with a kubeconfig
#[derive(Clone, Debug, clap::Args)]
pub struct ControllersArgs {
    /// The API server to work for [default: $KUBECONFIG or ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of that file
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// all, or some of them
    #[arg(long, value_delimiter = ',', default_value = "all", value_name = "all|NAME,...")]
    controllers: Vec<String>,
    /// text or json
    #[arg(long, default_value = "text", value_name = "text|json")]
    log_format: LogFormat,
}

impl ControllersArgs {
    pub fn log_format(&self) -> LogFormat {
        self.log_format
    }
}

/// Controllers at work. Dropped, they end where they are.
pub struct Running {
    tasks: TaskTracker,
    aborts: Vec<tokio::task::AbortHandle>,
}

/// Starts them in this process, each under its own name. They end when `stop` does.
pub fn spawn(which: &Controllers, api: &Api, fleet: &Fleet, audit: &Audit, stop: &CancellationToken) -> Running {
    start(which, |controller| inside::client(api.clone(), controller), fleet, audit, stop)
}

fn start(
    which: &Controllers,
    client: impl Fn(Controller) -> kube::Client,
    fleet: &Fleet,
    audit: &Audit,
    stop: &CancellationToken,
) -> Running {
    let (tasks, mut aborts) = (TaskTracker::new(), Vec::new());
    for controller in &which.0 {
        let (controller, client, fleet, stopped) = (*controller, client(*controller), fleet.clone(), stop.clone());
        let audit = Arc::clone(audit);
        let again = move || run(controller, client.clone(), fleet.clone(), Arc::clone(&audit), stopped.clone());
        let task = tasks.spawn(keep_running(controller.name(), FIRST_PAUSE, again, stop.clone()));
        aborts.push(task.abort_handle());
    }
    tasks.close();
    Running { tasks, aborts }
}

impl Running {
    /// Waits for the step each of them is in, for ten seconds at most.
    pub async fn finish(self) {
        if tokio::time::timeout(GRACE, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                running = self.tasks.len(),
                "controllers did not end in time; their steps are resumed at the next start"
            );
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in &self.aborts {
            task.abort();
        }
    }
}

/// Runs it again and again until `stop`; a failure and a panic are told, and waited out.
async fn keep_running<F>(name: &'static str, first_pause: Duration, run: impl Fn() -> F, stop: CancellationToken)
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let mut pause = first_pause;
    while !stop.is_cancelled() {
        tracing::info!(controller = name, "a controller starts");
        // A task of its own: a panic inside ends the task, not this loop. It goes with this one.
        let mut task = tokio::task::JoinSet::new();
        task.spawn(run());
        let ended = match task.join_next().await {
            Some(ended) => ended.unwrap_or_else(|panic| Err(anyhow::Error::new(panic))),
            None => Ok(()),
        };
        if stop.is_cancelled() {
            break;
        }
        match ended {
            Ok(()) => tracing::error!(controller = name, "a controller has ended by itself and is started again"),
            Err(error) => {
                tracing::error!(controller = name, error = %format_args!("{error:#}"), "a controller has failed");
            }
        }
        stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        pause = longer(pause);
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

async fn run(
    controller: Controller,
    client: kube::Client,
    fleet: Fleet,
    audit: Audit,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let shutdown = stop.cancelled_owned();
    match controller {
        Controller::Onboarding => otternauts_onboarding::run(client, fleet, shutdown).await?,
        Controller::Deploy => otternauts_deploy::run(client, fleet, shutdown).await?,
        Controller::Health => otternauts_health::run(client, fleet, shutdown).await?,
        Controller::Ingress => otternauts_ingress::run(client, fleet, shutdown).await?,
        Controller::Healing => otternauts_healing::run(client, fleet, audit, shutdown).await?,
        Controller::Notify => otternauts_notify::run(client, Arc::clone(fleet.metrics()), shutdown).await?,
    }
    Ok(())
}

/// `otter controllers`.
pub async fn run_apart(args: ControllersArgs) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    let which = Controllers::parse(&args.controllers)?;
    let config = kube_config(&args).await?;
    // Where the replicas of the server have it too: of all there are, one acts (P11, R19).
    let mut system = config.clone();
    SYSTEM_NAMESPACE.clone_into(&mut system.default_namespace);
    let system = kube::Client::try_from(system).context("cannot use the kubeconfig")?;
    let client = kube::Client::try_from(config).context("cannot use the kubeconfig")?;
    let version = client.apiserver_version().await.context("cannot reach the API server")?;
    tracing::info!(server = %version.git_version, "controllers start");
    let stop = CancellationToken::new();
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
    let tracing = crate::serve::start_tracing(&metrics)?;
    let fleet = Fleet::new(Arc::clone(&metrics));
    fleet.set_right(Right::None);
    let elector = Elector::new(system, duties::CONTROLLERS, duties::identity(), metrics);
    signals.watch(stop.clone());
    let control = |term, ended: CancellationToken| {
        let (which, client, its) = (which.clone(), client.clone(), fleet.clone());
        duties::lead(fleet.clone(), term, async move {
            let running = start(&which, |_| client.clone(), &its, &deeds::to_log(), &ended);
            ended.cancelled().await;
            running.finish().await;
        })
    };
    elector.run(stop, control).await;
    if let Some(tracing) = tracing {
        tokio::task::spawn_blocking(|| tracing.finish()).await.context("cannot end tracing")?;
    }
    Ok(())
}

async fn kube_config(args: &ControllersArgs) -> anyhow::Result<kube::Config> {
    use kube::config::{KubeConfigOptions, Kubeconfig};
    let kubeconfig = match &args.kubeconfig {
        Some(path) => Kubeconfig::read_from(path).with_context(|| format!("cannot read {}", path.display()))?,
        None => Kubeconfig::read().context("cannot read the kubeconfig")?,
    };
    let options = KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
    kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.context("cannot use the kubeconfig")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn a_controller_that_panics_fails_or_ends_is_started_again_until_all_stops() {
        let stop = CancellationToken::new();
        let starts = std::sync::Arc::new(AtomicUsize::new(0));
        let run = {
            let (starts, stop) = (std::sync::Arc::clone(&starts), stop.clone());
            move || {
                let (starts, stop) = (std::sync::Arc::clone(&starts), stop.clone());
                async move {
                    match starts.fetch_add(1, Ordering::SeqCst) {
                        0 => panic!("a controller panics"),
                        1 => anyhow::bail!("a controller fails"),
                        2 => Ok(()),
                        _ => {
                            stop.cancel();
                            Ok(())
                        }
                    }
                }
            }
        };
        keep_running("test", Duration::ZERO, run, stop).await;
        assert_eq!(starts.load(Ordering::SeqCst), 4);
    }

    #[test]
    fn the_pause_between_starts_grows_and_stays_bounded() {
        let pauses = std::iter::successors(Some(FIRST_PAUSE), |pause| Some(longer(*pause)));
        let seconds: Vec<u64> = pauses.take(8).map(|pause| pause.as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30, 30]);
    }
}
