//! Why an expression holds, with the values that make it so: `cpu 97 % > 90 % for 5m`.

use crate::eval::{Truth, counted, evaluate, measured};
use crate::expr::{Expr, Metric, SIZES, Unit, Value};
use crate::sample::Sample;

/// The expression as it stands at `now`. Of an `or` only what holds is told, where anything does.
pub fn explain(expr: &Expr, history: &[Sample], now: i64) -> String {
    let known = &history[..history.partition_point(|s| s.at <= now)];
    told(expr, known, now)
}

fn told(expr: &Expr, history: &[Sample], now: i64) -> String {
    match expr {
        Expr::And(parts) => {
            let part = |e: &Expr| if matches!(e, Expr::Or(_)) { group(e, history, now) } else { told(e, history, now) };
            parts.iter().map(part).collect::<Vec<_>>().join(" and ")
        }
        Expr::Or(parts) => {
            let holding: Vec<&Expr> = parts.iter().filter(|p| evaluate(p, history, now) == Truth::True).collect();
            let shown = if holding.is_empty() { parts.iter().collect() } else { holding };
            shown.into_iter().map(|p| told(p, history, now)).collect::<Vec<_>>().join(" or ")
        }
        Expr::Not(inner) => format!("not {}", group(inner, history, now)),
        Expr::For(inner, span) => format!("{} for {span}", group(inner, history, now)),
        Expr::Unhealthy => "unhealthy".to_owned(),
        Expr::Compare { left, op, right } => {
            let unit = match right {
                Value::Number(_, unit) => *unit,
                Value::Metric(_) => Unit::Count,
            };
            let other = match right {
                Value::Number(n, unit) => shown(Some(*n), *unit),
                Value::Metric(metric) => format!("{} {}", metric.name(), value(*metric, unit, history)),
            };
            format!("{} {} {op} {other}", left.name(), value(*left, unit, history))
        }
        Expr::Within { op, count, span } => {
            let number = shown(counted(history, now, *span), Unit::Count);
            format!("restarts {number} {op} {count} in {span}")
        }
    }
}

/// In parentheses where it has several parts.
fn group(expr: &Expr, history: &[Sample], now: i64) -> String {
    let text = told(expr, history, now);
    if matches!(expr, Expr::And(_) | Expr::Or(_)) { format!("({text})") } else { text }
}

fn value(metric: Metric, unit: Unit, history: &[Sample]) -> String {
    shown(history.last().and_then(|s| measured(s, metric, unit)), unit)
}

/// Rounded for people.
fn shown(value: Option<f64>, unit: Unit) -> String {
    let Some(value) = value else { return "?".to_owned() };
    match unit {
        Unit::Percent if value.abs() < 10.0 => format!("{} %", trimmed(value)),
        Unit::Percent => format!("{value:.0} %"),
        Unit::Count => trimmed(value),
        Unit::Bytes => {
            let decimal = SIZES.iter().filter(|(name, _)| !name.contains('i'));
            match decimal.clone().find(|(_, size)| value.abs() >= *size) {
                Some((name, size)) => format!("{} {name}", trimmed(value / size)),
                None => "0 B".to_owned(),
            }
        }
    }
}

/// At most two digits after the point, and no zeros at the end.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
