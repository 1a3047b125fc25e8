//! Packets of one flow joined to a large one, for a kernel that takes them so: one write, and one walk
//! through its stack. Payloads stay where they lie.

use std::ops::Range;

use crate::checksum::{add, addresses, seal_v4, sum};
use crate::field::{array, put, put_u16, short, u8_at, u16_at, u32_at};
use crate::head::{Head, protocol, tcp_flag};
use crate::virtio::{Gso, Virtio};

/// IPv6 and TCP with all its options.
const HEADS_MAX: usize = 100;
/// The kernel takes 1,024 slices in one write, its own head and ours among them.
const TCP_MAX: usize = 512;
/// What older kernels let one datagram be cut into.
const UDP_MAX: usize = 64;
/// The flags that one segment may have beside its fellows.
const ALONE: u8 = tcp_flag::PSH | tcp_flag::FIN;

/// One write to the TUN: `virtio`, then [`Run::head`], then of each of `packets` what follows its first
/// `skip` bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What goes before.
    pub virtio: Virtio,
    /// Places in the batch.
    pub packets: Range<usize>,
    /// How much of each packet [`Run::head`] stands for.
    pub skip: usize,
    head: [u8; HEADS_MAX],
    len: usize,
}

impl Run {
    /// The heads of the large packet; empty if one packet goes as it is.
    pub fn head(&self) -> &[u8] {
        self.head.get(..self.len).unwrap_or_default()
    }

    fn single(at: usize, virtio: Virtio) -> Self {
        Self { virtio, packets: at..at + 1, skip: 0, head: [0; HEADS_MAX], len: 0 }
    }
}

/// Finds runs that one large packet may replace.
#[derive(Debug, Clone, Copy)]
pub struct Joiner {
    udp: bool,
}

impl Joiner {
    /// `udp`: whether the device takes datagrams joined (Linux 6.2).
    pub const fn new(udp: bool) -> Self {
        Self { udp }
    }

    /// Adds to `out` what to write for these packets, in their order; the second of a pair says that the
    /// sum is partial. Every packet is in one run, but for those that claim a partial sum and have no
    /// place for one: those are in none.
    pub fn runs(&mut self, packets: &[(&[u8], bool)], out: &mut Vec<Run>) {
        let mut at = 0;
        while let Some(&(first, partial)) = packets.get(at) {
            let head = Head::parse(first).ok();
            if let Some(run) = head.and_then(|head| self.joined(&head, packets, at)) {
                at = run.packets.end;
                out.push(run);
                continue;
            }
            match (partial, head.and_then(|head| Some((head.l4, head.payload, head.sum_offset()?)))) {
                (false, _) => out.push(Run::single(at, Virtio::default())),
                (true, Some((sum_start, head, sum_offset))) => {
                    let virtio = Virtio { needs_sum: true, head, sum_start, sum_offset, ..Virtio::default() };
                    out.push(Run::single(at, virtio));
                }
                (true, None) => {}
            }
            at += 1;
        }
    }

    /// The run that begins here, if it has two packets.
    fn joined(self, head: &Head, packets: &[(&[u8], bool)], at: usize) -> Option<Run> {
        let (first, partial) = *packets.get(at)?;
        let rest = packets.get(at + 1..)?;
        let mut growing = Growing::of(head, first, self.udp)?;
        let mut end = at + 1;
        for (packet, more) in rest {
            if *more != partial || !growing.take(packet, partial) {
                break;
            }
            end += 1;
        }
        (end > at + 1).then(|| growing.run(at..end))
    }
}

/// A large packet that grows.
struct Growing<'a> {
    first: &'a [u8],
    l4: usize,
    heads: usize,
    tcp: bool,
    /// What the pseudo-headers of all segments have.
    addresses: u16,
    /// Payload of each segment but the last.
    segment: usize,
    payload: usize,
    packets: usize,
    /// Flags that the last segment brought.
    flags: u8,
    done: bool,
}

impl<'a> Growing<'a> {
    fn of(head: &Head, first: &'a [u8], udp: bool) -> Option<Self> {
        let plain = if head.is_v6() { 40 } else { 20 };
        if head.l4 != plain || head.piece.is_some() {
            return None;
        }
        let flags = head.tcp.map_or(0, |tcp| tcp.flags);
        let fits = match head.flow.proto {
            protocol::TCP => {
                flags & !(tcp_flag::ACK | tcp_flag::ECE | ALONE) == 0 && flags & tcp_flag::ACK != 0
            }
            protocol::UDP => udp,
            _ => false,
        };
        let growing = Self {
            first,
            l4: usize::from(head.l4),
            heads: usize::from(head.payload),
            tcp: head.flow.proto == protocol::TCP,
            addresses: addresses(head),
            segment: usize::from(head.total - head.payload),
            payload: usize::from(head.total - head.payload),
            packets: 1,
            flags,
            done: flags & ALONE != 0,
        };
        (fits && growing.segment > 0).then_some(growing)
    }

    /// Whether it goes on where this one ends, and is now part of it.
    fn take(&mut self, packet: &[u8], partial: bool) -> bool {
        let payload = packet.len().saturating_sub(self.heads);
        let full = self.packets == if self.tcp { TCP_MAX } else { UDP_MAX };
        let larger = self.heads + self.payload + payload > usize::from(u16::MAX);
        if self.done || full || larger || payload == 0 || payload > self.segment {
            return false;
        }
        let Some(flags) = self.alike(packet) else { return false };
        // The first one's sum is not worth a look until there is a second.
        if !self.is_sound(packet, partial) || (self.packets == 1 && !self.is_sound(self.first, partial)) {
            return false;
        }
        self.payload += payload;
        self.packets += 1;
        self.flags = flags;
        self.done = payload < self.segment || flags & ALONE != 0;
        true
    }

    /// The flags of a packet whose heads are what cutting would give.
    fn alike(&self, packet: &[u8]) -> Option<u8> {
        let same = |range: Range<usize>| self.first.get(range.clone()) == packet.get(range);
        let l4 = self.l4;
        let ip = if l4 == 40 {
            same(0..4) && same(6..40)
        } else {
            same(0..2) && same(6..10) && same(12..20) && self.id_follows(packet)?
        };
        if !ip || !same(l4..l4 + 4) {
            return None;
        }
        if !self.tcp {
            return Some(0);
        }
        let expected = u32_at(self.first, l4 + 4)?.wrapping_add(u32::from(short(self.payload)));
        let flags = u8_at(packet, l4 + 13)?;
        let fits = u32_at(packet, l4 + 4)? == expected
            && (flags ^ u8_at(self.first, l4 + 13)?) & !ALONE == 0
            && same(l4 + 8..l4 + 13)
            && same(l4 + 14..l4 + 16)
            && same(l4 + 18..self.heads);
        fits.then_some(flags)
    }

    /// IPv4's id counts up, or means nothing because the packet is never split (RFC 6864).
    fn id_follows(&self, packet: &[u8]) -> Option<bool> {
        let unsplit = u8_at(packet, 6)? & 0x40 != 0;
        Some(unsplit || u16_at(packet, 4)? == u16_at(self.first, 4)?.wrapping_add(short(self.packets)))
    }

    /// The large packet vouches for every sum and length: what is wrong must stay visible, alone.
    fn is_sound(&self, packet: &[u8], partial: bool) -> bool {
        let total = packet.len();
        let ip = if self.l4 == 40 {
            u16_at(packet, 4).map(|len| usize::from(len) + 40) == Some(total)
        } else {
            u16_at(packet, 2).map(usize::from) == Some(total)
                && array::<20>(packet, 0).is_some_and(|head| sum(&head) == u16::MAX)
        };
        let Some(body) = packet.get(self.l4..) else { return false };
        let length = self.tcp || u16_at(body, 4).map(usize::from) == Some(body.len());
        let pseudo = add(self.addresses, short(body.len()));
        let there = u16_at(body, if self.tcp { 16 } else { 6 });
        let right = if partial {
            there == Some(pseudo)
        } else {
            (self.tcp || there != Some(0)) && add(sum(body), pseudo) == u16::MAX
        };
        ip && length && right
    }

    fn run(&self, packets: Range<usize>) -> Run {
        let mut copy = [0; HEADS_MAX];
        put(&mut copy, 0, self.first.get(..self.heads).unwrap_or_default());
        let total = self.heads + self.payload;
        if self.l4 == 40 {
            put_u16(&mut copy, 4, short(total - 40));
        } else {
            put_u16(&mut copy, 2, short(total));
            seal_v4(&mut copy, 20);
        }
        let partial = add(self.addresses, short(total - self.l4));
        let (gso, sum_offset) = if self.tcp {
            put(&mut copy, self.l4 + 13, &[self.flags]);
            put_u16(&mut copy, self.l4 + 16, partial);
            (if self.l4 == 40 { Gso::Tcp6 } else { Gso::Tcp4 }, 16)
        } else {
            put_u16(&mut copy, self.l4 + 4, short(total - self.l4));
            put_u16(&mut copy, self.l4 + 6, partial);
            (Gso::Udp, 6)
        };
        let virtio = Virtio {
            needs_sum: true,
            gso,
            head: short(self.heads),
            segment: short(self.segment),
            sum_start: short(self.l4),
            sum_offset,
        };
        Run { virtio, packets, skip: self.heads, head: copy, len: self.heads }
    }
}
