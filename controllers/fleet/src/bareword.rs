//! The only values that may stand in a remote command line (rule R20).

use crate::error::{Error, Result};
use std::fmt;

/// A word that means the same to every login shell: `[A-Za-z0-9._:/@%+,=-]`, at most 255 bytes, not starting with `-` or
/// `=`. There is no quoting anywhere in this crate; what does not fit goes over stdin.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bareword(String);

impl Bareword {
    pub fn new(what: &'static str, text: &str) -> Result<Self> {
        #[cfg(test)]
        if tests::takes_any_text() {
            return Ok(Self(text.to_owned()));
        }
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"._:/@%+,=-".contains(&c);
        let why = if text.is_empty() {
            "it is empty"
        } else if text.len() > 255 {
            "it is longer than 255 bytes"
        } else if text.starts_with(['-', '=']) {
            "it starts with - or ="
        } else if !text.bytes().all(fits) {
            "it has a character that is not a letter, a digit or one of ._:/@%+,=-"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(Error::Invalid { what, why: why.to_owned() })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a stack in the swarm: lower-case letters, digits, `-` and `_`, at most 63 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StackName(Bareword);

impl StackName {
    pub fn new(text: &str) -> Result<Self> {
        let what = "the stack name";
        let word = Bareword::new(what, text)?;
        let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
        if text.len() > 63 || !text.bytes().all(fits) || !text.as_bytes()[0].is_ascii_alphanumeric() {
            return Err(Error::Invalid {
                what,
                why: "it must be at most 63 lower-case letters, digits, - and _, and start with a letter or digit"
                    .into(),
            });
        }
        Ok(Self(word))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for StackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An identifier or name used as one segment of an Engine API path: no separator can be smuggled in.
pub(crate) fn path_segment(what: &'static str, text: &str) -> Result<()> {
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
    if text.is_empty() || text.len() > 255 || !text.bytes().all(fits) || text.starts_with('.') {
        return Err(Error::Invalid { what, why: "it is not an identifier".to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::stack_remove_words;
    use std::process::Command;

    /// The bug of this crate in docs/faults.md: a command line is put together of whatever text there is.
    pub(super) fn takes_any_text() -> bool {
        std::env::var_os("OTTERNAUTS_PLANTED").is_some_and(|bug| bug == "format-exec")
    }

    /// K1, R20: the line goes to every login shell that this machine has; where it is taken at all, nothing else runs.
    #[test]
    fn no_name_of_a_user_runs_anything_on_a_server() {
        let place = tempfile::tempdir().expect("a directory");
        let shells: Vec<&str> = ["sh", "bash", "dash", "zsh", "fish", "tcsh"]
            .into_iter()
            .filter(|shell| Command::new(shell).args(["-c", "true"]).status().is_ok_and(|status| status.success()))
            .collect();
        assert!(shells.contains(&"sh"), "no shell here");
        let payloads = [
            "shop",
            "x;touch owned",
            "x\ntouch owned",
            "x\ttouch owned",
            "$(touch owned)",
            "`touch owned`",
            "x&touch owned",
            "x|touch owned",
            "x'\ntouch owned #",
            "x\\';touch owned #",
            "x>owned",
            "x||touch owned",
            "<(touch owned)",
        ];
        for text in payloads {
            let Ok(word) = Bareword::new("a name", text) else { continue };
            let line = format!("true {}", stack_remove_words(&StackName(word)).join(" "));
            for shell in &shells {
                let ran = Command::new(shell).args(["-c", &line]).current_dir(place.path()).output();
                ran.expect("the shell starts");
                assert!(!place.path().join("owned").exists(), "{shell} ran what a user wrote: {line:?}");
            }
        }
    }

    #[test]
    fn a_command_line_of_any_text_is_caught_by_that_test() {
        let mut again = Command::new(std::env::current_exe().expect("this program"));
        again.args(["--exact", "bareword::tests::no_name_of_a_user_runs_anything_on_a_server", "--nocapture"]);
        let ran = again.env("OTTERNAUTS_PLANTED", "format-exec").env("RUST_BACKTRACE", "0").output();
        let ran = ran.expect("it starts");
        let output = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(output.contains("1 failed") && output.contains("ran what a user wrote"), "{output}");
    }

    #[test]
    fn only_words_that_no_shell_interprets_pass() {
        for good in ["web-1", "a", "registry.lab:5000/x@sha256:abc", "10.0.0.1", "a=b", "50%"] {
            assert!(Bareword::new("x", good).is_ok(), "{good:?}");
        }
        let evil = [
            "", "-x", "=x", "a b", "a;b", "a\nb", "$(x)", "`x`", "a'b", "a\"b", "a\\b", "a|b", "a&b", "~", "*", "é",
            "a\0",
        ];
        for bad in evil.into_iter().chain([&*"a".repeat(256)]) {
            assert!(Bareword::new("x", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn stack_names_are_docker_names() {
        for (name, good) in [
            ("shop-1a2b3c4d", true),
            ("a_b", true),
            ("Shop", false),
            ("-a", false),
            ("_a", false),
            ("a/b", false),
            ("a.b", false),
        ] {
            assert_eq!(StackName::new(name).is_ok(), good, "{name:?}");
        }
    }

    #[test]
    fn path_segments_stay_in_their_segment() {
        assert!(path_segment("x", "wnq3kzv2.-_A").is_ok());
        for bad in ["", "..", "a/b", "a?b", "a%2fb", "a b"] {
            assert!(path_segment("x", bad).is_err(), "{bad:?}");
        }
    }
}
