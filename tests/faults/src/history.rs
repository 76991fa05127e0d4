//! What clients asked, when, and what they were answered.

/// The store's revision.
pub type Revision = u64;
/// Names what one write stored. No two writes of a history store the same token.
pub type Token = u64;
/// An object, by number.
pub type Key = u32;
/// Nanoseconds since the history's beginning, on one clock for all clients.
pub type Moment = u64;

/// One request.
#[derive(Clone, Debug)]
pub struct Operation {
    pub client: u32,
    pub sent: Moment,
    /// When the answer was complete; `None` when none came.
    pub answered: Option<Moment>,
    pub action: Action,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// All or nothing, at one revision.
    Write(Vec<Change>),
    Get(Key),
    List,
}

/// One change of a write: the object gets this token, or is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub key: Key,
    pub expects: Expects,
    pub put: Option<Token>,
}

/// The precondition of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    Absent,
    Exists,
    /// Exists, last written at this revision. The token is what the client had read there.
    At(Revision, Token),
    Anything,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A write took place; some answers (to a DELETE) do not say at which revision.
    Done(Option<Revision>),
    /// A write did not take place, because of its precondition.
    Refused,
    /// What a get found: the token and the revision it was written at.
    Found(Option<(Token, Revision)>),
    Listed {
        at: Revision,
        items: Vec<Item>,
    },
    /// No answer, or one that leaves it open: it took place, or not, but not half.
    Unknown,
}

/// One object of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    pub key: Key,
    pub token: Token,
    pub revision: Revision,
}

/// One watch, from its start to its end.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Everything above this revision was asked for.
    pub after: Revision,
    pub seen: Vec<Seen>,
    /// The reader knows that everything up to here was delivered before the end.
    pub complete_to: Option<Revision>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Event {
        revision: Revision,
        key: Key,
        kind: Kind,
        /// Of the object after the change; of the last state for a deletion.
        token: Token,
    },
    /// "Everything up to here was delivered": a bookmark, or the end of a batch.
    Bookmark(Revision),
}

impl Seen {
    pub fn revision(&self) -> Revision {
        match *self {
            Seen::Event { revision, .. } | Seen::Bookmark(revision) => revision,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Added,
    Modified,
    Deleted,
}

/// Everything known about one run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The state at the beginning, and its revision.
    pub start: Revision,
    pub initial: Vec<Item>,
    pub operations: Vec<Operation>,
    pub streams: Vec<Stream>,
    /// Nobody else wrote: the revisions of these writes leave no gap.
    pub alone: bool,
}
