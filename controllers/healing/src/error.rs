//! What can go wrong, by layer: the controller as such, and one action.

/// The controller cannot go on; it is started again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {what}")]
    Api { what: &'static str, source: kube::Error },
    #[error("a watch has ended")]
    Watch,
}

pub type Result<T> = std::result::Result<T, Error>;

/// One action failed. The texts are for status and Events.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// The target is not there (any more), or has not what the action needs.
    #[error("{0}")]
    Impossible(String),
    #[error("no manager of cluster {cluster} answers{}", why(.source.as_ref()))]
    Managers { cluster: String, source: Option<otternauts_fleet::Error> },
    #[error("cannot {what}: {source}")]
    Engine { what: &'static str, source: otternauts_fleet::Error },
    #[error("cannot {what}: {source}")]
    Api { what: &'static str, source: kube::Error },
    #[error("{0}")]
    Delivery(#[from] otternauts_courier::DeliveryError),
    /// The intent could not be written down, so nothing was done.
    #[error("it could not be recorded")]
    Unrecorded,
    #[error("it took longer than {0} s")]
    Timeout(u64),
}

fn why(error: Option<&otternauts_fleet::Error>) -> String {
    error.map(|e| format!(": {e}")).unwrap_or_default()
}

impl Error {
    /// With its causes, for the log.
    pub fn chain(&self) -> String {
        otternauts_reconciler::chain(self)
    }
}
