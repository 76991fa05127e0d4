//! Sealing of secret fields before they reach the store, and the keys that do it. See README.md.

pub mod fields;
pub mod identity;
mod keyring;
pub mod recipients;
#[cfg(test)]
mod tests;

pub use identity::{Identity, KeySources};
pub use recipients::{Recipient, SealedStream, open_stream};

use arc_swap::{ArcSwap, ArcSwapOption};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use keyring::{Keyring, NONCE_BYTES};
use otternauts_meta::Object;
use otternauts_schema::Definition;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// What every sealed value begins with; a number, a colon and base64 follow.
pub const SEALED_PREFIX: &str = "otter:v1:";

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
         (OTTERNAUTS_SECRET_KEY, --secret-key-file or secret.key in the data directory), or make a new one with a recovery key: otter keys recover"
    )]
    MissingKey { needed: String },
    #[error("the store's wrapped data key cannot be read: {0}")]
    Keyring(&'static str),
    #[error("{given} is not one age1... recipient (the public half of a key)")]
    NotARecipient { given: String },
    #[error("there is no recipient, so nobody could open it")]
    NoRecipient,
    /// Also a stream that was cut short or changed, found while it is read.
    #[error("the sealed stream cannot be written or read")]
    Stream(#[source] std::io::Error),
    #[error("this is not a sealed stream, or its beginning was changed")]
    NotAStream,
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
    keys: ArcSwap<Keyring>,
    /// Keys that are dropped already, for readers of what was read before.
    retired: ArcSwapOption<Keyring>,
}

/// A changed keyring on its way: first it is stored, then it is installed. Only one may be on its way at a time.
pub struct Change {
    keys: Keyring,
    wrapped: Vec<u8>,
}

impl Change {
    fn of(keys: Keyring) -> Result<Self, Error> {
        Ok(Self { wrapped: keys.wrap()?, keys })
    }

    /// What the store is to keep from now on.
    pub fn wrapped(&self) -> &[u8] {
        &self.wrapped
    }
}

impl Vault {
    /// Opens the keyring that the store kept, or makes one when it kept none: then the second value is to be stored, before
    /// the first object is. A keyring of another identity is refused.
    pub fn open(identity: &Identity, wrapped: Option<&[u8]>) -> Result<(Self, Option<Vec<u8>>), Error> {
        let (keys, made) = match wrapped {
            Some(bytes) => (Keyring::unwrap(identity, bytes)?, None),
            None => {
                let keys = Keyring::generate(identity)?;
                let bytes = keys.wrap()?;
                (keys, Some(bytes))
            }
        };
        Ok((Self { keys: ArcSwap::from_pointee(keys), retired: ArcSwapOption::empty() }, made))
    }

    /// One more data key, which seals once it is installed (R28).
    pub fn with_new_key(&self) -> Result<Change, Error> {
        Change::of(self.keys.load().grown()?)
    }

    /// The newest data key alone. The others are gone for good with it: see first that nothing names them.
    pub fn with_newest_key_only(&self) -> Result<Change, Error> {
        Change::of(self.keys.load().newest_only())
    }

    /// A keyring that somebody else has kept meanwhile: of another replica. Refused when it is wrapped for another root key, or is
    /// none that this one can have become: who can write the database is not to choose the key that secrets are sealed under.
    pub fn adopt(&self, identity: &Identity, wrapped: &[u8]) -> Result<Change, Error> {
        let needed = Self::needs(wrapped)?;
        if needed != identity.recipient() {
            return Err(Error::WrongKey { needed, given: identity.recipient() });
        }
        let keys = Keyring::unwrap(identity, wrapped)?;
        self.keys.load().leads_to(&keys)?;
        Ok(Change { keys, wrapped: wrapped.to_vec() })
    }

    /// The same data keys, wrapped for another root key or for other recovery recipients.
    pub fn rewrapped(&self, root: Recipient, recovery: Vec<Recipient>) -> Result<Change, Error> {
        let recovery = recovery.into_iter().filter(|recipient| *recipient != root).collect();
        Change::of(self.keys.load().for_readers(root, recovery))
    }

    /// Seals with the changed keyring from now on. Call it when the store has it. Keys that it drops go on opening, in this process, until
    /// [`Vault::forget_retired`]: a watcher may be about to read what it was handed before.
    pub fn install(&self, change: Change) {
        let before = self.keys.swap(Arc::new(change.keys));
        if before.numbers().iter().any(|number| self.keys.load().get(*number).is_none()) {
            self.retired.store(Some(before));
        }
    }

    /// Dropped keys open nothing any more.
    pub fn forget_retired(&self) {
        self.retired.store(None);
    }

    /// The data keys wrapped for others, for a backup: the first reader stands where the root key does. Whoever is one of them opens it
    /// by [`Vault::open`].
    pub fn export(&self, readers: &[Recipient]) -> Result<Vec<u8>, Error> {
        let (first, others) = readers.split_first().ok_or(Error::NoRecipient)?;
        self.keys.load().for_readers(first.clone(), others.to_vec()).wrap()
    }

    /// The public half of the root key.
    pub fn root(&self) -> Recipient {
        self.keys.load().recipient().clone()
    }

    /// Who else can open the keyring.
    pub fn recovery(&self) -> Vec<Recipient> {
        self.keys.load().recovery().to_vec()
    }

    /// The numbers of the data keys, ascending; the last one seals.
    pub fn key_numbers(&self) -> Vec<u32> {
        self.keys.load().numbers()
    }

    /// A short name of the store that the keys belong to, for files: it says nothing of the keys.
    pub fn store_name(&self) -> String {
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(format!("name|{}", self.keys.load().store_id()));
        digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The number of the data key that seals.
    pub fn active_key(&self) -> u32 {
        self.keys.load().active().0
    }

    /// The public half of the root key that a kept keyring needs, for the message when there is none.
    pub fn needs(wrapped: &[u8]) -> Result<String, Error> {
        Ok(Self::readers(wrapped)?.swap_remove(0))
    }

    /// The public halves of all keys that open a kept keyring, the root's first.
    pub fn readers(wrapped: &[u8]) -> Result<Vec<String>, Error> {
        keyring::readers_of(wrapped)
    }

    /// Whether objects of this kind have sealed fields at all: others can be served from the stored bytes as they are.
    pub fn seals(&self, definition: &Definition) -> bool {
        !fields::sealed(&definition.group, &definition.names.kind).is_empty()
    }

    /// Under which data keys the sealed fields of a stored object are. Nothing is opened; a field that is not sealed counts as key 0.
    pub fn keys_named(&self, definition: &Definition, object: &mut Object) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        let seen = fields::each(fields::sealed(&definition.group, &definition.names.kind), object, |_, value| {
            found.insert(value.as_str().and_then(split).map_or(0, |(number, _)| number));
            Ok::<(), std::convert::Infallible>(())
        });
        match seen {
            Ok(()) => found,
            Err(never) => match never {},
        }
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
            self.keys.load().store_id(),
            definition.group,
            definition.names.kind,
            object.namespace(),
            object.name(),
            object.uid()
        )
    }

    fn seal(&self, place: &str, field: &str, plain: &[u8]) -> Result<String, Error> {
        let keys = self.keys.load();
        let (id, cipher) = keys.active();
        let nonce = keyring::random::<NONCE_BYTES>()?;
        let aad = bound_to(place, field, id);
        let sealed = cipher
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: aad.as_bytes() })
            .map_err(|_| Error::Seal)?;
        let mut text = format!("{SEALED_PREFIX}{id}:");
        STANDARD_NO_PAD.encode_string([nonce.as_slice(), &sealed].concat(), &mut text);
        Ok(text)
    }

    fn unseal(&self, place: &str, field: &str, sealed: &str) -> Result<Vec<u8>, &'static str> {
        let (id, text) = split(sealed).ok_or("it is not sealed")?;
        let keys = self.keys.load();
        let retired = self.retired.load();
        let found = keys.get(id).or_else(|| retired.as_ref()?.get(id));
        let cipher: &XChaCha20Poly1305 = found.ok_or("its key is not in the keyring")?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| "it is damaged")?;
        let (nonce, body) = bytes.split_at_checked(NONCE_BYTES).ok_or("it is damaged")?;
        let aad = bound_to(place, field, id);
        cipher
            .decrypt(XNonce::from_slice(nonce), Payload { msg: body, aad: aad.as_bytes() })
            .map_err(|_| "it was changed, or moved here from another place")
    }
}

/// What a sealed value is bound to: it opens nowhere else (R26). Unbound only where a test plants that bug, to see it caught.
fn bound_to(place: &str, field: &str, id: u32) -> String {
    #[cfg(all(feature = "planted", debug_assertions))]
    if std::env::var_os("OTTERNAUTS_PLANTED").is_some_and(|bug| bug == "no-aad") {
        return String::new();
    }
    format!("{place}|{field}|{id}")
}

/// The number of the key and the rest of a sealed value.
fn split(sealed: &str) -> Option<(u32, &str)> {
    let (number, rest) = sealed.strip_prefix(SEALED_PREFIX)?.split_once(':')?;
    Some((number.parse().ok()?, rest))
}
