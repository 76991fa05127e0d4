//! Caddy: it has no socket of the engine; we tell it what to route, through its admin API (design section 10). Pure.

use crate::proxy::{ACME_CA, Config, Desired, acme_ca, config, directory, image};
use crate::routes::{Owned, Table};
use otternauts_fleet::INGRESS_DIRECTORY;
use otternauts_types::cluster::{Acme, Ingress};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const IMAGE: &str = "caddy";
const VERSION: &str = "2.10.2";
/// In the container.
const ADMIN: &str = "unix//run/otternauts/admin.sock";
const BOOT: &str = "/etc/otternauts/caddy.json";

/// The stack. It starts with the last configuration it was given, so that our absence and its restarts go unnoticed.
pub fn stack(ingress: &Ingress, acme: Option<&Acme>) -> Desired {
    let boot = config("caddy", BOOT, json!({"admin": {"listen": ADMIN}}).to_string());
    let configs: Vec<Config> = [boot].into_iter().chain(acme_ca(acme)).collect();
    let own = json!({
        "command": ["caddy", "run", "--config", BOOT, "--resume"],
        "environment": {"XDG_CONFIG_HOME": "/config", "XDG_DATA_HOME": "/data"},
        "volumes": [
            {"type": "volume", "source": "caddy-data", "target": "/data"},
            {"type": "volume", "source": "caddy-config", "target": "/config"},
            {"type": "bind", "source": INGRESS_DIRECTORY, "target": "/run/otternauts"},
        ],
    });
    let volumes = json!({
        "caddy-data": {"name": "otternauts-caddy-data"},
        "caddy-config": {"name": "otternauts-caddy-config"},
    });
    Desired::new("caddy", image(ingress, IMAGE, VERSION), ingress, configs, own, volumes)
}

/// The whole configuration. Certificates are asked for `automate` only: the hosts that passed the preflight.
pub fn configuration(table: &Table, automate: &BTreeSet<String>, acme: Option<&Acme>) -> Value {
    let mut issuer = json!({
        "module": "acme", "ca": directory(acme),
        // HTTP-01 alone: what the preflight looks at is what will be used (OT-34).
        "challenges": {"tls-alpn": {"disabled": true}},
    });
    if let Some(email) = acme.map(|a| &a.email).filter(|e| !e.is_empty()) {
        issuer["email"] = json!(email);
    }
    if acme.is_some_and(|a| a.ca_certificates.is_some()) {
        issuer["trusted_roots_pem_files"] = json!([ACME_CA]);
    }
    let to_https = json!({
        "handler": "static_response", "status_code": 308,
        "headers": {"Location": ["https://{http.request.host}{http.request.uri}"]},
    });
    let not_found = json!({"handler": "static_response", "status_code": 404, "body": "No such domain or path here.\n"});
    let mut routes: Vec<Value> = table.owned.iter().map(route).collect();
    routes.push(json!({"handle": [not_found]}));
    let off = json!({"disable": true});
    json!({
        "admin": {"listen": ADMIN},
        "apps": {
            "http": {"servers": {
                "http": {"listen": [":80"], "automatic_https": off, "routes": [{"handle": [to_https]}]},
                "https": {
                    "listen": [":443"], "automatic_https": off, "protocols": ["h1", "h2"],
                    "tls_connection_policies": [{}], "routes": routes,
                },
            }},
            "tls": {
                "certificates": {"automate": automate},
                "automation": {"policies": [{"issuers": [issuer]}]},
            },
        },
    })
}

/// The tasks of a service, by their addresses: alike with and without a virtual address. A task that is going refuses connections
/// and leaves the DNS: others are tried for as long as a rolling update needs.
fn route(owned: &Owned) -> Value {
    let route = &owned.route;
    let mut matcher = json!({"host": [route.host]});
    if route.path != "/" {
        matcher["path"] = json!([route.path, format!("{}/*", route.path)]);
    }
    let proxy = json!({
        "handler": "reverse_proxy",
        "dynamic_upstreams": {
            "source": "a", "name": format!("tasks.{}", owned.service), "port": route.port.to_string(),
            "refresh": "1s", "dial_timeout": "2s",
        },
        "transport": {"protocol": "http", "dial_timeout": "1s"},
        "load_balancing": {
            "selection_policy": {"policy": "round_robin"}, "try_duration": "15s", "try_interval": "100ms",
        },
        "health_checks": {"passive": {"fail_duration": "3s"}},
    });
    json!({"match": [matcher], "handle": [proxy], "terminal": true})
}

#[cfg(test)]
mod tests;
