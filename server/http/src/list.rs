//! Lists on their way out (rows L1, N9, N15): the items' own bytes joined, decoded only for tables.

use crate::accept::{Accepted, Shape};
use crate::answer::Answer;
use crate::partial::{list_meta, write as write_partial};
use crate::pieces::Pieces;
use crate::table::{Include, Tables};
use bytes::Bytes;
use otternauts_meta::{Status, Timestamp};
use otternauts_registry::{ServedList, Target};

/// Answers a list in the shape asked for.
pub async fn answer(
    target: &Target,
    accepted: Accepted,
    include: Include,
    mut list: ServedList,
    now: Timestamp,
) -> Result<Answer, Status> {
    if !matches!(accepted.shape, Shape::Object) {
        list.read_all().await?;
    }
    let bytes = match accepted.shape {
        Shape::Object => return Answer::pieces(200, accepted, plain(target, list)).await,
        Shape::Table(version) => Tables::new(target, version, include).list(&list, now)?,
        Shape::PartialList(version) => partial(&list, version)?,
        Shape::Partial(_) => return Err(list_refused(target)),
    };
    Answer::negotiated(200, accepted, bytes)
}

/// A list was asked for as one object's metadata (row N15).
pub fn list_refused(target: &Target) -> Status {
    let kind = if target.definition.is_builtin() {
        format!("*core.{}", target.definition.names.list_kind)
    } else {
        "*unstructured.UnstructuredList".to_owned()
    };
    Status::not_acceptable(format!("you requested PartialObjectMetadata, but the requested object is a list ({kind})"))
}

fn json(text: &str) -> String {
    String::from_utf8(crate::answer::encode(&text.into())).unwrap_or_default()
}

fn plain(target: &Target, list: ServedList) -> Pieces {
    let gvk = target.definition.gvk(&target.version);
    let (api_version, kind) = (json(&gvk.api_version()), json(&target.definition.names.list_kind));
    let (mut head, mut tail) = (Vec::with_capacity(256), Vec::with_capacity(256));
    if target.definition.is_builtin() {
        head.extend_from_slice(format!(r#"{{"kind":{kind},"apiVersion":{api_version},"metadata":"#).as_bytes());
        head.extend_from_slice(&list_meta(&list.resource_version, &list.continue_token, list.remaining));
        head.extend_from_slice(br#","items":["#);
        tail.extend_from_slice(b"]}");
    } else {
        head.extend_from_slice(format!(r#"{{"apiVersion":{api_version},"items":["#).as_bytes());
        tail.extend_from_slice(format!(r#"],"kind":{kind},"metadata":{{"continue":"#).as_bytes());
        tail.extend_from_slice(json(&list.continue_token).as_bytes());
        if let Some(remaining) = list.remaining {
            tail.extend_from_slice(format!(r#","remainingItemCount":{remaining}"#).as_bytes());
        }
        tail.extend_from_slice(format!(r#","resourceVersion":{}}}}}"#, json(&list.resource_version)).as_bytes());
    }
    Pieces { head, items: list.items, rest: list.rest, cut: list.item_cut, tail }
}

fn partial(list: &ServedList, version: &str) -> Result<Bytes, Status> {
    let mut out = Vec::with_capacity(256 + list.items.len() * 512);
    out.extend_from_slice(
        format!(r#"{{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/{version}","metadata":"#).as_bytes(),
    );
    out.extend_from_slice(&list_meta(&list.resource_version, &list.continue_token, list.remaining));
    out.extend_from_slice(br#","items":["#);
    for (i, item) in list.items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_partial(&mut out, item, version)?;
    }
    out.extend_from_slice(b"]}");
    Ok(out.into())
}
