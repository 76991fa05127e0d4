//! The sentences people read, word for word as the product promises them (OT-F1 to OT-F7), and the reasons programs read.

/// Reasons of conditions and Events.
pub mod reason {
    pub const CONNECTION_FAILED: &str = "ConnectionFailed";
    pub const AUTHENTICATION_FAILED: &str = "AuthenticationFailed";
    pub const HOST_KEY_CHANGED: &str = "HostKeyChanged";
    pub const HOST_KEY_UNCONFIRMED: &str = "AwaitingConfirmation";
    pub const SUDO_PASSWORD_REQUIRED: &str = "SudoPasswordRequired";
    pub const DOCKER_INSTALL_FAILED: &str = "DockerInstallFailed";
    pub const DOCKER_TOO_OLD: &str = "DockerTooOld";
    pub const DOCKER_MISSING: &str = "DockerMissing";
    pub const DOCKER_UNAVAILABLE: &str = "DockerUnavailable";
    pub const DISK_FULL: &str = "InsufficientDiskSpace";
    pub const PRIVATE_KEY_MISSING: &str = "PrivateKeyMissing";
    pub const CLUSTER_MISSING: &str = "ClusterNotFound";
    pub const SWARM_INIT_FAILED: &str = "SwarmInitFailed";
    pub const SWARM_JOIN_FAILED: &str = "SwarmJoinFailed";
    pub const SWARM_CONFLICT: &str = "SwarmConflict";
    /// On its way back: not told to anybody until it takes too long.
    pub const REJOINING: &str = "Rejoining";
    /// The swarm's managers choose a leader: not told to anybody until it takes too long.
    pub const ELECTING: &str = "ElectingLeader";
    pub const MANAGERS_UNREACHABLE: &str = "ManagersUnreachable";
    pub const WAITING_FOR_MANAGER: &str = "WaitingForManager";
    pub const WORKING: &str = "Working";
    pub const READY: &str = "Ready";
}

/// OT-F1, with the server's real port.
pub fn cannot_connect(port: u16) -> String {
    format!("Cannot connect to server. Check that SSH is running on port {port} and the firewall allows connections.")
}

pub const ELECTING: &str = "The swarm's managers have no leader at the moment: they choose one.";
/// OT-F2.
pub const AUTHENTICATION: &str = "Authentication failed. Verify the username and private key are correct.";
/// OT-F3.
pub const HOST_KEY_CHANGED: &str = "Server fingerprint has changed! This could indicate a security issue. If you reinstalled the server, remove it and add again.";
/// OT-F4.
pub const SUDO: &str = "Passwordless sudo is required. Configure /etc/sudoers.d/otternauts for the SSH user.";
/// OT-F5.
pub const DOCKER_INSTALL: &str = "Docker installation failed. Check server logs for details.";
/// OT-F6.
pub const SWARM_INIT: &str = "Swarm initialization failed. The server may already be part of a swarm.";
/// OT-F7.
pub const SWARM_JOIN: &str = "Could not join swarm. Check that ports 2377, 7946, 4789/udp are open between servers.";
