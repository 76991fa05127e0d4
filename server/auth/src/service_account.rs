//! Tokens of ServiceAccounts: signed, short-lived, and good only while their account lives (row I7).

use crate::{Error, random_bytes};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use otternauts_meta::{Secret, Timestamp};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The `iss` of every token, and the audience of those that name none.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// Shorter tokens are refused (row I7), longer ones shortened to a day.
pub const MIN_LIFETIME_SECONDS: i64 = 600;
pub const MAX_LIFETIME_SECONDS: i64 = 24 * 3600;

/// Signs and checks tokens (EdDSA over Ed25519).
pub struct TokenKey {
    pair: Ed25519KeyPair,
    id: String,
}

/// For whom and for how long.
#[derive(Clone, Debug)]
pub struct TokenRequest<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
    pub uid: &'a str,
    /// Empty: this server.
    pub audiences: &'a [String],
    /// Cut to [`MAX_LIFETIME_SECONDS`].
    pub lifetime_seconds: i64,
}

#[derive(Debug)]
pub struct IssuedToken {
    pub token: Secret<String>,
    pub expires: Timestamp,
    pub audiences: Vec<String>,
}

/// What a valid token says; the uid is still to be compared with the live account's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    /// `jti`.
    pub id: String,
    /// Those of the token that were asked for.
    pub audiences: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: String,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    aud: Vec<String>,
    exp: i64,
    iat: i64,
    iss: String,
    jti: String,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Bound,
    nbf: i64,
    sub: String,
}

#[derive(Serialize, Deserialize)]
struct Bound {
    namespace: String,
    serviceaccount: Account,
}

#[derive(Serialize, Deserialize)]
struct Account {
    name: String,
    uid: String,
}

impl TokenKey {
    /// A new key as PKCS#8 PEM, for the file `pki/sa.key`.
    pub fn generate() -> Result<Secret<String>, Error> {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)
            .map_err(|source| Error::Generate { what: "key of the ServiceAccount tokens", source })?;
        Ok(Secret::new(pair.serialize_pem()))
    }

    /// Reads PKCS#8 PEM.
    pub fn load(pem: &str) -> Result<Self, Error> {
        let refuse = |why: String| Error::Invalid { what: "key of the ServiceAccount tokens", why };
        let pem = rcgen::KeyPair::from_pem(pem).map_err(|error| refuse(error.to_string()))?;
        let pair =
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(pem.serialized_der()).map_err(|e| refuse(e.to_string()))?;
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(pair.public_key()));
        Ok(Self { pair, id })
    }

    pub fn issue(&self, request: &TokenRequest<'_>, now: Timestamp) -> Result<IssuedToken, Error> {
        let issued = now.as_seconds();
        let expires = issued + request.lifetime_seconds.clamp(MIN_LIFETIME_SECONDS, MAX_LIFETIME_SECONDS);
        let audiences = if request.audiences.is_empty() { vec![ISSUER.to_owned()] } else { request.audiences.to_vec() };
        let account = Account { name: request.name.to_owned(), uid: request.uid.to_owned() };
        let payload = Payload {
            aud: audiences.clone(),
            exp: expires,
            iat: issued,
            iss: ISSUER.to_owned(),
            jti: token_id(random_bytes()?),
            kubernetes: Bound { namespace: request.namespace.to_owned(), serviceaccount: account },
            nbf: issued,
            sub: crate::user::service_account_name(request.namespace, request.name),
        };
        let header = Header { alg: "EdDSA".to_owned(), kid: self.id.clone() };
        let signed = format!("{}.{}", encode(&header), encode(&payload));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()));
        let expires = Timestamp::from_micros(expires * 1_000_000)
            .ok_or_else(|| Error::Invalid { what: "time of expiry", why: expires.to_string() })?;
        Ok(IssuedToken { token: Secret::new(format!("{signed}.{signature}")), expires, audiences })
    }

    /// `None` unless the token is ours, is valid now and is for one of the audiences (none: this server).
    pub fn verify(&self, token: &str, audiences: &[String], now: Timestamp) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header: Header = decode(header)?;
        if header.alg != "EdDSA" || header.kid != self.id {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        UnparsedPublicKey::new(&ED25519, self.pair.public_key()).verify(signed.as_bytes(), &signature).ok()?;
        let payload: Payload = decode(payload)?;
        let seconds = now.as_seconds();
        if payload.iss != ISSUER || seconds >= payload.exp || seconds < payload.nbf {
            return None;
        }
        let wanted = |audience: &String| {
            if audiences.is_empty() { audience == ISSUER } else { audiences.contains(audience) }
        };
        let audiences: Vec<String> = payload.aud.iter().filter(|a| wanted(a)).cloned().collect();
        let Bound { namespace, serviceaccount: Account { name, uid } } = payload.kubernetes;
        (!audiences.is_empty()).then_some(Claims { namespace, name, uid, id: payload.jti, audiences })
    }
}

fn encode(part: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).expect("strings and numbers only"))
}

fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// Random bytes in the shape of a UUID, as Kubernetes writes `jti`.
fn token_id(bytes: [u8; 16]) -> String {
    let text = hex::encode(bytes);
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).expect("in range")
    }

    fn key() -> TokenKey {
        TokenKey::load(TokenKey::generate().expect("made").expose()).expect("valid")
    }

    fn issue(key: &TokenKey, audiences: &[String], lifetime_seconds: i64) -> IssuedToken {
        let request = TokenRequest { namespace: "ns", name: "bot", uid: "u-1", audiences, lifetime_seconds };
        key.issue(&request, at(1_000_000)).expect("issued")
    }

    #[test]
    fn a_token_is_good_from_its_issue_to_its_expiry() {
        let key = key();
        let issued = issue(&key, &[], 3600);
        let token = issued.token.expose();
        assert_eq!(issued.expires, at(1_003_600));
        let claims = key.verify(token, &[], at(1_000_000)).expect("good");
        assert_eq!((claims.namespace.as_str(), claims.name.as_str(), claims.uid.as_str()), ("ns", "bot", "u-1"));
        assert!(key.verify(token, &[], at(1_003_599)).is_some());
        assert!(key.verify(token, &[], at(1_003_600)).is_none(), "expired");
        assert!(key.verify(token, &[], at(999_999)).is_none(), "not yet");
    }

    #[test]
    fn a_lifetime_is_at_least_ten_minutes_and_at_most_a_day() {
        let key = key();
        assert_eq!(issue(&key, &[], 1).expires, at(1_000_600));
        assert_eq!(issue(&key, &[], i64::MAX).expires, at(1_086_400));
    }

    #[test]
    fn another_audience_another_key_and_a_changed_byte_are_refused() {
        let (key, other) = (self::key(), self::key());
        let now = at(1_000_001);
        let vault = issue(&key, &["vault".to_owned()], 3600);
        assert!(key.verify(vault.token.expose(), &[], now).is_none(), "for somebody else");
        let claims = key.verify(vault.token.expose(), &["vault".to_owned(), "x".to_owned()], now).expect("good");
        assert_eq!(claims.audiences, ["vault"]);
        let ours = issue(&key, &[], 3600);
        assert!(other.verify(ours.token.expose(), &[], now).is_none(), "another key");
        let token = ours.token.expose().as_bytes();
        for position in (0..token.len()).step_by(7) {
            let mut changed = token.to_vec();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ASCII");
            assert!(key.verify(&changed, &[], now).is_none(), "byte {position}");
        }
        for bad in ["", ".", "..", "a.b.c", "e30.e30.e30"] {
            assert!(key.verify(bad, &[], now).is_none(), "{bad}");
        }
    }
}
