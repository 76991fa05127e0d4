//! Java: views over the JSON object itself, so fields nobody here knows survive and nothing is sent that nobody set.

use crate::model::{Field, Model, Type};
use crate::{Models, NOTICE, comment};
use std::fmt::Write as _;

/// Words that are no method names, or are those of `Object`.
const TAKEN: [&str; 24] = [
    "abstract",
    "assert",
    "case",
    "class",
    "continue",
    "default",
    "do",
    "enum",
    "final",
    "for",
    "getClass",
    "hashCode",
    "if",
    "import",
    "interface",
    "new",
    "notify",
    "notifyAll",
    "package",
    "private",
    "protected",
    "public",
    "toString",
    "wait",
];

pub(crate) fn write(models: &Models) -> String {
    let mut out = format!(
        "// {NOTICE}\npackage dev.otternauts;\n\nimport java.util.List;\nimport java.util.Map;\n\n/** The kinds and their parts. */\npublic final class Models {{\n  private Models() {{}}\n"
    );
    for model in models {
        out.push('\n');
        class(&mut out, model);
    }
    out.push_str("}\n");
    out
}

fn doc(out: &mut String, indent: &str, text: &str, fallback: &str) {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('@', "&#64;");
    let lines = comment(&escaped);
    let text = if lines.is_empty() { fallback.to_owned() } else { lines.join(&format!("\n{indent} * ")) };
    let _ = writeln!(out, "{indent}/** {text} */");
}

fn class(out: &mut String, model: &Model) {
    let n = &model.name;
    doc(out, "  ", &model.doc, &format!("{n}."));
    let parent = if model.resource.is_some() { "KubeObject" } else { "Node" };
    let _ = writeln!(out, "  public static final class {n} extends {parent} {{");
    if let Some(r) = &model.resource {
        let _ = writeln!(out, "    /** Where objects of this kind are served. */");
        let _ = writeln!(
            out,
            "    public static final Resource<{n}> RESOURCE =\n        new Resource<>(\"{}\", \"{}\", \"{}\", \"{}\", {}, {n}::new);\n",
            r.group, r.version, r.kind, r.plural, r.namespaced
        );
        let _ = writeln!(
            out,
            "    /** A new object of this kind. */\n    public {n}() {{\n      super(\"{}\", \"{}\");\n    }}\n",
            r.api_version(),
            r.kind
        );
    } else {
        let _ = writeln!(out, "    /** An empty one. */\n    public {n}() {{}}\n");
    }
    let _ = writeln!(
        out,
        "    /** A view of this JSON object. */\n    public {n}(Map<String, Object> json) {{\n      super(json);\n    }}"
    );
    for field in &model.fields {
        if model.resource.is_some() && matches!(field.name.as_str(), "apiVersion" | "kind" | "metadata") {
            continue;
        }
        accessors(out, n, field);
    }
    out.push_str("  }\n");
}

fn accessors(out: &mut String, class: &str, field: &Field) {
    let wire = &field.name;
    let mut method: String = wire.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    if TAKEN.contains(&method.as_str()) {
        method.push('_');
    }
    let of = ty(&field.ty);
    let values = match &field.ty {
        Type::Enum(values) => format!("One of: {}.", values.join(", ")),
        _ => String::new(),
    };
    out.push('\n');
    doc(out, "    ", &format!("{}\n{values}", field.doc), wire);
    let _ = writeln!(out, "    public {of} {method}() {{\n      return {};\n    }}\n", read(&field.ty, wire));
    let _ = writeln!(
        out,
        "    /** Sets {wire}. */\n    public {class} {method}({of} value) {{\n      setField(\"{wire}\", value);\n      return this;\n    }}"
    );
}

fn read(of: &Type, wire: &str) -> String {
    match of {
        Type::Text | Type::Enum(_) => format!("getText(\"{wire}\")"),
        Type::Whole => format!("getWhole(\"{wire}\")"),
        Type::Number => format!("getNumber(\"{wire}\")"),
        Type::Flag => format!("getFlag(\"{wire}\")"),
        Type::Any | Type::WholeOrText => format!("getField(\"{wire}\")"),
        Type::Model(name) => format!("getNode(\"{wire}\", {name}::new)"),
        Type::List(of) => match &**of {
            Type::Model(name) => format!("getNodes(\"{wire}\", {name}::new)"),
            Type::Text | Type::Enum(_) => format!("getTexts(\"{wire}\")"),
            _ => format!("getList(\"{wire}\")"),
        },
        Type::Map(of) => match &**of {
            Type::Text | Type::Enum(_) => format!("getTextMap(\"{wire}\")"),
            _ => format!("getMap(\"{wire}\")"),
        },
    }
}

fn ty(of: &Type) -> String {
    match of {
        Type::Text | Type::Enum(_) => "String".to_owned(),
        Type::Whole => "Long".to_owned(),
        Type::Number => "Double".to_owned(),
        Type::Flag => "Boolean".to_owned(),
        Type::Any | Type::WholeOrText => "Object".to_owned(),
        Type::Model(name) => name.clone(),
        Type::List(of) => match &**of {
            Type::Model(name) => format!("List<{name}>"),
            Type::Text | Type::Enum(_) => "List<String>".to_owned(),
            _ => "List<Object>".to_owned(),
        },
        Type::Map(of) => match &**of {
            Type::Text | Type::Enum(_) => "Map<String, String>".to_owned(),
            _ => "Map<String, Object>".to_owned(),
        },
    }
}
