//! Who somebody is, what they may do, and the line that says what they did. See README.md.
//!
//! Role objects come in as values, keys and certificates as bytes; the audit file is the only thing written here.

pub mod audit;
pub mod authenticate;
pub mod certificates;
pub mod kubeconfig;
pub mod rbac;
pub mod service_account;
pub mod tokens;
pub mod user;

pub use authenticate::{Authenticator, Peer, Unauthorized};
pub use rbac::{Attributes, Authorizer, Decision, PolicyRule, RoleSnapshot, UserRules, covers};
pub use user::User;

/// Why something of this room could not be read, made or checked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the token file is not valid, line {line}: {why}")]
    TokenFile { line: usize, why: &'static str },
    #[error("the {what} could not be made")]
    Generate {
        what: &'static str,
        #[source]
        source: rcgen::Error,
    },
    #[error("the {what} is not valid: {why}")]
    Invalid { what: &'static str, why: String },
    #[error("the audit log {path} could not be opened")]
    AuditLog {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the system gave no random bytes")]
    Random,
}

/// `N` bytes from the operating system's generator, never from one that a cloned machine would repeat.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0_u8; N];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes).map_err(|_| Error::Random)?;
    Ok(bytes)
}
