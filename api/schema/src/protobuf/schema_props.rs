//! The tables of CustomResourceDefinitions and the schemas in them.

use super::kinds::OBJECT_META;
use super::table::{Kind, TEXTS, Table, field};

pub(super) static CRD: Table = Table(&[
    field(1, "metadata", Kind::Message(&OBJECT_META)),
    field(2, "spec", Kind::Message(&SPEC)),
    field(3, "status", Kind::Message(&STATUS)),
]);

static SPEC: Table = Table(&[
    field(1, "group", Kind::TextKept),
    field(3, "names", Kind::Message(&NAMES)),
    field(4, "scope", Kind::TextKept),
    field(7, "versions", Kind::List(&Kind::Message(&VERSION))),
    field(9, "conversion", Kind::Message(&CONVERSION)),
    field(10, "preserveUnknownFields", Kind::Bool),
]);

static NAMES: Table = Table(&[
    field(1, "plural", Kind::TextKept),
    field(2, "singular", Kind::Text),
    field(3, "shortNames", TEXTS),
    field(4, "kind", Kind::TextKept),
    field(5, "listKind", Kind::Text),
    field(6, "categories", TEXTS),
]);

static VERSION: Table = Table(&[
    field(1, "name", Kind::TextKept),
    field(2, "served", Kind::BoolKept),
    field(3, "storage", Kind::BoolKept),
    field(4, "schema", Kind::Message(&VALIDATION)),
    field(5, "subresources", Kind::Message(&SUBRESOURCES)),
    field(6, "additionalPrinterColumns", Kind::List(&Kind::Message(&COLUMN))),
    field(7, "deprecated", Kind::Bool),
    field(8, "deprecationWarning", Kind::TextKept),
    field(9, "selectableFields", Kind::List(&Kind::Message(&SELECTABLE))),
]);

static VALIDATION: Table = Table(&[field(1, "openAPIV3Schema", Kind::Message(&SCHEMA))]);

static SUBRESOURCES: Table =
    Table(&[field(1, "status", Kind::Message(&NOTHING)), field(2, "scale", Kind::Message(&SCALE))]);

static NOTHING: Table = Table(&[]);

static SCALE: Table = Table(&[
    field(1, "specReplicasPath", Kind::TextKept),
    field(2, "statusReplicasPath", Kind::TextKept),
    field(3, "labelSelectorPath", Kind::TextKept),
]);

static COLUMN: Table = Table(&[
    field(1, "name", Kind::TextKept),
    field(2, "type", Kind::TextKept),
    field(3, "format", Kind::Text),
    field(4, "description", Kind::Text),
    field(5, "priority", Kind::Int),
    field(6, "jsonPath", Kind::TextKept),
]);

static SELECTABLE: Table = Table(&[field(1, "jsonPath", Kind::TextKept)]);

static CONVERSION: Table = Table(&[field(1, "strategy", Kind::TextKept), field(2, "webhook", Kind::Message(&WEBHOOK))]);

static WEBHOOK: Table =
    Table(&[field(2, "clientConfig", Kind::Message(&CLIENT)), field(3, "conversionReviewVersions", TEXTS)]);

static CLIENT: Table = Table(&[
    field(1, "service", Kind::Message(&SERVICE)),
    field(2, "caBundle", Kind::Bytes),
    field(3, "url", Kind::TextKept),
]);

static SERVICE: Table = Table(&[
    field(1, "namespace", Kind::TextKept),
    field(2, "name", Kind::TextKept),
    field(3, "path", Kind::TextKept),
    field(4, "port", Kind::IntKept),
]);

static STATUS: Table = Table(&[
    field(1, "conditions", Kind::List(&Kind::Message(&CONDITION))),
    field(2, "acceptedNames", Kind::Message(&NAMES)),
    field(3, "storedVersions", TEXTS),
    field(4, "observedGeneration", Kind::Int),
]);

static CONDITION: Table = Table(&[
    field(1, "type", Kind::TextKept),
    field(2, "status", Kind::TextKept),
    field(3, "lastTransitionTime", Kind::Time),
    field(4, "reason", Kind::Text),
    field(5, "message", Kind::Text),
    field(6, "observedGeneration", Kind::Int),
]);

static SCHEMA: Table = Table(&[
    field(1, "id", Kind::Text),
    field(2, "$schema", Kind::Text),
    field(3, "$ref", Kind::TextKept),
    field(4, "description", Kind::Text),
    field(5, "type", Kind::Text),
    field(6, "format", Kind::Text),
    field(7, "title", Kind::Text),
    field(8, "default", Kind::Json),
    field(9, "maximum", Kind::Double),
    field(10, "exclusiveMaximum", Kind::Bool),
    field(11, "minimum", Kind::Double),
    field(12, "exclusiveMinimum", Kind::Bool),
    field(13, "maxLength", Kind::IntKept),
    field(14, "minLength", Kind::IntKept),
    field(15, "pattern", Kind::Text),
    field(16, "maxItems", Kind::IntKept),
    field(17, "minItems", Kind::IntKept),
    field(18, "uniqueItems", Kind::Bool),
    field(19, "multipleOf", Kind::Double),
    field(20, "enum", Kind::List(&Kind::Json)),
    field(21, "maxProperties", Kind::IntKept),
    field(22, "minProperties", Kind::IntKept),
    field(23, "required", TEXTS),
    field(24, "items", Kind::SchemaOr { table: &SCHEMA, name: "items" }),
    field(25, "allOf", Kind::List(&Kind::Message(&SCHEMA))),
    field(26, "oneOf", Kind::List(&Kind::Message(&SCHEMA))),
    field(27, "anyOf", Kind::List(&Kind::Message(&SCHEMA))),
    field(28, "not", Kind::Message(&SCHEMA)),
    field(29, "properties", Kind::Map(&Kind::Message(&SCHEMA))),
    field(30, "additionalProperties", Kind::SchemaOr { table: &SCHEMA, name: "additionalProperties" }),
    field(31, "patternProperties", Kind::Map(&Kind::Message(&SCHEMA))),
    field(33, "additionalItems", Kind::SchemaOr { table: &SCHEMA, name: "additionalProperties" }),
    field(34, "definitions", Kind::Map(&Kind::Message(&SCHEMA))),
    field(35, "externalDocs", Kind::Message(&DOCS)),
    field(36, "example", Kind::Json),
    field(37, "nullable", Kind::Bool),
    field(38, "x-kubernetes-preserve-unknown-fields", Kind::BoolKept),
    field(39, "x-kubernetes-embedded-resource", Kind::Bool),
    field(40, "x-kubernetes-int-or-string", Kind::Bool),
    field(41, "x-kubernetes-list-map-keys", TEXTS),
    field(42, "x-kubernetes-list-type", Kind::TextKept),
    field(43, "x-kubernetes-map-type", Kind::TextKept),
    field(44, "x-kubernetes-validations", Kind::List(&Kind::Message(&RULE))),
]);

static DOCS: Table = Table(&[field(1, "description", Kind::Text), field(2, "url", Kind::Text)]);

static RULE: Table = Table(&[
    field(1, "rule", Kind::TextKept),
    field(2, "message", Kind::Text),
    field(3, "messageExpression", Kind::Text),
    field(4, "reason", Kind::TextKept),
    field(5, "fieldPath", Kind::Text),
    field(6, "optionalOldSelf", Kind::BoolKept),
]);
