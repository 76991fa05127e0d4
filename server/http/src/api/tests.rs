//! The whole service in process, over the memory store.

mod errors;
pub(super) mod matrix;
mod objects;
mod protobuf;
mod reviews;
mod served;
mod watches;

use super::*;
use http::{Method, StatusCode};
use otternauts_auth::User;
use otternauts_auth::service_account::TokenKey;
use otternauts_auth::tokens::StaticTokens;
use otternauts_store::Store;
use otternauts_vault::{Identity, Vault};
use serde_json::Value;
use tower::Service as _;

/// A server of its own for one test.
struct Server {
    api: Api,
    /// Ends watches when it says true.
    stop: tokio::sync::watch::Sender<bool>,
}

/// An answer read to its end.
struct Reply {
    code: u16,
    headers: HeaderMap,
    text: String,
}

impl Reply {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }

    /// `404 NotFound: message`
    #[track_caller]
    fn status(&self) -> String {
        let status = self.json();
        let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
        assert_eq!(status["kind"], "Status", "{}", self.text);
        assert_eq!(status["code"], self.code, "the code in the body is the code of the answer");
        format!("{} {}: {}", self.code, text("reason"), text("message"))
    }
}

impl Server {
    async fn start() -> Self {
        Self::start_with(Limits::default()).await
    }

    async fn start_with(limits: Limits) -> Self {
        let (vault, _) = Vault::open(&Identity::generate(), None).expect("a new vault");
        let registry = Registry::new(Store::memory(), Arc::new(vault), Arc::new(now)).await.expect("opens");
        let mut tokens = StaticTokens::default();
        tokens.add("root", User::authenticated("admin", ["system:masters".to_owned()]));
        tokens.add("bob", User::authenticated("bob", []));
        let key = TokenKey::load(TokenKey::generate().expect("made").expose()).expect("valid");
        let uid_of = registry.clone();
        let uid_of = Arc::new(move |namespace: String, name: String| {
            let registry = uid_of.clone();
            let found: Pin<Box<dyn Future<Output = Option<String>> + Send>> =
                Box::pin(async move { service_account_uid(&registry, namespace, name).await });
            found
        });
        let authenticator = Authenticator::new(tokens, Arc::new(key), uid_of, Arc::new(now));
        let roles = registry.clone();
        let authorizer = Authorizer::live(move || roles.roles());
        let (stop, shutdown) = tokio::sync::watch::channel(false);
        let metrics = Metrics::new("0.0.0");
        let mut parts = ApiParts::new(registry, Arc::new(authenticator), Arc::new(authorizer), metrics, shutdown);
        parts.advertise = "127.0.0.1:7443".to_owned();
        parts.version = VersionInfo { version: "0.1.0".to_owned(), ..VersionInfo::default() };
        parts.limits = limits;
        Self { api: Api::new(parts), stop }
    }

    /// `request` is `METHOD path`; `headers` are `name: value` lines; the token is the administrator's unless they say otherwise.
    async fn send(&self, request: &str, headers: &[&str], body: impl Into<Bytes>) -> Response<Body> {
        let (method, path) = request.split_once(' ').expect("METHOD path");
        let mut builder = Request::builder().method(Method::from_bytes(method.as_bytes()).expect("a method")).uri(path);
        builder = builder.header("user-agent", "probe/1.0");
        if !headers.iter().any(|h| h.starts_with("authorization:")) {
            builder = builder.header("authorization", "Bearer root");
        }
        for header in headers {
            let (name, value) = header.split_once(": ").expect("name: value");
            builder = builder.header(name, value);
        }
        let request =
            builder.extension(Peer::default()).body(http_body_util::Full::new(body.into())).expect("a request");
        match self.api.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    async fn ask(&self, request: &str, headers: &[&str], body: &str) -> Reply {
        let response = self.send(request, headers, body.to_owned()).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a whole body").to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Reply { code: parts.status.as_u16(), headers: parts.headers, text }
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), &[], "").await
    }

    /// POSTs and wants 201.
    #[track_caller]
    fn create<'a>(&'a self, path: &'a str, body: &'a str) -> impl Future<Output = Value> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let reply = self.ask(&format!("POST {path}"), &[], body).await;
            assert_eq!(reply.code, 201, "{caller}: {}", reply.text);
            reply.json()
        }
    }
}

async fn service_account_uid(registry: &Registry, namespace: String, name: String) -> Option<String> {
    let definition = Arc::clone(registry.definitions().find("", "v1", "serviceaccounts")?);
    let target = otternauts_registry::Target {
        definition,
        version: "v1".to_owned(),
        namespace: Some(namespace),
        name: Some(name),
        subresource: otternauts_registry::Subresource::None,
    };
    let served = registry.get(&Caller::default(), &target, "").await.ok()?;
    let object: Value = serde_json::from_slice(&served.bytes).ok()?;
    Some(object["metadata"]["uid"].as_str()?.to_owned())
}

const CM: &str = "/api/v1/namespaces/default/configmaps";

/// A CRD with what the tests need: a required number, a map list, status, columns.
const WIDGETS: &str = r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.test.example"},
"spec":{"group":"test.example","scope":"Namespaced","names":{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList","shortNames":["wd"]},
"versions":[{"name":"v1","served":true,"storage":true,"subresources":{"status":{}},
"additionalPrinterColumns":[{"name":"Size","type":"integer","jsonPath":".spec.size"}],
"schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","properties":{"size":{"type":"integer"}}},
"status":{"type":"object","properties":{"phase":{"type":"string"}}}}}}}]}}"#;

const WD: &str = "/apis/test.example/v1/namespaces/default/widgets";

/// A server that also serves widgets.
async fn with_widgets() -> Server {
    let server = Server::start().await;
    server.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", WIDGETS).await;
    server
}

#[tokio::test]
async fn nobody_vouches_for_a_request_without_a_peer() {
    let server = Server::start().await;
    let request = Request::builder().uri("/healthz").body(http_body_util::Empty::<Bytes>::new()).expect("a request");
    let Ok(response) = server.api.clone().call(request).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}
