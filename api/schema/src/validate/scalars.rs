//! Rules of single values.

use crate::formats;
use crate::schema::{Schema, Type};
use otternauts_meta::{ErrorList, FieldError, FieldErrorKind, Path};
use serde_json::{Number, Value};

pub(super) fn check_enum(schema: &Schema, value: &Value, path: &Path, errors: &mut ErrorList) {
    let allowed = &schema.rules.r#enum;
    if allowed.is_empty() || allowed.iter().any(|a| same(a, value)) {
        return;
    }
    let print = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let kind = FieldErrorKind::NotSupported(allowed.iter().map(print).collect());
    errors.push(FieldError::new(kind, path, Some(value.clone()), ""));
}

/// Equal, with `1` and `1.0` the same.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

pub(super) fn check_string(schema: &Schema, text: &str, path: &Path, errors: &mut ErrorList) {
    let rules = &schema.rules;
    let at = path.as_str();
    let length = || text.chars().count() as u64;
    if let Some(max) = rules.max_length
        && length() > max
    {
        errors.push(FieldError::too_long(path, usize::try_from(max).unwrap_or(usize::MAX)));
    } else if let Some(min) = rules.min_length
        && length() < min
    {
        errors.push(FieldError::invalid(path, text, format!("{at} in body should be at least {min} chars long")));
    } else if let (Some(pattern), Some(regex)) = (&rules.pattern, &rules.regex)
        && !regex.is_match(text)
    {
        errors.push(FieldError::invalid(path, text, format!("{at} in body should match '{pattern}'")));
    }
    if let Some(format) = &rules.format
        && !formats::matches(format, text)
    {
        let why = format!("{at} in body must be of type {format}: {}", otternauts_meta::field::quoted(text));
        errors.push(FieldError::type_invalid(path, text, why));
    }
}

pub(super) fn check_number(schema: &Schema, n: &Number, path: &Path, errors: &mut ErrorList) {
    let rules = &schema.rules;
    let at = path.as_str();
    check_width(schema, n, at, errors);
    let Some(float) = n.as_f64() else { return };
    let mut complain = |text: String| errors.push(FieldError::invalid(path, Value::Number(n.clone()), text));
    if let Some(by) = rules.multiple_of
        && by > 0.0
        && !is_multiple(n, float, by)
    {
        complain(format!("{at} in body should be a multiple of {by}"));
    }
    if let Some(max) = rules.maximum {
        match rules.exclusive_maximum {
            true if float >= max => complain(format!("{at} in body should be less than {max}")),
            false if float > max => complain(format!("{at} in body should be less than or equal to {max}")),
            _ => {}
        }
    }
    if let Some(min) = rules.minimum {
        match rules.exclusive_minimum {
            true if float <= min => complain(format!("{at} in body should be greater than {min}")),
            false if float < min => complain(format!("{at} in body should be greater than or equal to {min}")),
            _ => {}
        }
    }
}

/// Whole numbers are divided as such: floats of their size have gaps.
fn is_multiple(n: &Number, float: f64, by: f64) -> bool {
    match n.as_i64() {
        Some(whole) if by.fract() == 0.0 && by < 9e15 => whole % (by as i64) == 0,
        // As upstream does it: 0.3 is a multiple of 0.1 although no binary fraction is either.
        _ => {
            let times = float / by;
            (times - times.round()).abs() < 1e-9
        }
    }
}

/// What fits the declared width (row X11); upstream reports it without a field.
fn check_width(schema: &Schema, n: &Number, at: &str, errors: &mut ErrorList) {
    let Some(kind @ (Type::Integer | Type::Number)) = schema.r#type else { return };
    let format = schema.rules.format.as_deref().unwrap_or_default();
    let float = n.as_f64().unwrap_or_default();
    let whole = n.as_i64();
    let bad = match (kind, format) {
        (Type::Integer, "int32") => whole.is_none_or(|i| i32::try_from(i).is_err()),
        (Type::Integer, "uint32") => whole.is_none_or(|i| u32::try_from(i).is_err()),
        (Type::Integer, "uint64") => !n.is_u64() && whole.is_none_or(|i| i < 0),
        (Type::Integer, _) => whole.is_none() && (float.fract() != 0.0 || float.abs() >= 9.3e18),
        (_, "float") => float.abs() > f64::from(f32::MAX),
        _ => false,
    };
    if !bad {
        return;
    }
    let what = match (kind, format) {
        (Type::Integer, "int32" | "int64" | "uint32" | "uint64") => format!("integer with format {format}"),
        (Type::Integer, _) => "integer (default format)".to_owned(),
        _ => format!("number with format {format}"),
    };
    let text = format!("Checked value must be of type {what} in {at}");
    let mut error = FieldError::invalid(&Path::root(), "", text);
    error.path = Path::root();
    errors.push(error);
}
