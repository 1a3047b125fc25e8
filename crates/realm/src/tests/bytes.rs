//! Bytes from outside: nothing panics, and what is accepted is in its one spelling.

use proptest::prelude::*;

use crate::audit::{Export, audit};
use crate::fold::{Clock, fold};
use crate::op::{Op, OpError, VerifyError};
use crate::roles::NodeRoles;
use crate::set::{InsertError, OpSet};

use super::lab::*;
use super::scenes;

fn samples() -> Vec<Vec<u8>> {
    let labs = scenes::all().map(|scene| (scene.play)());
    labs.flat_map(|lab| lab.set.iter().map(Op::to_bytes).collect::<Vec<_>>()).collect()
}

fn accept(bytes: &[u8]) {
    if let Ok(op) = Op::decode(bytes) {
        assert_eq!(op.to_bytes(), bytes);
        let mut set = OpSet::new(op.realm());
        drop(set.insert(op));
        fold(&set, &Clock::default());
    }
    if let Ok(export) = Export::decode(bytes) {
        assert_eq!(export.encode(), bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        accept(&bytes);
    }
}

#[test]
fn mutated_operations_do_not_panic_nor_keep_their_signature() {
    let mut dice = super::random::Dice(7);
    let samples = samples();
    for _ in 0..3_000 {
        let mut bytes = samples[dice.roll(samples.len())].clone();
        let original = Op::decode(&bytes).unwrap();
        for _ in 0..=dice.roll(3) {
            let at = dice.roll(bytes.len());
            match dice.roll(4) {
                0 => bytes[at] = u8::try_from(dice.roll(256)).unwrap(),
                1 => bytes[at] ^= 1 << dice.roll(8),
                2 => drop(bytes.remove(at)),
                _ => bytes.insert(at, u8::try_from(dice.roll(256)).unwrap()),
            }
        }
        accept(&bytes);
        if let Ok(op) = Op::decode(&bytes)
            && op != original
        {
            assert!(op.verify().is_err(), "{op:?} was altered and still verifies");
        }
    }
}

#[test]
fn every_kind_reads_back_as_written() {
    for bytes in samples() {
        let op = Op::decode(&bytes).unwrap();
        assert_eq!(op.to_bytes(), bytes);
        op.verify().unwrap();
    }
}

#[test]
fn a_stripped_or_foreign_signature_is_refused() {
    let lab = Lab::new(&["a"]);
    let mut stripped = lab.op("a", add_node("n", NodeRoles::STORAGE), &[], |_| {});
    let missing = VerifyError::Missing(key_id("n"));
    assert_eq!(stripped.verify(), Err(missing), "a node must prove that it holds its key");
    stripped.add_signature(&key("n"));
    stripped.verify().unwrap();
    // The same words in another realm are another operation.
    let mut other = Lab::new(&["b", "a"]);
    let (ours, theirs) = (other.set.realm(), lab.set.realm());
    assert_eq!(other.set.insert(stripped), Err(InsertError::OtherRealm { theirs, ours }));
}

#[test]
fn shapes_that_cannot_be_are_refused() {
    let lab = Lab::new(&["a"]);
    let op = lab.op("a", set_bucket(1), &[], |_| {});
    let (head, body) = (op.head().clone(), op.body().clone());
    let sign = |head| Op::sign(head, body.clone(), &key("a"));
    let no_prev = crate::Head { prev: None, ..head.clone() };
    assert!(matches!(sign(no_prev), Err(OpError::Shape(_))));
    let no_realm = crate::Head { realm: None, ..head.clone() };
    assert!(matches!(sign(no_realm), Err(OpError::Shape(_))));
    let zero = crate::Head { seq: 0, prev: None, ..head.clone() };
    assert!(matches!(sign(zero), Err(OpError::Shape(_))));
    let level = crate::Head { level: 0, ..head };
    assert!(matches!(sign(level), Err(OpError::Kind { level: 0, .. })));
}

#[test]
fn signatures_of_p256_keys_count() {
    let mut lab = Lab::new(&["pa", "b"]);
    lab.say("pa", add_admin("pc"), &["b", "pc"]);
    lab.say("pc", set_bucket(1), &[]);
    lab.is_admins(&["pa", "b", "pc"]);
    assert_eq!(lab.buckets(), [1]);
}

#[test]
fn an_export_tells_what_it_says() {
    for scene in scenes::all() {
        let lab = (scene.play)();
        let export = Export::of(&lab.set, lab.clock.now).with_matured(&lab.clock.matured);
        assert_eq!(Export::decode(&export.encode()), Ok(export.clone()));
        let read = audit(&export.encode(), &Clock::default()).unwrap();
        assert_eq!(read.folded, lab.fold(), "{}", scene.name);
        assert!(read.unbelievable.is_empty());
        let shown = read.to_string();
        assert!(read.folded.refused.keys().all(|id| shown.contains(&id.short())));
    }
    let lab = Lab::new(&["a"]);
    let mut bytes = Export::of(&lab.set, lab.clock.now).encode();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(audit(&bytes, &lab.clock).unwrap().unbelievable.len(), 1, "an altered signature shows");
}
