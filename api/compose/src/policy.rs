//! What a namespace may ask of the machines it runs on.

/// The label on a Namespace that chooses its [`Level`].
pub const POLICY_LABEL: &str = "otternauts.dev/policy";

/// How much a stack may reach outside its containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// No host ports and no bind mounts at all, unless the cluster lists them.
    Restricted,
    /// Host ports 1024 to 65535, bind mounts only where the cluster lists them.
    #[default]
    Baseline,
    /// Whatever Docker allows.
    Privileged,
}

impl Level {
    /// The level a namespace's label names; no label is `baseline`. `None` for a word that is no level.
    pub fn from_label(label: Option<&str>) -> Option<Self> {
        match label {
            None | Some("baseline") => Some(Self::Baseline),
            Some("restricted") => Some(Self::Restricted),
            Some("privileged") => Some(Self::Privileged),
            Some(_) => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Restricted => "restricted",
            Self::Baseline => "baseline",
            Self::Privileged => "privileged",
        }
    }
}

/// A namespace's level plus what `Cluster.spec.policy` adds or takes away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    pub level: Level,
    /// `Cluster.spec.policy.hostPorts`: allowed in addition to what the level says.
    pub host_ports: Vec<u16>,
    /// `Cluster.spec.policy.bindMounts`: host paths that may be mounted, with everything below them.
    pub bind_mounts: Vec<String>,
    /// `Cluster.spec.policy.registries`: hosts images may come from. Empty: any.
    pub registries: Vec<String>,
    /// `Cluster.spec.policy.volumeDrivers`: drivers that volumes may use beside `local`.
    pub volume_drivers: Vec<String>,
    /// `Cluster.spec.policy.loggingDrivers`: drivers that logs may go to beside those that keep them on the machine.
    pub logging_drivers: Vec<String>,
}

impl Policy {
    pub fn of(level: Level) -> Self {
        Self { level, ..Self::default() }
    }
}
