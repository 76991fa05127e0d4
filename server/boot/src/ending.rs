//! Failures that say how the program ends, for scripts: the codes of `otter help exit-codes`.

use otternauts_store::Error as StoreError;

/// A reason, and the exit code that goes with it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Ending {
    code: u8,
    message: String,
}

const ERROR: u8 = 1;
const NOT_ALLOWED: u8 = 4;
const NOT_FOUND: u8 = 5;
const CONFLICT: u8 = 6;
const UNREACHABLE: u8 = 8;

impl Ending {
    /// What a server of ours has answered, or why none did, in words for people.
    pub fn of_server(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                let code = match status.code {
                    401 | 403 => NOT_ALLOWED,
                    404 => NOT_FOUND,
                    409 => CONFLICT,
                    _ => ERROR,
                };
                Self { code, message: format!("the server has refused: {}", status.message) }
            }
            error => {
                // The innermost cause says it best: `Connection refused`, `invalid peer certificate`.
                let mut cause: &dyn std::error::Error = error;
                while let Some(source) = cause.source() {
                    cause = source;
                }
                Self { code: UNREACHABLE, message: format!("cannot reach the API server: {cause}") }
            }
        }
    }

    #[cfg(feature = "etcd")]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { code: NOT_FOUND, message: message.into() }
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self { code: CONFLICT, message: message.into() }
    }
}

/// The exit code of a command that failed so.
pub fn code(error: &anyhow::Error) -> u8 {
    let known = |cause: &(dyn std::error::Error + 'static)| {
        #[cfg(feature = "etcd")]
        if cause.downcast_ref::<otternauts_store::NotEmpty>().is_some() {
            return Some(CONFLICT);
        }
        if let Some(otternauts_backup::Error::NotEmpty { .. }) = cause.downcast_ref() {
            return Some(CONFLICT);
        }
        if cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::AlreadyExists) {
            return Some(CONFLICT);
        }
        if let Some(ending) = cause.downcast_ref::<Ending>() {
            return Some(ending.code);
        }
        if let Some(StoreError::Unavailable(_)) = cause.downcast_ref() {
            return Some(UNREACHABLE);
        }
        None
    };
    error.chain().find_map(known).unwrap_or(ERROR)
}
