//! How a command ends: the exit code for scripts, and for people what failed, why, and what to do next.

use crate::output;
use std::error::Error as StdError;
use std::fmt;
use std::process::ExitCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Ok = 0,
    Error = 1,
    Usage = 2,
    Auth = 4,
    NotFound = 5,
    Conflict = 6,
    Timeout = 7,
    Unreachable = 8,
    Interrupted = 130,
}

/// What `otter help exit-codes` prints.
pub const TABLE: &str = "\
Exit codes of otter:
  0    done
  1    error: the message says what
  2    wrong use of the command line
  4    not logged in, or not allowed
  5    not found
  6    conflict: it exists already, or somebody else owns a field
  7    not done within the time allowed
  8    the API server cannot be reached
  130  interrupted; what the API has accepted goes on
";

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// An error that knows its exit code, and maybe the next step.
#[derive(Debug)]
pub struct Failure {
    code: Code,
    message: String,
    next: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Failure {}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), next: None }
    }

    /// What the person can do about it: a command, or a thing to check.
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next = Some(step.into());
        self
    }
}

/// Prints an error and answers the code that fits it.
pub fn report(error: &anyhow::Error) -> ExitCode {
    let told = tell(error);
    output::complain(&format!("otter: {}", told.message));
    if let Some(next) = told.next {
        output::complain(&format!("  next: {next}"));
    }
    told.code.into()
}

/// The chain of an error in one line, each cause once, and what follows from it.
fn tell(error: &anyhow::Error) -> Failure {
    let mut words: Vec<String> = Vec::new();
    let mut told = Failure::new(Code::Error, String::new());
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            words.push(failure.message.clone());
            (told.code, told.next) = (failure.code, failure.next.clone());
        } else if let Some(kube) = cause.downcast_ref::<kube::Error>() {
            // It prints its own sources, and a Status in Rust's notation: take the words for people instead.
            let of_api = by_kube(kube);
            words.push(of_api.message);
            (told.code, told.next) = (of_api.code, told.next.or(of_api.next));
            break;
        } else if cause.downcast_ref::<kube::config::KubeconfigError>().is_some() {
            words.push(cause.to_string());
            break;
        } else {
            words.push(cause.to_string());
        }
    }
    told.message = words.join(": ");
    told
}

fn by_kube(error: &kube::Error) -> Failure {
    match error {
        kube::Error::Api(status) => by_status(status),
        kube::Error::HyperError(_) | kube::Error::Service(_) => unreachable(error),
        kube::Error::Auth(_) => Failure::new(Code::Auth, error.to_string()),
        other => Failure::new(Code::Error, other.to_string()),
    }
}

/// The innermost cause says it best: `Connection refused`, `invalid peer certificate`.
fn unreachable(error: &dyn StdError) -> Failure {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    Failure::new(Code::Unreachable, format!("cannot reach the API server: {cause}"))
        .next("check that `otter serve` runs and that the kubeconfig (--kubeconfig, --context) names its address")
}

fn by_status(status: &kube::core::Status) -> Failure {
    let message = match (status.message.trim(), status.reason.as_str()) {
        ("", "") => format!("the API server answered {}", status.code),
        ("", reason) => reason.to_owned(),
        (message, _) => message.to_owned(),
    };
    let new = |code| Failure::new(code, message.clone());
    match status.code {
        401 => new(Code::Auth)
            .next("these credentials are not accepted: take a fresh kubeconfig, on the server: otter kubeconfig"),
        403 => new(Code::Auth).next("ask an administrator of this API for a role that allows it"),
        404 => new(Code::NotFound),
        409 => new(Code::Conflict),
        504 => new(Code::Timeout),
        503 => new(Code::Unreachable),
        _ => new(Code::Error),
    }
}

/// Whether an API answer says that something is not there.
pub fn is_missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Whether an API answer says that the caller may not.
pub fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    fn api(code: u16, message: &str) -> anyhow::Error {
        let status = kube::core::Status { code, message: message.to_owned(), ..kube::core::Status::default() };
        anyhow::Error::new(kube::Error::Api(Box::new(status))).context("cannot add server harbour")
    }

    #[test]
    fn every_answer_of_the_api_has_its_code() {
        for (status, code) in [
            (401, Code::Auth),
            (403, Code::Auth),
            (404, Code::NotFound),
            (409, Code::Conflict),
            (422, Code::Error),
            (500, Code::Error),
            (503, Code::Unreachable),
            (504, Code::Timeout),
        ] {
            assert_eq!(tell(&api(status, "")).code, code, "{status}");
        }
    }

    #[test]
    fn an_error_says_what_and_why_once_and_the_next_step() {
        let told = tell(&api(403, "servers.otternauts.dev is forbidden"));
        assert_eq!(told.message, "cannot add server harbour: servers.otternauts.dev is forbidden");
        assert!(told.next.is_some_and(|n| n.contains("role")));
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let told = tell(&anyhow::Error::new(kube::Error::Service(refused.into())).context("cannot list servers"));
        assert_eq!(told.code, Code::Unreachable);
        assert_eq!(told.message, "cannot list servers: cannot reach the API server: connection refused");
    }

    #[test]
    fn a_failure_keeps_its_code_under_context() {
        let error: anyhow::Result<()> = Err(Failure::new(Code::Timeout, "not ready after 5 s").next("wait").into());
        let told = tell(&error.context("server reef").expect_err("an error"));
        assert_eq!((told.code, told.message.as_str()), (Code::Timeout, "server reef: not ready after 5 s"));
        assert_eq!(told.next.as_deref(), Some("wait"));
    }

    #[test]
    fn the_table_lists_every_code() {
        for code in [0, 1, 2, 4, 5, 6, 7, 8, 130] {
            assert!(TABLE.contains(&format!("\n  {code:<5}")), "{code}");
        }
    }
}
