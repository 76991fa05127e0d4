//! Which fields of which kinds are secret.

use otternauts_meta::Object;
use serde_json::{Map, Value};

/// One place of secrets in an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The value at this path.
    At(&'static [&'static str]),
    /// Every value of the map at this path.
    EachOf(&'static [&'static str]),
}

/// The table. Kinds that are not in it have no secret fields.
pub fn sealed(group: &str, kind: &str) -> &'static [Field] {
    match (group, kind) {
        ("", "Secret") => &[
            Field::EachOf(&["data"]),
            Field::At(&["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"]),
        ],
        _ => &[],
    }
}

/// The resources of the table, as the store names them.
pub const RESOURCES: [&str; 1] = ["secrets"];

/// Calls `visit` with the name and the value of every secret field that is there. Names are paths joined by `/`.
pub(crate) fn each<E>(
    fields: &[Field],
    object: &mut Object,
    mut visit: impl FnMut(&str, &mut Value) -> Result<(), E>,
) -> Result<(), E> {
    for field in fields {
        match field {
            Field::At(path) => {
                let Some((last, parents)) = path.split_last() else { continue };
                if let Some(value) = map_at(object, parents).and_then(|map| map.get_mut(*last)) {
                    visit(&path.join("/"), value)?;
                }
            }
            Field::EachOf(path) => {
                let prefix = path.join("/");
                for (key, value) in map_at(object, path).into_iter().flatten() {
                    visit(&format!("{prefix}/{key}"), value)?;
                }
            }
        }
    }
    Ok(())
}

fn map_at<'a>(object: &'a mut Object, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    path.iter().try_fold(&mut object.0, |map, key| map.get_mut(*key)?.as_object_mut())
}
