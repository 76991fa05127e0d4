//! One running `otter serve`, in a data directory of its own, on a port of its own.

use crate::kubectl::{self, Ran};
use crate::net::NetHost;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How to start it.
#[derive(Clone, Debug)]
pub struct OtterOptions {
    /// The built program: `env!("CARGO_BIN_EXE_otter")`.
    pub program: PathBuf,
    /// More arguments of `otter serve`.
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Runs its controllers too.
    pub controllers: bool,
    /// Its data directory, where that is not a temporary one.
    pub data_dir: Option<PathBuf>,
    /// The host that it runs on, where that is not this machine.
    pub host: Option<NetHost>,
}

impl OtterOptions {
    /// The API server alone.
    pub fn api(program: &str) -> Self {
        let (args, env) = (Vec::new(), Vec::new());
        Self { program: program.into(), args, env, controllers: false, data_dir: None, host: None }
    }

    /// Everything, as a user runs it.
    pub fn whole(program: &str) -> Self {
        Self { controllers: true, ..Self::api(program) }
    }
}

/// A control plane; killed when dropped.
pub struct Otter {
    options: OtterOptions,
    dir: TempDir,
    child: Option<Child>,
    /// `https://127.0.0.1:PORT`
    pub url: String,
}

impl Otter {
    /// Starts it and waits for its `ready` line.
    ///
    /// # Panics
    /// When it does not get ready in two minutes; the log is in the message.
    pub fn start(options: OtterOptions) -> Self {
        let dir = tempfile::Builder::new().prefix("otter-it-").tempdir().expect("a temporary directory");
        let address = options.host.as_ref().map_or("127.0.0.1", |host| host.address.as_str());
        let url = format!("https://{address}:{}", crate::ports::free());
        let mut otter = Self { options, dir, child: None, url };
        otter.boot();
        otter
    }

    pub fn data_dir(&self) -> PathBuf {
        self.options.data_dir.clone().unwrap_or_else(|| self.dir.path().join("data"))
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.data_dir().join("admin.kubeconfig")
    }

    /// Everything it wrote to standard error, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it is running").id()
    }

    /// `otter serve` with the options, not started: for tests of refusals.
    pub fn serve_command(&self) -> Command {
        let mut command = match &self.options.host {
            None => Command::new(&self.options.program),
            Some(host) => {
                let enter = host.enter();
                let mut command = Command::new(&enter[0]);
                command.args(&enter[1..]).arg(&self.options.program);
                command
            }
        };
        // The same at each start, so that clients can go on.
        let listen = self.url.strip_prefix("https://").expect("it was made so");
        command.args(["serve", "--listen", listen, "--data-dir"]).arg(self.data_dir());
        if !self.options.controllers {
            command.arg("--controllers=none");
        }
        command.args(&self.options.args).envs(self.options.env.iter().map(|(k, v)| (k, v)));
        command.env_remove("KUBECONFIG");
        command
    }

    /// Starts it again after [`Otter::kill`] or [`Otter::stop`], on the same port and data.
    ///
    /// # Panics
    /// As [`Otter::start`].
    pub fn boot(&mut self) {
        assert!(self.child.is_none(), "it is running already");
        let log =
            File::options().create(true).append(true).open(self.dir.path().join("log")).expect("the log can be opened");
        let mut child = self
            .serve_command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("otter can be started");
        let stdout = child.stdout.take().expect("stdout is piped");
        self.child = Some(child);
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _receiver_may_be_gone = send.send(line);
            }
        });
        let line = receive
            .recv_timeout(Duration::from_secs(120))
            .unwrap_or_else(|_| panic!("otter did not get ready; its log:\n{}", self.log()));
        self.url = line.strip_prefix("ready ").unwrap_or_else(|| panic!("unexpected line {line:?}")).to_owned();
    }

    /// `kill -9`: no time to finish anything.
    ///
    /// # Panics
    /// When it is not running.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it is running");
        child.kill().expect("a running child can be killed");
        child.wait().expect("a killed child can be waited for");
    }

    /// SIGTERM, and waits for its end. Answers the exit status.
    ///
    /// # Panics
    /// When it is not running or does not end.
    pub fn stop(&mut self) -> i32 {
        let mut child = self.child.take().expect("it is running");
        let pid = child.id().to_string();
        kubectl::run(Command::new("kill").args(["-TERM", &pid]), "").ok();
        crate::wait::until("otter to end after SIGTERM", Duration::from_secs(20), || {
            child.try_wait().expect("it can be waited for").and_then(|s| s.code()).ok_or("still running")
        })
    }

    /// kubectl as the administrator.
    pub fn kubectl(&self, args: &[&str]) -> Ran {
        self.kubectl_in(args, "")
    }

    /// kubectl as the administrator, with standard input.
    pub fn kubectl_in(&self, args: &[&str], stdin: &str) -> Ran {
        self.kubectl_as(&self.kubeconfig(), args, stdin)
    }

    /// kubectl with another kubeconfig.
    pub fn kubectl_as(&self, kubeconfig: &Path, args: &[&str], stdin: &str) -> Ran {
        kubectl::run(kubectl::command(kubeconfig, &self.dir.path().join("kubectl-cache")).args(args), stdin)
    }

    /// `kubectl apply -f -` of a text that must be accepted.
    ///
    /// # Panics
    /// When it is refused.
    pub fn apply(&self, yaml: &str) {
        self.kubectl_in(&["apply", "-f", "-"], yaml).ok();
    }

    /// The `otter` command line with the administrator's kubeconfig.
    pub fn otter(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(&self.options.program);
        command.env("KUBECONFIG", self.kubeconfig()).env("NO_COLOR", "1");
        kubectl::run(command.args(args), "")
    }

    /// curl with our CA; `path` begins with a slash. Give `-H` and the like in `args`.
    pub fn curl(&self, path: &str, args: &[&str]) -> Ran {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "90", "--cacert"]).arg(self.data_dir().join("pki/ca.crt"));
        kubectl::run(command.args(args).arg(format!("{}{path}", self.url)), "")
    }

    /// curl as the administrator; the token does not appear among the arguments of the process.
    ///
    /// # Panics
    /// When there is no token.
    pub fn curl_admin(&self, path: &str, args: &[&str]) -> Ran {
        let token = std::fs::read_to_string(self.data_dir().join("admin.token")).expect("there is a token");
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "90", "-K", "-", "--cacert"]).arg(self.data_dir().join("pki/ca.crt"));
        let header = format!("header = \"Authorization: Bearer {}\"\n", token.trim());
        kubectl::run(command.args(args).arg(format!("{}{path}", self.url)), &header)
    }

    /// A kube client as the administrator.
    ///
    /// # Panics
    /// When the kubeconfig cannot be used.
    pub async fn client(&self) -> kube::Client {
        let config = kube::config::Kubeconfig::read_from(self.kubeconfig()).expect("the kubeconfig can be read");
        let config = kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default())
            .await
            .expect("the kubeconfig is complete");
        kube::Client::try_from(config).expect("a client can be made of it")
    }
}

impl Drop for Otter {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            eprintln_all(tail.into_iter().rev());
        }
    }
}

fn eprintln_all<'a>(lines: impl Iterator<Item = &'a str>) {
    use std::io::Write as _;
    let mut err = std::io::stderr().lock();
    for line in lines {
        let _best_effort = writeln!(err, "  otter| {line}");
    }
}
