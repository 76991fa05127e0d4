//! The API service as the listener wants it.

use crate::listener::Handler;
use http::{Request, Response};
use hyper::body::Incoming;
use otternauts_http::{Api, Body};
use tower::Service as _;

#[derive(Clone)]
pub struct ApiHandler(pub Api);

impl Handler for ApiHandler {
    type Body = Body;

    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let mut api = self.0.clone();
        match api.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
