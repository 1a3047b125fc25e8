//! Random histories of one dataset and two targets: steps in any order, streams that break off, people who remove snapshots
//! or write where they should not. ZFS's own rules are asserted where a step is carried out.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "outside of test functions, where a mistake in the world is to be loud"
)]

use std::collections::BTreeSet;

use freehold_retention::{Keep, Policy};
use freehold_wire::Millis;
use freehold_zfs::{
    Base, Kind, Label, Mark, Next, Seen, Snapshot, Step, Tend, Token, Trouble, next, orphans, own_name,
    prunable, tend,
};
use proptest::prelude::*;

const HOUR: u64 = 3_600_000;

/// What a stream that broke off was to bring.
#[derive(Debug, Clone)]
struct Part {
    snapshot: Snapshot,
    from: Option<u64>,
}

#[derive(Debug, Clone)]
struct Place {
    label: Label,
    seen: Option<Seen>,
    part: Option<Part>,
    /// GUIDs that it had, and that only its own retention removed.
    had: BTreeSet<u64>,
    /// Somebody has meddled with it.
    meddled: bool,
}

#[derive(Debug, Clone)]
struct World {
    source: Seen,
    places: Vec<Place>,
    at: u64,
    txg: u64,
}

#[derive(Debug, Clone)]
enum Event {
    Take,
    Step {
        place: usize,
        breaks: bool,
    },
    PruneSource,
    TendTarget {
        place: usize,
    },
    /// A person removes a snapshot of the source that nothing holds.
    Destroy(usize),
    /// A person lets go what we hold, and removes it.
    Force(usize),
    /// The pool was exported before what came in part was written.
    Forget {
        place: usize,
    },
    /// A person takes a snapshot at the target.
    Meddle {
        place: usize,
    },
    Write {
        place: usize,
    },
    Wait(u8),
}

fn empty() -> Seen {
    Seen {
        kind: Kind::Filesystem,
        encrypted: true,
        readable: true,
        readonly: false,
        written: 0,
        resume: None,
        token: None,
        snapshots: Vec::new(),
        bookmarks: Vec::new(),
    }
}

fn policy(last: u32, hourly: u32, daily: u32) -> Policy {
    let keep = |count| if count == 0 { Keep::None } else { Keep::Newest(count) };
    Policy { last: keep(last), hourly: keep(hourly), daily: keep(daily), ..Policy::default() }
}

impl World {
    fn new() -> Self {
        let place = |name: &str| Place {
            label: Label::new(name).unwrap(),
            seen: None,
            part: None,
            had: BTreeSet::new(),
            meddled: false,
        };
        Self { source: empty(), places: vec![place("nas"), place("attic")], at: 1_700_000_000_000, txg: 10 }
    }

    fn snapshot(&mut self, name: &str) -> Snapshot {
        self.txg += 1;
        let made = Millis(self.at);
        Snapshot {
            name: name.to_owned(),
            guid: self.txg * 7919,
            txg: self.txg,
            made,
            received: None,
            holds: BTreeSet::new(),
        }
    }

    fn take(&mut self) {
        self.at += 1000;
        let name = own_name(Millis(self.at));
        let made = self.snapshot(&name);
        self.source.snapshots.push(made);
    }

    fn remove(seen: &mut Seen, name: &str) {
        let place = seen.snapshots.iter().position(|known| known.name == name).expect("what goes is there");
        assert!(seen.snapshots[place].holds.is_empty(), "zfs removes nothing that is held: {name}");
        seen.snapshots.remove(place);
    }

    fn tagged(seen: &mut Seen, name: &str, tag: &str, held: bool) {
        let snapshot = seen.snapshots.iter_mut().find(|known| known.name == name).expect("it is there");
        let changed = if held { snapshot.holds.insert(tag.to_owned()) } else { snapshot.holds.remove(tag) };
        assert!(changed, "zfs takes a hold once, and lets go once: {name}");
    }

    /// As zfs does it, or it panics where zfs would refuse.
    fn step(&mut self, place: usize, step: Step, breaks: bool) {
        let tag = self.places[place].label.tag();
        match step {
            Step::Hold(name) => Self::tagged(&mut self.source, &name, &tag, true),
            Step::Release(name) => Self::tagged(&mut self.source, &name, &tag, false),
            Step::Bookmark(name, mark) => {
                let known = self.source.snapshots.iter().find(|known| known.name == name).unwrap();
                assert!(self.source.bookmarks.iter().all(|other| other.name != mark));
                self.source.bookmarks.push(Mark { name: mark, guid: known.guid, txg: known.txg });
                self.source.bookmarks.sort_by_key(|mark| mark.txg);
            }
            Step::Unmark(name) => {
                let before = self.source.bookmarks.len();
                self.source.bookmarks.retain(|mark| mark.name != name);
                assert!(self.source.bookmarks.len() < before, "there is such a bookmark");
            }
            Step::Send { base, snapshot } => {
                let from = base.map(|base| match base {
                    Base::Snapshot(name) => {
                        self.source.snapshots.iter().find(|known| known.name == name).unwrap().guid
                    }
                    Base::Bookmark(name) => {
                        self.source.bookmarks.iter().find(|known| known.name == name).unwrap().guid
                    }
                });
                let sent = self.source.snapshots.iter().find(|known| known.name == snapshot).unwrap().clone();
                assert!(sent.holds.contains(&tag), "what is on its way is held");
                self.arrives(place, Part { snapshot: sent, from }, breaks);
            }
            Step::Resume(_) => {
                let part = self.places[place].part.clone().expect("there is a part");
                assert!(self.source.by_guid(part.snapshot.guid).is_some(), "zfs has what it goes on with");
                self.arrives(place, part, breaks);
            }
            Step::Abandon => {
                let place = &mut self.places[place];
                assert!(place.part.take().is_some());
                let seen = place.seen.as_mut().unwrap();
                (seen.resume, seen.token) = (None, None);
                if seen.snapshots.is_empty() {
                    place.seen = None;
                }
            }
        }
    }

    fn arrives(&mut self, place: usize, part: Part, breaks: bool) {
        self.txg += 1;
        let txg = self.txg;
        let place = &mut self.places[place];
        let seen = place.seen.get_or_insert_with(empty);
        assert_eq!(seen.newest().map(|newest| newest.guid), part.from, "zfs goes on from the newest alone");
        assert_eq!(seen.written, 0, "zfs does not write over what was changed");
        if breaks {
            let name = format!("pool/home@{}", part.snapshot.name);
            let (guid, from) = (part.snapshot.guid, part.from);
            seen.resume = Some("1-ab-c".to_owned());
            seen.token = Some(Token { name, guid, from, raw: true, bytes: 1 });
            place.part = Some(part);
            return;
        }
        (seen.resume, seen.token, place.part) = (None, None, None);
        place.had.insert(part.snapshot.guid);
        seen.snapshots.push(Snapshot { txg, holds: BTreeSet::new(), received: None, ..part.snapshot });
    }

    fn known(&self, place: usize) -> Option<u64> {
        let newest = self.places[place].seen.as_ref()?.newest()?.guid;
        // The bookmark for another target comes and goes with that one.
        let mine = self.places[place].label.bookmark("");
        let mut marks = self.source.bookmarks.iter();
        let marked = marks.any(|mark| mark.guid == newest && mark.name.ends_with(&mine));
        let here = self.source.by_guid(newest).is_some() || marked;
        here.then_some(newest)
    }

    fn tend(&mut self, place: usize) -> bool {
        let Some(seen) = &mut self.places[place].seen else { return false };
        let newest = seen.newest().map(|newest| newest.guid);
        let Some(todo) = tend(&policy(1, 2, 1), seen, Millis(self.at)) else { return false };
        match todo {
            Tend::ReadOnly => seen.readonly = true,
            Tend::Note(name, at) => {
                let known = seen.snapshots.iter_mut().find(|known| known.name == name).unwrap();
                assert!(known.received.replace(at).is_none());
            }
            Tend::Hold(name) => Self::tagged(seen, &name, "freehold:newest", true),
            Tend::Release(name) => Self::tagged(seen, &name, "freehold:newest", false),
            Tend::Prune(name) => {
                let gone = seen.snapshots.iter().find(|known| known.name == name).unwrap().guid;
                Self::remove(seen, &name);
                self.places[place].had.remove(&gone);
            }
        }
        let seen = self.places[place].seen.as_ref().unwrap();
        assert_eq!(seen.newest().map(|newest| newest.guid), newest, "the newest stays");
        true
    }

    fn verdict(&self, place: usize) -> Next {
        next(&self.places[place].label, Some(&self.source), self.places[place].seen.as_ref())
    }

    fn act(&mut self, event: &Event) {
        let places = self.places.len();
        let known: Vec<_> = (0..places).map(|place| self.known(place)).collect();
        let mut own = true;
        match *event {
            Event::Take => self.take(),
            Event::Step { place, breaks } => match self.verdict(place % places) {
                Next::Do(step) => self.step(place % places, step, breaks),
                Next::Done(_) | Next::Trouble(_) => {}
            },
            Event::PruneSource => {
                for name in prunable(&policy(1, 2, 0), &self.source) {
                    Self::remove(&mut self.source, &name);
                }
            }
            Event::TendTarget { place } => drop(self.tend(place % places)),
            Event::Destroy(which) => {
                let free = self.source.snapshots.iter().filter(|known| known.holds.is_empty());
                let free: Vec<String> = free.map(|known| known.name.clone()).collect();
                if !free.is_empty() {
                    Self::remove(&mut self.source, &free[which % free.len()]);
                }
                own = false;
            }
            Event::Force(which) => {
                let all = self.source.snapshots.len();
                if all > 0 {
                    self.source.snapshots.remove(which % all);
                }
                own = false;
            }
            Event::Forget { place } => {
                let place = &mut self.places[place % places];
                if place.part.take().is_some() {
                    let seen = place.seen.as_mut().unwrap();
                    (seen.resume, seen.token) = (None, None);
                    if seen.snapshots.is_empty() {
                        place.seen = None;
                    }
                }
            }
            Event::Meddle { place } => {
                let place = place % places;
                let made = self.snapshot("by-hand");
                let place = &mut self.places[place];
                let free = |seen: &&mut Seen| seen.snapshots.iter().all(|known| known.name != made.name);
                let seen = place.seen.as_mut().filter(|seen| !seen.snapshots.is_empty()).filter(free);
                if let Some(seen) = seen {
                    seen.snapshots.push(made);
                    place.meddled = true;
                }
                own = false;
            }
            Event::Write { place } => {
                let place = &mut self.places[place % places];
                if let Some(seen) = place.seen.as_mut().filter(|seen| !seen.snapshots.is_empty()) {
                    seen.written += 4096;
                    place.meddled = true;
                }
                own = false;
            }
            Event::Wait(hours) => self.at += u64::from(hours) * HOUR,
        }
        if own {
            self.keeps(&known);
        }
    }

    /// What our own steps never do.
    fn keeps(&self, known: &[Option<u64>]) {
        for (place, before) in self.places.iter().zip(known) {
            let now = self.known(self.places.iter().position(|other| other.label == place.label).unwrap());
            assert!(before.is_none() || now.is_some(), "{}: what both have is never lost", place.label);
            let seen: BTreeSet<u64> =
                place.seen.iter().flat_map(|seen| seen.snapshots.iter().map(|known| known.guid)).collect();
            assert!(place.had.is_subset(&seen), "{}: history is never removed", place.label);
        }
    }

    /// Everything is done by our own steps, or a trouble is named.
    fn settle(&mut self) -> Vec<Next> {
        for place in 0..self.places.len() {
            for _ in 0..500 {
                let Next::Do(step) = self.verdict(place) else { break };
                let known: Vec<_> = (0..self.places.len()).map(|place| self.known(place)).collect();
                self.step(place, step, false);
                self.keeps(&known);
                while self.tend(place) {}
                self.keeps(&known);
            }
        }
        (0..self.places.len()).map(|place| self.verdict(place)).collect()
    }
}

fn event() -> impl Strategy<Value = Event> {
    let place = 0..2usize;
    prop_oneof![
        4 => Just(Event::Take),
        12 => (place.clone(), any::<bool>()).prop_map(|(place, breaks)| Event::Step { place, breaks }),
        3 => Just(Event::PruneSource),
        4 => place.clone().prop_map(|place| Event::TendTarget { place }),
        1 => any::<usize>().prop_map(Event::Destroy),
        1 => any::<usize>().prop_map(Event::Force),
        1 => place.clone().prop_map(|place| Event::Forget { place }),
        1 => (0..60usize).prop_map(|place| if place < 2 { Event::Meddle { place } } else { Event::Take }),
        1 => (0..60usize).prop_map(|place| if place < 2 { Event::Write { place } } else { Event::Take }),
        3 => (1..30u8).prop_map(Event::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Nothing that both ends have is lost by our own steps, nothing is removed at a target but by its own retention, and
    /// at the end each target has the newest, or a trouble says why not.
    #[test]
    fn what_both_have_stays_and_nothing_is_skipped(events in prop::collection::vec(event(), 1..120)) {
        let mut world = World::new();
        for event in &events {
            world.act(event);
        }
        world.take();
        let newest = world.source.newest().unwrap().guid;
        let outcome = world.settle();
        for (place, next) in world.places.iter().zip(outcome) {
            match next {
                Next::Done(_) => {
                    let there = place.seen.as_ref().and_then(Seen::newest).map(|newest| newest.guid);
                    prop_assert_eq!(there, Some(newest));
                    let held = world.source.snapshots.iter();
                    let held = held.filter(|known| known.holds.contains(&place.label.tag())).count();
                    prop_assert_eq!(held, 1, "one snapshot is held for a target");
                }
                Next::Trouble(Trouble::Diverged { .. } | Trouble::NoCommonBase) => {
                    let there = place.seen.as_ref().and_then(Seen::newest).map(|newest| newest.guid);
                    let known = there.is_some_and(|guid| world.source.by_guid(guid).is_some());
                    prop_assert!(!known, "what is known here is gone on from");
                }
                Next::Trouble(Trouble::Modified { .. }) => prop_assert!(place.meddled),
                other => prop_assert!(false, "{} ends with {other:?}", place.label),
            }
        }
    }

    /// As long as nobody meddles with holds, bookmarks or targets, there is always something to go on from.
    #[test]
    fn who_leaves_our_holds_alone_has_no_trouble(events in prop::collection::vec(event(), 1..120)) {
        let mut world = World::new();
        for event in &events {
            if !matches!(event, Event::Force(_) | Event::Meddle { .. } | Event::Write { .. }) {
                world.act(event);
            }
        }
        world.take();
        for next in world.settle() {
            prop_assert!(matches!(next, Next::Done(_)), "{next:?}");
        }
        prop_assert!(orphans(&world.places.iter().map(|place| place.label.clone()).collect(), &world.source).is_empty());
    }
}

/// A target that asks for something else, or for plain text, gets nothing by its token.
#[test]
fn a_token_that_asks_for_something_else_is_dropped() {
    let mut world = World::new();
    world.take();
    world.source.snapshots[0].holds.insert("freehold:nas".to_owned());
    let (name, guid) = (world.source.snapshots[0].name.clone(), world.source.snapshots[0].guid);
    let label = Label::new("nas").unwrap();
    let good = Token { name: format!("pool/home@{name}"), guid, from: None, raw: true, bytes: 5 };
    let verdict = |token: Option<Token>| {
        let target = Seen { resume: Some("1-a".to_owned()), token, ..empty() };
        next(&label, Some(&world.source), Some(&target))
    };
    assert_eq!(verdict(Some(good.clone())), Next::Do(Step::Resume("1-a".to_owned())));
    let bad = [
        Token { raw: false, ..good.clone() },
        Token { guid: guid + 1, ..good.clone() },
        Token { from: Some(3), ..good.clone() },
        Token { name: "pool/home@other".to_owned(), ..good },
    ];
    for token in bad.into_iter().map(Some).chain([None]) {
        assert_eq!(verdict(token), Next::Do(Step::Abandon));
    }
}

#[test]
fn what_is_not_encrypted_or_not_there_is_said() {
    let label = Label::new("nas").unwrap();
    let plain = Seen { encrypted: false, ..empty() };
    assert_eq!(next(&label, Some(&plain), None), Next::Trouble(Trouble::Unencrypted));
    assert_eq!(next(&label, None, None), Next::Trouble(Trouble::Missing));
    assert_eq!(next(&label, None, Some(&empty())), Next::Trouble(Trouble::Gone));
    assert_eq!(next(&label, Some(&empty()), None), Next::Trouble(Trouble::NoSnapshot));
    assert_eq!(next(&label, Some(&empty()), Some(&empty())), Next::Trouble(Trouble::Occupied));
}
