//! Who makes a request.

use std::collections::BTreeMap;

/// Members may do everything (row I13).
pub const MASTERS: &str = "system:masters";
/// Everybody who has shown a valid credential (row I4).
pub const AUTHENTICATED: &str = "system:authenticated";
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
pub const ANONYMOUS: &str = "system:anonymous";

/// Who makes a request, after authentication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: String,
    /// Includes `system:authenticated` or `system:unauthenticated` (row I4).
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// Nobody in particular: no credential was shown (row E2).
    pub fn anonymous() -> Self {
        Self { name: ANONYMOUS.to_owned(), groups: vec![UNAUTHENTICATED.to_owned()], ..Self::default() }
    }

    /// Somebody known: `system:authenticated` is added unless it is there, or the user is the anonymous one (row I4).
    pub fn authenticated(name: &str, groups: impl IntoIterator<Item = String>) -> Self {
        let mut groups: Vec<String> = groups.into_iter().collect();
        let known = if name == ANONYMOUS { UNAUTHENTICATED } else { AUTHENTICATED };
        if !groups.iter().any(|g| g == AUTHENTICATED || g == UNAUTHENTICATED) {
            groups.push(known.to_owned());
        }
        Self { name: name.to_owned(), groups, ..Self::default() }
    }

    /// A ServiceAccount, with its groups (row I4).
    pub fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        let groups = ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
        let user = Self::authenticated(&service_account_name(namespace, name), groups);
        Self { uid: uid.to_owned(), ..user }
    }

    pub fn is_anonymous(&self) -> bool {
        self.name == ANONYMOUS
    }

    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }
}

/// The user name of a ServiceAccount.
pub fn service_account_name(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}
