//! Traefik 3: it finds services by itself, from the labels that the renderer gives them (OT-30, OT-32). Pure.

use crate::proxy::{ACME_CA, Desired, acme_ca, directory, image};
use otternauts_compose::{CERT_RESOLVER, INGRESS_NETWORK};
use otternauts_types::cluster::{Acme, Ingress};
use serde_json::json;

const IMAGE: &str = "traefik";
const VERSION: &str = "v3.6.1";
/// Older ones speak a version of Docker's API that Docker 29 refuses, and find no service.
const OLDEST: (u32, u32, u32) = (3, 6, 1);

pub fn stack(ingress: &Ingress, acme: Option<&Acme>) -> Result<Desired, String> {
    let (image, version) = image(ingress, IMAGE, VERSION);
    if number(&version).is_some_and(|v| v < OLDEST) {
        return Err(format!("Traefik {version} is too old: v3.6.1 or newer is needed"));
    }
    let resolver = format!("--certificatesresolvers.{CERT_RESOLVER}.acme");
    let mut command = vec![
        "--providers.swarm.endpoint=unix:///var/run/docker.sock".to_owned(),
        format!("--providers.swarm.network={INGRESS_NETWORK}"),
        "--providers.swarm.exposedByDefault=false".to_owned(),
        // A task that is going is asked for that long; the routers' retry bridges it.
        "--providers.swarm.refreshSeconds=1".to_owned(),
        "--entrypoints.web.address=:80".to_owned(),
        "--entrypoints.web.http.redirections.entrypoint.to=websecure".to_owned(),
        "--entrypoints.web.http.redirections.entrypoint.scheme=https".to_owned(),
        "--entrypoints.websecure.address=:443".to_owned(),
        format!("{resolver}.httpchallenge.entrypoint=web"),
        format!("{resolver}.storage=/acme/acme.json"),
        format!("{resolver}.caserver={}", directory(acme)),
    ];
    command.extend(acme.map(|a| &a.email).filter(|e| !e.is_empty()).map(|email| format!("{resolver}.email={email}")));
    command.extend(["--log.level=INFO".to_owned(), "--log.format=json".to_owned()]);
    let mut own = json!({
        "command": command,
        "volumes": [
            {"type": "bind", "source": "/var/run/docker.sock", "target": "/var/run/docker.sock", "read_only": true},
            {"type": "volume", "source": "traefik-acme", "target": "/acme"},
        ],
    });
    let ca = acme_ca(acme);
    if ca.is_some() {
        own["environment"] = json!({"LEGO_CA_CERTIFICATES": ACME_CA});
    }
    let volumes = json!({"traefik-acme": {"name": "traefik-acme"}});
    Ok(Desired::new("traefik", (image, version), ingress, ca.into_iter().collect(), own, volumes))
}

/// `v3.6.1` as numbers; `None` for tags that say less, such as `v3` or a digest.
fn number(tag: &str) -> Option<(u32, u32, u32)> {
    let mut parts = tag.trim_start_matches('v').split('-').next()?.split('.').map(|p| p.parse::<u32>().ok());
    let (major, minor) = (parts.next()??, parts.next()??);
    // `v3.5` is the newest of its line; that of 3.6 is new enough.
    Some((major, minor, parts.next().unwrap_or(Some(u32::MAX))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_find_no_service_are_refused() {
        let with = |version: &str| {
            let ingress = Ingress { version: Some(version.into()), ..Ingress::default() };
            stack(&ingress, None).map(|d| d.image)
        };
        for old in ["v3.0", "v3.6.0", "3.5.4", "v2.11.31", "v3.5"] {
            assert!(with(old).expect_err(old).contains("too old"), "{old}");
        }
        for fine in ["v3.6.1", "v3.6", "3.7.8", "v3.6.1-rc1", "v3", "latest"] {
            assert_eq!(with(fine), Ok(format!("traefik:{fine}")));
        }
    }
}
