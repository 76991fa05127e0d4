//! One server: fixed commands, fixed scripts, the Docker engine.

use crate::bareword::StackName;
use crate::command::{Command, Script, ScriptData, StackDeployOptions, stack_deploy_words, stack_remove_words};
use crate::docker::Docker;
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::fence::preamble;
use crate::fleet::Inner;
use crate::local;
use crate::output::Output;
use crate::ssh::{Link, Use};
use otternauts_telemetry::Metrics;
use otternauts_telemetry::traces::{Kind, Origin, Span};
use otternauts_types::server::ObservedHostKey;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;

/// What a leader does runs as root, because the number of the last leader is root's.
const FENCED: &[&str] = &["sudo", "-n", "sh", "-s"];

/// A server of the fleet. Cheap to clone; clones share the connection, which is opened by the first operation and again
/// after it was lost.
#[derive(Clone)]
pub struct Host(Arc<Shared>);

struct Shared {
    fleet: Arc<Inner>,
    name: String,
    endpoint: Endpoint,
    link: Mutex<Option<Arc<Link>>>,
}

/// How a connection came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// Time to connect and log in; none when the connection stood already.
    pub took: Option<Duration>,
    /// The confirmed key; none for the local machine.
    pub host_key: Option<ObservedHostKey>,
}

pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Host {
    pub(crate) fn new(fleet: Arc<Inner>, name: String, endpoint: Endpoint) -> Self {
        Self(Arc::new(Shared { fleet, name, endpoint, link: Mutex::new(None) }))
    }

    /// Whether the two share a connection.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    pub fn is_local(&self) -> bool {
        matches!(self.0.endpoint, Endpoint::Local)
    }

    /// Makes sure that the connection stands.
    pub async fn connect(&self) -> Result<Connected> {
        let started = Instant::now();
        let (link, fresh) = self.link().await?;
        let took = fresh.then(|| started.elapsed());
        Ok(Connected { took, host_key: link.map(|l| l.shown().clone()) })
    }

    /// Hangs up; the next operation logs in anew, which is how a new group membership comes into force.
    pub async fn disconnect(&self) {
        if let Some(link) = self.0.link.lock().await.take() {
            link.close().await;
        }
    }

    /// The same, from where nobody can wait.
    pub(crate) fn give_up(&self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let host = self.clone();
            runtime.spawn(async move { host.disconnect().await });
        }
    }

    /// The live link, and whether it is new.
    async fn link(&self) -> Result<(Option<Arc<Link>>, bool)> {
        let Endpoint::Ssh(target) = &self.0.endpoint else { return Ok((None, false)) };
        let mut slot = self.0.link.lock().await;
        if let Some(link) = slot.as_ref()
            && !link.is_closed()
        {
            return Ok((Some(Arc::clone(link)), false));
        }
        let link = Arc::new(self.0.fleet.open(&self.0.name, target).await?);
        *slot = Some(Arc::clone(&link));
        Ok((Some(link), true))
    }

    async fn exec(&self, what: &'static str, words: &[&str], stdin: &[u8], limit: Duration) -> Result<Output> {
        let started = Instant::now();
        let span = Span::begin(Kind::Client, || format!("ssh exec {what}"), Origin::Current);
        self.describe(&span);
        let work = async {
            match self.link().await?.0 {
                Some(link) => link.exec(what, &words.join(" "), stdin, limit).await,
                None => local::exec(what, words, stdin, limit).await,
            }
        };
        let result = span.run(work).await;
        match &result {
            Ok(output) => span.set("process.exit.code", i64::from(output.exit)),
            Err(error) => span.fail(error.class()),
        }
        let label = if result.as_ref().is_ok_and(Output::succeeded) { "success" } else { "failure" };
        self.0.fleet.metrics.fleet.command(what, label, started.elapsed().as_secs_f64());
        result
    }

    /// Where something happens, for its span.
    pub(crate) fn describe(&self, span: &Span) {
        if !span.is_recorded() {
            return;
        }
        span.set("otternauts.server", self.name().to_owned());
        if let Endpoint::Ssh(target) = self.endpoint() {
            span.set("server.address", target.address.clone());
            span.set("server.port", i64::from(target.port));
        }
    }

    /// Runs a fixed command; any exit status is an answer.
    pub async fn run(&self, command: Command) -> Result<Output> {
        self.exec(command.name(), command.words(), &[], command.limit()).await
    }

    /// Runs a fixed script with its data; any exit status is an answer.
    pub async fn run_script(&self, script: Script, data: &ScriptData) -> Result<Output> {
        if script.changes() {
            self.may_change()?;
        }
        self.exec(script.name(), script.words(), &script.stdin(data), script.limit()).await
    }

    /// The number a change carries, where several control planes share the fleet; an error where this one does not lead (R19).
    pub(crate) fn may_change(&self) -> Result<Option<u64>> {
        self.0.fleet.fence.check()
    }

    /// The engine of this server. Agrees on an API version, so this fails when there is no engine.
    pub async fn docker(&self) -> Result<Docker> {
        Docker::connect(self).await
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.fleet.metrics
    }

    pub(crate) fn engine_timeout(&self) -> Duration {
        self.0.fleet.timeouts.engine
    }

    pub(crate) async fn engine_stream(&self, of: Use) -> Result<Box<dyn Duplex>> {
        match self.link().await?.0 {
            Some(link) => Ok(Box::new(link.engine(of).await?) as Box<dyn Duplex>),
            None => local::engine_stream().await,
        }
    }

    pub(crate) async fn ingress_stream(&self) -> Result<Box<dyn Duplex>> {
        match self.link().await?.0 {
            Some(link) => Ok(Box::new(link.socket(crate::ingress::ADMIN_SOCKET).await?) as Box<dyn Duplex>),
            None => local::socket(crate::ingress::ADMIN_SOCKET).await,
        }
    }

    /// A TCP connection from the server, to a container on it. For checks: what comes over it is not ours.
    pub(crate) async fn dial(&self, address: std::net::IpAddr, port: u16) -> Result<Box<dyn Duplex>> {
        match self.link().await?.0 {
            Some(link) => Ok(Box::new(link.dial(address, port).await?) as Box<dyn Duplex>),
            None => local::dial(address, port).await,
        }
    }

    /// Brings a stack to what the compose file says. Returns when the engine has taken the services over, not when they run.
    pub async fn stack_deploy(&self, name: &StackName, compose: &[u8], options: &StackDeployOptions) -> Result<Output> {
        let docker = self.docker().await?;
        let words = stack_deploy_words(name, options, &docker.engine().version);
        let what = "docker stack deploy";
        let limit = Duration::from_secs(10 * 60);
        if let Some(number) = self.may_change()? {
            let script = match &options.registry_config {
                Some(config) => stack_deploy_script(&words, config.expose(), compose, false),
                None => stack_deploy_plain(&words, compose),
            };
            let script = format!("{}{script}", preamble(number));
            return succeeded(what, self.exec(what, FENCED, script.as_bytes(), limit).await?);
        }
        let Some(config) = &options.registry_config else {
            return succeeded(what, self.docker_cli(what, &words, compose, limit).await?);
        };
        let script = stack_deploy_script(&words, config.expose(), compose, self.needs_sudo().await?);
        succeeded(what, self.exec(what, &["sh", "-s"], script.as_bytes(), limit).await?)
    }

    /// Removes a stack with all its services, networks, secrets and configs; volumes stay.
    pub async fn stack_remove(&self, name: &StackName) -> Result<Output> {
        let what = "docker stack rm";
        if let Some(number) = self.may_change()? {
            let script = format!("{}docker {}\n", preamble(number), stack_remove_words(name).join(" "));
            return succeeded(what, self.exec(what, FENCED, script.as_bytes(), Duration::from_secs(120)).await?);
        }
        succeeded(what, self.docker_cli(what, &stack_remove_words(name), &[], Duration::from_secs(120)).await?)
    }

    async fn docker_cli(&self, what: &'static str, words: &[&str], stdin: &[u8], limit: Duration) -> Result<Output> {
        let docker: &[&str] = if self.needs_sudo().await? { &["sudo", "-n", "docker"] } else { &["docker"] };
        self.exec(what, &[docker, words].concat(), stdin, limit).await
    }

    /// Whether the user needs sudo for the engine: found out by opening a channel to its socket.
    async fn needs_sudo(&self) -> Result<bool> {
        let Some(link) = self.link().await?.0 else { return Ok(false) };
        if !link.through_sudo() {
            drop(link.engine(Use::Call).await?);
        }
        Ok(link.through_sudo())
    }
}

fn succeeded(command: &'static str, output: Output) -> Result<Output> {
    if output.succeeded() {
        return Ok(output);
    }
    Err(Error::CommandFailed { command, exit: output.exit, stderr: output.tail(4096).to_owned() })
}

/// `docker stack deploy` with credentials: they live in memory-backed files for as long as the command runs. Both inputs are
/// base64, so that no line of them can be taken for program text.
fn stack_deploy_script(words: &[&str], config: &str, compose: &[u8], sudo: bool) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let docker = if sudo { "sudo -n docker" } else { "docker" };
    let (config, compose) = (BASE64_STANDARD.encode(config), BASE64_STANDARD.encode(compose));
    format!(
        "set -eu; umask 077; export TMPDIR=/dev/shm\n\
         dir=$(mktemp -d)\n\
         trap 'rm -rf \"$dir\"' EXIT HUP INT TERM\n\
         base64 -d >\"$dir/config.json\" <<'OTTERNAUTS_CONFIG'\n{config}\nOTTERNAUTS_CONFIG\n\
         base64 -d >\"$dir/compose\" <<'OTTERNAUTS_COMPOSE'\n{compose}\nOTTERNAUTS_COMPOSE\n\
         {docker} --config \"$dir\" {} <\"$dir/compose\"\n",
        words.join(" ")
    )
}

/// `docker stack deploy` in a script.
fn stack_deploy_plain(words: &[&str], compose: &[u8]) -> String {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let compose = BASE64_STANDARD.encode(compose);
    format!("base64 -d <<'OTTERNAUTS_COMPOSE' | docker {}\n{compose}\nOTTERNAUTS_COMPOSE\n", words.join(" "))
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Host({})", self.0.name)
    }
}
