//! When the old realm is read again, when its buckets are closed, and when the new one counts.

/// More than this is brought over while writes go on, rather than while they are refused.
const SMALL_STEPS: u64 = 64;
const SMALL_BYTES: u64 = 64 << 20;
/// Whoever writes as fast as can be copied would never be closed: after so many rounds it is done all the same.
const ROUNDS_MAX: u32 = 12;
/// Rounds in a row that found nothing, since the buckets were closed. What was allowed before is at its commit when the
/// first of them begins, at most; the second one sees it.
const STILL: u32 = 2;

/// Where a move is.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact by itself")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts {
    /// Rounds through all buckets that came to their end, since this run began.
    pub rounds: u32,
    /// What the last of them did.
    pub steps: u64,
    /// And how many bytes it copied.
    pub bytes: u64,
    /// Versions that were not read back yet.
    pub unchecked: u64,
    /// Whether every old bucket refuses writes.
    pub closed: bool,
    /// Whether whoever moves has said that nobody writes, where it cannot be refused.
    pub said_still: bool,
    /// Whether whoever moves has said that the old realm will not answer any more.
    pub old_is_gone: bool,
    /// Rounds in a row, begun after that, that found nothing.
    pub still: u32,
    /// Whether the new realm's own lists have been compared since.
    pub compared: bool,
    /// Whether it is to go no further than that.
    pub only_copy: bool,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Compare with the old realm, and bring over what is missing.
    Round,
    /// Read back what was not read back yet.
    Check,
    /// Refuse writes to the old buckets.
    Close,
    /// Compare the new realm's lists with what was written down.
    Compare,
    /// Stop here: writes go on in the old realm.
    Rest,
    /// The new realm counts.
    TakeOver,
}

/// What comes next.
pub fn next(facts: &Facts) -> Next {
    let shut = facts.closed || facts.said_still;
    if facts.old_is_gone {
        return match facts {
            Facts { compared: false, .. } => Next::Compare,
            Facts { unchecked: 1.., .. } => Next::Check,
            _ => Next::TakeOver,
        };
    }
    if facts.rounds == 0 {
        return Next::Round;
    }
    if facts.unchecked > 0 {
        return Next::Check;
    }
    if shut && !facts.only_copy {
        return match facts {
            Facts { still, .. } if *still < STILL => Next::Round,
            Facts { compared: false, .. } => Next::Compare,
            _ => Next::TakeOver,
        };
    }
    let small = facts.steps <= SMALL_STEPS && facts.bytes <= SMALL_BYTES;
    if !small && facts.rounds < ROUNDS_MAX {
        return Next::Round;
    }
    if facts.only_copy { Next::Rest } else { Next::Close }
}
