//! Field numbers of `openapi.v2`, those that a document of ours can hold.

use super::Kind::{Any, Flag, Many, Message, Number, Text, Whole};
use super::Shape::{Choice, List, Object};
use super::{Field, Kind, Rest, Shape};

pub(super) static DOCUMENT: Shape = Object(
    &[
        Field("swagger", 1, Text),
        Field("info", 2, Message(&INFO)),
        Field("paths", 8, Message(&PATHS)),
        Field("definitions", 9, Message(&SCHEMAS)),
        Field("security", 12, Many(&Message(&SECURITY_REQUIREMENT))),
        Field("securityDefinitions", 13, Message(&SECURITY_DEFINITIONS)),
    ],
    &[Rest::Extensions(16)],
);
static INFO: Shape = Object(
    &[Field("title", 1, Text), Field("version", 2, Text), Field("description", 3, Text)],
    &[Rest::Extensions(7)],
);
static PATHS: Shape = Object(&[], &[Rest::Extensions(1), Rest::Named(2, &PATH_ITEM)]);
static PATH_ITEM: Shape = Object(
    &[
        Field("$ref", 1, Text),
        Field("get", 2, Message(&OPERATION)),
        Field("put", 3, Message(&OPERATION)),
        Field("post", 4, Message(&OPERATION)),
        Field("delete", 5, Message(&OPERATION)),
        Field("patch", 8, Message(&OPERATION)),
        Field("parameters", 9, Many(&Message(&PARAMETER_ITEM))),
    ],
    &[Rest::Extensions(10)],
);
static OPERATION: Shape = Object(
    &[
        Field("tags", 1, Many(&Text)),
        Field("summary", 2, Text),
        Field("description", 3, Text),
        Field("operationId", 5, Text),
        Field("produces", 6, Many(&Text)),
        Field("consumes", 7, Many(&Text)),
        Field("parameters", 8, Many(&Message(&PARAMETER_ITEM))),
        Field("responses", 9, Message(&RESPONSES)),
        Field("schemes", 10, Many(&Text)),
        Field("deprecated", 11, Flag),
    ],
    &[Rest::Extensions(13)],
);
static PARAMETER_ITEM: Shape = Choice(|_| Some((1, Message(&PARAMETER))));
static PARAMETER: Shape =
    Choice(|v| Some(if v["in"] == "body" { (1, Message(&BODY)) } else { (2, Message(&NON_BODY)) }));
static BODY: Shape = Object(
    &[
        Field("description", 1, Text),
        Field("name", 2, Text),
        Field("in", 3, Text),
        Field("required", 4, Flag),
        Field("schema", 5, Message(&SCHEMA)),
    ],
    &[Rest::Extensions(6)],
);
static NON_BODY: Shape = Choice(|v| match v["in"].as_str()? {
    "query" => Some((3, Message(&QUERY))),
    "path" => Some((4, Message(&PATH))),
    _ => None,
});
static QUERY: Shape = Object(
    &[
        Field("required", 1, Flag),
        Field("in", 2, Text),
        Field("description", 3, Text),
        Field("name", 4, Text),
        Field("type", 6, Text),
        Field("format", 7, Text),
        Field("uniqueItems", 20, Flag),
    ],
    &[Rest::Extensions(23)],
);
static PATH: Shape = Object(
    &[
        Field("required", 1, Flag),
        Field("in", 2, Text),
        Field("description", 3, Text),
        Field("name", 4, Text),
        Field("type", 5, Text),
        Field("format", 6, Text),
        Field("uniqueItems", 19, Flag),
    ],
    &[Rest::Extensions(22)],
);
static RESPONSES: Shape = Object(&[], &[Rest::Named(1, &RESPONSE_VALUE), Rest::Extensions(2)]);
static RESPONSE_VALUE: Shape = Choice(|_| Some((1, Message(&RESPONSE))));
static RESPONSE: Shape =
    Object(&[Field("description", 1, Text), Field("schema", 2, Message(&SCHEMA_ITEM))], &[Rest::Extensions(5)]);
static SCHEMA_ITEM: Shape = Choice(|_| Some((1, Message(&SCHEMA))));
static SCHEMAS: Shape = Object(&[], &[Rest::Named(1, &SCHEMA)]);
static SCHEMA: Shape = Object(
    &[
        Field("$ref", 1, Text),
        Field("format", 2, Text),
        Field("title", 3, Text),
        Field("description", 4, Text),
        Field("default", 5, Any),
        Field("multipleOf", 6, Number),
        Field("maximum", 7, Number),
        Field("exclusiveMaximum", 8, Flag),
        Field("minimum", 9, Number),
        Field("exclusiveMinimum", 10, Flag),
        Field("maxLength", 11, Whole),
        Field("minLength", 12, Whole),
        Field("pattern", 13, Text),
        Field("maxItems", 14, Whole),
        Field("minItems", 15, Whole),
        Field("uniqueItems", 16, Flag),
        Field("maxProperties", 17, Whole),
        Field("minProperties", 18, Whole),
        Field("required", 19, Many(&Text)),
        Field("enum", 20, Many(&Any)),
        Field("additionalProperties", 21, Message(&ADDITIONAL)),
        Field("type", 22, Message(&List(Text))),
        Field("items", 23, Message(&ITEMS)),
        Field("properties", 25, Message(&SCHEMAS)),
        Field("example", 30, Any),
    ],
    &[Rest::Extensions(31)],
);
static ADDITIONAL: Shape = Choice(|v| Some(if v.is_boolean() { (2, Flag) } else { (1, Message(&SCHEMA)) }));
static ITEMS: Shape = List(Message(&SCHEMA));
static SECURITY_REQUIREMENT: Shape = Object(&[], &[Rest::Named(1, &TEXTS)]);
static TEXTS: Shape = List(Kind::Text);
static SECURITY_DEFINITIONS: Shape = Object(&[], &[Rest::Named(1, &SECURITY_DEFINITION)]);
static SECURITY_DEFINITION: Shape = Choice(|_| Some((2, Message(&API_KEY))));
static API_KEY: Shape = Object(
    &[Field("type", 1, Text), Field("name", 2, Text), Field("in", 3, Text), Field("description", 4, Text)],
    &[Rest::Extensions(5)],
);
