//! What can keep a reconcile from ending.

/// One variant per thing that failed; the source is kept and printed once.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API said no, or is not there.
    #[error("the API: {what}")]
    Api { what: &'static str, source: Box<kube::Error> },
    /// No manager of the cluster can be used now (OT-F17).
    #[error("no manager of cluster {cluster} can be reached")]
    Managers { cluster: String, source: Option<otternauts_fleet::Error> },
    /// A manager answered, with an error.
    #[error("the swarm: {what}")]
    Swarm { what: &'static str, source: otternauts_fleet::Error },
    /// An object of ours is not what we wrote.
    #[error("{0}")]
    Broken(String),
}

impl Error {
    pub fn api(what: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Api { what, source: Box::new(source) }
    }

    pub fn swarm(what: &'static str) -> impl FnOnce(otternauts_fleet::Error) -> Self {
        move |source| Self::Swarm { what, source }
    }

    /// The error and its sources in one line, for logs and messages.
    pub fn chain(&self) -> String {
        otternauts_reconciler::chain(self)
    }
}

pub type Result<T> = std::result::Result<T, Error>;

/// Whether the API says that the object is not there.
pub fn is_missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Whether the API says that the object is there already, or has changed.
pub fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}
