use proptest::prelude::*;

use super::*;

const DAY: Millis = Millis::from_hours(24);

fn at(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn seen(address: Option<&str>, since: u64) -> Seen {
    Seen { address: address.map(at), since: Millis(since) }
}

#[test]
fn what_is_stable_is_told_and_what_is_lost_for_long_is_taken_back() {
    let (mut line, day) = (Line::default(), DAY);
    let now = 1_800_000_000_000;
    let one = seen(Some("203.0.113.7"), now);
    assert_eq!(line.next(seen(None, now), day, Millis(now + HOUR)), Next::Rest(None));
    assert_eq!(line.next(one, day, Millis(now)), Next::Rest(Some(Millis(now + STABLE))));
    assert_eq!(line.next(one, day, Millis(now + STABLE)), Next::Replace(at("203.0.113.7")));
    line.done(Some(at("203.0.113.7")), Millis(now + STABLE));
    // The same again once a day, lest somebody else took it out.
    assert_eq!(line.next(one, day, Millis(now + STABLE)), Next::Rest(Some(Millis(now + STABLE + DAY.0))));
    let lost = seen(None, now + MINUTE);
    assert_eq!(line.next(lost, day, Millis(now + 2 * MINUTE)), Next::Rest(Some(Millis(now + MINUTE + LOST))));
    assert_eq!(line.next(lost, day, Millis(now + MINUTE + LOST)), Next::Clear);
    line.done(None, Millis(now + MINUTE + LOST));
    assert_eq!(line.next(lost, day, Millis(now + HOUR)), Next::Rest(None));
}

#[test]
fn who_is_told_never_to_come_back_does_not_and_who_has_trouble_is_left_alone() {
    let mut line = Line::default();
    let (now, one) = (Millis(1_800_000_000_000), seen(Some("203.0.113.7"), 0));
    line.failed(Lasting::Long, "911".to_owned(), now, 0);
    assert_eq!(line.next(one, DAY, now), Next::Rest(Some(Millis(now.0 + PATIENCE))));
    line.failed(Lasting::ForGood, "abuse".to_owned(), now, 0);
    assert_eq!(line.next(one, DAY, Millis(now.0 + 365 * 24 * HOUR)), Next::Rest(None));
    assert_eq!(line.trouble.as_deref(), Some("abuse"));
}

#[test]
fn an_address_that_changes_all_the_time_is_followed_more_and_more_slowly() {
    let (mut line, mut now, mut waits) = (Line::default(), 1_800_000_000_000, Vec::new());
    for turn in 0..9_u8 {
        let seen = Seen { address: Some(IpAddr::from([203, 0, 113, turn])), since: Millis(now) };
        let began = now;
        loop {
            match line.next(seen, DAY, Millis(now)) {
                Next::Rest(Some(due)) => now = due.0,
                Next::Replace(address) => break line.done(Some(address), Millis(now)),
                other => panic!("{other:?}"),
            }
        }
        waits.push((now - began) / SECOND);
    }
    assert_eq!(waits, [2, 10, 20, 40, 80, 160, 320, 600, 600]);
}

#[test]
fn nothing_private_is_public() {
    for text in [
        "10.1.2.3",
        "172.20.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "169.254.1.1",
        "0.1.2.3",
        "192.0.0.8",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fd12::1",
        "ff02::1",
        "2002:a00:1::1",
        "2001:0:1::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
    ] {
        assert!(!is_public(at(text)), "{text}");
    }
    for text in ["203.0.113.7", "9.9.9.9", "100.128.0.1", "172.32.0.1", "2001:db8::1", "2a00:1450::1"] {
        assert!(is_public(at(text)), "{text}");
    }
}

#[test]
fn what_was_told_stays_while_it_is_there() {
    let all = ["10.0.0.1", "198.51.100.1", "203.0.113.7", "2001:db8::2", "2001:db8::1"].map(at);
    assert_eq!(choose(&all, Family::V4, None), Some(at("198.51.100.1")));
    assert_eq!(choose(&all, Family::V4, Some(at("203.0.113.7"))), Some(at("203.0.113.7")));
    assert_eq!(choose(&all, Family::V4, Some(at("203.0.113.9"))), Some(at("198.51.100.1")));
    assert_eq!(choose(&all, Family::V6, Some(at("2001:db8::1"))), Some(at("2001:db8::1")));
    assert_eq!(choose(&all[..1], Family::V4, Some(at("10.0.0.1"))), None);
}

proptest! {
    #[test]
    fn what_is_chosen_is_public_and_there(all: Vec<IpAddr>, before: Option<IpAddr>, first: bool) {
        let family = if first { Family::V4 } else { Family::V6 };
        if let Some(chosen) = choose(&all, family, before) {
            prop_assert!(all.contains(&chosen) && is_public(chosen) && Family::of(chosen) == family);
        }
    }

    /// Whatever happens, and whatever the clock does, a server is not asked twice within seven seconds.
    #[test]
    fn no_server_is_asked_in_a_hurry(steps in prop::collection::vec((0..30_000_u64, 0..4_u8, 0..4_u8, any::<u64>()), 1..200)) {
        let (mut line, mut now, mut asked) = (Line::default(), 1_800_000_000_000_u64, None);
        let mut seen = Seen { address: None, since: Millis(now) };
        for (later, address, outcome, draw) in steps {
            now += later;
            let address = (address > 0).then(|| IpAddr::from([203, 0, 113, address]));
            if address != seen.address {
                seen = Seen { address, since: Millis(now) };
            }
            let what = match line.next(seen, DAY, Millis(now)) {
                Next::Rest(_) => continue,
                Next::Replace(address) => Some(address),
                Next::Clear => None,
            };
            if let Some(asked) = asked {
                prop_assert!(now - asked >= AGAIN / 2, "again after {} ms", now - asked);
            }
            asked = Some(now);
            match outcome {
                0 => line.failed(Lasting::No, String::new(), Millis(now), draw),
                1 => line.failed(Lasting::Long, String::new(), Millis(now), draw),
                _ => line.done(what, Millis(now)),
            }
        }
    }
}
