//! What is wrong with a compose file, in a form that editors jump to.

use crate::exit::{Code, Failure};
use crate::output;
use otternauts_compose::Finding;
use std::path::Path;

/// How bad it is.
#[derive(Clone, Copy)]
pub enum Severity {
    Error,
    Warning,
}

/// Says each finding on a line of its own. Errors are said even with `--quiet`.
pub fn list(file: &Path, severity: Severity, findings: &[Finding]) {
    for finding in findings {
        match severity {
            Severity::Error => output::complain(&line(file, "error", finding)),
            Severity::Warning => output::note(&line(file, "warning", finding)),
        }
    }
}

/// Says all errors; the failure that ends the command counts them.
pub fn refuse(file: &Path, errors: &[Finding]) -> anyhow::Error {
    list(file, Severity::Error, errors);
    let count = match errors.len() {
        1 => "1 error".to_owned(),
        n => format!("{n} errors"),
    };
    let message = format!("Configuration error: {count} in {}; nothing was changed", file.display());
    let lacks_value = errors.iter().any(|e| e.message.contains("has no value"));
    let step = match lacks_value {
        true => {
            "give values with --env NAME=VALUE or --env-file (deploy also takes --env-from), or write ${NAME:-default}"
        }
        false => "mend the file, then check it offline: otter validate",
    };
    Failure::new(Code::Error, message).next(step).into()
}

/// `compose.yml:3:5: error: services.web.imge: unknown key`
fn line(file: &Path, kind: &str, finding: &Finding) -> String {
    let path = if finding.path.is_empty() { String::new() } else { format!("{}: ", finding.path) };
    let message = output::clean(&finding.message);
    format!("{}:{}:{}: {kind}: {path}{message}", file.display(), finding.line, finding.column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_place_an_editor_can_jump_to() {
        let finding = Finding { path: "services.web.imge".into(), line: 3, column: 5, message: "unknown key".into() };
        let whole = Finding { path: String::new(), line: 1, column: 1, message: "a\u{1b}[2Jb".into() };
        let file = Path::new("a/b.yml");
        assert_eq!(line(file, "error", &finding), "a/b.yml:3:5: error: services.web.imge: unknown key");
        assert_eq!(line(file, "warning", &whole), "a/b.yml:1:1: warning: a\u{fffd}[2Jb");
    }

    #[test]
    fn the_refusal_counts_and_names_the_way_out() {
        let no_value = Finding { path: "x".into(), line: 1, column: 1, message: "variable A has no value".into() };
        let error = refuse(Path::new("c.yml"), &[no_value.clone(), no_value]);
        assert_eq!(error.to_string(), "Configuration error: 2 errors in c.yml; nothing was changed");
    }
}
