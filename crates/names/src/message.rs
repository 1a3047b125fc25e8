//! Reads messages that others wrote: records in order, names with their compression undone.

use std::ops::Range;

use crate::code::{Rcode, kind};
use crate::domain::{LABEL_MAX, NAME_MAX, wire_len};

/// The length of a message's head.
pub(crate) const HEAD: usize = 12;
/// A pointer to an earlier name.
const POINTER: u8 = 0xc0;

/// Numbers at places in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Bytes<'_> {
    pub(crate) fn u16(self, at: usize) -> Option<u16> {
        let both = self.0.get(at..at.checked_add(2)?)?;
        both.try_into().ok().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(self, at: usize) -> Option<u32> {
        let four = self.0.get(at..at.checked_add(4)?)?;
        four.try_into().ok().map(u32::from_be_bytes)
    }
}

/// Where a record stands in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// What was asked for.
    Answer,
    /// Who says so, or that there is nothing.
    Authority,
    /// What may be useful.
    Additional,
}

/// A record of a message, by its places in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it stands.
    pub section: Section,
    /// Where its first byte is.
    pub start: usize,
    /// Its type.
    pub kind: u16,
    /// Its class.
    pub class: u16,
    /// For how many seconds it is good.
    pub ttl: u32,
    /// Where that stands.
    pub ttl_at: usize,
    /// Where its data is.
    pub data: Range<usize>,
}

/// A message with one question whose records all lie within it.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    flags: u16,
    end: usize,
    counts: [u16; 3],
}

impl<'a> Message<'a> {
    /// Reads the head and the question; none if it is no answer to one question.
    pub fn parse(packet: &'a [u8]) -> Option<Self> {
        let bytes = Bytes(packet);
        let flags = bytes.u16(2)?;
        let answers_one = flags & 0x8000 != 0 && flags & 0x7800 == 0 && bytes.u16(4)? == 1;
        let len = wire_len(packet.get(HEAD..)?)?;
        let end = HEAD + len + 4;
        let counts = [bytes.u16(6)?, bytes.u16(8)?, bytes.u16(10)?];
        (answers_one && end <= packet.len()).then_some(Self { bytes: packet, flags, end, counts })
    }

    /// How it ended, by the head alone.
    pub fn rcode(&self) -> Rcode {
        Rcode(self.flags & 0xf)
    }

    /// Whether it was cut off.
    pub fn is_cut(&self) -> bool {
        self.flags & 0x0200 != 0
    }

    /// Whether those asked say that they verified it.
    pub fn is_authentic(&self) -> bool {
        self.flags & 0x0020 != 0
    }

    /// The name asked for.
    pub fn name(&self) -> &'a [u8] {
        self.bytes.get(HEAD..self.end - 4).unwrap_or(&[0])
    }

    /// The type asked for.
    pub fn kind(&self) -> u16 {
        Bytes(self.bytes).u16(self.end - 4).unwrap_or(0)
    }

    /// The class asked for.
    pub fn class(&self) -> u16 {
        Bytes(self.bytes).u16(self.end - 2).unwrap_or(0)
    }

    /// Where the question ends.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    /// Its records in order; an error is the last.
    pub fn records(&self) -> Records<'a> {
        Records { bytes: self.bytes, at: self.end, left: self.counts }
    }

    /// A record's data.
    pub fn data(&self, record: &Record) -> &'a [u8] {
        self.bytes.get(record.data.clone()).unwrap_or(&[])
    }

    /// The name that begins at a place, written out.
    pub fn expand<'o>(&self, at: usize, out: &'o mut [u8; NAME_MAX]) -> Option<&'o [u8]> {
        let (len, _) = expand(self.bytes, at, out)?;
        out.get(..len)
    }

    /// The name that a record leads to, written out: of an alias, or of a service.
    pub fn target<'o>(&self, record: &Record, out: &'o mut [u8; NAME_MAX]) -> Option<&'o [u8]> {
        let at = match record.kind {
            kind::CNAME => record.data.start,
            // A number comes first.
            kind::SVCB | kind::HTTPS => record.data.start + 2,
            _ => return None,
        };
        let (len, end) = expand(self.bytes, at, out)?;
        if end <= record.data.end { out.get(..len) } else { None }
    }
}

/// A record that does not lie within its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record of the answer is cut off or has no name")]
pub struct BadRecord;

/// The records of a message.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    left: [u16; 3],
}

impl Records<'_> {
    fn read(&mut self, section: Section) -> Option<Record> {
        let bytes = Bytes(self.bytes);
        let start = self.at;
        let fixed = skip(self.bytes, start)?;
        let data = fixed + 10..(fixed + 10).checked_add(usize::from(bytes.u16(fixed + 8)?))?;
        if data.end > self.bytes.len() {
            return None;
        }
        self.at = data.end;
        let (kind, class, ttl) = (bytes.u16(fixed)?, bytes.u16(fixed + 2)?, bytes.u32(fixed + 4)?);
        Some(Record { section, start, kind, class, ttl, ttl_at: fixed + 4, data })
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        let sections = [Section::Answer, Section::Authority, Section::Additional];
        let (left, section) = self.left.iter_mut().zip(sections).find(|(left, _)| **left > 0)?;
        *left -= 1;
        let record = self.read(section);
        if record.is_none() {
            self.left = [0; 3];
        }
        Some(record.ok_or(BadRecord))
    }
}

/// Where the name that begins at a place ends; pointers are not followed.
fn skip(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let len = *bytes.get(at)?;
        match len {
            0 => return Some(at + 1),
            POINTER.. => return Some(at + 2),
            len if usize::from(len) <= LABEL_MAX => at += usize::from(len) + 1,
            _ => return None,
        }
    }
}

/// Writes out the name at a place: how long it is, and where it ended there. A pointer leads to an
/// earlier place than the piece it stands in began at, so it ends.
pub(crate) fn expand(bytes: &[u8], start: usize, out: &mut [u8; NAME_MAX]) -> Option<(usize, usize)> {
    let (mut at, mut piece, mut written) = (start, start, 0usize);
    let mut end = None;
    loop {
        let len = *bytes.get(at)?;
        if len >= POINTER {
            end = end.or(Some(at + 2));
            let to = usize::from(Bytes(bytes).u16(at)? & 0x3fff);
            if to >= piece {
                return None;
            }
            (at, piece) = (to, to);
            continue;
        }
        let taken = usize::from(len) + 1;
        if usize::from(len) > LABEL_MAX {
            return None;
        }
        let label = bytes.get(at..at + taken)?;
        out.get_mut(written..written + taken)?.copy_from_slice(label);
        (at, written) = (at + taken, written + taken);
        if len == 0 {
            return Some((written, end.unwrap_or(at)));
        }
    }
}
