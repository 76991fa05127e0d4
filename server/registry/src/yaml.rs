//! The body of an apply: YAML, or JSON, which is YAML too (row A1). Bounded depth, nodes and aliases.

use otternauts_patch::MAX_DEPTH;
use serde_json::Value;
use serde_saphyr::options::DuplicateKeyPolicy;

pub(crate) struct Document {
    pub value: Value,
    /// The first key that came twice, as Go's reader words it.
    pub duplicate: Option<String>,
}

pub(crate) fn read(bytes: &[u8]) -> Result<Document, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "yaml: invalid UTF-8".to_owned())?;
    match parse(text, DuplicateKeyPolicy::Error) {
        Ok(value) => Ok(Document { value, duplicate: None }),
        Err(serde_saphyr::Error::DuplicateMappingKey { key, location }) => {
            let value = parse(text, DuplicateKeyPolicy::LastWins).map_err(|e| format!("yaml: {e}"))?;
            let key = key.unwrap_or_default();
            Ok(Document { value, duplicate: Some(format!("line {}: key {key:?} already set in map", location.line())) })
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
    serde_saphyr::from_str_with_options(text, options)
}
