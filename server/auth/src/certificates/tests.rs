use super::*;

fn at(days: i64) -> Timestamp {
    Timestamp::from_micros((20_000 + days) * 86_400 * 1_000_000).expect("in range")
}

fn authority() -> Authority {
    let issued = Authority::generate(at(0)).expect("made");
    Authority::load(&issued.certificate, issued.key.expose()).expect("valid")
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

#[test]
fn a_server_certificate_is_renewed_when_names_change_or_the_end_is_near() {
    let authority = authority();
    let wanted = names(&["localhost", "127.0.0.1", "::1", "otter.example"]);
    let issued = authority.server(&wanted, at(0)).expect("made");
    let current = |names: &[String], day| is_current(&issued.certificate, &authority, names, at(day));
    assert!(current(&wanted, 0));
    assert!(current(&names(&["::1", "otter.example", "127.0.0.1", "localhost"]), 334), "order does not count");
    assert!(!current(&wanted, 335), "30 days left");
    assert!(!current(&names(&["localhost", "127.0.0.1", "::1"]), 0), "a name less");
    assert!(!current(&names(&["localhost", "127.0.0.1", "::1", "otter.example", "10.0.0.1"]), 0), "a name more");
    assert!(!is_current("nonsense", &authority, &wanted, at(0)));
    let other = Authority::generate(at(1)).expect("made");
    let other = Authority::load(&other.certificate, other.key.expose()).expect("valid");
    assert!(!is_current(&issued.certificate, &other, &wanted, at(0)), "another authority");
}

#[test]
fn a_client_certificate_carries_the_user_and_every_group() {
    let authority = authority();
    let year = Duration::from_secs(365 * 24 * 3600);
    for groups in
        [vec![], names(&["dev"]), names(&["dev", "ops", "system:masters", "dev:été"]), vec!["g".repeat(64); 40]]
    {
        let issued = authority.client("alice@example.com", &groups, year, at(0)).expect("made");
        let der = der(&issued.certificate).expect("PEM");
        let user = user_of(&der).expect("named");
        assert_eq!(user.name, "alice@example.com");
        let expected: Vec<String> = groups.iter().cloned().chain(["system:authenticated".to_owned()]).collect();
        assert_eq!(user.groups, expected);
        let (_, parsed) = X509Certificate::from_der(&der).expect("DER");
        let usage = parsed.extended_key_usage().expect("valid").expect("there");
        assert!(usage.value.client_auth && !usage.value.server_auth);
        assert!(!parsed.is_ca());
        verify(&authority, &parsed);
    }
}

/// The signature of the exchanged certificate is good under the authority's key.
fn verify(authority: &Authority, certificate: &X509Certificate<'_>) {
    let public = authority.issuer.key().public_key_raw().to_vec();
    let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_ASN1, public);
    key.verify(certificate.tbs_certificate.as_ref(), &certificate.signature_value.data).expect("a good signature");
}

#[test]
fn nobody_gets_a_certificate_without_a_name() {
    let error = authority().client("", &[], Duration::from_secs(60), at(0)).expect_err("no name");
    assert_eq!(error.to_string(), "the user is not valid: the name of a user or group is empty");
}

#[test]
fn a_key_of_another_authority_is_refused() {
    let (a, b) = (Authority::generate(at(0)).expect("made"), Authority::generate(at(0)).expect("made"));
    let error = Authority::load(&a.certificate, b.key.expose()).err().expect("refused").to_string();
    assert!(error.contains("do not belong together"), "{error}");
}
