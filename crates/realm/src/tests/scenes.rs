//! The named attacks, each played out. Every scene checks its own outcome; the vector files hold the
//! same outcome for other implementations.

use freehold_wire::{Bounded, Millis, Regions};

use crate::body::{self, Body, Target};
use crate::op::Op;
use crate::roles::{MemberRoles, NodeRoles};
use crate::set::{InsertError, OpSet};

use super::lab::*;

pub(crate) mod network;

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Scene> {
    SCENES.iter().chain(network::NETWORK)
}

pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) play: fn() -> Lab,
}

macro_rules! scenes {
    ($($name:ident: $about:literal, $play:expr;)*) => {
        const SCENES: &[Scene] = &[$(Scene { name: stringify!($name), about: $about, play: $play }),*];
    };
}

scenes! {
    backdated_ordinary: "A removed key writes as if before its removal.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let early = lab.say("m", set_bucket(1), &[]);
        lab.say("a", remove("m", 1), &["b"]);
        let late = lab.say_from(&[early], "m", set_bucket(2), &[]);
        assert_eq!((lab.code(&late), lab.buckets()), ("revoked", vec![1]));
        lab.is_admins(&["a", "b"]);
        lab
    };
    backdated_sock_puppet: "A removed admin adds an admin as if before the removal, with a forged past.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let early = lab.say("m", set_bucket(1), &[]);
        lab.say("a", remove("m", 1), &["b"]);
        let puppet = lab.say_from(&[early], "m", add_admin("s"), &["s"]);
        let word = lab.say_from(&[puppet], "s", set_bucket(3), &[]);
        assert_eq!((lab.code(&puppet), lab.code(&word)), ("pending", "cascade"));
        lab.is_admins(&["a", "b"]);
        lab
    };
    lone_removal: "One admin of three removes the others.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let one = lab.say("m", remove("a", 0), &[]);
        let two = lab.say("m", remove("b", 0), &[]);
        assert_eq!((lab.code(&one), lab.code(&two)), ("pending", "pending"));
        lab.is_admins(&["a", "b", "m"]);
        lab
    };
    lone_suspension: "One admin of three suspends the others, from an early point of the history.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let heads = lab.heads();
        lab.say("a", set_bucket(1), &[]);
        lab.say_from(&heads, "m", suspend("a", 0), &[]);
        lab.say_from(&heads, "m", suspend("b", 0), &[]);
        assert_eq!(lab.buckets(), [1]);
        lab.is_suspended(&[]);
        lab
    };
    guardian_suspension: "One admin and one guardian suspend an admin whose key was stolen; the thief's work is held.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let early = lab.say("m", set_bucket(1), &[]);
        lab.say("a", suspend("m", 1), &["g1"]);
        let late = lab.say_from(&[early], "m", set_bucket(2), &[]);
        assert_eq!((lab.code(&late), lab.buckets()), ("held", vec![1]));
        lab.is_suspended(&["m"]);
        lab
    };
    guardian_suspension_of_two: "One admin with one guardian suspends the others; that makes no majority of one.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        lab.say("m", suspend("a", 9), &["g1"]);
        lab.say("m", suspend("b", 9), &["g1"]);
        let removal = lab.say("m", remove("a", 9), &[]);
        let puppet = lab.say("m", add_admin("s"), &["s"]);
        assert_eq!((lab.code(&removal), lab.code(&puppet)), ("pending", "pending"));
        lab.is_admins(&["a", "b", "m"]);
        lab
    };
    suspension_lifted: "A suspension of an admin holds what they did meanwhile; lifting it gives that back.", || {
        let mut lab = Lab::new(&["a", "b", "c", "m"]);
        let heads = lab.heads();
        let held = lab.say_from(&heads, "a", set_bucket(1), &[]);
        lab.say_from(&heads, "m", suspend("a", lab.set.last_seq(&key_id("a")) - 1), &["b", "c"]);
        assert_eq!((lab.code(&held), lab.buckets()), ("held", vec![]));
        let knowing = lab.say("a", set_bucket(2), &[]);
        lab.say("b", lift("a"), &["c", "m"]);
        assert_eq!((lab.code(&held), lab.code(&knowing), lab.buckets()), ("ok", "suspended", vec![1]));
        lab.is_suspended(&[]);
        lab
    };
    suspended_admin_no_deadlock: "A suspended admin refuses to sign; the others still have a majority.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        lab.say("a", suspend("m", 9), &["b"]);
        lab.say("a", add_admin("c"), &["b"]);
        lab.say("c", remove("m", 9), &["a"]);
        lab.is_admins(&["a", "b", "c"]);
        lab
    };
    duel_of_two: "Two admins remove each other: neither has a majority.", || {
        let mut lab = Lab::new(&["a", "b"]);
        let heads = lab.heads();
        lab.say_from(&heads, "a", remove("b", 0), &[]);
        lab.say_from(&heads, "b", remove("a", 0), &[]);
        lab.is_admins(&["a", "b"]);
        lab
    };
    duel_of_majorities: "A rogue signs two opposite removals with two honest admins who do not hear of each other: one holds, never both.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let heads = lab.heads();
        let known = lab.set.last_seq(&key_id("a"));
        let one = lab.say_from(&heads, "a", remove("b", 0), &["m"]);
        let two = lab.say_from(&heads, "b", remove("a", known), &["m"]);
        let mut outcome = [lab.code(&one), lab.code(&two)];
        outcome.sort_unstable();
        assert_eq!(outcome, ["ok", "pending"]);
        assert_eq!(lab.admins().len(), 2);
        lab
    };
    cloned_node: "A copied stick: two machines write with one key.", || {
        let mut lab = Lab::new(&["a"]);
        lab.say("a", add_node("n", NodeRoles::GATEWAY), &["n"]);
        let first = lab.say("n", set_bucket(1), &[]);
        let heads = lab.heads();
        let mine = lab.say_from(&heads, "n", set_bucket(2), &[]);
        let twin = lab.op("n", set_bucket(3), &[], |h| {
            (h.seq, h.prev, h.parents) = (2, Some(first), sorted(&heads));
        });
        let twin = lab.take(twin);
        assert_eq!((lab.code(&mine), lab.code(&twin), lab.buckets()), ("equivocation", "equivocation", vec![1]));
        lab
    };
    retro_equivocation_kept: "An admin signs a second operation with an old number to undo what three agreed to: it stands without the proposer.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let heads = lab.heads();
        lab.say("m", add_admin("c"), &["a", "b", "c"]);
        lab.say("c", set_bucket(1), &[]);
        let fork = lab.op("m", set_bucket(9), &[], |h| (h.seq, h.prev, h.parents) = (1, None, sorted(&heads)));
        lab.take(fork);
        assert_eq!(lab.buckets(), [1]);
        lab.is_admins(&["a", "b", "c", "m"]);
        lab
    };
    retro_equivocation_lost: "The same where the proposer's own signature was needed: the addition falls, and all that came of it.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let heads = lab.heads();
        lab.say("m", add_admin("c"), &["a", "c"]);
        let word = lab.say("c", set_bucket(1), &[]);
        let fork = lab.op("m", set_bucket(9), &[], |h| (h.seq, h.prev, h.parents) = (1, None, sorted(&heads)));
        lab.take(fork);
        assert_eq!((lab.code(&word), lab.buckets()), ("cascade", vec![]));
        lab.is_admins(&["a", "b", "m"]);
        lab
    };
    retro_equivocation_checkpointed: "The same after a checkpoint: history is final.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let heads = lab.heads();
        lab.say("m", add_admin("c"), &["a", "c"]);
        lab.say("c", set_bucket(1), &[]);
        lab.checkpoint("a", &["b", "c"]);
        let fork = lab.op("m", set_bucket(9), &[], |h| {
            (h.seq, h.prev, h.parents, h.epoch) = (1, None, sorted(&heads), 0);
        });
        lab.take(fork);
        assert_eq!(lab.buckets(), [1]);
        lab.is_admins(&["a", "b", "c", "m"]);
        lab
    };
    cascade: "What an admin let in behind the remover's back falls with the removal, in turn.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let heads = lab.heads();
        let invite = body::InvitationIssue {
            key: key("i").verifying(), roles: NodeRoles::GATEWAY, expires: Millis(START + DAY), device: None,
        };
        let invite = lab.say_from(&heads, "m", invite, &[]);
        let redeem = body::InvitationRedeem { node: key("n").verifying(), box_key: box_key("n"), device: None };
        let redeem = lab.say_from(&[invite], "i", redeem, &["n", "m"]);
        let word = lab.say_from(&[redeem], "n", set_bucket(1), &[]);
        lab.say_from(&heads, "a", remove("m", 0), &["b"]);
        assert_eq!([lab.code(&invite), lab.code(&redeem), lab.code(&word)], ["revoked", "cascade", "cascade"]);
        lab
    };
    invitation_twice: "Two machines redeem one invitation at two doors that do not hear of each other: both are out, and what they made, but for what an admin took up.", || {
        let mut lab = Lab::new(&["a", "b"]);
        let invite = lab.invite("a", "i", NodeRoles::GATEWAY);
        let one = lab.redemption(&[invite], "i", "n", &["a"]);
        let one = lab.take(one);
        let made = lab.say_from(&[one], "n", set_bucket(1), &[]);
        let more = lab.say_from(&[made], "n", set_bucket(2), &[]);
        lab.say_from(&[more], "a", set_bucket(1), &[]);
        let two = lab.redemption(&[invite], "i", "o", &["b"]);
        let two = lab.take(two);
        assert_eq!([lab.code(&one), lab.code(&two), lab.code(&made)], ["equivocation", "equivocation", "cascade"]);
        assert!(lab.fold().state.nodes.is_empty());
        assert_eq!((lab.buckets(), lab.fold().state.alarms.len()), (vec![1], 1));
        lab
    };
    invitation_leaked: "Whoever finds a used invitation redeems it again with a node that merely stores: the node that came by it stays.", || {
        let mut lab = Lab::new(&["a"]);
        lab.say("a", add_node("m", NodeRoles::STORAGE), &["m"]);
        let invite = lab.invite("a", "i", NodeRoles::GATEWAY);
        let first = lab.redemption(&lab.heads(), "i", "n", &["a"]);
        let first = lab.take(first);
        lab.say("n", set_bucket(1), &[]);
        for doors in [&[][..], &["m"]] {
            let again = lab.redemption(&[invite], "i", "o", doors);
            assert_eq!(lab.offer(again.clone()), InsertError::Unheard(again.id()));
        }
        let junk = lab.op("i", set_bucket(9), &[], |h| (h.seq, h.prev, h.parents) = (1, None, sorted(&[invite])));
        lab.offer(junk);
        assert_eq!((lab.code(&first), lab.buckets(), lab.fold().state.alarms.len()), ("ok", vec![1], 0));
        lab
    };
    invitation_outranked: "A rogue gateway lets a second machine in by a used invitation: an admin's word decides, at once or later.", || {
        let mut lab = Lab::new(&["a"]);
        for node in ["g", "m"] {
            lab.say("a", add_node(node, NodeRoles::GATEWAY), &[node]);
        }
        let heads = lab.heads();
        let invite = lab.invite("a", "i", NodeRoles::GATEWAY);
        let first = lab.redemption(&[invite], "i", "n", &["g"]);
        let first = lab.take(first);
        let word = lab.say("n", set_bucket(1), &[]);
        let again = lab.redemption(&[invite], "i", "o", &["m"]);
        let again = lab.take(again);
        assert_eq!([lab.code(&first), lab.code(&again), lab.code(&word)], ["equivocation", "equivocation", "cascade"]);
        assert!(heads.iter().all(|id| lab.set.is_before(id, &first)));
        // Drafted where only the first is known.
        let now = Millis(lab.now);
        let mut home = Lab { set: OpSet::new(lab.set.realm()), ..lab.clone() };
        for op in lab.set.iter().filter(|op| op.id() != again) {
            home.take(op.clone());
        }
        let carried = crate::draft::cosign(&home.set, &home.fold().state, &first, &key("a"), &key("a"), now);
        lab.take(carried.unwrap());
        assert_eq!([lab.code(&first), lab.code(&word)], ["ok", "ok"]);
        assert!(["equivocation", "in-use"].contains(&lab.code(&again)));
        assert_eq!(lab.fold().state.nodes.len(), 3);
        lab
    };
    invitation_settled: "The same behind a checkpoint: what came in stays.", || {
        let mut lab = Lab::new(&["a"]);
        for node in ["g", "m"] {
            lab.say("a", add_node(node, NodeRoles::GATEWAY), &[node]);
        }
        let invite = lab.invite("a", "i", NodeRoles::GATEWAY);
        let first = lab.redemption(&[invite], "i", "n", &["g"]);
        let first = lab.take(first);
        lab.checkpoint("a", &[]);
        let again = lab.redemption(&[invite], "i", "o", &["m"]);
        let again = lab.take(again);
        assert_eq!([lab.code(&first), lab.code(&again)], ["ok", "in-use"]);
        lab
    };
    invitation_of_the_suspended: "A thief invites from a stolen machine. It is suspended, and what was not taken up by then lets nobody in, known or not; what was taken up stays, and a lift gives the rest back.", || {
        let mut lab = Lab::new(&["a"]);
        let more = crate::draft::add_device(&lab.fold().state, &key("a"), &key("a2"), box_key("a2")).unwrap();
        lab.say("a", more, &[]);
        lab.say("a2", add_node("g", NodeRoles::GATEWAY), &["g"]);
        let taken = lab.invite("a2", "h", NodeRoles::STORAGE);
        let taken = lab.redemption(&[taken], "h", "l", &["g"]);
        let taken = lab.take(taken);
        let delegate = crate::draft::delegate_device(&lab.fold().state, &key("a2"), key("i").verifying()).unwrap();
        let (roles, expires) = (NodeRoles::STORAGE, Millis(START + DAY));
        let body = body::InvitationIssue { key: key("i").verifying(), roles, expires, device: Some(delegate) };
        let stolen = lab.say("a2", body, &[]);
        let other = lab.invite("a2", "j", NodeRoles::STORAGE);
        let kept = lab.invite("a", "k", NodeRoles::STORAGE);
        let target = Target::Device(key_id("a2"));
        let body = crate::draft::suspend(&lab.set, &lab.fold().state, target);
        lab.say("a", body, &[]);
        let open: Vec<_> = lab.fold().state.open_invitations(Millis(lab.now)).map(|(key, _)| *key).collect();
        assert_eq!(open, [key_id("k")]);
        let device = crate::draft::invited_device(&lab.fold().state, &key("i"), &key("a3"), box_key("a3")).unwrap();
        let body = body::InvitationRedeem { node: key("n").verifying(), box_key: box_key("n"), device: Some(device) };
        let knowing = lab.op("i", body.into(), &["n", "g"], |_| {});
        let knowing = lab.take(knowing);
        let blind = lab.redemption(&[stolen, other], "j", "o", &["g"]);
        let blind = lab.take(blind);
        let honest = lab.redemption(&[kept], "k", "m", &["g"]);
        let honest = lab.take(honest);
        assert_eq!(
            [&taken, &knowing, &blind, &honest].map(|id| lab.code(id)), ["ok", "not-allowed", "held", "ok"],
        );
        assert!(lab.fold().state.device(&key_id("a3")).is_none());
        lab.say("a", body::Lift { target }, &[]);
        assert_eq!([&knowing, &blind].map(|id| lab.code(id)), ["not-allowed", "ok"]);
        lab
    };
    invitation_of_the_removed: "An admin is removed by a majority; a machine takes up an invitation of theirs at a door that has not heard of it.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        lab.say("a", add_node("g", NodeRoles::GATEWAY), &["g"]);
        let invite = lab.invite("m", "i", NodeRoles::STORAGE);
        let known = lab.set.last_seq(&key_id("m"));
        lab.say("a", remove("m", known), &["b"]);
        let redeem = lab.redemption(&[invite], "i", "n", &["g"]);
        let redeem = lab.take(redeem);
        assert_eq!(lab.code(&redeem), "revoked");
        // What one admin alone decides about another takes nothing from their invitations.
        let invite = lab.invite("a", "j", NodeRoles::STORAGE);
        lab.say("b", suspend("a", 99), &[]);
        let redeem = lab.redemption(&[invite], "j", "o", &["g"]);
        let redeem = lab.take(redeem);
        assert_eq!(lab.code(&redeem), "ok");
        lab
    };
    quiet_store: "A node that merely stores writes what nobody knows, too much, and without end: none of it is kept.", || {
        let mut lab = Lab::new(&["a"]);
        lab.say("a", add_node("m", NodeRoles::STORAGE), &["m"]);
        let unknown = |n| Body::Unknown(body::Unknown { kind: 999, bytes: vec![n] });
        let future = lab.op("m", unknown(1), &[], |h| h.level = 2);
        lab.offer(future);
        let late = lab.op("m", set_bucket(1), &[], |h| {
            (h.seq, h.prev) = (crate::set::QUIET_OPS + 1, h.parents.first().copied());
        });
        lab.offer(late);
        // What it lets in gives nobody a place.
        let invite = lab.invite("m", "i", NodeRoles::GATEWAY);
        assert_eq!(lab.code(&invite), "not-allowed");
        let redeem = lab.redemption(&[invite], "i", "n", &["m"]);
        assert_eq!(lab.offer(redeem.clone()), InsertError::Stranger(redeem.id()));
        lab
    };
    invitation_lapsed: "An invitation is redeemed late, once with an honest and once with a forged clock.", || {
        let mut lab = Lab::new(&["a"]);
        for (invited, node) in [("i", "n"), ("j", "o")] {
            let invite = body::InvitationIssue {
                key: key(invited).verifying(), roles: NodeRoles::STORAGE, expires: Millis(lab.now + 60_000), device: None,
            };
            let invite = lab.say("a", invite, &[]);
            let redeem = Body::from(body::InvitationRedeem {
                node: key(node).verifying(), box_key: box_key(node), device: None,
            });
            lab.now += DAY;
            let back = if invited == "i" { 0 } else { lab.checkpoint("a", &[]); DAY };
            let op = lab.op(invited, redeem, &[node, "a"], |h| {
                h.parents = sorted(&[invite]);
                h.hlc.wall = Millis(h.hlc.wall.0 - back);
            });
            let op = lab.take(op);
            assert_eq!(lab.code(&op), "invitation-lapsed");
        }
        lab
    };
    withheld_signature: "A proposal is completed with a signature that was held back until two checkpoints had passed.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let heads = lab.heads();
        let bomb = lab.op("a", remove("b", 9), &["m"], |h| h.parents = sorted(&heads));
        lab.checkpoint("b", &["m"]);
        lab.checkpoint("b", &["m"]);
        let bomb = lab.take(bomb);
        assert_eq!(lab.code(&bomb), "lapsed");
        lab.is_admins(&["a", "b", "m"]);
        lab
    };
    withheld_past_checkpoint: "A signature that was held back completes a proposal which a checkpoint has in its past already.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let bomb = lab.say("a", remove("b", 9), &[]);
        lab.checkpoint("b", &["a"]);
        lab.sign(&bomb, &["m"]);
        assert_eq!(lab.code(&bomb), "left-out");
        lab.is_admins(&["a", "b", "m"]);
        lab
    };
    withheld_by_clock: "A proposal is completed fifteen days later by the checkpoints' clock.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let bomb = lab.op("a", remove("b", 9), &["m"], |_| {});
        lab.now += 15 * DAY;
        lab.checkpoint("b", &["m"]);
        let bomb = lab.take(bomb);
        assert_eq!(lab.code(&bomb), "lapsed");
        lab
    };
    epoch_forged: "A withheld proposal claims an epoch that its author could not know.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let heads = lab.heads();
        let bomb = lab.op("a", remove("b", 9), &["m"], |h| (h.parents, h.epoch) = (sorted(&heads), 2));
        lab.checkpoint("b", &["m"]);
        lab.checkpoint("b", &["m"]);
        let bomb = lab.take(bomb);
        assert_eq!(lab.code(&bomb), "epoch-ahead");
        lab
    };
    recovery_waits: "Two guardians recover a realm whose sole admin lost the key: pending before 72 hours.", || {
        let mut lab = Lab::new(&["a"]);
        lab.say("a", set_bucket(1), &[]);
        let recovery = lab.recovery(&["z"], &["g1", "g2"]);
        assert_eq!(lab.code(&recovery), "pending");
        lab.is_admins(&["a"]);
        lab
    };
    recovery_of_lost_admin: "The same after 72 hours; what the found old key then says, a checkpoint and a veto included, is void.", || {
        let mut lab = Lab::new(&["a"]);
        let heads = lab.heads();
        lab.say("a", set_bucket(1), &[]);
        let recovery = lab.recovery(&["z"], &["g1", "g2"]);
        lab.clock.matured.insert(recovery);
        lab.is_admins(&["z"]);
        lab.say("z", set_bucket(2), &[]);
        let puppet = lab.say_from(&heads, "a", add_admin("s"), &["s"]);
        let veto = lab.say_from(&[recovery], "a", body::RecoveryVeto { recovery }, &[]);
        let swap = body::GuardiansSet { guardians: guardians(&["h1", "h2"], 2) };
        let swap = lab.say_from(&heads, "a", swap, &[]);
        let mut check = body::Checkpoint { base: None, standing: Bounded::new() };
        for epoch in 0..3 {
            let op = lab.op("a", check.into(), &[], |h| (h.parents, h.epoch) = (sorted(&[swap]), epoch));
            check = body::Checkpoint { base: Some(lab.take(op)), standing: Bounded::new() };
        }
        assert_eq!([lab.code(&puppet), lab.code(&veto), lab.code(&swap)], ["pending", "pending", "pending"]);
        assert_eq!(lab.buckets(), [1, 2]);
        lab.is_admins(&["z"]);
        lab
    };
    recovery_vetoed: "A majority of admins objects to a recovery within 72 hours.", || {
        let mut lab = Lab::new(&["a", "b", "c"]);
        let recovery = lab.recovery(&["z"], &["g1", "g2"]);
        lab.say("a", body::RecoveryVeto { recovery }, &["b"]);
        assert_eq!(lab.fold().pending[&recovery], crate::Pending::Recovery { vetoed: true });
        let seen = [(recovery, Millis(lab.now))].into();
        assert!(crate::matured(&seen, &lab.fold(), Millis(lab.now + 4 * DAY)).is_empty());
        lab.is_admins(&["a", "b", "c"]);
        lab
    };
    recovery_vetoed_for_good: "The same behind a checkpoint: it waits for nothing any more.", || {
        let mut lab = Lab::new(&["a", "b", "c"]);
        let recovery = lab.recovery(&["z"], &["g1", "g2"]);
        lab.say("a", body::RecoveryVeto { recovery }, &["b"]);
        assert_eq!(lab.fold().state.alarms.len(), 1);
        lab.checkpoint("a", &["b"]);
        assert_eq!((lab.code(&recovery), lab.fold().state.alarms), ("vetoed", vec![]));
        lab.is_admins(&["a", "b", "c"]);
        lab
    };
    recovery_countersigned: "A remaining admin co-signs a recovery: no waiting.", || {
        let mut lab = Lab::new(&["a", "b"]);
        let body = crate::draft::recovery(&lab.fold(), [vec![founding("a")], vec![founding("z")]], None).unwrap();
        lab.say("a", body, &["g1", "g3"]);
        lab.is_admins(&["a", "z"]);
        lab
    };
    recovery_outranks_checkpoints: "A rogue majority checkpoints away while guardians recover the realm.", || {
        let mut lab = Lab::new(&["a", "m", "n"]);
        let recovery = lab.op("a", crate::draft::recovery(&lab.fold(), [vec![founding("a")]], None).unwrap().into(),
            &["g1", "g2"], |_| {});
        lab.say("m", remove("a", lab.set.last_seq(&key_id("a"))), &["n"]);
        lab.checkpoint("m", &["n"]);
        lab.checkpoint("m", &["n"]);
        lab.is_admins(&["m", "n"]);
        let recovery = lab.take(recovery);
        lab.clock.matured.insert(recovery);
        lab.is_admins(&["a"]);
        lab
    };
    stolen_guardian: "One stolen guardian of three recovers nothing; its recovery is not even kept, nor what its new admin says.", || {
        let mut lab = Lab::new(&["a"]);
        let body = crate::draft::recovery(&lab.fold(), [vec![founding("z")]], None).unwrap();
        let recovery = lab.op("z", body.into(), &["g1"], |_| {});
        let word = lab.op("z", set_bucket(1), &[], |h| {
            (h.seq, h.prev, h.parents) = (2, Some(recovery.id()), sorted(&[recovery.id()]));
        });
        lab.clock.matured.insert(recovery.id());
        assert_eq!(lab.offer(recovery.clone()), InsertError::Stranger(recovery.id()));
        lab.kept_out.push(word);
        lab.is_admins(&["a"]);
        lab
    };
    quiet_device: "A guest's device brings another one, and that one a third: what the third says is not kept.", || {
        let mut lab = Lab::new(&["a"]);
        let guest = body::MemberAdd { chain: list([founding("d")]), roles: MemberRoles::GUEST };
        lab.say("a", guest, &[]);
        for (by, device) in [("d", "d2"), ("d2", "d3")] {
            let add = crate::draft::add_device(&lab.fold().state, &key(by), &key(device), box_key(device)).unwrap();
            lab.say(by, add, &[]);
        }
        lab.say("d2", set_bucket(1), &[]);
        let word = lab.op("d3", set_bucket(2), &[], |_| {});
        assert_eq!(lab.offer(word.clone()), InsertError::Stranger(word.id()));
        lab
    };
    quiet_checkpoint: "A node that merely stores proposes checkpoints: none is looked at before somebody who may ask for one has signed it.", || {
        let mut lab = Lab::new(&["a", "b"]);
        lab.say("a", add_node("m", NodeRoles::STORAGE), &["m"]);
        let one = lab.checkpoint("m", &[]);
        assert_eq!(lab.code(&one), "no-base");
        lab.sign(&one, &["a"]);
        assert_eq!(lab.code(&one), "pending");
        lab.sign(&one, &["b"]);
        assert_eq!(lab.code(&one), "ok");
        lab
    };
    replaced_guardians: "Guardians that were replaced recover with one rogue admin, as if before: no shortcut past the 72 hours.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let heads = lab.heads();
        lab.say("a", body::GuardiansSet { guardians: guardians(&["h1", "h2", "h3"], 2) }, &["b"]);
        let body = body::Recovery {
            base: None, admins: list([list([founding("m")])]), guardians: None, standing: list(lab.fold().standing),
        };
        let recovery = lab.say_from(&heads, "m", body, &["g1", "g2"]);
        assert_eq!(lab.code(&recovery), "pending");
        lab.is_admins(&["a", "b", "m"]);
        lab
    };
    own_device_undo: "An admin revokes a device of their own to take back what it signed together with another admin.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let state = lab.fold().state;
        let more = crate::draft::add_device(&state, &key("m"), &key("m2"), box_key("m2")).unwrap();
        lab.say("m", more, &[]);
        lab.say("m2", add_admin("c"), &["a", "c"]);
        let mut less = crate::draft::remove_device(&lab.set, &lab.fold().state, &key("m"), key_id("m2")).unwrap();
        less.last = 0;
        lab.say("m", less, &[]);
        lab.is_admins(&["a", "b", "c", "m"]);
        lab
    };
    removed_cosigner: "The key of a removed admin co-signs what a rogue backdates.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let heads = lab.heads();
        lab.say("a", remove("m", 9), &["b"]);
        let late = lab.op("b", add_admin("s"), &["m", "s"], |h| h.parents = sorted(&heads));
        let late = lab.take(late);
        assert_eq!(lab.code(&late), "pending");
        lab.is_admins(&["a", "b"]);
        lab
    };
    lone_suspension_before_promotion: "A rogue suspends a member as if before they became an admin.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        lab.say("a", add_member("c"), &[]);
        let heads = lab.heads();
        let promote = body::MemberChange { person: person("c"), roles: MemberRoles::ADMIN, last: Bounded::new() };
        lab.say("a", promote, &["b"]);
        lab.say("c", set_bucket(1), &[]);
        lab.say_from(&heads, "m", suspend("c", 0), &[]);
        assert_eq!(lab.buckets(), [1]);
        lab.is_suspended(&[]);
        lab
    };
    squatted_key: "A rogue issues an invitation with the key of a new admin, as if before they came.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let heads = lab.heads();
        lab.say("a", set_bucket(1), &[]);
        lab.say("a", add_admin("c"), &["b", "c"]);
        lab.say("c", set_bucket(2), &[]);
        let invite = body::InvitationIssue {
            key: key("c").verifying(), roles: NodeRoles::STORAGE, expires: Millis(START + DAY), device: None,
        };
        lab.say_from(&heads, "m", invite, &[]);
        lab.is_admins(&["a", "b", "c", "m"]);
        assert_eq!(lab.buckets(), [1, 2]);
        lab
    };
    lone_admission_before_promotion: "A rogue makes a new admin a plain member, as if before they came.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let heads = lab.heads();
        lab.say("a", set_bucket(1), &[]);
        lab.say("a", add_admin("c"), &["b", "c"]);
        lab.say("c", set_bucket(2), &[]);
        lab.say_from(&heads, "m", add_member("c"), &[]);
        lab.is_admins(&["a", "b", "c", "m"]);
        assert_eq!(lab.buckets(), [1, 2]);
        lab
    };
    lone_removal_before_promotion: "A rogue removes a member, as if before they became an admin.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        lab.say("a", add_member("c"), &[]);
        let heads = lab.heads();
        lab.say("a", set_bucket(1), &[]);
        let promote = body::MemberChange { person: person("c"), roles: MemberRoles::ADMIN, last: Bounded::new() };
        lab.say("a", promote, &["b"]);
        lab.say("c", set_bucket(2), &[]);
        lab.say_from(&heads, "m", remove("c", 0), &[]);
        lab.is_admins(&["a", "b", "c", "m"]);
        assert_eq!(lab.buckets(), [1, 2]);
        lab
    };
    self_defeating: "Two admins void the operations by which they came in themselves.", || {
        let mut lab = Lab::new(&["a", "m", "n"]);
        let removal = lab.say("m", remove("a", 0), &["n"]);
        assert_eq!(lab.code(&removal), "self-defeating");
        lab.is_admins(&["a", "m", "n"]);
        lab
    };
    secrets_node: "One admin of two adds a node that would hold secrets.", || {
        let mut lab = Lab::new(&["a", "b"]);
        let alone = lab.say("a", add_node("n", NodeRoles::SECRETS), &["n"]);
        let plain = lab.say("a", add_node("o", NodeRoles::STORAGE), &["o"]);
        let more = lab.say("a", body::NodeChange { node: node_id("o"), roles: NodeRoles::SECRETS }, &[]);
        assert_eq!([lab.code(&alone), lab.code(&plain), lab.code(&more)], ["pending", "ok", "pending"]);
        lab.say("a", body::NodeChange { node: node_id("o"), roles: NodeRoles::SECRETS }, &["b"]);
        assert_eq!(lab.fold().state.nodes[&node_id("o")].roles, NodeRoles::SECRETS);
        lab
    };
    last_admin: "The only admin cannot leave the realm without one.", || {
        let mut lab = Lab::new(&["a"]);
        let leave = lab.say("a", remove("a", 9), &[]);
        assert_eq!(lab.code(&leave), "last-admin");
        lab
    };
    node_oversteps: "A storage node makes a bucket, admits a member and removes another node.", || {
        let mut lab = Lab::new(&["a"]);
        lab.say("a", add_node("n", NodeRoles::STORAGE), &["n"]);
        lab.say("a", add_node("o", NodeRoles::STORAGE), &["o"]);
        let ops = [
            lab.say("n", set_bucket(1), &[]),
            lab.say("n", add_member("s"), &[]),
            lab.say("n", body::NodeRemove { node: node_id("o"), last: 0 }, &[]),
        ];
        assert!(ops.iter().all(|op| lab.code(op) == "not-allowed"));
        lab
    };
    places: "Nodes try to say where nodes stand, where buckets may lie, how much is kept and which keys end; admins do.", || {
        let mut lab = Lab::new(&["a", "b"]);
        lab.say("a", add_node("n", NodeRoles::STORAGE), &["n"]);
        lab.say("a", add_node("g", NodeRoles::GATEWAY), &["g"]);
        let heads = lab.heads();
        let drain = move_node("n", body::NodeSet { draining: Some(true), ..nowhere() });
        let drain = lab.say_from(&heads, "a", drain, &[]);
        let place = body::NodeSet { zone: Some(zone(7)), region: Some(region("US")), ..nowhere() };
        lab.say_from(&heads, "b", move_node("n", place), &[]);
        let site = lab.fold().state.nodes[&node_id("n")].site;
        assert_eq!((site.zone, site.region, site.draining, site.pace), (zone(7), region("US"), true, 0));
        let bound = |n, copies, rules: body::Rules| body::BucketSet { bucket: bucket(n), copies, confirm: 1, rules: rules.said() };
        let home = body::Rules { zones: 2, regions: Regions { only: list([region("DE"), region("FR")]), never: list([]) } };
        let away = body::Rules { zones: 0, regions: Regions { only: list([]), never: list([region("US")]) } };
        let odd = body::Rules { zones: 3, ..home.clone() };
        let silent = body::BucketSet { rules: Some(body::Rules::default()), ..bound(1, 2, home.clone()) };
        let ops = [
            (lab.say("n", move_node("n", body::NodeSet { draining: Some(false), ..nowhere() }), &[]), "not-allowed"),
            (lab.say("g", move_node("n", body::NodeSet { region: Some(region("DE")), ..nowhere() }), &[]), "not-allowed"),
            (lab.say("a", move_node("o", nowhere()), &[]), "no-such"),
            (lab.say("g", bound(1, 2, odd), &[]), "numbers"),
            (lab.say("g", silent, &[]), "numbers"),
            (lab.say("g", bound(1, 2, home.clone()), &[]), "ok"),
            (lab.say("g", bound(1, 3, home), &[]), "ok"),
            (lab.say("g", bound(1, 3, body::Rules::default()), &[]), "not-allowed"),
            (lab.say("b", bound(1, 3, away.clone()), &[]), "ok"),
            (lab.say("g", bound(2, 1, body::Rules::default()), &[]), "ok"),
            (lab.say("n", move_node("n", body::NodeSet { pace: Some(9), ..nowhere() }), &["a"]), "not-allowed"),
        ];
        let quota = |of, bytes| body::QuotaSet { of, bytes };
        let service = body::QuotaOf::Service(freehold_wire::ServiceId::from_bytes([5; 32]));
        let end = |n, kept| body::KeysErase { bucket: bucket(n), kept, object: None, deleted: None };
        let erase = |who: &str, of: &[u8]| body::PersonErase { person: person(who), buckets: list(of.iter().copied().map(bucket)) };
        let (realm, a) = (body::QuotaOf::Realm, body::QuotaOf::Person(person("a")));
        let ops = ops.into_iter().chain([
            (lab.say("g", quota(realm, Some(1)), &[]), "not-allowed"),
            (lab.say("a", quota(body::QuotaOf::Person(person("s")), Some(1)), &[]), "no-such"),
            (lab.say("a", quota(body::QuotaOf::Bucket(bucket(9)), Some(1)), &[]), "no-such"),
            (lab.say("a", quota(body::QuotaOf::Bucket(bucket(1)), Some(3)), &[]), "ok"),
            (lab.say("a", quota(service, Some(4)), &[]), "ok"),
            (lab.say("a", quota(realm, Some(5)), &[]), "ok"),
            (lab.say("b", quota(a, Some(7)), &[]), "ok"),
            (lab.say("b", quota(realm, None), &[]), "ok"),
            (lab.say("g", end(1, 2 << 16), &[]), "not-allowed"),
            (lab.say("a", end(9, 2 << 16), &[]), "no-such"),
            (lab.say("a", end(1, 1), &[]), "numbers"),
            (lab.say("a", end(1, 2 << 16 | 7), &[]), "ok"),
            (lab.say("b", end(1, 2 << 16 | 9), &[]), "ok"),
            (lab.say("b", end(1, 1 << 16), &[]), "numbers"),
            (lab.say("b", end(1, 0xffff_0000), &[]), "numbers"),
            (lab.say("g", erase("c", &[2]), &[]), "not-allowed"),
            (lab.say("a", erase("x", &[2]), &[]), "no-such"),
            (lab.say("a", erase("c", &[9]), &[]), "no-such"),
            (lab.say("a", add_member("c"), &[]), "ok"),
            (lab.say("a", remove("c", 0), &[]), "ok"),
            (lab.say("a", erase("c", &[2]), &[]), "ok"),
        ]);
        for (at, (op, code)) in ops.enumerate() {
            assert_eq!(lab.code(&op), code, "{at}");
        }
        assert_eq!(lab.code(&drain), "ok");
        let state = lab.fold().state;
        assert_eq!(state.buckets[&bucket(1)].rules, away);
        assert_eq!(state.quotas, [(a, 7), (body::QuotaOf::Bucket(bucket(1)), 3), (service, 4)].into());
        lab
    };
    lone_checkpoint: "A lone rogue checkpoints its own history.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let heads = lab.heads();
        lab.say("a", remove("m", 0), &["b"]);
        let word = lab.say_from(&heads, "m", set_bucket(1), &[]);
        let check = body::Checkpoint { base: None, standing: Bounded::new() };
        let check = lab.say_from(&[word], "m", check, &[]);
        assert_eq!((lab.code(&word), lab.code(&check)), ("revoked", "pending"));
        assert_eq!(lab.fold().state.epoch, 0);
        lab
    };
    conflicting_checkpoints: "A rogue signs two checkpoints with two admins who do not hear of each other.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let heads = lab.heads();
        let mut one = Lab { set: lab.set.clone(), ..lab.clone() };
        one.say_from(&heads, "a", set_bucket(1), &[]);
        lab.say_from(&heads, "b", set_bucket(2), &[]);
        one.checkpoint("a", &["m"]);
        lab.checkpoint("b", &["m"]);
        let ops: Vec<Op> = one.set.iter().cloned().collect();
        for op in ops {
            lab.set.insert(op).unwrap();
        }
        let alarms = lab.fold().state.alarms;
        assert!(matches!(alarms[..], [crate::Alarm::ConflictingCheckpoints { .. }]), "{alarms:?}");
        assert_eq!(lab.buckets(), [1, 2]);
        lab.checkpoint("a", &["b"]);
        assert!(lab.fold().state.alarms.is_empty());
        lab
    };
    newer_level: "A majority signs something this level does not know; power operations after it wait for a newer program.", || {
        let mut lab = Lab::new(&["a", "b", "m"]);
        let unknown = |n| Body::Unknown(body::Unknown { kind: 900, bytes: vec![n] });
        let lone = lab.op("m", unknown(1), &[], |h| h.level = 2);
        lab.take(lone);
        lab.say("a", add_admin("c"), &["b", "c"]);
        assert_eq!(lab.fold().state.newer_than_me, None);
        let future = lab.op("a", unknown(2), &["b", "c"], |h| h.level = 2);
        let future = lab.take(future);
        assert_eq!((lab.code(&future), lab.fold().state.newer_than_me), ("unknown-kind", Some(2)));
        let power = lab.say("a", add_admin("d"), &["b", "c", "d"]);
        let plain = lab.say("a", set_bucket(1), &[]);
        assert_eq!((lab.code(&power), lab.code(&plain)), ("newer-than-me", "ok"));
        lab
    };
    witnesses: "Witness nodes sign a checkpoint in the admins' place; half of them is not enough.", || {
        let mut lab = Lab::new(&["a", "b"]);
        for node in ["n", "o", "q"] {
            lab.say("a", add_node(node, NodeRoles::WITNESS), &[node]);
        }
        let mut nodes = ["n", "o", "q"].map(node_id);
        nodes.sort();
        lab.say("a", body::WitnessesSet { nodes: list(nodes), threshold: 2 }, &["b"]);
        let one = lab.checkpoint("n", &[]);
        assert_eq!((lab.code(&one), lab.fold().state.epoch), ("pending", 0));
        let two = lab.checkpoint("n", &["q"]);
        assert_eq!((lab.code(&two), lab.fold().state.epoch), ("ok", 1));
        lab
    };
    thief_cuts_the_owner: "A stolen device of a sole admin removes the owner's other device, which removes it at the same time: one wins, and guardians can decide.", || {
        let mut lab = Lab::new(&["a"]);
        let more = crate::draft::add_device(&lab.fold().state, &key("a"), &key("a2"), box_key("a2")).unwrap();
        lab.say("a", more, &[]);
        let heads = lab.heads();
        let state = lab.fold().state;
        let owner = crate::draft::remove_device(&lab.set, &state, &key("a"), key_id("a2")).unwrap();
        let thief = crate::draft::remove_device(&lab.set, &state, &key("a2"), key_id("a")).unwrap();
        let owner = lab.say_from(&heads, "a", owner, &[]);
        let thief = lab.say_from(&heads, "a2", thief, &[]);
        let mut outcome = [lab.code(&owner), lab.code(&thief)];
        outcome.sort_unstable();
        assert_eq!(outcome, ["ok", "revoked"]);
        let body = crate::draft::recovery(&lab.fold(), [vec![founding("z")]], None).unwrap();
        let recovery = lab.say("z", body, &["g2", "g3"]);
        lab.clock.matured.insert(recovery);
        lab.is_admins(&["z"]);
        lab
    };
    suspended_node: "A node is suspended by one admin: what it does meanwhile is held.", || {
        let mut lab = Lab::new(&["a", "b"]);
        lab.say("a", add_node("n", NodeRoles::GATEWAY), &["n"]);
        let first = lab.say("n", set_bucket(1), &[]);
        let target = Target::Node(node_id("n"));
        let body = crate::draft::suspend(&lab.set, &lab.fold().state, target);
        lab.say("a", body, &[]);
        let held = lab.say_from(&[first], "n", set_bucket(2), &[]);
        let alone = lab.say("a", body::Lift { target }, &[]);
        assert_eq!([lab.code(&held), lab.code(&alone)], ["held", "pending"]);
        lab.say("b", body::Lift { target }, &["a"]);
        assert_eq!(lab.buckets(), [1, 2]);
        lab
    };
}
