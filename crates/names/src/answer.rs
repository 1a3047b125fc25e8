//! Writes answers into a client's buffer: ones of our own, and what others said, made to fit the
//! client that asks now. First comes the body ([`begin`], [`adopt`] or one of the ready ones), then
//! [`finish`], once.

use crate::code::{IN, Rcode, Why, kind};
use crate::domain::{Domain, NAME_MAX, suffixes};
use crate::message::{Bytes, HEAD, Message, Section};
use crate::question::{Question, Unread};

/// The largest message over a stream.
const STREAM_MAX: usize = 65_535;
/// Answers are padded to a multiple of this (RFC 8467).
const PAD_TO: usize = 468;
/// What we say that we take in a datagram.
const OUR_SIZE: u16 = 1232;

const OWN_BITS: u16 = 0x8080;
const AUTHORITATIVE: u16 = 0x0400;
const CUT: u16 = 0x0200;
const RECURSION: u16 = 0x0100;
const AUTHENTIC: u16 = 0x0020;
const UNCHECKED: u16 = 0x0010;

const EXTENDED_ERROR: u16 = 15;
const PADDING: u16 = 12;

/// How an answer leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    most: usize,
    pad: bool,
}

impl Room {
    /// In one datagram, as large as the client takes.
    pub fn datagram(question: &Question<'_>) -> Self {
        Self { most: question.datagram(), pad: false }
    }

    /// Over TCP.
    pub const fn stream() -> Self {
        Self { most: STREAM_MAX, pad: false }
    }

    /// Sealed, so that its length is all that an onlooker sees: padded if the client wants.
    pub const fn sealed() -> Self {
        Self { most: STREAM_MAX, pad: true }
    }
}

/// What somebody gets who asks for a blocked name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sink {
    /// The address that leads nowhere, `0.0.0.0` or `::`: programs give up at once.
    #[default]
    Nowhere,
    /// There is no such name.
    NoName,
}

/// Begins an answer: head and question, in the client's own spelling.
pub fn begin(question: &Question<'_>, code: Rcode, authoritative: bool, out: &mut Vec<u8>) {
    out.clear();
    let mut flags = OWN_BITS | (code.0 & 0xf);
    for (bit, set) in
        [(AUTHORITATIVE, authoritative), (RECURSION, question.recursion), (UNCHECKED, question.unchecked)]
    {
        flags |= if set { bit } else { 0 };
    }
    for word in [question.id, flags, 1, 0, 0, 0] {
        out.extend(word.to_be_bytes());
    }
    out.extend(question.name);
    out.extend(question.kind.to_be_bytes());
    out.extend(question.class.to_be_bytes());
}

/// A record to write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draft<'a> {
    pub(crate) section: Section,
    pub(crate) owner: &'a [u8],
    pub(crate) kind: u16,
    pub(crate) ttl: u32,
    pub(crate) data: &'a [u8],
}

/// Adds a record; sections come in order.
pub(crate) fn push(question: &Question<'_>, draft: Draft<'_>, out: &mut Vec<u8>) {
    let Ok(len) = u16::try_from(draft.data.len()) else { return };
    // An owner that is the end of the name asked for is a pointer to it.
    let mut at = HEAD;
    let mut shared = None;
    for suffix in suffixes(question.name) {
        if suffix.len() > 1 && suffix.eq_ignore_ascii_case(draft.owner) {
            shared = u16::try_from(at).ok();
        }
        at += suffix.first().map_or(0, |len| usize::from(*len) + 1);
    }
    match shared {
        Some(at) => out.extend((0xc000 | at).to_be_bytes()),
        None => out.extend(draft.owner),
    }
    out.extend(draft.kind.to_be_bytes());
    out.extend(IN.to_be_bytes());
    out.extend(draft.ttl.to_be_bytes());
    out.extend(len.to_be_bytes());
    out.extend(draft.data);
    let count = match draft.section {
        Section::Answer => 6,
        Section::Authority => 8,
        Section::Additional => 10,
    };
    let counted = Bytes(out).u16(count).unwrap_or(0).saturating_add(1);
    set(out, count, counted);
}

/// What the start of a zone says.
pub(crate) fn soa(server: &Domain, serial: u32, negative: u32) -> Vec<u8> {
    let mut data = server.as_wire().to_vec();
    data.extend(Domain::root().as_wire());
    for number in [serial, 3600, 600, 86_400, negative] {
        data.extend(number.to_be_bytes());
    }
    data
}

/// Answers for a blocked name.
pub fn blocked(question: &Question<'_>, sink: Sink, ttl: u32, out: &mut Vec<u8>) {
    let address: &[u8] = match (sink, question.kind) {
        (Sink::Nowhere, kind::A) => &[0; 4],
        (Sink::Nowhere, kind::AAAA) => &[0; 16],
        _ => &[],
    };
    let code = if sink == Sink::NoName { Rcode::NO_NAME } else { Rcode::GOOD };
    begin(question, code, false, out);
    let owner = question.name;
    if address.is_empty() {
        let data = soa(&Domain::root(), 1, ttl);
        let draft = Draft { section: Section::Authority, owner, kind: kind::SOA, ttl, data: &data };
        push(question, draft, out);
    } else {
        let draft = Draft { section: Section::Answer, owner, kind: question.kind, ttl, data: address };
        push(question, draft, out);
    }
}

/// Answers with another name, and with what was found for that.
pub fn alias(question: &Question<'_>, to: &Domain, ttl: u32, found: Option<&[u8]>, out: &mut Vec<u8>) {
    begin(question, Rcode::GOOD, false, out);
    let first =
        Draft { section: Section::Answer, owner: question.name, kind: kind::CNAME, ttl, data: to.as_wire() };
    push(question, first, out);
    if let Some(found) = found {
        append(question, found, out);
    }
}

/// Adds the addresses and aliases of an answer to what is there, and ends as it did.
pub fn append(question: &Question<'_>, found: &[u8], out: &mut Vec<u8>) {
    let Some(message) = Message::parse(found) else { return };
    let flags = Bytes(out).u16(2).unwrap_or(0) & !0xf;
    set(out, 2, flags | message.rcode().0);
    for record in message.records().map_while(Result::ok) {
        let (mut owner, mut target) = ([0; NAME_MAX], [0; NAME_MAX]);
        let Some(owner) = message.expand(record.start, &mut owner) else { return };
        let data = match record.kind {
            kind::A | kind::AAAA => Some(message.data(&record)),
            kind::CNAME => message.target(&record, &mut target),
            _ => None,
        };
        if let (Section::Answer, IN, Some(data)) = (record.section, record.class, data) {
            let (section, kind, ttl) = (record.section, record.kind, record.ttl);
            push(question, Draft { section, owner, kind, ttl, data }, out);
        }
    }
}

/// Makes an answer to somebody else's question, which stands in the buffer, one to this: the number,
/// the spelling of the name, what the client wants to know. Its name has to be the same.
pub fn adopt(question: &Question<'_>, out: &mut [u8]) {
    let mut flags = Bytes(out).u16(2).unwrap_or(0);
    flags &= !(AUTHORITATIVE | RECURSION | UNCHECKED);
    flags |= OWN_BITS;
    if !question.authentic && !question.wants_signatures() {
        flags &= !AUTHENTIC;
    }
    for (bit, set) in [(RECURSION, question.recursion), (UNCHECKED, question.unchecked)] {
        flags |= if set { bit } else { 0 };
    }
    set(out, 0, question.id);
    set(out, 2, flags);
    if let Some(name) = out.get_mut(HEAD..HEAD + question.name.len()) {
        name.copy_from_slice(question.name);
    }
}

/// Ends an answer: says who we are if the client did, why it is as it is, and cuts what is too long.
pub fn finish(question: &Question<'_>, room: Room, why: Option<Why>, out: &mut Vec<u8>) {
    let Some(edns) = question.edns else {
        if out.len() > room.most {
            cut(question, out);
        }
        return;
    };
    let reason = why.map_or(0, |_| 6);
    if out.len() + 11 + reason > room.most {
        cut(question, out);
    }
    let pad = if room.pad && edns.padding {
        let len = out.len() + 11 + reason + 4;
        Some((len.next_multiple_of(PAD_TO).min(room.most)).saturating_sub(len))
    } else {
        None
    };
    let options = reason + pad.map_or(0, |len| len + 4);
    let signatures = if edns.signatures { 0x8000u16 } else { 0 };
    out.push(0);
    for word in [kind::OPT, OUR_SIZE, 0, signatures, u16::try_from(options).unwrap_or(0)] {
        out.extend(word.to_be_bytes());
    }
    if let Some(why) = why {
        for word in [EXTENDED_ERROR, 2, why.code()] {
            out.extend(word.to_be_bytes());
        }
    }
    if let Some(len) = pad {
        out.extend(PADDING.to_be_bytes());
        out.extend(u16::try_from(len).unwrap_or(0).to_be_bytes());
        out.resize(out.len() + len, 0);
    }
    let additional = Bytes(out).u16(10).unwrap_or(0).saturating_add(1);
    set(out, 10, additional);
}

/// Answers what was no question; whether there is an answer at all.
pub fn refuse(packet: &[u8], unread: Unread, out: &mut Vec<u8>) -> bool {
    out.clear();
    let Unread::Answer(code) = unread else { return false };
    let bytes = Bytes(packet);
    let (id, flags) = (bytes.u16(0).unwrap_or(0), bytes.u16(2).unwrap_or(0));
    let extended = code.0 >> 4;
    // The kind of request and the wish for recursion are given back.
    let flags = OWN_BITS | (flags & 0x7900) | (code.0 & 0xf);
    for word in [id, flags, 0, 0, 0, u16::from(extended > 0)] {
        out.extend(word.to_be_bytes());
    }
    if extended > 0 {
        out.push(0);
        for word in [kind::OPT, OUR_SIZE, extended << 8, 0, 0] {
            out.extend(word.to_be_bytes());
        }
    }
    true
}

/// Leaves the question alone, and says that there is more.
fn cut(question: &Question<'_>, out: &mut Vec<u8>) {
    out.truncate(question.end());
    for count in [6, 8, 10] {
        set(out, count, 0);
    }
    let flags = Bytes(out).u16(2).unwrap_or(0);
    set(out, 2, (flags | CUT) & !AUTHENTIC);
}

/// Ends with another code than it began with.
pub(crate) fn set_code(out: &mut [u8], code: Rcode) {
    let flags = Bytes(out).u16(2).unwrap_or(0) & !0xf;
    set(out, 2, flags | (code.0 & 0xf));
}

pub(crate) fn set(out: &mut [u8], at: usize, value: u16) {
    if let Some(both) = out.get_mut(at..at + 2) {
        both.copy_from_slice(&value.to_be_bytes());
    }
}

pub(crate) fn set_u32(out: &mut [u8], at: usize, value: u32) {
    if let Some(four) = out.get_mut(at..at + 4) {
        four.copy_from_slice(&value.to_be_bytes());
    }
}
