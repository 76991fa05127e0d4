//! SMTP: a connection for each message, TLS as the spec says, no password without it.

use crate::error::DeliveryError;
use crate::formats::text::one_line;
use crate::plan::MailParcel;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use otternauts_courier::resolve;
use otternauts_types::notifier::{EmailChannel, EmailSecurity};
use std::time::Duration;

/// One command and its answer.
const COMMAND_LIMIT: Duration = Duration::from_secs(15);
/// Of what a mail server says, for people.
const ANSWER: usize = 200;

pub async fn send(
    parcel: &MailParcel,
    channel: &EmailChannel,
    authorities: Option<&str>,
    trusted: bool,
) -> Result<String, DeliveryError> {
    let message = message(parcel, channel)?;
    let tls = tls(channel, authorities)?;
    let port = channel.port.unwrap_or(match channel.security {
        EmailSecurity::StartTls => 587,
        EmailSecurity::Tls => 465,
        EmailSecurity::None => 25,
    });
    // The address that was looked at is the one that is connected to; certificates are compared with the name.
    let address = resolve(&channel.host, port, trusted).await?.first().map(|a| a.ip().to_string());
    let address = address.ok_or_else(|| DeliveryError::Resolve { host: channel.host.clone() })?;
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address)
        .port(port)
        .tls(tls)
        .timeout(Some(COMMAND_LIMIT));
    if let Some(user) = &channel.username {
        let password = parcel.password.as_ref().map(|p| p.expose().clone()).unwrap_or_default();
        transport = transport.credentials(Credentials::new(user.clone(), password));
    }
    match transport.build().send(message).await {
        Ok(answer) => Ok(shortened(&format!("{} {}", answer.code(), answer.message().collect::<Vec<_>>().join(" ")))),
        Err(error) => Err(explain(&channel.host, &error)),
    }
}

/// Whether the addresses can be read, and no password would go without TLS.
pub fn check(channel: &EmailChannel) -> Result<(), DeliveryError> {
    let text = String::new;
    message(&MailParcel { id: text(), subject: text(), text: text(), password: None }, channel)?;
    without_tls(channel)
}

fn without_tls(channel: &EmailChannel) -> Result<(), DeliveryError> {
    if channel.security == EmailSecurity::None && channel.username.is_some() {
        let why = "no password is sent without TLS: set security or drop username";
        return Err(DeliveryError::Unusable(why.to_owned()));
    }
    Ok(())
}

fn message(parcel: &MailParcel, channel: &EmailChannel) -> Result<Message, DeliveryError> {
    let mailbox = |field: &str, text: &str| {
        let wrong = |_| DeliveryError::Unusable(format!("spec.channel.email.{field}: {text:?} is not a mail address"));
        text.parse::<Mailbox>().map_err(wrong)
    };
    let mut builder = Message::builder()
        .from(mailbox("from", &channel.from)?)
        // The same at every attempt: programs that read mail drop what they have.
        .message_id(Some(format!("<{}@otternauts>", parcel.id)))
        .subject(one_line(&parcel.subject));
    for to in &channel.to {
        builder = builder.to(mailbox("to", to)?);
    }
    let unusable = |e: lettre::error::Error| DeliveryError::Unusable(format!("no mail can be made of it: {e}"));
    builder.header(ContentType::TEXT_PLAIN).body(parcel.text.clone()).map_err(unusable)
}

fn tls(channel: &EmailChannel, authorities: Option<&str>) -> Result<Tls, DeliveryError> {
    without_tls(channel)?;
    if channel.security == EmailSecurity::None {
        return Ok(Tls::None);
    }
    let unusable = |e: lettre::transport::smtp::Error| DeliveryError::Unusable(format!("TLS cannot be set up: {e}"));
    let mut parameters = TlsParameters::builder(channel.host.clone());
    if let Some(pem) = authorities {
        parameters = parameters.add_root_certificate(Certificate::from_pem(pem.as_bytes()).map_err(unusable)?);
    }
    let parameters = parameters.build().map_err(unusable)?;
    Ok(match channel.security {
        EmailSecurity::Tls => Tls::Wrapper(parameters),
        _ => Tls::Required(parameters),
    })
}

fn explain(host: &str, error: &lettre::transport::smtp::Error) -> DeliveryError {
    let host = host.to_owned();
    let mut why = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(c) = cause {
        why = format!("{why}: {c}");
        cause = c.source();
    }
    let why = shortened(&why);
    if error.is_permanent() || error.is_transient() {
        return DeliveryError::MailRefused { host, why, is_final: error.is_permanent() };
    }
    if error.is_tls() {
        return DeliveryError::Tls { host, why };
    }
    DeliveryError::Connect { host, why }
}

fn shortened(text: &str) -> String {
    one_line(text).chars().take(ANSWER).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_addresses_and_open_passwords_are_known_beforehand() {
        let good = EmailChannel {
            host: "mail.example".into(),
            port: None,
            security: EmailSecurity::None,
            from: "Otto <otter@example.com>".into(),
            to: vec!["ops@example.com".into()],
            username: None,
            secret_ref: None,
        };
        let from = EmailChannel { from: "nobody".into(), ..good.clone() };
        let to = EmailChannel { to: vec!["a@example.com".into(), "b@example.com\r\nBcc: c@d".into()], ..good.clone() };
        let open = EmailChannel { username: Some("otter".into()), ..good.clone() };
        let sealed = EmailChannel { security: EmailSecurity::StartTls, ..open.clone() };
        for (channel, expected) in [
            (good, None),
            (from, Some("spec.channel.email.from: \"nobody\" is not a mail address")),
            (to, Some("spec.channel.email.to: \"b@example.com\\r\\nBcc: c@d\" is not a mail address")),
            (open, Some("no password is sent without TLS: set security or drop username")),
            (sealed, None),
        ] {
            assert_eq!(check(&channel).err().map(|e| e.to_string()).as_deref(), expected);
        }
    }
}
