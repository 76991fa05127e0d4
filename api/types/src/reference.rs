//! How one object points at another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An object of the same namespace, or of the cluster scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LocalRef {
    pub name: String,
}

/// One key of a ConfigMap in the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfigMapKeyRef {
    pub name: String,
    pub key: String,
}

/// One key of a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretKeyRef {
    /// Where the Secret is; `otternauts-system` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub name: String,
    /// `ssh-privatekey` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl SecretKeyRef {
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or(crate::SYSTEM_NAMESPACE)
    }

    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or("ssh-privatekey")
    }
}
