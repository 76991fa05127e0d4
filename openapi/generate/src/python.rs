//! Python: typed dictionaries and one constant a kind. Objects are plain dictionaries, so fields nobody here knows survive.

use crate::model::{Model, Type};
use crate::{Models, NOTICE, comment, constant};
use std::fmt::Write as _;

const KEYWORDS: [&str; 12] =
    ["and", "class", "continue", "def", "from", "global", "import", "in", "is", "not", "or", "pass"];

pub(crate) fn write(models: &Models) -> String {
    let mut out = format!(
        "# {NOTICE}\n\"\"\"The kinds and their parts as typed dictionaries.\"\"\"\n\nfrom __future__ import annotations\n\nfrom typing import Any, Literal, Required, TypedDict, Union\n\nfrom .resource import Resource\n"
    );
    for model in models {
        out.push_str("\n\n");
        if model.fields.iter().all(|f| is_name(&f.name)) { class(&mut out, model) } else { call(&mut out, model) }
    }
    out.push('\n');
    for model in models {
        let Some(r) = &model.resource else { continue };
        let namespaced = if r.namespaced { "True" } else { "False" };
        let _ = writeln!(
            out,
            "\n{}: Resource[{}] = Resource(\"{}\", \"{}\", \"{}\", \"{}\", {namespaced})",
            constant(&r.many),
            model.name,
            r.group,
            r.version,
            r.kind,
            r.plural
        );
    }
    out
}

fn is_name(name: &str) -> bool {
    !KEYWORDS.contains(&name) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn class(out: &mut String, model: &Model) {
    let _ = writeln!(out, "class {}(TypedDict, total=False):", model.name);
    let text = comment(&model.doc).join("\n    ").replace('\\', "\\\\").replace('"', "'");
    let text = if text.is_empty() { format!("{}.", model.name) } else { text };
    let _ = writeln!(out, "    \"\"\"{text}\"\"\"");
    for field in &model.fields {
        out.push('\n');
        for line in comment(&field.doc) {
            let _ = writeln!(out, "    # {line}");
        }
        let of = ty(&field.ty);
        let of = if field.required { format!("Required[{of}]") } else { of };
        let _ = writeln!(out, "    {}: {of}", field.name);
    }
}

/// The other form, for fields that are no Python names.
fn call(out: &mut String, model: &Model) {
    for line in comment(&model.doc) {
        let _ = writeln!(out, "# {line}");
    }
    let _ = writeln!(out, "{0} = TypedDict(\n    \"{0}\",\n    {{", model.name);
    for field in &model.fields {
        for line in comment(&field.doc) {
            let _ = writeln!(out, "        # {line}");
        }
        let of = format!("\"{}\"", ty(&field.ty).replace('"', "'"));
        let of = if field.required { format!("Required[{of}]") } else { of };
        let _ = writeln!(out, "        \"{}\": {of},", field.name);
    }
    out.push_str("    },\n    total=False,\n)\n");
}

fn ty(of: &Type) -> String {
    match of {
        Type::Text => "str".to_owned(),
        Type::Enum(values) => {
            format!("Literal[{}]", values.iter().map(|v| format!("{v:?}")).collect::<Vec<_>>().join(", "))
        }
        Type::Whole => "int".to_owned(),
        Type::Number => "float".to_owned(),
        Type::Flag => "bool".to_owned(),
        Type::Any => "Any".to_owned(),
        Type::WholeOrText => "Union[int, str]".to_owned(),
        Type::List(of) => format!("list[{}]", ty(of)),
        Type::Map(of) => format!("dict[str, {}]", ty(of)),
        Type::Model(name) => name.clone(),
    }
}
