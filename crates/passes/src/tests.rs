use std::collections::BTreeMap;

use freehold_crypt::{Algorithm, Secret, SigningKey};
use freehold_realm::body::{Ceilings, Resource, Terms};
use freehold_realm::{Grant, Side};
use freehold_wire::{
    BlobName, Bounded, Digest, GrantId, Hex, Millis, NodeId, OpId, RealmId, ServiceId, Text,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::storage::{Phase, Refusal, share};
use crate::*;

const NOW: Millis = Millis(1_800_000_000_000);
const HOUR: Millis = Millis::from_hours(1);
const LENDER: RealmId = RealmId::from_bytes([1; 32]);
const BORROWER: RealmId = RealmId::from_bytes([2; 32]);
const GRANT: GrantId = GrantId::from_bytes([3; 32]);
const NODE: NodeId = NodeId::from_bytes([4; 32]);

fn key(seed: u8) -> SigningKey {
    let algorithm = if seed == 8 { Algorithm::P256 } else { Algorithm::Ed25519 };
    SigningKey::from_seed(algorithm, &Secret::from_bytes([seed; 32]))
}

fn grant() -> Grant {
    Grant {
        side: Side::Lends,
        other: BORROWER,
        offer: OpId::from_bytes([5; 32]),
        said_in: OpId::from_bytes([5; 32]),
        terms: Terms {
            resource: Resource::Services,
            ceilings: Ceilings::default(),
            from: Millis(NOW.0 - HOUR.0),
            until: NOW.plus(Millis::from_hours(48)),
            wind_down_days: 0,
        },
        keys: vec![key(7).verifying(), key(8).verifying()],
        homes: vec![],
        revoked: false,
        ended: None,
        suspended: false,
        standing_in: None,
    }
}

fn claim() -> Claim {
    Claim {
        grant: GRANT,
        lender: LENDER,
        borrower: BORROWER,
        node: NODE,
        from: NOW,
        until: NOW.plus(LIFE_MAX),
    }
}

fn judged_by(grant: Grant, pass: &Pass, recalls: &Recalls, now: Millis) -> Result<Visitor, Reason> {
    let grants = BTreeMap::from([(GRANT, grant)]);
    judge(&Ground { realm: LENDER, grants: &grants, recalls, now }, pass, NODE, |_| false)
}

fn judged(grant: Grant, pass: &Pass, now: Millis) -> Result<Visitor, Reason> {
    judged_by(grant, pass, &Recalls::default(), now)
}

#[test]
fn a_pass_of_a_key_that_the_grant_names_lets_its_machine_in() {
    for seed in [7, 8] {
        let pass = Pass::sign(claim(), &key(seed));
        let visitor = judged(grant(), &Pass::from_bytes(&pass.to_bytes()).unwrap(), NOW).unwrap();
        assert_eq!(visitor, Visitor { grant: GRANT, realm: BORROWER, node: NODE, until: NOW.plus(LIFE_MAX) });
    }
    assert_eq!(judged(grant(), &Pass::sign(claim(), &key(9)), NOW), Err(Reason::Signature));
}

#[test]
fn it_counts_no_longer_than_the_grant() {
    let mut short = grant();
    short.terms.until = NOW.plus(HOUR);
    let pass = Pass::sign(claim(), &key(7));
    assert_eq!(judged(short.clone(), &pass, NOW).unwrap().until, NOW.plus(HOUR));
    assert_eq!(judged(short, &pass, NOW.plus(HOUR).plus(Millis(1))), Err(Reason::NotNow));
}

#[test]
fn what_the_log_does_not_say_lets_nobody_in() {
    let pass = Pass::sign(claim(), &key(7));
    let with = |change: fn(&mut Grant)| {
        let mut grant = grant();
        change(&mut grant);
        judged(grant, &pass, NOW)
    };
    assert_eq!(with(|grant| grant.revoked = true), Err(Reason::Ended));
    assert_eq!(with(|grant| grant.suspended = true), Err(Reason::Suspended));
    assert_eq!(with(|grant| grant.side = Side::Borrows), Err(Reason::Unknown));
    assert_eq!(with(|grant| grant.other = LENDER), Err(Reason::Realm));
    assert_eq!(with(|grant| grant.terms.from = NOW.plus(HOUR)), Err(Reason::NotNow));
    assert_eq!(with(|grant| grant.keys.clear()), Err(Reason::Signature));
    let (none, recalls) = (BTreeMap::new(), Recalls::default());
    let ground = Ground { realm: LENDER, grants: &none, recalls: &recalls, now: NOW };
    assert_eq!(judge(&ground, &pass, NODE, |_| false), Err(Reason::Unknown));
    let grants = BTreeMap::from([(GRANT, grant())]);
    let ground = Ground { realm: BORROWER, grants: &grants, ..ground };
    assert_eq!(judge(&ground, &pass, NODE, |_| false), Err(Reason::Realm), "shown to another realm");
    let ground = Ground { realm: LENDER, ..ground };
    let other = NodeId::from_bytes([9; 32]);
    assert_eq!(judge(&ground, &pass, other, |_| false), Err(Reason::Node), "shown by another machine");
    assert_eq!(judge(&ground, &pass, NODE, |_| true), Err(Reason::Own));
}

#[test]
fn a_pass_is_for_a_day_and_for_now() {
    let with = |from: u64, until: u64| {
        let claim = Claim { from: Millis(from), until: Millis(until), ..claim() };
        judged(grant(), &Pass::sign(claim, &key(7)), NOW).err()
    };
    let now = NOW.0;
    assert_eq!(with(now, now + LIFE_MAX.0), None);
    assert_eq!(with(now, now + LIFE_MAX.0 + 1), Some(Reason::Wide));
    assert_eq!(with(now + 1, now), Some(Reason::Wide));
    assert_eq!(with(now + 300_000, now + 400_000), None, "clocks differ a little");
    assert_eq!(with(now + 300_001, now + 400_000), Some(Reason::Future));
    assert_eq!(with(now - 2, now - 1), Some(Reason::Lapsed));
    assert_eq!(with(0, u64::MAX), Some(Reason::Wide));
}

#[test]
fn what_the_other_realm_takes_back_counts_no_more_until_it_signs_anew() {
    let grants = BTreeMap::from([(GRANT, grant())]);
    let mut recalls = Recalls::default();
    let word = Word { grant: GRANT, lender: LENDER, borrower: BORROWER, node: NODE, before: NOW };
    let recall = Recall::sign(word, &key(8));
    let recall = Recall::from_bytes(&recall.to_bytes()).unwrap();
    let judged_recall = |recall: &Recall| {
        let none = Recalls::default();
        judge_recall(&Ground { realm: LENDER, grants: &grants, recalls: &none, now: NOW }, recall)
    };
    assert_eq!(judged_recall(&recall), Ok(()));
    assert_eq!(judged_recall(&Recall::sign(word, &key(9))), Err(Reason::Signature));
    let later = Word { before: NOW.plus(HOUR), ..word };
    assert_eq!(judged_recall(&Recall::sign(later, &key(8))), Err(Reason::Future));
    assert!(recalls.note(&recall, NOW) && !recalls.note(&recall, NOW));
    assert_eq!(judged_by(grant(), &Pass::sign(claim(), &key(7)), &recalls, NOW), Err(Reason::Recalled));
    let anew = Claim { from: NOW.plus(Millis(1)), until: NOW.plus(HOUR), ..claim() };
    assert!(judged_by(grant(), &Pass::sign(anew, &key(7)), &recalls, NOW).is_ok());
    // Another machine's stay, and many recalls take no more room.
    for n in 0..1000_u64 {
        let mut node = [0; 32];
        node[..8].copy_from_slice(&n.to_be_bytes());
        let word = Word { node: NodeId::from_bytes(node), before: Millis(NOW.0 + n), ..word };
        recalls.note(&Recall::sign(word, &key(8)), NOW);
    }
    assert!(format!("{recalls:?}").matches("Millis").count() <= 256);
}

#[test]
fn a_signature_serves_for_one_thing_only() {
    let pass = Pass::sign(claim(), &key(7));
    let word = Word { grant: GRANT, lender: LENDER, borrower: BORROWER, node: NODE, before: NOW };
    let recall = Recall::sign(word, &key(7));
    assert!(Recall::from_bytes(&pass.to_bytes()).is_err() && Pass::from_bytes(&recall.to_bytes()).is_err());
    assert!(pass.to_bytes().len() <= PASS_MAX && recall.to_bytes().len() <= PASS_MAX);
}

proptest! {
    /// Whoever changes a bit of a pass has none.
    #[test]
    fn no_bit_of_a_pass_can_be_changed(at in 0usize..400, bit in 0u8..8) {
        let bytes = Pass::sign(claim(), &key(7)).to_bytes();
        let mut other = bytes.clone();
        let at = at % other.len();
        other[at] ^= 1 << bit;
        let verdict = Pass::from_bytes(&other).map(|pass| judged(grant(), &pass, NOW));
        prop_assert!(!matches!(verdict, Ok(Ok(_))), "{verdict:?}");
    }

    #[test]
    fn nothing_that_is_let_in_lasts_longer_than_a_day(from in 0u64..4_000_000_000_000, life in 0u64..200_000_000) {
        let claim = Claim { from: Millis(from), until: Millis(from.saturating_add(life)), ..claim() };
        if let Ok(visitor) = judged(grant(), &Pass::sign(claim, &key(7)), NOW) {
            prop_assert!(visitor.until.since(NOW) <= LIFE_MAX.plus(Millis(300_000)) && visitor.until >= NOW);
        }
    }

    #[test]
    fn any_bytes_are_refused_quietly(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Pass::from_bytes(&bytes).is_err() && Recall::from_bytes(&bytes).is_err());
        drop((Call::from_bytes(&bytes), Answer::from_bytes(&bytes)));
    }
}

fn text<const N: usize>(text: &str) -> Text<N> {
    Text::new(text).unwrap()
}

fn examples() -> Vec<(&'static str, Vec<u8>)> {
    let word = Word { grant: GRANT, lender: LENDER, borrower: BORROWER, node: NODE, before: NOW };
    let service = ServiceId::from_bytes([6; 32]);
    let pass = Pass::sign(claim(), &key(7));
    let host = Host { name: text("www.example.org"), service };
    let shown = Shown {
        pass: pass.to_bytes().into(),
        addresses: vec![0x83, 0x80, 0x80, 0x80].into(),
        hosts: Bounded::from_vec(vec![host]).unwrap(),
    };
    let welcome = Welcome {
        zone: text("smith.internal"),
        until: NOW,
        services: Bounded::from_vec(vec![Offered { service, label: text("wiki"), home: NODE }]).unwrap(),
        gateways: Bounded::from_vec(vec![NODE]).unwrap(),
        contacts: Bounded::from_vec(vec![Contact {
            node: NODE,
            addresses: vec![0x83, 0x80, 0x80, 0x80].into(),
        }])
        .unwrap(),
        refused: Bounded::from_vec(vec![Told { name: text("a.b"), why: text("another has it") }]).unwrap(),
    };
    vec![
        ("pass", pass.to_bytes()),
        ("pass by a key on P-256", Pass::sign(claim(), &key(8)).to_bytes()),
        ("recall", Recall::sign(word, &key(7)).to_bytes()),
        ("question for a pass", Call::Pass(GRANT).to_bytes()),
        ("question to be let in", Call::Visit(shown).to_bytes()),
        ("question to take back", Call::Recall(Recall::sign(word, &key(7)).to_bytes().into()).to_bytes()),
        ("answer with a pass", Answer::Pass(pass.to_bytes().into()).to_bytes()),
        ("answer that lets in", Answer::Welcome(welcome).to_bytes()),
        ("answer that notes", Answer::Noted.to_bytes()),
        ("answer that refuses", Answer::refused("the grant was ended").to_bytes()),
        ("answer that all is deleted", Answer::Deleted(receipt().to_bytes().into()).to_bytes()),
        ("receipt", receipt().to_bytes()),
    ]
}

fn receipt() -> Receipt {
    let home = key(7);
    let node = NodeId::from_bytes(home.verifying().ed25519_bytes().unwrap());
    let (grant, lender, borrower) = (GRANT, LENDER, BORROWER);
    let deletion = Deletion { grant, lender, borrower, node, objects: 3, bytes: 9_700_000, at: NOW };
    Receipt::sign(deletion, &home)
}

/// What is said where something is stored.
fn errands() -> Vec<(&'static str, Vec<u8>)> {
    let (name, upload) = (BlobName::from_bytes([5; 32]), BlobName::from_bytes([6; 32]));
    let errand = |what| Errand { grant: GRANT, what }.to_bytes();
    let object = Object { name, len: 9 << 20, modified: NOW };
    let about = |phase| {
        let about = About { phase, kept: 9 << 20, room: 24 << 20, objects: 3, sent: 4096, egress: 1 << 30 };
        Outcome::About(about).to_bytes()
    };
    let refused = |why| Outcome::Refused(why).to_bytes();
    let listed = Outcome::Listed(Bounded::from_vec(vec![object]).unwrap());
    vec![
        ("errand how it stands", errand(What::About)),
        ("errand to store", errand(What::Put(name))),
        ("errand with a part", errand(What::Part(upload, 8 << 20))),
        ("errand to finish", errand(What::Finish(upload, name, 9 << 20))),
        ("errand to give up", errand(What::Abort(upload))),
        ("errand to read", errand(What::Get(name, 4096, 8192))),
        ("errand to remove", errand(What::Remove(name))),
        ("errand to list", errand(What::List(name))),
        ("outcome not begun", about(Phase::NotYet)),
        ("outcome open", about(Phase::Open)),
        ("outcome ends soon", about(Phase::EndsSoon(NOW))),
        ("outcome winding down", about(Phase::WindingDown(NOW))),
        ("outcome over", about(Phase::Over)),
        ("outcome done", Outcome::Done.to_bytes()),
        ("outcome found", Outcome::Found(object).to_bytes()),
        ("outcome missing", Outcome::Missing.to_bytes()),
        ("outcome listed", listed.to_bytes()),
        ("outcome full", refused(Refusal::Full)),
        ("outcome read enough", refused(Refusal::Sent)),
        ("outcome closed", refused(Refusal::Closed)),
        ("outcome does not hold", refused(Refusal::Over)),
        ("outcome does not fit", refused(Refusal::Mismatch)),
        ("outcome broken", refused(Refusal::Broken)),
    ]
}

/// How a grant of storage stands at times around its turns, and who has which share of it.
fn rooms() -> Value {
    let mut lent = grant();
    lent.terms.resource = Resource::Storage;
    lent.terms.wind_down_days = 2;
    (lent.terms.from, lent.terms.until) = (NOW, NOW.plus(Millis::from_hours(30 * 24)));
    let ends = [None, Some(NOW.plus(Millis::from_hours(24))), Some(lent.terms.until.plus(HOUR))];
    let days = [0, 1, 3, 15, 16, 17, 30, 32, 33];
    let turns = days.into_iter().flat_map(|days| {
        let at = NOW.plus(Millis::from_hours(days * 24));
        [Millis(at.0 - 1), at, Millis(at.0 + 1)]
    });
    let turns: Vec<Millis> = turns.collect();
    let phase = |ended: &Option<Millis>, now: &Millis| {
        let phase = Phase::at(&lent.terms, *ended, *now);
        json!({
            "ended": ended.map(|at| at.0),
            "now": now.0,
            "phase": Hex(&freehold_wire::to_canonical(&phase)).to_string(),
        })
    };
    let phases: Vec<Value> =
        ends.iter().flat_map(|ended| turns.iter().map(move |now| phase(ended, now))).collect();
    let homes = |count: u8| (0..count).map(|n| NodeId::from_bytes([n; 32])).collect::<Vec<_>>();
    let shares = [(0, 1), (10, 3), (24 << 20, 1), (1 << 40, 7), (u64::MAX, 4)].map(|(ceiling, count)| {
        let homes = homes(count);
        let all: Vec<u64> = homes.iter().map(|me| share(ceiling, &homes, *me)).collect();
        json!({ "ceiling": ceiling, "shares": all })
    });
    json!({
        "from": lent.terms.from.0,
        "until": lent.terms.until.0,
        "wind_down_days": lent.terms.wind_down_days,
        "phases": phases,
        "shares": shares,
    })
}

/// Cases of judging, with what comes of them, for others to work out.
fn cases() -> Vec<Value> {
    let pass = |claim: Claim, seed: u8| Pass::sign(claim, &key(seed));
    let claim = claim();
    let all = [
        (claim, 7, NOW),
        (claim, 8, NOW),
        (claim, 9, NOW),
        (Claim { lender: BORROWER, ..claim }, 7, NOW),
        (Claim { borrower: LENDER, ..claim }, 7, NOW),
        (Claim { grant: GrantId::from_bytes([9; 32]), ..claim }, 7, NOW),
        (Claim { node: NodeId::from_bytes([9; 32]), ..claim }, 7, NOW),
        (Claim { until: Millis(claim.until.0 + 1), ..claim }, 7, NOW),
        (claim, 7, NOW.plus(Millis::from_hours(25))),
        (Claim { from: NOW.plus(HOUR), ..claim }, 7, NOW),
        (claim, 7, NOW.plus(Millis::from_hours(49))),
    ];
    let case = |(claim, seed, now): &(Claim, u8, Millis)| {
        let pass = pass(*claim, *seed);
        let said = match judged(grant(), &pass, *now) {
            Ok(visitor) => json!({ "until": visitor.until.0 }),
            Err(reason) => json!({ "refused": format!("{reason:?}") }),
        };
        json!({ "pass": Hex(&pass.to_bytes()).to_string(), "now": now.0, "judged": said })
    };
    all.iter().map(case).collect()
}

/// Errands at shelves, one of each sort, and their answers.
fn shelf_errands() -> Vec<(&'static str, Vec<u8>)> {
    let (name, of) = (Digest::from_bytes([5; 32]), NODE);
    let part = Part { sort: Sort::Pack, name, upload: u64::MAX, at: 4 << 20, len: 32 << 20 };
    let errand = |what, grant| ShelfErrand { grant, of, what }.to_bytes();
    let file = |received| ShelfFile { name, len: 1000, received };
    let listed = [file(None), file(Some(NOW))];
    let about = ShelfAbout { phase: Phase::Open, bytes: 1000, files: 2, room: 1 << 30 };
    vec![
        ("shelf-errand how it stands", errand(ShelfWhat::About, None)),
        ("shelf-errand to list from the beginning", errand(ShelfWhat::List(Sort::Config, None), None)),
        (
            "shelf-errand to list on under a grant",
            errand(ShelfWhat::List(Sort::Letter, Some(name)), Some(GRANT)),
        ),
        ("shelf-errand to read", errand(ShelfWhat::Read(Sort::Snapshot, name, 0, 100), Some(GRANT))),
        ("shelf-errand to add", errand(ShelfWhat::Add(part), None)),
        ("shelf-errand whose there are", errand(ShelfWhat::Shelves, Some(GRANT))),
        ("shelf-outcome how it stands", ShelfOutcome::About(about).to_bytes()),
        ("shelf-outcome done", ShelfOutcome::Done.to_bytes()),
        ("shelf-outcome found", ShelfOutcome::Found(1000).to_bytes()),
        ("shelf-outcome missing", ShelfOutcome::Missing.to_bytes()),
        ("shelf-outcome listed", ShelfOutcome::Listed(Bounded::fill(&mut listed.into_iter())).to_bytes()),
        ("shelf-outcome shelves", ShelfOutcome::Shelves(Bounded::fill(&mut [of].into_iter())).to_bytes()),
        ("shelf-outcome refused", ShelfOutcome::Refused(Refusal::Taken).to_bytes()),
    ]
}

fn vectors() -> Value {
    let grant = grant();
    json!({
        "realm": LENDER.to_string(),
        "shower": NODE.to_string(),
        "grant": {
            "id": GRANT.to_string(),
            "other": BORROWER.to_string(),
            "from": grant.terms.from.0,
            "until": grant.terms.until.0,
            "keys": grant.keys.iter().map(|key| Hex(&key.to_bytes()).to_string()).collect::<Vec<_>>(),
        },
        "room": rooms(),
        "bytes": examples().iter().chain(&errands()).chain(&shelf_errands()).map(|(name, bytes)| json!([name, Hex(bytes).to_string()])).collect::<Vec<_>>(),
        "cases": cases(),
    })
}

const WRITTEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/pass/vectors.json");

#[test]
fn the_bytes_are_those_that_are_written_down() {
    let written: Value = serde_json::from_slice(&std::fs::read(WRITTEN).unwrap()).unwrap();
    assert_eq!(written, vectors());
    for (name, bytes) in examples().into_iter().chain(errands()).chain(shelf_errands()) {
        match name.split(' ').next() {
            Some("question") => assert_eq!(Call::from_bytes(&bytes).unwrap().to_bytes(), bytes, "{name}"),
            Some("answer") => assert_eq!(Answer::from_bytes(&bytes).unwrap().to_bytes(), bytes, "{name}"),
            Some("errand") => assert_eq!(Errand::from_bytes(&bytes).unwrap().to_bytes(), bytes, "{name}"),
            Some("outcome") => assert_eq!(Outcome::from_bytes(&bytes).unwrap().to_bytes(), bytes, "{name}"),
            Some("shelf-errand") => {
                assert_eq!(ShelfErrand::from_bytes(&bytes).unwrap().to_bytes(), bytes, "{name}");
            }
            Some("shelf-outcome") => {
                assert_eq!(ShelfOutcome::from_bytes(&bytes).unwrap().to_bytes(), bytes, "{name}");
            }
            Some("receipt") => assert!(Receipt::from_bytes(&bytes).unwrap().is_signed()),
            _ => {}
        }
    }
}

#[test]
#[ignore = "writes the vectors anew"]
#[expect(clippy::disallowed_methods, reason = "a file of the repository, written by hand")]
fn write() {
    std::fs::write(WRITTEN, format!("{:#}\n", vectors())).unwrap();
}

#[test]
fn what_is_stored_can_be_fetched_for_some_days_after_the_end_and_then_by_nobody() {
    let pass = Pass::sign(claim(), &key(7));
    let mut lent = grant();
    lent.terms.resource = Resource::Storage;
    lent.terms.wind_down_days = 1;
    lent.terms.until = NOW.plus(HOUR);
    let later = NOW.plus(Millis::from_hours(2));
    assert!(judged(lent.clone(), &pass, later).is_ok(), "it is winding down");
    (lent.revoked, lent.ended, lent.standing_in) = (true, Some(NOW), Some(OpId::from_bytes([9; 32])));
    let let_in = judged(lent.clone(), &pass, later).unwrap();
    assert_eq!(let_in.until, NOW.plus(LIFE_MAX).min(last(&lent)));
    lent.terms.wind_down_days = 0;
    assert_eq!(judged(lent.clone(), &pass, later), Err(Reason::Ended));
    lent.terms.wind_down_days = 1;
    lent.suspended = true;
    assert_eq!(judged(lent.clone(), &pass, later), Err(Reason::Ended));
    // Whose it was hears what became of it, and nobody else.
    let (grants, recalls) = (BTreeMap::from([(GRANT, lent)]), Recalls::default());
    let ground =
        Ground { realm: LENDER, grants: &grants, recalls: &recalls, now: NOW.plus(LIFE_MAX).plus(LIFE_MAX) };
    assert!(was_theirs(&ground, &pass, NODE));
    assert!(!was_theirs(&ground, &pass, NodeId::from_bytes([5; 32])));
    assert!(!was_theirs(&ground, &Pass::sign(claim(), &key(9)), NODE));
}
