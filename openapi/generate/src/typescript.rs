//! TypeScript: interfaces and one constant a kind. Objects are plain JSON, so fields nobody here knows survive.

use crate::model::{Field, Model, Type};
use crate::{Models, NOTICE, comment, constant};
use std::fmt::Write as _;

pub(crate) fn write(models: &Models) -> String {
    let mut out = format!("// {NOTICE}\n\nimport type {{ Resource }} from \"./resource.js\";\n");
    for model in models {
        out.push('\n');
        doc(&mut out, "", &model.doc);
        let _ = writeln!(out, "export interface {} {{", model.name);
        for field in &model.fields {
            doc(&mut out, "  ", &field.doc);
            let mark = if field.required { "" } else { "?" };
            let _ = writeln!(out, "  {}{mark}: {};", key(&field.name), literal(model, field));
        }
        out.push_str("}\n");
    }
    for model in models {
        let Some(r) = &model.resource else { continue };
        let _ = write!(
            out,
            "\nexport const {}: Resource<{}> = {{\n  group: \"{}\",\n  version: \"{}\",\n  kind: \"{}\",\n  plural: \"{}\",\n  namespaced: {},\n}};\n",
            constant(&r.many),
            model.name,
            r.group,
            r.version,
            r.kind,
            r.plural,
            r.namespaced
        );
    }
    out
}

fn doc(out: &mut String, indent: &str, text: &str) {
    let lines = comment(text);
    match lines.as_slice() {
        [] => {}
        [one] => {
            let _ = writeln!(out, "{indent}/** {one} */");
        }
        many => {
            let _ = writeln!(out, "{indent}/**");
            for line in many {
                let _ = writeln!(out, "{indent} * {line}");
            }
            let _ = writeln!(out, "{indent} */");
        }
    }
}

/// A kind says which one it is in its type.
fn literal(model: &Model, field: &Field) -> String {
    match (&model.resource, field.name.as_str()) {
        (Some(r), "apiVersion") => format!("\"{}\"", r.api_version()),
        (Some(r), "kind") => format!("\"{}\"", r.kind),
        _ => ty(&field.ty),
    }
}

fn key(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$');
    if plain { name.to_owned() } else { format!("{name:?}") }
}

fn ty(of: &Type) -> String {
    match of {
        Type::Text => "string".to_owned(),
        Type::Enum(values) => values.iter().map(|v| format!("{v:?}")).collect::<Vec<_>>().join(" | "),
        Type::Whole | Type::Number => "number".to_owned(),
        Type::Flag => "boolean".to_owned(),
        Type::Any => "unknown".to_owned(),
        Type::WholeOrText => "number | string".to_owned(),
        Type::List(of) => match **of {
            Type::Enum(_) | Type::WholeOrText => format!("({})[]", ty(of)),
            _ => format!("{}[]", ty(of)),
        },
        Type::Map(of) => format!("{{ [key: string]: {} }}", ty(of)),
        Type::Model(name) => name.clone(),
    }
}
