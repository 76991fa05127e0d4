//! What an expression means over a history.

use crate::expr::{Expr, Metric, Op, Unit, Value};
use crate::sample::Sample;
use crate::span::Span;

/// Samples further apart than this leave a hole that nobody knows about, in milliseconds: four times the usual distance.
const HOLE: i64 = 60_000;

/// What is known of a condition. Only `True` may cause an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    True,
    False,
    /// Not measured, or not for long enough.
    Unknown,
}

impl Truth {
    fn of(known: Option<bool>) -> Self {
        match known {
            Some(true) => Self::True,
            Some(false) => Self::False,
            None => Self::Unknown,
        }
    }

    fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }
}

/// Whether `expr` holds at `now` (milliseconds since 1970), given everything measured so far, oldest first. Samples later than
/// `now` are not looked at.
pub fn evaluate(expr: &Expr, history: &[Sample], now: i64) -> Truth {
    let known = &history[..history.partition_point(|s| s.at <= now)];
    at(expr, known, now)
}

fn at(expr: &Expr, history: &[Sample], now: i64) -> Truth {
    match expr {
        // The first that decides ends it; one that is not known does not.
        Expr::Or(parts) => decided(parts, history, now, Truth::True),
        Expr::And(parts) => decided(parts, history, now, Truth::False),
        Expr::Not(inner) => at(inner, history, now).not(),
        Expr::For(inner, span) => throughout(inner, history, now, *span),
        Expr::Unhealthy => Truth::of(newest(history, now).and_then(|s| s.unhealthy)),
        Expr::Compare { left, op, right } => {
            Truth::of(newest(history, now).and_then(|s| compare(s, *left, *op, *right)))
        }
        Expr::Within { op, count, span } => restarts(history, now, *op, *count, *span),
    }
}

fn decided(parts: &[Expr], history: &[Sample], now: i64, by: Truth) -> Truth {
    let mut all = by.not();
    for part in parts {
        match at(part, history, now) {
            truth if truth == by => return by,
            Truth::Unknown => all = Truth::Unknown,
            _ => {}
        }
    }
    all
}

/// The last sample, unless it is too old to say anything about now.
fn newest(history: &[Sample], now: i64) -> Option<&Sample> {
    history.last().filter(|s| now - s.at <= HOLE)
}

fn compare(sample: &Sample, left: Metric, op: Op, right: Value) -> Option<bool> {
    let (right, unit) = match right {
        Value::Number(n, unit) => (n, unit),
        Value::Metric(metric) => (measured(sample, metric, Unit::Count)?, Unit::Count),
    };
    Some(op.holds(measured(sample, left, unit)?, right))
}

pub(crate) fn measured(sample: &Sample, metric: Metric, unit: Unit) -> Option<f64> {
    let share = |part: Option<f64>, whole: Option<f64>| Some(100.0 * part? / whole.filter(|w| *w > 0.0)?);
    #[allow(clippy::cast_precision_loss, reason = "counts of replicas and failures")]
    let count = |n: Option<u64>| n.map(|n| n as f64);
    match (metric, unit) {
        (Metric::Cpu, _) => sample.cpu,
        (Metric::Memory, Unit::Percent) => share(sample.memory, sample.memory_limit),
        (Metric::Memory, _) => sample.memory,
        (Metric::DiskFree, Unit::Percent) => share(sample.disk_free, sample.disk_size),
        (Metric::DiskFree, _) => sample.disk_free,
        (Metric::ReplicasRunning, _) => count(sample.replicas_running),
        (Metric::ReplicasDesired, _) => count(sample.replicas_desired),
        (Metric::ProbeFailed, _) => count(sample.probe_failed),
    }
}

/// True when it held at every sample of the span, the samples reach back to its beginning, and no hole is between them.
fn throughout(inner: &Expr, history: &[Sample], now: i64, span: Span) -> Truth {
    if newest(history, now).is_none() {
        return Truth::Unknown;
    }
    let begin = now - span.millis();
    let mut later = now;
    for i in (0..history.len()).rev() {
        let moment = history[i].at;
        match at(inner, &history[..=i], moment) {
            Truth::True if later - moment <= HOLE => {}
            Truth::True | Truth::Unknown => return Truth::Unknown,
            Truth::False => return Truth::False,
        }
        if moment <= begin {
            return Truth::True;
        }
        later = moment;
    }
    Truth::Unknown
}

/// Restarts within the span. Where the history does not reach back that far, more than enough is still enough.
fn restarts(history: &[Sample], now: i64, op: Op, count: f64, span: Span) -> Truth {
    let begin = now - span.millis();
    if newest(history, now).is_none_or(|s| s.restarts.is_none()) {
        return Truth::Unknown;
    }
    let covered = history.first().is_some_and(|s| s.at <= begin);
    let holds = op.holds(counted(history, now, span).unwrap_or_default(), count);
    match (holds, covered, op) {
        (_, true, _) | (true, false, Op::More | Op::MoreOrEqual) => Truth::of(Some(holds)),
        _ => Truth::Unknown,
    }
}

/// Restarts within the span, as far as the history knows.
pub(crate) fn counted(history: &[Sample], now: i64, span: Span) -> Option<f64> {
    let begin = now - span.millis();
    let first = history.partition_point(|s| s.at <= begin).saturating_sub(1);
    let mut total = 0_u64;
    let mut before: Option<u64> = None;
    for now in history.get(first..)?.iter().filter_map(|s| s.restarts) {
        total = total.saturating_add(before.map_or(0, |before| if now >= before { now - before } else { now }));
        before = Some(now);
    }
    #[allow(clippy::cast_precision_loss, reason = "a count of restarts")]
    before.map(|_| total as f64)
}
