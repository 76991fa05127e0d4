//! LIST: pages of one snapshot (section 1.14).

use super::{bad_version, parse_version};
use crate::continue_token::ContinueToken;
use crate::registry::{Registry, page, store_status};
use crate::request::{Caller, ListOptions, Target};
use crate::rest::Rest;
use crate::selection::Selection;
use crate::shape::Shape;
use crate::writing::options_error;
use crate::{ServedList, encode};
use otternauts_meta::{FieldError, Path, Status};
use otternauts_store::{Error, List, Page, Range, Record, Revision};
use std::sync::Arc;

/// Records read at once when a selector leaves some of them out.
const CHUNK: usize = 512;
/// Row L10.
const EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list \
    without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing \
    with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the \
    first chunk was returned and now may show up in the list.";

/// Records of one list, chosen, with what its answer says of the rest.
pub(crate) struct Chosen {
    pub records: Vec<Record>,
    pub revision: Revision,
    pub continue_token: String,
    pub remaining: Option<u64>,
}

impl Registry {
    pub async fn list(&self, caller: &Caller, target: &Target, options: &ListOptions) -> Result<ServedList, Status> {
        let _ = caller;
        let shape = self.shape(target);
        if options.limit == 0 && options.continue_token.is_empty() {
            let selection = Selection::new(&shape, target, &options.labels, &options.fields)?;
            // What is sent while it is read cannot say later that a part of it is damaged.
            if selection.is_everything() && !self.inner.store.is_damaged() {
                return self.everything(shape, selection.range, options).await;
            }
        }
        let chosen = self.choose(&shape, target, options).await?;
        let items = shape.serve_all(&chosen.records)?;
        Ok(ServedList {
            items,
            rest: None,
            item_cut: encode::cut(&shape.definition, &shape.version),
            resource_version: chosen.revision.to_string(),
            continue_token: chosen.continue_token,
            remaining: chosen.remaining,
        })
    }

    /// A whole collection: the first objects now, the others as they are asked for.
    async fn everything(&self, shape: Shape, range: Range, options: &ListOptions) -> Result<ServedList, Status> {
        let at = self.start(check_options(options)?, options).await?;
        let item_cut = encode::cut(&shape.definition, &shape.version);
        let (items, revision, rest) = Rest::begin(&self.inner.store, &self.inner.long_lists, shape, range, at).await?;
        let (resource_version, continue_token) = (revision.to_string(), String::new());
        Ok(ServedList { items, rest, item_cut, resource_version, continue_token, remaining: None })
    }

    /// The records a list request means, without serving them.
    pub(crate) async fn choose(&self, shape: &Shape, target: &Target, options: &ListOptions) -> Result<Chosen, Status> {
        let selection = Selection::new(shape, target, &options.labels, &options.fields)?;
        let version = check_options(options)?;
        let collection = format!("{}/{:?}", shape.resource, target.namespace);
        let (at, after) = if options.continue_token.is_empty() {
            (self.start(version, options).await?, None)
        } else {
            let token = ContinueToken::decode(&options.continue_token, &self.inner.token_key, &collection)?;
            if token.revision.is_none() {
                self.inner.store.fresh().await.map_err(|error| store_status(&error))?;
            }
            (token.revision, Some((Arc::from(token.namespace), Arc::from(token.name))))
        };
        let fetched = self.fetch(shape, &selection, at, after.clone(), options.limit).await;
        let Fetched { records, revision, more, remaining } = match fetched {
            Ok(fetched) => fetched?,
            Err(Error::Compacted { .. }) if after.is_some() => return Err(self.expired(after, &collection)),
            Err(error) => return Err(store_status(&error)),
        };
        let continue_token = match records.last() {
            Some(last) if more => ContinueToken {
                revision: Some(revision),
                namespace: last.key.namespace.to_string(),
                name: last.key.name.to_string(),
            }
            .encode(&self.inner.token_key, &collection),
            _ => String::new(),
        };
        let remaining = remaining.filter(|_| more && selection.is_everything());
        Ok(Chosen { records, revision, continue_token, remaining })
    }

    /// Rows L2 to L6: at which revision the list is read; `None`: the newest.
    async fn start(&self, version: Option<Revision>, options: &ListOptions) -> Result<Option<Revision>, Status> {
        let Some(revision) = version else {
            // P8. Version 0 takes what this replica has seen.
            self.inner.store.fresh().await.map_err(|error| store_status(&error))?;
            return Ok(None);
        };
        if revision == 0 {
            return Ok(None);
        }
        self.wait_for(revision).await?;
        let exact = match options.resource_version_match.as_str() {
            "Exact" => true,
            "NotOlderThan" => false,
            _ => options.limit > 0,
        };
        Ok(exact.then_some(revision))
    }

    /// Reads until `limit` objects are chosen or there are no more.
    async fn fetch(
        &self,
        shape: &Shape,
        selection: &Selection,
        at: Option<Revision>,
        after: Option<(Arc<str>, Arc<str>)>,
        limit: usize,
    ) -> Result<Result<Fetched, Status>, Error> {
        let chunk = match (limit, selection.is_everything()) {
            (0, _) => 0,
            (limit, true) => limit,
            (limit, false) => limit.max(CHUNK),
        };
        let mut wanted = List { range: selection.range.clone(), at, after, limit: chunk };
        let mut records = Vec::new();
        loop {
            let Page { records: read, revision, more, remaining } = page(&self.inner.store, wanted.clone()).await?;
            wanted.at = Some(revision);
            wanted.after = read.last().map(|r| (r.key.namespace.clone(), r.key.name.clone()));
            if selection.is_everything() {
                return Ok(Ok(Fetched { records: read, revision, more, remaining }));
            }
            let mut read = read.into_iter();
            for record in read.by_ref() {
                match selection.matches(shape, &record) {
                    Ok(true) => records.push(record),
                    Ok(false) => {}
                    Err(status) => return Ok(Err(status)),
                }
                if limit > 0 && records.len() == limit {
                    break;
                }
            }
            let full = limit > 0 && records.len() == limit;
            let more = more || read.len() > 0;
            if full || !more || wanted.after.is_none() {
                return Ok(Ok(Fetched { records, revision, more: full && more, remaining }));
            }
        }
    }

    /// Row L10: a token that goes on at the newest version.
    fn expired(&self, after: Option<(Arc<str>, Arc<str>)>, collection: &str) -> Status {
        let mut status = Status::expired(EXPIRED);
        status.continue_token = after.map(|(namespace, name)| {
            let token = ContinueToken { revision: None, namespace: namespace.to_string(), name: name.to_string() };
            token.encode(&self.inner.token_key, collection)
        });
        status
    }
}

struct Fetched {
    records: Vec<Record>,
    revision: Revision,
    more: bool,
    remaining: Option<u64>,
}

/// Rows L5, L7, L11.
fn check_options(options: &ListOptions) -> Result<Option<Revision>, Status> {
    let forbidden = |detail: &str| {
        let error = FieldError::forbidden(&Path::new("resourceVersionMatch"), detail);
        options_error("ListOptions", error)
    };
    let matching = options.resource_version_match.as_str();
    if !matching.is_empty() {
        if options.resource_version.is_empty() {
            return Err(forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided"));
        }
        if !options.continue_token.is_empty() {
            return Err(forbidden("resourceVersionMatch is forbidden when continue is provided"));
        }
        if matching != "Exact" && matching != "NotOlderThan" {
            let path = Path::new("resourceVersionMatch");
            let error = FieldError::not_supported(&path, matching, &["Exact", "NotOlderThan", ""]);
            return Err(options_error("ListOptions", error));
        }
        if matching == "Exact" && options.resource_version == "0" {
            return Err(forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
        }
    }
    if !options.continue_token.is_empty() {
        if !matches!(options.resource_version.as_str(), "" | "0") {
            return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
        }
        return Ok(None);
    }
    parse_version(&options.resource_version).map_err(|e| bad_version(&e))
}
