//! What the audit log is told: each action that is over, with the values that caused it. Whoever starts the controller says where
//! it goes; that must not wait.

use std::sync::Arc;

/// One action that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acted<'a> {
    /// The rule's.
    pub namespace: &'a str,
    pub rule: &'a str,
    /// The action's own, as in `status.recentActions`.
    pub id: &'a str,
    /// As it is written in the rule.
    pub action: &'static str,
    /// `Stack/NAMESPACE/NAME`, `Stack/NAMESPACE/NAME/SERVICE` or `Server/NAME`.
    pub target: &'a str,
    /// The condition with the values that made it true.
    pub cause: &'a str,
    pub failed: bool,
    /// What came of it.
    pub message: &'a str,
}

pub type Audit = Arc<dyn Fn(&Acted<'_>) + Send + Sync>;
