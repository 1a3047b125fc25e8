//! What goes wrong in a move.

use std::path::PathBuf;

use freehold_moves::{AnswerError, PolicyError};

/// Whose endpoint it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Realm {
    /// The old one.
    Old,
    /// The new one.
    New,
}

impl std::fmt::Display for Realm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Old => "the old realm",
            Self::New => "the new realm",
        })
    }
}

/// A move could not go on. Nothing is lost by it: it goes on where it was.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// An address that cannot be one.
    #[error("{0} is no address of an S3 endpoint: write it as http://HOST:PORT or https://HOST")]
    Address(String),
    /// The file with the access key cannot be used.
    #[error("{path}: {why}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The certificates cannot be used.
    #[error("the certificates in {path} cannot be used: {why}")]
    Certificates {
        /// The file, or the system's.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// Nobody answered, again and again.
    #[error("{realm} does not answer: {why}")]
    Silent {
        /// Which one.
        realm: Realm,
        /// What was seen last.
        why: String,
    },
    /// The answer is a refusal.
    #[error("{realm} refuses {what}: {code} ({status}){}", said(.message))]
    Refused {
        /// Which one.
        realm: Realm,
        /// What was asked.
        what: String,
        /// The HTTP status.
        status: u16,
        /// S3's word for it.
        code: String,
        /// In words.
        message: String,
    },
    /// The answer is not S3's.
    #[error("{realm} answers {what} with what is not S3's")]
    Answer {
        /// Which one.
        realm: Realm,
        /// What was asked.
        what: String,
        /// What is wrong with it.
        source: AnswerError,
    },
    /// What came back is not what was sent.
    #[error("{key} in {bucket} came out of {realm} other than it went in")]
    Differs {
        /// Which one.
        realm: Realm,
        /// The bucket, by its name in the old realm.
        bucket: String,
        /// The object.
        key: String,
    },
    /// A bucket of that name is in use in the new realm.
    #[error("the new realm has a bucket {0} already, with objects in it")]
    Taken(String),
    /// The bucket's policy cannot be added to.
    #[error("the bucket {bucket} cannot be closed")]
    Policy {
        /// Which one.
        bucket: String,
        /// Why.
        source: PolicyError,
    },
    /// Nothing to move.
    #[error("the access key sees no bucket in the old realm")]
    Nothing,
    /// The folder of the move is of another one.
    #[error("{path} is the folder of another move: {why}")]
    Another {
        /// The folder.
        path: PathBuf,
        /// What differs.
        why: String,
    },
    /// The folder of the move has none yet.
    #[error("{0} has no move in it")]
    NoMove(PathBuf),
    /// Another process is at it.
    #[error("another process is at this move: {0}")]
    Busy(String),
    /// The folder cannot be read or written.
    #[error("{path}: {source}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line of the journal cannot be read.
    #[error("line {line} of {path} cannot be read")]
    Journal {
        /// The file.
        path: PathBuf,
        /// Which line.
        line: usize,
    },
    /// It is over.
    #[error("the new realm counts already: this move cannot be taken back")]
    Over,
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl MoveError {
    /// Whether S3 said this word.
    pub fn is(&self, words: &[&str]) -> bool {
        matches!(self, Self::Refused { code, .. } if words.contains(&code.as_str()))
    }

    /// Whether the object, as it was listed, is not there any more.
    pub(crate) fn is_gone(&self) -> bool {
        self.is(&["NoSuchKey", "NoSuchVersion", "PreconditionFailed", "MethodNotAllowed"])
            || matches!(self, Self::Refused { status: 404 | 412 | 405, .. })
    }
}
