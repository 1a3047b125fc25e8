//! What is answered here, against a plain reading of the rows.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::{asked, domain, question, small_name};
use crate::domain::suffixes;
use crate::{Data, Domain, Message, NAME_MAX, Owned, Rcode, Row, Section, Zones, kind, reserved};

fn record(name: &str, data: Data) -> Row {
    Row::Record { name: domain(name), ttl: 30, data }
}

fn zone(apex: &str) -> Row {
    Row::Zone { apex: domain(apex), server: domain("nas.home.internal"), serial: 7 }
}

fn house() -> Zones {
    let mut rows = reserved(&[]);
    rows.extend([
        zone("home.internal"),
        record("nas.home.internal", Data::V4(Ipv4Addr::new(100, 64, 1, 1))),
        record("nas.home.internal", Data::V6("fd00::1".parse().unwrap())),
        record("photos.home.internal", Data::Alias(domain("nas.home.internal"))),
        record("shop.home.internal", Data::Alias(domain("shop.example.com"))),
        record("deep.down.home.internal", Data::Text("x".repeat(300))),
        record("round.home.internal", Data::Alias(domain("about.home.internal"))),
        record("about.home.internal", Data::Alias(domain("round.home.internal"))),
        record("*.lab.example", Data::V4(Ipv4Addr::new(10, 0, 0, 9))),
        record("printer.example", Data::V4(Ipv4Addr::new(10, 0, 0, 8))),
        record("1.1.64.100.in-addr.arpa", Data::Pointer(domain("nas.home.internal"))),
        record(
            "_ssh._tcp.home.internal",
            Data::Service { priority: 1, weight: 2, port: 22, target: domain("nas.home.internal") },
        ),
        record("home.internal", Data::Mail { preference: 5, host: domain("nas.home.internal") }),
    ]);
    Zones::of(&rows)
}

/// What became of it, the code, and the records as section, type and owner.
fn ask(zones: &Zones, name: &str, sort: u16) -> (Owned, Option<String>) {
    let packet = asked(&domain(name), sort);
    let mut out = Vec::new();
    let owned = zones.answer(&question(&packet), &mut out);
    if owned == Owned::NotOurs {
        assert!(out.is_empty());
        return (owned, None);
    }
    let message = Message::parse(&out).unwrap();
    let mut said = message.rcode().to_string();
    for record in message.records().map(Result::unwrap) {
        let mut owner = [0; NAME_MAX];
        let owner = Domain::from_wire(message.expand(record.start, &mut owner).unwrap()).unwrap();
        let section = if record.section == Section::Answer { "" } else { "!" };
        said = format!("{said} {section}{}:{owner}", record.kind);
    }
    (owned, Some(said))
}

#[test]
fn a_house_answers_for_itself_and_for_nobody_else() {
    let zones = house();
    let nas = "nas.home.internal";
    for (name, sort, owned, said) in [
        (nas, kind::A, Owned::Answered, "NOERROR 1:nas.home.internal"),
        (nas, kind::AAAA, Owned::Answered, "NOERROR 28:nas.home.internal"),
        (nas, kind::MX, Owned::Answered, "NOERROR !6:home.internal"),
        (nas, kind::ANY, Owned::Answered, "NOERROR 1:nas.home.internal"),
        ("home.internal", kind::NS, Owned::Answered, "NOERROR 2:home.internal"),
        ("home.internal", kind::MX, Owned::Answered, "NOERROR 15:home.internal"),
        ("home.internal", kind::SOA, Owned::Answered, "NOERROR 6:home.internal"),
        (
            "photos.home.internal",
            kind::A,
            Owned::Answered,
            "NOERROR 5:photos.home.internal 1:nas.home.internal",
        ),
        ("photos.home.internal", kind::CNAME, Owned::Answered, "NOERROR 5:photos.home.internal"),
        (
            "shop.home.internal",
            kind::A,
            Owned::Follow(domain("shop.example.com")),
            "NOERROR 5:shop.home.internal",
        ),
        ("round.home.internal", kind::A, Owned::Answered, "SERVFAIL"),
        ("nobody.home.internal", kind::A, Owned::NoSuch, "NXDOMAIN !6:home.internal"),
        ("down.home.internal", kind::A, Owned::Answered, "NOERROR !6:home.internal"),
        ("deep.down.home.internal", kind::TXT, Owned::Answered, "NOERROR 16:deep.down.home.internal"),
        ("_ssh._tcp.home.internal", kind::SRV, Owned::Answered, "NOERROR 33:_ssh._tcp.home.internal"),
        ("other.internal", kind::A, Owned::NoSuch, "NXDOMAIN !6:internal"),
        ("a.onion", kind::A, Owned::NoSuch, "NXDOMAIN !6:onion"),
        ("localhost", kind::A, Owned::Answered, "NOERROR 1:localhost"),
        ("a.b.localhost", kind::AAAA, Owned::Answered, "NOERROR 28:a.b.localhost"),
        ("1.1.64.100.in-addr.arpa", kind::PTR, Owned::Answered, "NOERROR 12:1.1.64.100.in-addr.arpa"),
        ("9.9.64.100.in-addr.arpa", kind::PTR, Owned::NoSuch, "NXDOMAIN !6:64.100.in-addr.arpa"),
        ("x.lab.example", kind::A, Owned::Answered, "NOERROR 1:x.lab.example"),
        ("printer.example", kind::AAAA, Owned::Answered, "NOERROR !6:printer.example"),
    ] {
        assert_eq!(ask(&zones, name, sort), (owned, Some(said.to_owned())), "{name} {sort}");
    }
    for name in ["example.com", "example", "lab.example", "scanner.example", "8.8.8.8.in-addr.arpa"] {
        assert_eq!(ask(&zones, name, kind::A).0, Owned::NotOurs, "{name}");
    }
}

#[test]
fn the_spelling_of_the_client_comes_back() {
    let mut packet = asked(&domain("nas.home.internal"), kind::A);
    packet[13] = b'N';
    let mut out = Vec::new();
    assert_eq!(house().answer(&question(&packet), &mut out), Owned::Answered);
    assert_eq!(Message::parse(&out).unwrap().name(), b"\x03Nas\x04home\x08internal\x00");
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let data = prop_oneof![
        4 => any::<u8>().prop_map(|last| Data::V4(Ipv4Addr::new(10, 0, 0, last))),
        1 => Just(Data::Text("t".to_owned())),
        1 => small_name().prop_map(Data::Alias),
    ];
    let row = prop_oneof![
        4 => (small_name(), data).prop_map(|(name, data)| Row::Record { name, ttl: 9, data }),
        1 => small_name().prop_filter("a zone", |apex| !apex.as_wire().starts_with(b"\x01*")).prop_map(|apex| Row::Zone { apex, server: Domain::root(), serial: 1 }),
    ];
    prop::collection::vec(row, 0..8)
}

proptest! {
    /// Nothing in a zone leaves, whatever the rows; what lies in none does, unless a row names it.
    #[test]
    fn what_is_in_a_zone_never_leaves(rows in rows(), name in small_name()) {
        let zones = Zones::of(&rows);
        let inside = rows.iter().any(|row| matches!(row, Row::Zone { apex, .. } if name.is_within(apex)));
        let named = rows.iter().any(|row| matches!(row, Row::Record { name: own, .. } if *own == name));
        let star = |suffix: &[u8]| {
            rows.iter().any(|row| matches!(row, Row::Record { name: own, .. }
                if own.as_wire().strip_prefix(b"\x01*") == Some(suffix)))
        };
        let covered = suffixes(name.as_wire()).skip(1).any(star);
        let packet = asked(&name, kind::A);
        let mut out = Vec::new();
        let owned = zones.answer(&question(&packet), &mut out);
        prop_assert_eq!(owned != Owned::NotOurs, inside || named || covered);
        prop_assert_eq!(zones.owns(&name), owned != Owned::NotOurs);
        if let Owned::Follow(to) = &owned {
            prop_assert!(!zones.owns(to));
        }
        if owned != Owned::NotOurs {
            let message = Message::parse(&out).unwrap();
            let records: Result<Vec<_>, _> = message.records().collect();
            prop_assert!(records.is_ok());
            prop_assert_eq!(owned == Owned::NoSuch, message.rcode() == Rcode::NO_NAME);
        }
    }

    #[test]
    fn rows_mean_the_same_in_any_order(rows in rows(), name in small_name(), sort in prop::sample::select(vec![kind::A, kind::TXT])) {
        let mut turned = rows.clone();
        turned.reverse();
        let packet = asked(&name, sort);
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let first = Zones::of(&rows).answer(&question(&packet), &mut one);
        prop_assert_eq!(first, Zones::of(&turned).answer(&question(&packet), &mut other));
        prop_assert_eq!(one, other);
    }
}
