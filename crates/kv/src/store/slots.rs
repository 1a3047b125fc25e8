//! Which path is in which slot.

use std::collections::{BTreeMap, BTreeSet};

use slatedb::object_store::PutMode;

use super::{Refusal, identity};
use crate::bucket::Kept;

/// A path's place in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) number: u32,
    pub(super) kept: Kept,
}

#[derive(Debug)]
enum State {
    /// Being written for the first time.
    Reserved,
    Held(Slot),
}

#[derive(Debug, Default)]
pub(super) struct Slots {
    by_path: BTreeMap<String, State>,
    by_number: BTreeMap<u32, String>,
    free: BTreeSet<u32>,
    next: u32,
}

/// The key of a slot.
pub(super) fn key(prefix: &str, number: u32) -> String {
    format!("{prefix}{number:08x}")
}

fn number(prefix: &str, key: &str) -> Option<u32> {
    u32::from_str_radix(key.strip_prefix(prefix)?, 16).ok()
}

impl Slots {
    pub(super) fn get(&self, path: &str) -> Option<Slot> {
        match self.by_path.get(path)? {
            State::Held(slot) => Some(slot.clone()),
            State::Reserved => None,
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&String, &Kept)> {
        self.by_path.iter().filter_map(|(path, state)| match state {
            State::Held(slot) => Some((path, &slot.kept)),
            State::Reserved => None,
        })
    }

    /// A slot to write a path to.
    pub(super) fn reserve(&mut self, path: &str, mode: &PutMode) -> Result<u32, Refusal> {
        match (self.by_path.get(path), mode) {
            (Some(State::Held(slot)), PutMode::Overwrite) => Ok(slot.number),
            (Some(State::Held(slot)), PutMode::Update(known))
                if known.e_tag.as_deref() == Some(identity(&slot.kept).as_str()) =>
            {
                Ok(slot.number)
            }
            (Some(_), _) | (None, PutMode::Update(_)) => Err(Refusal::There),
            (None, PutMode::Create | PutMode::Overwrite) => {
                let number = self.free.pop_first().unwrap_or_else(|| {
                    self.next += 1;
                    self.next
                });
                self.by_path.insert(path.to_owned(), State::Reserved);
                Ok(number)
            }
        }
    }

    /// The write of a path failed. What is in its slot is not known: it is not used again.
    pub(super) fn give_up(&mut self, path: &str) {
        if matches!(self.by_path.get(path), Some(State::Reserved)) {
            self.by_path.remove(path);
        }
    }

    /// A path is written.
    pub(super) fn settle(&mut self, path: &str, number: u32, kept: Kept) {
        self.by_number.insert(number, path.to_owned());
        self.by_path.insert(path.to_owned(), State::Held(Slot { number, kept }));
    }

    /// A path is deleted.
    pub(super) fn free(&mut self, path: &str) {
        if let Some(State::Held(slot)) = self.by_path.remove(path) {
            self.by_number.remove(&slot.number);
            self.free.insert(slot.number);
        }
    }

    /// Whether what is listed is what was found there before.
    pub(super) fn knows(&self, prefix: &str, listed: &Kept) -> bool {
        let path = number(prefix, &listed.key).and_then(|number| self.by_number.get(&number));
        path.and_then(|path| self.get(path)).is_some_and(|slot| slot.kept == *listed)
    }

    /// Takes in what is there now, and what was found where it was not known.
    pub(super) fn learn(&mut self, prefix: &str, listed: &[Kept], found: Vec<(Kept, String)>) {
        let there: BTreeMap<u32, &Kept> =
            listed.iter().filter_map(|kept| Some((number(prefix, &kept.key)?, kept))).collect();
        self.by_path.retain(|_, state| match state {
            State::Held(slot) => there.get(&slot.number).is_some_and(|kept| **kept == slot.kept),
            State::Reserved => true,
        });
        for (kept, path) in found {
            let Some(number) = number(prefix, &kept.key) else { continue };
            // A crash between two writes may have left a path in two slots.
            if self.get(&path).is_none_or(|slot| slot.kept.modified <= kept.modified) {
                self.by_path.insert(path, State::Held(Slot { number, kept }));
            }
        }
        self.by_number = self
            .by_path
            .iter()
            .filter_map(|(path, state)| match state {
                State::Held(slot) => Some((slot.number, path.clone())),
                State::Reserved => None,
            })
            .collect();
        self.next = self.next.max(there.keys().next_back().copied().unwrap_or(0));
        self.free = (1..=self.next).filter(|number| !self.by_number.contains_key(number)).collect();
    }
}

#[cfg(test)]
mod tests {
    use freehold_wire::Millis;

    use super::*;

    fn kept(number: u32, at: u64) -> Kept {
        Kept { key: key("p/", number), size: 1, modified: Millis(at), etag: "e".to_owned() }
    }

    #[test]
    fn a_slot_is_used_again_and_never_by_two() {
        let mut slots = Slots::default();
        let first = slots.reserve("a", &PutMode::Create).unwrap();
        assert!(slots.reserve("a", &PutMode::Create).is_err(), "while it is being written");
        slots.settle("a", first, kept(first, 1));
        assert!(slots.reserve("a", &PutMode::Create).is_err(), "put if absent");
        let second = slots.reserve("b", &PutMode::Overwrite).unwrap();
        assert_ne!(first, second);
        slots.free("a");
        assert_eq!(slots.reserve("c", &PutMode::Create).unwrap(), first);
    }

    #[test]
    fn what_is_listed_is_learnt() {
        let mut slots = Slots::default();
        let listed = [kept(1, 1), kept(3, 2), kept(4, 1)];
        let found = vec![(kept(1, 1), "a".into()), (kept(3, 2), "b".into()), (kept(4, 1), "b".into())];
        slots.learn("p/", &listed, found);
        assert!(slots.knows("p/", &kept(1, 1)) && !slots.knows("p/", &kept(1, 2)));
        assert_eq!(slots.get("b").unwrap().number, 3, "the later of two");
        assert_eq!(slots.reserve("c", &PutMode::Create).unwrap(), 2);
        assert_eq!(slots.reserve("d", &PutMode::Create).unwrap(), 4, "which is nobody's");
        slots.learn("p/", &[kept(3, 2)], Vec::new());
        assert!(slots.get("a").is_none(), "a reader hears that it is gone");
    }
}
