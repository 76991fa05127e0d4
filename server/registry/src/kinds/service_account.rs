//! ServiceAccount (row B7).

use super::{Kind, typed};
use otternauts_meta::Object;

pub(super) struct ServiceAccount;

impl Kind for ServiceAccount {
    fn read(&self, object: &mut Object) -> Result<(), String> {
        typed::omit_empty(object, &["secrets", "imagePullSecrets"]);
        Ok(())
    }
}
