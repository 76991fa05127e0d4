//! Conditions in the shape of `metav1.Condition` (row S10).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

/// One observation. `reason` is CamelCase for programs, `message` a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    pub r#type: String,
    pub status: ConditionStatus,
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub message: String,
    /// RFC 3339; moves only when `status` does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// Puts a condition into its list, keeping the transition time while the status stays as it was.
/// `now` is RFC 3339. Answers whether anything but the time differs from before.
pub fn set_condition(conditions: &mut Vec<Condition>, mut new: Condition, now: &str) -> bool {
    let Some(old) = conditions.iter_mut().find(|c| c.r#type == new.r#type) else {
        new.last_transition_time = Some(now.to_owned());
        conditions.push(new);
        return true;
    };
    new.last_transition_time =
        if old.status == new.status { old.last_transition_time.clone() } else { Some(now.to_owned()) };
    let changed = *old != new;
    *old = new;
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(status: ConditionStatus, reason: &str) -> Condition {
        Condition {
            r#type: "Ready".into(),
            status,
            reason: reason.into(),
            message: String::new(),
            last_transition_time: None,
            observed_generation: Some(1),
        }
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let mut list = Vec::new();
        assert!(set_condition(&mut list, ready(ConditionStatus::False, "A"), "t1"));
        assert!(!set_condition(&mut list, ready(ConditionStatus::False, "A"), "t2"));
        assert!(set_condition(&mut list, ready(ConditionStatus::False, "B"), "t3"));
        assert_eq!(list[0].last_transition_time.as_deref(), Some("t1"));
        assert!(set_condition(&mut list, ready(ConditionStatus::True, "B"), "t4"));
        assert_eq!(list[0].last_transition_time.as_deref(), Some("t4"));
    }
}
