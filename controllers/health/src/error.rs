//! What can go wrong; every reconcile is tried again.

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {what}")]
    Api { what: &'static str, source: kube::Error },
    #[error("what happens is not heard any more")]
    Watch,
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
