//! Findings never show a value: a password put where a number belongs must not reach a status, an Event or a log (R24).
//!
//! The first line is the walk's: what it says of a place with a variable shows the text as written (`Walk::error_of`). This is the
//! second: whatever else of a value stands in a finding is found by its text.

use crate::finding::Findings;
use crate::interpolate::Values;

/// Shorter pieces are hidden only where they stand alone between quotes: hiding every `1` would hide the message.
const TELLING: usize = 4;

/// Hides values in texts that somebody else wrote: what a command printed may quote what it was given.
pub struct Mask(Vec<(String, String)>);

impl Mask {
    /// Of these values, and of the pieces that they fall into.
    pub fn of(values: &Values) -> Self {
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
        Self(hidden)
    }

    /// The text with `${NAME}` wherever it quotes a value, or a piece of one.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (piece, shown) in &self.0 {
            text = if piece.chars().count() >= TELLING {
                text.replace(piece, shown)
            } else {
                text.replace(&format!("\"{piece}\""), &format!("\"{shown}\""))
            };
        }
        text
    }
}

/// Puts `${NAME}` wherever a finding quotes a value, or a piece of one.
pub(crate) fn mask(found: &mut Findings, values: &Values) {
    let mask = Mask::of(values);
    for finding in found.errors.iter_mut().chain(&mut found.warnings) {
        (finding.message, finding.path) = (mask.text(&finding.message), mask.text(&finding.path));
    }
}

#[cfg(test)]
mod tests {
    use crate::{Finding, Policy, Values, compile};

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

    /// Values that do not appear in a finding as they are: in lower case, escaped, without leading zeros, cut into pieces.
    #[test]
    fn no_finding_shows_a_value_in_another_form() {
        let service = |rest: &str| format!("services:\n  web:\n    image: nginx\n    {rest}\n");
        let top = |rest: &str| format!("services:\n  web:\n    image: nginx\n{rest}\n");
        let places = [
            "services:\n  web:\n    image: ${V}\n".to_owned(),
            "services:\n  web:\n    image: \"${V}/x:y:z\"\n".to_owned(),
            service("deploy: {replicas: \"${V}\", mode: \"${V}\"}"),
            service("deploy: {mode: global, replicas: \"${V}\"}"),
            service("ports: [\"${V}:80\"]"),
            service("ports: [\"${V}:80\", \"${V}:81\"]"),
            service("ports: [\"80/${V}\", \"${V}:1:80\"]"),
            service("ports: [{target: 80, published: \"${V}\"}]"),
            service("ports: [{target: 80, mode: \"${V}\"}, {target: \"${V}\", host_ip: \"${V}\"}]"),
            service("networks: [\"${V}\"]"),
            service("volumes: [\"${V}\", \"${V}:/x\", \"/${V}:/x\", \"a:b:c:${V}\", \"a:/b:${V}\"]"),
            service("volumes: [{type: \"${V}\", source: \"${V}\", target: /x}]"),
            service("volumes: [{type: bind, source: \"/${V}\", target: /x}]"),
            service("volumes: [{type: volume, source: \"${V}\", target: \"${V}\"}]"),
            service("configs: [\"${V}\", {source: \"${V}\"}]"),
            service("secrets: [{source: \"${V}\", mode: \"${V}\"}]"),
            service("depends_on: [\"${V}\"]"),
            service("extra_hosts: [\"${V}\"]"),
            service("logging: {driver: \"${V}\"}"),
            service("labels: [\"otternauts.dev/${V}=1\"]"),
            service("stop_grace_period: \"${V}\""),
            service("environment: \"${V}\""),
            service("ulimits: {nofile: \"${V}\"}"),
            service("expose: [\"${V}\", 80]\n    x-otternauts: {domains: [a.example.com]}"),
            service("x-otternauts: {domains: [\"${V}\"], port: \"${V}\"}"),
            service("x-otternauts: {domains: [{host: \"${V}\", path: \"${V}\"}]}"),
            service("x-otternauts: {domains: [\"${V}.example.com\", \"${V}.example.com\"], port: 80}"),
            service("x-otternauts: {health: {http: \"${V}\", interval: \"${V}\"}}"),
            top("volumes: {d: {driver: \"${V}\"}}"),
            top("volumes: {d: {driver_opts: {type: \"${V}\", device: \"/${V}\", o: \"bind,${V}\"}}}"),
            top("volumes: {d: {driver_opts: {type: \"${V}\"}}}"),
            top("volumes: {d: {external: true, name: \"shop-0badcafe_${V}\"}}"),
            top("networks: {n: {name: \"${V}\", driver: \"${V}\", external: \"${V}\"}}"),
            top("configs: {c: {environment: \"${V}\"}}"),
            top("secrets: {c: {content: x, external: {name: \"a-0badcafe_${V}\"}}}"),
            top("x-a: \"${MISSING:?needs ${V}}\""),
        ];
        let hostile: [(&str, &[&str]); 7] = [
            ("HUNTERtwo_X", &["hunter", "HUNTER"]),
            ("qzx\"tjk\\pvb\nwqd", &["qzx", "tjk", "pvb", "wqd"]),
            ("00000000022", &["22"]),
            ("00000065000", &["65000"]),
            ("6.66e2", &["666", "6.66"]),
            ("zwz\u{200b}spq\u{7}ctz", &["zwz", "spq", "ctz"]),
            ("a:77:88/qqq", &["77", "88", "qqq"]),
        ];
        let mut refusals = 0;
        for place in &places {
            for (value, needles) in hostile {
                let mut values = Values::default();
                values.insert("V", value);
                let Err(found) = compile(place, &values, &Policy::default()) else { continue };
                refusals += 1;
                for Finding { path, message, .. } in found {
                    for needle in needles {
                        let hidden = !path.contains(needle) && !message.contains(needle);
                        assert!(hidden, "{place}: {value:?} shows in {path}: {message}");
                    }
                }
            }
        }
        assert!(refusals > 100, "only {refusals} of the places refused a value");
    }
}
