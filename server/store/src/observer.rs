//! What the store tells whoever counts: a few calls, no names of metrics.

use std::time::Duration;

/// A kind of work the engine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Statement {
    Get,
    List,
    History,
    Compact,
    Checkpoint,
}

impl Statement {
    /// A short lower-case word, fit for a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Statement::Get => "get",
            Statement::List => "list",
            Statement::History => "history",
            Statement::Compact => "compact",
            Statement::Checkpoint => "checkpoint",
        }
    }
}

/// Told of the store's work as it happens, on the thread that does it: return quickly.
pub trait Observer: Send + Sync {
    /// A batch was made durable: so many writes, in so much time (the transaction with its fsync).
    fn committed(&self, _writes: usize, _elapsed: Duration) {}

    /// The engine did some other work. A read answered from memory is not reported.
    fn statement(&self, _statement: Statement, _elapsed: Duration) {}
}

/// Tells nobody.
pub struct NoObserver;

impl Observer for NoObserver {}
