//! Data keys by number, wrapped by the root key. The newest seals; all of them open.

use crate::{Error, Identity};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use rand::TryRng as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

const STORE_ID_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
/// Store id, key number, key.
const WRAPPED_BYTES: usize = STORE_ID_BYTES + 4 + KEY_BYTES;

pub(crate) struct Keyring {
    store_id: [u8; STORE_ID_BYTES],
    /// Never empty.
    ciphers: BTreeMap<u32, XChaCha20Poly1305>,
}

/// What the store keeps. Numbers and ids stand inside the wrapped part, where they cannot be changed.
#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    /// Which root key opens it.
    recipient: String,
    /// age files in base64.
    keys: Vec<String>,
}

impl Keyring {
    pub(crate) fn generate(identity: &Identity) -> Result<(Self, Vec<u8>), Error> {
        let mut plain = Zeroizing::new([0_u8; WRAPPED_BYTES]);
        plain[..STORE_ID_BYTES].copy_from_slice(&random::<STORE_ID_BYTES>()?);
        plain[STORE_ID_BYTES..STORE_ID_BYTES + 4].copy_from_slice(&1_u32.to_be_bytes());
        plain[STORE_ID_BYTES + 4..].copy_from_slice(Zeroizing::new(random::<KEY_BYTES>()?).as_slice());
        let wrapped = age::encrypt(&identity.0.to_public(), plain.as_slice()).map_err(|_| Error::Seal)?;
        let document = Document { version: 1, recipient: identity.recipient(), keys: vec![STANDARD.encode(wrapped)] };
        let bytes = serde_json::to_vec(&document).map_err(|_| Error::Seal)?;
        Ok((Self::unwrap(identity, &bytes)?, bytes))
    }

    pub(crate) fn unwrap(identity: &Identity, bytes: &[u8]) -> Result<Self, Error> {
        let document = read(bytes)?;
        let mut store_id = None;
        let mut ciphers = BTreeMap::new();
        for key in &document.keys {
            let file = STANDARD.decode(key).map_err(|_| Error::Keyring("a key is not base64"))?;
            let plain = age::decrypt(&identity.0, &file)
                .map_err(|_| Error::WrongKey { needed: document.recipient.clone(), given: identity.recipient() })?;
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
            ciphers.insert(u32::from_be_bytes(*number), XChaCha20Poly1305::new(key.into()));
        }
        let store_id = store_id.ok_or(Error::Keyring("it holds no key"))?;
        Ok(Self { store_id, ciphers })
    }

    pub(crate) fn store_id(&self) -> String {
        self.store_id.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn active(&self) -> (u32, &XChaCha20Poly1305) {
        let (id, cipher) = self.ciphers.last_key_value().expect("a keyring is never empty");
        (*id, cipher)
    }

    pub(crate) fn get(&self, id: u32) -> Option<&XChaCha20Poly1305> {
        self.ciphers.get(&id)
    }
}

fn read(bytes: &[u8]) -> Result<Document, Error> {
    let document: Document = serde_json::from_slice(bytes).map_err(|_| Error::Keyring("it is not JSON"))?;
    if document.version != 1 {
        return Err(Error::Keyring("it was written by a newer version"));
    }
    Ok(document)
}

pub(crate) fn recipient_of(bytes: &[u8]) -> Result<String, Error> {
    read(bytes).map(|document| document.recipient)
}

/// From the operating system, never from a generator that a cloned machine would repeat (R27).
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0_u8; N];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|_| Error::Random)?;
    Ok(bytes)
}
