use super::*;

/// Compares with a file of `fixtures/`; `UPDATE_GOLDEN=1` writes it.
pub fn golden(name: &str, value: &Value) {
    let text = serde_json::to_string_pretty(value).expect("JSON") + "\n";
    let path = format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).expect("written");
    }
    assert_eq!(text, std::fs::read_to_string(&path).expect("the golden file"), "{name}");
}

fn document(spec: &ClusterSpec) -> Value {
    let desired = desired(spec).expect("can be deployed").expect("a proxy");
    serde_json::from_str(&desired.document()).expect("JSON")
}

fn acme() -> Acme {
    Acme { email: "ops@example.com".into(), ..Acme::default() }
}

#[test]
fn traefiks_stack_is_exactly_this_ot_30() {
    let spec = ClusterSpec { acme: Some(acme()), ..ClusterSpec::default() };
    golden("traefik.stack.json", &document(&spec));
}

#[test]
fn caddys_stack_is_exactly_this() {
    let ingress = Ingress {
        provider: IngressProvider::Caddy,
        version: Some("2.6".into()),
        publish_mode: PublishMode::Host,
        image: Some("registry.example.com:5000/caddy".into()),
        addresses: Vec::new(),
    };
    let acme =
        Acme { server: Some("https://ca.example.com/dir".into()), ca_certificates: Some("pem\n".into()), ..acme() };
    let spec = ClusterSpec { acme: Some(acme), ingress: Some(ingress), ..ClusterSpec::default() };
    golden("caddy.stack.json", &document(&spec));
}

#[test]
fn staging_a_version_and_the_publish_mode_are_honoured_ot_37_ot_38() {
    let base = ClusterSpec::default();
    let hash = |spec: &ClusterSpec| desired(spec).expect("fine").expect("a proxy").spec_sha256();
    let with = |ingress: Ingress| ClusterSpec { ingress: Some(ingress), ..ClusterSpec::default() };
    let newer = with(Ingress { version: Some("v3.7.8".into()), ..Ingress::default() });
    assert_eq!(document(&newer)["services"]["traefik"]["image"], "traefik:v3.7.8");
    assert_ne!(hash(&base), hash(&newer));
    assert_eq!(hash(&base), hash(&with(Ingress::default())), "nothing said is the default");
    let staging = ClusterSpec { acme: Some(Acme { staging: true, ..acme() }), ..ClusterSpec::default() };
    assert!(document(&staging).to_string().contains(STAGING));
    let host = with(Ingress { publish_mode: PublishMode::Host, ..Ingress::default() });
    assert_eq!(document(&host)["services"]["traefik"]["ports"][0]["mode"], "host");
    let none = with(Ingress { provider: IngressProvider::None, ..Ingress::default() });
    assert_eq!(desired(&none), Ok(None));
}

#[test]
fn an_image_with_a_tag_or_digest_says_all() {
    let with = |name: &str| {
        let ingress = Ingress { image: Some(name.into()), version: Some("1".into()), ..Ingress::default() };
        image(&ingress, "x", "0")
    };
    assert_eq!(with("r:5000/t"), ("r:5000/t:1".to_owned(), "1".to_owned()));
    assert_eq!(with("r:5000/t:v9"), ("r:5000/t:v9".to_owned(), "v9".to_owned()));
    assert_eq!(with("t@sha256:ab"), ("t@sha256:ab".to_owned(), "sha256:ab".to_owned()));
}

#[test]
fn no_dollar_is_left_for_docker_to_interpolate() {
    let ingress = Ingress { image: Some("r/$HOME".into()), ..Ingress::default() };
    let spec = ClusterSpec { ingress: Some(ingress), ..ClusterSpec::default() };
    assert_eq!(document(&spec)["services"]["traefik"]["image"], "r/$$HOME:v3.6.1");
}
