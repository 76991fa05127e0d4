//! What a rule can say.

use crate::span::Span;
use std::fmt;

/// A condition over what was measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// At least two.
    Or(Vec<Expr>),
    /// At least two.
    And(Vec<Expr>),
    Not(Box<Expr>),
    /// True at every moment of the span that ends now.
    For(Box<Expr>, Span),
    /// The container's own health check fails.
    Unhealthy,
    Compare {
        left: Metric,
        op: Op,
        right: Value,
    },
    /// `restarts > 5 in 1h`: how often within the span that ends now.
    Within {
        op: Op,
        count: f64,
        span: Span,
    },
}

/// Something measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Of one core.
    Cpu,
    /// Usage without the page cache; in percent of the limit, or of the machine where there is none.
    Memory,
    DiskFree,
    ReplicasRunning,
    ReplicasDesired,
    /// Probes failed in a row.
    ProbeFailed,
}

/// What a number is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Percent,
    Bytes,
    Count,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    Equal,
    NotEqual,
}

/// The right side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    Number(f64, Unit),
    Metric(Metric),
}

impl Metric {
    pub const ALL: [Self; 6] =
        [Self::Cpu, Self::Memory, Self::DiskFree, Self::ReplicasRunning, Self::ReplicasDesired, Self::ProbeFailed];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::DiskFree => "disk.free",
            Self::ReplicasRunning => "replicas.running",
            Self::ReplicasDesired => "replicas.desired",
            Self::ProbeFailed => "probe.failed",
        }
    }

    /// The units it can be compared in.
    pub fn units(self) -> &'static [Unit] {
        match self {
            Self::Cpu => &[Unit::Percent],
            Self::Memory | Self::DiskFree => &[Unit::Percent, Unit::Bytes],
            Self::ReplicasRunning | Self::ReplicasDesired | Self::ProbeFailed => &[Unit::Count],
        }
    }
}

impl Unit {
    /// For messages: how a number of it is written.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Percent => "a percentage such as 90%",
            Self::Bytes => "a size such as 512MiB or 1GB",
            Self::Count => "a plain number such as 5",
        }
    }
}

impl Op {
    pub const ALL: [(&'static str, Self); 6] = [
        ("<=", Self::LessOrEqual),
        (">=", Self::MoreOrEqual),
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<", Self::Less),
        (">", Self::More),
    ];

    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::More => left > right,
            Self::MoreOrEqual => left >= right,
            Self::Equal => left == right,
            Self::NotEqual => left != right,
        }
    }
}

/// Binary and decimal sizes, the larger first.
pub(crate) const SIZES: [(&str, f64); 9] = [
    ("TiB", 1_099_511_627_776.0),
    ("TB", 1e12),
    ("GiB", 1_073_741_824.0),
    ("GB", 1e9),
    ("MiB", 1_048_576.0),
    ("MB", 1e6),
    ("KiB", 1024.0),
    ("KB", 1e3),
    ("B", 1.0),
];

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, _) = Self::ALL.iter().find(|(_, op)| op == self).expect("ALL holds all");
        f.write_str(text)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metric(metric) => f.write_str(metric.name()),
            Self::Number(n, Unit::Count) => write!(f, "{n}"),
            Self::Number(n, Unit::Percent) => write!(f, "{n}%"),
            Self::Number(n, Unit::Bytes) => {
                // The largest unit that leaves a whole number: nothing is rounded.
                let fits = |(_, size): &&(&str, f64)| *n >= *size && (n / size).fract() == 0.0;
                match SIZES.iter().find(fits) {
                    Some((unit, size)) => write!(f, "{}{unit}", n / size),
                    None => write!(f, "{n}B"),
                }
            }
        }
    }
}

/// How tightly an expression binds: parentheses stand only where they are needed.
fn rank(expr: &Expr) -> u8 {
    match expr {
        Expr::Or(_) => 0,
        Expr::And(_) => 1,
        Expr::Not(_) => 2,
        Expr::For(..) => 3,
        Expr::Unhealthy | Expr::Compare { .. } | Expr::Within { .. } => 4,
    }
}

fn write(f: &mut fmt::Formatter<'_>, expr: &Expr, at_least: u8) -> fmt::Result {
    if rank(expr) < at_least { write!(f, "({expr})") } else { write!(f, "{expr}") }
}

fn join(f: &mut fmt::Formatter<'_>, parts: &[Expr], word: &str, at_least: u8) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            write!(f, " {word} ")?;
        }
        write(f, part, at_least)?;
    }
    Ok(())
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Or(parts) => join(f, parts, "or", 1),
            Self::And(parts) => join(f, parts, "and", 2),
            Self::Not(inner) => {
                f.write_str("not ")?;
                write(f, inner, 2)
            }
            Self::For(inner, span) => {
                write(f, inner, 4)?;
                write!(f, " for {span}")
            }
            Self::Unhealthy => f.write_str("unhealthy"),
            Self::Compare { left, op, right } => write!(f, "{} {op} {right}", left.name()),
            Self::Within { op, count, span } => write!(f, "restarts {op} {count} in {span}"),
        }
    }
}
