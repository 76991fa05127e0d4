//! Why an apply is refused, and the answers (rows A3, A4, A18).

use crate::managed::{Entry, Operation};
use crate::set::FieldSet;
use otternauts_meta::{Cause, Details, Status};

/// One field that another owner holds with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The owner as messages name it: `"m1"`, `"upd" with subresource "status" using otternauts.dev/v1`.
    pub manager: String,
    /// `.spec.replicas`
    pub field: String,
}

/// Why nothing was applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// 409; by owner, each owner's fields in order.
    #[error("{}", message(.0))]
    Conflicts(Vec<Conflict>),
    /// 400.
    #[error("{0}")]
    BadRequest(String),
    /// 500 without a reason, as Kubernetes answers: the applied object does not fit its schema.
    #[error("{0}")]
    Typed(String),
}

impl From<ApplyError> for Status {
    fn from(error: ApplyError) -> Self {
        let text = error.to_string();
        match error {
            ApplyError::Conflicts(conflicts) => {
                let causes = conflicts
                    .into_iter()
                    .map(|c| Cause {
                        reason: "FieldManagerConflict".to_owned(),
                        message: format!("conflict with {}", c.manager),
                        field: c.field,
                    })
                    .collect();
                Status::new(409, "Conflict", text).with_details(Details { causes, ..Details::default() })
            }
            ApplyError::BadRequest(_) => Status::bad_request(text),
            ApplyError::Typed(_) => Status::new(500, "", text),
        }
    }
}

pub(crate) fn printed_manager(entry: &Entry) -> String {
    let mut text = format!("{:?}", entry.manager);
    if !entry.subresource.is_empty() {
        text.push_str(&format!(" with subresource {:?}", entry.subresource));
    }
    if entry.operation == Operation::Update {
        text.push_str(" using ");
        text.push_str(&entry.api_version);
    }
    text
}

/// All conflicts, owners in order of their names.
pub(crate) fn conflicts(mut found: Vec<(&Entry, FieldSet)>) -> Vec<Conflict> {
    found.sort_by_key(|(e, _)| (&e.manager, e.operation, &e.api_version, &e.subresource));
    found
        .into_iter()
        .flat_map(|(entry, fields)| {
            let manager = printed_manager(entry);
            fields.paths().into_iter().map(move |field| Conflict { manager: manager.clone(), field })
        })
        .collect()
}

fn message(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {}: {}", only.manager, only.field);
    }
    let mut text = format!("Apply failed with {} conflicts: ", conflicts.len());
    for (i, conflict) in conflicts.iter().enumerate() {
        if i == 0 || conflicts[i - 1].manager != conflict.manager {
            text.push_str(&format!("{}conflicts with {}:", if i == 0 { "" } else { "\n" }, conflict.manager));
        }
        text.push_str("\n- ");
        text.push_str(&conflict.field);
    }
    text
}
