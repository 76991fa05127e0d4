//! Our own objects as JSON, one after the other, never all at once.

use otternauts_auth::User;
use otternauts_meta::Status;
use otternauts_registry::{Caller, ListOptions, Registry, Subresource, Target};
use serde_json::Value;

const GROUP: &str = "otternauts.dev";
const VERSION: &str = "v1";

pub struct Objects {
    registry: Registry,
    caller: Caller,
}

impl Objects {
    pub fn new(registry: Registry) -> Self {
        // Who scrapes was authorised for the page; the objects are read by the process itself.
        let user = User { name: "system:metrics".to_owned(), ..User::default() };
        Self { registry, caller: Caller::new(user, "") }
    }

    /// Shows every object of a kind of ours; none when the kind is not served.
    pub async fn each(&self, plural: &str, mut show: impl FnMut(Value)) -> Result<(), Status> {
        let Some(definition) = self.registry.definitions().find(GROUP, VERSION, plural).cloned() else { return Ok(()) };
        let version = VERSION.to_owned();
        let target = Target { definition, version, namespace: None, name: None, subresource: Subresource::None };
        let list = self.registry.list(&self.caller, &target, &ListOptions::default()).await?;
        let (mut items, mut rest) = (list.items, list.rest);
        loop {
            for item in items.drain(..) {
                // What is served is JSON; were it not, the object would be missing here, and the rest still be shown.
                if let Ok(object) = serde_json::from_slice(&item) {
                    show(object);
                }
            }
            let Some(mut more) = rest.take() else { return Ok(()) };
            let (next, unread) = more.next().await?;
            items = next;
            rest = unread.then_some(more);
        }
    }
}
