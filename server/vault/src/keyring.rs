//! Data keys by number, wrapped by the root key and by recovery keys. The newest seals; all of them open.

use crate::recipients::{self, Recipient};
use crate::{Error, Identity};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use rand::TryRng as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

const STORE_ID_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
/// Store id, key number, key.
const WRAPPED_BYTES: usize = STORE_ID_BYTES + 4 + KEY_BYTES;
/// Fresh for every value. 24 random bytes never meet twice.
pub(crate) const NONCE_BYTES: usize = 24;

#[derive(Clone)]
struct DataKey {
    raw: Zeroizing<[u8; KEY_BYTES]>,
    cipher: XChaCha20Poly1305,
}

#[derive(Clone)]
pub(crate) struct Keyring {
    store_id: [u8; STORE_ID_BYTES],
    /// Never empty.
    keys: BTreeMap<u32, DataKey>,
    /// The root key's public half.
    recipient: Recipient,
    /// Public halves of keys that may open the keyring when the root key is lost.
    recovery: Vec<Recipient>,
}

/// What the store keeps. Numbers and ids stand inside the wrapped part, where they cannot be changed.
#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    /// Which root key opens it.
    recipient: String,
    /// Which others open it too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    recovery: Vec<String>,
    /// age files in base64.
    keys: Vec<String>,
    /// Made with the newest key over the root's and the others' recipients: who can write the database cannot add himself to them.
    #[serde(default)]
    seal: String,
}

impl Keyring {
    pub(crate) fn generate(identity: &Identity) -> Result<Self, Error> {
        let mut keys = BTreeMap::new();
        keys.insert(1, DataKey::generate()?);
        let recipient = Recipient::parse(&identity.recipient())?;
        Ok(Self { store_id: random()?, keys, recipient, recovery: Vec::new() })
    }

    /// Opens a kept keyring; any of its recipients' identities does.
    pub(crate) fn unwrap(identity: &Identity, bytes: &[u8]) -> Result<Self, Error> {
        let document = read(bytes)?;
        let mut store_id = None;
        let mut keys = BTreeMap::new();
        for key in &document.keys {
            let file = STANDARD.decode(key).map_err(|_| Error::Keyring("a key is not base64"))?;
            let plain = age::decrypt(&identity.0, &file).map_err(|_| Error::WrongKey {
                needed: document.readers().join(" or "),
                given: identity.recipient(),
            })?;
            let plain = Zeroizing::new(plain);
            let (Some((id, rest)), WRAPPED_BYTES) = (plain.split_first_chunk::<STORE_ID_BYTES>(), plain.len()) else {
                return Err(Error::Keyring("a key has the wrong length"));
            };
            if *store_id.get_or_insert(*id) != *id {
                return Err(Error::Keyring("its keys belong to different stores"));
            }
            let Some((number, key)) = rest.split_first_chunk::<4>() else {
                return Err(Error::Keyring("a key has the wrong length"));
            };
            let raw = Zeroizing::new(<[u8; KEY_BYTES]>::try_from(key).map_err(|_| Error::Keyring("a key is short"))?);
            keys.insert(u32::from_be_bytes(*number), DataKey::new(raw));
        }
        let store_id = store_id.ok_or(Error::Keyring("it holds no key"))?;
        let recipient = Recipient::parse(&document.recipient)?;
        let keyring = Self { store_id, keys, recipient, recovery: recipients::parse_all(&document.recovery)? };
        if !keyring.has_made(&document.seal) {
            return Err(Error::Keyring("its list of recipients was changed"));
        }
        Ok(keyring)
    }

    /// Whether `next` can be what this one has become. Everybody can wrap keys of his own for a root key, whose public half is no
    /// secret; the id of the store only its keyrings know. One from before would bring back keys and recipients that are gone.
    pub(crate) fn leads_to(&self, next: &Self) -> Result<(), Error> {
        let same = |(number, key): (&u32, &DataKey)| self.keys.get(number).is_none_or(|known| known.raw == key.raw);
        if next.store_id != self.store_id || !next.keys.iter().all(same) {
            return Err(Error::Keyring("it is of another store"));
        }
        if next.active().0 < self.active().0 {
            return Err(Error::Keyring("it is older than the one before"));
        }
        Ok(())
    }

    /// The form that the store keeps: every key wrapped to the root and to all recovery recipients.
    pub(crate) fn wrap(&self) -> Result<Vec<u8>, Error> {
        let readers: Vec<&Recipient> = std::iter::once(&self.recipient).chain(&self.recovery).collect();
        let keys = self.keys.iter().map(|(number, key)| {
            let mut plain = Zeroizing::new([0_u8; WRAPPED_BYTES]);
            plain[..STORE_ID_BYTES].copy_from_slice(&self.store_id);
            plain[STORE_ID_BYTES..STORE_ID_BYTES + 4].copy_from_slice(&number.to_be_bytes());
            plain[STORE_ID_BYTES + 4..].copy_from_slice(key.raw.as_slice());
            Ok(STANDARD.encode(recipients::encrypt(&readers, plain.as_slice())?))
        });
        let keys = keys.collect::<Result<_, Error>>()?;
        let document = Document {
            version: 1,
            recipient: self.recipient.to_string(),
            recovery: self.recovery.iter().map(Recipient::to_string).collect(),
            keys,
            seal: self.make_seal()?,
        };
        serde_json::to_vec(&document).map_err(|_| Error::Seal)
    }

    /// With one more key, which seals from now on.
    pub(crate) fn grown(&self) -> Result<Self, Error> {
        let mut grown = self.clone();
        let next = self.active().0.checked_add(1).ok_or(Error::Keyring("it has no number left"))?;
        grown.keys.insert(next, DataKey::generate()?);
        Ok(grown)
    }

    /// With the newest key alone.
    pub(crate) fn newest_only(&self) -> Self {
        let active = self.active().0;
        let mut alone = self.clone();
        alone.keys.retain(|number, _| *number == active);
        alone
    }

    pub(crate) fn for_readers(&self, recipient: Recipient, recovery: Vec<Recipient>) -> Self {
        Self { recipient, recovery, ..self.clone() }
    }

    pub(crate) fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    pub(crate) fn recovery(&self) -> &[Recipient] {
        &self.recovery
    }

    pub(crate) fn numbers(&self) -> Vec<u32> {
        self.keys.keys().copied().collect()
    }

    pub(crate) fn store_id(&self) -> String {
        self.store_id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn active(&self) -> (u32, &XChaCha20Poly1305) {
        let (id, key) = self.keys.last_key_value().expect("a keyring is never empty");
        (*id, &key.cipher)
    }

    pub(crate) fn get(&self, id: u32) -> Option<&XChaCha20Poly1305> {
        self.keys.get(&id).map(|key| &key.cipher)
    }

    /// What the seal of the document is bound to.
    fn readers(&self) -> String {
        let recovery: Vec<String> = self.recovery.iter().map(Recipient::to_string).collect();
        format!("keyring|v1|{}|{}|{}", self.store_id(), self.recipient, recovery.join(","))
    }

    fn make_seal(&self) -> Result<String, Error> {
        let (nonce, readers) = (random::<NONCE_BYTES>()?, self.readers());
        let tag = self.active().1.encrypt(XNonce::from_slice(&nonce), Payload { msg: b"", aad: readers.as_bytes() });
        Ok(STANDARD.encode([nonce.as_slice(), &tag.map_err(|_| Error::Seal)?].concat()))
    }

    fn has_made(&self, seal: &str) -> bool {
        let Ok(bytes) = STANDARD.decode(seal) else { return false };
        let Some((nonce, tag)) = bytes.split_at_checked(NONCE_BYTES) else { return false };
        let readers = self.readers();
        let payload = Payload { msg: tag, aad: readers.as_bytes() };
        self.active().1.decrypt(XNonce::from_slice(nonce), payload).is_ok()
    }
}

impl DataKey {
    fn generate() -> Result<Self, Error> {
        Ok(Self::new(Zeroizing::new(random()?)))
    }

    fn new(raw: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let cipher = XChaCha20Poly1305::new(raw.as_slice().into());
        Self { raw, cipher }
    }
}

impl Document {
    fn readers(&self) -> Vec<String> {
        std::iter::once(&self.recipient).chain(&self.recovery).cloned().collect()
    }
}

fn read(bytes: &[u8]) -> Result<Document, Error> {
    let document: Document = serde_json::from_slice(bytes).map_err(|_| Error::Keyring("it is not JSON"))?;
    if document.version != 1 {
        return Err(Error::Keyring("it was written by a newer version"));
    }
    Ok(document)
}

/// Who can open a kept keyring: the root first, then the recovery recipients.
pub(crate) fn readers_of(bytes: &[u8]) -> Result<Vec<String>, Error> {
    read(bytes).map(|document| document.readers())
}

/// From the operating system, never from a generator that a cloned machine would repeat (R27).
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0_u8; N];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|_| Error::Random)?;
    Ok(bytes)
}
