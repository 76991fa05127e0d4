//! What an expression needs to be judged: which measurements, and how far back.

use crate::expr::{Expr, Metric, Op, Unit, Value};
use crate::span::Span;

/// How far back anything is remembered, in milliseconds: what looks further back is never known.
pub const MAX_REACH: i64 = 86_400_000;

impl Expr {
    /// Whether anything in it has to be measured again and again; all else is told as it happens.
    pub fn needs_samples(&self) -> bool {
        match self {
            Self::Or(parts) | Self::And(parts) => parts.iter().any(Self::needs_samples),
            Self::Not(inner) | Self::For(inner, _) => inner.needs_samples(),
            Self::Compare { left, .. } => matches!(left, Metric::Cpu | Metric::Memory | Metric::DiskFree),
            Self::Unhealthy | Self::Within { .. } => false,
        }
    }

    /// How far back it looks, in milliseconds; 0: at the present only.
    pub fn reach(&self) -> i64 {
        match self {
            Self::Or(parts) | Self::And(parts) => parts.iter().map(Self::reach).max().unwrap_or(0),
            Self::Not(inner) => inner.reach(),
            Self::For(inner, span) => inner.reach().saturating_add(span.millis()),
            Self::Within { span, .. } => span.millis(),
            Self::Unhealthy | Self::Compare { .. } => 0,
        }
    }

    /// The times in it. With nothing new to be told, its truth can change only when one of them has passed since something.
    pub fn spans(&self) -> Vec<Span> {
        match self {
            Self::Or(parts) | Self::And(parts) => parts.iter().flat_map(Self::spans).collect(),
            Self::Not(inner) => inner.spans(),
            Self::For(inner, span) => inner.spans().into_iter().chain([*span]).collect(),
            Self::Within { span, .. } => vec![*span],
            Self::Unhealthy | Self::Compare { .. } => Vec::new(),
        }
    }

    /// The first part of it that only services have, as it is written: of a server it is never known.
    pub fn of_services(&self) -> Option<&'static str> {
        self.leaves().into_iter().find_map(|leaf| match leaf {
            Self::Unhealthy => Some("unhealthy"),
            Self::Within { .. } => Some("restarts"),
            Self::Compare { left, right, .. } => {
                let right = if let Value::Metric(metric) = right { Some(*metric) } else { None };
                let of_servers = |m: &Metric| matches!(m, Metric::Cpu | Metric::Memory | Metric::DiskFree);
                [Some(*left), right].into_iter().flatten().find(|m| !of_servers(m)).map(Metric::name)
            }
            Self::Or(_) | Self::And(_) | Self::Not(_) | Self::For(..) => None,
        })
    }

    /// Whether some part of it asks for more failed probes in a row than are counted, which is `most`.
    pub fn asks_for_more_failures_than(&self, most: f64) -> bool {
        self.leaves().into_iter().any(|leaf| match leaf {
            Self::Compare { left: Metric::ProbeFailed, op, right: Value::Number(n, Unit::Count) } => match op {
                Op::More => *n >= most,
                Op::MoreOrEqual | Op::Equal => *n > most,
                Op::Less | Op::LessOrEqual | Op::NotEqual => false,
            },
            _ => false,
        })
    }

    /// Its parts that have no parts.
    fn leaves(&self) -> Vec<&Self> {
        match self {
            Self::Or(parts) | Self::And(parts) => parts.iter().flat_map(Self::leaves).collect(),
            Self::Not(inner) | Self::For(inner, _) => inner.leaves(),
            Self::Unhealthy | Self::Compare { .. } | Self::Within { .. } => vec![self],
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::parse;

    #[test]
    fn what_can_never_be_known_or_true_is_found_wherever_it_stands() {
        for (text, of_services, too_many) in [
            ("disk.free < 10% for 5m", None, false),
            ("cpu > 90% or memory > 1GB", None, false),
            ("disk.free < 10% and not unhealthy", Some("unhealthy"), false),
            ("(restarts > 5 in 1h) for 1m", Some("restarts"), false),
            ("replicas.running < replicas.desired", Some("replicas.running"), false),
            ("probe.failed >= 20", Some("probe.failed"), false),
            ("probe.failed > 20", Some("probe.failed"), true),
            ("cpu > 5% or probe.failed == 21 for 1m", Some("probe.failed"), true),
            ("probe.failed < 100", Some("probe.failed"), false),
        ] {
            let expr = parse(text).expect("a rule");
            assert_eq!(expr.of_services(), of_services, "{text}");
            assert_eq!(expr.asks_for_more_failures_than(20.0), too_many, "{text}");
        }
    }
}
