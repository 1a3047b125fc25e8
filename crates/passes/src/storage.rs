//! Room that one realm lends another: whose share is how large, how the grant stands at a time, and what may be kept and
//! sent. Every machine that keeps something has a share of its own, fixed by the offer, so that machines that do not
//! hear each other cannot together give more than was promised.

use std::collections::BTreeMap;

use freehold_realm::Grant;
use freehold_realm::body::Terms;
use freehold_wire::{BlobName, Millis, NodeId};
use minicbor::{Decode, Encode};

/// A month, as egress is counted: from the day on which the grant begins.
const MONTH: Millis = Millis::from_hours(30 * 24);
/// So long before its end a grant is said to end.
const WARNED: Millis = Millis::from_hours(14 * 24);
/// Bytes that are noted as sent before they are: a crash forgets no byte that went out, and costs at most so many. Each
/// note waits for the disk.
const AHEAD: u64 = 32 << 20;

/// How a grant of storage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Phase {
    /// It has not begun.
    #[n(0)]
    NotYet,
    /// All that it promises.
    #[n(1)]
    Open,
    /// The same, and it ends soon.
    #[n(2)]
    EndsSoon(#[n(0)] Millis),
    /// Nothing is taken in any more; what is there is given out until then, and then deleted.
    #[n(3)]
    WindingDown(#[n(0)] Millis),
    /// Nothing is there any more.
    #[n(4)]
    Over,
}

impl Phase {
    /// How terms stand at a time, if they were ended at `ended` or not at all.
    pub fn at(terms: &Terms, ended: Option<Millis>, now: Millis) -> Self {
        let end = ended.map_or(terms.until, |ended| ended.min(terms.until));
        let wound_down = end.plus(wind_down(terms));
        if ended.is_none() && now < terms.from {
            Self::NotYet
        } else if ended.is_none() && now <= end {
            if end.since(now) <= WARNED { Self::EndsSoon(end) } else { Self::Open }
        } else if now < wound_down {
            Self::WindingDown(wound_down)
        } else {
            Self::Over
        }
    }

    /// How a grant stands at a time.
    pub fn of(grant: &Grant, now: Millis) -> Self {
        Self::at(&grant.terms, grant.ended, now)
    }

    /// Whether something may be stored.
    pub const fn takes(self) -> bool {
        matches!(self, Self::Open | Self::EndsSoon(_))
    }

    /// Whether what is there may be read and removed.
    pub const fn gives(self) -> bool {
        matches!(self, Self::Open | Self::EndsSoon(_) | Self::WindingDown(_))
    }
}

/// How long what is stored is there after the end.
pub fn wind_down(terms: &Terms) -> Millis {
    Millis::from_hours(u64::from(terms.wind_down_days) * 24)
}

/// One machine's share of a ceiling: all shares together are exactly the ceiling. `homes` are those of the offer, which
/// never change; who is none of them has no share.
pub fn share(ceiling: u64, homes: &[NodeId], me: NodeId) -> u64 {
    let Some(at) = homes.iter().position(|home| *home == me) else { return 0 };
    let all = homes.len() as u64;
    let rest = u64::from((at as u64) < ceiling.checked_rem(all).unwrap_or(0));
    ceiling.checked_div(all).unwrap_or(0).saturating_add(rest)
}

/// Why something is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, thiserror::Error)]
pub enum Refusal {
    /// It would be more than was promised.
    #[n(0)]
    #[error("as much is stored as the grant allows")]
    Full,
    /// It would be more than was promised for this month.
    #[n(1)]
    #[error("as much was read this month as the grant allows")]
    Sent,
    /// Nothing is taken in any more.
    #[n(2)]
    #[error("the grant has ended, and nothing is taken in any more")]
    Closed,
    /// Nothing is there any more.
    #[n(3)]
    #[error("the grant does not hold")]
    Over,
    /// What was sent is not what was announced.
    #[n(4)]
    #[error("what came does not fit what was said of it")]
    Mismatch,
    /// The lender's disk failed.
    #[n(5)]
    #[error("the machine that lends has trouble with its disk")]
    Broken,
    /// What lies there stays, and what comes has its name.
    #[n(6)]
    #[error("another file has that name, and nothing that lies there is ever replaced")]
    Taken,
    /// The shelf of another machine.
    #[n(7)]
    #[error("only the machine whose shelf it is adds to it")]
    Stranger,
    /// The disk is as full as it may be.
    #[n(8)]
    #[error("the disk of the machine that keeps it has no room left to spare")]
    NoRoom,
}

/// What has to be on disk about what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(array)]
pub struct Sent {
    /// The month, counted from the grant's beginning.
    #[n(0)]
    pub month: u64,
    /// Bytes that may have gone out in it.
    #[n(1)]
    pub bytes: u64,
}

/// What one machine keeps and has sent under a grant: what it holds is counted to the byte, by what lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    room: u64,
    egress: u64,
    begins: Millis,
    held: BTreeMap<BlobName, u64>,
    kept: u64,
    /// Bytes and files that lie on shelves.
    shelved: (u64, u64),
    coming: u64,
    noted: Sent,
    sent: u64,
}

impl Meter {
    /// Of a machine with this share, by what lies there and what was noted last.
    pub fn new(
        (room, egress): (u64, u64),
        begins: Millis,
        held: BTreeMap<BlobName, u64>,
        noted: Sent,
    ) -> Self {
        let kept = held.values().fold(0, |all: u64, len| all.saturating_add(*len));
        Self { room, egress, begins, held, kept, shelved: (0, 0), coming: 0, noted, sent: noted.bytes }
    }

    /// Makes room for what is coming.
    ///
    /// # Errors
    /// [`Refusal::Full`]; then nothing has changed.
    pub fn reserve(&mut self, len: u64) -> Result<(), Refusal> {
        let whole = self.kept().saturating_add(self.coming).saturating_add(len);
        if whole > self.room {
            return Err(Refusal::Full);
        }
        self.coming = self.coming.saturating_add(len);
        Ok(())
    }

    /// It is not coming.
    pub fn release(&mut self, len: u64) {
        self.coming = self.coming.saturating_sub(len);
    }

    /// It has come, and lies there in the place of what had its name.
    pub fn keep(&mut self, name: BlobName, len: u64) {
        self.release(len);
        let before = self.held.insert(name, len).unwrap_or(0);
        self.kept = self.kept.saturating_sub(before).saturating_add(len);
    }

    /// It has come, and lies on a shelf; so do those that lay there before.
    pub fn shelve(&mut self, len: u64, files: u64) {
        self.release(len);
        self.shelved = (self.shelved.0.saturating_add(len), self.shelved.1.saturating_add(files));
    }

    /// Nothing lies on shelves any more.
    pub fn clear_shelves(&mut self) {
        self.shelved = (0, 0);
    }

    /// Bytes that may still come.
    pub fn free(&self) -> u64 {
        self.room.saturating_sub(self.kept()).saturating_sub(self.coming)
    }

    /// It lies there no longer.
    pub fn remove(&mut self, name: &BlobName) {
        self.kept = self.kept.saturating_sub(self.held.remove(name).unwrap_or(0));
    }

    /// Counts what is about to be sent. What comes back has to be on disk before the first byte leaves.
    ///
    /// # Errors
    /// [`Refusal::Sent`]; then nothing has changed.
    pub fn send(&mut self, now: Millis, len: u64) -> Result<Option<Sent>, Refusal> {
        // A clock that goes back opens no month twice.
        let month = (now.since(self.begins).0 / MONTH.0).max(self.noted.month);
        let (before, noted) =
            if month > self.noted.month { (0, Sent { month, bytes: 0 }) } else { (self.sent, self.noted) };
        let sent = before.checked_add(len).filter(|sent| *sent <= self.egress).ok_or(Refusal::Sent)?;
        self.sent = sent;
        self.noted = noted;
        if sent <= noted.bytes {
            return Ok(None);
        }
        self.noted.bytes = sent.saturating_add(AHEAD).min(self.egress);
        Ok(Some(self.noted))
    }

    /// Bytes that lie there.
    pub const fn kept(&self) -> u64 {
        self.kept.saturating_add(self.shelved.0)
    }

    /// Bytes that may lie there.
    pub const fn room(&self) -> u64 {
        self.room
    }

    /// Bytes that may have been sent this month, and may be sent at most.
    pub fn sent(&self, now: Millis) -> (u64, u64) {
        let month = now.since(self.begins).0 / MONTH.0;
        (if month > self.noted.month { 0 } else { self.sent }, self.egress)
    }

    /// More lies there than the share: then only removing helps.
    pub const fn is_overdrawn(&self) -> bool {
        self.kept() > self.room
    }

    /// What lies there, from behind a name on.
    pub fn after(&self, name: BlobName) -> impl Iterator<Item = (BlobName, u64)> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.held.range((Excluded(name), Unbounded)).map(|(name, len)| (*name, *len))
    }

    /// How long an object is that lies there.
    pub fn len_of(&self, name: &BlobName) -> Option<u64> {
        self.held.get(name).copied()
    }

    /// How many objects lie there.
    pub fn objects(&self) -> u64 {
        (self.held.len() as u64).saturating_add(self.shelved.1)
    }
}

#[cfg(test)]
mod tests;
