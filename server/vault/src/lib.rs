//! Sealing of secret fields before they reach the store, and the keys that do it. See README.md.

pub mod fields;
pub mod identity;
mod keyring;
#[cfg(test)]
mod tests;

pub use identity::{Identity, KeySources};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use keyring::Keyring;
use otternauts_meta::Object;
use otternauts_schema::Definition;
use serde_json::Value;
use std::path::PathBuf;

/// What every sealed value begins with; a number, a colon and base64 follow.
pub const SEALED_PREFIX: &str = "otter:v1:";

/// Fresh for every value. 24 random bytes never meet twice.
const NONCE_BYTES: usize = 24;

/// Why nothing was sealed or opened. No variant carries a key or a plain value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the secret key from {from} is not one AGE-SECRET-KEY-1... line")]
    NotAKey { from: String },
    #[error("the secret key file {path} cannot be read")]
    KeyFile {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the secret key file {path} can be read by others (mode {mode:o}); run: chmod 600 {path}")]
    KeyFileOpen { path: PathBuf, mode: u32 },
    #[error(
        "this store's secrets are sealed for the key {needed}, and the key given is {given}; nothing was written. Start again \
         with the right key (OTTERNAUTS_SECRET_KEY, --secret-key-file or secret.key in the data directory)"
    )]
    WrongKey { needed: String, given: String },
    #[error(
        "this store's secrets are sealed for the key {needed}, and no key was given; nothing was written. Put the key back \
         (OTTERNAUTS_SECRET_KEY, --secret-key-file or secret.key in the data directory)"
    )]
    MissingKey { needed: String },
    #[error("the store's wrapped data key cannot be read: {0}")]
    Keyring(&'static str),
    #[error("the system gave no random bytes")]
    Random,
    #[error("the value could not be sealed")]
    Seal,
    /// A value that stands where only sealed ones may, or that was moved, changed or sealed under a key we do not have.
    #[error("the sealed value {field} of {object} cannot be opened: {why}")]
    Open { object: String, field: String, why: &'static str },
}

/// Seals and opens the secret fields of objects. Share it by `Arc`.
pub struct Vault {
    keys: Keyring,
}

impl Vault {
    /// Opens the keyring that the store kept, or makes one when it kept none: then the second value is to be stored, before
    /// the first object is. A keyring of another identity is refused.
    pub fn open(identity: &Identity, wrapped: Option<&[u8]>) -> Result<(Self, Option<Vec<u8>>), Error> {
        match wrapped {
            Some(bytes) => Ok((Self { keys: Keyring::unwrap(identity, bytes)? }, None)),
            None => {
                let (keys, bytes) = Keyring::generate(identity)?;
                Ok((Self { keys }, Some(bytes)))
            }
        }
    }

    /// The public half of the key that a kept keyring needs, for the message when there is none.
    pub fn needs(wrapped: &[u8]) -> Result<String, Error> {
        keyring::recipient_of(wrapped)
    }

    /// Whether objects of this kind have sealed fields at all: others can be served from the stored bytes as they are.
    pub fn seals(&self, definition: &Definition) -> bool {
        !fields::sealed(&definition.group, &definition.names.kind).is_empty()
    }

    /// Replaces every secret field by its sealed form. Name, namespace and uid must be final: they are bound in.
    pub fn seal_object(&self, definition: &Definition, object: &mut Object) -> Result<(), Error> {
        let place = self.place(definition, object);
        fields::each(fields::sealed(&definition.group, &definition.names.kind), object, |field, value| {
            let plain = serde_json::to_vec(value).map_err(|_| Error::Seal)?;
            *value = Value::String(self.seal(&place, field, &plain)?);
            Ok(())
        })
    }

    /// The reverse. A field that is not sealed, or not sealed for this place, is an error: the store was tampered with.
    pub fn open_object(&self, definition: &Definition, object: &mut Object) -> Result<(), Error> {
        let place = self.place(definition, object);
        let name = format!("{} {}/{}", definition.names.kind, object.namespace(), object.name());
        fields::each(fields::sealed(&definition.group, &definition.names.kind), object, |field, value| {
            let refuse = |why| Error::Open { object: name.clone(), field: field.to_owned(), why };
            let sealed = value.as_str().ok_or_else(|| refuse("it is not sealed"))?;
            let plain = zeroize::Zeroizing::new(self.unseal(&place, field, sealed).map_err(refuse)?);
            *value = serde_json::from_slice(&plain).map_err(|_| refuse("it holds no JSON value"))?;
            Ok(())
        })
    }

    /// What a value is bound to, but for field and key: it opens nowhere else (P13).
    fn place(&self, definition: &Definition, object: &Object) -> String {
        format!(
            "v1|{}|{}/{}|{}|{}|{}",
            self.keys.store_id(),
            definition.group,
            definition.names.kind,
            object.namespace(),
            object.name(),
            object.uid()
        )
    }

    fn seal(&self, place: &str, field: &str, plain: &[u8]) -> Result<String, Error> {
        let (id, cipher) = self.keys.active();
        let nonce = keyring::random::<NONCE_BYTES>()?;
        let aad = format!("{place}|{field}|{id}");
        let sealed = cipher
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: aad.as_bytes() })
            .map_err(|_| Error::Seal)?;
        let mut text = format!("{SEALED_PREFIX}{id}:");
        STANDARD_NO_PAD.encode_string([nonce.as_slice(), &sealed].concat(), &mut text);
        Ok(text)
    }

    fn unseal(&self, place: &str, field: &str, sealed: &str) -> Result<Vec<u8>, &'static str> {
        let (id, text) =
            sealed.strip_prefix(SEALED_PREFIX).and_then(|rest| rest.split_once(':')).ok_or("it is not sealed")?;
        let cipher: &XChaCha20Poly1305 =
            id.parse().ok().and_then(|id| self.keys.get(id)).ok_or("its key is not in the keyring")?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| "it is damaged")?;
        let (nonce, body) = bytes.split_at_checked(NONCE_BYTES).ok_or("it is damaged")?;
        let aad = format!("{place}|{field}|{id}");
        cipher
            .decrypt(XNonce::from_slice(nonce), Payload { msg: body, aad: aad.as_bytes() })
            .map_err(|_| "it was changed, or moved here from another place")
    }
}
