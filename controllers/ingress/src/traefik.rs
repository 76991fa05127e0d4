//! Traefik 3: it finds services by itself, from the labels that the renderer gives them (OT-30, OT-32). Pure.

use crate::observed::Claim;
use crate::proxy::{ACME_CA, Desired, acme_ca, directory, image};
use crate::routes::Table;
use otternauts_compose::{CERT_RESOLVER, INGRESS_NETWORK, NOWHERE};
use otternauts_types::cluster::{Acme, Ingress};
use serde_json::json;
use std::collections::BTreeMap;

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

/// What must change in a service's labels, so that Traefik asks for a certificate only where `gate` says so (`None`: as it is), and routes nothing that
/// belongs to another Stack. The renderer's labels are the base: each deploy brings them back, and these follow.
pub fn labels(claim: &Claim, table: &Table, gate: impl Fn(&str) -> Option<bool>) -> BTreeMap<String, Option<String>> {
    let mut changes = BTreeMap::new();
    for (i, route) in claim.routes.iter().enumerate() {
        let end = format!("-{i}.rule");
        let is = |name: &&String| name.starts_with("traefik.http.routers.") && name.ends_with(&end);
        let Some(rule) = claim.labels.keys().find(is) else { continue };
        let owner = table.owner(&route.host, &route.path);
        let own = owner.is_none_or(|o| (&o.0, &o.1) == (&claim.namespace, &claim.stack));
        let router = rule.trim_end_matches(".rule");
        let resolver = format!("{router}.tls.certresolver");
        let asks = match gate(&route.host) {
            _ if !own => None,
            Some(open) => open.then(|| CERT_RESOLVER.to_owned()),
            None => claim.labels.get(&resolver).cloned(),
        };
        let rules = if own { otternauts_compose::rule(route) } else { NOWHERE.to_owned() };
        let wanted = [(rule.clone(), Some(rules)), (resolver, asks)];
        changes.extend(wanted.into_iter().filter(|(name, value)| claim.labels.get(name) != value.as_ref()));
    }
    changes
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
    use crate::routes::settle;
    use otternauts_compose::Route;

    fn claim(namespace: &str, stack: &str, routes: &[(&str, &str)]) -> Claim {
        let route = |(host, path): &(&str, &str)| Route { host: (*host).into(), path: (*path).into(), port: 80 };
        let routes: Vec<Route> = routes.iter().map(route).collect();
        let label = |(i, r): (usize, &Route)| {
            (format!("traefik.http.routers.{stack}_web-{i}.rule"), otternauts_compose::rule(r))
        };
        let labels = routes.iter().enumerate().map(label).collect();
        let (namespace, stack) = (namespace.to_owned(), stack.to_owned());
        Claim { namespace, service: format!("{stack}_web"), stack, routes, labels, ..Claim::default() }
    }

    #[test]
    fn a_certificate_is_asked_for_only_where_the_preflight_was_passed_ot_36() {
        let mut shop = claim("n", "shop", &[("a.com", "/"), ("b.com", "/")]);
        let table = settle(&[shop.clone()], |_| Some(1));
        let changes = labels(&shop, &table, |host| Some(host == "b.com"));
        let resolver = "traefik.http.routers.shop_web-1.tls.certresolver".to_owned();
        assert_eq!(changes, BTreeMap::from([(resolver.clone(), Some("acme".to_owned()))]));
        shop.labels.extend(changes.into_iter().filter_map(|(name, value)| Some((name, value?))));
        assert_eq!(labels(&shop, &table, |host| Some(host == "b.com")), BTreeMap::new(), "nothing more to change");
        assert_eq!(labels(&shop, &table, |_| None), BTreeMap::new(), "what is not known yet changes nothing");
        assert_eq!(
            labels(&shop, &table, |_| Some(false)),
            BTreeMap::from([(resolver, None)]),
            "a rate limit takes it back"
        );
    }

    #[test]
    fn what_belongs_to_another_stack_is_not_routed_k13() {
        let (shop, mut thief) = (claim("n", "shop", &[("a.com", "/")]), claim("m", "thief", &[("a.com", "/login")]));
        let table = settle(&[thief.clone(), shop], |key| Some(if key.1 == "shop" { 1 } else { 2 }));
        let rule = "traefik.http.routers.thief_web-0.rule".to_owned();
        let changes = labels(&thief, &table, |_| Some(true));
        assert_eq!(changes, BTreeMap::from([(rule.clone(), Some(NOWHERE.to_owned()))]));
        thief.labels.insert(rule.clone(), NOWHERE.to_owned());
        let alone = settle(&[thief.clone()], |_| Some(2));
        let back = labels(&thief, &alone, |_| Some(false));
        assert_eq!(
            back,
            BTreeMap::from([(rule, Some("Host(`a.com`) && (Path(`/login`) || PathPrefix(`/login/`))".to_owned()))])
        );
    }

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
