use super::*;
use crate::service_account::TokenRequest;

fn now() -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000).expect("in range")
}

fn authenticator(live_uid: Option<&'static str>) -> Authenticator {
    let mut tokens = StaticTokens::default();
    tokens.add("admin-token", User::authenticated("admin", ["system:masters".to_owned()]));
    let key = TokenKey::load(TokenKey::generate().expect("made").expose()).expect("valid");
    let uid_of: UidLookup = Arc::new(move |namespace, name| {
        assert_eq!((namespace.as_str(), name.as_str()), ("ns", "bot"));
        Box::pin(async move { live_uid.map(str::to_owned) })
    });
    Authenticator::new(tokens, Arc::new(key), uid_of, Arc::new(now))
}

fn ask(authenticator: &Authenticator, peer: &Peer, header: Option<&str>) -> Result<Arc<User>, Unauthorized> {
    let mut future = std::pin::pin!(authenticator.authenticate(peer, header));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(answer) => answer,
        std::task::Poll::Pending => panic!("nothing here waits"),
    }
}

#[test]
fn a_bad_token_is_401_and_none_is_anonymous() {
    let authenticator = authenticator(None);
    let check = |header: Option<&str>, expected: Result<&str, Unauthorized>| {
        let answer = ask(&authenticator, &Peer::default(), header);
        assert_eq!(answer.as_ref().map(|user| user.name.as_str()).map_err(|e| *e), expected, "{header:?}");
    };
    check(None, Ok("system:anonymous"));
    check(Some("Bearer "), Ok("system:anonymous"));
    check(Some("Basic YTpi"), Ok("system:anonymous"));
    check(Some("Bearer admin-token"), Ok("admin"));
    check(Some("bEaReR   admin-token "), Ok("admin"));
    check(Some("Bearer admin-tokem"), Err(Unauthorized));
    check(Some("Bearer a.b.c"), Err(Unauthorized));
}

#[test]
fn a_service_account_token_is_good_while_its_account_has_the_same_uid() {
    for (live, good) in [(Some("u-1"), true), (Some("u-2"), false), (None, false)] {
        let authenticator = authenticator(live);
        let request = TokenRequest { namespace: "ns", name: "bot", uid: "u-1", audiences: &[], lifetime_seconds: 600 };
        let issued = authenticator.token_key().issue(&request, now()).expect("issued");
        let header = format!("Bearer {}", issued.token.expose());
        let answer = ask(&authenticator, &Peer::default(), Some(&header));
        assert_eq!(answer.is_ok(), good, "{live:?}");
        if let Ok(user) = answer {
            assert_eq!(user.name, "system:serviceaccount:ns:bot");
            let groups = ["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"];
            assert_eq!(user.groups, groups);
            assert_eq!(user.uid, "u-1");
        }
    }
}

#[test]
fn a_certificate_comes_before_a_token() {
    let authenticator = authenticator(None);
    let user = Arc::new(User::authenticated("alice", []));
    let peer = Peer { certificate: Some(user), ..Peer::default() };
    assert_eq!(ask(&authenticator, &peer, Some("Bearer nonsense")).expect("known").name, "alice");
}
