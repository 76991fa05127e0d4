//! What can go wrong on the way to a server, and whose fault it is.

use otternauts_types::server::ObservedHostKey;
use std::time::Duration;

/// One variant per failed step. `Display` says its own level only and never contains a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No TCP connection, no SSH banner, or the connection broke while it was set up (OT-F1).
    #[error("{address} cannot be reached: {why}")]
    Unreachable { address: String, why: String },
    /// The server showed another key than the confirmed one; nothing was sent to it (OT-F3, R21).
    #[error("the host key is {} {}, expected {expected}", .observed.algorithm, .observed.fingerprint)]
    HostKeyMismatch { expected: String, observed: ObservedHostKey },
    /// The server takes our key for nobody (OT-F2); `methods` is what it offers instead.
    #[error("user {user} was not let in with this key (the server offers: {methods})")]
    AuthenticationFailed { user: String, methods: String },
    /// The private key of the Secret cannot be used.
    #[error("the private key cannot be used: {why}")]
    KeyUnusable { why: String },
    /// Something in the spec has a form that no server can have.
    #[error("{what} is not valid: {why}")]
    Invalid { what: &'static str, why: String },
    /// The connection stands but a channel on it was refused or ended early.
    #[error("{what}: {why}")]
    ChannelFailed { what: &'static str, why: String },
    /// A fixed command ended with another exit status than 0.
    #[error("`{command}` ended with {exit}: {stderr}")]
    CommandFailed { command: &'static str, exit: u32, stderr: String },
    /// The Docker Engine answered with an error.
    #[error("Docker answered {status}: {message}")]
    Docker { status: u16, message: String },
    /// The proxy's admin API answered with an error.
    #[error("the ingress answered {status}: {message}")]
    Ingress { status: u16, message: String },
    /// The container could be asked and is not well; what it said may be in the text.
    #[error("{why}")]
    CheckFailed { why: String },
    /// The engine could not be talked to: not installed, not running, or its answer makes no sense.
    #[error("Docker cannot be used: {why}")]
    DockerUnavailable { why: String },
    /// Several control planes share the fleet, and this one does not lead, or leads no more (R19). Nothing was sent.
    #[error("this replica does not lead, and changes no server")]
    NotLeading,
    #[error("{what} took longer than {} s", .after.as_secs())]
    Timeout { what: &'static str, after: Duration },
}

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The person who wrote the spec.
    Spec,
    /// The person who runs the server.
    Remote,
    /// Nobody: it may pass by itself.
    TryAgain,
}

impl Error {
    pub fn fault(&self) -> Fault {
        match self {
            Self::KeyUnusable { .. } | Self::Invalid { .. } | Self::AuthenticationFailed { .. } => Fault::Spec,
            Self::HostKeyMismatch { .. } | Self::CommandFailed { .. } => Fault::Remote,
            Self::Docker { status, .. } if (400..500).contains(status) => Fault::Remote,
            Self::DockerUnavailable { .. } | Self::CheckFailed { .. } | Self::Ingress { .. } => Fault::Remote,
            Self::Unreachable { .. } | Self::ChannelFailed { .. } | Self::Docker { .. } | Self::Timeout { .. } => {
                Fault::TryAgain
            }
            Self::NotLeading => Fault::TryAgain,
        }
    }

    /// Whether the server as such is out of reach, as opposed to saying no.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Timeout { .. } | Self::ChannelFailed { .. })
    }

    /// Whether the swarm cannot decide anything now: too few of its managers reach one another.
    pub fn is_without_leader(&self) -> bool {
        matches!(self, Self::Docker { status: 500 | 503, message } if message.contains("does not have a leader"))
    }

    /// The label of the metric.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::HostKeyMismatch { .. } => "host_key",
            Self::AuthenticationFailed { .. } => "authentication",
            Self::Timeout { .. } => "timeout",
            _ => "other",
        }
    }
}

pub type Result<T> = std::result::Result<T, Error>;
