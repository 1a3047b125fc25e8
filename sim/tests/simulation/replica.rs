//! Replication of entries and blobs in the simulated world.

use crate::seeds;
use freehold_sim::{Choose, Exhaustive, Fault, Kind, Options, ReplicaWorld, Seeded, run};

fn world(choose: &mut dyn Choose) -> ReplicaWorld {
    let options = Options::swarm(choose);
    ReplicaWorld::new(options, choose)
}

#[test]
fn what_was_acknowledged_is_readable_where_it_belongs() {
    seeds::all("what_was_acknowledged_is_readable_where_it_belongs", 2000, |seed| {
        let mut choose = Seeded::new(seed);
        run(&mut world(&mut choose), &mut choose)
    });
}

#[test]
fn a_seed_means_the_same_every_time() {
    for seed in 0..20 {
        let [first, second] = [(), ()].map(|()| {
            let mut choose = Seeded::new(seed);
            run(&mut world(&mut choose), &mut choose).unwrap()
        });
        assert!(first.lines().len() > 5);
        assert_eq!(first, second);
    }
}

const STEPS: [Kind; 5] = [Kind::Write, Kind::Deliver, Kind::Sync, Kind::Fetch, Kind::Crash];

#[test]
fn every_order_of_few_steps_is_right() {
    let mut choose = Exhaustive::default();
    let mut runs = 0;
    while choose.advance() {
        let mut world = ReplicaWorld::new(Options::small(2, 7, 1, &STEPS), &mut choose);
        if let Err(failure) = run(&mut world, &mut choose) {
            panic!("{failure}");
        }
        runs += 1;
    }
    println!("{runs} runs");
    assert!(runs > 1000);
}

#[test]
fn a_confirmation_before_its_write_is_durable_is_found_from_seeds() {
    let found = (0..2000).find_map(|seed| {
        let mut choose = Seeded::new(seed);
        let options = Options::swarm(&mut choose).with_fault(Fault::StoredEarly);
        let mut world = ReplicaWorld::new(options, &mut choose);
        let failure = run(&mut world, &mut choose).err()?;
        failure.why.contains("has confirmed").then_some((seed, failure))
    });
    let (seed, failure) = found.expect("no seed finds the planted mistake");
    println!("seed {seed}:\n{failure}");
}

#[test]
fn a_confirmation_before_its_write_is_durable_is_found_in_a_story_of_five_steps() {
    let mut runs = 0;
    let failure = (1..6).find_map(|steps| {
        let mut choose = Exhaustive::default();
        while choose.advance() {
            runs += 1;
            let options = Options::small(2, steps, 1, &STEPS).with_fault(Fault::StoredEarly);
            let mut world = ReplicaWorld::new(options, &mut choose);
            if let Err(failure) = run(&mut world, &mut choose)
                && failure.why.contains("has confirmed")
            {
                return Some((steps, failure));
            }
        }
        None
    });
    let (steps, failure) = failure.expect("no short story finds the planted mistake");
    println!("{runs} runs:\n{failure}");
    assert_eq!(steps, 5, "write, sync, deliver the entry, deliver the confirmation, crash");
}

/// What a seed finds that draws these steps often.
fn planted(fault: Fault, kinds: &[Kind], says: &str) {
    let found = (0..2000).find_map(|seed| {
        let mut choose = Seeded::new(seed);
        let options = Options::swarm(&mut choose).often(kinds).with_fault(fault);
        let mut world = ReplicaWorld::new(options, &mut choose);
        let failure = run(&mut world, &mut choose).err()?;
        failure.why.contains(says).then_some((seed, failure))
    });
    let (seed, failure) = found.expect("no seed finds the planted mistake");
    println!("seed {seed}:\n{failure}");
}

#[test]
fn drains_and_moves_lose_nothing_and_put_nothing_where_it_must_not_lie() {
    seeds::all("drains_and_moves_lose_nothing_and_put_nothing_where_it_must_not_lie", 2000, |seed| {
        let mut choose = Seeded::new(seed);
        let kinds = [Kind::Drain, Kind::Move, Kind::Sweep, Kind::Hear];
        let options = Options::swarm(&mut choose).often(&kinds);
        let mut world = ReplicaWorld::new(options, &mut choose);
        run(&mut world, &mut choose)
    });
}

#[test]
fn a_copy_that_comes_to_a_forbidden_region_is_found_from_seeds() {
    planted(Fault::StopIgnored, &[Kind::Move, Kind::Hear], "in a forbidden region");
}

#[test]
fn a_node_that_is_emptied_too_early_is_found_from_seeds() {
    planted(Fault::DrainedEarly, &[Kind::Drain, Kind::Sweep, Kind::Hear], "has swept the last copy");
}
