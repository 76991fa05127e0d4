//! One number for everything a client can see of a kind.

use sha2::{Digest, Sha256};

/// The first eight bytes of a SHA-256 over the parts; never zero.
pub(crate) fn of(parts: &[&str]) -> u64 {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let bytes: [u8; 32] = digest.finalize().into();
    let head = bytes.iter().take(8).fold(0_u64, |n, b| n << 8 | u64::from(*b));
    head.max(1)
}
