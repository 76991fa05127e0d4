//! The Docker Engine API of one server. bollard and its generated types stay in here; callers get small structs.

mod container;
mod objects;
mod operation;
mod registry;
mod service;
mod stats;
mod streams;
mod swarm;
mod transport;
mod types;
mod workload;

pub use registry::RegistryLogin;
pub use service::Changed;
pub use types::*;

use crate::error::{Error, Result};
use crate::host::Host;
use bollard::ClientVersion;

/// The newest API version that we know; the engine's own is taken when it is older.
const NEWEST: (usize, usize) = (1, 53);

/// A client of one engine. Every call is a channel of its own on the server's connection.
#[derive(Clone)]
pub struct Docker {
    api: bollard::Docker,
    engine: Engine,
    host: Host,
    /// What is spoken: `/v1.45`.
    prefix: String,
}

impl Docker {
    /// Asks the engine for its version and speaks the newest one that both know (1.44 and later since Docker 25).
    pub(crate) async fn connect(host: &Host) -> Result<Self> {
        let engine = transport::version(host).await?;
        let (major, minor) = api_version(&engine.api_version)
            .ok_or_else(|| Error::DockerUnavailable { why: format!("API version {:?}", engine.api_version) })?
            .min(NEWEST);
        let version = ClientVersion { major_version: major, minor_version: minor };
        let transport = transport::over(host.clone());
        let seconds = host.engine_timeout().as_secs();
        let api = bollard::Docker::connect_with_custom_transport(transport, Some("http://docker"), seconds, &version)
            .map_err(|e| Error::DockerUnavailable { why: e.to_string() })?;
        Ok(Self { api, engine, host: host.clone(), prefix: format!("/v{major}.{minor}") })
    }

    /// The engine's own version.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What the engine says about itself and its machine.
    pub async fn info(&self) -> Result<Info> {
        Ok(Info::from(self.api.info().await.map_err(explain)?))
    }
}

fn api_version(text: &str) -> Option<(usize, usize)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Our own errors travel through bollard inside an I/O error and come out as they went in.
fn explain(e: bollard::errors::Error) -> Error {
    use bollard::errors::Error as B;
    match e {
        B::DockerResponseServerError { status_code, message } => Error::Docker { status: status_code, message },
        B::RequestTimeoutError => {
            Error::Timeout { what: "a call of the Docker Engine API", after: std::time::Duration::from_secs(60) }
        }
        B::IOError { err } => match err.downcast::<Error>() {
            Ok(ours) => ours,
            Err(io) => Error::DockerUnavailable { why: io.to_string() },
        },
        other => Error::DockerUnavailable { why: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_versions_are_compared_as_numbers() {
        assert_eq!(api_version("1.45"), Some((1, 45)));
        assert!(api_version("1.9") < api_version("1.44"));
        for bad in ["", "1", "1.x", "1.44.1"] {
            assert_eq!(api_version(bad), None, "{bad:?}");
        }
    }
}
