//! What is left after two years: laws that hold whatever the parameters are, and cases that can be worked out by hand.

use freehold_sim::Seeded;
use freehold_sim::durability::{Apart, Care, Fates, Odds, RULES, Rule, Tally, households};

/// Nothing ever happens.
const QUIET: Odds = Odds {
    disk: 0,
    damage: 0,
    house: 0,
    owner: 0,
    town: 0,
    away: 0,
    parting: 0,
    vanishing: 0,
    objects: 8,
    ..Odds::ORDINARY
};
/// Everything happens, and often.
const ROUGH: Odds = Odds {
    disk: 300_000,
    damage: 300_000,
    house: 100_000,
    owner: 100_000,
    town: 20_000,
    vanishing: 100_000,
    objects: 8,
    ..Odds::ORDINARY
};

fn rule(copies: u16, own: usize, lenders: usize, apart: Apart) -> Rule {
    Rule { name: "", copies, own, houses: 1, lenders, apart, keeps: false, data: None }
}

fn coded(lenders: usize, data: u32) -> Rule {
    Rule { data: Some(data), ..rule(1, 0, lenders, Apart::Owners) }
}

fn run(odds: &Odds, seed: u64, rule: &Rule, care: Care) -> Tally {
    households(odds, &Fates::new(odds, &mut Seeded::new(seed)), rule, care)
}

fn worlds(odds: &Odds, seeds: u64, rule: &Rule, care: Care) -> Tally {
    (0..seeds).fold(Tally::default(), |all, seed| all.plus(run(odds, seed, rule, care)))
}

#[test]
fn one_seed_gives_one_result_and_another_seed_another() {
    for rule in &RULES {
        let odds = Odds { objects: 4, realms: 50, ..ROUGH.defecting(10, false) };
        let tally = run(&odds, 1, rule, Care::Ahead);
        assert_eq!(tally, run(&odds, 1, rule, Care::Ahead), "{}", rule.name);
        assert_ne!(tally, run(&odds, 2, rule, Care::Ahead), "{}", rule.name);
    }
}

#[test]
fn where_nothing_happens_nothing_is_lost_and_nothing_copied() {
    let fates = Fates::new(&QUIET, &mut Seeded::new(3));
    for rule in &RULES {
        for care in [Care::None, Care::Repair, Care::Ahead] {
            let tally = households(&QUIET, &fates, rule, care);
            let nothing = (tally.lost, tally.losers, tally.unreadable, tally.copied);
            assert_eq!(nothing, (0, 0, 0, 0), "{} {care:?}", rule.name);
            assert_eq!(tally.object_days, 200 * 8 * u64::from(QUIET.days));
        }
    }
}

#[test]
fn one_more_copy_saves_what_was_saved_and_sometimes_more() {
    // Without repair it holds for each world, since those that hold three copies hold four as well.
    for apart in [Apart::Nothing, Apart::Owners, Apart::Places] {
        for seed in 0..2 {
            let fates = Fates::new(&ROUGH, &mut Seeded::new(seed));
            let lost = |copies| households(&ROUGH, &fates, &rule(copies, 1, 6, apart), Care::None).lost;
            let lost = [1, 2, 3, 4, 5].map(lost);
            assert!(lost.is_sorted_by(|few, more| few > more), "{apart:?} {seed}: {lost:?}");
        }
    }
    let lost = |copies| worlds(&ROUGH, 2, &rule(copies, 1, 6, Apart::Owners), Care::Ahead).lost;
    let lost = [1, 2, 3].map(lost);
    assert!(lost.is_sorted_by(|few, more| few > more), "with repair: {lost:?}");
}

#[test]
fn the_fewer_shards_it_takes_the_less_is_lost() {
    for seed in 0..2 {
        let fates = Fates::new(&ROUGH, &mut Seeded::new(seed));
        let lost = [5, 4, 3, 2].map(|data| households(&ROUGH, &fates, &coded(6, data), Care::None).lost);
        assert!(lost.is_sorted_by(|few, more| few > more), "{seed}: {lost:?}");
    }
}

#[test]
fn more_owners_are_never_worse_where_owners_are_what_fails() {
    // In each world, whatever is done about it.
    let odds = Odds { house: 50_000, owner: 50_000, ..QUIET };
    for care in [Care::None, Care::Repair, Care::Ahead] {
        for seed in 0..2 {
            let one = run(&odds, seed, &rule(3, 3, 0, Apart::Places), care);
            let several = run(&odds, seed, &rule(3, 1, 6, Apart::Owners), care);
            assert!(several.lost < one.lost, "{care:?} {seed}: {several:?} {one:?}");
        }
    }
}

#[test]
fn other_places_are_never_worse_where_places_are_what_fails() {
    let odds = Odds { town: 100_000, near: 80, ..QUIET };
    let lost = |apart| worlds(&odds, 4, &rule(2, 1, 6, apart), Care::None).lost;
    let (owners, places) = (lost(Apart::Owners), lost(Apart::Places));
    assert!(places < owners, "{places} {owners}");
}

#[test]
fn what_the_writer_keeps_saves_what_it_can() {
    let two = rule(2, 1, 6, Apart::Owners);
    for seed in 0..2 {
        let fates = Fates::new(&ROUGH, &mut Seeded::new(seed));
        let lost = |keeps| households(&ROUGH, &fates, &Rule { keeps, ..two }, Care::None).lost;
        let (kept, not) = (lost(true), lost(false));
        assert!(kept < not, "{seed}: {kept} {not}");
    }
}

#[test]
fn care_is_worth_it_and_so_is_care_in_time() {
    let rule = rule(2, 1, 6, Apart::Owners);
    let lost =
        |odds: &Odds| [Care::None, Care::Repair, Care::Ahead].map(|care| worlds(odds, 2, &rule, care).lost);
    let all = lost(&ROUGH);
    assert!(all[0] > all[1] * 2 && all[1] >= all[2], "{all:?}");
    // Where friends come and go and nothing else happens, whoever moves in time loses nothing.
    let parting = Odds { parting: 1_500_000, ..QUIET };
    let all = lost(&parting);
    assert!(all[0] > all[1] && all[1] > 0 && all[2] == 0, "{all:?}");
}

#[test]
fn who_defects_takes_what_only_they_had() {
    let all = QUIET.defecting(100, true);
    let tally = run(&all, 5, &coded(6, 3), Care::Ahead);
    assert_eq!((tally.lost, tally.losers), (tally.objects, tally.households), "{tally:?}");
    // With nobody else's help needed nothing is.
    let alone = run(&all, 5, &rule(2, 2, 0, Apart::Nothing), Care::Ahead);
    assert_eq!(alone.lost, 0);
    // One after the other is seen in time, all at once is not.
    let lost =
        |together| worlds(&QUIET.defecting(30, together), 3, &rule(2, 1, 6, Apart::Owners), Care::Ahead).lost;
    let (each, at_once) = (lost(false), lost(true));
    assert!(each < at_once, "{each} {at_once}");
}

#[test]
fn disks_alone_lose_as_many_as_can_be_worked_out() {
    // Of one copy: eight quarters, in each of which the disk may go. Of two: both disks, each by itself.
    let odds = Odds { disk: 200_000, objects: 1, ..QUIET };
    let once = 1.0 - (1.0_f64 - 0.05).powi(8);
    for (copies, expected) in [(1, once), (2, once * once), (3, once.powi(3))] {
        let rule = rule(copies, usize::from(copies), 0, Apart::Nothing);
        let tally = worlds(&odds, 10, &rule, Care::None);
        let n = f64::from(tally.households);
        let share = f64::from(tally.losers) / n;
        let four = 4.0 * (expected * (1.0 - expected) / n).sqrt();
        assert!((share - expected).abs() < four, "{copies} copies: {share} instead of {expected}");
        let (low, high) = tally.interval();
        assert!(low < share && share < high && low > 0.0);
    }
}
