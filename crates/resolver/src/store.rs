//! The cache, in parts that are locked apart, and what failed a moment ago.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use freehold_names::{Cache, Domain, Found, Key, Why};
use freehold_wire::Millis;

use crate::view::Seed;

/// Processors seldom meet in one of so many parts.
const PARTS: usize = 16;
/// For how long it is known that others failed.
const FAILED: Millis = Millis(5_000);
/// Failures that a part remembers.
const FAILURES_MAX: usize = 256;

/// What is asked of others, and of whom. The name is in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ask {
    pub(crate) name: Domain,
    pub(crate) kind: u16,
    pub(crate) signatures: bool,
    pub(crate) unchecked: bool,
    pub(crate) upstream: u16,
}

impl Ask {
    /// The same, as the cache knows it.
    pub(crate) fn key(&self) -> Key<'_> {
        Key {
            name: self.name.as_wire(),
            kind: self.kind,
            class: freehold_names::IN,
            signatures: self.signatures,
            unchecked: self.unchecked,
            upstream: self.upstream,
        }
    }

    /// What has been asked under that key, if its name is one.
    pub(crate) fn of(key: &Key<'_>) -> Option<Self> {
        Some(Self {
            name: Domain::from_wire(key.name)?,
            kind: key.kind,
            signatures: key.signatures,
            unchecked: key.unchecked,
            upstream: key.upstream,
        })
    }
}

struct Part {
    cache: Cache,
    failed: BTreeMap<Ask, (Why, Millis)>,
}

/// Answers of others.
pub(crate) struct Store(Vec<Mutex<Part>>);

impl Store {
    pub(crate) fn new(bytes: usize, seed: Seed) -> Self {
        let part = || Mutex::new(Part { cache: Cache::new(bytes / PARTS, seed), failed: BTreeMap::new() });
        Self((0..PARTS).map(|_| part()).collect())
    }

    fn part(&self, name: &[u8]) -> Option<MutexGuard<'_, Part>> {
        // Which part it is gives nothing away and need not be hard to guess: each has the same bounds.
        let sum = name
            .iter()
            .fold(0u32, |sum, byte| (sum ^ u32::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0193));
        let part = self.0.get(usize::try_from(sum >> 16).unwrap_or(0) % PARTS)?;
        Some(part.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes what is known.
    pub(crate) fn find(&self, key: &Key<'_>, now: Millis, out: &mut Vec<u8>) -> Found {
        self.part(key.name).map_or(Found::Miss, |mut part| part.cache.find(key, now, out))
    }

    /// Keeps an answer, if it can be kept.
    pub(crate) fn keep(&self, ask: &Ask, now: Millis, answer: &[u8]) {
        let Some(mut part) = self.part(ask.name.as_wire()) else { return };
        part.failed.remove(ask);
        part.cache.keep(&ask.key(), now, answer);
    }

    /// It could not be answered.
    pub(crate) fn fail(&self, ask: Ask, why: Why, now: Millis) {
        let Some(mut part) = self.part(ask.name.as_wire()) else { return };
        if part.failed.len() >= FAILURES_MAX {
            part.failed.retain(|_, (_, since)| now.since(*since) < FAILED);
        }
        if part.failed.len() < FAILURES_MAX {
            part.failed.insert(ask, (why, now));
        }
    }

    /// Why it could not be answered a moment ago.
    pub(crate) fn failed(&self, ask: &Ask, now: Millis) -> Option<Why> {
        let part = self.part(ask.name.as_wire())?;
        part.failed.get(ask).filter(|(_, since)| now.since(*since) < FAILED).map(|(why, _)| *why)
    }

    /// Forgets everything: others are asked now.
    pub(crate) fn clear(&self) {
        for part in &self.0 {
            let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
            part.cache.clear();
            part.failed.clear();
        }
    }

    /// How many answers there are.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|part| part.lock().unwrap_or_else(PoisonError::into_inner).cache.len()).sum()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("answers", &self.len()).finish()
    }
}
