//! A small network of its own: hosts in network namespaces on one switch, any of which can be cut off from others.

use crate::kubectl;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Takes everything away again when the test's process ends, however that happens.
const JANITOR: &str = r#"cat >/dev/null; ip link del "$1" 2>/dev/null; for n in $(ip netns list | cut -d' ' -f1 | grep "^$1-"); do ip netns del "$n"; done"#;

/// Those of this process so far: tests run side by side, and the end of one network must not be that of another.
static NETWORKS: AtomicU32 = AtomicU32::new(0);

/// Hosts on one switch, and this machine beside them. Gone when dropped.
pub struct Network {
    name: String,
    hosts: Vec<NetHost>,
    janitor: Child,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct NetHost {
    pub address: String,
    netns: String,
}

impl NetHost {
    /// What to put in front of a command so that it runs there, as the same process.
    pub fn enter(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net=/run/netns/{}", self.netns)]
    }
}

impl Network {
    /// So many hosts; the error says what this machine lacks.
    ///
    /// # Panics
    /// When `sh` cannot be started.
    pub fn make(count: usize) -> Result<Network, String> {
        // Interface names have at most 15 characters.
        let number = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let name = format!("on{:x}x{number}", std::process::id());
        let mut janitor = Command::new("sh");
        janitor.args(["-c", JANITOR, "sh", &name]).stdin(Stdio::piped());
        let janitor = janitor.spawn().expect("sh can be started");
        // Addresses for tests of networks (RFC 2544), which nobody routes.
        let third = std::process::id().wrapping_add(number) % 250;
        let hosts = (0..count).map(|number| NetHost {
            address: format!("198.18.{third}.{}", number + 2),
            netns: format!("{name}-{number}"),
        });
        let network = Network { hosts: hosts.collect(), janitor, name };
        network.build(third)?;
        Ok(network)
    }

    fn build(&self, third: u32) -> Result<(), String> {
        let (name, hub) = (&self.name, format!("{}-hub", self.name));
        ip(&format!("netns add {hub}"))?;
        ip(&format!("-n {hub} link add br0 type bridge"))?;
        ip(&format!("-n {hub} link set br0 up"))?;
        ip(&format!("link add {name} type veth peer name here netns {hub}"))?;
        ip(&format!("-n {hub} link set here master br0 up"))?;
        ip(&format!("addr add 198.18.{third}.1/24 dev {name}"))?;
        ip(&format!("link set {name} up"))?;
        for (number, NetHost { address, netns }) in self.hosts.iter().enumerate() {
            ip(&format!("netns add {netns}"))?;
            ip(&format!("-n {netns} link set lo up"))?;
            ip(&format!("-n {hub} link add p{number} type veth peer name eth0 netns {netns}"))?;
            ip(&format!("-n {hub} link set p{number} master br0 up"))?;
            ip(&format!("-n {netns} addr add {address}/24 dev eth0"))?;
            ip(&format!("-n {netns} link set eth0 up"))?;
            self.nft(number, "add table inet cut")?;
        }
        Ok(())
    }

    pub fn hosts(&self) -> &[NetHost] {
        &self.hosts
    }

    /// Packets between a host and these others are lost in silence, both ways. Everybody else is reached as before.
    ///
    /// # Panics
    /// When nft refuses.
    pub fn cut(&self, host: usize, from: &[usize]) {
        let others: Vec<&str> = from.iter().map(|&other| self.hosts[other].address.as_str()).collect();
        let others = others.join(", ");
        let rules = format!(
            "add chain inet cut in {{ type filter hook input priority 0; }}; add rule inet cut in ip saddr {{ {others} }} drop; \
             add chain inet cut out {{ type filter hook output priority 0; }}; add rule inet cut out ip daddr {{ {others} }} drop"
        );
        self.nft(host, &rules).expect("nft takes the rules");
    }

    /// Ends every cut of a host.
    ///
    /// # Panics
    /// When nft refuses.
    pub fn heal(&self, host: usize) {
        self.nft(host, "delete table inet cut; add table inet cut").expect("nft takes the rules");
    }

    fn nft(&self, host: usize, rules: &str) -> Result<(), String> {
        let enter = self.hosts[host].enter();
        run(Command::new(&enter[0]).args(&enter[1..]).args(["nft", rules]))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        let _ended = self.janitor.wait();
    }
}

fn ip(words: &str) -> Result<(), String> {
    run(Command::new("ip").args(words.split(' ')))
}

fn run(command: &mut Command) -> Result<(), String> {
    let installed = |program: &std::ffi::OsStr| {
        Command::new("sh").args(["-c", "command -v \"$1\"", "sh"]).arg(program).stdout(Stdio::null()).status()
    };
    let program = command.get_program().to_owned();
    if !installed(&program).is_ok_and(|status| status.success()) {
        return Err(format!("{} is not installed", program.to_string_lossy()));
    }
    let ran = kubectl::run(command, "");
    if ran.code == 0 { Ok(()) } else { Err(ran.stderr.trim().to_owned()) }
}
