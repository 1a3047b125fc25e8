//! What a client asks, read in place. Every sequence of bytes is a question, a reason to refuse, or
//! nothing worth an answer.

use crate::code::{ANY_CLASS, IN, Rcode, kind};
use crate::domain::wire_len;
use crate::message::{Bytes, HEAD};

/// Above this a datagram may be cut into pieces on its way (DNS Flag Day 2020).
const DATAGRAM_MAX: u16 = 1232;
/// What every client takes.
const DATAGRAM_MIN: u16 = 512;

const ANSWER: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const RECURSION: u16 = 0x0100;
const AUTHENTIC: u16 = 0x0020;
const UNCHECKED: u16 = 0x0010;
/// The option by which a client asks to be answered in equal lengths (RFC 7830).
const PADDING: u16 = 12;
/// Options that a question may bring; more say nothing that we want.
const OPTIONS_MAX: usize = 16;
/// Records behind the question: EDNS, a signature of the transaction, one to spare.
const ADDITIONAL_MAX: u16 = 3;

/// A question; the name is as the client wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// What the client knows the answer by.
    pub id: u16,
    /// It wants us to ask others.
    pub recursion: bool,
    /// It understands "verified".
    pub authentic: bool,
    /// It verifies signatures itself.
    pub unchecked: bool,
    /// The name, uncompressed, in the client's case.
    pub name: &'a [u8],
    /// The type of records asked for.
    pub kind: u16,
    /// The class; all but `IN` is out of use.
    pub class: u16,
    /// What the client says of itself, if it does.
    pub edns: Option<Edns>,
}

/// What a client says of itself (RFC 6891).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns {
    /// The largest datagram that it takes.
    pub size: u16,
    /// It wants signatures.
    pub signatures: bool,
    /// It wants answers padded.
    pub padding: bool,
}

/// Why there is no question in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// Too short, or an answer: to answer it could go on for ever.
    #[error("nothing that has an answer")]
    Silence,
    /// It is to be answered with this code.
    #[error("no question: {0}")]
    Answer(Rcode),
}

const FORMAT: Unread = Unread::Answer(Rcode::FORMAT);

impl<'a> Question<'a> {
    /// Reads a packet; nothing is allocated.
    pub fn parse(packet: &'a [u8]) -> Result<Self, Unread> {
        let bytes = Bytes(packet);
        let (id, flags) = (bytes.u16(0), bytes.u16(2));
        let (Some(id), Some(flags)) = (id, flags) else { return Err(Unread::Silence) };
        if packet.len() < HEAD || flags & ANSWER != 0 {
            return Err(Unread::Silence);
        }
        if flags & OPCODE != 0 {
            return Err(Unread::Answer(Rcode::NOT_IMPLEMENTED));
        }
        let counts = [4, 6, 8, 10].map(|at| bytes.u16(at).unwrap_or(0));
        let [1, 0, 0, additional @ 0..=ADDITIONAL_MAX] = counts else { return Err(FORMAT) };
        let rest = packet.get(HEAD..).unwrap_or(&[]);
        let len = wire_len(rest).ok_or(FORMAT)?;
        let name = rest.get(..len).ok_or(FORMAT)?;
        let kind = bytes.u16(HEAD + len).ok_or(FORMAT)?;
        let class = bytes.u16(HEAD + len + 2).ok_or(FORMAT)?;
        let edns = edns(bytes, HEAD + len + 4, additional)?;
        Ok(Self {
            id,
            recursion: flags & RECURSION != 0,
            authentic: flags & AUTHENTIC != 0,
            unchecked: flags & UNCHECKED != 0,
            name,
            kind,
            class,
            edns,
        })
    }

    /// Whether it wants signatures.
    pub fn wants_signatures(&self) -> bool {
        self.edns.is_some_and(|edns| edns.signatures)
    }

    /// Whether it is about the internet.
    pub fn is_internet(&self) -> bool {
        self.class == IN || self.class == ANY_CLASS
    }

    /// The largest answer to send in a datagram.
    pub fn datagram(&self) -> usize {
        let size = self.edns.map_or(DATAGRAM_MIN, |edns| edns.size.clamp(DATAGRAM_MIN, DATAGRAM_MAX));
        usize::from(size)
    }

    /// Where the question ends in a message that has it.
    pub(crate) fn end(&self) -> usize {
        HEAD + self.name.len() + 4
    }
}

/// Walks the records behind the question; they have to end where the packet ends.
fn edns(bytes: Bytes<'_>, mut at: usize, additional: u16) -> Result<Option<Edns>, Unread> {
    let mut found = None;
    for _ in 0..additional {
        let rest = bytes.0.get(at..).ok_or(FORMAT)?;
        let len = wire_len(rest).ok_or(FORMAT)?;
        let field = |offset: usize| bytes.u16(at + len + offset).ok_or(FORMAT);
        let (sort, size, extended, flags) = (field(0)?, field(2)?, field(4)?, field(6)?);
        let start = at + len + 10;
        let end = start + usize::from(field(8)?);
        let data = bytes.0.get(start..end).ok_or(FORMAT)?;
        if sort == kind::OPT {
            if len != 1 || found.is_some() {
                return Err(FORMAT);
            }
            // The lower byte is the version.
            if extended & 0xff != 0 {
                return Err(Unread::Answer(Rcode::VERSION));
            }
            let padding = wants_padding(data)?;
            found = Some(Edns { size, signatures: flags & 0x8000 != 0, padding });
        }
        at = end;
    }
    if at == bytes.0.len() { Ok(found) } else { Err(FORMAT) }
}

fn wants_padding(mut data: &[u8]) -> Result<bool, Unread> {
    let mut wanted = false;
    for _ in 0..OPTIONS_MAX {
        if data.is_empty() {
            return Ok(wanted);
        }
        let bytes = Bytes(data);
        let (Some(code), Some(len)) = (bytes.u16(0), bytes.u16(2)) else { return Err(FORMAT) };
        wanted |= code == PADDING;
        data = data.get(4 + usize::from(len)..).ok_or(FORMAT)?;
    }
    if data.is_empty() { Ok(wanted) } else { Err(FORMAT) }
}
