//! A real etcd cluster on loopback, in a directory of its own.

use crate::net::NetHost;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Ends etcd when the test's process ends, however that happens: its standard input closes then. Tells etcd's own pid.
const KEEPER: &str = r#""$@" </dev/null >&2 & pid=$!; echo $pid; cat >/dev/null; kill -9 $pid; wait $pid"#;

/// Removes the directory then, too.
const JANITOR: &str = r#"cat >/dev/null; rm -rf "$1"; sleep 1; rm -rf "$1""#;

/// PEM files of a cluster that speaks TLS and lets nobody in without a certificate.
#[derive(Clone, Debug)]
pub struct EtcdTls {
    pub ca: PathBuf,
    /// For members and clients alike.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl EtcdTls {
    /// Makes an authority and one certificate for 127.0.0.1 in a directory.
    ///
    /// # Panics
    /// When openssl is missing or refuses.
    pub fn make(dir: &Path) -> EtcdTls {
        const SCRIPT: &str = "set -eu; cd \"$1\"; new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'\n\
            openssl req -x509 $new -keyout ca.key -out ca.crt -days 2 -subj /CN=etcd-test-ca\n\
            openssl req $new -keyout member.key -out member.csr -subj /CN=otter\n\
            printf 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=serverAuth,clientAuth\\n' >member.ext\n\
            openssl x509 -req -in member.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile member.ext -out member.crt";
        let out = Command::new("sh").args(["-c", SCRIPT, "sh"]).arg(dir).output().expect("sh can be started");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        EtcdTls { ca: dir.join("ca.crt"), certificate: dir.join("member.crt"), key: dir.join("member.key") }
    }
}

/// Members that know each other; killed when dropped.
pub struct Etcd {
    members: Vec<Member>,
    cluster: String,
    more: Vec<String>,
    tls: Option<EtcdTls>,
    dir: TempDir,
    janitor: Child,
}

struct Member {
    name: String,
    address: String,
    /// What comes before the command.
    enter: Vec<String>,
    client: u16,
    peer: u16,
    running: Option<Running>,
}

struct Running {
    pid: u32,
    keeper: Child,
    /// etcd lives as long as it is open.
    _input: Option<ChildStdin>,
}

impl Etcd {
    /// Whether Debian's `etcd-server` (or another etcd 3.4 or newer) is here.
    pub fn is_installed() -> bool {
        Command::new("etcd").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    }

    /// A cluster of so many members, with more arguments for each; it has a leader when this returns.
    ///
    /// # Panics
    /// When it does not get ready in three minutes.
    pub fn start(count: usize, more: &[&str]) -> Etcd {
        Etcd::start_with(count, more, None)
    }

    /// The same; with TLS between clients and members, both showing certificates.
    ///
    /// # Panics
    /// As [`Etcd::start`].
    pub fn start_with(count: usize, more: &[&str], tls: Option<EtcdTls>) -> Etcd {
        let member = |number: usize| Member {
            name: format!("m{number}"),
            address: "127.0.0.1".to_owned(),
            enter: Vec::new(),
            client: crate::ports::free(),
            peer: crate::ports::free(),
            running: None,
        };
        Etcd::of((0..count).map(member).collect(), more, tls)
    }

    /// One member on each of these hosts.
    ///
    /// # Panics
    /// As [`Etcd::start`].
    pub fn start_on(hosts: &[NetHost]) -> Etcd {
        let member = |(number, host): (usize, &NetHost)| Member {
            name: format!("m{number}"),
            address: host.address.clone(),
            enter: host.enter(),
            client: 2379,
            peer: 2380,
            running: None,
        };
        Etcd::of(hosts.iter().enumerate().map(member).collect(), &[], None)
    }

    fn of(members: Vec<Member>, more: &[&str], tls: Option<EtcdTls>) -> Etcd {
        // In memory where that can be: members are killed here, machines are not, and their disks are shared by all.
        let memory = PathBuf::from("/dev/shm");
        let builder = || tempfile::Builder::new().prefix("otter-etcd-").rand_bytes(8).to_owned();
        let dir = builder().tempdir_in(memory).or_else(|_| builder().tempdir()).expect("a temporary directory");
        let mut cluster = String::new();
        for member in &members {
            let comma = if cluster.is_empty() { "" } else { "," };
            write!(cluster, "{comma}{}=http://{}:{}", member.name, member.address, member.peer)
                .expect("a string grows");
        }
        let more = more.iter().map(|&arg| arg.to_owned()).collect();
        let mut janitor = Command::new("sh");
        janitor.args(["-c", JANITOR, "sh"]).arg(dir.path()).stdin(Stdio::piped());
        let janitor = janitor.spawn().expect("sh can be started");
        let mut etcd = Etcd { members, cluster, more, tls, dir, janitor };
        for number in 0..etcd.members.len() {
            etcd.boot(number);
        }
        etcd.await_ready();
        etcd
    }

    /// All members' addresses.
    pub fn endpoints(&self) -> Vec<String> {
        (0..self.members.len()).map(|number| self.endpoint(number)).collect()
    }

    pub fn endpoint(&self, number: usize) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let Member { address, client, .. } = &self.members[number];
        format!("{scheme}://{address}:{client}")
    }

    /// Starts a member again after [`Etcd::kill`], on its own data.
    ///
    /// # Panics
    /// When it is running.
    pub fn boot(&mut self, number: usize) {
        let client = self.endpoint(number);
        let log = std::fs::File::options().create(true).append(true).open(self.log_path(number)).expect("a log file");
        let member = &mut self.members[number];
        assert!(member.running.is_none(), "it is running already");
        let peer = format!("http://{}:{}", member.address, member.peer);
        let mut keeper = Command::new("sh");
        keeper
            .args(["-c", KEEPER, "sh"])
            .args(&member.enter)
            .args(["etcd", "--name", &member.name, "--data-dir"])
            .arg(self.dir.path().join(&member.name))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &self.cluster, "--initial-cluster-state", "new", "--logger", "zap"])
            .args(&self.more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        if let Some(EtcdTls { ca, certificate, key }) = &self.tls {
            keeper.arg("--client-cert-auth").arg("--trusted-ca-file").arg(ca);
            keeper.arg("--cert-file").arg(certificate).arg("--key-file").arg(key);
        }
        let mut keeper = keeper.spawn().expect("sh can be started");
        let input = keeper.stdin.take();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().expect("it is piped"))
            .read_line(&mut line)
            .expect("the keeper tells the pid");
        let pid = line.trim().parse().expect("a pid");
        member.running = Some(Running { pid, keeper, _input: input });
    }

    /// `kill -9` of one member.
    ///
    /// # Panics
    /// When it is not running.
    pub fn kill(&mut self, number: usize) {
        let running = self.members[number].running.take().expect("it is running");
        running.end();
    }

    /// SIGSTOP: the member is there and says nothing.
    pub fn pause(&self, number: usize) {
        self.signal(number, "-STOP");
    }

    /// SIGCONT after [`Etcd::pause`].
    pub fn resume(&self, number: usize) {
        self.signal(number, "-CONT");
    }

    /// Waits until every running member knows a leader.
    ///
    /// # Panics
    /// When that takes longer than three minutes; the logs' ends are in the message.
    pub fn await_ready(&self) {
        for (number, _) in self.members.iter().enumerate().filter(|(_, member)| member.running.is_some()) {
            let url = format!("{}/health", self.endpoint(number));
            crate::wait::until("etcd to have a leader", Duration::from_secs(60), || {
                let text = self.curl(&url);
                if text.contains("\"true\"") { Ok(()) } else { Err(format!("{text} {}", self.log_end(number))) }
            });
        }
    }

    /// Which running member leads.
    ///
    /// # Panics
    /// When no member says so in three minutes.
    pub fn leader(&self) -> usize {
        self.leader_but(usize::MAX)
    }

    /// Which of the others leads, for when one does not know yet that it does no more.
    ///
    /// # Panics
    /// As [`Etcd::leader`].
    pub fn leader_but(&self, but: usize) -> usize {
        crate::wait::until("a member that leads", Duration::from_secs(30), || {
            let leads = |number: &usize| {
                let url = format!("{}/metrics", self.endpoint(*number));
                self.curl(&url).contains("\netcd_server_is_leader 1")
            };
            let running = |number: &usize| *number != but && self.members[*number].running.is_some();
            let running = (0..self.members.len()).filter(running);
            running.into_iter().find(leads).ok_or("none")
        })
    }

    fn curl(&self, url: &str) -> String {
        let mut curl = Command::new("curl");
        curl.args(["-s", "-m", "10", url]);
        if let Some(EtcdTls { ca, certificate, key }) = &self.tls {
            curl.arg("--cacert").arg(ca).arg("--cert").arg(certificate).arg("--key").arg(key);
        }
        let out = curl.output().expect("curl can be started");
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn signal(&self, number: usize, signal: &str) {
        let pid = self.members[number].running.as_ref().expect("it is running").pid.to_string();
        let status = Command::new("kill").args([signal, &pid]).status().expect("kill can be started");
        assert!(status.success(), "kill {signal} {pid}");
    }

    fn log_path(&self, number: usize) -> PathBuf {
        self.dir.path().join(format!("{}.log", self.members[number].name))
    }

    fn log_end(&self, number: usize) -> String {
        let text = std::fs::read_to_string(self.log_path(number)).unwrap_or_default();
        text.lines().rev().take(3).collect::<Vec<_>>().join("\n")
    }
}

impl Running {
    fn end(mut self) {
        let _gone_already = Command::new("kill").args(["-9", &self.pid.to_string()]).status();
        drop(self._input.take());
        let _ended = self.keeper.wait();
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for member in &mut self.members {
            if let Some(running) = member.running.take() {
                running.end();
            }
        }
        // The directory goes with its own field; the janitor is for processes that end without this.
        drop(self.janitor.stdin.take());
        let _ended = self.janitor.kill();
        let _ended = self.janitor.wait();
    }
}
