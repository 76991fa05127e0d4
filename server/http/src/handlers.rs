//! One file a verb; this one picks (rows T3, C18, E5).

mod create;
mod delete;
mod delete_collection;
mod get;
mod list;
pub mod log;
mod patch;
pub mod paths;
mod update;
mod watch;

use crate::answer::Answer;
use crate::call::Call;
use crate::reviews;
use crate::target::{Served, method_not_allowed};
use bytes::Bytes;
use http::Method;
use otternauts_meta::Status;
use otternauts_registry::{Subresource, Target};

/// Everything beyond this point is authorised; `body` is empty for requests that change nothing.
pub async fn run(call: &Call, served: &Served, body: Bytes, permit: Option<Held>) -> Result<Answer, Status> {
    match served {
        Served::Kind(target) => verb(call, target, body, permit).await,
        Served::Log(target) if call.route.verb == "get" => Box::pin(log::run(call, target, permit)).await,
        Served::Token(target) if call.route.verb == "create" => {
            Box::pin(reviews::token_request::run(call, target, body)).await
        }
        Served::Review(kind) if call.route.verb == "create" => Box::pin(reviews::run(call, kind, body)).await,
        Served::Log(target) | Served::Token(target) => Err(method_not_allowed(target, &call.route.verb)),
        Served::Review(_) => Err(Status::method_not_allowed()),
    }
}

/// What a long-running request holds on to until it ends.
pub type Held = Box<dyn Send + Sync>;

async fn verb(call: &Call, target: &Target, body: Bytes, permit: Option<Held>) -> Result<Answer, Status> {
    if let Some(warning) = target.definition.version(&target.version).and_then(|v| v.deprecation.as_ref()) {
        call.caller.warn(warning.clone());
    }
    let builtin = target.definition.is_builtin();
    let refused = || method_not_allowed(target, &call.route.verb);
    let whole = target.subresource == Subresource::None;
    let named = target.name.is_some();
    if call.method == Method::HEAD && builtin {
        return Err(refused());
    }
    // Boxed where they are large: a `get` carries none of it along.
    match call.route.verb.as_str() {
        "get" => get::run(call, target).await,
        "list" => Box::pin(list::run(call, target)).await,
        "watch" => Box::pin(watch::run(call, target, permit)).await,
        "create" if whole && !(builtin && named) => Box::pin(create::run(call, target, body)).await,
        "update" | "patch" if !named && !builtin => Err(Status::bad_request("name must be provided")),
        "update" if named => Box::pin(update::run(call, target, body)).await,
        "patch" if named => Box::pin(patch::run(call, target, body)).await,
        "delete" if whole => Box::pin(delete::run(call, target, body)).await,
        "deletecollection" if !is_namespaces(target) => Box::pin(delete_collection::run(call, target, body)).await,
        _ => Err(refused()),
    }
}

fn is_namespaces(target: &Target) -> bool {
    target.definition.group.is_empty() && target.definition.names.plural == "namespaces"
}
