//! For how long an answer is good, and which part of it is worth keeping.

use crate::code::{Rcode, kind};
use crate::message::{Bytes, Message, Record, Section};

/// Nothing is kept for longer than a day.
const LONGEST: u32 = 86_400;
/// That something is not there is kept for an hour at most.
const LONGEST_NEGATIVE: u32 = 3600;
/// For how long it is known that others failed.
const FAILED: u32 = 5;
/// Longer answers are not kept.
const LEN_MAX: usize = 16_384;

/// What is worth keeping of an answer.
#[derive(Debug)]
pub(super) struct Span {
    /// For how many seconds.
    pub(super) seconds: u32,
    /// How much of the message.
    pub(super) len: usize,
    /// Whether who said so is part of that.
    pub(super) authority: bool,
    /// Where the times of its records stand, and what they are.
    pub(super) times: Vec<(u16, u32)>,
}

impl Span {
    /// None if it cannot be kept: cut off, of no time, of no known end, or not in form.
    pub(super) fn of(message: &Message<'_>, signatures: bool) -> Option<Self> {
        if message.is_cut() {
            return None;
        }
        if message.rcode() == Rcode::FAILED {
            return Some(Self { seconds: FAILED, len: message.end(), authority: false, times: Vec::new() });
        }
        if !matches!(message.rcode(), Rcode::GOOD | Rcode::NO_NAME) {
            return None;
        }
        let read: Result<Vec<Record>, _> = message
            .records()
            .take_while(|record| !matches!(record, Ok(record) if record.section == Section::Additional))
            .collect();
        let read = read.ok()?;
        let wanted = |record: &Record| {
            record.section == Section::Answer
                && (record.kind == message.kind() || message.kind() == kind::ANY)
        };
        let positive = message.rcode() == Rcode::GOOD && read.iter().any(wanted);
        // Proofs stand there, and what makes "not there" end.
        let authority = !positive || signatures;
        let kept = |record: &&Record| authority || record.section == Section::Answer;
        let mut span = Self { seconds: LONGEST, len: message.end(), authority, times: Vec::new() };
        if !positive {
            span.seconds = read.iter().find_map(|record| negative(message, record))?;
        }
        for record in read.iter().filter(kept) {
            // Above 2^31 it means nothing (RFC 2181).
            let said = if record.ttl > i32::MAX.cast_unsigned() { 0 } else { record.ttl };
            let bound =
                if record.section == Section::Authority && !positive { span.seconds } else { LONGEST };
            let seconds = said.min(bound);
            span.seconds = span.seconds.min(seconds);
            span.len = record.data.end;
            span.times.push((u16::try_from(record.ttl_at).ok()?, seconds));
        }
        (span.seconds > 0 && span.len <= LEN_MAX).then_some(span)
    }
}

/// For how long the start of a zone says that something is not there (RFC 2308).
fn negative(message: &Message<'_>, record: &Record) -> Option<u32> {
    if record.section != Section::Authority || record.kind != kind::SOA {
        return None;
    }
    let data = message.data(record);
    let minimum = Bytes(data).u32(data.len().checked_sub(4)?)?;
    Some(minimum.min(record.ttl).min(LONGEST_NEGATIVE))
}
