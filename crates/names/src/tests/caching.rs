//! The cache against a plain map: never another's answer, never longer than it is good.

use std::collections::BTreeMap;

use freehold_wire::Millis;
use proptest::prelude::*;

use super::{SEED, asked, domain, question};
use crate::answer::{self, Draft};
use crate::{Cache, Domain, Found, Key, Message, Rcode, Section, kind};

const HOUR: u32 = 3600;

fn record(
    section: Section,
    owner: &[u8],
    kind: u16,
    ttl: u32,
    data: &[u8],
    packet: &[u8],
    out: &mut Vec<u8>,
) {
    answer::push(&question(packet), Draft { section, owner, kind, ttl, data }, out);
}

/// An answer with one address.
fn address(name: &Domain, ttl: u32, last: u8) -> Vec<u8> {
    let packet = asked(name, kind::A);
    let mut out = Vec::new();
    answer::begin(&question(&packet), Rcode::GOOD, false, &mut out);
    record(Section::Answer, name.as_wire(), kind::A, ttl, &[10, 0, 0, last], &packet, &mut out);
    out
}

/// An answer that there is nothing, with the start of the zone.
fn nothing(name: &Domain, code: Rcode, ttl: u32, minimum: u32) -> Vec<u8> {
    let packet = asked(name, kind::A);
    let mut out = Vec::new();
    answer::begin(&question(&packet), code, false, &mut out);
    if code != Rcode::FAILED {
        let start = answer::soa(&domain("ns.example"), 1, minimum);
        record(Section::Authority, domain("example").as_wire(), kind::SOA, ttl, &start, &packet, &mut out);
    }
    out
}

fn find(cache: &mut Cache, name: &Domain, now: u64) -> (Found, Vec<u8>) {
    let packet = asked(name, kind::A);
    let mut out = Vec::new();
    let found = cache.find(&Key::of(&question(&packet), 0), Millis::from_secs(now), &mut out);
    (found, out)
}

fn keep(cache: &mut Cache, name: &Domain, now: u64, answer: &[u8]) -> bool {
    let packet = asked(name, kind::A);
    cache.keep(&Key::of(&question(&packet), 0), Millis::from_secs(now), answer)
}

fn ttls(message: &[u8]) -> Vec<u32> {
    Message::parse(message).unwrap().records().map(|record| record.unwrap().ttl).collect()
}

const FRESH: Found = Found::Fresh { renew: false };

#[test]
fn an_answer_grows_old_and_is_given_stale_for_an_hour() {
    let (mut cache, name) = (Cache::new(1 << 16, SEED), domain("a.example"));
    assert!(keep(&mut cache, &name, 1000, &address(&name, 100, 1)));
    let (found, message) = find(&mut cache, &name, 1040);
    assert_eq!((found, ttls(&message)), (FRESH, vec![60]));
    let (found, message) = find(&mut cache, &name, 1100);
    assert_eq!((found, ttls(&message)), (Found::Stale, vec![30]));
    assert_eq!(find(&mut cache, &name, 1099 + u64::from(HOUR)).0, Found::Stale);
    assert_eq!(find(&mut cache, &name, 1100 + u64::from(HOUR)).0, Found::Miss);
    assert!(cache.is_empty());
}

#[test]
fn what_is_wanted_is_asked_anew_once_before_it_ends() {
    let (mut cache, name) = (Cache::new(1 << 16, SEED), domain("a.example"));
    keep(&mut cache, &name, 0, &address(&name, 100, 1));
    assert_eq!(find(&mut cache, &name, 95).0, FRESH, "nobody wanted it before");
    assert_eq!(find(&mut cache, &name, 95).0, Found::Fresh { renew: true });
    assert_eq!(find(&mut cache, &name, 96).0, FRESH);
    keep(&mut cache, &name, 97, &address(&name, 100, 2));
    assert_eq!(find(&mut cache, &name, 98).0, FRESH);
}

#[test]
fn that_there_is_nothing_is_known_as_long_as_its_zone_says() {
    let name = domain("a.example");
    for (code, ttl, minimum, wanted) in [
        (Rcode::NO_NAME, 900, 300, Some(300)),
        (Rcode::GOOD, 200, 300, Some(200)),
        (Rcode::NO_NAME, 90_000, 90_000, Some(HOUR)),
        (Rcode::NO_NAME, 900, 0, None),
    ] {
        let mut cache = Cache::new(1 << 16, SEED);
        assert_eq!(keep(&mut cache, &name, 5, &nothing(&name, code, ttl, minimum)), wanted.is_some());
        let (found, message) = find(&mut cache, &name, 5);
        match wanted {
            Some(ttl) => assert_eq!((found, ttls(&message)), (FRESH, vec![ttl])),
            None => assert_eq!(found, Found::Miss),
        }
    }
    let packet = asked(&name, kind::A);
    let mut empty = Vec::new();
    answer::begin(&question(&packet), Rcode::GOOD, false, &mut empty);
    assert!(!keep(&mut Cache::new(1 << 16, SEED), &name, 5, &empty), "nobody says for how long");
}

#[test]
fn a_failure_is_known_for_seconds_and_replaces_nothing() {
    let (mut cache, name) = (Cache::new(1 << 16, SEED), domain("a.example"));
    let failed = nothing(&name, Rcode::FAILED, 0, 0);
    assert!(keep(&mut cache, &name, 0, &failed));
    assert_eq!(find(&mut cache, &name, 4).0, FRESH);
    assert_eq!(find(&mut cache, &name, 5).0, Found::Miss);
    keep(&mut cache, &name, 10, &address(&name, 60, 1));
    assert!(!keep(&mut cache, &name, 100, &failed));
    assert_eq!(find(&mut cache, &name, 100).0, Found::Stale);
}

#[test]
fn what_is_no_answer_to_the_question_is_not_kept() {
    let (name, other) = (domain("a.example"), domain("b.example"));
    let mut cache = Cache::new(1 << 16, SEED);
    let good = address(&name, 60, 1);
    let with = |at: usize, value: u8| {
        let mut changed = good.clone();
        changed[at] = value;
        changed
    };
    for (what, answer) in [
        ("another name", address(&other, 60, 1)),
        ("a question", with(2, 0)),
        ("cut off", with(2, 0x82)),
        ("refused", with(3, 5)),
        ("a record too few", with(7, 2)),
        ("no time", address(&name, 0, 1)),
        ("a time of no meaning", address(&name, 1 << 31, 1)),
        ("another type", with(good.len() - 17 - 3, 28)),
        ("half of it", good[..good.len() - 1].to_vec()),
    ] {
        assert!(!keep(&mut cache, &name, 0, &answer), "{what}");
    }
    assert!(keep(&mut cache, &name, 0, &good));
    let packet = asked(&name, kind::A);
    let q = question(&packet);
    for key in [
        Key { kind: kind::AAAA, ..Key::of(&q, 0) },
        Key { upstream: 1, ..Key::of(&q, 0) },
        Key { signatures: true, ..Key::of(&q, 0) },
        Key { unchecked: true, ..Key::of(&q, 0) },
        Key { name: other.as_wire(), ..Key::of(&q, 0) },
    ] {
        assert_eq!(cache.find(&key, Millis(0), &mut Vec::new()), Found::Miss);
    }
}

#[test]
fn an_answer_fits_whoever_asks_next() {
    let (mut cache, name) = (Cache::new(1 << 16, SEED), domain("a.example"));
    let mut answer = address(&name, 60, 1);
    // Verified, authoritative, and with a record that was for us alone.
    answer[2] |= 4;
    answer[3] |= 0x20;
    answer[11] = 1;
    answer.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    keep(&mut cache, &name, 0, &answer);
    let mut packet = asked(&name, kind::A);
    packet[0] = 0x77;
    packet[13] = b'A';
    let q = question(&packet);
    let mut out = Vec::new();
    cache.find(&Key::of(&q, 0), Millis(0), &mut out);
    answer::adopt(&q, &mut out);
    answer::finish(&q, answer::Room::datagram(&q), None, &mut out);
    assert_eq!(out[..12], [0x77, 0x34, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    assert_eq!(Message::parse(&out).unwrap().name(), q.name);
    assert_eq!(out.len(), packet.len() + 16);
}

#[test]
fn what_is_asked_for_outlives_what_is_not() {
    let mut cache = Cache::new(1 << 16, SEED);
    let wanted = domain("wanted.example");
    keep(&mut cache, &wanted, 0, &address(&wanted, HOUR, 1));
    for n in 0..5000 {
        assert_eq!(find(&mut cache, &wanted, 1).0, FRESH);
        let name = domain(&format!("n{n}.example"));
        assert!(keep(&mut cache, &name, 1, &address(&name, HOUR, 1)));
        assert!(cache.bytes() <= 1 << 16);
    }
    assert!(cache.len() > 100);
}

#[derive(Debug, Clone)]
enum Step {
    Keep(u8, u32, u8),
    Nothing(u8, u32),
    Failed(u8),
    Find(u8),
    Pass(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0u8..12, 1u32..200, any::<u8>()).prop_map(|(name, ttl, last)| Step::Keep(name, ttl, last)),
        (0u8..12, 1u32..200).prop_map(|(name, ttl)| Step::Nothing(name, ttl)),
        (0u8..12).prop_map(Step::Failed),
        (0u8..12).prop_map(Step::Find),
        (0u32..400).prop_map(Step::Pass),
        Just(Step::Pass(HOUR)),
    ];
    prop::collection::vec(step, 0..60)
}

/// Plays steps against a plain map. With much room the cache has all that the map has; with little it may
/// have less, and never anything else.
fn play(steps: &[Step], room: usize, all: bool) {
    let mut cache = Cache::new(room, SEED);
    let mut plain: BTreeMap<u8, (u64, u32, bool, Option<u8>)> = BTreeMap::new();
    let mut now = 1_000_000u64;
    for step in steps {
        let name = |n: &u8| domain(&format!("{}.example", "x".repeat(usize::from(*n) + 1)));
        match step {
            Step::Pass(seconds) => now += u64::from(*seconds),
            Step::Keep(n, ttl, last) => {
                if keep(&mut cache, &name(n), now, &address(&name(n), *ttl, *last)) || all {
                    plain.insert(*n, (now, *ttl, false, Some(*last)));
                }
            }
            Step::Nothing(n, ttl) => {
                if keep(&mut cache, &name(n), now, &nothing(&name(n), Rcode::NO_NAME, *ttl, 300)) || all {
                    plain.insert(*n, (now, *ttl, false, None));
                }
            }
            Step::Failed(n) => {
                if keep(&mut cache, &name(n), now, &nothing(&name(n), Rcode::FAILED, 0, 0)) {
                    plain.insert(*n, (now, 5, true, None));
                }
            }
            Step::Find(n) => {
                let (found, message) = find(&mut cache, &name(n), now);
                let known = plain
                    .get(n)
                    .map(|(kept, ttl, failed, last)| (now - kept, u64::from(*ttl), *failed, *last));
                let wanted = match known {
                    Some((age, ttl, ..)) if age < ttl => FRESH,
                    Some((age, ttl, false, _)) if age < ttl + u64::from(HOUR) => Found::Stale,
                    _ => Found::Miss,
                };
                let found = if found == (Found::Fresh { renew: true }) { FRESH } else { found };
                assert!(found == wanted || (!all && found == Found::Miss));
                if found == Found::Miss {
                    assert!(message.is_empty());
                    continue;
                }
                let (age, ttl, failed, last) = known.unwrap();
                let read = Message::parse(&message).unwrap();
                assert_eq!(read.name(), name(n).as_wire());
                let records: Vec<_> = read.records().map(Result::unwrap).collect();
                assert_eq!(records.len(), usize::from(!failed));
                for record in records {
                    let left = if found == FRESH { ttl - age } else { 30 };
                    assert_eq!(u64::from(record.ttl), left);
                    if let Some(last) = last {
                        assert_eq!(read.data(&record), [10, 0, 0, last]);
                    }
                }
            }
        }
        assert!(cache.bytes() <= room.max(300));
    }
}

proptest! {
    #[test]
    fn the_cache_gives_what_was_kept_as_long_as_it_is_good(steps in steps()) {
        play(&steps, 1 << 16, true);
        play(&steps, 2000, false);
    }

    #[test]
    fn any_answer_is_kept_whole_or_not_at_all(rest in prop::collection::vec(any::<u8>(), 0..60), counts in any::<[u8; 3]>()) {
        let name = domain("a.example");
        let mut answer = asked(&name, kind::A);
        answer[2] = 0x80;
        (answer[7], answer[9], answer[11]) = (counts[0] % 3, counts[1] % 3, counts[2] % 3);
        answer.extend(rest);
        let mut cache = Cache::new(1 << 16, SEED);
        let kept = keep(&mut cache, &name, 0, &answer);
        let (found, message) = find(&mut cache, &name, 0);
        prop_assert_eq!(found != Found::Miss, kept);
        if kept {
            let records: Result<Vec<_>, _> = Message::parse(&message).unwrap().records().collect();
            prop_assert!(records.is_ok());
        }
    }
}
