//! `otter validate`: parse, interpolate, judge and render, without any server.

use crate::args::{Level, Report, Validate};
use crate::bundle::{self, Trouble};
use crate::exit::{Code, fail};
use crate::{dotenv, terminal};
use anyhow::Context as _;
use otternauts_compose::{self as compose, Compiled, Finding, Findings, Identity, Policy, Values};
use std::path::Path;

pub fn run(args: &Validate) -> anyhow::Result<Code> {
    let level = match args.policy {
        Level::Restricted => compose::Level::Restricted,
        Level::Baseline => compose::Level::Baseline,
        Level::Privileged => compose::Level::Privileged,
    };
    let policy = Policy::of(level);
    let bundle = match bundle::load(&args.file) {
        Ok(bundle) => bundle,
        Err(Trouble::Found(errors)) => return answer(args, Findings { errors, warnings: Vec::new() }, None),
        Err(Trouble::Other(error)) => return Err(error),
    };
    if args.no_variables {
        return answer(args, compose::check(&bundle.text, &policy), None);
    }
    let mut values = Values::default();
    bundle.add_to(&mut values);
    for file in &args.variables.env_file {
        dotenv::read(file)?.into_iter().for_each(|(k, v)| values.insert(k, v));
    }
    args.variables.env.iter().for_each(|(k, v)| values.insert(k, v.clone()));
    match compose::compile(&bundle.text, &values, &policy) {
        Ok(Compiled { project, warnings }) => {
            let name = bundle.name.unwrap_or_else(|| "stack".into());
            let who = Identity { namespace: "default".into(), deployment: format!("{name}-1"), stack: name };
            let rendered = compose::render(&project, &who).map_err(anyhow::Error::msg)?;
            answer(args, Findings { errors: Vec::new(), warnings }, Some(rendered.document().expose()))
        }
        Err(errors) => {
            let warnings = compose::check(&bundle.text, &policy).warnings;
            answer(args, Findings { errors, warnings }, None)
        }
    }
}

fn answer(args: &Validate, found: Findings, rendered: Option<&str>) -> anyhow::Result<Code> {
    let bad = !found.errors.is_empty() || (args.strict && !found.warnings.is_empty());
    match args.output {
        Report::Json => {
            let text = serde_json::to_string_pretty(&found).context("cannot write JSON")?;
            terminal::data(&(text + "\n"))?;
        }
        Report::Rendered | Report::Text => {
            list(&args.file, "error", &found.errors);
            list(&args.file, "warning", &found.warnings);
        }
    }
    if args.output == Report::Rendered
        && let Some(document) = rendered
    {
        let value: serde_json::Value = serde_json::from_str(document).context("the rendering is not JSON")?;
        terminal::data(&(serde_json::to_string_pretty(&value).context("cannot write JSON")? + "\n"))?;
    }
    if args.output == Report::Text && !bad {
        terminal::data(&format!("{}: ready to launch\n", args.file.display()))?;
    }
    Ok(if bad { Code::Error } else { Code::Ok })
}

fn list(file: &Path, kind: &str, findings: &[Finding]) {
    findings.iter().for_each(|f| terminal::note(&line(file, kind, f)));
}

/// `compose.yml:3:5: error: services.web.imge: unknown key`: editors jump to it.
fn line(file: &Path, kind: &str, f: &Finding) -> String {
    let path = if f.path.is_empty() { String::new() } else { format!("{}: ", f.path) };
    format!("{}:{}:{}: {kind}: {path}{}", file.display(), f.line, f.column, f.message)
}

/// Shows what is wrong with a file; the error that ends the command counts it.
pub fn refuse(file: &Path, trouble: Trouble) -> anyhow::Error {
    match trouble {
        Trouble::Found(errors) => {
            list(file, "error", &errors);
            let count = errors.len();
            fail(Code::Error, format!("Configuration error: {count} in {}; nothing was sent", file.display()))
        }
        Trouble::Other(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_place_an_editor_can_jump_to() {
        let f = Finding { path: "services.web.imge".into(), line: 3, column: 5, message: "unknown key".into() };
        assert_eq!(line(Path::new("a/b.yml"), "error", &f), "a/b.yml:3:5: error: services.web.imge: unknown key");
    }
}
