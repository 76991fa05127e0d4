//! A structural schema node (rows X7 to X11).

use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

/// `x-kubernetes-list-type`; merge keys and owned paths follow from it (row A10).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    #[default]
    Atomic,
    Set,
    /// The keys, sorted as the schema names them.
    Map(Vec<String>),
}

/// `x-kubernetes-map-type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapType {
    #[default]
    Granular,
    Atomic,
}

/// One node. `properties` keep the order of the document, which is the field order of built-in kinds.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// `None` with `int_or_string` or `preserve_unknown`.
    pub r#type: Option<Type>,
    pub properties: Vec<(String, Schema)>,
    pub additional_properties: Option<Box<Schema>>,
    pub items: Option<Box<Schema>>,
    pub default: Option<Value>,
    pub nullable: bool,
    pub int_or_string: bool,
    pub preserve_unknown: bool,
    pub embedded_resource: bool,
    /// The schema of a whole object, made by [`Schema::parse`].
    pub is_root: bool,
    pub list_type: ListType,
    /// Set where the document says so, for "is it atomic by default or by declaration".
    pub list_type_declared: bool,
    pub map_type: MapType,
    /// Strategic merge: `x-kubernetes-patch-merge-key` and `-strategy` (built-ins only).
    pub patch_merge_key: Option<String>,
    pub patch_strategy: Option<String>,
    /// The value rules of this node (enum, pattern, bounds, formats, anyOf, …), read by `validate`.
    pub rules: Rules,
}

/// Value validation of one node; filled by `parse`, read by `validate`.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub required: Vec<String>,
    pub r#enum: Vec<Value>,
    pub format: Option<String>,
    pub pattern: Option<String>,
    /// `pattern`, compiled.
    pub regex: Option<regex::Regex>,
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub exclusive_minimum: bool,
    pub exclusive_maximum: bool,
    pub multiple_of: Option<f64>,
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    pub min_items: Option<u64>,
    pub max_items: Option<u64>,
    pub min_properties: Option<u64>,
    pub max_properties: Option<u64>,
    pub all_of: Vec<Schema>,
    pub any_of: Vec<Schema>,
    pub one_of: Vec<Schema>,
    pub not: Option<Box<Schema>>,
    /// `x-kubernetes-validations`, stored and published; evaluated by a later release.
    pub cel: Vec<Value>,
}

impl Type {
    /// The word a schema document uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => return None,
        })
    }
}

impl Schema {
    /// A property the document declares, without falling back to `additionalProperties`.
    pub fn declared(&self, name: &str) -> Option<&Schema> {
        self.properties.iter().find(|(n, _)| n == name).map(|(_, s)| s)
    }

    /// True for every object whose `metadata` follows the rules of all metadata: a root or an embedded resource.
    pub fn is_resource(&self) -> bool {
        self.embedded_resource || self.is_root
    }

    /// The schema of a property, declared or additional.
    pub fn property(&self, name: &str) -> Option<&Schema> {
        self.declared(name).or(self.additional_properties.as_deref())
    }
}
