//! What will be done, as data: shown before, recorded while, and executed without further choices.

use std::fmt;

/// Steps in order. No steps: the Swarm is as it should be, and no command runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan(pub Vec<Action>);

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make the network that services with domains share with the ingress.
    CreateIngressNetwork,
    /// Make a config or secret whose content we carry.
    CreateFile { secret: bool, name: String },
    /// One `docker stack deploy` with exactly these services.
    DeployServices(Vec<String>),
    /// A service that the compose file no longer has.
    RemoveService { id: String, name: String },
    /// A config or secret that nothing uses any more.
    RemoveFile { secret: bool, id: String, name: String },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = |secret: bool| if secret { "secret" } else { "config" };
        match self {
            Self::CreateIngressNetwork => write!(f, "create network {}", otternauts_compose::INGRESS_NETWORK),
            Self::CreateFile { secret, name } => write!(f, "create {} {name}", kind(*secret)),
            Self::DeployServices(names) => write!(f, "deploy {}", names.join(", ")),
            Self::RemoveService { name, .. } => write!(f, "remove service {name}"),
            Self::RemoveFile { secret, name, .. } => write!(f, "remove {} {name}", kind(*secret)),
        }
    }
}
