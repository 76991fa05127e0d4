//! Failures that say how the program ends, for scripts: the codes of `otter help exit-codes`.

use otternauts_store::Error as StoreError;

/// A reason, and the exit code that goes with it.
#[cfg(feature = "etcd")]
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Ending {
    code: u8,
    message: String,
}

const ERROR: u8 = 1;
#[cfg(feature = "etcd")]
const NOT_FOUND: u8 = 5;
#[cfg(feature = "etcd")]
const CONFLICT: u8 = 6;
const UNREACHABLE: u8 = 8;

#[cfg(feature = "etcd")]
impl Ending {
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
        #[cfg(feature = "etcd")]
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
