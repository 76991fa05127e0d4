//! Field numbers of `openapi.v3`, those that a document of ours can hold.

use super::Kind::{Any, Flag, Many, Message, Number, Text, Whole};
use super::Shape::{Choice, List, Object};
use super::{Field, Rest, Shape};
use serde_json::Value;

pub(super) static DOCUMENT: Shape = Object(
    &[
        Field("openapi", 1, Text),
        Field("info", 2, Message(&INFO)),
        Field("paths", 4, Message(&PATHS)),
        Field("components", 5, Message(&COMPONENTS)),
    ],
    &[Rest::Extensions(9)],
);
static INFO: Shape = Object(
    &[Field("title", 1, Text), Field("description", 2, Text), Field("version", 6, Text)],
    &[Rest::Extensions(7)],
);
static PATHS: Shape = Object(&[], &[Rest::Named(1, &PATH_ITEM), Rest::Extensions(2)]);
static PATH_ITEM: Shape = Object(
    &[
        Field("get", 4, Message(&OPERATION)),
        Field("put", 5, Message(&OPERATION)),
        Field("post", 6, Message(&OPERATION)),
        Field("delete", 7, Message(&OPERATION)),
        Field("patch", 10, Message(&OPERATION)),
        Field("parameters", 13, Many(&Message(&PARAMETER_OR_REFERENCE))),
    ],
    &[Rest::Extensions(14)],
);
static OPERATION: Shape = Object(
    &[
        Field("tags", 1, Many(&Text)),
        Field("summary", 2, Text),
        Field("description", 3, Text),
        Field("operationId", 5, Text),
        Field("parameters", 6, Many(&Message(&PARAMETER_OR_REFERENCE))),
        Field("requestBody", 7, Message(&BODY_OR_REFERENCE)),
        Field("responses", 8, Message(&RESPONSES)),
        Field("deprecated", 10, Flag),
    ],
    &[Rest::Extensions(13)],
);
static PARAMETER_OR_REFERENCE: Shape = Choice(|_| Some((1, Message(&PARAMETER))));
static PARAMETER: Shape = Object(
    &[
        Field("name", 1, Text),
        Field("in", 2, Text),
        Field("description", 3, Text),
        Field("required", 4, Flag),
        Field("schema", 10, Message(&SCHEMA_OR_REFERENCE)),
    ],
    &[Rest::Extensions(14)],
);
static BODY_OR_REFERENCE: Shape = Choice(|_| Some((1, Message(&BODY))));
static BODY: Shape = Object(
    &[Field("description", 1, Text), Field("content", 2, Message(&MEDIA_TYPES)), Field("required", 3, Flag)],
    &[Rest::Extensions(4)],
);
static MEDIA_TYPES: Shape = Object(&[], &[Rest::Named(1, &MEDIA_TYPE)]);
static MEDIA_TYPE: Shape = Object(&[Field("schema", 1, Message(&SCHEMA_OR_REFERENCE))], &[Rest::Extensions(5)]);
static RESPONSES: Shape =
    Object(&[Field("default", 1, Message(&RESPONSE_OR_REFERENCE))], &[Rest::Named(2, &RESPONSE_OR_REFERENCE)]);
static RESPONSE_OR_REFERENCE: Shape = Choice(|_| Some((1, Message(&RESPONSE))));
static RESPONSE: Shape =
    Object(&[Field("description", 1, Text), Field("content", 3, Message(&MEDIA_TYPES))], &[Rest::Extensions(5)]);
static COMPONENTS: Shape = Object(
    &[Field("schemas", 1, Message(&SCHEMAS)), Field("securitySchemes", 7, Message(&SECURITY_SCHEMES))],
    &[Rest::Extensions(10)],
);
static SCHEMAS: Shape = Object(&[], &[Rest::Named(1, &SCHEMA_OR_REFERENCE)]);
static SCHEMA_OR_REFERENCE: Shape =
    Choice(|v| Some(if v["$ref"].is_string() { (2, Message(&REFERENCE)) } else { (1, Message(&SCHEMA)) }));
static REFERENCE: Shape =
    Object(&[Field("$ref", 1, Text), Field("summary", 2, Text), Field("description", 3, Text)], &[]);
static SCHEMA: Shape = Object(
    &[
        Field("nullable", 1, Flag),
        Field("example", 7, Any),
        Field("title", 9, Text),
        Field("multipleOf", 10, Number),
        Field("maximum", 11, Number),
        Field("exclusiveMaximum", 12, Flag),
        Field("minimum", 13, Number),
        Field("exclusiveMinimum", 14, Flag),
        Field("maxLength", 15, Whole),
        Field("minLength", 16, Whole),
        Field("pattern", 17, Text),
        Field("maxItems", 18, Whole),
        Field("minItems", 19, Whole),
        Field("uniqueItems", 20, Flag),
        Field("maxProperties", 21, Whole),
        Field("minProperties", 22, Whole),
        Field("required", 23, Many(&Text)),
        Field("enum", 24, Many(&Any)),
        Field("type", 25, Text),
        Field("allOf", 26, Many(&Message(&SCHEMA_OR_REFERENCE))),
        Field("oneOf", 27, Many(&Message(&SCHEMA_OR_REFERENCE))),
        Field("anyOf", 28, Many(&Message(&SCHEMA_OR_REFERENCE))),
        Field("not", 29, Message(&SCHEMA)),
        Field("items", 30, Message(&ITEMS)),
        Field("properties", 31, Message(&SCHEMAS)),
        Field("additionalProperties", 32, Message(&ADDITIONAL)),
        Field("default", 33, Message(&DEFAULT)),
        Field("description", 34, Text),
        Field("format", 35, Text),
    ],
    &[Rest::Extensions(36)],
);
static ITEMS: Shape = List(Message(&SCHEMA_OR_REFERENCE));
static ADDITIONAL: Shape =
    Choice(|v| Some(if v.is_boolean() { (2, Flag) } else { (1, Message(&SCHEMA_OR_REFERENCE)) }));
/// Scalars only: the format has no place for a default that is a list or an object.
static DEFAULT: Shape = Choice(|v| match v {
    Value::Number(_) => Some((1, Number)),
    Value::Bool(_) => Some((2, Flag)),
    Value::String(_) => Some((3, Text)),
    _ => None,
});
static SECURITY_SCHEMES: Shape = Object(&[], &[Rest::Named(1, &SECURITY_SCHEME_OR_REFERENCE)]);
static SECURITY_SCHEME_OR_REFERENCE: Shape = Choice(|_| Some((1, Message(&SECURITY_SCHEME))));
static SECURITY_SCHEME: Shape = Object(
    &[
        Field("type", 1, Text),
        Field("description", 2, Text),
        Field("name", 3, Text),
        Field("in", 4, Text),
        Field("scheme", 5, Text),
        Field("bearerFormat", 6, Text),
    ],
    &[Rest::Extensions(9)],
);
