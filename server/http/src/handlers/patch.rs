//! PATCH: the media type says which kind of patch (rows P1, P4, P5, E15); the registry reads the bytes.

use crate::answer::Answer;
use crate::call::Call;
use crate::options::{self, Write};
use bytes::Bytes;
use otternauts_meta::{Details, Status};
use otternauts_registry::{PatchType, Target};

/// The kind of patch a `Content-Type` names; strategic merge exists for built-in kinds only.
pub fn kind(content_type: Option<&str>, builtin: bool) -> Option<PatchType> {
    let media = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match media.to_ascii_lowercase().as_str() {
        "application/json-patch+json" => Some(PatchType::Json),
        "application/merge-patch+json" => Some(PatchType::Merge),
        "application/apply-patch+yaml" => Some(PatchType::Apply),
        "application/strategic-merge-patch+json" if builtin => Some(PatchType::Strategic),
        _ => None,
    }
}

fn unsupported(builtin: bool) -> Status {
    if builtin {
        return Status::unsupported_media_type("415: Unsupported Media Type").with_details(Details::default());
    }
    Status::unsupported_media_type(
        "the body of the request was in an unknown format - accepted media types include: \
         application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
    )
}

pub async fn run(call: &Call, target: &Target, patch: Bytes) -> Result<Answer, Status> {
    let builtin = target.definition.is_builtin();
    let kind = kind(call.content_type(), builtin).ok_or_else(|| unsupported(builtin))?;
    let accepted = call.accept_object(target)?;
    let which = if kind == PatchType::Apply { Write::Apply } else { Write::Patch };
    let options = options::write(&call.query, which)?;
    let served = call.registry().patch(&call.caller, target, kind, patch, &options).await?;
    call.object(target, accepted, if served.created { 201 } else { 200 }, served.bytes)
}
