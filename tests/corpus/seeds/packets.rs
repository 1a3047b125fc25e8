//! Packets that two machines could send each other.

use super::{Seeds, named};

const ACK: u8 = 0x10;
const PSH: u8 = 0x18;
const SYN: u8 = 0x02;

pub(crate) fn packet() -> Seeds {
    let large = [&virtio(4, 60, 40, 16)[..], &tcp(true, 1, PSH, &[], &[7; 100])].concat();
    let datagrams = [&virtio(5, 28, 20, 6)[..], &udp(false, &[7; 100])].concat();
    named(vec![
        ("head-tcp", kind(0, &tcp(true, 1, ACK, &[], b"hello"))),
        ("head-syn", kind(0, &tcp(false, 1, SYN, &[1, 2, 4, 5, 0xb4, 1, 1, 0], &[]))),
        ("head-udp", kind(0, &udp(false, b"hello"))),
        ("head-pieces", kind(0, &ip(true, 44, &[17, 0, 0, 9, 0, 0, 0, 7, 1, 2, 3, 4]))),
        (
            "head-options",
            kind(0, &ip(true, 0, &[&[17, 0, 1, 4, 0, 0, 0, 0][..], &[0, 53, 0, 53, 0, 8, 0, 0]].concat())),
        ),
        ("head-ping", kind(0, &ip(false, 1, &[8, 0, 0xf7, 0xfd, 0, 1, 0, 1]))),
        ("large-tcp", kind(1, &large)),
        ("large-udp", kind(1, &datagrams)),
        ("batch-tcp", kind(2, &batch(true))),
        ("batch-tcp4", kind(2, &batch(false))),
        ("batch-udp", kind(2, &[framed(&udp(true, b"one of two")), framed(&udp(true, b"two"))].concat())),
        ("parts", kind(3, &[0, 7, 0, 9, 0, 2, 0, 1, 2, 1, 6, 0, 9, 1, 2, 3, 4])),
        ("hello", kind(4, &hello())),
    ])
}

fn kind(which: u8, data: &[u8]) -> Vec<u8> {
    [&[which], data].concat()
}

fn batch(v6: bool) -> Vec<u8> {
    let parts =
        [tcp(v6, 1, ACK, &[], &[1; 8]), tcp(v6, 9, ACK, &[], &[2; 8]), tcp(v6, 17, PSH, &[], &[3; 5])];
    parts.iter().flat_map(|packet| framed(packet)).collect()
}

/// With a whole sum.
fn framed(packet: &[u8]) -> Vec<u8> {
    [&u16::try_from(packet.len()).unwrap().to_be_bytes(), packet].concat()
}

fn virtio(kind: u8, heads: u8, start: u8, offset: u8) -> [u8; 10] {
    [1, kind, heads, 0, 40, 0, start, 0, offset, 0]
}

fn tcp(v6: bool, seq: u8, flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let words = u8::try_from(5 + options.len() / 4).unwrap();
    let head = [1, 2, 3, 4, 0, 0, 0, seq, 0, 0, 0, 9, words << 4, flags, 1, 0, 0, 0, 0, 0];
    summed(v6, 6, 16, &[&head, options, payload].concat())
}

fn udp(v6: bool, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(8 + payload.len()).unwrap();
    summed(v6, 17, 6, &[&[1, 2, 3, 4, 0, len, 0, 0], payload].concat())
}

fn summed(v6: bool, proto: u8, at: usize, l4: &[u8]) -> Vec<u8> {
    let mut packet = ip(v6, proto, l4);
    let (addresses, start) = if v6 { (8..40, 40) } else { (12..20, 20) };
    let tail = [0, proto, 0, u8::try_from(l4.len()).unwrap()];
    let sum = !sum(&[&packet[addresses], &tail, l4].concat());
    packet[start + at..start + at + 2].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn ip(v6: bool, proto: u8, l4: &[u8]) -> Vec<u8> {
    let len = u8::try_from(l4.len()).unwrap();
    if v6 {
        let head = [&[0x60, 0, 0, 0, 0, len, proto, 64][..], &[0xfd; 15], &[1], &[0xfd; 15], &[2]].concat();
        return [&head, l4].concat();
    }
    let mut head = vec![0x45, 0, 0, 20 + len, 0, 7, 0x40, 0, 64, proto, 0, 0, 100, 64, 0, 1, 100, 64, 0, 2];
    let sum = !sum(&head);
    head[10..12].copy_from_slice(&sum.to_be_bytes());
    [&head, l4].concat()
}

fn sum(bytes: &[u8]) -> u16 {
    let pair = |pair: &[u8]| u64::from(pair[0]) * 256 + u64::from(pair.get(1).copied().unwrap_or(0));
    let total: u64 = bytes.chunks(2).map(pair).sum();
    // The rest of a division by 65,535 is the ones' complement sum; a packet's is never zero.
    u16::try_from(total % 65_535).unwrap()
}

/// Names `nas.example` and offers HTTP/2.
fn hello() -> Vec<u8> {
    let name = [&[0, 0, 0, 16, 0, 14, 0, 0, 11][..], b"nas.example"].concat();
    let alpn = [0, 16, 0, 5, 0, 3, 2, b'h', b'2'];
    let extensions = [&name[..], &alpn].concat();
    let body = [&[3, 3][..], &[9; 32], &[0, 0, 2, 0x13, 1, 1, 0, 0, 29], &extensions].concat();
    let message = [&[1, 0, 0, u8::try_from(body.len()).unwrap()][..], &body].concat();
    [&[22, 3, 1, 0, u8::try_from(message.len()).unwrap()][..], &message].concat()
}
