use freehold_seal::VersionId;
use proptest::prelude::*;

use super::*;

const NOON: Millis = Millis(20_000 * 86_400_000 + 43_200_000);

fn rule(prefix: &str) -> Rule {
    let filter = Filter { prefix: Some(Text::new(prefix).unwrap()), ..Filter::default() };
    let id = Text::new("rule").unwrap();
    Rule { id, enabled: true, filter, expiration: None, noncurrent: None, abort_days: None }
}

fn rules(rules: Vec<Rule>) -> Lifecycle {
    Lifecycle(Bounded::from_vec(rules).unwrap())
}

fn seen(n: u8, marker: bool, modified: Millis) -> Seen {
    let version = Version::Id(VersionId::from_bytes([n; 16]));
    Seen { version, marker, size: 10, modified, tags: Some(Vec::new()) }
}

fn days(days: u64) -> Millis {
    Millis(DAY.0 * days)
}

#[test]
fn a_day_ends_at_midnight() {
    let rules = rules(vec![Rule { expiration: Some(Expiration::Days(1)), ..rule("a/") }]);
    let current = [seen(1, false, NOON)];
    let expire = [Action::Expire(current[0].version)];
    let midnight = Millis(20_002 * DAY.0);
    assert_eq!(rules.expires("a/b", &current[0]), Some((midnight, "rule")));
    assert!(due(&rules, "a/b", &current, Millis(midnight.0 - 1), DAY).is_empty());
    assert_eq!(due(&rules, "a/b", &current, midnight, DAY), expire);
    assert!(due(&rules, "b", &current, midnight, DAY).is_empty());
    let short = Millis::from_secs(10);
    assert_eq!(due(&rules, "a/b", &current, NOON.plus(short), short), expire);
    assert!(due(&rules, "a/b", &current, NOON.plus(Millis(9999)), short).is_empty());
}

#[test]
fn a_marker_goes_when_nothing_is_behind_it() {
    let alone = [seen(2, true, NOON)];
    let over = [seen(2, true, NOON), seen(1, false, NOON)];
    let late = NOON.plus(days(9));
    for expiration in [Expiration::Marker(true), Expiration::Days(3), Expiration::Date(NOON)] {
        let rules = rules(vec![Rule { expiration: Some(expiration), ..rule("") }]);
        assert_eq!(due(&rules, "k", &alone, late, DAY), [Action::Remove(alone[0].version)]);
        assert!(due(&rules, "k", &over, late, DAY).is_empty());
    }
    let off = rules(vec![Rule { expiration: Some(Expiration::Marker(false)), ..rule("") }]);
    assert!(due(&off, "k", &alone, late, DAY).is_empty());
}

#[test]
fn versions_behind_the_current_one_go_by_when_they_were_overtaken() {
    let versions: Vec<Seen> = (0..5u8).map(|n| seen(n, false, NOON.plus(days(u64::from(9 - n))))).collect();
    let gone = |noncurrent, now| {
        let rules = rules(vec![Rule { noncurrent: Some(noncurrent), ..rule("") }]);
        due(&rules, "k", &versions, now, DAY).len()
    };
    let after = |keep| Noncurrent { days: 2, keep };
    // The next ones were written on days 9, 8, 7 and 6.
    assert_eq!(gone(after(None), NOON.plus(days(8))), 0);
    assert_eq!(gone(after(None), NOON.plus(days(9))), 1);
    assert_eq!(gone(after(None), NOON.plus(days(20))), 4);
    assert_eq!(gone(after(Some(3)), NOON.plus(days(20))), 1);
    assert_eq!(gone(after(Some(9)), NOON.plus(days(20))), 0);
}

#[test]
fn a_filter_asks_for_all_of_it() {
    let tag = |name: &str, value: &str| (Text::new(name).unwrap(), Text::new(value).unwrap());
    let filter = Filter {
        tags: Bounded::from_vec(vec![tag("a", "1"), tag("b", "2")]).unwrap(),
        larger: Some(9),
        smaller: Some(11),
        ..Filter::default()
    };
    let rules = rules(vec![Rule { expiration: Some(Expiration::Date(NOON)), filter, ..rule("") }]);
    let with = |tags: Option<&[(&str, &str)]>, size| {
        let tags = tags.map(|tags| tags.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect());
        !due(&rules, "k", &[Seen { size, tags, ..seen(1, false, NOON) }], NOON, DAY).is_empty()
    };
    assert!(with(Some(&[("b", "2"), ("c", "3"), ("a", "1")]), 10));
    assert!(!with(Some(&[("a", "1"), ("b", "3")]), 10));
    assert!(!with(Some(&[]), 10));
    assert!(!with(Some(&[("a", "1"), ("b", "2")]), 9) && !with(Some(&[("a", "1"), ("b", "2")]), 11));
    assert!(with(None, 10), "it has to be looked at");
    assert!(rules.asks_tags());
}

#[test]
fn uploads_are_given_up() {
    let rules = rules(vec![Rule { abort_days: Some(2), ..rule("a/") }]);
    assert!(!rules.gives_up("a/b", NOON, NOON.plus(days(2)), DAY));
    assert!(rules.gives_up("a/b", NOON, NOON.plus(days(3)), DAY));
    assert!(!rules.gives_up("b", NOON, NOON.plus(days(30)), DAY));
}

proptest! {
    #[test]
    fn rules_come_back_as_they_were_and_touch_only_what_is_there(
        what in prop::collection::vec((0u8..5, 0u32..9, any::<bool>(), any::<Option<u8>>()), 0..6),
        written in prop::collection::vec((any::<bool>(), 0u64..20), 0..6),
        now in 0u64..30,
    ) {
        let one = |(what, count, enabled, keep): (u8, u32, bool, Option<u8>)| Rule {
            enabled,
            expiration: match what {
                0 => Some(Expiration::Days(count)),
                1 => Some(Expiration::Date(NOON.plus(days(u64::from(count))))),
                2 => Some(Expiration::Marker(enabled)),
                _ => None,
            },
            noncurrent: (what == 3).then_some(Noncurrent { days: count, keep: keep.map(u32::from) }),
            abort_days: (what == 4).then_some(count),
            ..rule("")
        };
        let rules = rules(what.into_iter().map(one).collect());
        prop_assert_eq!(Lifecycle::decode(&rules.to_bytes()), Ok(rules.clone()));
        let versions: Vec<Seen> = (1u8..).zip(&written)
            .map(|(n, (marker, day))| seen(n, *marker, NOON.plus(days(*day)))).collect();
        let actions = due(&rules, "k", &versions, NOON.plus(days(now)), DAY);
        for (at, action) in actions.iter().enumerate() {
            match action {
                Action::Expire(version) => prop_assert!(at == 0 && versions[0].version == *version && !versions[0].marker),
                Action::Remove(version) => {
                    let there = versions.iter().position(|seen| seen.version == *version).unwrap();
                    prop_assert!(there > 0 || (versions.len() == 1 && versions[0].marker), "a current object stays");
                }
            }
        }
        // What is due stays due.
        for action in &actions {
            let later = due(&rules, "k", &versions, NOON.plus(days(now + 40)), DAY);
            prop_assert!(later.contains(action));
        }
    }
}
