//! What can keep a reconcile from ending.

/// One variant per thing that failed; the source is kept and printed once.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API said no, or is not there.
    #[error("the API: {what}")]
    Api { what: &'static str, source: Box<kube::Error> },
    /// A server or its engine said no, or is not there.
    #[error("{what}")]
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
