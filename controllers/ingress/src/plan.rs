//! What will be done, as data.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The overlay network that the proxy shares with services.
    CreateNetwork,
    /// The directory for the proxy's admin socket, on these Servers.
    PrepareHosts(Vec<String>),
    /// A config whose name holds a hash of its content.
    CreateConfig { name: String },
    /// One `docker stack deploy` of the proxy.
    Deploy,
    /// Nobody needs a proxy: its service goes, its volumes stay.
    Remove,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateNetwork => write!(f, "create network {}", otternauts_compose::INGRESS_NETWORK),
            Self::PrepareHosts(servers) => write!(f, "prepare {}", servers.join(", ")),
            Self::CreateConfig { name } => write!(f, "create config {name}"),
            Self::Deploy => f.write_str("deploy the proxy"),
            Self::Remove => f.write_str("remove the proxy"),
        }
    }
}
