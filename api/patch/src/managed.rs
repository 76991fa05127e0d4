//! `metadata.managedFields`: who owns what (rows A8, A9, A14, A21).

use crate::ownership::Ownership;
use crate::set::FieldSet;
use otternauts_meta::{Object, Timestamp};
use serde_json::{Map, Value};

/// Update entries an object keeps; older ones are folded into [`ANCIENT`].
pub const MAX_UPDATE_ENTRIES: usize = 10;

pub(crate) const ANCIENT: &str = "ancient-changes";
pub(crate) const BEFORE_FIRST_APPLY: &str = "before-first-apply";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Apply,
    Update,
}

impl Operation {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// One owner with its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub manager: String,
    pub operation: Operation,
    pub api_version: String,
    pub subresource: String,
    /// When the owner last changed a value; absent when it only came to share values (row A6).
    pub time: Option<Timestamp>,
    pub fields: FieldSet,
}

impl Entry {
    /// The entry of a manager that just took fields by an ordinary write.
    pub(crate) fn of_update(manager: &str, context: &Ownership<'_>, now: Timestamp, fields: FieldSet) -> Self {
        Self {
            manager: manager.to_owned(),
            operation: Operation::Update,
            api_version: context.api_version.to_owned(),
            subresource: context.subresource.to_owned(),
            time: Some(now),
            fields,
        }
    }

    /// Row A9: the version tells Update entries apart, not Apply entries.
    pub(crate) fn is(&self, manager: &str, operation: Operation, context: &Ownership<'_>) -> bool {
        self.operation == operation
            && self.manager == manager
            && self.subresource == context.subresource
            && (operation == Operation::Apply || self.api_version == context.api_version)
    }

    fn seconds(&self) -> i64 {
        self.time.map_or(0, Timestamp::as_seconds)
    }

    pub(crate) fn decode(value: &Value) -> Result<Self, String> {
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        let operation = match text("operation") {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return Err("operation must be `Apply` or `Update`".to_owned()),
        };
        if text("apiVersion").is_empty() {
            return Err("apiVersion must not be empty".to_owned());
        }
        match text("fieldsType") {
            "FieldsV1" => {}
            "" => return Err("missing fieldsType in managed fields entry 0".to_owned()),
            other => return Err(format!("invalid fieldsType {other:?} in managed fields entry 0")),
        }
        Ok(Self {
            manager: text("manager").to_owned(),
            operation,
            api_version: text("apiVersion").to_owned(),
            subresource: text("subresource").to_owned(),
            time: Timestamp::parse(text("time")),
            fields: value.get("fieldsV1").map_or_else(|| Ok(FieldSet::default()), FieldSet::decode)?,
        })
    }

    pub(crate) fn encode(&self, sorted_keys: bool) -> Value {
        let text = |s: &str| Value::String(s.to_owned());
        let mut map = Map::new();
        let mut set = |key: &str, value: Value| map.insert(key.to_owned(), value);
        if !sorted_keys {
            set("manager", text(&self.manager));
            set("operation", text(self.operation.as_str()));
        }
        set("apiVersion", text(&self.api_version));
        if let (false, Some(time)) = (sorted_keys, self.time) {
            set("time", text(&time.to_string()));
        }
        set("fieldsType", text("FieldsV1"));
        set("fieldsV1", self.fields.encode());
        if sorted_keys {
            set("manager", text(&self.manager));
            set("operation", text(self.operation.as_str()));
        }
        if !self.subresource.is_empty() {
            set("subresource", text(&self.subresource));
        }
        if let (true, Some(time)) = (sorted_keys, self.time) {
            set("time", text(&time.to_string()));
        }
        Value::Object(map)
    }
}

/// All owners of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManagedFields(pub Vec<Entry>);

impl ManagedFields {
    /// Reads the list as it stands in an object; absent is empty.
    pub fn decode(list: Option<&Value>) -> Result<Self, String> {
        match list {
            None | Some(Value::Null) => Ok(Self::default()),
            Some(Value::Array(entries)) => entries.iter().map(Entry::decode).collect::<Result<_, _>>().map(Self),
            Some(_) => Err("managedFields is not a list".to_owned()),
        }
    }

    /// Those of an object as it stands; what cannot be read owns nothing.
    pub(crate) fn of(object: &Object) -> Result<Self, String> {
        Self::decode(object.metadata().and_then(|m| m.get("managedFields")))
    }

    /// The list in the order of row A8.
    pub fn encode(&mut self, sorted_keys: bool) -> Value {
        fn rank(e: &Entry) -> (Operation, i64, &str, &str, &str) {
            (e.operation, e.seconds(), &e.manager, &e.api_version, &e.subresource)
        }
        self.0.sort_by(|a, b| rank(a).cmp(&rank(b)));
        Value::Array(self.0.iter().map(|e| e.encode(sorted_keys)).collect())
    }

    /// Forgets entries of versions that the kind no longer has, and those without a field.
    pub(crate) fn tidy(&mut self, context: &Ownership<'_>) {
        let known = |v: &str| context.versions.is_empty() || context.versions.contains(&v);
        self.0.retain(|e| !e.fields.is_empty() && known(&e.api_version));
    }

    /// Takes the changed and removed fields away from everyone.
    pub(crate) fn give_up(&mut self, changed: &FieldSet, removed: &FieldSet) {
        for entry in &mut self.0 {
            entry.fields.difference(changed);
            entry.fields.difference(removed);
        }
    }

    /// Folds the oldest Update entries of each version into one until at most [`MAX_UPDATE_ENTRIES`] are left.
    pub(crate) fn cap(&mut self) {
        let mut updates = self.0.iter().filter(|e| e.operation == Operation::Update).count();
        if updates <= MAX_UPDATE_ENTRIES {
            return;
        }
        let (mut old, mut kept): (Vec<Entry>, Vec<Entry>) =
            std::mem::take(&mut self.0).into_iter().partition(|e| e.operation == Operation::Update);
        old.sort_by(|a, b| a.seconds().cmp(&b.seconds()).then_with(|| a.manager.cmp(&b.manager)));
        let mut buckets: Vec<Entry> = Vec::new();
        for mut entry in old {
            match buckets.iter_mut().find(|b| b.api_version == entry.api_version) {
                Some(bucket) if updates > MAX_UPDATE_ENTRIES => {
                    ANCIENT.clone_into(&mut bucket.manager);
                    bucket.subresource.clear();
                    bucket.time = entry.time;
                    bucket.fields.union(std::mem::take(&mut entry.fields));
                    updates -= 1;
                }
                Some(_) => kept.push(entry),
                None => buckets.push(entry),
            }
        }
        kept.append(&mut buckets);
        self.0 = kept;
    }

    /// Writes the list into an object, at the place its key order wants; an empty list is no list.
    pub(crate) fn store(&mut self, object: &mut Object, sorted_keys: bool) {
        if self.0.is_empty() {
            if object.metadata().is_some_and(|m| m.contains_key("managedFields")) {
                object.metadata_mut().shift_remove("managedFields");
            }
            return;
        }
        let list = self.encode(sorted_keys);
        put(object, list, sorted_keys);
    }
}

/// Sets `metadata.managedFields`, keeping the keys of `metadata` sorted where they are.
pub(crate) fn put(object: &mut Object, list: Value, sorted_keys: bool) {
    let metadata = object.metadata_mut();
    if let Some(slot) = metadata.get_mut("managedFields") {
        *slot = list;
        return;
    }
    let end = metadata.len();
    let at = if sorted_keys { metadata.keys().position(|k| k.as_str() > "managedFields").unwrap_or(end) } else { end };
    metadata.shift_insert(at, "managedFields".to_owned(), list);
}

/// True when two objects are equal but for the times in their managedFields: such a write stores nothing (row C13).
pub fn same_but_times(old: &Object, new: &Object) -> bool {
    let metadata_same = |a: &Value, b: &Value| match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(k, v)| match b.get(k) {
                    Some(w) if k == "managedFields" => entries_same(v, w),
                    other => other == Some(v),
                })
        }
        _ => a == b,
    };
    old.0.len() == new.0.len()
        && old.0.iter().all(|(k, v)| match new.0.get(k) {
            Some(w) if k == "metadata" => metadata_same(v, w),
            other => other == Some(v),
        })
}

fn entries_same(a: &Value, b: &Value) -> bool {
    let (Value::Array(a), Value::Array(b)) = (a, b) else {
        return a == b;
    };
    let same = |a: &Value, b: &Value| match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let timeless = |m: &Map<String, Value>| m.len() - usize::from(m.contains_key("time"));
            timeless(a) == timeless(b) && a.iter().all(|(k, v)| k == "time" || b.get(k) == Some(v))
        }
        _ => a == b,
    };
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
}
