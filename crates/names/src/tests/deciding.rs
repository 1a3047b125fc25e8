//! Who gets what, against a plain reading of the groups.

use freehold_wire::{Millis, NodeId, PersonId};
use proptest::prelude::*;

use super::{SEED, asked, domain, question, small_name};
use crate::answer;
use crate::safe::{self, Engines};
use crate::{
    Blocked, Decision, Domain, Group, Hit, LocalTime, Member, Policy, PolicyParty, Rcode, Schedule, Shape,
    Suffixes, Within, decide, kind,
};

fn node(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

fn suffixes(name: &str) -> Suffixes {
    Suffixes::of(domain(name).as_wire(), &SEED)
}

fn ads() -> Blocked {
    let mut builder = Blocked::builder(&SEED);
    for (list, name) in [(0, "ads.example"), (1, "games.example")] {
        builder.push(list, Shape::Under, domain(name).as_wire()).unwrap();
    }
    builder.finish()
}

/// Monday, 15 January 2024, at an hour.
fn at(hour: u64) -> LocalTime {
    LocalTime::at(Millis(1_705_276_800_000).plus(Millis::from_hours(hour)), 0)
}

fn child() -> Group {
    Group {
        members: vec![
            Member::Person(PersonId::from_bytes([7; 32])),
            Member::Network("10.0.7.0".parse().unwrap(), 24),
        ],
        lists: 1,
        allow: vec![(Shape::Under, domain("school.example")), (Shape::Exact, domain("good.ads.example"))],
        block: vec![(Shape::Under, domain("chat.example")), (Shape::Under, domain("bad.school.example"))],
        schedules: vec![
            Schedule { days: 0b001_1111, from: 8 * 60, to: 16 * 60, what: Within::Lists(2) },
            Schedule { days: 0b111_1111, from: 21 * 60, to: 7 * 60, what: Within::Nothing },
        ],
        safe: Engines::ALL,
        upstream: 3,
        ..Group::default()
    }
}

#[test]
fn a_child_gets_what_its_group_says() {
    let block = |lists, depth| Decision::Block(Hit { lists, depth });
    let policy = Policy::of(&[child()], &[(domain("firm.example"), 9)], &SEED);
    let blocked = ads();
    for (hour, name, wanted) in [
        (10, "a.example", Decision::Ask(3)),
        (10, "x.ads.example", block(1, 2)),
        (10, "good.ads.example", Decision::Ask(3)),
        (10, "x.good.ads.example", block(1, 2)),
        (10, "games.example", block(2, 2)),
        (17, "games.example", Decision::Ask(3)),
        (10, "a.chat.example", block(0, 2)),
        (10, "a.school.example", Decision::Ask(3)),
        (10, "a.bad.school.example", block(0, 3)),
        (22, "a.example", Decision::Refuse),
        (22, "a.bad.school.example", Decision::Refuse),
        (22, "a.school.example", Decision::Ask(3)),
        (30, "a.example", Decision::Refuse),
        (31, "a.example", Decision::Ask(3)),
        (10, "www.google.co.uk", Decision::Rewrite("forcesafesearch.google.com", 3)),
        (10, "mail.firm.example", Decision::Ask(9)),
        (10, "confirm.example", Decision::Ask(3)),
        // Saturday.
        (24 * 5 + 10, "games.example", Decision::Ask(3)),
    ] {
        assert_eq!(policy.decide(Some(0), &suffixes(name), &blocked, at(hour)), wanted, "{name} at {hour}");
    }
}

#[test]
fn a_pause_ends_by_itself() {
    let group = Group { paused_until: Some(at(12).now), ..child() };
    let policy = Policy::of(&[group], &[], &SEED);
    for (hour, wanted) in [(11, Decision::Ask(3)), (12, Decision::Block(Hit { lists: 1, depth: 2 }))] {
        assert_eq!(policy.decide(Some(0), &suffixes("ads.example"), &ads(), at(hour)), wanted);
    }
}

#[test]
fn whoever_is_named_most_closely_counts() {
    let group = |members: &[Member]| Group { members: members.to_vec(), ..Group::default() };
    let net = |text: &str, bits| Member::Network(text.parse().unwrap(), bits);
    let policy = Policy::of(
        &[
            group(&[Member::Everyone]),
            group(&[Member::Person(PersonId::from_bytes([1; 32])), net("10.0.0.0", 8)]),
            group(&[Member::Node(node(1)), net("10.1.0.0", 16), net("fd00::", 8)]),
            group(&[Member::Phone([9; 32]), net("10.1.0.0", 16)]),
        ],
        &[],
        &SEED,
    );
    let person = Some(PersonId::from_bytes([1; 32]));
    let address = |text: &str| PolicyParty { address: Some(text.parse().unwrap()), ..PolicyParty::default() };
    for (party, wanted) in [
        (PolicyParty::default(), 0),
        (PolicyParty { person, ..PolicyParty::default() }, 1),
        (PolicyParty { person, node: Some(node(1)), ..PolicyParty::default() }, 2),
        (PolicyParty { person, node: Some(node(2)), ..PolicyParty::default() }, 1),
        (PolicyParty { person, phone: Some([9; 32]), ..PolicyParty::default() }, 3),
        (address("10.2.3.4"), 1),
        (address("10.1.3.4"), 2),
        (address("11.1.3.4"), 0),
        (address("fd00::1"), 2),
        (address("::ffff:10.1.3.4"), 0),
    ] {
        assert_eq!(policy.group_of(&party), Some(wanted), "{party:?}");
    }
    assert_eq!(Policy::of(&[], &[], &SEED).group_of(&PolicyParty::default()), None);
    let nobody = decide(
        &Policy::of(&[], &[], &SEED),
        &PolicyParty::default(),
        &suffixes("ads.example"),
        &ads(),
        at(0),
    );
    assert_eq!(nobody, Decision::Ask(0));
}

/// An answer to a question for one name that leads to another.
fn leading(from: &str, to: &str, sort: u16) -> Vec<u8> {
    let packet = asked(&domain(from), if sort == kind::CNAME { kind::A } else { sort });
    let q = question(&packet);
    let mut out = Vec::new();
    answer::begin(&q, Rcode::GOOD, false, &mut out);
    let mut data = if sort == kind::HTTPS { vec![0, 1] } else { Vec::new() };
    data.extend(domain(to).as_wire());
    let draft =
        answer::Draft { section: crate::Section::Answer, owner: q.name, kind: sort, ttl: 9, data: &data };
    answer::push(&q, draft, &mut out);
    out
}

#[test]
fn a_blocked_name_behind_another_is_found() {
    let policy = Policy::of(&[child()], &[], &SEED);
    for (from, to, sort, found) in [
        ("shop.example", "x.ads.example", kind::CNAME, Some("x.ads.example")),
        ("shop.example", "x.ads.example", kind::HTTPS, Some("x.ads.example")),
        ("shop.example", "chat.example", kind::CNAME, Some("chat.example")),
        ("shop.example", "cdn.example", kind::CNAME, None),
        ("shop.example", "good.ads.example", kind::CNAME, None),
        ("my.school.example", "x.ads.example", kind::CNAME, None),
        ("shop.example", "x.ads.example", kind::PTR, None),
    ] {
        let hidden = policy.hidden(Some(0), &leading(from, to, sort), &ads(), at(10));
        assert_eq!(hidden.map(|(name, _)| name), found.map(domain), "{from} {to}");
    }
    assert_eq!(policy.hidden(None, &leading("a.b", "ads.example", kind::CNAME), &ads(), at(10)), None);
}

#[test]
fn engines_are_known_in_every_country_and_nothing_else_is() {
    for (name, to) in [
        ("www.google.com", "forcesafesearch.google.com"),
        ("www.google.de", "forcesafesearch.google.com"),
        ("www.google.com.br", "forcesafesearch.google.com"),
        ("www.bing.com", "strict.bing.com"),
        ("duckduckgo.com", "safe.duckduckgo.com"),
        ("search.brave.com", "forcesafe.search.brave.com"),
        ("www.youtube.com", "restrict.youtube.com"),
        ("yandex.com.tr", "familysearch.yandex.ru"),
        ("www.yandex.ru", "familysearch.yandex.ru"),
        ("www.ecosia.org", "strict-safe-search.ecosia.org"),
        ("pixabay.com", "safesearch.pixabay.com"),
    ] {
        assert_eq!(safe::instead(domain(name).as_wire(), Engines::ALL), Some(to), "{name}");
        assert_eq!(safe::instead(domain(to).as_wire(), Engines::ALL), None, "{to} leads on");
        assert!(to.parse::<Domain>().is_ok());
    }
    for name in [
        "google.com",
        "maps.google.com",
        "www.google.example",
        "www.google.com.evil.example",
        "www.goog.com",
        "mail.yandex.ru",
    ] {
        assert_eq!(safe::instead(domain(name).as_wire(), Engines::ALL), None, "{name}");
    }
    let some = Engines::BING.and(Engines::YOUTUBE);
    assert_eq!(safe::instead(domain("www.google.com").as_wire(), some), None);
    assert_eq!(safe::instead(domain("bing.com").as_wire(), some), Some("strict.bing.com"));
}

#[test]
fn clocks_on_walls_are_ahead_or_behind() {
    // Thursday, 1 January 1970, 00:30 UTC.
    let now = Millis::from_secs(1800);
    for (ahead, weekday, minute) in
        [(0, 3, 30), (60, 3, 90), (-60, 2, 23 * 60 + 30), (14 * 60, 3, 14 * 60 + 30)]
    {
        assert_eq!(LocalTime::at(now, ahead), LocalTime { now, weekday, minute });
    }
    assert_eq!((at(0).weekday, at(0).minute, at(25).weekday), (0, 0, 1));
}

type Rule = (Shape, Domain);

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let shape = prop_oneof![Just(Shape::Exact), Just(Shape::Under)];
    prop::collection::vec((shape, small_name()), 0..5)
}

fn closest(rules: &[Rule], name: &Domain) -> Option<usize> {
    let covers = |(shape, own): &&Rule| {
        own.depth() > 0 && if *shape == Shape::Exact { name == own } else { name.is_within(own) }
    };
    rules.iter().filter(covers).map(|(_, own)| own.depth()).max()
}

proptest! {
    #[test]
    fn the_closest_of_a_groups_own_rules_holds(
        allow in rules(), block in rules(), listed in prop::option::of(small_name()), name in small_name(),
    ) {
        let mut builder = Blocked::builder(&SEED);
        if let Some(listed) = &listed {
            let pushed = builder.push(0, Shape::Under, listed.as_wire());
            prop_assert_eq!(pushed.is_ok(), listed.depth() > 0);
        }
        let blocked = builder.finish();
        let group = Group { allow: allow.clone(), block: block.clone(), lists: 1, ..Group::default() };
        let policy = Policy::of(&[group], &[], &SEED);
        let decision = policy.decide(Some(0), &Suffixes::of(name.as_wire(), &SEED), &blocked, at(0));
        let (allowed, stopped) = (closest(&allow, &name), closest(&block, &name));
        let by_list = listed.filter(|listed| listed.depth() > 0 && name.is_within(listed)).map(|listed| listed.depth());
        let wanted = match (allowed, stopped, by_list) {
            (Some(allowed), Some(stopped), _) if allowed < stopped => Decision::Block(Hit { lists: 0, depth: stopped }),
            (None, Some(depth), _) => Decision::Block(Hit { lists: 0, depth }),
            (None, None, Some(depth)) => Decision::Block(Hit { lists: 1, depth }),
            _ => Decision::Ask(0),
        };
        prop_assert_eq!(decision, wanted);
    }

    /// Minute by minute for a week: hours hold for as long as they are, and change when they say.
    #[test]
    fn hours_hold_as_long_as_they_are(days in 0u8..128, from in 0u16..1440, to in 0u16..=1440, start in 0u16..10_080) {
        let schedule = Schedule { days, from, to, what: Within::Nothing };
        let time = |minute: u32| {
            let (weekday, minute) = (u8::try_from(minute / 1440 % 7).unwrap(), u16::try_from(minute % 1440).unwrap());
            LocalTime { now: Millis(0), weekday, minute }
        };
        let held = (0..10_080).filter(|minute| schedule.holds(time(*minute))).count();
        let length = if from < to { usize::from(to - from) } else { usize::from(1440 - from + to) };
        prop_assert_eq!(held, days.count_ones() as usize * length);
        let start = u32::from(start);
        let now = schedule.holds(time(start));
        let change = (1..10_080).find(|wait| schedule.holds(time(start + wait)) != now);
        prop_assert_eq!(schedule.changes_in(time(start)), change);
    }
}
