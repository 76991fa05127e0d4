//! `otter serve`: everything put together, in the order that keeps a failed start from changing anything.

#[cfg(test)]
mod tests;

use crate::admin::Administration;
use crate::alerts::Alerts;
use crate::backups::Backups;
use crate::config::{Config, Controller};
use crate::data_dir::DataDir;
use crate::duties::Duties;
use crate::handler::ApiHandler;
use crate::keys::Keys;
use crate::listener::Listener;
use crate::logs::StackLogs;
use crate::metrics::read_audit;
use crate::pages::Pages;
use crate::pki::{self, Pki};
use crate::scheduled::{Plan, Scheduled};
use crate::shutdown::Signals;
use crate::{accounts, clock, deeds, inside, seal, shared_pki, storage, tls};
use anyhow::Context as _;
use otternauts_auth::audit::AuditLog;
use otternauts_auth::tokens::StaticTokens;
use otternauts_auth::{Authenticator, Authorizer};
use otternauts_fleet::Fleet;
use otternauts_http::{AlertSink, Api, ApiParts, LogSource, VersionInfo};
use otternauts_meta::Secret;
use otternauts_registry::Registry;
use otternauts_store::Store;
use otternauts_telemetry::Metrics;
use otternauts_telemetry::traces::{self, Tracing};
use otternauts_vault::recipients;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Runs until a signal, or until something fails that leaves no server.
pub async fn run(config: Config, secret_key: Option<Secret<String>>) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    let server = Server::start(config, secret_key).await?;
    announce(&server.host)?;
    signals.watch(server.stop.clone());
    server.finish().await
}

/// A control plane at work. It ends in an orderly way when `stop` is cancelled and [`Server::finish`] awaited.
pub struct Server {
    /// `host:port` for clients.
    pub host: String,
    pub stop: CancellationToken,
    stopping: watch::Sender<bool>,
    serving: JoinHandle<()>,
    work: JoinHandle<()>,
    store: Store,
    audit: Arc<AuditLog>,
    tracing: Option<Tracing>,
    /// Locked for as long as anything of ours may write in it: let go of last.
    _data: Arc<DataDir>,
}

impl Server {
    /// Returns when requests are answered.
    pub async fn start(config: Config, secret_key: Option<Secret<String>>) -> anyhow::Result<Self> {
        // Nothing is written before everything we were given is found good, the lock is ours, the key is known to be the right
        // one, and the port is free: a start that fails by then leaves nothing behind.
        let tokens = pki::token_file(config.token_auth_file.as_deref())?;
        pki::check_names(&config.tls_san)?;
        let recovery = recipients::parse_all(&config.recovery_recipients).context("--recovery-recipient")?;
        let plan = Plan::parse(&config.backups)?;
        let data = Arc::new(DataDir::open(&config.data_dir)?);
        let found = seal::find(&data, secret_key, config.secret_key_file.clone())?;
        let listener = Listener::bind(config.listen).await?;
        data.protect()?;
        let build = version();
        let metrics = Metrics::of_build(&build.version, &build.git_commit, &build.compiler);
        let tracing = start_tracing(&metrics)?;
        let store =
            storage::open(&config.store, &data, &metrics, config.disk.clone(), config.high_water_mark.clone()).await?;
        let unlocked = found.unlock(&data, &store, &recovery).await?;
        if let Some(plan) = &plan {
            plan.check(&unlocked.vault.root(), &unlocked.vault.recovery())?;
        }
        Backups::tidy(&data)?;
        let keys = Arc::new(Keys::open(&data, store.clone(), unlocked).await?);
        let registry = keys.registry().clone();
        let pki = shared_pki::open_for(&data, &registry, listener.address(), &config.tls_san).await?;
        let audit = Arc::new(AuditLog::open(&data.file("audit.log"))?);
        let host = advertised(listener.address());
        let (stopping, shutdown) = watch::channel(false);
        let mut parts = api_parts(pki.with_admin(tokens), &pki, registry.clone(), Arc::clone(&metrics), shutdown);
        parts.audit = Some(Arc::clone(&audit));
        read_audit(&metrics, Arc::clone(&audit));
        parts.health.push(storage::check(&config.store, &data, &store));
        host.clone_into(&mut parts.advertise);
        let fleet = Fleet::new(Arc::clone(&metrics));
        let logs = config.controllers.has(Controller::Deploy).then(|| Arc::new(StackLogs::new(fleet.clone())));
        parts.logs = logs.clone().map(|logs| logs as Arc<dyn LogSource>);
        parts.pages = Some(Arc::new(Pages::new(registry.clone(), fleet.clone())));
        let alerts = Arc::new(Alerts::default());
        parts.alerts = Some(Arc::clone(&alerts) as Arc<dyn AlertSink>);
        let backups = Arc::new(Backups::new(Arc::clone(&keys)));
        parts.admin = Some(Arc::new(Administration { keys: Arc::clone(&keys), backups: Arc::clone(&backups) }));
        let api = Api::new(parts);
        alerts.connect(inside::client(api.clone(), Controller::Notify));
        if let Some(logs) = logs {
            logs.connect(inside::client(api.clone(), Controller::Deploy));
        }
        pki.write_admin_kubeconfig(&data, &format!("https://{host}"))?;
        let tls = tls::server_config(&pki)?;

        let stop = CancellationToken::new();
        let scheduled = plan.map(|plan| {
            let client = inside::client(api.clone(), Controller::Notify);
            let (data, metrics) = (Arc::downgrade(&data), Arc::clone(&metrics));
            Arc::new(Scheduled { plan, backups, data, metrics, client })
        });
        resume_rotation(&keys);
        let serving = tokio::spawn(listener.serve(tls, ApiHandler(api.clone()), stop.clone()));
        let deeds = deeds::to_file(Arc::clone(&audit), Arc::clone(&metrics));
        let duties = Duties { registry, api, fleet, controllers: config.controllers, metrics, deeds, scheduled };
        let work = tokio::spawn(duties.run(stop.clone()));
        Ok(Self { host, stop, _data: data, stopping, serving, work, store, audit, tracing })
    }

    /// Waits for `stop`, then ends everything in order (row T11).
    pub async fn finish(self) -> anyhow::Result<()> {
        self.stop.cancelled().await;
        // Readiness fails and watches end; the port closes meanwhile, and controllers finish the step they are in.
        self.stopping.send_replace(true);
        let (served, worked) = tokio::join!(self.serving, self.work);
        served.context("the listener failed")?;
        worked.context("housekeeping failed")?;
        self.store.close().await.context("cannot close the store")?;
        self.audit.flush();
        if let Some(tracing) = self.tracing {
            // It waits for the collector.
            tokio::task::spawn_blocking(|| tracing.finish()).await.context("cannot end tracing")?;
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// Traces go where the standard variables say; a variable that cannot be used is told before anything starts.
pub fn start_tracing(metrics: &Metrics) -> anyhow::Result<Option<Tracing>> {
    let tracing = traces::start("otternauts", env!("CARGO_PKG_VERSION"), Some(metrics)).map_err(anyhow::Error::msg)?;
    if tracing.is_some() {
        tracing::info!("requests and their consequences are traced");
    }
    Ok(tracing)
}

/// Ends what a crash or a stop has left of a rotation (R28).
fn resume_rotation(keys: &Arc<Keys>) {
    if !keys.is_rotating() {
        return;
    }
    let keys = Arc::clone(keys);
    tokio::spawn(async move {
        tracing::info!("going on with the rotation of the data key");
        match keys.rotate(|_| ()).await {
            Ok(()) => tracing::info!("the data key is rotated"),
            Err(error) => tracing::error!(error = %format_args!("{error:#}"), "the data key is not rotated"),
        }
    });
}

fn api_parts(
    tokens: StaticTokens,
    pki: &Pki,
    registry: Registry,
    metrics: Arc<Metrics>,
    shutdown: watch::Receiver<bool>,
) -> ApiParts {
    let uid_of = accounts::uid_lookup(registry.clone());
    let authenticator = Authenticator::new(tokens, Arc::clone(&pki.token_key), uid_of, Arc::new(clock::now));
    let roles = registry.clone();
    let authorizer = Authorizer::live(move || roles.roles());
    let mut parts = ApiParts::new(registry, Arc::new(authenticator), Arc::new(authorizer), metrics, shutdown);
    parts.version = version();
    parts
}

/// Set by release builds; what is not known is left out.
fn version() -> VersionInfo {
    VersionInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        git_commit: option_env!("OTTERNAUTS_GIT_COMMIT").unwrap_or_default().to_owned(),
        build_date: option_env!("OTTERNAUTS_BUILD_DATE").unwrap_or_default().to_owned(),
        compiler: option_env!("OTTERNAUTS_RUSTC").unwrap_or("rustc").to_owned(),
    }
}

/// `host:port` for clients: an address that means "all of them" is no place to connect to.
fn advertised(address: SocketAddr) -> String {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port()).to_string()
}

/// The one line on standard output.
fn announce(host: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "ready https://{host}").and_then(|()| out.flush()).context("cannot write to standard output")
}
