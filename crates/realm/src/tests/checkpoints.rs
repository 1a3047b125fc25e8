//! When a checkpoint is made, by whom, and what it must not fix.

use freehold_wire::{Millis, OpId};

use crate::body::{self, Target};
use crate::checkpoint::{Known, Step, Wait, due};
use crate::draft::{self, DraftError, cosign, propose_checkpoint};
use crate::fold::Clock;
use crate::roles::NodeRoles;
use crate::state::Alarm;

use super::lab::*;

const HOUR: u64 = 3_600_000;

/// What `name`'s device would do if every operation had come in when it was written.
fn look(lab: &Lab, name: &str, asked: bool) -> Result<Step, Wait> {
    let first_seen = lab.set.iter().map(|op| (op.id(), op.head().hlc.wall)).collect();
    let clock = Clock { now: Millis(lab.now), ..lab.clock.clone() };
    let (folded, me) = (lab.fold(), key(name).verifying());
    due(&Known { set: &lab.set, folded: &folded, clock: &clock, first_seen: &first_seen, me: &me, asked })
}

/// Does what is due, and returns the checkpoint it is about.
fn act(lab: &mut Lab, name: &str, asked: bool) -> Result<OpId, Wait> {
    let (state, now) = (lab.fold().state, Millis(lab.now));
    match look(lab, name, asked)? {
        Step::Propose(proposal) => {
            let op = propose_checkpoint(&lab.set, &state, &key(name), proposal, now).unwrap();
            Ok(lab.take(op))
        }
        Step::Cosign(id) => {
            let op = cosign(&lab.set, &state, &id, &key(name), &key(name), now).unwrap();
            lab.take(op);
            Ok(id)
        }
    }
}

fn wait(lab: &mut Lab, hours: u64) {
    lab.now += hours * HOUR;
}

fn base(lab: &Lab) -> Option<OpId> {
    lab.fold().state.base
}

#[test]
fn a_realm_with_one_admin_makes_them_alone_once_things_have_settled() {
    let mut lab = Lab::new(&["a"]);
    lab.say("a", add_node("n", NodeRoles::SECRETS), &["n"]);
    assert_eq!(act(&mut lab, "a", false), Err(Wait::NothingNew));
    wait(&mut lab, 24);
    let one = act(&mut lab, "a", false).unwrap();
    assert_eq!((base(&lab), lab.code(&one)), (Some(one), "ok"));
    // Nothing that took a majority since.
    lab.say("a", set_bucket(1), &[]);
    wait(&mut lab, 100);
    assert_eq!(act(&mut lab, "a", false), Err(Wait::NothingNew));
    wait(&mut lab, 31 * 24);
    let two = act(&mut lab, "a", false).unwrap();
    assert_eq!(base(&lab), Some(two));
    // And then never again, since nothing happens.
    wait(&mut lab, 365 * 24);
    assert_eq!(act(&mut lab, "a", false), Err(Wait::NothingNew));
    assert_eq!(act(&mut lab, "a", true), Err(Wait::NothingNew));
    assert_eq!(lab.fold().state.epoch, 2);
}

#[test]
fn what_came_in_lately_stays_open() {
    let mut lab = Lab::new(&["a"]);
    lab.say("a", add_node("n", NodeRoles::GATEWAY.with(NodeRoles::SECRETS)), &["n"]);
    let old = lab.heads();
    wait(&mut lab, 24);
    let late = lab.say_from(&old, "n", set_bucket(7), &[]);
    let one = act(&mut lab, "a", false).unwrap();
    assert_eq!(base(&lab), Some(one));
    assert!(!lab.set.is_before(&late, &one), "an hour-old operation was fixed");
    assert_eq!(lab.buckets(), [7], "and it still counts");
    // An admin who asks gets all of it.
    let two = act(&mut lab, "a", true).unwrap();
    assert!(lab.set.is_before(&late, &two));
    assert_eq!((base(&lab), lab.buckets()), (Some(two), vec![7]));
}

#[test]
fn a_device_that_spoke_lately_waits() {
    let mut lab = Lab::new(&["a"]);
    lab.say("a", add_node("n", NodeRoles::SECRETS), &["n"]);
    wait(&mut lab, 24);
    lab.say("a", set_bucket(1), &[]);
    assert_eq!(act(&mut lab, "a", false), Err(Wait::Settling));
    wait(&mut lab, 24);
    act(&mut lab, "a", false).unwrap();
}

#[test]
fn a_revocation_that_has_not_settled_is_not_outrun() {
    let mut lab = Lab::new(&["a", "b"]);
    let node = lab.say("a", add_node("n", NodeRoles::GATEWAY), &["n"]);
    let forged = lab.say("n", set_bucket(9), &[]);
    wait(&mut lab, 40);
    // The thief's operation is cut off; the revocation is younger than a day when the rest is not.
    let last = list([body::LastSeq { key: key_id("n"), seq: 0 }]);
    lab.say_from(&[node], "a", body::Suspend { target: Target::Node(node_id("n")), last }, &[]);
    assert_eq!(lab.code(&forged), "held");
    wait(&mut lab, 10);
    for admin in ["a", "b"] {
        assert_eq!(act(&mut lab, admin, false), Err(Wait::Settling), "{admin}");
    }
    wait(&mut lab, 24);
    act(&mut lab, "a", false).unwrap();
    let one = act(&mut lab, "b", false).unwrap();
    assert_eq!((base(&lab), lab.code(&forged)), (Some(one), "held"));
}

#[test]
fn others_sign_what_they_see_as_well_and_never_two() {
    let mut lab = Lab::new(&["a", "b", "c"]);
    wait(&mut lab, 24);
    // The most senior proposes first; the others give it time.
    assert_eq!(act(&mut lab, "b", false), Err(Wait::NothingNew));
    let one = act(&mut lab, "a", false).unwrap();
    assert_eq!((lab.code(&one), act(&mut lab, "a", false)), ("pending", Err(Wait::Signed(one))));
    assert_eq!(act(&mut lab, "b", false), Ok(one));
    assert_eq!(base(&lab), Some(one));
    assert_eq!(act(&mut lab, "c", false), Err(Wait::NothingNew));
    assert!(!lab.fold().state.alarms.iter().any(|a| matches!(a, Alarm::ConflictingCheckpoints { .. })));
}

#[test]
fn nobody_signs_what_leaves_something_out_or_is_too_fresh() {
    let mut lab = Lab::new(&["a", "b", "c"]);
    wait(&mut lab, 24);
    let mut short = draft::checkpoint(&lab.fold()).unwrap();
    short.standing = list(short.standing.iter().copied().skip(1));
    let rogue = lab.say("b", short, &[]);
    let one = act(&mut lab, "a", false).unwrap();
    assert_ne!(one, rogue, "the proposal that leaves an admin out was signed");
    // What b slipped in a moment ago is not signed either, though it lists what stands.
    let mut lab = Lab::new(&["a", "b", "c"]);
    wait(&mut lab, 24);
    lab.say("b", add_node("n", NodeRoles::STORAGE), &["n"]);
    let fresh = draft::checkpoint(&lab.fold()).unwrap();
    let fresh = lab.say("b", fresh, &[]);
    assert_eq!(act(&mut lab, "a", false), Err(Wait::Settling));
    wait(&mut lab, 24);
    assert_eq!(act(&mut lab, "a", false), Ok(fresh));
    assert_eq!(base(&lab), Some(fresh));
}

#[test]
fn two_proposals_at_once_end_in_one() {
    let mut lab = Lab::new(&["a", "b", "c"]);
    wait(&mut lab, 100);
    let before = lab.heads();
    let body = draft::checkpoint(&lab.fold()).unwrap();
    let one = lab.say_from(&before, "a", body.clone(), &[]);
    let two = lab.say_from(&before, "b", body, &[]);
    let signed = act(&mut lab, "c", false).unwrap();
    assert!(signed == one || signed == two);
    assert_eq!(base(&lab), Some(signed));
    // Each of the proposers keeps to what they signed while it is open.
    let mut lab = Lab::new(&["a", "b"]);
    wait(&mut lab, 100);
    let before = lab.heads();
    let body = draft::checkpoint(&lab.fold()).unwrap();
    let mut both =
        [("a", lab.say_from(&before, "a", body.clone(), &[])), ("b", lab.say_from(&before, "b", body, &[]))];
    both.sort_by_key(|(_, id)| *id);
    let [(winner, best), (loser, other)] = both;
    assert_eq!(act(&mut lab, winner, false), Err(Wait::Signed(best)));
    assert_eq!(act(&mut lab, loser, false), Err(Wait::Draft(DraftError::SignedOther(other))));
    wait(&mut lab, 73);
    assert_eq!(act(&mut lab, loser, false), Ok(best));
    assert_eq!(base(&lab), Some(best));
}

#[test]
fn an_open_proposal_and_a_waiting_recovery_hold_it_up() {
    let mut lab = Lab::new(&["a", "b", "c"]);
    wait(&mut lab, 20);
    let open = lab.say("c", add_admin("d"), &[]);
    wait(&mut lab, 30);
    assert_eq!(act(&mut lab, "a", false), Err(Wait::Open(open)));
    wait(&mut lab, 14 * 24);
    act(&mut lab, "a", false).unwrap();

    let mut lab = Lab::new(&["a"]);
    lab.say("a", add_node("n", NodeRoles::SECRETS), &["n"]);
    wait(&mut lab, 20);
    let recovery = lab.recovery(&["r"], &["g1", "g2"]);
    wait(&mut lab, 50);
    assert_eq!(act(&mut lab, "a", false), Err(Wait::People));
    // It has taken effect: once the new admin has said something, that is fixed as well.
    lab.clock.matured.insert(recovery);
    assert_eq!(act(&mut lab, "a", false), Err(Wait::NotAdmin));
    lab.say("r", add_node("m", NodeRoles::SECRETS), &["m"]);
    wait(&mut lab, 24);
    let one = act(&mut lab, "r", false).unwrap();
    assert_eq!(base(&lab), Some(one));
}

#[test]
fn a_late_signature_has_to_settle_too() {
    let mut lab = Lab::new(&["a", "b"]);
    let open = lab.say("b", add_admin("c"), &[]);
    wait(&mut lab, 30);
    let (state, now) = (lab.fold().state, Millis(lab.now));
    let carried = cosign(&lab.set, &state, &open, &key("a"), &key("b"), now).unwrap();
    lab.take(carried);
    lab.is_admins(&["a", "b", "c"]);
    let one = act(&mut lab, "a", false).unwrap();
    assert!(!lab.set.is_before(&open, &one), "an admin of this hour was fixed");
}

#[test]
fn what_nobody_signed_who_counts_holds_nothing_up() {
    let mut lab = Lab::new(&["a", "b"]);
    lab.say("a", add_node("m", NodeRoles::STORAGE), &["m"]);
    let swap = body::GuardiansSet { guardians: guardians(&["h1", "h2"], 2) };
    let never = lab.op("m", swap.into(), &[], |h| h.hlc.wall = Millis(u64::MAX));
    let never = lab.take(never);
    assert_eq!(lab.code(&never), "pending");
    wait(&mut lab, 24);
    // A store's own checkpoint, fresh each time, is nothing that people would wait for.
    lab.say("m", body::Checkpoint { base: None, standing: list([]) }, &[]);
    let first_seen =
        |lab: &Lab| lab.set.iter().map(|op| (op.id(), Millis(op.head().hlc.wall.0.min(lab.now)))).collect();
    let clock = Clock { now: Millis(lab.now + 24 * HOUR), ..lab.clock.clone() };
    let known = Known {
        set: &lab.set,
        folded: &lab.fold(),
        clock: &Clock { now: Millis(lab.now), ..clock.clone() },
        first_seen: &first_seen(&lab),
        me: &key("a").verifying(),
        asked: false,
    };
    assert!(matches!(due(&known), Ok(Step::Propose(_))), "{:?}", due(&known));
    // Nor does the one with the impossible time, once it has settled.
    let known = Known { clock: &clock, ..known };
    assert!(matches!(due(&known), Ok(Step::Propose(_))), "{:?}", due(&known));
}

#[test]
fn a_vetoed_recovery_holds_nothing_up() {
    let mut lab = Lab::new(&["a", "b"]);
    let recovery = lab.recovery(&["z"], &["g1", "g2"]);
    lab.say("a", body::RecoveryVeto { recovery }, &["b"]);
    wait(&mut lab, 24);
    act(&mut lab, "a", false).unwrap();
    let one = act(&mut lab, "b", false).unwrap();
    assert_eq!((base(&lab), lab.code(&recovery)), (Some(one), "vetoed"));
    assert_eq!(lab.fold().state.alarms, []);
}
