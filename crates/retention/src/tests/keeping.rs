use std::collections::BTreeSet;

use freehold_wire::Millis;
use proptest::prelude::*;

use crate::{Keep, Moment, Period, Policy, Reason, Snapshot, choose};

type Shot = Snapshot<u32, u8>;

/// Around 2024, so that years and ISO weeks part ways within reach.
const BEGIN: u64 = 1_700_000_000_000;

fn keep() -> impl Strategy<Value = Keep> {
    prop_oneof![3 => Just(Keep::None), 6 => (0_u32..8).prop_map(Keep::Newest), 1 => Just(Keep::All)]
}

fn policy() -> impl Strategy<Value = Policy> {
    (keep(), keep(), keep(), keep(), keep(), keep()).prop_map(
        |(last, hourly, daily, weekly, monthly, yearly)| Policy {
            last,
            hourly,
            daily,
            weekly,
            monthly,
            yearly,
        },
    )
}

fn moment() -> impl Strategy<Value = Moment> {
    let hour = 3_600_000_u64;
    let within = prop_oneof![0..40 * hour, 0..1000 * hour, 0..40_000 * hour];
    (within, -50_000_i32..50_000).prop_map(|(later, offset)| Moment { at: Millis(BEGIN + later), offset })
}

fn shots() -> impl Strategy<Value = Vec<Shot>> {
    let shot = (0_u8..3, moment(), proptest::option::weighted(0.3, moment()), proptest::bool::weighted(0.05));
    prop::collection::vec(shot, 0..60).prop_map(|shots| {
        let shot =
            |(id, (group, claimed, received, pinned))| Snapshot { id, group, claimed, received, pinned };
        (0_u32..).zip(shots).map(shot).collect()
    })
}

fn kept(policy: &Policy, shots: &[Shot]) -> BTreeSet<u32> {
    choose(policy, shots).keep.into_iter().map(|(id, _)| id).collect()
}

/// Every field of the policy by number, to raise one.
fn count(policy: &mut Policy, field: usize) -> &mut Keep {
    match field {
        0 => &mut policy.last,
        1 => &mut policy.hourly,
        2 => &mut policy.daily,
        3 => &mut policy.weekly,
        4 => &mut policy.monthly,
        _ => &mut policy.yearly,
    }
}

proptest! {
    #[test]
    fn each_snapshot_stays_or_goes(policy in policy(), shots in shots()) {
        let choice = choose(&policy, &shots);
        let mut ids: Vec<u32> = choice.keep.iter().map(|(id, _)| *id).chain(choice.forget.clone()).collect();
        ids.sort_unstable();
        prop_assert_eq!(ids, (0..).take(shots.len()).collect::<Vec<u32>>());
        prop_assert!(choice.keep.iter().all(|(_, reasons)| !reasons.is_empty()));
    }

    #[test]
    fn the_newest_of_each_group_and_what_is_pinned_never_go(policy in policy(), shots in shots()) {
        let kept = kept(&policy, &shots);
        for group in 0..3 {
            let of_group = shots.iter().filter(|shot| shot.group == group);
            let newest = of_group.max_by_key(|shot| (shot.received.unwrap_or(shot.claimed).at, shot.id));
            prop_assert!(newest.is_none_or(|shot| kept.contains(&shot.id)));
        }
        prop_assert!(shots.iter().filter(|shot| shot.pinned).all(|shot| kept.contains(&shot.id)));
    }

    #[test]
    fn the_order_in_which_they_are_listed_does_not_matter(
        policy in policy(),
        (shots, shuffled) in shots().prop_flat_map(|shots| (Just(shots.clone()), Just(shots).prop_shuffle())),
    ) {
        prop_assert_eq!(choose(&policy, &shots), choose(&policy, &shuffled));
    }

    #[test]
    fn a_greater_count_keeps_more(policy in policy(), shots in shots(), field in 0_usize..6, more in 1_u32..4) {
        let mut raised = policy;
        let keep = count(&mut raised, field);
        *keep = match *keep {
            Keep::None => Keep::Newest(more),
            Keep::Newest(count) => Keep::Newest(count + more),
            Keep::All => Keep::All,
        };
        // A policy that says nothing keeps all: the first count that is said is the one that makes things go.
        prop_assume!(!policy.is_empty());
        prop_assert!(kept(&raised, &shots).is_superset(&kept(&policy, &shots)));
    }

    #[test]
    fn what_stayed_stays_when_asked_again(policy in policy(), shots in shots()) {
        let first = kept(&policy, &shots);
        let left: Vec<Shot> = shots.into_iter().filter(|shot| first.contains(&shot.id)).collect();
        prop_assert_eq!(kept(&policy, &left), first);
    }

    #[test]
    fn groups_do_not_see_each_other(policy in policy(), shots in shots()) {
        let together = kept(&policy, &shots);
        for group in 0..3 {
            let alone: Vec<Shot> = shots.iter().filter(|shot| shot.group == group).cloned().collect();
            let of_group = alone.iter().map(|shot| shot.id).filter(|id| together.contains(id));
            prop_assert_eq!(kept(&policy, &alone), of_group.collect::<BTreeSet<u32>>());
        }
    }

    /// Whoever has the laptop's keys can write snapshots with any date, and as many as they like: what the target noted
    /// before stays as if they had written only of today.
    #[test]
    fn dates_made_up_push_nothing_out(policy in policy(), shots in shots(), lies in prop::collection::vec(moment(), 60)) {
        let noted = |shots: Vec<Shot>| -> Vec<Shot> {
            let note = |shot: Shot| Snapshot { received: Some(shot.received.unwrap_or(shot.claimed)), ..shot };
            shots.into_iter().map(note).collect()
        };
        let honest = noted(shots);
        let lying: Vec<Shot> =
            honest.iter().zip(lies).map(|(shot, claimed)| Snapshot { claimed, ..shot.clone() }).collect();
        prop_assert_eq!(choose(&policy, &honest), choose(&policy, &lying));
    }
}

fn at(id: u32, date: &str) -> Shot {
    let at: jiff::Timestamp = date.parse().expect("a date");
    let at = Millis(u64::try_from(at.as_millisecond()).expect("after 1970"));
    Snapshot { id, group: 0, claimed: Moment { at, offset: 0 }, received: None, pinned: false }
}

#[test]
fn of_a_day_the_newest_stays_and_the_oldest_of_all_while_there_is_room() {
    let shots = [
        at(1, "2024-12-28T08:00:00Z"),
        at(2, "2024-12-28T09:00:00Z"),
        at(3, "2024-12-30T09:00:00Z"),
        at(4, "2025-01-01T10:00:00Z"),
        at(5, "2025-01-01T11:00:00Z"),
    ];
    let daily = |count| Policy { daily: Keep::Newest(count), ..Policy::default() };
    let choice = choose(&daily(2), &shots);
    assert_eq!(choice.keep.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [5, 3]);
    assert_eq!(choice.forget, [4, 2, 1]);
    let choice = choose(&daily(7), &shots);
    assert_eq!(
        choice.keep.last(),
        Some(&(1, vec![Reason::Oldest(Period::Day)])),
        "history reaches as far as it can"
    );
    assert_eq!(choice.forget, [4]);
}

#[test]
fn a_week_over_new_year_is_one_week() {
    let shots = [at(1, "2024-12-30T09:00:00Z"), at(2, "2024-12-31T09:00:00Z"), at(3, "2025-01-01T10:00:00Z")];
    let weekly = Policy { weekly: Keep::Newest(1), ..Policy::default() };
    assert_eq!(kept(&weekly, &shots), BTreeSet::from([3]));
    let yearly = Policy { yearly: Keep::Newest(2), ..Policy::default() };
    assert_eq!(kept(&yearly, &shots), BTreeSet::from([3, 2]));
}

#[test]
fn a_day_begins_at_midnight_where_the_snapshot_was_made() {
    let berlin = |shot: Shot| Snapshot { claimed: Moment { offset: 3600, ..shot.claimed }, ..shot };
    let shots = [at(1, "2024-06-01T22:30:00Z"), at(2, "2024-06-01T23:30:00Z")];
    let daily = Policy { daily: Keep::Newest(2), ..Policy::default() };
    let why = |shots: &[Shot]| choose(&daily, shots).keep.pop().map(|(_, reasons)| reasons);
    assert_eq!(why(&shots), Some(vec![Reason::Oldest(Period::Day)]), "one day in UTC");
    assert_eq!(
        why(&shots.map(berlin)),
        Some(vec![Reason::Newest(Period::Day)]),
        "two days an hour further east"
    );
}

#[test]
fn times_and_zones_out_of_reach_are_no_reason_to_stop() {
    let far = |id, at, offset| Snapshot {
        claimed: Moment { at: Millis(at), offset },
        ..super::keeping::at(id, "2024-06-01T22:30:00Z")
    };
    let shots =
        [far(1, u64::MAX, i32::MAX), far(2, 0, i32::MIN), far(3, u64::MAX, -93_599), far(4, 0, 93_599)];
    let all = Policy { hourly: Keep::All, weekly: Keep::All, ..Policy::default() };
    assert!(kept(&all, &shots).contains(&1) || kept(&all, &shots).contains(&3));
}
