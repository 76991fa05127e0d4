use super::*;
use otternauts_types::notifier::{
    EmailChannel, EmailSecurity, Notice, NoticeObject, NoticeState, NotifierSecretRef, NtfyChannel, SecretUrlChannel,
    Severity, WebhookChannel,
};

fn notice(state: NoticeState, severity: Severity, name: &str, reason: &str, message: &str) -> Notice {
    let (kind, namespace) = if name == "harbour" { ("Server", "") } else { ("Stack", "shop") };
    let object =
        NoticeObject { kind: kind.into(), namespace: namespace.into(), name: name.into(), uid: format!("uid-{name}") };
    let time = "2026-01-02T03:04:05Z".to_owned();
    Notice { state, severity, object, version: None, reason: reason.into(), message: message.into(), time }
}

fn one() -> Outbox {
    let notice = notice(NoticeState::Problem, Severity::Warning, "web", "ImagePullFailed", "no such image: a<b>&c");
    message(vec![notice])
}

fn many() -> Outbox {
    message(vec![
        notice(NoticeState::Problem, Severity::Warning, "harbour", "ConnectionFailed", "Cannot reach\nthe server."),
        notice(NoticeState::Repeated, Severity::Warning, "web", "Unhealthy", ""),
        notice(NoticeState::Recovered, Severity::Warning, "api", "Unhealthy", "version 3 runs"),
        notice(NoticeState::Event, Severity::Normal, "api", "Deployed", "version 3 runs"),
    ])
}

fn message(notices: Vec<Notice>) -> Outbox {
    let (id, time) = ("msg_0123".to_owned(), "2026-01-02T03:04:15Z".to_owned());
    Outbox { id, time, notices, omitted: 0, events_through: None }
}

const SENDER: Sender<'static> = Sender { namespace: "shop", name: "ops", unix_seconds: 1_767_323_055 };

fn secret_ref() -> NotifierSecretRef {
    NotifierSecretRef { name: "key".into(), key: None }
}

/// Method and address, headers, an empty line, the body.
#[track_caller]
fn check(channel: &Channel, secret: Option<&str>, outbox: &Outbox, expected: &str) {
    let secret = secret.map(|s| Secret::new(s.to_owned()));
    let got = match parcel(channel, secret, SENDER, outbox).expect("a parcel") {
        Parcel::Http(http) => {
            let headers = http.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.expose()));
            let body = String::from_utf8(http.body).expect("text");
            format!("POST {}\n{}\n{body}", http.url.expose(), headers.collect::<String>())
        }
        Parcel::Mail(mail) => format!("{}\n{}\n\n{}", mail.id, mail.subject, mail.text.replace("\r\n", "\n")),
    };
    assert_eq!(got, expected, "--- got:\n{got}\n---");
}

#[test]
fn a_webhook_is_a_signed_cloud_event() {
    let channel = Channel::Webhook(WebhookChannel { url: "https://example.com/hook".into(), secret_ref: secret_ref() });
    check(&channel, Some("key"), &one(), include_str!("golden/webhook.http").trim_end());
}

#[test]
fn slack_gets_text_that_calls_nobody() {
    let channel = Channel::Slack(SecretUrlChannel { secret_ref: secret_ref() });
    check(&channel, Some("https://hooks.example.com/T/B/x"), &one(), include_str!("golden/slack.http").trim_end());
}

#[test]
fn discord_gets_an_embed() {
    let channel = Channel::Discord(SecretUrlChannel { secret_ref: secret_ref() });
    check(&channel, Some("https://discord.example/api/x"), &many(), include_str!("golden/discord.http").trim_end());
}

#[test]
fn ntfy_gets_topic_priority_and_tag() {
    let channel = NtfyChannel { server: "https://ntfy.example".into(), topic: "ops".into(), secret_ref: None };
    check(&Channel::Ntfy(channel), Some("tk_1"), &many(), include_str!("golden/ntfy.http").trim_end());
}

#[test]
fn mail_is_plain_text() {
    let channel = Channel::Email(EmailChannel {
        host: "mail.example".into(),
        port: None,
        security: EmailSecurity::StartTls,
        from: "otter@example.com".into(),
        to: vec!["ops@example.com".into()],
        username: None,
        secret_ref: None,
    });
    check(&channel, None, &many(), include_str!("golden/email.txt"));
}

#[test]
fn a_channel_without_its_secret_is_unusable() {
    let channel = Channel::Slack(SecretUrlChannel { secret_ref: secret_ref() });
    assert_eq!(parcel(&channel, None, SENDER, &one()).expect_err("refused"), "the channel needs a secretRef");
}

#[test]
fn titles_say_what_and_how_many() {
    let event = notice(NoticeState::Event, Severity::Warning, "web", "HealActionTaken", "x");
    for (outbox, expected) in [
        (one(), "Problem: Stack shop/web: ImagePullFailed"),
        (many(), "1 problem, 1 still not well, 1 recovered, 1 event"),
        (message(vec![event.clone()]), "Warning: Stack shop/web: HealActionTaken"),
        (message(vec![event.clone(), event]), "2 events"),
    ] {
        assert_eq!(text::title(&outbox), expected);
    }
}

#[test]
fn long_messages_are_counted_not_spelled_out() {
    let notices = (0..100).map(|n| notice(NoticeState::Problem, Severity::Warning, &format!("s{n}"), "Unhealthy", "x"));
    let outbox = Outbox { omitted: 7, ..message(notices.collect()) };
    let lines = text::lines(&outbox);
    assert_eq!((lines.len(), lines.last().map(String::as_str)), (21, Some("and 87 more")));
    let long = notice(NoticeState::Problem, Severity::Warning, "s", "Unhealthy", &"x".repeat(512));
    let outbox = message(vec![long; 30]);
    let discord = chat::discord(&outbox);
    let length = discord["embeds"][0]["description"].as_str().expect("text").len();
    assert!(length < 4096, "{length}");
}

#[test]
fn text_from_elsewhere_stays_on_its_line() {
    for (given, expected) in [("a\r\nBcc: x@y", "a Bcc: x@y"), ("\u{1b}[2Jb\u{202e}c", "[2Jb c"), ("  a\tb  ", "a b")] {
        assert_eq!(text::one_line(given), expected);
    }
}
