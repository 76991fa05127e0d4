use super::*;
use crate::{Identity, Policy, Rendered, Values, compile, render};

const TEXT: &str = "services:
  web:
    image: nginx:1
    expose: [8080]
    x-otternauts: {domains: [Shop.example.com, {host: api.example.com, path: /v1/, port: 9000}]}
  back.end:
    image: nginx:1
    networks: [back]
    x-otternauts: {domains: [{host: shop.example.com, path: /admin}]}
  db: {image: postgres:15, networks: [back]}
networks: {back: {}}
";

fn rendered(text: &str, ingress: Option<Place>) -> (Rendered, Json) {
    let compiled = compile(text, &Values::default(), &Policy::default()).unwrap_or_else(|e| panic!("{e:#?}"));
    let who = Identity { namespace: "default".into(), stack: "shop".into(), ingress, ..Identity::default() };
    let rendered = render(&compiled.project, &who).expect("renders");
    let json = serde_json::from_str(rendered.document().expose()).expect("JSON");
    (rendered, json)
}

fn place(provider: IngressProvider) -> Option<Place> {
    let all = [("shop.example.com", "/"), ("api.example.com", "/v1"), ("shop.example.com", "/admin")];
    let granted = all.map(|(host, path)| (host.to_owned(), path.to_owned())).into();
    Some(Place { provider, created: 1_700_000_000, granted })
}

#[test]
fn a_domain_is_not_routed_before_it_is_granted_k13() {
    let (granted, _) = rendered(TEXT, place(IngressProvider::Traefik));
    let nothing = place(IngressProvider::Traefik)
        .map(|p| Place { granted: [("shop.example.com".into(), "/".into())].into(), ..p });
    let (new, document) = rendered(TEXT, nothing);
    let labels = &document["services"]["web"]["deploy"]["labels"];
    let id = router_name(&new.stack_name, "web");
    assert_eq!(labels[format!("traefik.http.routers.{id}-0.rule")], "Host(`shop.example.com`)");
    assert_eq!(labels[format!("traefik.http.routers.{id}-1.rule")], NOWHERE);
    let hashes = |r: &Rendered| r.services.iter().map(|s| s.spec_sha256.clone()).collect::<Vec<_>>();
    assert_eq!(hashes(&granted), hashes(&new), "a grant is no change of the service");
}

#[test]
fn services_with_domains_get_labels_and_the_ingress_network_ot_32() {
    let (_, document) = rendered(TEXT, place(IngressProvider::Traefik));
    let document = serde_json::to_string_pretty(&document).expect("JSON") + "\n";
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/traefik.rendered.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, &document).expect("written");
    }
    assert_eq!(document, std::fs::read_to_string(golden).expect("the golden file"));
}

#[test]
fn only_services_with_domains_join_and_they_stay_in_their_own_networks_ot_31() {
    let (_, document) = rendered(TEXT, place(IngressProvider::Caddy));
    let networks = |service: &str| {
        let all = document["services"][service]["networks"].as_object().expect("networks");
        all.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(networks("web"), ["default", "otternauts-ingress"]);
    assert_eq!(networks("back.end"), ["back", "otternauts-ingress"]);
    assert_eq!(networks("db"), ["back"]);
    let shared = &document["networks"]["otternauts-ingress"];
    assert_eq!(*shared, json!({"external": true, "name": INGRESS_NETWORK}));
    let labels = &document["services"]["web"]["deploy"]["labels"];
    let routes: Vec<Route> = serde_json::from_str(labels[ROUTES_LABEL].as_str().expect("text")).expect("routes");
    let shop = Route { host: "shop.example.com".into(), path: "/".into(), port: 8080 };
    let api = Route { host: "api.example.com".into(), path: "/v1".into(), port: 9000 };
    assert_eq!(routes, [shop, api]);
    assert!(labels.get("traefik.enable").is_none(), "{labels}");
}

#[test]
fn without_an_ingress_nothing_changes() {
    let (none, document) = rendered(TEXT, None);
    let (off, same) = rendered(TEXT, place(IngressProvider::None));
    assert_eq!(document, same);
    assert!(!document.to_string().contains("traefik"), "{document}");
    let (on, _) = rendered(TEXT, place(IngressProvider::Caddy));
    let hash =
        |r: &Rendered, name: &str| r.services.iter().find(|s| s.name == name).expect("there").spec_sha256.clone();
    assert_eq!(hash(&none, "web"), hash(&off, "web"));
    assert_ne!(hash(&none, "web"), hash(&on, "web"), "the service must be sent again");
    assert_eq!(hash(&none, "db"), hash(&on, "db"), "a service without domains is left alone");
}

#[test]
fn an_authors_network_keeps_its_key() {
    let text = "services:\n  web:\n    image: nginx:1\n    networks: [otternauts-ingress]\n    x-otternauts: {domains: [a.example.com], port: 80}\nnetworks: {otternauts-ingress: {}}\n";
    let (_, document) = rendered(text, place(IngressProvider::Caddy));
    assert_eq!(document["networks"]["otternauts-ingress_"]["name"], INGRESS_NETWORK);
    assert!(document["networks"]["otternauts-ingress"].get("external").is_none());
}

#[test]
fn the_older_stack_has_the_greater_rank_and_a_longer_path_goes_first() {
    let old = rank(1_700_000_000, "b", "shop");
    assert!(old > rank(1_700_000_001, "a", "shop"));
    assert_ne!(rank(1, "a", "one"), rank(1, "a", "two"));
    assert!(rank(0, "a", "a") < 1 << 44, "ranks never reach into the path's bits");
    assert!(rank(i64::MAX, "a", "a") < old && rank(-1, "a", "a") < 1 << 44);
}

#[test]
fn paths_cannot_leave_their_place_in_a_rule_l5() {
    for bad in ["/a`", "/a\\\"", "/{env.HOME}", "/a*", "/a b", "a", "/%2e", "/a|b", "/a)"] {
        let text = format!(
            "services:\n  web:\n    image: nginx:1\n    x-otternauts: {{domains: [{{host: a.example.com, path: \"{bad}\"}}], port: 80}}\n"
        );
        assert!(compile(&text, &Values::default(), &Policy::default()).is_err(), "{bad}");
    }
}

#[test]
fn a_service_without_any_known_port_is_asked_at_80_and_its_author_is_told_ot_33() {
    let text = "services:\n  web:\n    image: nginx:1\n    x-otternauts: {domains: [a.example.com]}\n";
    let compiled = compile(text, &Values::default(), &Policy::default()).unwrap_or_else(|e| panic!("{e:#?}"));
    assert_eq!(routes(&compiled.project.services[0])[0].port, 80);
    let warnings: Vec<String> = compiled.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.iter().any(|w| w.contains("set x-otternauts.port")), "{warnings:?}");
}
