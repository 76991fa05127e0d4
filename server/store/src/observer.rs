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
    /// One check of everything that is stored.
    Scrub,
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
            Statement::Scrub => "scrub",
        }
    }
}

/// What is asked of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    Get,
    List,
    Create,
    Update,
    Delete,
}

impl Operation {
    /// A short lower-case word, fit for a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Get => "get",
            Operation::List => "list",
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Delete => "delete",
        }
    }
}

/// Told of the store's work as it happens, on the thread that does it: return quickly.
pub trait Observer: Send + Sync {
    /// A batch was made durable: so many writes, in so much time (the transaction with its fsync).
    fn committed(&self, _writes: usize, _elapsed: Duration) {}

    /// The engine did some other work. A read answered from memory is not reported.
    fn statement(&self, _statement: Statement, _elapsed: Duration) {}

    /// Somebody asked for an operation on a resource (of a transaction: on its first key's), and it took so long, waiting included.
    fn operation(&self, _operation: Operation, _resource: &str, _elapsed: Duration) {}

    /// The write-ahead log was checkpointed; `truncate`: and cut, which waits for readers.
    fn checkpointed(&self, _truncate: bool, _ok: bool, _elapsed: Duration) {}

    /// A row did not match its checksum.
    fn corrupted(&self) {}

    /// A watcher of a resource fell out of the window in memory: it is caught up from the log.
    fn fell_behind(&self, _resource: &str) {}
}

/// Tells nobody.
pub struct NoObserver;

impl Observer for NoObserver {}
