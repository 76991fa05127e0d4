//! YAML to a [`Value`] (rows N8, F8). Bounded: depth, nodes and alias expansions.

use super::json::{Decoded, MAX_DEPTH, normalise};
use serde_json::Value;
use serde_saphyr::options::DuplicateKeyPolicy;

/// Reads one YAML document; JSON is YAML too. A key that comes twice is reported as Go's YAML reader words it, with its line:
/// `line 4: key "replicas" already set in map`. Only the first such key is named.
pub fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "yaml: invalid UTF-8".to_owned())?;
    match parse(text, DuplicateKeyPolicy::Error) {
        Ok(value) => Ok(Decoded { value, duplicates: Vec::new() }),
        Err(serde_saphyr::Error::DuplicateMappingKey { key, location }) => {
            let value = parse(text, DuplicateKeyPolicy::LastWins).map_err(|e| format!("yaml: {e}"))?;
            let key = key.unwrap_or_default();
            Ok(Decoded { value, duplicates: vec![format!("line {}: key {key:?} already set in map", location.line())] })
        }
        Err(error) => Err(format!("yaml: {error}")),
    }
}

fn parse(text: &str, duplicate_keys: DuplicateKeyPolicy) -> Result<Value, serde_saphyr::Error> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH },
        duplicate_keys: duplicate_keys,
        with_snippet: false,
    };
    let mut value: Value = serde_saphyr::from_str_with_options(text, options)?;
    normalise(&mut value);
    Ok(value)
}

/// A value as YAML with its keys sorted, for clients that accept nothing else (row N8).
pub fn encode(mut value: Value) -> Result<Vec<u8>, String> {
    value.sort_all_objects();
    serde_saphyr::to_string(&value).map(String::into_bytes).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_reads_as_json_would() {
        let decoded =
            decode(b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  n: \"1\"\n").expect("valid");
        assert_eq!(
            decoded.value.to_string(),
            r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"n":"1"}}"#
        );
        assert!(decoded.duplicates.is_empty());
    }

    #[test]
    fn a_key_that_comes_twice_is_named_with_its_line() {
        let decoded = decode(b"kind: Stack\nspec:\n  replicas: 1\n  replicas: 2\n").expect("valid");
        assert_eq!(decoded.value["spec"]["replicas"], 2);
        assert_eq!(decoded.duplicates, [r#"line 4: key "replicas" already set in map"#]);
    }

    #[test]
    fn what_is_no_yaml_is_refused() {
        assert!(decode(b"a: [1,").is_err());
        assert!(decode(&[0xff, 0xfe, 0x00]).is_err());
    }
}
