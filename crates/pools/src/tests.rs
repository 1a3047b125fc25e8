use std::collections::{BTreeMap, BTreeSet};

use freehold_crypt::{Algorithm, Secret, SigningKey};
use freehold_wire::{Bounded, Digest, Millis, RealmId, Text, ZoneId};
use proptest::prelude::*;

use super::*;

mod papers;
mod vectors;

const DAY: Millis = Millis::from_hours(24);
const NOW: Millis = Millis(1_800_000_000_000);
const RULES: Rules = Rules { decide: Decide::Most, notice_days: 14, wind_down_days: 30 };

fn key(of: u8) -> SigningKey {
    let algorithm = if of.is_multiple_of(2) { Algorithm::Ed25519 } else { Algorithm::P256 };
    SigningKey::from_seed(algorithm, &Secret::from_bytes([of; 32]))
}

fn realm(of: u8) -> RealmId {
    RealmId::from_bytes([of; 32])
}

fn member(of: u8, gives: u64, uses: u64) -> Member {
    let place = ZoneId::from_bytes([of % 3 + 1; 16]);
    Member { realm: realm(of), key: key(of).verifying(), gives, uses, place }
}

fn members(of: &[Member]) -> Bounded<Member, MEMBERS_MAX> {
    Bounded::from_vec(of.to_vec()).unwrap()
}

fn first(count: u8) -> Charter {
    let all: Vec<Member> = (1..=count).map(|of| member(of, 300, 300)).collect();
    let name = Text::new("Elm Street").unwrap();
    Charter { pool: None, before: None, number: 1, name, rules: RULES, members: members(&all) }
}

fn signed(charter: &Charter, by: &[u8]) -> Signed {
    let mut signed = Signed::proposed(charter.clone());
    for of in by {
        signed.sign(&key(*of));
    }
    signed
}

/// What follows a charter with one row changed.
fn next(before: &Charter, pool: Digest, number: u32, change: impl Fn(&mut Vec<Member>)) -> Charter {
    let mut all: Vec<Member> = before.members.iter().copied().collect();
    change(&mut all);
    Charter { pool: Some(pool), before: Some(before.id()), number, members: members(&all), ..before.clone() }
}

#[test]
fn a_pool_begins_when_all_have_signed() {
    let charter = first(3);
    assert_eq!(signed(&charter, &[1, 2]).begins(), Err(Flaw::Unsigned(realm(3))));
    assert_eq!(signed(&charter, &[1, 2, 3]).begins(), Ok(()));
    assert!(Standing::of(charter.id(), &[signed(&charter, &[1, 2])], &[]).is_none());
    // Signatures come together in any order, and those of strangers are no signatures.
    let mut one = signed(&charter, &[1]);
    let known = |by: &freehold_crypt::VerifyingKey| (1..=3).any(|of| key(of).verifying() == *by);
    assert!(one.merge(&signed(&charter, &[3, 9]), known) && one.merge(&signed(&charter, &[2]), known));
    assert_eq!(one, signed(&charter, &[3, 2, 1]));
    assert!(!one.merge(&signed(&first(4), &[4]), known), "another charter");
    for wrong in [
        first(1),
        next(&first(2), first(2).id(), 2, |all| all.reverse()),
        next(&first(2), first(2).id(), 2, |all| all[1].key = all[0].key),
        next(&first(2), first(2).id(), 2, |all| all[1].gives = u64::MAX),
    ] {
        assert!(!wrong.is_sound());
    }
}

#[test]
fn nobody_is_bound_by_what_they_have_not_signed() {
    let charter = first(4);
    let pool = charter.id();
    let more = next(&charter, pool, 2, |all| all[3].gives = 900);
    assert_eq!(signed(&more, &[1, 2, 3]).follows(&charter, &pool), Err(Flaw::Unsigned(realm(4))));
    assert_eq!(signed(&more, &[4]).follows(&charter, &pool), Err(Flaw::Few(2)));
    assert_eq!(signed(&more, &[1, 2, 4]).follows(&charter, &pool), Ok(()));
    // Whoever comes has signed; whoever is put out has not.
    let come = next(&charter, pool, 2, |all| all.push(member(5, 10, 10)));
    assert_eq!(signed(&come, &[1, 2, 3]).follows(&charter, &pool), Err(Flaw::Unsigned(realm(5))));
    assert_eq!(
        signed(&come, &[1, 2, 5]).follows(&charter, &pool),
        Err(Flaw::Few(1)),
        "the new one decides nothing"
    );
    assert_eq!(signed(&come, &[1, 2, 3, 5]).follows(&charter, &pool), Ok(()));
    let out = next(&charter, pool, 2, |all| all.truncate(3));
    assert_eq!(signed(&out, &[1, 2, 3]).follows(&charter, &pool), Ok(()));
    // Other rules are signed by all.
    let rules = Charter { rules: Rules { notice_days: 0, ..RULES }, ..next(&charter, pool, 2, |_| {}) };
    assert_eq!(signed(&rules, &[1, 2, 3]).follows(&charter, &pool), Err(Flaw::Unsigned(realm(4))));
    assert_eq!(signed(&rules, &[1, 2, 3, 4]).follows(&charter, &pool), Ok(()));
    // A new key comes with the old one's signature.
    let keyed = next(&charter, pool, 2, |all| all[0].key = key(9).verifying());
    assert_eq!(signed(&keyed, &[2, 3, 4, 9]).follows(&charter, &pool), Err(Flaw::Unsigned(realm(1))));
    assert_eq!(signed(&keyed, &[1, 2, 3, 9]).follows(&charter, &pool), Ok(()));
    // Another pool's, or one that does not go on from there, is nothing.
    assert_eq!(signed(&more, &[1, 2, 4]).follows(&charter, &first(3).id()), Err(Flaw::Order));
    assert_eq!(signed(&more, &[1, 2, 4]).follows(&more, &pool), Err(Flaw::Order));
}

#[test]
fn what_came_too_late_is_in_nobodys_way_and_two_words_are_told() {
    let charter = first(3);
    let pool = charter.id();
    let start = signed(&charter, &[1, 2, 3]);
    // A proposal that found too few, and the one that people then made.
    let held_back = next(&charter, pool, 2, |all| all[0].gives = 1);
    let made = next(&charter, pool, 3, |all| all[0].gives = 2);
    let papers = [start.clone(), signed(&held_back, &[1]), signed(&made, &[1, 2])];
    assert_eq!(Standing::of(pool, &papers, &[]).unwrap().charter, made);
    let late = [start.clone(), signed(&held_back, &[1, 3]), signed(&made, &[1, 2])];
    let standing = Standing::of(pool, &late, &[]).unwrap();
    assert_eq!(standing.charter, made);
    assert!(standing.doubles.is_empty(), "another number is another word");
    // Under one number it is.
    let other = next(&charter, pool, 3, |all| all[0].gives = 7);
    let both = [start, signed(&made, &[1, 2]), signed(&other, &[1, 3])];
    let standing = Standing::of(pool, &both, &[]).unwrap();
    let said: Vec<RealmId> = standing.doubles.iter().map(|double| double.realm).collect();
    assert_eq!(said, vec![realm(1)]);
}

#[test]
fn who_leaves_does_so_alone_and_is_free_after_the_notice() {
    let charter = first(3);
    let pool = charter.id();
    let papers = [signed(&charter, &[1, 2, 3])];
    let leaving = |of: u8, at: Millis, last: Millis| Leaving { pool, realm: realm(of), at, last };
    let standing = |notices: &[Notice]| Standing::of(pool, &papers, notices).unwrap();
    let late = Notice::sign(leaving(2, NOW, NOW.plus(Millis(DAY.0 * 60))), &key(2));
    let short = Notice::sign(leaving(2, NOW, NOW), &key(2));
    let notice = Millis(DAY.0 * 14);
    assert_eq!(standing(&[late]).leaving[&realm(2)], NOW.plus(Millis(DAY.0 * 60)));
    assert_eq!(standing(&[late, short]).leaving[&realm(2)], NOW.plus(notice));
    assert_eq!(standing(&[short, late]), standing(&[late, short]));
    let left = standing(&[short]);
    assert!(
        left.binds(&realm(2), NOW.plus(notice)) && !left.binds(&realm(2), NOW.plus(notice).plus(Millis(1)))
    );
    assert!(left.staying().all(|member| member.realm != realm(2)) && left.staying().count() == 2);
    // Nobody says so for another.
    let forged = Notice::sign(leaving(2, NOW, NOW), &key(1));
    assert!(standing(&[forged]).leaving.is_empty());
    // With another key it is a member again.
    let again = next(&charter, pool, 2, |all| all[1].key = key(8).verifying());
    let papers = [papers[0].clone(), signed(&again, &[1, 2, 8])];
    assert!(Standing::of(pool, &papers, &[short]).unwrap().leaving.is_empty());
}

#[test]
fn equals_share_alike_and_at_home_only_what_is_nowhere_else() {
    let charter = first(4);
    // 1 and 4 stand in one place, and the others have room for both.
    let shares = allot(charter.members.iter());
    let of = |lender: u8, borrower: u8| {
        let found =
            shares.iter().find(|share| share.lender == realm(lender) && share.borrower == realm(borrower));
        found.map_or(0, |share| share.bytes)
    };
    assert_eq!(of(1, 4) + of(4, 1), 0, "{shares:?}");
    let all: u64 = shares.iter().map(|share| share.bytes).sum();
    assert!((1196..=1200).contains(&all), "the last bytes may find no other: {all}");
    let apart: Vec<Member> =
        (1..=4).map(|of| Member { place: ZoneId::from_bytes([of; 16]), ..member(of, 300, 300) }).collect();
    assert!(allot(apart.iter()).iter().all(|share| share.bytes == 100));
    let together: Vec<Member> = apart.iter().map(|one| Member { place: apart[0].place, ..*one }).collect();
    assert!(allot(together.iter()).iter().all(|share| share.bytes == 100));
}

#[test]
fn everybody_sees_the_balance_and_who_says_more_than_the_others_know() {
    let charter = first(3);
    let pool = charter.id();
    let standing = Standing::of(pool, &[signed(&charter, &[1, 2, 3])], &[]).unwrap();
    let shares = allot(standing.staying());
    let account = |of: u8, at: Millis, with: &[(u8, u64, u64)], by: u8| {
        let with =
            with.iter().map(|(with, kept, used)| Used { with: realm(*with), kept: *kept, used: *used });
        Account::sign((pool, realm(of), at), Bounded::from_vec(with.collect()).unwrap(), &key(by))
    };
    let mut told = vec![
        account(1, NOW, &[(2, 40, 5), (3, 10, 0)], 1),
        account(2, NOW, &[(1, 5, 30)], 2),
        account(1, Millis(1), &[(2, 9999, 0)], 1),
        // In another's name, and about oneself.
        account(3, NOW.plus(DAY), &[(1, 7777, 0)], 1),
        account(2, Millis(2), &[(2, 8888, 8888)], 2),
    ];
    let lines = balance(&standing, &shares, &told);
    let line = |of: usize| lines[of];
    assert_eq!((line(0).kept, line(0).kept_as_told, line(0).used), (50, 30, 5));
    assert_eq!((line(1).kept, line(1).kept_as_told, line(1).used), (5, 5, 40));
    assert_eq!((line(2).kept, line(2).used, line(2).heard), (0, 10, None));
    assert_eq!((line(0).gives, line(0).heard), ((300, 300), Some(NOW)));
    let (kept, used): (u64, u64) = lines.iter().fold((0, 0), |(a, b), line| (a + line.kept, b + line.used));
    assert_eq!(kept, used, "what is given is what is used");
    told.reverse();
    assert_eq!(balance(&standing, &shares, &told), lines);
}

fn houses() -> impl Strategy<Value = Vec<Member>> {
    let house = (0..2000_u64, 0..2000_u64, 0..4_u8);
    let member = |(of, (gives, uses, place)): (u8, (u64, u64, u8))| Member {
        place: ZoneId::from_bytes([place; 16]),
        ..member(of, gives, uses)
    };
    proptest::collection::btree_map(any::<u8>(), house, 0..7)
        .prop_map(move |all| all.into_iter().map(member).collect())
}

proptest! {
    #[test]
    fn no_share_is_more_than_somebody_gives_or_may_use(mut all in houses()) {
        let shares = allot(all.iter());
        let sum = |of: &dyn Fn(&Share) -> bool| -> u64 {
            shares.iter().filter(|share| of(share)).map(|share| share.bytes).sum()
        };
        let left: BTreeMap<RealmId, (u64, u64)> = all.iter().map(|member| {
            let (lent, had) = (sum(&|s| s.lender == member.realm), sum(&|s| s.borrower == member.realm));
            assert!(lent <= member.gives && had <= member.uses);
            (member.realm, (member.gives - lent, member.uses - had))
        }).collect();
        prop_assert!(shares.iter().all(|share| share.lender != share.borrower && share.bytes > 0));
        // Nothing stays with somebody that another could have.
        for (lender, (gives, _)) in &left {
            for (borrower, (_, wants)) in &left {
                prop_assert!(lender == borrower || *gives == 0 || *wants == 0);
            }
        }
        // Within one place is only what no exchange of two takes apart.
        let place = |realm: RealmId| all.iter().find(|member| member.realm == realm).unwrap().place;
        let near = |one: RealmId, other: RealmId| one == other || (place(one).is_some() && place(one) == place(other));
        for share in shares.iter().filter(|share| near(share.lender, share.borrower)) {
            for other in &shares {
                prop_assert!(near(other.lender, share.borrower) || near(share.lender, other.borrower));
            }
        }
        // Everybody works out the same, in whatever order they read it.
        all.reverse();
        prop_assert_eq!(allot(all.iter()), shares);
    }

    #[test]
    fn once_a_lender_has_dealt_it_has_lent_what_the_charter_says_and_ended_nothing(
        all in houses(),
        grants in proptest::collection::btree_map(any::<u8>(), 1..900_u64, 0..8),
        leaves: bool,
    ) {
        let all: Vec<Member> = all.into_iter()
            .map(|member| Member { gives: member.gives << 20, uses: member.uses << 20, ..member }).collect();
        let Some(me) = all.first().map(|member| member.realm) else { return Ok(()) };
        let mut grants: BTreeMap<RealmId, u64> =
            grants.into_iter().map(|(to, mib)| (realm(to), mib << 20)).filter(|(to, _)| *to != me).collect();
        let (before, last) = (grants.clone(), NOW.plus(DAY));
        let leaving = all.last().filter(|last| leaves && last.realm != me).map(|one| (one.realm, last));
        let charter = Charter { members: members(&all), ..first(2) };
        let standing = Standing {
            pool: charter.id(), charter, leaving: leaving.into_iter().collect(), doubles: BTreeSet::default(),
        };
        let shares = allot(standing.staying());
        let due: BTreeMap<RealmId, u64> =
            shares.iter().filter(|s| s.lender == me && s.bytes >= 1 << 20).map(|s| (s.borrower, s.bytes)).collect();
        let done = dealing(&me, &standing, &grants, NOW);
        for offer in &done.offers {
            prop_assert_eq!(offer.lender, me);
            prop_assert_eq!(grants.insert(offer.borrower, offer.bytes), None, "one stands already");
        }
        for one in &done.differs {
            prop_assert_eq!(before.get(&one.with), Some(&one.stands));
            prop_assert_eq!(due.get(&one.with).copied().unwrap_or(0), one.due);
        }
        let again = dealing(&me, &standing, &grants, NOW);
        prop_assert_eq!(again, Dealing { offers: vec![], differs: done.differs.clone() });
        for member in standing.charter.members.iter().filter(|member| member.realm != me) {
            let is_as_said = grants.get(&member.realm) == due.get(&member.realm);
            let waits = done.differs.iter().any(|one| one.with == member.realm);
            let is_bound = standing.leaving.contains_key(&member.realm);
            prop_assert!(is_as_said || waits || is_bound, "{:?}", member.realm);
            prop_assert!(!(waits && is_bound), "what lies there is needed until they are free");
        }
        // Once whoever leaves is free, what they have still is too much.
        let free = dealing(&me, &standing, &grants, last.plus(Millis(1)));
        for realm in standing.leaving.keys().filter(|realm| grants.contains_key(realm)) {
            prop_assert!(free.differs.iter().any(|one| one.with == *realm && one.due == 0));
        }
    }
}

proptest! {
    // Signatures are slow where nothing is optimised.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn in_any_order_of_papers_one_charter_counts_and_none_that_a_minority_made(
        made in proptest::collection::vec((any::<prop::sample::Index>(), 1..5_u32, 0..4_usize, any::<u8>()), 0..6),
        order in any::<prop::sample::Index>(),
    ) {
        let charter = first(4);
        let pool = charter.id();
        let mut papers = vec![signed(&charter, &[1, 2, 3, 4])];
        for (before, more, row, by) in made {
            let before = papers[before.index(papers.len())].charter.clone();
            let change = |all: &mut Vec<Member>| all[row].gives += 1;
            let signers: Vec<u8> = (1..=4).filter(|of| by & (1 << of) != 0).collect();
            papers.push(signed(&next(&before, pool, before.number + more, change), &signers));
        }
        let standing = Standing::of(pool, &papers, &[]).unwrap();
        let at = order.index(papers.len());
        papers.rotate_left(at);
        papers.reverse();
        prop_assert_eq!(Standing::of(pool, &papers, &[]).unwrap(), standing.clone());
        // Back to the beginning each was signed by three of four, and by whoever gives more.
        let mut at = standing.charter;
        while let Some(before) = at.before {
            let before = papers.iter().find(|paper| paper.charter.id() == before).unwrap().charter.clone();
            let changed = at.members.iter().find(|member| before.member(&member.realm) != Some(*member)).unwrap();
            let has = |paper: &Signed| paper.signers().len() >= 3 && paper.signers().contains(&changed.key.to_bytes());
            prop_assert!(papers.iter().any(|paper| paper.charter == at && has(paper)));
            at = before;
        }
    }

    #[test]
    fn what_was_changed_is_signed_by_nobody(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let charter = first(2);
        let papers = [signed(&charter, &[1, 2]).to_bytes(), Notice::sign(
            Leaving { pool: charter.id(), realm: realm(1), at: NOW, last: NOW }, &key(1)).to_bytes()];
        for (which, mut bytes) in papers.into_iter().enumerate() {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if which == 0 {
                let read = Signed::from_bytes(&bytes);
                prop_assert!(!read.is_ok_and(|paper| paper.begins().is_ok()), "byte {at}");
            } else {
                prop_assert!(!Notice::from_bytes(&bytes).is_ok_and(|notice| notice.is_signed()), "byte {at}");
            }
        }
    }
}
