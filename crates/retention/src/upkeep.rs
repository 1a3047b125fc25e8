//! What a target needs besides runs: snapshots are forgotten as was chosen, and every byte is read again before it is
//! needed, a part each week.

use freehold_wire::Millis;

const DAY: u64 = 24 * 3_600_000;
/// Everything that is forgotten is, at the most, this often.
const THIN_EVERY: Millis = Millis(DAY);
/// A target's packs are read in so many parts.
pub const PARTS: usize = 4;
/// A part each week, so that all are read in four.
const PART_EVERY: Millis = Millis(7 * DAY);
/// A part that was not read for so long is read as soon as may be.
const PART_LATE: Millis = Millis(28 * DAY);
/// Nothing is read again before what was written is a day old: it was written just now.
const FIRST_AFTER: Millis = Millis(DAY);
/// From then on a part that was not read is an alarm.
const UNREAD_FOR: Millis = Millis(45 * DAY);

/// When snapshots of a target are forgotten next, if they were last at `thinned`, and the last run that succeeded began at
/// `succeeded`: never without a new one. Times that lie ahead, by a clock put back, count as never.
pub fn next_thinning(thinned: Option<Millis>, succeeded: Option<Millis>, now: Millis) -> Option<Millis> {
    let succeeded = succeeded.filter(|at| *at <= now)?;
    match thinned.filter(|at| *at <= now) {
        None => Some(succeeded),
        Some(thinned) if succeeded > thinned => Some(thinned.plus(THIN_EVERY)),
        Some(_) => None,
    }
}

/// Which part is read next, and when: that which was not for the longest time. There has been something to read since
/// `first`; `parts` are when each was found good last, `last` is when any was read.
pub fn next_part(
    first: Millis,
    parts: &[Option<Millis>; PARTS],
    last: Option<Millis>,
    now: Millis,
) -> (usize, Millis) {
    let past = |time: &Option<Millis>| time.filter(|time| *time <= now);
    let oldest = parts.iter().enumerate().map(|(number, time)| (past(time), number)).min();
    let (read, part) = oldest.unwrap_or_default();
    let at = match past(&last) {
        None => first.plus(FIRST_AFTER),
        // One that is late waits a day, not a week: the machine was off, or damage was found.
        Some(last) => {
            let late = read.unwrap_or(first).plus(PART_LATE).max(last.plus(FIRST_AFTER));
            last.plus(PART_EVERY).min(late)
        }
    };
    (part, at)
}

/// For how long the part was not read that was not for the longest time, where that is an alarm.
pub fn unread(first: Millis, parts: &[Option<Millis>; PARTS], now: Millis) -> Option<Millis> {
    let read = |time: &Option<Millis>| time.filter(|time| *time <= now).unwrap_or_else(|| first.min(now));
    let since = now.since(parts.iter().map(read).min()?);
    (since >= UNREAD_FOR).then_some(since)
}
