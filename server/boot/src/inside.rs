//! The controllers' way to the API without a socket: the same service, the same RBAC, admission and audit, under the name
//! of each controller's ServiceAccount.

use crate::config::Controller;
use http::header::{HeaderValue, USER_AGENT};
use http::{Request, Response};
use hyper::body::{Body, Bytes};
use otternauts_auth::{Peer, User};
use std::sync::Arc;
use tower::{Service, ServiceExt as _};

/// Where the controllers' ServiceAccounts live.
pub const SYSTEM_NAMESPACE: &str = "otternauts-system";

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A client of the server's own, for what is nobody's task but its own.
pub fn own_client(api: otternauts_http::Api) -> kube::Client {
    let user = User::authenticated("system:apiserver", [otternauts_auth::user::MASTERS.to_owned()]);
    client_of(api, user, HeaderValue::from_static("otternauts"))
}

/// A client that speaks as `system:serviceaccount:otternauts-system:<controller>`.
pub fn client<S, B>(api: S, controller: Controller) -> kube::Client
where
    S: Service<Request<kube::client::Body>, Response = Response<B>, Future: Send, Error: Into<BoxError>>
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let user = User::service_account(SYSTEM_NAMESPACE, controller.name(), "");
    // Also the field manager of writes that name none (row P12).
    let agent = match controller {
        Controller::Onboarding => HeaderValue::from_static("otternauts-onboarding"),
        Controller::Deploy => HeaderValue::from_static("otternauts-deploy"),
        Controller::Health => HeaderValue::from_static("otternauts-health"),
        Controller::Ingress => HeaderValue::from_static("otternauts-ingress"),
        Controller::Healing => HeaderValue::from_static("otternauts-healing"),
        Controller::Notify => HeaderValue::from_static("otternauts-notify"),
    };
    client_of(api, user, agent)
}

fn client_of<S, B>(api: S, user: User, agent: HeaderValue) -> kube::Client
where
    S: Service<Request<kube::client::Body>, Response = Response<B>, Future: Send, Error: Into<BoxError>>
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let peer = Peer { inside: Some(Arc::new(user)), ..Peer::default() };
    let service = api.map_request(move |mut request: Request<kube::client::Body>| {
        request.extensions_mut().insert(peer.clone());
        request.headers_mut().entry(USER_AGENT).or_insert_with(|| agent.clone());
        request
    });
    kube::Client::new(service, SYSTEM_NAMESPACE)
}
