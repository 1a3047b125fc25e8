//! A backup that somebody walks through as through a folder: what is asked of the node for it, which keeps the repository
//! open meanwhile.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::BackupSnapshot;

/// What is to be walked through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackupMount {
    /// The backup whose snapshots are meant; without one all that are on the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
    /// The target; may be left out where there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Only this snapshot, by its id or the beginning of it, or the name of a backup for the newest of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
}

/// A target whose backups somebody looks into without keeping a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackupLook {
    /// The target; may be left out where there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Whether snapshots that were made just now have to be among them.
    pub newest: bool,
}

/// A repository that is open for somebody until their connection ends, or, where they only look, until nobody has asked it for a
/// while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupMounted {
    /// By what it is called in what is asked of it.
    pub id: String,
    /// The target.
    pub target: String,
    /// The snapshots, the oldest first.
    pub snapshots: Vec<BackupRoot>,
}

/// A snapshot and what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupRoot {
    /// The snapshot.
    pub snapshot: BackupSnapshot,
    /// The tree of its root.
    pub tree: String,
}

/// Something in a directory of a snapshot, with all that is said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupNode {
    /// Its place in its tree, by which it is read.
    pub at: u64,
    /// Its name.
    pub name: BackupBytes,
    /// What it is.
    pub kind: BackupNodeKind,
    /// The twelve bits of its mode.
    pub mode: u32,
    /// The number of its owner.
    pub user: u32,
    /// The number of its group.
    pub group: u32,
    /// Its bytes; 0 for what is no file.
    pub size: u64,
    /// How many names it had.
    pub links: u64,
    /// When it was changed, read, and when this was: seconds since 1970, and nanoseconds after those.
    pub times: Vec<(i64, u32)>,
}

/// What something in a directory of a snapshot is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupNodeKind {
    /// A file.
    File,
    /// A directory, and the tree of what is in it.
    Dir(String),
    /// A symbolic link, and where it leads.
    Link(BackupBytes),
    /// A pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A device of blocks, by its number.
    Block(u64),
    /// A device of characters, by its number.
    Char(u64),
}

/// A name as a file system has it, which need not be text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupBytes {
    /// It is text.
    Text(String),
    /// It is none: in base64.
    Raw(String),
}

impl From<Vec<u8>> for BackupBytes {
    fn from(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|odd| Self::Raw(BASE64.encode(odd.as_bytes())), Self::Text)
    }
}

impl BackupBytes {
    /// As the file system has it; nothing where it makes no sense.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.clone().into_bytes()),
            Self::Raw(raw) => BASE64.decode(raw.as_bytes()).ok(),
        }
    }
}

/// Which directory is to be listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackupTree {
    /// Its tree.
    pub tree: String,
    /// Only what is called so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<BackupBytes>,
}

/// Which bytes of a file are to be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupRead {
    /// The tree of its directory.
    pub tree: String,
    /// Its place there.
    pub at: u64,
    /// From where.
    pub offset: u64,
    /// How many; at the most 4 MiB.
    pub length: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_text_come_through() {
        for name in [&b"letter"[..], "bl\u{fc}e".as_bytes(), b"\xff\xfe old", b""] {
            let told = serde_json::to_string(&BackupBytes::from(name.to_vec())).unwrap();
            let read: BackupBytes = serde_json::from_str(&told).unwrap();
            assert_eq!(read.bytes().unwrap(), name);
        }
        assert_eq!(BackupBytes::Raw("no base64!".to_owned()).bytes(), None);
    }
}
