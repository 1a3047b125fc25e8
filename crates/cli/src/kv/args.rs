//! `freehold kv`: what may be typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `freehold kv`.
#[derive(Debug, Clone, Subcommand)]
pub enum KvCommand {
    /// Create a database, which this node writes
    Create {
        /// Its name.
        name: String,
        /// On how many nodes it is to be
        #[arg(long, default_value_t = 2)]
        copies: u8,
        /// How many nodes must have a write before it is acknowledged
        #[arg(long, default_value_t = 1)]
        confirm: u8,
    },
    /// List the databases
    Databases,
    /// Show one database: who writes it, its collections and indexes
    Show {
        /// Its name.
        name: String,
    },
    /// Delete a database with all that is in it
    Drop {
        /// Its name.
        name: String,
    },
    /// Put a value under a key
    Put(Put),
    /// Print the value of a key
    Get {
        /// The database.
        name: String,
        /// The key.
        key: String,
        /// Of which time.
        #[command(flatten)]
        at: At,
    },
    /// Delete a key
    Delete {
        /// The database.
        name: String,
        /// The key.
        key: String,
        /// When this transaction is committed
        #[arg(long, value_name = "ID")]
        transaction: Option<String>,
    },
    /// List keys with their values, in order
    Scan(Scan),
    /// Carry out a write in JSON, all or nothing: conditions and operations as the HTTP API has them
    Write {
        /// The database.
        name: String,
        /// File with the write; - is standard input
        file: PathBuf,
    },
    /// Put all of a database back from the file that a backup brought back; makes it if there is none
    Import {
        /// The database.
        name: String,
        /// The file, as a backup has it below /databases
        file: PathBuf,
    },
    /// Documents: put, get, delete
    Doc {
        /// What to do with documents.
        #[command(subcommand)]
        command: DocCommand,
    },
    /// Ask for documents: 'where age >= 18 order by name limit 10 select name'
    Query {
        /// The database.
        name: String,
        /// The collection.
        collection: String,
        /// In the query language; nothing asks for all
        #[arg(default_value = "")]
        query: String,
        /// In a snapshot
        #[arg(long, value_name = "ID")]
        snapshot: Option<String>,
        /// Where the page before ended
        #[arg(long, value_name = "CURSOR")]
        after: Option<String>,
        /// Only say how it would be answered
        #[arg(long)]
        explain: bool,
    },
    /// Indexes: add, drop
    Index {
        /// What to do with indexes.
        #[command(subcommand)]
        command: IndexCommand,
    },
    /// Print what changes, one JSON line for each write, until stopped
    Watch {
        /// The database.
        name: String,
        /// Begin behind this write
        #[arg(long, value_name = "NUMBER")]
        after: Option<u64>,
        /// Stop after so many
        #[arg(long, value_name = "COUNT")]
        count: Option<u64>,
    },
    /// Begin a transaction: it sees what is there now, and is written as a whole by `commit`
    Begin {
        /// The database.
        name: String,
        /// For how many seconds it stays open, up to 600
        #[arg(long, default_value_t = 60)]
        lasting: u64,
    },
    /// Write what a transaction has put, unless something that it read has changed
    Commit {
        /// The database.
        name: String,
        /// The transaction.
        transaction: String,
    },
    /// End a transaction; nothing of it is written
    Abort {
        /// The database.
        name: String,
        /// The transaction.
        transaction: String,
    },
    /// Hold what is there now: for a while in memory, or under a name until it is let go
    Snapshot {
        /// The database.
        name: String,
        /// For how many minutes, up to 60; it is gone when the node restarts
        #[arg(long, default_value_t = 10, conflicts_with = "called")]
        minutes: u32,
        /// Keep it under this name, on the disk
        #[arg(long = "name", value_name = "NAME")]
        called: Option<String>,
    },
    /// List the snapshots that have a name
    Snapshots {
        /// The database.
        name: String,
    },
    /// Let a snapshot go: what only it still holds is freed
    Release {
        /// The database.
        name: String,
        /// The snapshot.
        snapshot: String,
    },
    /// Make a database from what is in another one now, or in a snapshot of it
    Clone {
        /// The database.
        name: String,
        /// The new one.
        to: String,
        /// A snapshot of it
        #[arg(long, value_name = "ID")]
        snapshot: Option<String>,
    },
    /// Have another node write a database, on the node that writes it now
    Handover {
        /// The database.
        name: String,
        /// The other node, by name or id.
        node: String,
    },
    /// Have this node write a database whose writer is suspended or gone
    Takeover {
        /// The database.
        name: String,
        /// Also if its writer may be at work: what it acknowledged and this node has not heard is lost
        #[arg(long)]
        force: bool,
    },
}

/// `freehold kv put`.
#[derive(Debug, Clone, Args)]
pub struct Put {
    /// The database.
    pub name: String,
    /// The key.
    pub key: String,
    /// The value; - reads it from standard input
    pub value: String,
    /// Let it end after so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub lasting: Option<u64>,
    /// Only if this write put what is there; 0: only if nothing is there
    #[arg(long, value_name = "NUMBER")]
    pub if_version: Option<u64>,
    /// When this transaction is committed
    #[arg(long, value_name = "ID", conflicts_with = "if_version")]
    pub transaction: Option<String>,
}

/// Of which time something is read; now, if nothing is said.
#[derive(Debug, Clone, Args)]
pub struct At {
    /// In a snapshot
    #[arg(long, value_name = "ID")]
    pub snapshot: Option<String>,
    /// As a transaction sees it
    #[arg(long, value_name = "ID", conflicts_with = "snapshot")]
    pub transaction: Option<String>,
}

/// `freehold kv scan`.
#[derive(Debug, Clone, Args)]
pub struct Scan {
    /// The database.
    pub name: String,
    /// Only keys that begin so
    #[arg(default_value = "")]
    pub prefix: String,
    /// Only keys from here on
    #[arg(long, value_name = "KEY")]
    pub from: Option<String>,
    /// Only keys before this one
    #[arg(long, value_name = "KEY")]
    pub to: Option<String>,
    /// Only keys beyond this one
    #[arg(long, value_name = "KEY")]
    pub after: Option<String>,
    /// From the last to the first
    #[arg(long)]
    pub reverse: bool,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    pub limit: u32,
    /// Of which time.
    #[command(flatten)]
    pub at: At,
}

/// `freehold kv doc`.
#[derive(Debug, Clone, Subcommand)]
pub enum DocCommand {
    /// Put a document
    Put {
        /// The database.
        name: String,
        /// The collection; the first document makes it.
        collection: String,
        /// Its id.
        id: String,
        /// A JSON object; - reads it from standard input
        document: String,
        /// Let it end after so many seconds
        #[arg(long, value_name = "SECONDS")]
        lasting: Option<u64>,
        /// When this transaction is committed
        #[arg(long, value_name = "ID")]
        transaction: Option<String>,
    },
    /// Print a document
    Get {
        /// The database.
        name: String,
        /// The collection.
        collection: String,
        /// Its id.
        id: String,
        /// Of which time.
        #[command(flatten)]
        at: At,
    },
    /// Delete a document
    Delete {
        /// The database.
        name: String,
        /// The collection.
        collection: String,
        /// Its id.
        id: String,
        /// When this transaction is committed
        #[arg(long, value_name = "ID")]
        transaction: Option<String>,
    },
}

/// `freehold kv index`.
#[derive(Debug, Clone, Subcommand)]
pub enum IndexCommand {
    /// Add an index; documents that are there are put in in the background
    Add {
        /// The database.
        name: String,
        /// The collection.
        collection: String,
        /// The index.
        index: String,
        /// Its fields, the first first; dots lead into objects.
        #[arg(required = true)]
        fields: Vec<String>,
        /// No two documents may have the same values
        #[arg(long)]
        unique: bool,
        /// The first field is an array, of which each element counts
        #[arg(long)]
        each: bool,
        /// The field is text, of which each word counts: for `matches`
        #[arg(long, conflicts_with_all = ["unique", "each"])]
        text: bool,
        /// Wait until it is whole
        #[arg(long)]
        wait: bool,
    },
    /// Drop an index
    Drop {
        /// The database.
        name: String,
        /// The collection.
        collection: String,
        /// The index.
        index: String,
    },
}
