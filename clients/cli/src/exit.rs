//! How a command ended, for scripts (ecosystem.md, section 6).

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

/// What `otter exit-codes` prints.
pub const TABLE: &str = "\
0    done
1    error: the message says what
2    wrong use of the command line
4    not logged in, or not allowed
5    not found
6    conflict: it exists already, or somebody else owns a field
7    not done within the time allowed
8    the API server cannot be reached
130  interrupted; what was asked for goes on
";

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// An error that knows its exit code.
#[derive(Debug)]
pub struct Failure {
    pub code: Code,
    message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

pub fn fail(code: Code, message: impl Into<String>) -> anyhow::Error {
    Failure { code, message: message.into() }.into()
}

/// Prints an error and answers the code that fits it.
pub fn report(error: &anyhow::Error) -> ExitCode {
    let (code, hint) = classify(error);
    let text = format!("{error:#}");
    if !text.is_empty() {
        crate::terminal::note(&format!("otter: {text}"));
    }
    if let Some(hint) = hint {
        crate::terminal::note(hint);
    }
    code.into()
}

fn classify(error: &anyhow::Error) -> (Code, Option<&'static str>) {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return (failure.code, None);
        }
        match cause.downcast_ref::<kube::Error>() {
            Some(kube::Error::Api(status)) => return by_status(status.code),
            Some(kube::Error::HyperError(_) | kube::Error::Service(_)) => {
                return (Code::Unreachable, Some("is `otter serve` running, and is this the right context?"));
            }
            Some(kube::Error::Auth(_)) => return (Code::Auth, None),
            _ => {}
        }
    }
    (Code::Error, None)
}

fn by_status(code: u16) -> (Code, Option<&'static str>) {
    match code {
        401 => {
            (Code::Auth, Some("the kubeconfig's credentials are not accepted; `otter kubeconfig` prints fresh ones"))
        }
        403 => (Code::Auth, None),
        404 => (Code::NotFound, None),
        409 => (Code::Conflict, None),
        504 => (Code::Timeout, None),
        _ => (Code::Error, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_of_the_api_has_its_code() {
        let api = |code: u16| {
            let status = kube::core::Status { code, ..kube::core::Status::default() };
            classify(&anyhow::Error::new(kube::Error::Api(Box::new(status))).context("while doing something")).0
        };
        for (status, code) in [
            (401, Code::Auth),
            (403, Code::Auth),
            (404, Code::NotFound),
            (409, Code::Conflict),
            (422, Code::Error),
            (504, Code::Timeout),
        ] {
            assert_eq!(api(status), code, "{status}");
        }
        assert_eq!(classify(&fail(Code::Timeout, "late")).0, Code::Timeout);
        assert_eq!(classify(&anyhow::anyhow!("other")).0, Code::Error);
    }
}
