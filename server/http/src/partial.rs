//! PartialObjectMetadata (row N15): an object's metadata cut out of its bytes, nothing decoded.

use crate::answer::encode;
use otternauts_meta::Status;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow)]
    metadata: &'a RawValue,
}

/// `metadata` of a stored object, as the bytes say it.
pub fn metadata(object: &[u8]) -> Result<&str, Status> {
    serde_json::from_slice::<Parts<'_>>(object)
        .map(|parts| parts.metadata.get())
        .map_err(|_| Status::internal("a stored object has no metadata"))
}

/// Appends the partial form of an object; `version` is `v1` or `v1beta1`.
pub fn write(out: &mut Vec<u8>, object: &[u8], version: &str) -> Result<(), Status> {
    let metadata = metadata(object)?;
    out.extend_from_slice(br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/"#);
    out.extend_from_slice(version.as_bytes());
    out.extend_from_slice(br#"","metadata":"#);
    out.extend_from_slice(metadata.as_bytes());
    out.push(b'}');
    Ok(())
}

/// The metadata of a list or table: `resourceVersion`, then `continue` and `remainingItemCount` where there is something to say.
pub fn list_meta(resource_version: &str, continue_token: &str, remaining: Option<u64>) -> Vec<u8> {
    let mut map = serde_json::Map::new();
    map.insert("resourceVersion".to_owned(), resource_version.into());
    if !continue_token.is_empty() {
        map.insert("continue".to_owned(), continue_token.into());
    }
    if let Some(remaining) = remaining {
        map.insert("remainingItemCount".to_owned(), remaining.into());
    }
    encode(&map.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_metadata_is_kept_and_byte_for_byte() {
        let object =
            br#"{"apiVersion":"o.dev/v1","kind":"Stack","metadata":{"name":"a","labels":{"x":"y"}},"spec":{"n":1}}"#;
        let mut out = Vec::new();
        write(&mut out, object, "v1").expect("has metadata");
        assert_eq!(
            String::from_utf8(out).expect("UTF-8"),
            r#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"a","labels":{"x":"y"}}}"#
        );
        assert!(write(&mut Vec::new(), b"{}", "v1").is_err());
    }

    #[test]
    fn list_metadata_says_only_what_there_is() {
        assert_eq!(list_meta("7", "", None), br#"{"resourceVersion":"7"}"#);
        assert_eq!(list_meta("7", "t", Some(2)), br#"{"resourceVersion":"7","continue":"t","remainingItemCount":2}"#);
    }
}
