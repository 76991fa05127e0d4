//! Which version of a group is best (row D15).

use std::cmp::Ordering;

/// How far a version has come; better ones compare greater.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Alpha,
    Beta,
    Stable,
}

fn rank(name: &str) -> Option<(Stage, u64, u64)> {
    let rest = name.strip_prefix('v')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let number = |text: &str| if text.starts_with('0') || text.is_empty() { None } else { text.parse::<u64>().ok() };
    let major = number(&rest[..end])?;
    match &rest[end..] {
        "" => Some((Stage::Stable, major, 0)),
        tail => {
            let (stage, minor) = match (tail.strip_prefix("alpha"), tail.strip_prefix("beta")) {
                (Some(minor), _) => (Stage::Alpha, minor),
                (_, Some(minor)) => (Stage::Beta, minor),
                _ => return None,
            };
            if !minor.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            Some((stage, major, number(minor)?))
        }
    }
}

/// `Less` when `a` comes first: v10, v2, v1, v1beta2, v1beta1, v3alpha1, v1alpha2, then other names by their letters.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    match (rank(a), rank(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_kubernetes_orders_them() {
        let sorted =
            ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10", "v1x"];
        let mut shuffled = sorted.to_vec();
        shuffled.reverse();
        shuffled.sort_by(|a, b| compare_versions(a, b));
        assert_eq!(shuffled, sorted);
    }
}
