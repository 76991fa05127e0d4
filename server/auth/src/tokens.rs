//! Tokens that somebody wrote down: the administrator's and those of a token file. Only their hashes are kept.

use crate::{Error, User};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use otternauts_meta::Secret;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// Users by the hash of their token.
#[derive(Debug, Default)]
pub struct StaticTokens {
    /// By the first bytes of the hash, so that a long file costs no more than a short one.
    buckets: HashMap<[u8; 8], Vec<Known>>,
}

/// A new token of 32 random bytes, in base64url.
pub fn generate() -> Result<Secret<String>, Error> {
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(crate::random_bytes::<32>()?)))
}

/// The hash of a token, and whose it is.
type Known = ([u8; 32], Arc<User>);

impl StaticTokens {
    /// A token that is there already gets the new user.
    pub fn add(&mut self, token: &str, user: User) {
        let hash = hash(token);
        let bucket = self.buckets.entry(prefix(&hash)).or_default();
        bucket.retain(|(known, _)| *known != hash);
        bucket.push((hash, Arc::new(user)));
    }

    /// kube-apiserver's token file: `token,user,uid[,"group1,group2"]` a line. Blank lines are left out.
    pub fn add_file(&mut self, text: &str) -> Result<(), Error> {
        for (index, line) in text.lines().enumerate() {
            let refuse = |why| Error::TokenFile { line: index + 1, why };
            if line.trim().is_empty() {
                continue;
            }
            let columns = columns(line).ok_or_else(|| refuse("a quotation mark is not closed"))?;
            let [token, name, uid, rest @ ..] = columns.as_slice() else {
                return Err(refuse("expected at least token, user name and uid"));
            };
            if token.is_empty() || name.is_empty() {
                return Err(refuse("the token or the user name is empty"));
            }
            let groups = rest.first().map(String::as_str).unwrap_or_default();
            let groups = groups.split(',').map(str::trim).filter(|group| !group.is_empty()).map(str::to_owned);
            self.add(token, User { uid: uid.clone(), ..User::authenticated(name, groups) });
        }
        Ok(())
    }

    /// The user of a token. Hashes are compared in constant time.
    pub fn find(&self, token: &str) -> Option<&Arc<User>> {
        let hash = hash(token);
        let bucket = self.buckets.get(&prefix(&hash))?;
        bucket.iter().find(|(known, _)| equal(known, &hash)).map(|(_, user)| user)
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn prefix(hash: &[u8; 32]) -> [u8; 8] {
    let mut prefix = [0; 8];
    prefix.copy_from_slice(&hash[..8]);
    prefix
}

fn equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let difference = a.iter().zip(b).fold(0_u8, |all, (x, y)| std::hint::black_box(all | (x ^ y)));
    difference == 0
}

/// The columns of one CSV line; a doubled quotation mark inside quotation marks is one.
fn columns(line: &str) -> Option<Vec<String>> {
    let mut columns = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.trim().chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                columns.last_mut()?.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => columns.push(String::new()),
            _ => columns.last_mut()?.push(c),
        }
    }
    (!quoted).then_some(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_is_read_as_kube_apiserver_reads_it() {
        let mut tokens = StaticTokens::default();
        tokens.add_file("t1,alice,1,\"dev,ops\"\n\n t2,bob,2\nt3,\"carol, the first\",3,one\n").expect("valid");
        let check = |token: &str, expected: Option<(&str, &[&str])>| {
            let found = tokens.find(token).map(|user| (user.name.as_str(), user.groups.clone()));
            let expected = expected.map(|(name, groups)| (name, groups.iter().map(ToString::to_string).collect()));
            assert_eq!(found, expected, "{token}");
        };
        check("t1", Some(("alice", &["dev", "ops", "system:authenticated"])));
        check("t2", Some(("bob", &["system:authenticated"])));
        check("t3", Some(("carol, the first", &["one", "system:authenticated"])));
        check("t4", None);
        check("", None);
    }

    #[test]
    fn a_bad_token_file_is_refused_with_its_line_and_without_its_token() {
        for (text, expected) in [
            ("a,b,c\nsecret,d", "the token file is not valid, line 2: expected at least token, user name and uid"),
            (",b,c", "the token file is not valid, line 1: the token or the user name is empty"),
            ("a,\"b,c", "the token file is not valid, line 1: a quotation mark is not closed"),
        ] {
            let error = StaticTokens::default().add_file(text).expect_err("not valid").to_string();
            assert_eq!(error, expected);
        }
    }

    #[test]
    fn made_tokens_have_32_random_bytes() {
        let (a, b) = (generate().expect("random"), generate().expect("random"));
        assert_eq!(a.expose().len(), 43);
        assert_ne!(a.expose(), b.expose());
    }
}
