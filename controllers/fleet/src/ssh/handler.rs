//! The key check, inside the handshake and before any credential.

use crate::endpoint::Fingerprint;
use crate::fleet::Loss;
use crate::ssh::keys;
use otternauts_types::server::ObservedHostKey;
use parking_lot::Mutex;
use russh::keys::{HashAlg, PublicKeyOrCertificate};
use std::sync::Arc;

/// What the server showed, for whoever started the handshake.
#[derive(Clone, Default)]
pub(super) struct Seen(Arc<Mutex<Option<ObservedHostKey>>>);

impl Seen {
    pub(super) fn take(&self) -> Option<ObservedHostKey> {
        self.0.lock().take()
    }
}

/// Lives as long as the connection; the loss is told when it is dropped.
pub(super) struct Handler {
    /// None: look and hang up.
    expected: Option<Fingerprint>,
    seen: Seen,
    _loss: Option<Loss>,
}

impl Handler {
    pub(super) fn observing(seen: Seen) -> Self {
        Self { expected: None, seen, _loss: None }
    }

    pub(super) fn pinned(expected: Fingerprint, seen: Seen, loss: Loss) -> Self {
        Self { expected: Some(expected), seen, _loss: Some(loss) }
    }
}

impl russh::client::Handler for Handler {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        // Certificates are never asked for; a server that sends one anyway is refused.
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let observed = ObservedHostKey {
            algorithm: keys::algorithm_name(key),
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        };
        let same = self.expected.as_ref().is_some_and(|e| e.as_str() == observed.fingerprint);
        *self.seen.0.lock() = Some(observed);
        Ok(same && keys::strong_enough(key))
    }
}
