//! Plain text: every mail program and every ticket system reads it.

use super::{Sender, text};
use otternauts_types::notifier::Outbox;

/// Longer subjects are cut by mail programs anyway.
const SUBJECT: usize = 150;

pub fn subject(outbox: &Outbox) -> String {
    let title = text::title(outbox);
    let cut: String = title.chars().take(SUBJECT).collect();
    format!("[otternauts] {cut}")
}

pub fn body(sender: Sender<'_>, outbox: &Outbox) -> String {
    let mut body = String::new();
    for line in text::lines(outbox) {
        body.push_str(&line);
        body.push_str("\r\n");
    }
    let Sender { namespace, name, .. } = sender;
    body.push_str(&format!(
        "\r\n-- \r\nSent at {} by the Notifier {namespace}/{name}.\r\nNext: otter status\r\n",
        outbox.time
    ));
    body
}
