//! What a registry says about an image, asked by the engine with its own trust and proxies.

use super::{Docker, explain};
use crate::error::{Error, Result};
use bollard::auth::DockerCredentials;
use otternauts_meta::Secret;

/// Who we are at one registry.
#[derive(Clone, Debug)]
pub struct RegistryLogin {
    /// As in image names; `docker.io` for short ones.
    pub registry: String,
    pub username: String,
    pub password: Secret<String>,
}

impl Docker {
    /// The digest behind an image's name. The error is the registry's own word, which a failed task's "No such image" is not
    /// (OT-F10).
    pub async fn registry_digest(&self, image: &str, login: Option<&RegistryLogin>) -> Result<Option<String>> {
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"._-/:@".contains(&c);
        if image.is_empty() || image.len() > 512 || image.contains("..") || !image.bytes().all(fits) {
            return Err(Error::Invalid { what: "the image", why: "it is not an image's name".to_owned() });
        }
        let credentials = login.map(|l| DockerCredentials {
            username: Some(l.username.clone()),
            password: Some(l.password.expose().clone()),
            serveraddress: Some(l.registry.clone()),
            ..DockerCredentials::default()
        });
        let found = self.api.inspect_registry_image(image, credentials).await.map_err(explain)?;
        Ok(found.descriptor.digest)
    }
}
