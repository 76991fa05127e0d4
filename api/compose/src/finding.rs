//! What is wrong, or odd, and exactly where.

use std::fmt;

/// One error or warning about a compose file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// Where in the document: `services.web.ports[0]`. Empty when the file as a whole is meant.
    pub path: String,
    /// Line in the source, from 1.
    pub line: usize,
    /// Column in the source, from 1, in characters.
    pub column: usize,
    /// What is wrong and, where there is one, the way out.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything found in one pass: a caller refuses on `errors` and shows `warnings`. Both in the order of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Findings {
    pub errors: Vec<Finding>,
    pub warnings: Vec<Finding>,
}
