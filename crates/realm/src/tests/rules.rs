//! The ordinary course of things, and rules that no attack is named after.

use freehold_crypt::SigningKey;
use freehold_wire::{Bounded, GrantId, Millis, NodeId, OpId, RealmId};

use crate::body::{self, Ceilings, Resource, Target, Terms};
use crate::draft::{self, DraftError, draft};
use crate::fold::{Clock, Pending, fold, matured};
use crate::op::Op;
use crate::person::{ChainError, Statement, read_chain};
use crate::reason::Reason;
use crate::roles::{MemberRoles, NodeRoles};
use crate::set::{InsertError, Inserted, OpSet};
use crate::state::{Side, Standing};

use super::lab::*;
use super::random::Dice;

fn invite(name: &str, device: Option<Statement>) -> body::InvitationIssue {
    let roles = NodeRoles::STORAGE.with(NodeRoles::GATEWAY);
    body::InvitationIssue { key: key(name).verifying(), roles, expires: Millis(START + DAY), device }
}

#[test]
fn a_machine_joins_by_invitation_and_brings_a_device() {
    let mut lab = Lab::new(&["a"]);
    let state = lab.fold().state;
    let delegate = draft::delegate_device(&state, &key("a"), key("i").verifying()).unwrap();
    lab.say("a", invite("i", Some(delegate)), &[]);
    let state = lab.fold().state;
    assert_eq!(state.open_invitations(Millis(lab.now)).count(), 1);
    let device = draft::invited_device(&state, &key("i"), &key("a2"), box_key("a2")).unwrap();
    let redeem =
        body::InvitationRedeem { node: key("n").verifying(), box_key: box_key("n"), device: Some(device) };
    lab.say("i", redeem, &["n", "a"]);
    let state = lab.fold().state;
    assert_eq!(state.open_invitations(Millis(lab.now)).count(), 0);
    let node = &state.nodes[&node_id("n")];
    assert_eq!((node.standing, node.admitted_by), (Standing::Active, Some(person("a"))));
    assert_eq!(state.device(&key_id("a2")).unwrap().0, person("a"));
    // The new device is the admin now, also alone.
    lab.say("a2", set_bucket(1), &[]);
    lab.say("n", set_bucket(2), &[]);
    assert_eq!(lab.buckets(), [1, 2]);
    let chain = lab.fold().state.persons[&person("a")].chain.clone();
    let (who, devices) = read_chain(&chain).unwrap();
    assert_eq!((who, devices.len()), (person("a"), 2));
    assert!(chain.iter().all(|s| s.verify().is_ok()));
    // The identity survives a change of realm.
    let mut other = Lab::new(&["b"]);
    let body = body::MemberAdd { chain: list(chain), roles: MemberRoles::OPERATOR };
    other.say("b", body, &[]);
    other.say("a2", set_bucket(9), &[]);
    assert_eq!(other.buckets(), [9]);
}

/// What cannot be taken up is not given.
#[test]
fn an_invitation_is_refused_where_the_device_would_find_no_room() {
    let mut lab = Lab::new(&["a"]);
    let ask = |lab: &mut Lab, name: &str| {
        let delegate = draft::delegate_device(&lab.fold().state, &key("a"), key(name).verifying()).unwrap();
        lab.say("a", invite(name, Some(delegate)), &[])
    };
    let mut open = 0;
    let last = loop {
        let id = ask(&mut lab, &format!("i{open}"));
        if lab.code(&id) != "ok" {
            break id;
        }
        open += 1;
    };
    // Each takes two statements; the founding one is there.
    assert_eq!((open, lab.fold().refused[&last]), (63, Reason::ChainFull));
    let add = draft::add_device(&lab.fold().state, &key("a"), &key("a2"), box_key("a2")).unwrap();
    let add = lab.say("a", add, &[]);
    assert_eq!(lab.code(&add), "ok", "one statement is left");
    for n in 0..14 {
        let (invitation, device) = (format!("i{n}"), format!("b{n}"));
        let state = lab.fold().state;
        let statement = draft::invited_device(&state, &key(&invitation), &key(&device), box_key(&device));
        let node = format!("n{n}");
        let (public, bx) = (key(&node).verifying(), box_key(&node));
        let redeem = body::InvitationRedeem { node: public, box_key: bx, device: statement };
        let redeem = lab.say(&invitation, redeem, &[&node, "a"]);
        assert_eq!(lab.code(&redeem), "ok", "{n}");
    }
    assert_eq!(lab.fold().state.persons[&person("a")].devices.len(), 16);
    // No seventeenth device, however much room there is for statements.
    let mut lab = Lab::new(&["a"]);
    for n in 0..15 {
        let device = format!("b{n}");
        let add = draft::add_device(&lab.fold().state, &key("a"), &key(&device), box_key(&device)).unwrap();
        lab.say("a", add, &[]);
    }
    let id = ask(&mut lab, "i");
    assert_eq!(lab.fold().refused[&id], Reason::Numbers);
}

#[test]
fn an_admins_word_for_one_of_two_newcomers_ends_the_alarm() {
    for other in ["o", "q", "r", "s", "t", "u"] {
        let mut lab = Lab::new(&["a"]);
        for node in ["g", "m"] {
            lab.say("a", add_node(node, NodeRoles::GATEWAY), &[node]);
        }
        let invite = lab.invite("a", "i", NodeRoles::GATEWAY);
        let [first, second] =
            [("n", "g"), (other, "m")].map(|(node, door)| lab.redemption(&[invite], "i", node, &[door]));
        let first = lab.take(first);
        lab.take(second);
        assert_eq!(lab.fold().state.alarms.len(), 1, "{other}");
        lab.sign(&first, &["a"]);
        let state = lab.fold().state;
        assert!(state.nodes.contains_key(&node_id("n")), "{other}");
        assert_eq!((state.alarms.len(), state.invitations[&key_id("i")].cancelled), (0, false), "{other}");
    }
}

#[test]
fn a_device_does_not_suspend_itself() {
    let mut lab = Lab::new(&["a"]);
    let add = draft::add_device(&lab.fold().state, &key("a"), &key("a2"), box_key("a2")).unwrap();
    lab.say("a", add, &[]);
    let target = Target::Device(key_id("a2"));
    let own = lab.say("a2", body::Suspend { target, last: Bounded::new() }, &[]);
    assert_eq!(lab.code(&own), "not-allowed");
    let other = lab.say("a", body::Suspend { target, last: Bounded::new() }, &[]);
    assert_eq!(lab.code(&other), "ok");
}

#[test]
fn an_invitation_taken_back_is_closed_also_to_whoever_did_not_know() {
    let mut lab = Lab::new(&["a"]);
    let issued = lab.say("a", invite("i", None), &[]);
    lab.say("a", body::InvitationCancel { key: key_id("i") }, &[]);
    let redeem = body::InvitationRedeem { node: key("n").verifying(), box_key: box_key("n"), device: None };
    let redeem = lab.say_from(&[issued], "i", redeem, &["n", "a"]);
    assert_eq!(lab.code(&redeem), "revoked");
}

#[test]
fn a_removed_device_loses_what_it_adds_behind_the_remover() {
    let mut lab = Lab::new(&["a"]);
    let add = draft::add_device(&lab.fold().state, &key("a"), &key("a2"), box_key("a2")).unwrap();
    lab.say("a", add, &[]);
    let state = lab.fold().state;
    let heads = lab.heads();
    let thief = draft::add_device(&state, &key("a2"), &key("a3"), box_key("a3")).unwrap();
    let away = draft::remove_device(&lab.set, &state, &key("a"), key_id("a2")).unwrap();
    let (stolen, removal) = (thief.statement.clone(), away.statement.clone());
    lab.say("a", away, &[]);
    let thief = lab.say_from(&heads, "a2", thief, &[]);
    assert_eq!(lab.code(&thief), "revoked");
    let devices = &lab.fold().state.persons[&person("a")].devices;
    assert_eq!(devices.keys().copied().collect::<Vec<_>>(), [key_id("a")]);
    // The portable chain says the same, in either order.
    let mut chain = state.persons[&person("a")].chain.clone();
    for pair in [[stolen.clone(), removal.clone()], [removal, stolen]] {
        let len = chain.len();
        chain.extend(pair);
        assert_eq!(read_chain(&chain).unwrap().1.into_keys().collect::<Vec<_>>(), [key_id("a")]);
        chain.truncate(len);
    }
}

#[test]
fn chains_that_do_not_hold_are_refused() {
    let (me, founded) = (person("a"), founding("a"));
    let foreign = Statement::add(me, founded.id(), &key("x"), &key("y"), box_key("y"));
    assert_eq!(read_chain(&[founded.clone(), foreign]), Err(ChainError::Signer));
    let gap = Statement::add(me, founding("b").id(), &key("a"), &key("y"), box_key("y"));
    assert_eq!(read_chain(&[founded.clone(), gap.clone()]), Err(ChainError::Gap));
    assert_eq!(read_chain(&[gap]), Err(ChainError::Beginning));
    let other = Statement::add(person("b"), founded.id(), &key("a"), &key("y"), box_key("y"));
    assert_eq!(read_chain(&[founded.clone(), other]), Err(ChainError::OtherPerson));
    let delegate = Statement::delegate(me, founded.id(), &key("a"), key("i").verifying());
    let more = Statement::delegate(me, delegate.id(), &key("i"), key("j").verifying());
    assert_eq!(read_chain(&[founded.clone(), delegate.clone(), more]), Err(ChainError::Signer));
    let one = Statement::add(me, delegate.id(), &key("i"), &key("y"), box_key("y"));
    let two = Statement::add(me, one.id(), &key("i"), &key("z"), box_key("z"));
    assert_eq!(read_chain(&[founded, delegate, one, two]), Err(ChainError::Signer));
}

#[test]
fn drafts_follow_the_log_and_travel_with_their_signatures() {
    let mut lab = Lab::new(&["a", "b"]);
    let folded = lab.fold();
    let now = Millis(lab.now + 5000);
    let body = remove("b", lab.set.last_seq(&key_id("b")));
    let proposal = draft(&lab.set, &folded.state, &key("a"), body, now).unwrap();
    let id = lab.take(proposal);
    assert_eq!(lab.fold().pending[&id], Pending::Signatures { have: 1, need: 2 });
    let endorsed = draft::cosign(&lab.set, &lab.fold().state, &id, &key("b"), &key("b"), now).unwrap();
    lab.take(endorsed);
    lab.is_admins(&["a"]);
    // Whoever hears the endorsement has the signature.
    let mut other = OpSet::new(lab.set.realm());
    for op in lab.set.iter() {
        let bytes = op.to_bytes();
        other.insert(Op::decode(&bytes).unwrap()).unwrap();
    }
    assert_eq!(fold(&other, &Clock::default()), lab.fold());
}

#[test]
fn cosigning_refuses_what_would_contradict_or_is_stale() {
    let mut lab = Lab::new(&["a", "b", "c"]);
    let now = Millis(lab.now);
    let proposal = lab.say("a", remove("c", 0), &[]);
    let late = Millis(lab.now + 15 * DAY);
    let early = Millis(lab.now - DAY);
    let state = lab.fold().state;
    for (time, fits) in [(late, false), (early, false), (now, true)] {
        assert_eq!(draft::cosign(&lab.set, &state, &proposal, &key("b"), &key("b"), time).is_ok(), fits);
    }
    let heads = lab.heads();
    let body = draft::checkpoint(&lab.fold()).unwrap();
    let one = lab.say_from(&heads, "a", body.clone(), &[]);
    let two = lab.say_from(&heads, "b", body.clone(), &[]);
    let signing = |signer: &str, id: &OpId, time| {
        draft::cosign(&lab.set, &lab.fold().state, id, &key(signer), &key(signer), time)
    };
    let now = Millis(lab.now);
    assert_eq!(signing("a", &two, now), Err(DraftError::SignedOther(one)));
    assert_eq!(signing("b", &one, now), Err(DraftError::SignedOther(two)));
    assert!(signing("c", &one, now).is_ok());
    // After three days one of the two gives way, not both.
    let later = Millis(lab.now + 4 * DAY);
    assert_ne!(signing("a", &two, later).is_ok(), signing("b", &one, later).is_ok());
    assert!(draft(&lab.set, &lab.fold().state, &key("a"), body, now).is_err());
}

#[test]
fn a_burned_key_drafts_no_more() {
    let mut lab = Lab::new(&["a"]);
    let one = lab.op("a", set_bucket(1), &[], |_| {});
    let two = lab.op("a", set_bucket(2), &[], |_| {});
    lab.take(one);
    lab.take(two);
    let refused = draft(&lab.set, &lab.fold().state, &key("a"), set_bucket(3), Millis(lab.now));
    assert_eq!(refused, Err(DraftError::Burned));
    assert_eq!(lab.fold().state.persons[&person("a")].standing, Standing::Burned);
}

#[test]
fn a_recovery_matures_once_it_was_held_for_three_days() {
    let mut lab = Lab::new(&["a"]);
    let recovery = lab.recovery(&["z"], &["g1", "g2"]);
    let seen = [(recovery, Millis(lab.now))].into();
    let folded = lab.fold();
    assert!(matured(&seen, &folded, Millis(lab.now + 3 * DAY - 1)).is_empty());
    lab.clock.matured = matured(&seen, &folded, Millis(lab.now + 3 * DAY));
    lab.is_admins(&["z"]);
    assert_eq!(lab.fold().state.epoch, 1);
    // The new admin goes on: checkpoints, guardians.
    lab.checkpoint("z", &[]);
    lab.say("z", body::GuardiansSet { guardians: guardians(&["h1", "h2"], 2) }, &[]);
    let state = lab.fold().state;
    assert_eq!((state.epoch, state.guardians.guardians.len()), (2, 2));
}

#[test]
fn a_guardian_is_tested_by_its_own_signature() {
    let mut lab = Lab::new(&["a"]);
    let tested = body::GuardianTested { guardian: key_id("g1") };
    let alone = lab.say("a", tested.clone(), &[]);
    assert_eq!((lab.code(&alone), lab.fold().state.guardians_proven()), ("not-allowed", false));
    lab.say("a", tested, &["g1"]);
    assert!(!lab.fold().state.guardians_proven(), "one phrase recovers nothing");
    lab.say("a", body::GuardianTested { guardian: key_id("g3") }, &["g3"]);
    assert!(lab.fold().state.guardians_proven());
}

#[test]
fn grants_are_offered_accepted_suspended_and_ended() {
    let (mut lends, mut borrows) = (Lab::new(&["a", "b"]), Lab::new(&["b"]));
    let grant = GrantId::from_bytes([5; 32]);
    let terms = Terms {
        resource: Resource::Storage,
        ceilings: Ceilings { bytes: 1 << 40, ..Ceilings::default() },
        from: Millis(START),
        until: Millis(START + 365 * DAY),
        wind_down_days: 30,
    };
    let to = borrows.set.realm();
    let offer = lends.say("a", body::GrantOffer { grant, to, terms, keys: list([]), homes: None }, &[]);
    borrows.say("b", body::GrantAccept { grant, from: lends.set.realm(), offer, terms }, &[]);
    let (ours, theirs) =
        (lends.fold().state.grants[&grant].clone(), borrows.fold().state.grants[&grant].clone());
    assert_eq!(
        (ours.side, theirs.side, ours.offer, ours.terms),
        (Side::Lends, Side::Borrows, theirs.offer, theirs.terms)
    );
    let target = Target::Grant(grant);
    let suspension = body::Suspend { target, last: Bounded::new() };
    lends.say("a", suspension, &[]);
    assert!(lends.fold().state.grants[&grant].suspended);
    // What the lift did not know of stays.
    let (before, suspension) = (lends.heads(), body::Suspend { target, last: Bounded::new() });
    lends.say_from(&before, "b", suspension, &[]);
    lends.say_from(&before, "a", body::Lift { target }, &["b"]);
    assert!(lends.fold().state.grants[&grant].suspended);
    lends.say("a", body::Lift { target }, &["b"]);
    assert!(!lends.fold().state.grants[&grant].suspended);
    borrows.say("b", body::GrantRevoke { grant }, &[]);
    assert!(borrows.fold().state.grants[&grant].revoked);
    let first = borrows.fold().state.grants[&grant].ended;
    borrows.say("b", body::GrantRevoke { grant }, &[]);
    assert!(first.is_some() && borrows.fold().state.grants[&grant].ended == first, "it ends once");
}

#[test]
fn room_is_lent_by_machines_that_the_offer_names_and_no_others() {
    let mut lab = Lab::new(&["a"]);
    for name in ["n", "m"] {
        lab.say("a", add_node(name, NodeRoles::STORAGE), &[name]);
    }
    let mut both = [node_id("n"), node_id("m")];
    both.sort_unstable();
    let mut offer = |n: u8, resource, homes: Vec<NodeId>| {
        let terms = Terms {
            resource,
            ceilings: Ceilings { bytes: 1 << 40, ..Ceilings::default() },
            from: Millis(START),
            until: Millis(START + DAY),
            wind_down_days: 7,
        };
        let (grant, to) = (GrantId::from_bytes([n; 32]), RealmId::from_bytes([9; 32]));
        let body = body::GrantOffer {
            grant,
            to,
            terms,
            keys: list([]),
            homes: Some(Bounded::from_vec(homes).unwrap()),
        };
        let said = lab.say("a", body, &[]);
        let grants = lab.fold().state.grants;
        grants.get(&grant).map_or_else(|| Err(lab.code(&said)), |grant| Ok(grant.homes.clone()))
    };
    assert_eq!(offer(1, Resource::Storage, both.to_vec()), Ok(both.to_vec()));
    assert_eq!(offer(2, Resource::Storage, vec![both[1], both[0]]), Err("numbers"));
    assert_eq!(offer(3, Resource::Storage, vec![]), Err("numbers"));
    assert_eq!(offer(4, Resource::Services, both.to_vec()), Err("numbers"));
    assert_eq!(offer(5, Resource::Storage, vec![node_id("nobody")]), Err("no-such"));
}

#[test]
fn admins_alone_erase_a_bucket_and_once() {
    let mut lab = Lab::new(&["a"]);
    lab.say("a", add_node("n", NodeRoles::GATEWAY), &["n"]);
    let erase = |n| body::BucketErase { bucket: bucket(n) };
    lab.say("n", set_bucket(1), &[]);
    lab.say("n", set_bucket(2), &[]);
    let by_gateway = lab.say("n", erase(1), &[]);
    assert_eq!((lab.code(&by_gateway), lab.buckets()), ("not-allowed", vec![1, 2]));
    let unknown = lab.say("a", erase(3), &[]);
    assert_eq!(lab.code(&unknown), "no-such");
    lab.say("n", body::BucketDelete { bucket: bucket(2) }, &[]);
    for n in [1, 2] {
        let erased = lab.say("a", erase(n), &[]);
        assert_eq!(lab.fold().state.buckets[&bucket(n)].erased, Some(erased));
    }
    let again = lab.say("a", erase(1), &[]);
    let anew = lab.say("n", set_bucket(1), &[]);
    assert_eq!((lab.code(&again), lab.code(&anew), lab.buckets()), ("no-such", "no-such", vec![]));
}

#[test]
fn admins_alone_erase_a_person_with_buckets_that_are_there() {
    let mut lab = Lab::new(&["a"]);
    lab.say("a", add_node("n", NodeRoles::GATEWAY), &["n"]);
    lab.say("a", add_member("s"), &[]);
    for n in [1, 2, 3] {
        lab.say("n", set_bucket(n), &[]);
    }
    let of = body::QuotaOf::Person(person("s"));
    lab.say("a", body::QuotaSet { of, bytes: Some(1) }, &[]);
    let erase = |who: &str, buckets: &[u8]| body::PersonErase {
        person: person(who),
        buckets: list(buckets.iter().copied().map(bucket)),
    };
    let before = lab.say("a", body::BucketErase { bucket: bucket(1) }, &[]);
    lab.say("a", remove("s", 0), &[]);
    let ops = [
        (lab.say("n", erase("s", &[2]), &[]), "not-allowed"),
        (lab.say("a", erase("x", &[2]), &[]), "no-such"),
        (lab.say("a", erase("s", &[2, 9]), &[]), "no-such"),
    ];
    assert!(ops.iter().all(|(op, code)| lab.code(op) == *code));
    assert_eq!((lab.buckets(), lab.fold().state.quotas.len()), (vec![2, 3], 1));
    let erased = lab.say("a", erase("s", &[1, 2]), &[]);
    let later = lab.say("a", erase("s", &[]), &[]);
    let state = lab.fold().state;
    let by = [1, 2, 3].map(|n| state.buckets[&bucket(n)].erased);
    assert_eq!((by, lab.buckets()), ([Some(before), Some(erased), None], vec![3]));
    assert_eq!(state.erased_persons, [(erased, person("s")), (later, person("s"))].into());
    assert!(state.quotas.is_empty());
}

#[test]
fn keys_of_a_bucket_end_generation_by_generation() {
    let mut lab = Lab::new(&["a"]);
    lab.say("a", add_node("n", NodeRoles::GATEWAY), &["n"]);
    lab.say("n", set_bucket(1), &[]);
    let end = |kept| body::KeysErase { bucket: bucket(1), kept, object: None, deleted: None };
    let kept = |lab: &Lab| -> Vec<u32> {
        lab.fold().state.buckets[&bucket(1)].ended.iter().map(|ended| ended.kept).collect()
    };
    let by_gateway = lab.say("n", end(2 << 16), &[]);
    let root = lab.say("a", end(1), &[]);
    assert_eq!((lab.code(&by_gateway), lab.code(&root), kept(&lab)), ("not-allowed", "numbers", vec![]));
    let unknown = body::KeysErase { bucket: bucket(2), kept: 2 << 16, object: None, deleted: None };
    let unknown = lab.say("a", unknown, &[]);
    assert_eq!(lab.code(&unknown), "no-such");
    lab.say("a", end(2 << 16 | 7), &[]);
    // As if it was said apart.
    let same = lab.say("a", end(2 << 16 | 9), &[]);
    assert_eq!((lab.code(&same), lab.fold().state.kept(&bucket(1))), ("ok", Some(2 << 16 | 9)));
    lab.say("a", end(3 << 16), &[]);
    let earlier = lab.say("a", end(2 << 16), &[]);
    let leap = lab.say("a", end(5000 << 16), &[]);
    assert_eq!((lab.code(&earlier), lab.code(&leap)), ("numbers", "numbers"));
    assert_eq!(kept(&lab), [2 << 16 | 7, 2 << 16 | 9, 3 << 16]);
    let said = |deleted: Option<Millis>| body::KeysErase { deleted, ..end(4 << 16) };
    let times = |lab: &Lab| lab.fold().state.buckets[&bucket(1)].ended.last().unwrap().at;
    lab.say("a", said(Some(Millis(5))), &[]);
    assert_eq!(times(&lab), Millis(5));
    lab.say("a", said(Some(Millis(u64::MAX))), &[]);
    assert!(times(&lab) < Millis(u64::MAX / 2), "nobody kills what is written for ever after");
    lab.say("a", body::BucketErase { bucket: bucket(1) }, &[]);
    let gone = lab.say("a", end(5 << 16), &[]);
    assert_eq!(lab.code(&gone), "no-such");
}

#[test]
fn buckets_and_nodes_come_and_go() {
    let mut lab = Lab::new(&["a"]);
    lab.say("a", add_node("n", NodeRoles::GATEWAY), &["n"]);
    let odd = lab.say("n", body::BucketSet { bucket: bucket(1), copies: 2, confirm: 3, rules: None }, &[]);
    assert_eq!(lab.code(&odd), "numbers");
    lab.say("n", set_bucket(1), &[]);
    lab.say("n", body::BucketDelete { bucket: bucket(1) }, &[]);
    let again = lab.say("n", set_bucket(1), &[]);
    assert_eq!((lab.code(&again), lab.buckets()), ("no-such", vec![]));
    let leave = body::NodeRemove { node: node_id("n"), last: lab.set.last_seq(&key_id("n")) };
    lab.say("n", leave, &[]);
    let late = lab.say("n", set_bucket(2), &[]);
    assert_eq!((lab.code(&late), lab.fold().state.nodes.len()), ("stranger", 0));
    lab.say("a", add_node("n", NodeRoles::STORAGE), &["n"]);
    assert_eq!(lab.fold().state.nodes[&node_id("n")].roles, NodeRoles::STORAGE);
}

#[test]
fn junk_signatures_neither_help_nor_displace() {
    let mut lab = Lab::new(&["a", "b"]);
    let id = lab.say("a", remove("b", 0), &[]);
    let mut flooded = lab.set.get(&id).unwrap().clone();
    for n in 0..200 {
        flooded.add_signature(&key(&format!("junk {n}")));
    }
    assert_eq!(Op::decode(&flooded.to_bytes()).unwrap().signatures().len(), crate::SIGNATURES_MAX);
    assert_eq!(lab.set.weigh(&flooded), Inserted::Known, "not news, or it would be passed on for ever");
    assert_eq!(lab.set.insert(flooded), Ok(Inserted::Known));
    assert_eq!(lab.set.get(&id).unwrap().signatures().len(), 1);
    assert_eq!(lab.fold().pending[&id], Pending::Signatures { have: 1, need: 2 });
    lab.sign(&id, &["b"]);
    lab.is_admins(&["a"]);
}

#[test]
fn strangers_are_kept_out_of_the_set() {
    let mut lab = Lab::new(&["a"]);
    let first = lab.op("x", set_bucket(1), &[], |_| {});
    let mut alone = lab.set.clone();
    let refused = InsertError::Stranger(first.id());
    let next = lab.op("x", set_bucket(2), &[], |h| {
        (h.seq, h.prev, h.parents) = (2, Some(first.id()), sorted(&[first.id()]));
    });
    assert_eq!(alone.insert(next.clone()), Ok(Inserted::New));
    assert_eq!(alone.insert(first), Err(refused));
    assert!(!alone.contains(&next.id()) && alone.waiting().count() == 0);
    // Whoever was let in, be it by an operation that is void, is no stranger.
    lab.say("a", add_node("n", NodeRoles::SECRETS), &["n"]);
    lab.say("n", set_bucket(1), &[]);
}

/// Two with one number prove that a key is in two hands, a third one nothing more.
#[test]
fn third_twins_are_kept_only_where_others_built_on_them() {
    let mut lab = Lab::new(&["a"]);
    lab.say("a", add_node("m", NodeRoles::GATEWAY), &["m"]);
    let heads = lab.heads();
    let twins = [0, 1, 2]
        .map(|n| lab.op("m", set_bucket(n), &[], |h| (h.seq, h.prev, h.parents) = (1, None, sorted(&heads))));
    let child = lab.op("a", set_bucket(7), &[], |h| h.parents = sorted(&[twins[2].id()]));
    lab.take(twins[0].clone());
    lab.take(twins[1].clone());
    let surplus = Err(InsertError::Surplus(twins[2].id()));
    assert_eq!(lab.set.insert(twins[2].clone()), surplus);
    assert_eq!(lab.set.insert(child.clone()), Ok(Inserted::New));
    lab.take(twins[2].clone());
    assert_eq!((lab.code(&child.id()), lab.buckets()), ("ok", vec![7]));
    // A replica that heard the others first says the same of everything but the third.
    let mut other = Lab { set: OpSet::new(lab.set.realm()), ..lab.clone() };
    let mut ops: Vec<Op> = lab.set.iter().cloned().collect();
    ops.retain(|op| op.id() != twins[0].id());
    for op in ops {
        other.take(op);
    }
    assert_eq!(other.set.insert(twins[0].clone()), Err(InsertError::Surplus(twins[0].id())));
    assert_eq!((other.fold().state.nodes, other.buckets()), (lab.fold().state.nodes, vec![7]));
}

#[test]
fn a_member_leaves_but_an_admin_needs_the_others() {
    let mut lab = Lab::new(&["a", "b"]);
    lab.say("a", add_member("c"), &[]);
    lab.say("c", remove("c", 9), &[]);
    assert!(!lab.fold().state.persons.contains_key(&person("c")));
    let back = lab.say("a", add_member("c"), &[]);
    assert_eq!(lab.code(&back), "ok");
    let leave = lab.say("b", remove("b", 9), &[]);
    assert_eq!(lab.code(&leave), "pending");
}

#[test]
fn operations_wait_for_their_parents() {
    let mut lab = Lab::new(&["a", "b"]);
    for n in 0..20 {
        lab.say("a", set_bucket(n), &[]);
    }
    let mut ops: Vec<Op> = lab.set.iter().cloned().collect();
    ops.reverse();
    let genesis = ops.pop().unwrap();
    let mut other = OpSet::new(lab.set.realm());
    for op in ops {
        assert_eq!(other.insert(op.clone()), Ok(Inserted::New));
        assert_eq!(other.insert(op), Ok(Inserted::Known));
    }
    assert!(other.is_empty());
    other.insert(genesis).unwrap();
    assert_eq!((other.heads(), other.waiting().count()), (lab.set.heads(), 0));
    assert_eq!(fold(&other, &lab.clock), lab.fold());
}

#[test]
fn an_empty_set_folds_to_an_empty_state() {
    let set = OpSet::new(RealmId::from_bytes([0; 32]));
    let folded = fold(&set, &Clock::default());
    assert!(folded.state.persons.is_empty() && folded.refused.is_empty());
    let nobody: &SigningKey = &key("a");
    let refused = draft(&set, &folded.state, nobody, set_bucket(1), Millis(1));
    assert_eq!(refused, Err(DraftError::NothingHeard));
}

/// The lanes against plain search, over random shapes.
#[test]
fn is_before_agrees_with_a_search() {
    let mut dice = Dice(11);
    for _ in 0..20 {
        let mut lab = Lab::new(&["a"]);
        let mut ids: Vec<OpId> = lab.set.iter().map(Op::id).collect();
        for n in 0..40 {
            let parents: Vec<OpId> = (0..=dice.roll(3)).map(|_| ids[dice.roll(ids.len())]).collect();
            let op = lab.op("a", set_bucket(n), &[], |h| {
                (h.seq, h.prev, h.parents) = (2, Some(ids[0]), sorted(&parents));
            });
            ids.push(lab.take(op));
        }
        for later in &ids {
            let mut past = std::collections::BTreeSet::new();
            let mut open: Vec<OpId> = lab.set.get(later).unwrap().parents().collect();
            while let Some(id) = open.pop() {
                if past.insert(id) {
                    open.extend(lab.set.get(&id).unwrap().parents());
                }
            }
            for earlier in &ids {
                assert_eq!(lab.set.is_before(earlier, later), past.contains(earlier));
            }
        }
    }
}

#[test]
fn reasons_have_words() {
    let of = OpId::from_bytes([1; 32]);
    for why in [Reason::Cascade { of }, Reason::Held { by: of }, Reason::Lapsed, Reason::LastAdmin] {
        assert!(!why.to_string().is_empty() && why.code().is_ascii());
    }
}

#[test]
fn a_draft_names_no_more_heads_than_it_may() {
    let mut lab = Lab::new(&["a", "b"]);
    let heads = lab.heads();
    for n in 0..60 {
        let twin =
            lab.op("b", set_bucket(n), &[], |h| (h.seq, h.prev, h.parents) = (1, None, sorted(&heads)));
        lab.take(twin);
    }
    let proposal = lab.op("a", remove("b", 0), &[], |h| h.parents = sorted(&heads));
    let proposal = lab.take(proposal);
    let (state, now) = (lab.fold().state, Millis(lab.now));
    let op = draft(&lab.set, &state, &key("a"), set_bucket(99), now).unwrap();
    assert!(op.head().parents.len() <= crate::PARENTS_MAX);
    let carried = draft::cosign(&lab.set, &state, &proposal, &key("g1"), &key("a"), now).unwrap();
    let id = lab.take(carried);
    assert!(lab.set.is_before(&proposal, &id));
}

#[test]
fn the_role_secrets_is_not_taken_from_a_node_that_stays() {
    let mut lab = Lab::new(&["a"]);
    let all = NodeRoles::STORAGE.with(NodeRoles::SECRETS);
    lab.say("a", add_node("n", all), &["n"]);
    let change = |roles| body::NodeChange { node: node_id("n"), roles };
    let less = lab.say("a", change(NodeRoles::STORAGE), &[]);
    assert_eq!(lab.code(&less), "keeps-secrets");
    let other = lab.say("a", change(NodeRoles::SECRETS), &[]);
    assert_eq!(lab.code(&other), "ok");
    assert_eq!(lab.fold().state.nodes[&node_id("n")].roles, NodeRoles::SECRETS);
}
