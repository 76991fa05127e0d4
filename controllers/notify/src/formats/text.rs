//! The words that all channels share.

use otternauts_types::notifier::{Notice, NoticeObject, NoticeState, Outbox, Severity};

/// Notices that a message for people spells out; the others are counted.
pub const SPELLED_OUT: usize = 20;

/// One line for the whole message: a subject, a title.
pub fn title(outbox: &Outbox) -> String {
    match outbox.notices.as_slice() {
        [only] => format!("{}: {}", word(only), about(only)),
        many => {
            let of = |state| many.iter().filter(|n| n.state == state).count();
            let counts = [
                (of(NoticeState::Problem), "problem", "problems"),
                (of(NoticeState::Repeated), "still not well", "still not well"),
                (of(NoticeState::Recovered), "recovered", "recovered"),
                (of(NoticeState::Event), "event", "events"),
            ];
            let parts = counts.iter().filter(|(n, _, _)| *n > 0);
            let parts = parts.map(|(n, one, more)| format!("{n} {}", if *n == 1 { one } else { more }));
            parts.collect::<Vec<_>>().join(", ")
        }
    }
}

/// One line for one notice.
pub fn line(notice: &Notice) -> String {
    let message = one_line(&notice.message);
    let colon = if message.is_empty() { "" } else { ": " };
    format!("{}: {}{colon}{message}", word(notice), about(notice))
}

/// `Stack shop/web: Unhealthy`
fn about(notice: &Notice) -> String {
    format!("{}: {}", object(&notice.object), one_line(&notice.reason))
}

/// `Stack shop/web`, `Server harbour`
pub fn object(object: &NoticeObject) -> String {
    let slash = if object.namespace.is_empty() { "" } else { "/" };
    format!("{} {}{slash}{}", one_line(&object.kind), object.namespace, one_line(&object.name))
}

pub fn word(notice: &Notice) -> &'static str {
    match (notice.state, notice.severity) {
        (NoticeState::Problem, _) => "Problem",
        (NoticeState::Repeated, _) => "Still not well",
        (NoticeState::Recovered, _) => "Recovered",
        (NoticeState::Event, Severity::Warning) => "Warning",
        (NoticeState::Event, Severity::Normal) => "Event",
    }
}

/// How bad the worst of it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    Good,
    Plain,
    Bad,
}

pub fn tone(notice: &Notice) -> Tone {
    match (notice.state, notice.severity) {
        (NoticeState::Recovered, _) => Tone::Good,
        (NoticeState::Event, Severity::Normal) => Tone::Plain,
        _ => Tone::Bad,
    }
}

/// All notices say the same, or the worst counts.
pub fn worst(outbox: &Outbox) -> Tone {
    outbox.notices.iter().map(tone).max().unwrap_or(Tone::Plain)
}

/// The lines of the message, and one for those that are not spelled out.
pub fn lines(outbox: &Outbox) -> Vec<String> {
    let mut lines: Vec<String> = outbox.notices.iter().take(SPELLED_OUT).map(line).collect();
    let more = outbox.notices.len().saturating_sub(SPELLED_OUT) as i64 + outbox.omitted;
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

/// Text from elsewhere on one line, without what would steer a terminal or a mail header.
pub fn one_line(text: &str) -> String {
    let clean = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let words = text.split(|c: char| c.is_whitespace() || clean(c)).filter(|w| !w.is_empty());
    words.collect::<Vec<_>>().join(" ")
}
