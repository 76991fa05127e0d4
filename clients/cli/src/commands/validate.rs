//! `otter validate`: parse, interpolate, judge and render, without any server.

use crate::args::{PolicyLevel, Report, Validate};
use crate::bundle::{self, Bundle, Trouble};
use crate::exit::Code;
use crate::findings::{self, Severity};
use crate::{dotenv, output};
use otternauts_compose::{self as compose, Compiled, Finding, Findings, Identity, Level, Policy, Project, Values};

pub fn run(args: &Validate) -> anyhow::Result<Code> {
    let policy = Policy::of(match args.policy {
        PolicyLevel::Restricted => Level::Restricted,
        PolicyLevel::Baseline => Level::Baseline,
        PolicyLevel::Privileged => Level::Privileged,
    });
    let bundle = match bundle::load(&args.file) {
        Ok(bundle) => bundle,
        Err(Trouble::Found(error)) => {
            return answer(args, &Findings { errors: vec![error], warnings: Vec::new() }, None);
        }
        Err(Trouble::Other(error)) => return Err(error),
    };
    let (mut found, rendered) = judge(args, &bundle, &policy)?;
    found.errors.extend(bundle.errors);
    found.errors.sort_by_key(|e| (e.line, e.column));
    answer(args, &found, rendered)
}

fn judge(args: &Validate, bundle: &Bundle, policy: &Policy) -> anyhow::Result<(Findings, Option<compose::Rendered>)> {
    if args.no_variables {
        return Ok((compose::check_tree(bundle.root.clone(), policy), None));
    }
    let mut values = Values::default();
    bundle.add_to(&mut values);
    for file in &args.variables.env_file {
        dotenv::read(file)?.into_iter().for_each(|(k, v)| values.insert(k, v));
    }
    args.variables.env.iter().for_each(|(k, v)| values.insert(k, v.clone()));
    match compose::compile_tree(bundle.root.clone(), &values, policy) {
        Ok(Compiled { project, warnings }) => {
            let (errors, rendered) = match render(bundle, &project) {
                Ok(rendered) => (Vec::new(), Some(rendered)),
                Err(error) => (vec![error], None),
            };
            Ok((Findings { errors, warnings }, rendered))
        }
        Err(errors) => {
            let warnings = compose::check_tree(bundle.root.clone(), policy).warnings;
            Ok((Findings { errors, warnings }, None))
        }
    }
}

fn render(bundle: &Bundle, project: &Project) -> Result<compose::Rendered, Finding> {
    let stack = bundle.name.clone().unwrap_or_else(|| "stack".into());
    let who = Identity { namespace: "default".into(), deployment: format!("{stack}-1"), stack, ..Identity::default() };
    compose::render(project, &who).map_err(|message| Finding { path: String::new(), line: 1, column: 1, message })
}

fn answer(args: &Validate, found: &Findings, rendered: Option<compose::Rendered>) -> anyhow::Result<Code> {
    let bad = !found.errors.is_empty();
    if args.output == Report::Json {
        output::document(output::Format::Json, found)?;
    } else {
        findings::list(&args.file, Severity::Error, &found.errors);
        findings::list(&args.file, Severity::Warning, &found.warnings);
    }
    match (args.output, rendered) {
        (Report::Rendered, Some(rendered)) if !bad => {
            let value: serde_json::Value = serde_json::from_str(rendered.document().expose())?;
            output::document(output::Format::Json, &value)?;
        }
        (Report::Text, _) if !bad => {
            output::note(&format!("{}: valid; ready for its first mission", args.file.display()));
        }
        _ => {}
    }
    Ok(if bad { Code::Error } else { Code::Ok })
}
