//! The private key file: found unusable here rather than on the way to the server.

use crate::exit::{Code, Failure};
use anyhow::Context as _;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use otternauts_meta::Secret;
use std::io::Read as _;
use std::path::Path;

/// Far above any private key, in bytes.
const MAX_BYTES: u64 = 64 * 1024;
const OPENSSH: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";

pub fn read(path: &Path) -> anyhow::Result<Secret<Vec<u8>>> {
    let shown = path.display();
    let file = std::fs::File::open(path).with_context(|| format!("cannot read the key {shown}"))?;
    let mut text = String::new();
    let read = file.take(MAX_BYTES).read_to_string(&mut text);
    let text = Secret::new(text);
    read.with_context(|| format!("cannot read the key {shown}"))?;
    match problem(text.expose()) {
        None => Ok(Secret::new(text.expose().as_bytes().to_vec())),
        Some((why, next)) => Err(Failure::new(Code::Error, format!("{shown} {why}")).next(next).into()),
    }
}

/// Why a text cannot be used as a key, and what to do about it.
fn problem(text: &str) -> Option<(&'static str, &'static str)> {
    if text.starts_with("ssh-") || text.starts_with("ecdsa-") || text.starts_with("sk-") {
        return Some(("is a public key", "give the private one: the same file without .pub"));
    }
    if !text.contains("PRIVATE KEY-----") {
        return Some(("is not a private key", "make one: ssh-keygen -t ed25519 -N '' -f FILE"));
    }
    if text.contains("ENCRYPTED") || openssh_cipher(text).is_some_and(|cipher| cipher != b"none") {
        let next = "give a key of its own without one: ssh-keygen -t ed25519 -N '' -f FILE";
        return Some(("is protected with a passphrase, which the control plane does not have", next));
    }
    None
}

/// OpenSSH's own form says first how it is encrypted: magic, length, name.
fn openssh_cipher(text: &str) -> Option<Vec<u8>> {
    let body = text.split_once(OPENSSH)?.1.split("-----").next()?;
    let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    let bytes = Secret::new(BASE64_STANDARD.decode(body).ok()?);
    let rest = bytes.expose().strip_prefix(b"openssh-key-v1\0")?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    rest.get(..length).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openssh(cipher: &[u8]) -> String {
        let mut bytes = b"openssh-key-v1\0".to_vec();
        bytes.extend(u32::try_from(cipher.len()).expect("short").to_be_bytes());
        bytes.extend(cipher);
        bytes.extend([0; 64]);
        format!("{OPENSSH}\n{}\n-----END OPENSSH PRIVATE KEY-----\n", BASE64_STANDARD.encode(bytes))
    }

    #[test]
    fn keys_that_cannot_be_used_are_told_apart() {
        let check = |text: &str, expected: Option<&str>| {
            let found = problem(text).map(|(why, _)| why);
            assert!(found.unwrap_or_default().starts_with(expected.unwrap_or_default()), "{text}: {found:?}");
            assert_eq!(found.is_some(), expected.is_some(), "{text}: {found:?}");
        };
        check(&openssh(b"none"), None);
        check(&openssh(b"aes256-ctr"), Some("is protected"));
        check("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n", None);
        check("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n", Some("is protected"));
        check("-----BEGIN ENCRYPTED PRIVATE KEY-----\n", Some("is protected"));
        check("ssh-ed25519 AAAA me\n", Some("is a public key"));
        check("hello", Some("is not a private key"));
        check("", Some("is not a private key"));
        check(&format!("{OPENSSH}\n%%%\n"), None);
    }
}
