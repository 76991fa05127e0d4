//! Amounts as Kubernetes writes them: `100m`, `1.5Gi`, `2e3`.

use std::cmp::Ordering;
use std::fmt;

/// How an amount is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// `Ki`, `Mi`, …
    Binary,
    /// `m`, `k`, `M`, …
    Decimal,
    /// `e3`
    Exponent,
}

/// An exact amount down to a billionth; finer parts are rounded up, as Kubernetes does.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

const NANO: i128 = 1_000_000_000;
/// The largest amount kept; larger ones are capped.
const MAX: i128 = i64::MAX as i128 * NANO;

const BINARY: [(&str, u32); 6] = [("Ei", 60), ("Pi", 50), ("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)];
const DECIMAL: [(&str, i32); 10] =
    [("E", 18), ("P", 15), ("T", 12), ("G", 9), ("M", 6), ("k", 3), ("", 0), ("m", -3), ("u", -6), ("n", -9)];

/// The text is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
pub struct ParseError;

impl Quantity {
    /// Reads an amount.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || number.len() > 60 {
            return Err(ParseError);
        }
        let (format, shift, power) = scale(suffix)?;
        let nanos = amount(whole, fraction, shift, power);
        Ok(Self { nanos: if negative { -nanos } else { nanos }, format })
    }

    pub fn from_i64(value: i64) -> Self {
        Self { nanos: i128::from(value) * NANO, format: Format::Decimal }
    }

    /// The amount in whole units, rounded up (down for a negative one).
    pub fn value(self) -> i64 {
        let up = self.nanos.abs().div_euclid(NANO) + i128::from(self.nanos % NANO != 0);
        i64::try_from(up * self.nanos.signum()).unwrap_or(if self.nanos < 0 { i64::MIN } else { i64::MAX })
    }

    /// The amount in thousandths, rounded up.
    pub fn milli_value(self) -> i64 {
        let unit = NANO / 1000;
        let up = self.nanos.abs().div_euclid(unit) + i128::from(self.nanos % unit != 0);
        i64::try_from(up * self.nanos.signum()).unwrap_or(if self.nanos < 0 { i64::MIN } else { i64::MAX })
    }

    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }
}

/// Format, binary shift and decimal power of a suffix.
fn scale(suffix: &str) -> Result<(Format, u32, i32), ParseError> {
    if let Some((_, shift)) = BINARY.iter().find(|(s, _)| *s == suffix) {
        return Ok((Format::Binary, *shift, 0));
    }
    if let Some((_, power)) = DECIMAL.iter().find(|(s, _)| *s == suffix) {
        return Ok((Format::Decimal, 0, *power));
    }
    let exponent = suffix.strip_prefix(['e', 'E']).ok_or(ParseError)?;
    let power: i32 = exponent.parse().map_err(|_| ParseError)?;
    Ok((Format::Exponent, 0, power.clamp(-60, 60)))
}

/// `whole.fraction * 2^shift * 10^power` in billionths, rounded up and capped.
fn amount(whole: &str, fraction: &str, shift: u32, power: i32) -> i128 {
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
    let first = digits.iter().position(|d| *d != 0).unwrap_or(digits.len());
    digits.drain(..first);
    // The value is `digits * 2^shift * 10^exponent` billionths; 30 digits are more than the cap needs.
    let exponent = power + 9 - i32::try_from(fraction.len()).unwrap_or(60);
    let dropped = digits.len().saturating_sub(30);
    let mut rest = digits.split_off(digits.len() - dropped).iter().any(|d| *d != 0);
    let exponent = exponent + i32::try_from(dropped).unwrap_or(60);
    let mut nanos = digits.iter().fold(0_i128, |n, d| n * 10 + i128::from(*d)).saturating_mul(1_i128 << shift);
    for _ in 0..exponent.max(0) {
        nanos = nanos.saturating_mul(10);
    }
    for _ in exponent..0 {
        rest |= nanos % 10 != 0;
        nanos /= 10;
    }
    nanos.saturating_add(i128::from(rest)).min(MAX)
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

/// The canonical form: no fraction, the largest suffix that needs none.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.nanos / NANO;
        if self.nanos == 0 {
            return f.write_str("0");
        }
        if self.format == Format::Binary && self.nanos % NANO == 0 && whole.abs() >= 1024 {
            let best = BINARY.iter().find(|(_, shift)| whole % (1_i128 << shift) == 0);
            return match best {
                Some((suffix, shift)) => write!(f, "{}{suffix}", whole >> shift),
                None => write!(f, "{whole}"),
            };
        }
        for (suffix, power) in DECIMAL {
            let unit = 10_i128.pow((power + 9).unsigned_abs());
            if self.nanos % unit == 0 {
                let n = self.nanos / unit;
                return match self.format {
                    Format::Exponent if power != 0 => write!(f, "{n}e{power}"),
                    _ => write!(f, "{n}{suffix}"),
                };
            }
        }
        write!(f, "{}n", self.nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_print_in_canonical_form() {
        for (text, canonical) in [
            ("0", "0"),
            ("1", "1"),
            ("1.5", "1500m"),
            ("100m", "100m"),
            ("1000m", "1"),
            ("1500", "1500"),
            ("1000", "1k"),
            ("1.5Gi", "1536Mi"),
            ("1024Ki", "1Mi"),
            ("0.5Mi", "512Ki"),
            ("100Ki", "100Ki"),
            ("12e6", "12e6"),
            ("1e3", "1e3"),
            ("-5Gi", "-5Gi"),
            (".5", "500m"),
            ("1.0000000001", "1000000001n"),
            ("+3", "3"),
        ] {
            assert_eq!(Quantity::parse(text).map(|q| q.to_string()), Ok(canonical.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "a", "1.2.3", "1 Gi", "1ki", "--1", "e3", "1e", "1e1.5", "1Kib", "\u{661}"] {
            assert_eq!(Quantity::parse(text), Err(ParseError), "{text}");
        }
    }

    #[test]
    fn quantities_compare_by_amount() {
        let q = |t| Quantity::parse(t).expect("valid");
        assert_eq!(q("1"), q("1000m"));
        assert!(q("1Gi") > q("1G"));
        assert!(q("-1") < q("0"));
        assert_eq!(q("1.5").value(), 2);
        assert_eq!(q("0.1").milli_value(), 100);
        assert_eq!(q("999999999999999999999").value(), i64::MAX);
    }

    proptest::proptest! {
        #[test]
        fn the_canonical_form_keeps_the_amount(whole in 0_u32.., milli in 0_u32..1000, suffix in "(|k|M|Ki|Mi|Gi|m)") {
            let text = format!("{whole}.{milli:03}{suffix}");
            let one = Quantity::parse(&text).expect("made of digits and a known suffix");
            proptest::prop_assert_eq!(Quantity::parse(&one.to_string()), Ok(one));
        }

        #[test]
        fn reading_never_panics(text in ".{0,40}") {
            _ = Quantity::parse(&text);
            _ = crate::LabelSelector::parse(&text);
            _ = crate::FieldSelector::parse(&text);
        }
    }
}
