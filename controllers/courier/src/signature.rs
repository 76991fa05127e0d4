//! The signature of webhooks: HMAC-SHA256 over `id.timestamp.body`, in the headers that the Standard Webhooks specification names.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ring::hmac;

/// Keys made for that specification carry this prefix and are base64 behind it; any other key is used as it is.
const PREFIX: &str = "whsec_";

/// The value of `webhook-signature`. `seconds` is the value of `webhook-timestamp`.
pub fn sign(key: &str, id: &str, seconds: i64, body: &[u8]) -> String {
    let decoded = key.strip_prefix(PREFIX).and_then(|rest| BASE64_STANDARD.decode(rest).ok());
    let key = hmac::Key::new(hmac::HMAC_SHA256, decoded.as_deref().unwrap_or(key.as_bytes()));
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{id}.{seconds}.").as_bytes());
    context.update(body);
    format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `printf 'ID.1.BODY' | openssl dgst -sha256 -hmac KEY -binary | base64`.
    #[test]
    fn signatures_are_those_that_openssl_makes() {
        for (key, id, body, expected) in GOLDEN {
            assert_eq!(sign(key, id, 1_700_000_000, body.as_bytes()), *expected, "{key} {id}");
        }
    }

    const GOLDEN: &[(&str, &str, &str, &str)] = &[
        ("key", "msg", "{}", "v1,9wBg2ZOJWG/zZpZb9gfh3wq+NfO9n+WRtco3As1DtYQ="),
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "{\"test\": 2432232314}",
            "v1,hw6D+jquXiPwVQiZTwb2ek9FSrOofldv7tv4JVMsFUY=",
        ),
    ];
}
