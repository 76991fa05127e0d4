//! A message's way out: which addresses it may go to, TLS, one POST, and its signature. See README.md.

pub mod address;
mod error;
mod http;
pub mod signature;
mod target;
mod tls;

pub use error::DeliveryError;
pub use http::{HttpParcel, post};
pub use target::{HttpTarget, resolve};
pub use tls::config as tls_config;
