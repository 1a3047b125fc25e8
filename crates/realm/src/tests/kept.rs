//! What is kept at all, and that it does not depend on the order of arrival.

use freehold_wire::{Millis, OpId};

use crate::body;
use crate::op::Op;
use crate::roles::{MemberRoles, NodeRoles};
use crate::set::{InsertError, Inserted, OpSet, QUIET_OPS};

use super::lab::*;

/// The operation with other bytes as the signature of a key, as its holder can make them.
fn signed_anew(op: &Op, name: &str, fill: u8) -> Op {
    let signature = op.signatures().iter().find(|s| s.key == key(name).verifying()).unwrap().signature;
    let mut bytes = op.to_bytes();
    let at = bytes.windows(64).position(|w| w == signature.as_bytes()).unwrap();
    bytes[at..at + 64].fill(fill);
    Op::decode(&bytes).unwrap()
}

#[test]
fn another_signature_by_the_same_key_is_no_news() {
    let mut lab = Lab::new(&["a"]);
    lab.say("a", add_node("m", NodeRoles::STORAGE), &["m"]);
    let id = lab.say("m", set_bucket(1), &[]);
    let op = lab.set.get(&id).unwrap().clone();
    for fill in [0, 0xff] {
        let other = signed_anew(&op, "m", fill);
        assert_eq!((other.id(), lab.set.weigh(&other)), (id, Inserted::Known));
        assert_eq!(lab.set.merged(&other), op);
        assert_eq!(lab.set.take_in(other), Ok(Inserted::Known));
    }
    assert_eq!(lab.set.get(&id), Some(&op));
}

fn twins(lab: &Lab, name: &str) -> [Op; 3] {
    let heads = lab.heads();
    [0, 1, 2]
        .map(|n| lab.op(name, set_bucket(n), &[], |h| (h.seq, h.prev, h.parents) = (1, None, sorted(&heads))))
}

/// Orphans cost nothing: whoever owns a store and an invitation it has used could vouch for itself.
#[test]
fn a_store_does_not_vouch_for_its_own_twins() {
    let mut lab = Lab::new(&["a"]);
    for node in ["m", "o"] {
        lab.say("a", add_node(node, NodeRoles::STORAGE), &[node]);
    }
    lab.invite("a", "i", NodeRoles::STORAGE);
    let [one, two, three] = twins(&lab, "m");
    lab.take(one);
    lab.take(two);
    let nowhere = OpId::from_bytes([9; 32]);
    let orphan = |name| {
        lab.op(name, set_bucket(7), &[], |h| {
            (h.seq, h.prev, h.parents) = (1, None, sorted(&[three.id(), nowhere]));
        })
    };
    for orphan in [orphan("i"), orphan("o")] {
        assert_eq!(lab.set.insert(orphan), Ok(Inserted::New));
    }
    assert_eq!(lab.set.insert(three.clone()), Err(InsertError::Surplus(three.id())));
}

/// What an admin said after another store had built on a third twin must not wait for ever.
#[test]
fn an_admin_vouches_for_all_that_their_word_stands_on() {
    let mut lab = Lab::new(&["a"]);
    for node in ["m", "o"] {
        lab.say("a", add_node(node, NodeRoles::STORAGE), &[node]);
    }
    let [one, two, three] = twins(&lab, "m");
    lab.take(one);
    lab.take(two);
    let between = lab.op("o", set_bucket(7), &[], |h| h.parents = sorted(&[three.id()]));
    let word = lab.op("a", set_bucket(8), &[], |h| h.parents = sorted(&[between.id()]));
    for op in [&between, &word] {
        assert_eq!(lab.set.insert(op.clone()), Ok(Inserted::New));
    }
    lab.take(three);
    assert!(lab.set.at(&word.id()).is_some());
    assert_eq!(lab.buckets(), [8]);
}

#[test]
fn a_nodes_voice_does_not_depend_on_what_was_heard_first() {
    let mut lab = Lab::new(&["a", "b"]);
    let heads = lab.heads();
    let add = lab.say_from(&heads, "a", add_node("n", NodeRoles::STORAGE), &["n"]);
    let roles = NodeRoles::GATEWAY;
    let change = lab.say_from(&heads, "b", body::NodeChange { node: node_id("n"), roles }, &[]);
    let loud = lab.op("n", set_bucket(1), &[], |h| {
        (h.seq, h.prev, h.parents) = (QUIET_OPS + 1, Some(add), sorted(&[add, change]));
    });
    lab.take(loud.clone());
    let mut other = OpSet::new(lab.set.realm());
    let mut ops: Vec<Op> = lab.set.iter().cloned().collect();
    ops.sort_by_key(|op| op.id() == add);
    for op in ops {
        other.insert(op).unwrap();
    }
    assert!(other.at(&loud.id()).is_some());
}

/// Two invitations with one key give what they give in whichever order they came.
#[test]
fn a_newcomers_voice_is_the_loudest_of_its_invitations() {
    let mut lab = Lab::new(&["a", "b"]);
    let heads = lab.heads();
    let key = key("i").verifying();
    let issue = |roles| body::InvitationIssue { key, roles, expires: Millis(START + DAY), device: None };
    let one = lab.say_from(&heads, "a", issue(NodeRoles::STORAGE), &[]);
    let two = lab.say_from(&heads, "b", issue(NodeRoles::GATEWAY), &[]);
    let redeem = lab.redemption(&[one, two], "i", "n", &["a"]);
    let redeem = lab.take(redeem);
    let loud = lab.op("n", set_bucket(1), &[], |h| {
        (h.seq, h.prev, h.parents) = (QUIET_OPS + 1, Some(redeem), sorted(&[redeem]));
    });
    for turn in 0..2 {
        let mut other = OpSet::new(lab.set.realm());
        let mut ops: Vec<Op> = lab.set.iter().cloned().collect();
        ops.sort_by_key(|op| (op.id() == redeem, op.id() == [one, two][turn]));
        for op in ops {
            other.insert(op).unwrap();
        }
        assert_eq!(other.insert(loud.clone()), Ok(Inserted::New), "turn {turn}");
    }
}

#[test]
fn a_guest_has_sixteen_devices_at_most() {
    let mut lab = Lab::new(&["a"]);
    lab.say("a", body::MemberAdd { chain: list([founding("d")]), roles: MemberRoles::GUEST }, &[]);
    let mut brought = 0;
    for n in 0..20 {
        let (device, state) = (format!("d{n}"), lab.fold().state);
        let add = crate::draft::add_device(&state, &key("d"), &key(&device), box_key(&device)).unwrap();
        lab.say("d", add, &[]);
        let word = lab.op(&device, set_bucket(n), &[], |_| {});
        brought += usize::from(lab.set.insert(word).is_ok());
    }
    assert_eq!(brought, 15);
}
