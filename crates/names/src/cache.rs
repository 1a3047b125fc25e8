//! Answers of others, for as long as they are good, within so many bytes. An answer is found by what
//! was asked, compared in full: no two questions can meet. What has not been asked for lately goes
//! first.

mod slots;
mod span;

use std::fmt;

use freehold_wire::Millis;

use crate::answer::{set, set_u32};
use crate::code::Rcode;
use crate::message::{Bytes, HEAD, Message};
use crate::question::Question;
use crate::suffix::Mixer;
use slots::Slots;
use span::Span;

/// How long after its time an answer may still be given if nobody else answers.
const STALE: u64 = 3600;
/// For how long such an answer is good then (RFC 8767).
const STALE_TTL: u32 = 30;
/// What an answer costs beside its bytes.
const OVERHEAD: usize = 112;
/// One answer takes no more of the room than this part.
const PART: usize = 8;
/// How often an answer that was asked for is passed over.
const CHANCES: u8 = 3;

/// What was asked, and of whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<'a> {
    /// The name, in any case.
    pub name: &'a [u8],
    /// The type.
    pub kind: u16,
    /// The class.
    pub class: u16,
    /// With signatures.
    pub signatures: bool,
    /// Without anybody verifying them.
    pub unchecked: bool,
    /// Those who are asked.
    pub upstream: u16,
}

impl<'a> Key<'a> {
    /// For a question that goes to one group of servers.
    pub fn of(question: &Question<'a>, upstream: u16) -> Self {
        let (signatures, unchecked) = (question.wants_signatures(), question.unchecked);
        Self {
            name: question.name,
            kind: question.kind,
            class: question.class,
            signatures,
            unchecked,
            upstream,
        }
    }
}

/// What the cache has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing; nothing is written.
    Miss,
    /// An answer that is good. If `renew` is set it is wanted and nearly over: ask anew, once.
    Fresh {
        /// Whether to ask anew beside.
        renew: bool,
    },
    /// An answer whose time is over: to be given only if nobody else answers.
    Stale,
}

/// The part of a key that is not the name.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    kind: u16,
    class: u16,
    upstream: u16,
    flags: u8,
}

impl Mark {
    fn of(key: &Key<'_>) -> Self {
        let flags = u8::from(key.signatures) | u8::from(key.unchecked) << 1;
        Self { kind: key.kind, class: key.class, upstream: key.upstream, flags }
    }
}

struct Entry {
    hash: u64,
    mark: Mark,
    /// The message, then the places of its times, two bytes each.
    bytes: Box<[u8]>,
    /// How long the message is.
    len: usize,
    kept: Millis,
    span: u32,
    failed: bool,
    chances: u8,
    renewing: bool,
}

impl Entry {
    fn cost(&self) -> usize {
        self.bytes.len() + OVERHEAD
    }

    fn is(&self, hash: u64, mark: Mark, name: &[u8]) -> bool {
        let own = self.bytes.get(HEAD..HEAD + name.len());
        self.hash == hash && self.mark == mark && own.is_some_and(|own| own.eq_ignore_ascii_case(name))
    }

    fn age(&self, now: Millis) -> u64 {
        now.since(self.kept).0 / 1000
    }

    fn is_fresh(&self, now: Millis) -> bool {
        self.age(now) < u64::from(self.span)
    }

    fn is_usable(&self, now: Millis) -> bool {
        let grace = if self.failed { 0 } else { STALE };
        self.age(now) < u64::from(self.span) + grace
    }

    /// Writes the message, each time less by what has passed, or all the same.
    fn copy(&self, now: Millis, all: Option<u32>, out: &mut Vec<u8>) {
        let (message, places) = self.bytes.split_at_checked(self.len).unwrap_or((&[], &[]));
        out.clear();
        out.extend(message);
        let passed = u32::try_from(self.age(now)).unwrap_or(u32::MAX);
        for place in places.as_chunks::<2>().0 {
            let at = usize::from(u16::from_be_bytes(*place));
            let said = Bytes(message).u32(at).unwrap_or(0);
            set_u32(out, at, all.unwrap_or(said.saturating_sub(passed)));
        }
    }
}

/// Answers of others.
pub struct Cache {
    mixer: Mixer,
    room: usize,
    used: usize,
    slots: Slots,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// Whose turn it is to go.
    hand: usize,
}

impl Cache {
    /// A cache of so many bytes, its own tables included.
    pub fn new(bytes: usize, seed: [u8; 16]) -> Self {
        let slots = Slots::new(bytes / OVERHEAD);
        let room = bytes.saturating_sub(slots.bytes());
        let mixer = Mixer::new(&seed);
        Self { mixer, room, used: 0, slots, entries: Vec::new(), free: Vec::new(), hand: 0 }
    }

    /// How many answers there are.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes it takes, nearly.
    pub fn bytes(&self) -> usize {
        self.used + self.slots.bytes()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.entries.clear();
        self.free.clear();
        (self.used, self.hand) = (0, 0);
    }

    /// Writes the answer to what was asked, for [`crate::answer::adopt`].
    pub fn find(&mut self, key: &Key<'_>, now: Millis, out: &mut Vec<u8>) -> Found {
        let Some(index) = self.index(key) else { return Found::Miss };
        let Some(Some(entry)) = self.entries.get_mut(index) else { return Found::Miss };
        if entry.is_fresh(now) {
            let wanted = entry.chances > 0;
            entry.chances = (entry.chances + 1).min(CHANCES);
            entry.copy(now, None, out);
            let left = u64::from(entry.span) - entry.age(now);
            let renew = wanted && !entry.renewing && left * 10 <= u64::from(entry.span);
            entry.renewing |= renew;
            return Found::Fresh { renew };
        }
        if entry.is_usable(now) {
            entry.copy(now, Some(STALE_TTL), out);
            return Found::Stale;
        }
        self.remove(index);
        Found::Miss
    }

    /// Keeps an answer, if it is one to this question and good for any time; whether it did. That others
    /// failed is kept for seconds, and never in the place of something.
    pub fn keep(&mut self, key: &Key<'_>, now: Millis, answer: &[u8]) -> bool {
        let Some(message) = Message::parse(answer) else { return false };
        let asked = message.name().eq_ignore_ascii_case(key.name)
            && (message.kind(), message.class()) == (key.kind, key.class);
        let Some(span) = Span::of(&message, key.signatures).filter(|_| asked) else { return false };
        let old = self.index(key);
        let failed = message.rcode() == Rcode::FAILED;
        if let Some(old) = old {
            let usable =
                self.entries.get(old).and_then(Option::as_ref).is_some_and(|entry| entry.is_usable(now));
            if failed && usable {
                return false;
            }
            self.remove(old);
        }
        let Some(bytes) = stored(answer, &span) else { return false };
        let (hash, mark) = (self.hash(key), Mark::of(key));
        let (len, span) = (span.len, span.seconds);
        let entry = Entry { hash, mark, bytes, len, kept: now, span, failed, chances: 0, renewing: false };
        if entry.cost() > self.room / PART {
            return false;
        }
        self.make_room(entry.cost(), now);
        self.insert(entry);
        true
    }

    fn hash(&self, key: &Key<'_>) -> u64 {
        let name = self.mixer.name(key.name);
        let rest = [key.kind, key.class, key.upstream, 0].map(u64::from);
        rest.into_iter().fold(name, |state, word| self.mixer.mix(state, word))
    }

    fn index(&self, key: &Key<'_>) -> Option<usize> {
        let (hash, mark) = (self.hash(key), Mark::of(key));
        let is = |index: usize| {
            self.entries
                .get(index)
                .and_then(Option::as_ref)
                .is_some_and(|entry| entry.is(hash, mark, key.name))
        };
        self.slots.find(hash, is)
    }

    fn insert(&mut self, entry: Entry) {
        self.used += entry.cost();
        let hash = entry.hash;
        let index = if let Some(index) = self.free.pop().and_then(|index| usize::try_from(index).ok()) {
            if let Some(place) = self.entries.get_mut(index) {
                *place = Some(entry);
            }
            index
        } else {
            self.entries.push(Some(entry));
            self.entries.len() - 1
        };
        self.slots.insert(hash, index);
    }

    fn remove(&mut self, index: usize) {
        let Some(entry) = self.entries.get_mut(index).and_then(Option::take) else { return };
        self.used -= entry.cost();
        self.slots.remove(entry.hash, index);
        self.free.extend(u32::try_from(index));
    }

    /// The hand goes round: who was asked for since is passed over a few times.
    fn make_room(&mut self, cost: usize, now: Millis) {
        while (self.used + cost > self.room || self.slots.is_full(self.len())) && !self.is_empty() {
            let hand = self.hand;
            self.hand = if hand + 1 >= self.entries.len() { 0 } else { hand + 1 };
            let Some(Some(entry)) = self.entries.get_mut(hand) else { continue };
            if entry.chances > 0 && entry.is_fresh(now) {
                entry.chances -= 1;
            } else {
                self.remove(hand);
            }
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("answers", &self.len()).finish_non_exhaustive()
    }
}

/// What is kept of an answer: its useful part, without what was said to us alone, its times bounded.
fn stored(answer: &[u8], span: &Span) -> Option<Box<[u8]>> {
    let mut bytes = Vec::with_capacity(span.len + span.times.len() * 2);
    bytes.extend(answer.get(..span.len)?);
    let flags = Bytes(answer).u16(2)?;
    // An answer, verified or not, and how it ended.
    for (at, value) in [(0, 0), (2, flags & 0x802f), (10, 0)] {
        set(&mut bytes, at, value);
    }
    if !span.authority {
        set(&mut bytes, 8, 0);
    }
    if span.times.is_empty() {
        set(&mut bytes, 6, 0);
    }
    for (at, seconds) in &span.times {
        set_u32(&mut bytes, usize::from(*at), *seconds);
    }
    for (at, _) in &span.times {
        bytes.extend(at.to_be_bytes());
    }
    Some(bytes.into())
}
