//! Findings never show a value: a password put where a number belongs must not reach a status, an Event or a log (R24).

use crate::finding::Findings;
use crate::interpolate::Values;

/// Shorter pieces are hidden only where they stand alone between quotes: hiding every `1` would hide the message.
const TELLING: usize = 4;

/// Puts `${NAME}` wherever a finding quotes a value, or a piece of one.
pub(crate) fn mask(found: &mut Findings, values: &Values) {
    let mut hidden: Vec<(String, String)> = Vec::new();
    for (name, value) in values.iter() {
        let text = String::from_utf8_lossy(value);
        let shown = format!("${{{name}}}");
        let pieces = text.split(|c: char| !c.is_alphanumeric());
        for piece in pieces.chain([text.as_ref(), text.escape_debug().to_string().as_str()]) {
            if !piece.is_empty() {
                hidden.push((piece.to_owned(), shown.clone()));
            }
        }
    }
    // The longest first: a piece of a value must not break up the whole of it.
    hidden.sort_by_key(|(piece, _)| std::cmp::Reverse(piece.len()));
    hidden.dedup();
    for finding in found.errors.iter_mut().chain(&mut found.warnings) {
        for (piece, shown) in &hidden {
            for text in [&mut finding.message, &mut finding.path] {
                *text = if piece.chars().count() >= TELLING {
                    text.replace(piece, shown)
                } else {
                    text.replace(&format!("\"{piece}\""), &format!("\"{shown}\""))
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Policy, Values, compile};

    fn refused(compose: &str) -> String {
        let mut values = Values::default();
        values.insert("PW", "hunter2secret");
        values.insert("PIN", "7x");
        values.insert("URL", "user:geheim99@host");
        let Err(found) = compile(compose, &values, &Policy::default()) else { panic!("accepted: {compose}") };
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn no_finding_shows_a_value_or_a_piece_of_one() {
        let service = |rest: &str| format!("services:\n  web:\n    image: nginx\n    {rest}\n");
        for rest in [
            "deploy: {replicas: \"${PW}\"}",
            "deploy: {replicas: \"${PIN}\"}",
            "ports: [\"${PW}:80\"]",
            "ports: [\"${URL}:80\"]",
            "networks: [\"${PW}\"]",
            "volumes: [\"${PW}\"]",
            "stop_grace_period: ${PW}",
            "x-otternauts: {domains: [\"${URL}\"]}",
        ] {
            let text = refused(&service(rest));
            for value in ["hunter2secret", "geheim99", "\"7x\""] {
                assert!(!text.contains(value), "{rest}: {text}");
            }
        }
        assert!(refused(&service("deploy: {replicas: \"${PW}\"}")).contains("${PW}"), "it says which variable it was");
    }
}
