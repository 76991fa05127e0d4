//! Where a paged list goes on (rows L8, L10, L11): base64url of JSON and an HMAC that binds it to its collection.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use otternauts_meta::Status;
use ring::hmac;
use serde::{Deserialize, Serialize};

/// Not more than a namespace, a name and some digits need.
const MAX_LENGTH: usize = 2048;
const MAC_LENGTH: usize = 16;

/// The last key sent, and the revision that the first page was read at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContinueToken {
    /// `None`: at the newest revision (the "inconsistent" token of an expired list, row L10).
    #[serde(rename = "rv", skip_serializing_if = "Option::is_none", default)]
    pub revision: Option<u64>,
    #[serde(rename = "ns", skip_serializing_if = "String::is_empty", default)]
    pub namespace: String,
    pub name: String,
}

impl ContinueToken {
    /// `collection` names what is listed; a token is good for nothing else.
    pub fn encode(&self, key: &hmac::Key, collection: &str) -> String {
        let mut bytes = serde_json::to_vec(self).expect("numbers and strings");
        let tag = sign(key, collection, &bytes);
        bytes.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub fn decode(token: &str, key: &hmac::Key, collection: &str) -> Result<Self, Status> {
        let bad = |why: &str| Status::bad_request(format!("invalid continue token: continue key is not valid: {why}"));
        if token.len() > MAX_LENGTH {
            return Err(bad("it is too long"));
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad("it is not base64url"))?;
        let (json, tag) =
            bytes.split_at_checked(bytes.len().wrapping_sub(MAC_LENGTH)).ok_or_else(|| bad("it is too short"))?;
        // Constant time matters little here: a forged token reads nothing the caller may not list.
        if sign(key, collection, json) != tag {
            return Err(bad("it was not made by this server for this list"));
        }
        serde_json::from_slice(json).map_err(|_| bad("it is of another version"))
    }
}

fn sign(key: &hmac::Key, collection: &str, json: &[u8]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(key);
    context.update(collection.as_bytes());
    context.update(&[0]);
    context.update(json);
    context.sign().as_ref()[..MAC_LENGTH].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_the_list_it_came_from_only_rows_l8_l11() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        let token = ContinueToken { revision: Some(7), namespace: "a".into(), name: "b".into() };
        let text = token.encode(&key, "stacks");
        assert_eq!(ContinueToken::decode(&text, &key, "stacks"), Ok(token));
        let other = hmac::Key::new(hmac::HMAC_SHA256, b"other");
        let long = "a".repeat(5000);
        for (text, key, collection) in [
            (text.as_str(), &key, "servers"),
            (text.as_str(), &other, "stacks"),
            ("abc", &key, "stacks"),
            ("", &key, "stacks"),
            ("!!", &key, "stacks"),
            (long.as_str(), &key, "stacks"),
        ] {
            let status = ContinueToken::decode(text, key, collection).expect_err("refused");
            assert_eq!(status.code, 400);
            assert!(status.message.starts_with("invalid continue token: continue key is not valid: "), "{status}");
        }
    }
}
