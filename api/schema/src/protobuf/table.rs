//! How a message is written down here.

/// All fields of a message that are read; others are passed over.
pub(super) struct Table(pub &'static [Known]);

pub(super) struct Known {
    pub number: u32,
    pub name: &'static str,
    pub kind: Kind,
}

/// What a field holds. The `Kept` ones are in JSON even when empty, because Go has them as pointers or always writes them.
pub(super) enum Kind {
    Text,
    TextKept,
    Bool,
    BoolKept,
    Int,
    IntKept,
    Double,
    /// Base64 in JSON.
    Bytes,
    Time,
    MicroTime,
    /// A message whose field 1 is JSON.
    Json,
    /// A message whose field 1 is a list of texts.
    Texts,
    Message(&'static Table),
    List(&'static Kind),
    /// By text; the values.
    Map(&'static Kind),
    /// A schema, or a list, or a boolean: which, says the field's name.
    SchemaOr {
        table: &'static Table,
        name: &'static str,
    },
}

pub(super) const fn field(number: u32, name: &'static str, kind: Kind) -> Known {
    Known { number, name, kind }
}

pub(super) const TEXTS: Kind = Kind::List(&Kind::TextKept);
pub(super) const TEXT_MAP: Kind = Kind::Map(&Kind::TextKept);
pub(super) const BYTES_MAP: Kind = Kind::Map(&Kind::Bytes);
