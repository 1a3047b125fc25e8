//! Guardians of a realm that keeps a shelf here, when nothing else of it is left: whoever shows the keys of enough of them,
//! as the letters on the shelf name them, may list and read what lies there. They need no pass, since nobody is left who
//! could sign one, and they can add and remove nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use freehold_disk::replace;
use freehold_lent::Room;
use freehold_mesh::Proof;
use freehold_passes::Sort;
use freehold_passes::storage::Phase;
use freehold_realm::Side;
use freehold_realm::body::GuardianSet;
use freehold_wire::{Digest, GrantId, Millis, NodeId, RealmId};

use super::{is_room, keeping};
use crate::backup::letters::Letter;
use crate::clock;
use crate::home::Home;
use crate::shared::Shared;

/// How long a machine that guardians brought reads: until the realm that it brings back has agreed on something new.
const READS: Millis = Millis::from_hours(90 * 24);
/// The most machines that read so at a time.
const READERS_MAX: usize = 64;
const FILE: &str = "readers";

/// Who reads here on guardians' word, and what letters say of guardians.
#[derive(Debug, Default)]
pub(crate) struct Rescues {
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    /// Each letter's guardians, once it was looked at: it never changes.
    letters: BTreeMap<(GrantId, Digest), Option<GuardianSet>>,
    /// Until when; none before the file was read.
    readers: Option<BTreeMap<(GrantId, NodeId), Millis>>,
}

impl Rescues {
    fn inside(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a machine reads here under a grant, or under any.
    pub(crate) fn admits(&self, home: &Home, grant: Option<GrantId>, node: NodeId, now: Millis) -> bool {
        let mut inside = self.inside();
        let readers = inside.readers.get_or_insert_with(|| read(home));
        let reads = |((of, reader), until): (&(GrantId, NodeId), &Millis)| {
            *reader == node && grant.is_none_or(|grant| grant == *of) && *until > now
        };
        readers.iter().any(reads)
    }

    fn let_in(&self, home: &Home, grant: GrantId, node: NodeId, now: Millis) -> std::io::Result<()> {
        let mut inside = self.inside();
        let readers = inside.readers.get_or_insert_with(|| read(home));
        readers.retain(|_, until| *until > now);
        while readers.len() >= READERS_MAX {
            let first = readers.iter().min_by_key(|(_, until)| **until).map(|(place, _)| *place);
            first.and_then(|first| readers.remove(&first));
        }
        readers.insert((grant, node), now.plus(READS));
        let lines = readers.iter().map(|((grant, node), until)| format!("{grant} {node} {}\n", until.0));
        let lines: String = lines.collect();
        freehold_disk::make_private_dir(&home.net())?;
        replace(&home.net().join(FILE), lines.as_bytes(), 0o600)
    }
}

fn read(home: &Home) -> BTreeMap<(GrantId, NodeId), Millis> {
    let lines = std::fs::read_to_string(home.net().join(FILE)).unwrap_or_default();
    let one = |line: &str| {
        let mut words = line.split(' ');
        let place = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some((place, Millis(words.next()?.parse().ok()?)))
    };
    lines.lines().filter_map(one).collect()
}

/// Whether guardians of some realm that keeps a shelf here stand at the door.
pub(crate) fn opens(shared: &Shared, proof: &Proof) -> bool {
    !rooms(shared, proof).is_empty()
}

/// The grants under which guardians who stand at the door have something here, and of which realm they are.
pub(crate) fn rooms(shared: &Shared, proof: &Proof) -> Vec<(GrantId, RealmId)> {
    let (view, now, me) = (shared.log.view(), clock::wall(), shared.me());
    let lent = view.state().grants.iter().filter(|(_, grant)| {
        is_room(grant, Side::Lends)
            && grant.homes.contains(&me)
            && Phase::of(grant, now).gives()
            && !grant.suspended
    });
    let theirs = lent.filter(|(id, grant)| {
        keeping::room(shared, **id, grant).is_ok_and(|room| is_theirs(shared, **id, &room, proof))
    });
    theirs.map(|(id, grant)| (*id, grant.other)).collect()
}

fn is_theirs(shared: &Shared, grant: GrantId, room: &Room, proof: &Proof) -> bool {
    let enough = |set: &GuardianSet| {
        let shown = set.guardians.iter().filter(|guardian| proof.keys.contains(&guardian.key)).count();
        set.threshold > 0 && shown >= usize::from(set.threshold)
    };
    let shelves = room.shelves().unwrap_or_default().into_iter().filter_map(|of| room.shelf(of).ok());
    for shelf in shelves {
        for file in shelf.list(Sort::Letter, None).unwrap_or_default() {
            let known = shared.rooms.rescues.inside().letters.get(&(grant, file.name)).cloned();
            let set = known.unwrap_or_else(|| {
                let read = shelf.letter(&file.name).ok().flatten();
                let set = read.and_then(|bytes: Vec<u8>| Letter::from_bytes(&bytes).ok()?.guardians());
                shared.rooms.rescues.inside().letters.insert((grant, file.name), set.clone());
                set
            });
            if set.as_ref().is_some_and(enough) {
                return true;
            }
        }
    }
    false
}

/// Lets the machine of guardians who stand at the door read what their realm has here.
pub(crate) fn welcome(shared: &Shared, proof: &Proof) -> Result<Vec<(GrantId, RealmId)>, String> {
    let rooms = rooms(shared, proof);
    for (grant, _) in &rooms {
        let let_in = shared.rooms.rescues.let_in(&shared.home, *grant, proof.newcomer, clock::wall());
        let_in.map_err(|error| error.to_string())?;
        tracing::warn!(grant = %grant.short(), node = %proof.newcomer.short(), "guardians read what their realm has here");
    }
    Ok(rooms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_guardians_brought_reads_after_a_restart_and_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let (grant, other) = (GrantId::from_bytes([1; 32]), GrantId::from_bytes([2; 32]));
        let (node, now) = (NodeId::from_bytes([3; 32]), Millis(1_800_000_000_000));
        let rescues = Rescues::default();
        assert!(!rescues.admits(&home, None, node, now));
        rescues.let_in(&home, grant, node, now).unwrap();
        let again = Rescues::default();
        for rescues in [&rescues, &again] {
            assert!(rescues.admits(&home, Some(grant), node, now) && rescues.admits(&home, None, node, now));
            assert!(!rescues.admits(&home, Some(other), node, now));
            assert!(!rescues.admits(&home, None, NodeId::from_bytes([4; 32]), now));
            assert!(!rescues.admits(&home, Some(grant), node, now.plus(READS)));
        }
        for number in 0..100 {
            rescues.let_in(&home, grant, NodeId::from_bytes([number + 100; 32]), now).unwrap();
        }
        assert_eq!(read(&home).len(), READERS_MAX);
    }
}
