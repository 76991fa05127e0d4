//! Which keys and algorithms we accept: ed25519, ECDSA, RSA with SHA-2 from 2048 bits up; SHA-1 never.

use crate::error::{Error, Result};
use otternauts_meta::Secret;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey, PublicKey};
use russh::{Preferred, kex};
use std::borrow::Cow;
use std::sync::Arc;

const MIN_RSA_BITS: u32 = 2048;

/// A kind of host key, to ask a server for one it does not show by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ed25519,
    Ecdsa,
    Rsa,
}

pub(super) struct UserKey(pub(super) Arc<PrivateKey>);

/// Reads a private key of a Secret; it stays in memory only.
pub(super) fn load(text: &Secret<String>) -> Result<UserKey> {
    let unusable = |why: &str| Error::KeyUnusable { why: why.to_owned() };
    if text.expose().trim().is_empty() {
        return Err(unusable("it is empty"));
    }
    // The parser's error could quote its input, so it is not repeated.
    let key = russh::keys::decode_secret_key(text.expose(), None).map_err(|e| match e {
        russh::keys::Error::KeyIsEncrypted => unusable("it is protected by a passphrase"),
        _ => unusable("it is not an OpenSSH or PEM private key"),
    })?;
    if key.is_encrypted() {
        return Err(unusable("it is protected by a passphrase"));
    }
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::Rsa { .. } => {}
        other => return Err(unusable(&format!("keys of kind {other} are not supported"))),
    }
    if !strong_enough(key.public_key()) {
        return Err(unusable(&format!("RSA keys need at least {MIN_RSA_BITS} bits")));
    }
    Ok(UserKey(Arc::new(key)))
}

pub(super) fn strong_enough(key: &PublicKey) -> bool {
    key.key_data().rsa().is_none_or(|rsa| rsa.key_size() >= MIN_RSA_BITS)
}

/// The name as `ssh-keygen` and known_hosts have it; for RSA the key's, not the signature's.
pub(super) fn algorithm_name(key: &PublicKey) -> String {
    match key.algorithm() {
        Algorithm::Rsa { .. } => "ssh-rsa".to_owned(),
        other => other.as_str().to_owned(),
    }
}

/// Everything modern, nothing with SHA-1; host keys of one kind only when `kind` says so.
pub(super) fn preferred(kind: Option<Kind>) -> Preferred {
    let all = [
        (Kind::Ed25519, Algorithm::Ed25519),
        (Kind::Ecdsa, Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }),
        (Kind::Ecdsa, Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 }),
        (Kind::Ecdsa, Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 }),
        (Kind::Rsa, Algorithm::Rsa { hash: Some(HashAlg::Sha512) }),
        (Kind::Rsa, Algorithm::Rsa { hash: Some(HashAlg::Sha256) }),
    ];
    let keys: Vec<Algorithm> = all.into_iter().filter(|(k, _)| kind.is_none_or(|w| w == *k)).map(|(_, a)| a).collect();
    Preferred {
        kex: Cow::Borrowed(&[
            kex::MLKEM768X25519_SHA256,
            kex::CURVE25519,
            kex::CURVE25519_PRE_RFC_8731,
            kex::EXTENSION_SUPPORT_AS_CLIENT,
            kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
        ]),
        key: Cow::Owned(keys),
        ..Preferred::DEFAULT
    }
}

#[cfg(test)]
mod tests;
