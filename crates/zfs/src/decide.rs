//! What comes next for one dataset at one target, by what both ends show. One step is chosen at a time, and after it both
//! are looked at again: there is no state but theirs, so that it does not matter after which step the power went.

use std::collections::BTreeSet;

use freehold_wire::Millis;
use thiserror::Error;

use crate::names::{Label, held_for, is_own};
use crate::shown::{Seen, Snapshot};

/// From where a stream begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// A snapshot of the source.
    Snapshot(String),
    /// A bookmark of one that is gone there.
    Bookmark(String),
}

/// A step, at the source or between both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Holds a snapshot of the source for this target.
    Hold(String),
    /// Lets one go.
    Release(String),
    /// Makes a bookmark of a snapshot: this one, under this name.
    Bookmark(String, String),
    /// Removes a bookmark.
    Unmark(String),
    /// Sends a snapshot, from a base or the whole of it.
    Send {
        /// What the target has.
        base: Option<Base>,
        /// What it gets.
        snapshot: String,
    },
    /// Goes on with what came in part, by the target's token.
    Resume(String),
    /// Has the target drop what came in part, since it cannot be gone on with.
    Abandon,
}

/// What is wrong, so that nothing is sent until a person has looked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Trouble {
    /// What was declared is not there.
    #[error("the dataset is not there")]
    Missing,
    /// It was there once.
    #[error("the dataset is gone; what the target has of it stays")]
    Gone,
    /// It lies there in plain.
    #[error("the dataset is not encrypted, and the target must not read it")]
    Unencrypted,
    /// Nobody has taken one yet.
    #[error("the dataset has no snapshot of ours yet")]
    NoSnapshot,
    /// There is a dataset that nothing of this came to.
    #[error("the target has something else in its place")]
    Occupied,
    /// Not one snapshot is on both.
    #[error(
        "the target has snapshots, and none of them is known here any more: there is nothing to go on from"
    )]
    NoCommonBase,
    /// What the target has as its newest is not known here.
    #[error(
        "the target has {newest}, which is not from here or known here no more; the last that both have is {common}"
    )]
    Diverged {
        /// Its newest snapshot.
        newest: String,
        /// The newest that both have.
        common: String,
    },
    /// Somebody wrote into it.
    #[error("the target was written to since {newest} came: {written} bytes")]
    Modified {
        /// Its newest snapshot.
        newest: String,
        /// How much.
        written: u64,
    },
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// This step.
    Do(Step),
    /// The target has the newest there is, which was made then.
    Done(Millis),
    /// Nothing, and somebody has to hear of it.
    Trouble(Trouble),
}

/// What comes next for a dataset at a target with this name.
pub fn next(label: &Label, source: Option<&Seen>, target: Option<&Seen>) -> Next {
    let Some(source) = source else {
        return Next::Trouble(if target.is_some() { Trouble::Gone } else { Trouble::Missing });
    };
    if !source.encrypted {
        return Next::Trouble(Trouble::Unencrypted);
    }
    let Some(target) = target else { return begin(label, source) };
    if let Some(newest) = target.newest().filter(|_| target.written > 0) {
        return Next::Trouble(Trouble::Modified { newest: newest.name.clone(), written: target.written });
    }
    if let Some(resume) = &target.resume {
        return Next::Do(go_on(label, source, target, resume));
    }
    let Some(newest) = target.newest() else { return Next::Trouble(Trouble::Occupied) };
    let tag = label.tag();
    let Some((base, txg)) = base(source, label, newest.guid) else {
        let common = target.snapshots.iter().rev().find(|known| base(source, label, known.guid).is_some());
        return Next::Trouble(common.map_or(Trouble::NoCommonBase, |common| Trouble::Diverged {
            newest: newest.name.clone(),
            common: common.name.clone(),
        }));
    };
    let newer = own(source).find(|snapshot| snapshot.txg > txg);
    if let Some(step) = settle(label, source, newest.guid, newer) {
        return Next::Do(step);
    }
    match newer {
        None => Next::Done(newest.made),
        Some(newer) if !newer.holds.contains(&tag) => Next::Do(Step::Hold(newer.name.clone())),
        Some(newer) => Next::Do(Step::Send { base: Some(base), snapshot: newer.name.clone() }),
    }
}

fn own(source: &Seen) -> impl Iterator<Item = &Snapshot> {
    source.snapshots.iter().filter(|snapshot| is_own(&snapshot.name))
}

/// The first that a target gets is the oldest there is, so that it has the same history.
fn begin(label: &Label, source: &Seen) -> Next {
    match own(source).next() {
        None => Next::Trouble(Trouble::NoSnapshot),
        Some(first) if !first.holds.contains(&label.tag()) => Next::Do(Step::Hold(first.name.clone())),
        Some(first) => Next::Do(Step::Send { base: None, snapshot: first.name.clone() }),
    }
}

/// A token is the target's word. It is gone on with only if it asks for this dataset, raw, and for a snapshot that there is.
fn go_on(label: &Label, source: &Seen, target: &Seen, resume: &str) -> Step {
    let wanted = target.token.as_ref().filter(|token| token.raw);
    let wanted = wanted.and_then(|token| {
        let snapshot = source.by_guid(token.guid)?;
        let named = token.name.split_once('@').is_some_and(|(_, name)| name == snapshot.name);
        let follows = token.from == target.newest().map(|newest| newest.guid);
        let known = token.from.is_none_or(|from| base(source, label, from).is_some());
        (named && follows && known && is_own(&snapshot.name)).then_some(snapshot)
    });
    match wanted {
        None => Step::Abandon,
        Some(snapshot) if !snapshot.holds.contains(&label.tag()) => Step::Hold(snapshot.name.clone()),
        Some(_) => Step::Resume(resume.to_owned()),
    }
}

/// What the source still has of a snapshot, and its place there.
fn base(source: &Seen, label: &Label, guid: u64) -> Option<(Base, u64)> {
    let snapshot = source.by_guid(guid).map(|known| (Base::Snapshot(known.name.clone()), known.txg));
    let mine = |name: &str| name.ends_with(&label.bookmark(""));
    let marks = || source.bookmarks.iter().filter(|mark| mark.guid == guid);
    let mark = marks().find(|mark| mine(&mark.name)).or_else(|| marks().next());
    snapshot.or_else(|| mark.map(|mark| (Base::Bookmark(mark.name.clone()), mark.txg)))
}

/// What both ends have now is held and has a bookmark, before what they had earlier is let go.
fn settle(label: &Label, source: &Seen, common: u64, newer: Option<&Snapshot>) -> Option<Step> {
    let tag = label.tag();
    if let Some(here) = source.by_guid(common) {
        if !here.holds.contains(&tag) {
            return Some(Step::Hold(here.name.clone()));
        }
        let name = label.bookmark(&here.name);
        // Another tool's snapshot can be what both have; its name may leave no room for a bookmark of ours.
        if is_own(&here.name) && !source.bookmarks.iter().any(|mark| mark.name == name) {
            return Some(Step::Bookmark(here.name.clone(), name));
        }
    }
    let wanted = |snapshot: &&Snapshot| {
        snapshot.guid == common || newer.is_some_and(|newer| newer.guid == snapshot.guid)
    };
    let held = source.snapshots.iter().filter(|snapshot| snapshot.holds.contains(&tag));
    if let Some(old) = held.into_iter().find(|snapshot| !wanted(snapshot)) {
        return Some(Step::Release(old.name.clone()));
    }
    let ends = label.bookmark("");
    let mut ours = source.bookmarks.iter().filter(|mark| mark.name.ends_with(&ends) && is_ours(&mark.name));
    ours.find(|mark| mark.guid != common).map(|old| Step::Unmark(old.name.clone()))
}

fn is_ours(bookmark: &str) -> bool {
    bookmark.rsplit_once(':').is_some_and(|(snapshot, _)| is_own(snapshot))
}

/// What is held or has a bookmark for targets that nobody declares any more.
pub fn orphans(declared: &BTreeSet<Label>, source: &Seen) -> Vec<(String, Step)> {
    let mut steps = Vec::new();
    let known = |name: &str| declared.iter().any(|label| label.as_str() == name);
    for snapshot in &source.snapshots {
        for tag in &snapshot.holds {
            if held_for(tag).is_some_and(|what| !known(what)) {
                steps.push((tag.clone(), Step::Release(snapshot.name.clone())));
            }
        }
    }
    for mark in source.bookmarks.iter().filter(|mark| is_ours(&mark.name)) {
        if mark.name.rsplit_once(':').is_some_and(|(_, what)| !known(what)) {
            steps.push((String::new(), Step::Unmark(mark.name.clone())));
        }
    }
    steps
}
