//! The HTTP face of the API server, as one tower service. See README.md.

#![allow(clippy::result_large_err, reason = "a Status is the answer itself, made once a request")]

mod accept;
mod admin;
mod answer;
mod api;
mod body;
mod call;
mod columns;
mod discovery;
mod handlers;
mod health;
mod hooks;
mod identity;
mod intake;
mod list;
mod measure;
mod openapi;
mod options;
mod pages;
mod partial;
mod pieces;
mod query;
mod reviews;
mod routes;
mod spans;
mod stream;
mod table;
mod target;
mod version;
mod warnings;

pub use admin::{Admin, AdminAnswer, AdminRequest, AdminStream};
pub use answer::{Body, BodyError};
pub use api::{Api, ApiParts, Limits};
pub use handlers::log::{LogError, LogOptions, LogSource, LogStream};
pub use health::HealthCheck;
pub use hooks::AlertSink;
pub use pages::MetricsPages;
pub use version::VersionInfo;
