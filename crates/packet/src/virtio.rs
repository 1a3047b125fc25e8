//! The ten bytes that Linux puts before a packet on a TUN with offloads.

use crate::field::{array, put};

const NEEDS_SUM: u8 = 1;
/// Segments carry ECN; said beside the kind.
const ECN: u8 = 0x80;

/// What a large packet is cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Gso {
    /// It is one packet.
    #[default]
    None,
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP datagrams of one size, the last may be shorter.
    Udp,
    /// A kind that is not asked for and not understood.
    Other(u8),
}

/// Says how a packet is to be cut and where a checksum is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Virtio {
    /// The sum at `sum_start + sum_offset` covers the pseudo-header only.
    pub needs_sum: bool,
    /// What the packet is cut into.
    pub gso: Gso,
    /// Bytes of all heads; a hint, and no more than that.
    pub head: u16,
    /// Payload of one segment.
    pub segment: u16,
    /// Where the bytes begin that the sum covers.
    pub sum_start: u16,
    /// Where in them the sum stands.
    pub sum_offset: u16,
}

impl Virtio {
    /// Its length.
    pub const LEN: usize = 10;

    /// Reads the head before a packet. Numbers are in the machine's own order, as the kernel has them.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let [flags, gso, ..] = array::<{ Self::LEN }>(bytes, 0)?;
        let number = |at| array(bytes, at).map_or(0, u16::from_ne_bytes);
        Some(Self {
            needs_sum: flags & NEEDS_SUM != 0,
            gso: match gso & !ECN {
                0 => Gso::None,
                1 => Gso::Tcp4,
                4 => Gso::Tcp6,
                5 => Gso::Udp,
                _ => Gso::Other(gso),
            },
            head: number(2),
            segment: number(4),
            sum_start: number(6),
            sum_offset: number(8),
        })
    }

    /// The bytes to put before a packet.
    pub fn write(&self) -> [u8; Self::LEN] {
        let gso = match self.gso {
            Gso::None => 0,
            Gso::Tcp4 => 1,
            Gso::Tcp6 => 4,
            Gso::Udp => 5,
            Gso::Other(kind) => kind,
        };
        let mut out = [u8::from(self.needs_sum), gso, 0, 0, 0, 0, 0, 0, 0, 0];
        put(&mut out, 2, &self.head.to_ne_bytes());
        put(&mut out, 4, &self.segment.to_ne_bytes());
        put(&mut out, 6, &self.sum_start.to_ne_bytes());
        put(&mut out, 8, &self.sum_offset.to_ne_bytes());
        out
    }
}
