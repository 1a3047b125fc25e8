//! Packets made by the letter of the RFCs, with sums added up the slow way.

use proptest::prelude::*;

use crate::{Gso, Virtio, tcp_flag};

/// The shape of one packet.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Shape {
    pub(crate) v6: bool,
    pub(crate) tcp: bool,
    pub(crate) ports: (u16, u16),
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    /// A multiple of four.
    pub(crate) options: Vec<u8>,
    /// Class and hop limit.
    pub(crate) care: (u8, u8),
    pub(crate) id: u16,
    pub(crate) unsplit: bool,
    pub(crate) payload: Vec<u8>,
    pub(crate) partial: bool,
}

/// The sum as RFC 1071 has it.
pub(crate) fn slow_sum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

impl Shape {
    /// Where the transport begins.
    pub(crate) fn l4(&self) -> usize {
        if self.v6 { 40 } else { 20 }
    }

    /// Length of all heads.
    pub(crate) fn heads(&self) -> usize {
        self.l4() + if self.tcp { 20 + self.options.len() } else { 8 }
    }

    fn sum_offset(&self) -> usize {
        if self.tcp { 16 } else { 6 }
    }

    pub(crate) fn pseudo(&self, l4_len: usize) -> u16 {
        let mut bytes = if self.v6 { [src6(), dst6()].concat() } else { vec![100, 64, 1, 1, 100, 64, 1, 2] };
        bytes.extend_from_slice(&(l4_len as u32).to_be_bytes());
        bytes.extend_from_slice(&[0, 0, 0, if self.tcp { 6 } else { 17 }]);
        slow_sum(&bytes)
    }

    /// The packet.
    pub(crate) fn packet(&self) -> Vec<u8> {
        let mut l4 = Vec::new();
        l4.extend_from_slice(&self.ports.0.to_be_bytes());
        l4.extend_from_slice(&self.ports.1.to_be_bytes());
        if self.tcp {
            l4.extend_from_slice(&self.seq.to_be_bytes());
            l4.extend_from_slice(&self.ack.to_be_bytes());
            l4.push(((5 + self.options.len() / 4) << 4) as u8);
            l4.push(self.flags);
            l4.extend_from_slice(&self.window.to_be_bytes());
            l4.extend_from_slice(&[0, 0, 0, 0]);
            l4.extend_from_slice(&self.options);
        } else {
            l4.extend_from_slice(&((8 + self.payload.len()) as u16).to_be_bytes());
            l4.extend_from_slice(&[0, 0]);
        }
        l4.extend_from_slice(&self.payload);
        let partial = self.pseudo(l4.len());
        let at = self.sum_offset();
        l4[at..at + 2].copy_from_slice(&partial.to_be_bytes());
        if !self.partial {
            let whole = !slow_sum(&l4);
            let whole = if whole == 0 && !self.tcp { u16::MAX } else { whole };
            l4[at..at + 2].copy_from_slice(&whole.to_be_bytes());
        }
        let mut packet = self.ip(l4.len());
        packet.extend_from_slice(&l4);
        packet
    }

    fn ip(&self, l4_len: usize) -> Vec<u8> {
        let proto = if self.tcp { 6 } else { 17 };
        if self.v6 {
            let mut ip = vec![0x60 | self.care.0 >> 4, self.care.0 << 4 | 3, 2, 1];
            ip.extend_from_slice(&(l4_len as u16).to_be_bytes());
            ip.extend_from_slice(&[proto, self.care.1]);
            ip.extend_from_slice(&src6());
            ip.extend_from_slice(&dst6());
            return ip;
        }
        let mut ip = vec![0x45, self.care.0];
        ip.extend_from_slice(&((20 + l4_len) as u16).to_be_bytes());
        ip.extend_from_slice(&self.id.to_be_bytes());
        ip.extend_from_slice(&[if self.unsplit { 0x40 } else { 0 }, 0, self.care.1, proto, 0, 0]);
        ip.extend_from_slice(&[100, 64, 1, 1, 100, 64, 1, 2]);
        let sum = !slow_sum(&ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        ip
    }

    /// What the kernel would put before it, were it to be cut into such segments.
    pub(crate) fn virtio(&self, segment: u16) -> Virtio {
        Virtio {
            needs_sum: true,
            gso: match (self.tcp, self.v6) {
                (true, true) => Gso::Tcp6,
                (true, false) => Gso::Tcp4,
                (false, _) => Gso::Udp,
            },
            head: self.heads() as u16,
            segment,
            sum_start: self.l4() as u16,
            sum_offset: self.sum_offset() as u16,
        }
    }
}

fn src6() -> Vec<u8> {
    vec![0xfd, 1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 1]
}

fn dst6() -> Vec<u8> {
    vec![0xfd, 1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 2]
}

/// One to change.
pub(crate) fn plain() -> Shape {
    Shape {
        v6: true,
        tcp: true,
        ports: (1, 2),
        seq: u32::MAX - 10,
        ack: 7,
        flags: tcp_flag::ACK | tcp_flag::PSH | tcp_flag::CWR,
        window: 9,
        options: Vec::new(),
        care: (0, 64),
        id: 0,
        unsplit: true,
        payload: vec![1; 100],
        partial: true,
    }
}

/// Packets of TCP and UDP with at most `payload` bytes.
pub(crate) fn shapes(payload: usize) -> impl Strategy<Value = Shape> {
    let flags = prop_oneof![
        Just(tcp_flag::ACK),
        Just(tcp_flag::ACK | tcp_flag::PSH),
        Just(tcp_flag::ACK | tcp_flag::FIN),
        Just(tcp_flag::ACK | tcp_flag::ECE | tcp_flag::PSH),
    ];
    let options = prop_oneof![
        Just(Vec::new()),
        any::<[u8; 8]>().prop_map(|time| [&[1, 1, 8, 10][..], &time].concat()),
    ];
    let payload = prop::collection::vec(any::<u8>(), 1..=payload);
    let tcp = (any::<u32>(), any::<u32>(), flags, any::<u16>(), options);
    (any::<[bool; 4]>(), any::<(u16, u16)>(), tcp, any::<(u16, u8, u8)>(), payload).prop_map(
        |(
            [v6, tcp, unsplit, partial],
            ports,
            (seq, ack, flags, window, options),
            (id, class, hops),
            payload,
        )| Shape {
            v6,
            tcp,
            ports,
            seq,
            ack,
            flags,
            window,
            options,
            care: (class, hops),
            id,
            unsplit,
            payload,
            partial,
        },
    )
}

/// The result does not matter, only that there was one.
pub(crate) fn done<T>(_: T) {}
