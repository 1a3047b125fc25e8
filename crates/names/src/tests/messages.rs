//! Questions and answers: against a judge's vectors, and by laws.

use proptest::prelude::*;
use serde_json::Value;

use super::{any_name, asked, domain, question};
use crate::answer::{self, Room, Sink};
use crate::domain::{labels, suffixes};
use crate::{Domain, Message, NAME_MAX, Question, Rcode, Section, Suffixes, Unread, Why, kind, reverse};

fn vectors(of: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("messages.json")).unwrap();
    all[of].as_array().unwrap().clone()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let text = hex.as_str().unwrap();
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

#[test]
fn questions_read_as_their_vectors_say() {
    for vector in vectors("questions") {
        let packet = bytes(&vector["packet"]);
        let read = match Question::parse(&packet) {
            Err(Unread::Silence) => "silence".to_owned(),
            Err(Unread::Answer(code)) => code.to_string(),
            Ok(q) => {
                let edns = q.edns.map_or(String::new(), |edns| {
                    format!(" edns={} do={} padding={}", edns.size, edns.signatures, edns.padding)
                });
                let name = Domain::from_wire(q.name).unwrap();
                format!(
                    "{} {name} {} {} rd={} cd={} ad={}{edns}",
                    q.id, q.kind, q.class, q.recursion, q.unchecked, q.authentic
                )
            }
        };
        assert_eq!(read, vector["reads"].as_str().unwrap(), "{}", vector["what"]);
    }
}

#[test]
fn answers_read_as_their_vectors_say() {
    for vector in vectors("answers") {
        let packet = bytes(&vector["packet"]);
        let message = Message::parse(&packet).unwrap();
        let mut read = vec![format!(
            "{} {:?} {}",
            message.rcode(),
            Domain::from_wire(message.name()).unwrap(),
            message.kind()
        )];
        for record in message.records() {
            let record = record.unwrap();
            let (mut owner, mut target) = ([0; NAME_MAX], [0; NAME_MAX]);
            let owner = Domain::from_wire(message.expand(record.start, &mut owner).unwrap()).unwrap();
            let target = message.target(&record, &mut target).map(|name| Domain::from_wire(name).unwrap());
            let target = target.map_or(String::new(), |name| format!(" -> {name}"));
            read.push(format!("{:?} {owner} {} {}{target}", record.section, record.kind, record.ttl));
        }
        let wanted: Vec<_> =
            vector["reads"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        assert_eq!(read, wanted, "{}", vector["what"]);
    }
}

#[test]
fn a_name_that_points_in_a_circle_is_refused() {
    let mut packet = asked(&domain("a.b"), kind::A);
    packet[2] |= 0x80;
    packet[7] = 1;
    let start = packet.len();
    // A pointer to itself, then one forward.
    for to in [start, start + 2] {
        let mut circle = packet.clone();
        circle.extend((0xc000 | u16::try_from(to).unwrap()).to_be_bytes());
        circle.extend([0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 1, 2, 3, 4]);
        let message = Message::parse(&circle).unwrap();
        let record = message.records().next().unwrap().unwrap();
        assert_eq!(message.expand(record.start, &mut [0; NAME_MAX]), None);
    }
}

#[test]
fn a_blocked_name_leads_nowhere_or_is_not_there() {
    for (sink, sort, code, data) in [
        (Sink::Nowhere, kind::A, Rcode::GOOD, Some(vec![0; 4])),
        (Sink::Nowhere, kind::AAAA, Rcode::GOOD, Some(vec![0; 16])),
        (Sink::Nowhere, kind::HTTPS, Rcode::GOOD, None),
        (Sink::NoName, kind::A, Rcode::NO_NAME, None),
    ] {
        let packet = asked(&domain("Ads.Example"), sort);
        let mut out = Vec::new();
        answer::blocked(&question(&packet), sink, 60, &mut out);
        let message = Message::parse(&out).unwrap();
        assert_eq!(message.rcode(), code);
        let records: Vec<_> = message.records().map(Result::unwrap).collect();
        let found = records.iter().find(|record| record.section == Section::Answer);
        assert_eq!(found.map(|record| message.data(record).to_vec()), data);
        assert_eq!(records.len(), 1, "an address, or who says that there is none");
    }
}

#[test]
fn an_answer_is_cut_where_the_client_takes_no_more() {
    let packet = asked(&domain("a.example"), kind::A);
    let q = question(&packet);
    let mut out = Vec::new();
    answer::begin(&q, Rcode::GOOD, false, &mut out);
    for last in 0..40 {
        let data = [192, 0, 2, last];
        let draft =
            answer::Draft { section: Section::Answer, owner: q.name, kind: kind::A, ttl: 5, data: &data };
        answer::push(&q, draft, &mut out);
    }
    let whole = out.clone();
    answer::finish(&q, Room::datagram(&q), None, &mut out);
    let message = Message::parse(&out).unwrap();
    assert!(message.is_cut() && message.records().next().is_none());
    out = whole;
    answer::finish(&q, Room::stream(), None, &mut out);
    assert_eq!(Message::parse(&out).unwrap().records().count(), 40);
}

/// A question with EDNS: 4096 bytes, signatures, padding.
fn with_edns(mut packet: Vec<u8>) -> Vec<u8> {
    packet[11] = 1;
    packet.extend([0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 4, 0, 12, 0, 0]);
    packet
}

#[test]
fn a_sealed_answer_has_one_of_few_lengths_and_says_why() {
    let packet = with_edns(asked(&domain("ads.example"), kind::A));
    let q = question(&packet);
    let mut out = Vec::new();
    answer::blocked(&q, Sink::Nowhere, 60, &mut out);
    answer::finish(&q, Room::sealed(), Some(Why::Blocked), &mut out);
    assert_eq!(out.len(), 468);
    let message = Message::parse(&out).unwrap();
    let opt = message.records().map(Result::unwrap).last().unwrap();
    assert_eq!(opt.kind, kind::OPT);
    assert_eq!(message.data(&opt)[..6], [0, 15, 0, 2, 0, 15]);
}

#[test]
fn a_refusal_gives_back_the_number_and_never_answers_an_answer() {
    let mut out = Vec::new();
    let mut packet = asked(&domain("a"), kind::A);
    packet[2] |= 0x28;
    let unread = Question::parse(&packet).unwrap_err();
    assert!(answer::refuse(&packet, unread, &mut out));
    assert_eq!(out, [0x12, 0x34, 0xa9, 0x84, 0, 0, 0, 0, 0, 0, 0, 0]);
    packet[2] |= 0x80;
    let unread = Question::parse(&packet).unwrap_err();
    assert!(!answer::refuse(&packet, unread, &mut out));
    assert_eq!(Question::parse(&out), Err(Unread::Silence));
}

#[test]
fn reverse_zones_of_a_prefix_hold_all_its_addresses() {
    for (prefix, len, zones) in [
        ("10.1.2.3", 8, vec!["10.in-addr.arpa"]),
        ("172.16.0.0", 15, vec!["16.172.in-addr.arpa", "17.172.in-addr.arpa"]),
        ("192.0.2.7", 32, vec!["7.2.0.192.in-addr.arpa"]),
        ("fd12:3456:789a::", 48, vec!["a.9.8.7.6.5.4.3.2.1.d.f.ip6.arpa"]),
        ("2001:db8::", 31, vec!["8.b.d.0.1.0.0.2.ip6.arpa", "9.b.d.0.1.0.0.2.ip6.arpa"]),
    ] {
        let found = reverse::zones_of(prefix.parse().unwrap(), len).unwrap();
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), zones);
    }
    assert_eq!(reverse::zones_of("10.0.0.0".parse().unwrap(), 33), None);
    assert_eq!(reverse::zones_of("fd00::".parse().unwrap(), 0), Some(vec![domain("ip6.arpa")]));
}

proptest! {
    #[test]
    fn a_name_is_written_and_read_the_same(name in any_name()) {
        prop_assert_eq!(&name.to_string().parse::<Domain>().unwrap(), &name);
        prop_assert_eq!(Domain::from_wire(name.as_wire()), Some(name.clone()));
        prop_assert_eq!(name.depth(), labels(name.as_wire()).count());
    }

    #[test]
    fn an_address_has_one_name(v4 in any::<[u8; 4]>(), v6 in any::<[u8; 16]>(), name in any_name()) {
        for address in [std::net::IpAddr::from(v4), std::net::IpAddr::from(v6)] {
            prop_assert_eq!(reverse::address_of(reverse::name_of(address).as_wire()), Some(address));
        }
        if let Some(address) = reverse::address_of(name.as_wire()) {
            prop_assert_eq!(reverse::name_of(address), name);
        }
    }

    #[test]
    fn a_prefix_and_its_zones_agree(v4 in any::<u32>(), other in any::<u32>(), len in 8u8..=32) {
        let (address, other) = (std::net::Ipv4Addr::from(v4), std::net::Ipv4Addr::from(other));
        let inside = (v4 ^ u32::from(other)).leading_zeros() >= u32::from(len);
        let zones = reverse::zones_of(address.into(), len).unwrap();
        let name = reverse::name_of(other.into());
        let held = zones.iter().any(|zone| name.is_within(zone));
        prop_assert_eq!(held, inside);
        let own = reverse::name_of(address.into());
        prop_assert!(zones.iter().any(|zone| own.is_within(zone)));
    }

    /// Each suffix has the number that it has as a name of its own, in any case.
    #[test]
    fn suffixes_have_the_numbers_of_names(name in any_name(), seed in any::<[u8; 16]>()) {
        let whole = Suffixes::of(&name.as_wire().to_ascii_uppercase(), &seed);
        prop_assert_eq!(whole.name(), name.as_wire());
        prop_assert_eq!(whole.depth(), name.depth());
        let mut own: Vec<u64> = suffixes(name.as_wire())
            .filter(|suffix| suffix.len() > 1)
            .filter_map(|suffix| Suffixes::of(suffix, &seed).whole())
            .collect();
        own.reverse();
        prop_assert_eq!(whole.hashes(), own.as_slice());
        own.sort_unstable();
        own.dedup();
        prop_assert_eq!(own.len(), whole.depth().min(32), "two suffixes with one number");
    }

    #[test]
    fn any_bytes_are_a_question_or_refused(packet in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut out = Vec::new();
        match Question::parse(&packet) {
            Ok(q) => {
                answer::blocked(&q, Sink::Nowhere, 60, &mut out);
                answer::finish(&q, Room::datagram(&q), Some(Why::Blocked), &mut out);
                prop_assert!(Message::parse(&out).is_some() && out.len() <= 1232);
            }
            Err(unread) => drop(answer::refuse(&packet, unread, &mut out)),
        }
        if let Some(message) = Message::parse(&packet) {
            prop_assert!(message.records().count() <= packet.len());
        }
    }

    /// A question with some bytes changed: nearer to sense than bytes at random.
    #[test]
    fn a_damaged_question_is_answered_in_form_or_refused(
        name in any_name(), at in any::<prop::sample::Index>(), to in any::<u8>(), pad in any::<bool>(),
    ) {
        let mut packet = with_edns(asked(&name, kind::AAAA));
        let at = at.index(packet.len());
        packet[at] = to;
        if let Ok(q) = Question::parse(&packet) {
            let mut out = Vec::new();
            answer::blocked(&q, Sink::NoName, 60, &mut out);
            let room = if pad { Room::sealed() } else { Room::datagram(&q) };
            answer::finish(&q, room, None, &mut out);
            let message = Message::parse(&out).unwrap();
            prop_assert_eq!(message.name(), q.name);
            let records: Result<Vec<_>, _> = message.records().collect();
            prop_assert!(records.is_ok());
        }
    }
}
