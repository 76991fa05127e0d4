//! What can go wrong in a reconcile. What can go wrong on a message's way is the courier's.

pub use otternauts_courier::DeliveryError;

/// A reconcile failed; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {what}")]
    Api { what: &'static str, source: kube::Error },
    #[error("a status cannot be written as JSON")]
    Status(#[from] serde_json::Error),
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn api(what: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Api { what, source }
    }

    /// With its causes, for the log.
    pub fn chain(&self) -> String {
        otternauts_reconciler::chain(self)
    }
}
