//! What somebody sent, made into an object of the kind: type, unknown fields, nulls, defaults, name and namespace.

use super::Writing;
use crate::encode;
use crate::metadata;
use crate::request::FieldValidation;
use crate::shape::as_object;
use otternauts_meta::field::quoted;
use otternauts_meta::{ErrorList, FieldError, GroupVersionKind, Object, Path, Status};
use otternauts_schema::{apply_defaults, decode_error, drop_nulls, fill_nulls, normalize_numbers, prune};
use serde_json::Value;

/// Where an object comes from; decides how unknown fields are reported (rows F4, F5).
pub(crate) enum Origin<'a> {
    /// POST and PUT: these duplicates were met while decoding.
    Body { duplicates: &'a [String] },
    /// The result of a patch.
    Patch,
    /// The result of an apply: what the applier sent has been checked already.
    Apply,
}

impl Writing<'_> {
    /// Rows C6, F3 to F7, X8 to X10, N16, N17.
    pub fn take_in(&self, mut object: Object, origin: &Origin<'_>) -> Result<Object, Status> {
        self.check_type(&mut object, origin)?;
        if let Some(why) = object.0.get("metadata").and_then(decode_error) {
            return Err(self.not_readable(&object, origin, &self.in_place(why)));
        }
        let version = self.shape.served();
        let shown = match (origin, self.validation) {
            (Origin::Patch, FieldValidation::Strict) => Some(Value::Object(object.0.clone())),
            _ => None,
        };
        let more = self.shape.kind.prune(&mut object);
        let mut value = object.into_value();
        let mut unknown = prune(&version.schema, &mut value);
        unknown.extend(more);
        self.report(&unknown, origin, shown.as_ref())?;
        normalize_numbers(&mut value);
        if self.shape.definition.is_builtin() {
            fill_nulls(&version.schema, &mut value);
        }
        drop_nulls(&version.schema, &mut value);
        apply_defaults(&version.schema, &mut value);
        let mut object = as_object(value);
        metadata::tidy(&mut object);
        self.shape.kind.read(&mut object).map_err(|why| self.not_readable(&object, origin, &why))?;
        Ok(object)
    }

    /// Row C6. Built-in kinds fill both in from the URL.
    fn check_type(&self, object: &mut Object, origin: &Origin<'_>) -> Result<(), Status> {
        let is_body = matches!(origin, Origin::Body { .. });
        let wanted = self.gvk.api_version();
        if self.shape.definition.is_builtin() {
            let same = |found: &str, wanted: &str| found.is_empty() || found == wanted;
            if !same(object.kind(), &self.gvk.kind) || !same(object.api_version(), &wanted) {
                if matches!(origin, Origin::Patch) {
                    let (kind, version) = (quoted(object.kind()), quoted(object.api_version()));
                    let why = format!(
                        "no kind {kind} is registered for version {version} in scheme \"pkg/runtime/scheme.go:111\""
                    );
                    return Err(self.bad_patch(object, &why));
                }
                return Err(self.wrong_builtin(object));
            }
            object.0.insert("kind".into(), self.gvk.kind.clone().into());
            object.0.insert("apiVersion".into(), wanted.into());
            return Ok(());
        }
        if object.kind().is_empty() && is_body {
            let shown = String::from_utf8_lossy(&encode::sorted(&Value::Object(object.0.clone()))).into_owned();
            return Err(Status::bad_request(format!(
                "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{shown}' ({shown})",
                self.gvk.kind
            )));
        }
        if object.api_version() != wanted && !is_body {
            let error =
                FieldError::invalid(&Path::new("apiVersion"), object.api_version(), format!("must be {wanted}"));
            return Err(Status::invalid(&self.gvk, object.name(), &vec![error]));
        }
        if object.api_version() != wanted {
            return Err(Status::bad_request(format!(
                "the API version in the data ({}) does not match the expected API version ({wanted})",
                object.api_version()
            )));
        }
        if object.kind() != self.gvk.kind {
            let error = FieldError::invalid(&Path::new("kind"), object.kind(), format!("must be {}", self.gvk.kind));
            let found = GroupVersionKind::new(&self.gvk.group, &self.gvk.version, object.kind());
            return Err(Status::invalid(&found, object.name(), &vec![error]));
        }
        Ok(())
    }

    fn wrong_builtin(&self, object: &Object) -> Status {
        let version = object.api_version().rsplit('/').next().unwrap_or_default();
        let version = if version.is_empty() { &self.gvk.version } else { version };
        let kind = if object.kind().is_empty() { &self.gvk.kind } else { object.kind() };
        let wanted = &self.gvk.kind;
        Status::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {wanted}: converting ({version}.{kind}) to (core.{wanted}): \
             unknown conversion"
        ))
    }

    pub(super) fn cannot_be_handled(&self, why: &str) -> Status {
        let GroupVersionKind { kind, version, .. } = &self.gvk;
        Status::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
    }

    /// Go names the field that embeds the metadata of a built-in kind; in custom kinds there is none.
    fn in_place(&self, why: String) -> String {
        if !self.shape.definition.is_builtin() {
            return why;
        }
        let whole = format!("Go struct field {}.metadata of type v1.ObjectMeta", self.gvk.kind);
        why.replace("Go struct field ObjectMeta.", "Go struct field ObjectMeta.metadata.")
            .replace("Go value of type v1.ObjectMeta", &whole)
    }

    /// What no Go type could hold: a body is no object of the kind (400), a patch made none of a good one (422, row F5).
    fn not_readable(&self, object: &Object, origin: &Origin<'_>, why: &str) -> Status {
        match origin {
            Origin::Patch => self.bad_patch(object, why),
            Origin::Body { .. } | Origin::Apply => self.cannot_be_handled(why),
        }
    }

    /// The 422 of row F5. It shows what the patch made of the object, unless that is secret.
    pub fn bad_patch(&self, object: &Object, why: &str) -> Status {
        let shown = match self.shape.kind.is_secret() {
            true => "<secret contents redacted>".to_owned(),
            false => String::from_utf8_lossy(&encode::sorted(&Value::Object(object.0.clone()))).into_owned(),
        };
        let error = FieldError::invalid(&Path::new("patch"), shown, why);
        Status::invalid(&GroupVersionKind::new("", "", ""), "", &vec![error])
    }

    /// Unknown and duplicate fields: an error under Strict, warnings under Warn (rows F4 to F6).
    fn report(&self, unknown: &[String], origin: &Origin<'_>, shown: Option<&Value>) -> Result<(), Status> {
        let duplicates: &[String] = match origin {
            Origin::Body { duplicates } => duplicates,
            _ => &[],
        };
        let unknown = unknown.iter().map(|path| format!("unknown field {}", quoted(path)));
        let found: Vec<String> = duplicates.iter().cloned().chain(unknown).collect();
        if found.is_empty() || self.validation == FieldValidation::Ignore {
            return Ok(());
        }
        if self.validation == FieldValidation::Warn {
            found.into_iter().for_each(|text| self.caller.warn(text));
            return Ok(());
        }
        let why = format!("strict decoding error: {}", found.join(", "));
        match origin {
            Origin::Patch => {
                let shown = shown.cloned().map(as_object).unwrap_or_default();
                Err(self.bad_patch(&shown, &why))
            }
            Origin::Body { .. } | Origin::Apply => Err(self.cannot_be_handled(&why)),
        }
    }

    /// Rows C4 and C5 on a body whose place the URL names.
    pub fn check_place(&self, object: &mut Object) -> Result<(), Status> {
        if let Some(name) = self.target.name.as_deref() {
            if object.name().is_empty() {
                return Err(Status::bad_request(format!(
                    "the name of the object ({name} based on URL) was undeterminable: name must be provided"
                )));
            }
            if object.name() != name {
                let found = object.name();
                return Err(Status::bad_request(format!(
                    "the name of the object ({found}) does not match the name on the URL ({name})"
                )));
            }
        }
        name_and_namespace(object, self.target.namespace.as_deref())
    }
}

/// The namespace is the URL's; a body that names another one is refused, cluster kinds have none (row C4).
pub(crate) fn name_and_namespace(object: &mut Object, namespace: Option<&str>) -> Result<(), Status> {
    let wanted = namespace.unwrap_or_default();
    let found = object.namespace();
    if !found.is_empty() && !wanted.is_empty() && found != wanted {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    object.set_meta_str("namespace", wanted);
    Ok(())
}

/// A value of the wrong type in a built-in kind, as Go's decoder words it.
pub(super) fn unreadable(gvk: &GroupVersionKind, error: &FieldError) -> String {
    let kind = &gvk.kind;
    let value = error.value.as_ref().and_then(Value::as_str).unwrap_or("value");
    let path: String = error.path.as_str().split(['[', ']']).step_by(2).collect();
    // The keys of a map are no fields.
    let path = match path.split_once('.') {
        Some((map @ ("data" | "binaryData" | "stringData"), _)) => map,
        _ => &path,
    };
    let wanted =
        error.detail.split("must be of type ").nth(1).and_then(|rest| rest.split(':').next()).unwrap_or("string");
    let wanted = match wanted {
        "boolean" => "bool",
        "object" if !path.contains('.') => "map[string]string",
        other => other,
    };
    let found = match value {
        "integer" => "number",
        "boolean" => "bool",
        other => other,
    };
    format!("json: cannot unmarshal {found} into Go struct field {kind}.{path} of type {wanted}")
}

/// Errors of one field about the options of a request rather than its object.
pub(crate) fn options_error(kind: &str, error: FieldError) -> Status {
    let errors: ErrorList = vec![error];
    Status::invalid(&GroupVersionKind::new("meta.k8s.io", "v1", kind), "", &errors)
}
