//! Heads, sums, and the segment size.

use std::net::IpAddr;

use proptest::prelude::*;

use super::made::{Shape, done, plain, shapes, slow_sum};
use crate::checksum::{finish, sum, verify};
use crate::icmp::{Refusal, about, error};
use crate::{Flow, Head, HeadError, Icmp, Piece, clamp, tcp_flag};

proptest! {
    #[test]
    fn sums_are_those_of_the_rfc(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(sum(&bytes), slow_sum(&bytes));
    }

    #[test]
    fn heads_say_what_was_written(shape in shapes(40)) {
        let packet = shape.packet();
        let head = Head::parse(&packet).unwrap();
        prop_assert_eq!((head.flow.sport, head.flow.dport), shape.ports);
        prop_assert_eq!(usize::from(head.l4), shape.l4());
        prop_assert_eq!(usize::from(head.payload), shape.heads());
        prop_assert_eq!(usize::from(head.total), packet.len());
        prop_assert_eq!(head.tcp.map(|tcp| (tcp.seq, tcp.ack, tcp.flags, tcp.window)),
            shape.tcp.then_some((shape.seq, shape.ack, shape.flags, shape.window)));
        prop_assert_eq!(head.flow.reversed().reversed(), head.flow);
    }

    /// All places are within the packet, whatever it says.
    #[test]
    fn places_are_within(bytes in prop::collection::vec(any::<u8>(), 0..120), version in 0..3u8, fit in any::<bool>()) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = [0x45, 0x46, 0x60][usize::from(version)];
        }
        if fit && bytes.len() > 40 {
            let len = bytes.len() as u16;
            if version == 2 {
                bytes[4..6].copy_from_slice(&(len - 40).to_be_bytes());
                bytes[6] = [0, 6, 17, 43, 44, 58, 60][usize::from(bytes[6] % 7)];
            } else {
                bytes[2..4].copy_from_slice(&len.to_be_bytes());
                bytes[9] = [1, 6, 17][usize::from(bytes[9] % 3)];
            }
        }
        if let Ok(head) = Head::parse(&bytes) {
            prop_assert!(head.l4 <= head.payload && head.payload <= head.total);
            prop_assert_eq!(usize::from(head.total), bytes.len());
            done(verify(&bytes, &head));
            done(about(&bytes, &head));
        }
        done(finish(&mut bytes.clone()));
        done(clamp::mss(&mut bytes, false, 1400));
    }

    #[test]
    fn a_partial_sum_is_finished(shape in shapes(300)) {
        let mut packet = Shape { partial: true, ..shape.clone() }.packet();
        finish(&mut packet).unwrap();
        prop_assert_eq!(packet, Shape { partial: false, ..shape }.packet());
    }

    /// The sum stays right, wherever in the options the size stands.
    #[test]
    fn the_segment_size_is_lowered(shape in shapes(1), nops in 0..5usize, most in 500..1500u16, size in 536..9000u16) {
        let [high, low] = size.to_be_bytes();
        let mut options = vec![1; nops];
        options.extend_from_slice(&[2, 4, high, low]);
        options.resize(options.len().next_multiple_of(4), 0);
        let shape = Shape { tcp: true, flags: tcp_flag::SYN, options, payload: Vec::new(), ..shape };
        let mut packet = shape.packet();
        let wanted = (most - if shape.v6 { 60 } else { 40 }).max(536).min(size);
        prop_assert_eq!(clamp::mss(&mut packet, shape.partial, most), wanted < size);
        let mut options = shape.options.clone();
        options[nops + 2..nops + 4].copy_from_slice(&wanted.to_be_bytes());
        prop_assert_eq!(packet, Shape { options, ..shape }.packet());
    }

    /// Errors are sound packets, and say which flow they are about.
    #[test]
    fn errors_name_their_flow(shape in shapes(2000), most in any::<u16>()) {
        let packet = shape.packet();
        let flow = Head::parse(&packet).unwrap().flow;
        for why in [Refusal::Unreachable, Refusal::Prohibited, Refusal::TooBig(most), Refusal::Expired] {
            let answer = error(&packet, flow.dst, why).unwrap();
            let most = if shape.v6 { 1280 } else { 576 };
            prop_assert!(answer.len() <= most);
            let head = Head::parse(&answer).unwrap();
            prop_assert!(verify(&answer, &head));
            prop_assert_eq!(head.icmp, Some(Icmp::Error));
            prop_assert_eq!((head.flow.src, head.flow.dst), (flow.dst, flow.src));
            prop_assert_eq!(about(&answer, &head), Some(flow));
            prop_assert_eq!(error(&answer, flow.src, why), None, "an error about an error");
        }
    }
}

fn v6(next: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend_from_slice(&(body.len() as u16).to_be_bytes());
    packet.extend_from_slice(&[next, 64]);
    packet.extend_from_slice(&[0xfd; 16]);
    packet.extend_from_slice(&[0xfe; 16]);
    packet.extend_from_slice(body);
    packet
}

/// A datagram's sum of zero would say that there is none.
#[test]
fn no_datagram_loses_its_sum() {
    for v6 in [true, false] {
        let mut packet = udp([0, 0], v6);
        finish(&mut packet).unwrap();
        let at = if v6 { 46 } else { 26 };
        let mut packet = udp([packet[at], packet[at + 1]], v6);
        finish(&mut packet).unwrap();
        assert_eq!(packet[at..at + 2], [0xff, 0xff]);
        assert!(verify(&packet, &Head::parse(&packet).unwrap()));
    }
}

fn udp(payload: [u8; 2], v6: bool) -> Vec<u8> {
    Shape { v6, tcp: false, partial: true, payload: payload.to_vec(), ..plain() }.packet()
}

#[test]
fn extension_heads_are_walked() {
    let udp = [0, 53, 0, 54, 0, 8, 0, 0];
    let hop = [60, 0, 0, 0, 0, 0, 0, 0];
    let destination = [17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let head = Head::parse(&v6(0, &[&hop[..], &destination, &udp].concat())).unwrap();
    assert_eq!((head.flow.proto, head.flow.sport, head.l4, head.payload), (17, 53, 64, 72));
    let endless = [0u8; 8].repeat(12);
    assert_eq!(Head::parse(&v6(0, &endless)), Err(HeadError::Chain));
    assert_eq!(Head::parse(&v6(0, &[17, 9, 0, 0, 0, 0, 0, 0])), Err(HeadError::Short));
}

/// Ports are read where they are, and nowhere else.
#[test]
fn pieces_are_told_apart() {
    let udp = [0, 53, 0, 54, 4, 0, 0, 0];
    let split = |word: u16| [&[17, 0][..], &word.to_be_bytes(), &[0, 0, 0, 9], &udp].concat();
    let cases = [
        (1, Some(Piece { id: 9, first: true }), 53),
        (8, Some(Piece { id: 9, first: false }), 0),
        (9, Some(Piece { id: 9, first: false }), 0),
    ];
    for (word, piece, port) in cases {
        let head = Head::parse(&v6(44, &split(word))).unwrap();
        assert_eq!((head.piece, head.flow.sport), (piece, port));
        assert_eq!(finish(&mut v6(44, &split(word))), Err(HeadError::NoSum));
    }
    // One that is alone is none, so all its lengths count.
    assert_eq!(Head::parse(&v6(44, &split(0))), Err(HeadError::Length));

    let mut v4 =
        Shape { v6: false, id: 5, unsplit: false, payload: vec![0; 8], partial: false, ..plain() }.packet();
    v4[7] = 1;
    let head = Head::parse(&v4).unwrap();
    assert_eq!((head.piece, head.tcp), (Some(Piece { id: 5, first: false }), None));
    assert_eq!((head.flow.sport, head.l4, head.payload), (0, 20, 20));
}

#[test]
fn lengths_must_fit() {
    let whole = v6(17, &[0, 53, 0, 54, 0, 8, 0, 0]);
    assert!(Head::parse(&whole).is_ok());
    assert_eq!(Head::parse(&whole[..47]), Err(HeadError::Length));
    assert_eq!(Head::parse(&[&whole[..], &[0]].concat()), Err(HeadError::Length));
    assert_eq!(Head::parse(&v6(17, &[0, 53, 0, 54, 0, 9, 0, 0])), Err(HeadError::Length));
    assert_eq!(Head::parse(&v6(17, &[0, 53, 0, 54])), Err(HeadError::Short));
    assert_eq!(Head::parse(&[0x50; 60]), Err(HeadError::Version(5)));
    assert_eq!(Head::parse(&[]), Err(HeadError::Short));
}

#[test]
fn pings_are_known_from_orders_of_routers() {
    let icmp = |kind| Head::parse(&v6(58, &[kind, 0, 0, 0, 1, 2, 0, 0])).unwrap();
    let kinds =
        [(128, Icmp::Echo), (129, Icmp::Reply), (1, Icmp::Error), (134, Icmp::Other), (137, Icmp::Other)];
    for (kind, is) in kinds {
        assert_eq!(icmp(kind).icmp, Some(is));
    }
    assert_eq!(icmp(128).flow, icmp(129).flow);
    assert_eq!(icmp(128).flow.sport, 0x102);
    assert_eq!(icmp(134).flow.sport, 0);
}

#[test]
fn nobody_is_told_who_is_not_one() {
    let mut packet = v6(17, &[0, 53, 0, 54, 0, 8, 0, 0]);
    let me: IpAddr = "fd00::1".parse().unwrap();
    assert!(error(&packet, me, Refusal::Prohibited).is_some());
    assert!(error(&packet, "10.0.0.1".parse().unwrap(), Refusal::Prohibited).is_none());
    // A later piece, in which an error may hide.
    assert!(error(&v6(44, &[17, 0, 0, 8, 0, 0, 0, 9, 1, 2]), me, Refusal::Prohibited).is_none());
    packet[24] = 0xff;
    assert!(error(&packet, me, Refusal::Prohibited).is_none());
    assert!(error(&packet, me, Refusal::TooBig(1280)).is_some(), "RFC 4443, 2.4 (e.3)");
    packet[8..24].fill(0);
    assert!(error(&packet, me, Refusal::TooBig(1280)).is_none());
}

/// An error that quotes somebody else's packet is about nothing of ours.
#[test]
fn an_error_is_about_its_receiver() {
    let packet = v6(17, &[0, 53, 0, 54, 0, 8, 0, 0]);
    let flow: Flow = Head::parse(&packet).unwrap().flow;
    let mut answer = error(&packet, flow.dst, Refusal::Unreachable).unwrap();
    answer[24] ^= 1;
    assert_eq!(about(&answer, &Head::parse(&answer).unwrap()), None);
}
