//! The pipeline of a write, without its I/O: from what somebody sent to what will be stored (house of one path for all kinds).

mod intake;
mod outcome;
mod ownership;

pub(crate) use intake::{Origin, name_and_namespace, options_error};
pub(crate) use outcome::Outcome;

use crate::kinds::Admission;
use crate::metadata;
use crate::registry::Registry;
use crate::request::{Caller, FieldValidation, Subresource, Target, WriteOptions};
use crate::shape::{Shape, as_object};
use otternauts_meta::metadata::{
    finalizer_warnings, validate_builtin_finalizers, validate_metadata, validate_metadata_update,
};
use otternauts_meta::{ErrorList, GroupResource, GroupVersionKind, Object, Path, Status, Timestamp};
use otternauts_schema::{validate, validate_lists};
use otternauts_telemetry::traces;
use serde_json::{Map, Value};

/// Names of our controllers' accounts begin so.
const CONTROLLERS: &str = "system:serviceaccount:otternauts-system:";

/// One write request on its way.
pub(crate) struct Writing<'a> {
    pub registry: &'a Registry,
    pub caller: &'a Caller,
    pub target: &'a Target,
    pub shape: Shape,
    pub resource: GroupResource,
    pub gvk: GroupVersionKind,
    pub validation: FieldValidation,
    pub manager: String,
    pub now: Timestamp,
    /// A PATCH: no version is needed, and a lost race runs again (row P7).
    pub is_patch: bool,
    /// A PATCH that is no apply.
    pub is_plain_patch: bool,
}

impl<'a> Writing<'a> {
    pub fn new(registry: &'a Registry, caller: &'a Caller, target: &'a Target, options: &WriteOptions) -> Self {
        let definition = &target.definition;
        Self {
            registry,
            caller,
            target,
            shape: registry.shape(target),
            resource: definition.group_resource(),
            gvk: definition.gvk(&target.version),
            validation: options.field_validation,
            manager: manager(&options.field_manager, &caller.user_agent),
            now: registry.now(),
            is_patch: false,
            is_plain_patch: false,
        }
    }

    fn has_status(&self) -> bool {
        self.shape.served().has_status
    }

    /// A new object, taken in: everything the server adds, all rules, ownership. The name is final.
    pub fn prepare_create(&self, mut object: Object) -> Result<Object, Status> {
        let kind = self.shape.kind;
        metadata::begin(&mut object, &uuid::Uuid::new_v4().to_string(), self.now, kind.has_generation());
        if self.has_status() {
            object.0.shift_remove("status");
        }
        kind.prepare_create(&mut object);
        metadata::dedupe_owners(&mut object, self.caller);
        self.check(&mut object, None)?;
        Ok(object)
    }

    /// The object as it will be after a change; `new` is what the request makes of `old`.
    pub fn prepare_update(&self, old: &Object, new: Object) -> Result<Object, Status> {
        let subresource = self.target.subresource;
        let mut object = match subresource {
            Subresource::None | Subresource::Scale => new,
            Subresource::Status => with_section(old, &new, "status", None),
            Subresource::Finalize => with_section(old, &new, "spec", Some("finalizers")),
        };
        if subresource == Subresource::None && self.has_status() {
            copy_section(&mut object, old, "status");
        }
        metadata::keep(&mut object, old);
        self.shape.kind.prepare_update(&mut object, old, subresource);
        if self.shape.kind.has_generation() && self.content_differs(&object, old) {
            object.metadata_mut().insert("generation".into(), (old.generation() + 1).into());
        }
        metadata::dedupe_owners(&mut object, self.caller);
        self.check(&mut object, Some(old))?;
        Ok(object)
    }

    /// Says on objects of our own kinds which request wrote their spec last, when that is traced (ecosystem, section 2). After ownership
    /// is settled: the annotation is nobody's.
    pub fn stamp(&self, object: &mut Object, old: Option<&Object>) {
        let ours = self.shape.definition.group == otternauts_types::GROUP;
        if !ours || old.is_some_and(|old| old.generation() == object.generation()) {
            return;
        }
        let Some(current) = traces::current() else { return };
        // Our controllers carry a cause on: what they write keeps the request of a person that made them do so.
        let carries = self.caller.user.name.starts_with(CONTROLLERS);
        let known = object.at(&["metadata", "annotations", traces::ANNOTATION]).is_some();
        if carries && known {
            return;
        }
        let annotations = object.metadata_mut().entry("annotations").or_insert_with(|| Value::Object(Map::new()));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(traces::ANNOTATION.into(), current.into());
        }
    }

    /// Row S5: anything outside metadata, and outside status where that is a subresource.
    fn content_differs(&self, new: &Object, old: &Object) -> bool {
        let counts = |key: &str| key != "metadata" && !(key == "status" && self.has_status());
        let has = |object: &Object, key: &str, value: &Value| object.0.get(key) == Some(value);
        new.0.iter().any(|(key, value)| counts(key) && !has(old, key, value))
            || old.0.keys().any(|key| counts(key) && !new.0.contains_key(key))
    }

    /// Every rule: metadata, schema, kind, and what only admission can know.
    fn check(&self, object: &mut Object, old: Option<&Object>) -> Result<(), Status> {
        let kind = self.shape.kind;
        let path = Path::new("metadata");
        let subresource = self.target.subresource;
        let mut errors = ErrorList::new();
        let metadata_changed = old.is_none_or(|old| !same_metadata(object, old));
        if metadata_changed {
            errors.extend(validate_metadata(object, self.shape.definition.is_namespaced(), kind.name_rule(), &path));
            if kind.strict_finalizers() {
                errors.extend(validate_builtin_finalizers(object, &path));
            } else {
                finalizer_warnings(object, old).into_iter().for_each(|text| self.caller.warn(text));
            }
        }
        if let Some(old) = old {
            errors.extend(validate_metadata_update(object, old));
        }
        errors.extend(self.check_schema(object, old)?);
        let object = &*object;
        for error in kind.validate(object, old, subresource) {
            // A kind says it better than a schema.
            errors.retain(|other| other.path != error.path || other.kind != error.kind);
            errors.push(error);
        }
        if !errors.is_empty() {
            return Err(Status::invalid(&self.blamed(), object.name(), &errors));
        }
        let roles = self.registry.roles();
        kind.admit(
            object,
            old,
            &Admission {
                user: &self.caller.user,
                roles: &roles,
                facts: self.registry.facts(),
                resource: &self.resource,
                subresource,
                warn: &|text| self.caller.warn(text),
            },
        )
    }

    /// The kind that errors name: for shared storage the one it belongs to (row B9).
    fn blamed(&self) -> GroupVersionKind {
        if self.shape.kind.stored_as().is_some() {
            GroupVersionKind::new("", "v1", &self.gvk.kind)
        } else {
            self.gvk.clone()
        }
    }

    /// Rows X11, X12, X14, S8. Built-in kinds with a value of the wrong type are not readable at all: 400.
    fn check_schema(&self, object: &mut Object, old: Option<&Object>) -> Result<ErrorList, Status> {
        let schema = &self.shape.served().schema;
        let status_only = self.target.subresource == Subresource::Status && !self.shape.definition.is_builtin();
        let (mut errors, lists) = if status_only {
            let (Some(schema), Some(new)) = (schema.declared("status"), object.0.get("status")) else {
                return Ok(ErrorList::new());
            };
            let old = old.and_then(|old| old.0.get("status"));
            let path = Path::new("status");
            (validate(schema, new, old, &path), validate_lists(schema, new, old, &path))
        } else {
            // Lent to the schema room as a value, without a copy.
            let new = Value::Object(std::mem::take(&mut object.0));
            let old = old.map(|old| Value::Object(old.0.clone()));
            let path = Path::root();
            let found =
                (validate(schema, &new, old.as_ref(), &path), validate_lists(schema, &new, old.as_ref(), &path));
            *object = as_object(new);
            found
        };
        if self.shape.definition.is_builtin()
            && let Some(error) = errors.iter().find(|e| e.kind == otternauts_meta::FieldErrorKind::TypeInvalid)
        {
            let why = intake::unreadable(&self.gvk, error);
            // Row F5: a patch of a good object.
            return Err(if self.is_plain_patch { self.bad_patch(object, &why) } else { self.cannot_be_handled(&why) });
        }
        errors.extend(lists);
        Ok(errors)
    }
}

/// Row P12.
fn manager(given: &str, user_agent: &str) -> String {
    if !given.is_empty() {
        return given.to_owned();
    }
    let product = user_agent.split('/').next().unwrap_or_default();
    let name: String = product.chars().filter(|c| !c.is_control()).collect();
    let mut end = name.len().min(128);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    if end == 0 { "unknown".to_owned() } else { name[..end].to_owned() }
}

/// `old` with one section (or one field of it) taken from `new`; its version, uid and ownership claims come along to be checked.
fn with_section(old: &Object, new: &Object, section: &str, field: Option<&str>) -> Object {
    let mut object = old.clone();
    match field {
        None => copy_section(&mut object, new, section),
        Some(field) => {
            let value = new.at(&[section, field]).cloned();
            let slot = object.0.entry(section).or_insert_with(|| Value::Object(Map::new()));
            if let Some(map) = slot.as_object_mut() {
                match value {
                    Some(value) => drop(map.insert(field.to_owned(), value)),
                    None => drop(map.shift_remove(field)),
                }
            }
        }
    }
    if let Some(managed) = new.metadata().and_then(|m| m.get("managedFields")) {
        object.metadata_mut().insert("managedFields".into(), managed.clone());
    }
    object
}

fn copy_section(object: &mut Object, from: &Object, section: &str) {
    match from.0.get(section) {
        Some(value) => drop(object.0.insert(section.to_owned(), value.clone())),
        None => drop(object.0.shift_remove(section)),
    }
}

fn same_metadata(a: &Object, b: &Object) -> bool {
    let same = |key: &str| a.metadata().and_then(|m| m.get(key)) == b.metadata().and_then(|m| m.get(key));
    ["labels", "annotations", "ownerReferences", "finalizers", "name", "namespace", "generateName"]
        .into_iter()
        .all(same)
}
