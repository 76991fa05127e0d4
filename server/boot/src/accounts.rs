//! Is the account behind a ServiceAccount token still the one the token was made for?

use otternauts_auth::User;
use otternauts_auth::authenticate::UidLookup;
use otternauts_meta::Object;
use otternauts_registry::{Caller, Registry, Subresource, Target};
use std::sync::Arc;

/// Reads the account from the registry, as it is now.
pub fn uid_lookup(registry: Registry) -> UidLookup {
    Arc::new(move |namespace, name| {
        let registry = registry.clone();
        Box::pin(async move { live_uid(&registry, namespace, name).await })
    })
}

async fn live_uid(registry: &Registry, namespace: String, name: String) -> Option<String> {
    let definition = Arc::clone(registry.definitions().resource("", "serviceaccounts")?);
    let target = Target {
        definition,
        version: "v1".to_owned(),
        namespace: Some(namespace),
        name: Some(name),
        subresource: Subresource::None,
    };
    let caller = Caller::new(User::default(), "");
    // As this replica has seen it: nobody waits for a cluster at each request.
    let served = registry.get(&caller, &target, "0").await.ok()?;
    let account = Object::from_value(serde_json::from_slice(&served.bytes).ok()?).ok()?;
    (!account.is_terminating()).then(|| account.uid().to_owned())
}
