//! ServiceAccount (row B7).

use super::Kind;

pub(super) struct ServiceAccount;

impl Kind for ServiceAccount {}
