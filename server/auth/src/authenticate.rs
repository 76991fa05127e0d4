//! Who somebody is: certificate first, then bearer token, else nobody in particular (rows E2, I1, I2).

#[cfg(test)]
mod tests;

use crate::User;
use crate::service_account::TokenKey;
use crate::tokens::StaticTokens;
use otternauts_meta::Timestamp;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

/// What the listener knows of a connection. It stands in the extensions of every request; the server accepts none without it.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// `None` for requests from inside the process.
    pub address: Option<SocketAddr>,
    /// From a client certificate that the TLS layer has verified against our authority (row I2).
    pub certificate: Option<Arc<User>>,
    /// A controller of this process: no credential is asked for, everything else (RBAC, admission, audit) is as for anybody.
    pub inside: Option<Arc<User>>,
}

/// A credential was shown and is not valid: 401 on every path (row E2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Unauthorized")]
pub struct Unauthorized;

/// The uid of a live ServiceAccount by namespace and name; `None` when there is none, or it is on its way out.
pub type UidLookup = Arc<dyn Fn(String, String) -> Pin<Box<dyn Future<Output = Option<String>> + Send>> + Send + Sync>;

/// Where "now" comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Holds everything a credential is checked against.
pub struct Authenticator {
    tokens: StaticTokens,
    key: Arc<TokenKey>,
    uid_of: UidLookup,
    clock: Clock,
}

impl Authenticator {
    pub fn new(tokens: StaticTokens, key: Arc<TokenKey>, uid_of: UidLookup, clock: Clock) -> Self {
        Self { tokens, key, uid_of, clock }
    }

    /// Issues ServiceAccount tokens (row I7).
    pub fn token_key(&self) -> &TokenKey {
        &self.key
    }

    /// The user behind a request: `authorization` is the header's value. No credential at all is the anonymous user.
    pub async fn authenticate(&self, peer: &Peer, authorization: Option<&str>) -> Result<Arc<User>, Unauthorized> {
        if let Some(user) = peer.inside.as_ref().or(peer.certificate.as_ref()) {
            return Ok(Arc::clone(user));
        }
        let Some(token) = authorization.and_then(bearer) else { return Ok(Arc::new(User::anonymous())) };
        self.token(token, &[]).await.map(|(user, _)| user).ok_or(Unauthorized)
    }

    /// The user behind a bearer token and the audiences it is good for (TokenReview, row I11); no `audiences`: this server's.
    pub async fn token(&self, token: &str, audiences: &[String]) -> Option<(Arc<User>, Vec<String>)> {
        if let Some(user) = self.tokens.find(token) {
            return Some((Arc::clone(user), audiences.to_vec()));
        }
        let claims = self.key.verify(token, audiences, (self.clock)())?;
        let live = (self.uid_of)(claims.namespace.clone(), claims.name.clone()).await?;
        if live != claims.uid {
            return None;
        }
        let mut user = User::service_account(&claims.namespace, &claims.name, &claims.uid);
        user.extra.insert("authentication.kubernetes.io/credential-id".to_owned(), vec![format!("JTI={}", claims.id)]);
        Some((Arc::new(user), claims.audiences))
    }
}

/// The token of a `Bearer` header, whatever the case of the scheme; an empty one is none (row I1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
