//! Passes that this machine has signed, on its disk: none is given away before it is noted, since what was signed may
//! have to be taken back after a restart.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use freehold_passes::Word;
use freehold_realm::State;
use freehold_wire::{GrantId, Millis, NodeId, RealmId};
use serde::{Deserialize, Serialize};

use super::answering::is_entitled;
use crate::home::Home;

/// From when and until when the last pass of each machine under each grant is.
pub(crate) type Issued = BTreeMap<(GrantId, NodeId), (Millis, Millis)>;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    grant: String,
    node: String,
    from_ms: u64,
    until_ms: u64,
}

/// Where it is noted which passes were signed here.
pub(super) fn file(home: &Home) -> PathBuf {
    home.net().join("passes.json")
}

/// Writes them in the place of what was there; those that are over are left out.
pub(super) fn write(file: &Path, issued: &Issued, now: Millis) -> io::Result<()> {
    let rows = issued.iter().filter(|(_, (_, until))| *until > now).map(|((grant, node), (from, until))| {
        Row { grant: grant.to_string(), node: node.to_string(), from_ms: from.0, until_ms: until.0 }
    });
    let rows: Vec<Row> = rows.collect();
    if let Some(folder) = file.parent() {
        freehold_disk::make_private_dir(folder)?;
    }
    freehold_disk::replace(file, &serde_json::to_vec_pretty(&rows)?, 0o600)
}

/// What was written; nothing where nothing was.
pub(super) fn read(file: &Path) -> io::Result<Issued> {
    let Some(bytes) = freehold_disk::read_private(file).map_err(io::Error::other)? else {
        return Ok(Issued::new());
    };
    let rows: Vec<Row> = serde_json::from_slice(&bytes)?;
    let place = |row: &Row| -> io::Result<(GrantId, NodeId)> {
        let grant = row.grant.parse::<GrantId>().map_err(io::Error::other)?;
        Ok((grant, row.node.parse::<NodeId>().map_err(io::Error::other)?))
    };
    rows.iter().map(|row| Ok((place(row)?, (Millis(row.from_ms), Millis(row.until_ms))))).collect()
}

/// What is to be said of machines that have lost their rights while a pass of theirs holds.
pub(super) fn recalled(issued: &Issued, state: &State, borrower: RealmId, now: Millis) -> Vec<Word> {
    let lost =
        issued.iter().filter(|((_, node), (_, until))| *until > now && !is_entitled(state, *node, now));
    let words = lost.filter_map(|((id, node), (from, _))| {
        let lender = state.grants.get(id)?.other;
        Some(Word { grant: *id, lender, borrower, node: *node, before: *from })
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn issued() -> Issued {
        let place = |n: u8| (GrantId::from_bytes([n; 32]), NodeId::from_bytes([n; 32]));
        Issued::from([(place(1), (Millis(10), Millis(90))), (place(2), (Millis(20), Millis(40)))])
    }

    #[test]
    fn what_was_signed_is_known_after_a_restart_until_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("net/passes.json");
        assert!(read(&file).unwrap().is_empty());
        write(&file, &issued(), Millis(30)).unwrap();
        assert_eq!(read(&file).unwrap(), issued());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        write(&file, &issued(), Millis(40)).unwrap();
        assert_eq!(read(&file).unwrap().len(), 1);
        // What cannot be read is told, and is not taken for nothing.
        freehold_disk::replace(&file, b"[{}]", 0o600).unwrap();
        assert!(read(&file).is_err());
    }
}
