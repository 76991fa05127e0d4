//! Kinds from CustomResourceDefinitions.

use super::Kind;

pub(super) struct Custom;

impl Kind for Custom {
    fn has_generation(&self) -> bool {
        true
    }

    fn unconditional_update(&self) -> bool {
        false
    }

    fn strict_finalizers(&self) -> bool {
        false
    }
}
