//! Label and field selectors (rows L13, L14).

/// `a=b,c in (x,y),!d`: all requirements must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {}

/// `metadata.name=x,spec.a!=b`: all requirements must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {}
