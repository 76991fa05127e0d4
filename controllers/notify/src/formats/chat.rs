//! Slack, Discord and ntfy.

use super::json as json_parcel;
use super::text::{self, Tone};
use crate::plan::Parcel;
use otternauts_meta::Secret;
use otternauts_types::notifier::{NtfyChannel, Outbox};
use serde_json::{Value, json};

/// Discord's bound for one description.
const DISCORD_DESCRIPTION: usize = 4000;
/// ntfy's bound for a message is 4,096 bytes.
const NTFY_MESSAGE: usize = 3800;

pub fn post(url: Secret<String>, outbox: &Outbox, body: &Value) -> Parcel {
    json_parcel(url, vec![json_content()], &outbox.id, body)
}

fn json_content() -> (&'static str, Secret<String>) {
    ("content-type", Secret::new("application/json".to_owned()))
}

pub fn slack(outbox: &Outbox) -> Value {
    let colour = match text::worst(outbox) {
        Tone::Good => "#2e7d32",
        Tone::Plain => "#1565c0",
        Tone::Bad => "#c62828",
    };
    let title = slack_text(&text::title(outbox));
    let lines = slack_text(&text::lines(outbox).join("\n"));
    json!({
        "text": title,
        "attachments": [{"color": colour, "fallback": title, "text": lines, "ts": seconds(outbox)}],
    })
}

/// Slack reads these three as markup, and `<!channel>` would call everybody.
fn slack_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub fn discord(outbox: &Outbox) -> Value {
    let colour = match text::worst(outbox) {
        Tone::Good => 0x2e_7d32,
        Tone::Plain => 0x15_65c0,
        Tone::Bad => 0xc6_2828,
    };
    let description = bounded(text::lines(outbox), DISCORD_DESCRIPTION);
    json!({
        "embeds": [{
            "title": text::title(outbox).chars().take(250).collect::<String>(),
            "description": description,
            "color": colour,
            "timestamp": outbox.time,
        }],
        // No name in a message calls anybody.
        "allowed_mentions": {"parse": []},
    })
}

pub fn ntfy(channel: &NtfyChannel, token: Option<&Secret<String>>, outbox: &Outbox) -> Parcel {
    let (priority, tag) = match text::worst(outbox) {
        Tone::Good => (3, "white_check_mark"),
        Tone::Plain => (2, "information_source"),
        Tone::Bad => (4, "rotating_light"),
    };
    let body = json!({
        "topic": channel.topic,
        "title": text::title(outbox),
        "message": bounded(text::lines(outbox), NTFY_MESSAGE),
        "priority": priority,
        "tags": [tag],
    });
    let mut headers = vec![json_content()];
    if let Some(token) = token {
        headers.push(("authorization", Secret::new(format!("Bearer {}", token.expose()))));
    }
    json_parcel(Secret::new(channel.server.clone()), headers, &outbox.id, &body)
}

/// Whole lines, as many as there is room for in bytes.
fn bounded(lines: Vec<String>, room: usize) -> String {
    let all = lines.len();
    let mut text = String::new();
    for (index, line) in lines.into_iter().enumerate() {
        if text.len() + line.len() + 1 > room {
            text.push_str(&format!("\nand {} more", all - index));
            break;
        }
        if index > 0 {
            text.push('\n');
        }
        text.push_str(&line);
    }
    text
}

fn seconds(outbox: &Outbox) -> i64 {
    outbox.time.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second)
}
