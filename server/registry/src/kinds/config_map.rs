//! ConfigMap (row B13).

use super::secret::{MAX_DATA, bad_key, immutable_data};
use super::{Kind, typed};
use crate::request::Subresource;
use otternauts_meta::{ErrorList, FieldError, Object, Path};
use serde_json::Value;

pub(super) struct ConfigMap;

impl Kind for ConfigMap {
    fn read(&self, object: &mut Object) -> Result<(), String> {
        typed::base64_map(object, "binaryData")?;
        typed::omit_empty(object, &["data", "binaryData"]);
        Ok(())
    }

    fn validate(&self, object: &Object, old: Option<&Object>, _subresource: Subresource) -> ErrorList {
        let mut errors = ErrorList::new();
        let mut total = 0;
        for field in ["data", "binaryData"] {
            let path = Path::new(field);
            for (key, value) in object.at(&[field]).and_then(Value::as_object).into_iter().flatten() {
                if let Some(why) = bad_key(key) {
                    errors.push(FieldError::invalid(&path.key(key), key.as_str(), why));
                }
                if field == "binaryData" && object.at(&["data", key]).is_some() {
                    let detail = "duplicate of key present in data";
                    errors.push(FieldError::invalid(&path.key(key), key.as_str(), detail));
                }
                let length = value.as_str().map_or(0, str::len);
                total += if field == "binaryData" { length / 4 * 3 } else { length };
            }
        }
        if total > MAX_DATA {
            errors.push(FieldError::too_long(&Path::root(), MAX_DATA));
        }
        if let Some(old) = old {
            errors.extend(immutable_data(object, old, &["data", "binaryData"]));
        }
        errors
    }
}
