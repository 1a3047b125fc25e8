//! Why something could not be done with a database.

use freehold_documents::{CursorError, IndexError, ParseError};
use freehold_vault::{GetError, PutError};
use freehold_wire::NodeId;

/// A request was refused or failed. Nothing of a write is visible, unless the variant says so.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    /// The realm has no such database.
    #[error("there is no such database")]
    NoDatabase,
    /// There is one already.
    #[error("there is a database of that name already")]
    Exists,
    /// No database can be called that.
    #[error("a database is called by 1 to 48 lower-case letters, digits and hyphens, a letter first")]
    Name,
    /// Nothing is there.
    #[error("there is no key {0}")]
    NoKey(String),
    /// There is no such snapshot.
    #[error("there is no snapshot {0}")]
    NoSnapshot(String),
    /// There is one of that name already.
    #[error("there is a snapshot {0} already")]
    SnapshotThere(String),
    /// There is no such index, or one of that name already.
    #[error("{0}")]
    Index(&'static str),
    /// What was asked cannot be.
    #[error("{0}")]
    Invalid(&'static str),
    /// A query cannot be read.
    #[error("the query cannot be read: {0}")]
    Query(#[from] ParseError),
    /// A cursor of another query.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// A document does not fit an index.
    #[error(transparent)]
    Fits(#[from] IndexError),
    /// The document is not there.
    #[error("there is no document {id} in the collection {collection}")]
    NoDocument {
        /// The collection.
        collection: String,
        /// The document.
        id: String,
    },
    /// What is there does not meet a condition.
    #[error("what is there does not meet condition {number} of the write, about {of}")]
    Condition {
        /// Which, counted from 1.
        number: usize,
        /// The key, or collection and document, that it is about.
        of: String,
    },
    /// A transaction is not open any more, or never was.
    #[error("there is no such transaction: it was ended, has lapsed, or the database was opened anew")]
    NoTransaction,
    /// What a transaction read has changed since.
    #[error("{0}")]
    Overtaken(String),
    /// A unique index has these values already.
    #[error("the document {id} has the same values in the unique index {index}")]
    Unique {
        /// The index.
        index: String,
        /// Who has them.
        id: String,
    },
    /// The idempotency key was used for another write.
    #[error("this idempotency key was used for another write")]
    KeyUsed,
    /// Another node writes this database.
    #[error("another node writes this database")]
    Elsewhere(NodeId),
    /// Another node took the database over; what this write did is not known.
    #[error("another node has taken the database over")]
    Fenced,
    /// It cannot be taken over like that.
    #[error("{0}")]
    Takeover(&'static str),
    /// The feed does not go back so far.
    #[error("changes are kept from number {0} on")]
    TooOld(u64),
    /// It did not become durable in time. It may yet.
    #[error("the write was not confirmed in time; it may still come true")]
    NotConfirmed,
    /// The vault refused or failed.
    #[error("the database's bucket cannot be written")]
    Put(#[source] PutError),
    /// The vault refused or failed.
    #[error("the database's bucket cannot be read")]
    Get(#[source] GetError),
    /// The realm refused or failed.
    #[error("the realm does not allow it: {0}")]
    Realm(String),
    /// The engine failed.
    #[error("the database failed")]
    Engine(#[source] Box<slatedb::Error>),
    /// A row is not what was written.
    #[error("a row of the database cannot be read")]
    Row,
    /// The node is going down.
    #[error("the database is closing")]
    Closing,
}

impl From<slatedb::Error> for KvError {
    fn from(error: slatedb::Error) -> Self {
        use slatedb::{CloseReason, ErrorKind};
        match error.kind() {
            ErrorKind::Closed(CloseReason::Fenced) => Self::Fenced,
            ErrorKind::Closed(CloseReason::Clean) => Self::Closing,
            _ => Self::Engine(Box::new(error)),
        }
    }
}
