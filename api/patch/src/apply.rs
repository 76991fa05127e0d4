//! Server-side apply (rows A2 to A7, A13, A15, A16).

use crate::combine::combine;
use crate::compare::compare;
use crate::conflict::{ApplyError, Conflict, conflicts};
use crate::extract::{check, extract};
use crate::last_applied;
use crate::managed::{BEFORE_FIRST_APPLY, Entry, ManagedFields, Operation};
use crate::ownership::Ownership;
use crate::prune::prune;
use crate::value::equal;
use otternauts_meta::{Object, Timestamp};

/// What an apply made of the live object.
#[derive(Clone, Debug)]
pub struct Applied {
    /// With its managedFields; not yet defaulted, pruned or validated.
    pub object: Object,
    /// False when the object stayed as it was; ownership may have changed (row A6).
    pub changed: bool,
}

/// Applies `applied` as `manager`. With `force` the manager takes the fields others hold (row A5).
///
/// `live` is absent when the object is to be created.
pub fn apply(
    live: Option<&Object>,
    applied: &Object,
    manager: &str,
    force: bool,
    context: &Ownership<'_>,
    now: Timestamp,
) -> Result<Applied, ApplyError> {
    if applied.metadata().and_then(|m| m.get("managedFields")).is_some_and(|v| !v.is_null()) {
        return Err(ApplyError::BadRequest("metadata.managedFields must be nil".to_owned()));
    }
    check(applied, context.schema).map_err(|why| {
        let (namespace, name) = (applied.namespace(), applied.name());
        let (version, kind) = (applied.api_version(), applied.kind());
        // The core group keeps its slash here.
        let core = if version.contains('/') { "" } else { "/" };
        let what = format!("{namespace}/{name}; {core}{version}, Kind={kind}");
        ApplyError::Typed(format!("failed to create typed patch object ({what}): {why}"))
    })?;
    let managed = owners_before(live, context, now)?;
    let attempt = Attempt { live, applied, manager, context, now };
    match attempt.run(managed.clone(), force) {
        Err(found) if manager == last_applied::MANAGER => {
            let forgiven = live.map(|l| last_applied::forgiven(l, context)).unwrap_or_default();
            let left: Vec<Conflict> = found.into_iter().filter(|c| !forgiven.contains(&c.field)).collect();
            if left.is_empty() {
                attempt.run(managed, true).map_err(ApplyError::Conflicts)
            } else {
                Err(ApplyError::Conflicts(left))
            }
        }
        other => other.map_err(ApplyError::Conflicts),
    }
}

/// The live owners; an object without any belongs to `before-first-apply` (row A15).
fn owners_before(live: Option<&Object>, context: &Ownership<'_>, now: Timestamp) -> Result<ManagedFields, ApplyError> {
    let Some(live) = live else {
        return Ok(ManagedFields::default());
    };
    let mut managed =
        ManagedFields::of(live).map_err(|why| ApplyError::Typed(format!("failed to decode managed fields: {why}")))?;
    if managed.0.is_empty() {
        managed.take(compare(None, live, context), BEFORE_FIRST_APPLY, context, now);
    }
    Ok(managed)
}

struct Attempt<'a> {
    live: Option<&'a Object>,
    applied: &'a Object,
    manager: &'a str,
    context: &'a Ownership<'a>,
    now: Timestamp,
}

impl Attempt<'_> {
    fn run(&self, mut managed: ManagedFields, force: bool) -> Result<Applied, Vec<Conflict>> {
        managed.tidy(self.context);
        let own = |e: &Entry| e.is(self.manager, Operation::Apply, self.context);
        let last = managed.0.iter().position(own).map(|i| managed.0.swap_remove(i));
        let mut entry = Entry {
            manager: self.manager.to_owned(),
            operation: Operation::Apply,
            api_version: self.context.api_version.to_owned(),
            subresource: self.context.subresource.to_owned(),
            time: last.as_ref().and_then(|e| e.time),
            fields: extract(self.applied, self.context),
        };
        let mut object = combine(self.live.cloned().unwrap_or_default(), self.applied, self.context);
        if let Some(last) = &last {
            let owned: Vec<_> = managed.0.iter().chain([&entry]).map(|e| &e.fields).collect();
            prune(&mut object.0, &last.fields, &owned, self.context.schema);
        }
        let diff = compare(self.live, &object, self.context);
        if !force {
            let found = |e| Some((e, intersection(e, &diff.changed)?));
            let found: Vec<_> = managed.0.iter().filter_map(found).collect();
            if !found.is_empty() {
                return Err(conflicts(found));
            }
        }
        managed.give_up(&diff.changed, &diff.removed);
        // More than the fields' values counts here: the order of items, too.
        let changed = self.live.is_none_or(|live| !equal_objects(live, &object));
        if changed {
            entry.time = Some(self.now);
        }
        managed.0.push(entry);
        managed.tidy(self.context);
        if self.manager == last_applied::MANAGER {
            last_applied::keep_in_step(&mut object, self.applied);
        }
        managed.store(&mut object, self.context.sorted_keys);
        Ok(Applied { object, changed })
    }
}

fn equal_objects(a: &Object, b: &Object) -> bool {
    a.0.len() == b.0.len() && a.0.iter().all(|(k, v)| b.0.get(k).is_some_and(|w| equal(v, w)))
}

fn intersection(entry: &Entry, changed: &crate::set::FieldSet) -> Option<crate::set::FieldSet> {
    let both = entry.fields.intersection(changed);
    if both.is_empty() { None } else { Some(both) }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
