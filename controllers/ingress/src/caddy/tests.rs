use super::*;
use crate::observed::Claim;
use crate::proxy::tests::golden;
use crate::routes::settle;
use otternauts_compose::Route;

fn table() -> Table {
    let route = |host: &str, path: &str, port| Route { host: host.into(), path: path.into(), port };
    let claim = |stack: &str, service: &str, routes| Claim {
        namespace: "default".into(),
        stack: stack.into(),
        service: service.into(),
        routes,
        ..Claim::default()
    };
    let shop = vec![route("shop.example.com", "/", 8080), route("shop.example.com", "/admin", 9000)];
    let claims = [
        claim("shop", "shop-5be479ca_web", shop),
        claim("blog", "blog-01234567_app", vec![route("blog.example.com", "/", 80)]),
    ];
    settle(&claims, |_| Some(1))
}

#[test]
fn the_configuration_is_exactly_this_ot_30() {
    let acme =
        Acme { email: "ops@example.com".into(), staging: true, ca_certificates: Some("pem".into()), ..Acme::default() };
    let automate = BTreeSet::from(["shop.example.com".to_owned()]);
    golden("caddy.json", &configuration(&table(), &automate, Some(&acme)));
}

#[test]
fn without_domains_it_answers_404_and_asks_for_no_certificate() {
    let config = configuration(&Table::default(), &BTreeSet::new(), None);
    assert_eq!(config["apps"]["tls"]["certificates"]["automate"], json!([]));
    let routes = config["apps"]["http"]["servers"]["https"]["routes"].as_array().expect("routes").len();
    assert_eq!(routes, 1);
    assert!(config.to_string().contains("https://acme-v02.api.letsencrypt.org/directory"), "{config}");
}
