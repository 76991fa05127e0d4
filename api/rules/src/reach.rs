//! What an expression needs to be judged: which measurements, and how far back.

use crate::expr::{Expr, Metric};
use crate::span::Span;

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
}
