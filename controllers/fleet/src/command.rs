//! The closed list of what we run on servers (rule R20): constant command lines, data on stdin only.

use crate::bareword::StackName;
use std::net::SocketAddr;
use std::time::Duration;

/// A fixed command. Its line is made of words that mean the same to every login shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Succeeds when the user may use sudo without a password (OT-13).
    SudoCheck,
    OsRelease,
    /// Free bytes of the file system that will hold images (OT-14).
    DiskFree,
    /// The file system of the engine's data. A second line is missing, and the exit status not 0, where its directory is elsewhere.
    DiskUsage,
    /// Succeeds when a Docker client is installed; prints its version.
    DockerClient,
    /// Succeeds when an engine is installed, running or not.
    DockerDaemon,
    /// The groups of this session.
    Groups,
    /// The address the server uses towards the world: a look into its routing table, nothing is sent.
    PrimaryAddress,
}

impl Command {
    /// The words of the command line.
    pub const fn words(self) -> &'static [&'static str] {
        match self {
            Self::SudoCheck => &["sudo", "-n", "true"],
            Self::OsRelease => &["cat", "/etc/os-release"],
            Self::DiskFree => &["df", "-P", "-k", "/var/lib"],
            Self::DiskUsage => &["df", "-P", "-k", "/var/lib", "/var/lib/docker"],
            Self::DockerClient => &["docker", "--version"],
            Self::DockerDaemon => &["sudo", "-n", "dockerd", "--version"],
            Self::Groups => &["id", "-Gn"],
            Self::PrimaryAddress => &["ip", "-o", "route", "get", "1.1.1.1"],
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::SudoCheck => "sudo -n true",
            Self::OsRelease => "cat /etc/os-release",
            Self::DiskFree => "df -P -k /var/lib",
            Self::DiskUsage => "df -P -k /var/lib /var/lib/docker",
            Self::DockerClient => "docker --version",
            Self::DockerDaemon => "sudo -n dockerd --version",
            Self::Groups => "id -Gn",
            Self::PrimaryAddress => "ip -o route get 1.1.1.1",
        }
    }

    pub const fn limit(self) -> Duration {
        Duration::from_secs(30)
    }
}

/// A constant program of ours, sent over stdin to a shell whose command line is constant too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// Docker from Debian's own repository (Debian 13 and later), as root.
    InstallDockerDebian,
    /// Docker from Docker's apt repository (Debian 12, Ubuntu), as root.
    InstallDockerRepository,
    /// Starts the engine where it is installed but stopped, as root.
    StartDocker,
    /// Puts the SSH user into group `docker`, as root.
    JoinDockerGroup,
    /// Makes the directory of the ingress's admin socket, as root, and gives both to the SSH user alone.
    PrepareIngress,
    /// Connects to addresses over TCP; the data are lines `ADDRESS PORT`.
    ProbeTcp,
    /// Answers datagrams for some seconds; the data are port numbers, one a line.
    UdpEcho,
    /// Sends datagrams and waits for their echo; the data are lines `ADDRESS PORT`.
    ProbeUdp,
}

impl Script {
    pub const fn words(self) -> &'static [&'static str] {
        match self {
            Self::InstallDockerDebian
            | Self::InstallDockerRepository
            | Self::StartDocker
            | Self::JoinDockerGroup
            | Self::PrepareIngress => &["sudo", "-n", "sh", "-s"],
            Self::ProbeTcp => &["bash", "-s"],
            Self::UdpEcho | Self::ProbeUdp => &["perl", "-"],
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::InstallDockerDebian => "install-docker-debian",
            Self::InstallDockerRepository => "install-docker-repository",
            Self::StartDocker => "start-docker",
            Self::JoinDockerGroup => "join-docker-group",
            Self::PrepareIngress => "prepare-ingress",
            Self::ProbeTcp => "probe-tcp",
            Self::UdpEcho => "udp-echo",
            Self::ProbeUdp => "probe-udp",
        }
    }

    pub const fn text(self) -> &'static str {
        match self {
            Self::InstallDockerDebian => include_str!("scripts/install-docker-debian.sh"),
            Self::InstallDockerRepository => include_str!("scripts/install-docker-repository.sh"),
            Self::StartDocker => include_str!("scripts/start-docker.sh"),
            Self::JoinDockerGroup => include_str!("scripts/join-docker-group.sh"),
            Self::PrepareIngress => include_str!("scripts/prepare-ingress.sh"),
            Self::ProbeTcp => include_str!("scripts/probe-tcp.sh"),
            Self::UdpEcho => include_str!("scripts/udp-echo.pl"),
            Self::ProbeUdp => include_str!("scripts/probe-udp.pl"),
        }
    }

    pub const fn limit(self) -> Duration {
        match self {
            // Package locks may be held for ten minutes by the distribution's own updates.
            Self::InstallDockerDebian | Self::InstallDockerRepository | Self::StartDocker => {
                Duration::from_secs(20 * 60)
            }
            Self::JoinDockerGroup => Duration::from_secs(60),
            Self::PrepareIngress | Self::ProbeTcp | Self::UdpEcho | Self::ProbeUdp => Duration::from_secs(30),
        }
    }

    /// Whether it changes the server, rather than looks at it.
    pub const fn changes(self) -> bool {
        !matches!(self, Self::ProbeTcp | Self::UdpEcho | Self::ProbeUdp)
    }

    /// What goes to stdin: the program, then its data in a form that cannot be mistaken for program text.
    pub(crate) fn stdin(self, data: &ScriptData) -> Vec<u8> {
        match self {
            Self::UdpEcho | Self::ProbeUdp => format!("{}\n__END__\n{}", self.text(), data.0),
            Self::ProbeTcp => format!("{}\nprobe <<'OTTERNAUTS_DATA'\n{}OTTERNAUTS_DATA\n", self.text(), data.0),
            _ => self.text().to_owned(),
        }
        .into_bytes()
    }
}

/// Data of a script: only addresses and numbers, so that no line can end it early.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScriptData(String);

impl ScriptData {
    pub fn addresses(list: &[SocketAddr]) -> Self {
        Self(list.iter().map(|a| format!("{} {}\n", a.ip(), a.port())).collect())
    }

    pub fn ports(list: &[u16]) -> Self {
        Self(list.iter().map(|p| format!("{p}\n")).collect())
    }
}

/// How `docker stack deploy` treats image tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResolveImage {
    /// Ask the registry for the digest behind each tag.
    #[default]
    Always,
    /// Only for services whose image name changed.
    Changed,
    /// Take the names as they stand: right for names with a digest.
    Never,
}

#[derive(Clone, Debug, Default)]
pub struct StackDeployOptions {
    pub resolve_image: ResolveImage,
    /// Remove services of the stack that the compose file no longer has.
    pub prune: bool,
    /// The content of a Docker `config.json` with credentials for registries; never touches the server's disk.
    pub registry_config: Option<otternauts_meta::Secret<String>>,
}

/// The words of `docker stack deploy`; compose comes on stdin. We watch the tasks ourselves, so the command must not wait:
/// that is what clients before 27 do, some of which do not know the flag; later ones announce another default.
pub(crate) fn stack_deploy_words<'a>(
    name: &'a StackName,
    options: &StackDeployOptions,
    docker_version: &str,
) -> Vec<&'a str> {
    let mode = match options.resolve_image {
        ResolveImage::Always => "always",
        ResolveImage::Changed => "changed",
        ResolveImage::Never => "never",
    };
    let mut words = vec!["stack", "deploy", "--compose-file", "-", "--with-registry-auth", "--resolve-image", mode];
    let major = docker_version.split('.').next().and_then(|m| m.parse::<u32>().ok());
    if major.is_some_and(|m| m >= 27) {
        words.push("--detach=true");
    }
    if options.prune {
        words.push("--prune");
    }
    words.push(name.as_str());
    words
}

pub(crate) fn stack_remove_words(name: &StackName) -> Vec<&str> {
    vec!["stack", "rm", name.as_str()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bareword::Bareword;

    const COMMANDS: [Command; 8] = [
        Command::SudoCheck,
        Command::OsRelease,
        Command::DiskFree,
        Command::DiskUsage,
        Command::DockerClient,
        Command::DockerDaemon,
        Command::Groups,
        Command::PrimaryAddress,
    ];

    #[test]
    fn every_command_line_is_made_of_words_no_shell_interprets() {
        for command in COMMANDS {
            for word in command.words() {
                assert!(word.starts_with('-') || Bareword::new("word", word).is_ok(), "{word:?}");
            }
            assert_eq!(command.words().join(" "), command.name());
        }
    }

    #[test]
    fn a_stack_is_deployed_from_stdin() {
        let name = StackName::new("shop-1a2b3c4d").expect("a valid name");
        let options = StackDeployOptions { prune: true, ..Default::default() };
        for (version, detach) in [("24.0.7", ""), ("26.1.5+dfsg1", ""), ("28.5.2", "--detach=true "), ("?", "")] {
            assert_eq!(
                stack_deploy_words(&name, &options, version).join(" "),
                format!(
                    "stack deploy --compose-file - --with-registry-auth --resolve-image always {detach}--prune shop-1a2b3c4d"
                )
            );
        }
    }

    #[test]
    fn data_follows_the_program_and_cannot_end_it() {
        let data = ScriptData::addresses(&["10.0.0.1:2377".parse().expect("an address")]);
        let text = String::from_utf8(Script::ProbeTcp.stdin(&data)).expect("text");
        assert!(text.ends_with("probe <<'OTTERNAUTS_DATA'\n10.0.0.1 2377\nOTTERNAUTS_DATA\n"), "{text}");
    }
}
