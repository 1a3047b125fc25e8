//! Papers that are handed around.

use super::*;

fn draft() -> Draft {
    let name = Text::new("Elm Street").unwrap();
    Draft { name, rules: RULES, realm: realm(1), key: key(1).verifying(), at: NOW }
}

fn row(of: u8, made_for: Digest, gives: u64) -> Row {
    row_by(of, made_for, gives, of)
}

fn row_by(of: u8, made_for: Digest, gives: u64, by: u8) -> Row {
    let (called, stands) =
        (Text::new(format!("house {of}")).unwrap(), Text::new(format!("town {}", of % 3)).unwrap());
    let about = About { realm: realm(of), called, stands, gives, uses: 300 };
    Row::sign(made_for, NOW.plus(Millis(gives)), about, &key(by))
}

/// Papers of a pool that begins with houses 1 to so many: each joins and signs for itself.
fn begun(count: u8) -> Papers {
    let mut papers = Papers::of(draft());
    for of in 1..=count {
        papers.add_row(row(of, draft().id(), 300)).unwrap();
    }
    let charter = papers.proposal(&Change::default(), NOW).unwrap();
    for of in 1..=count {
        assert!(papers.standing().is_none());
        papers.sign(&charter, realm(of), &key(of)).unwrap();
    }
    assert_eq!(papers.standing().unwrap().charter, charter);
    papers
}

fn gives(of: u8, bytes: u64) -> Change {
    Change { row: Some(Member { gives: bytes, ..row(of, draft().id(), 300).member }), ..Change::default() }
}

#[test]
fn three_who_never_meet_found_a_pool_with_what_they_hand_on() {
    let mut first = Papers::of(draft());
    first.add_row(row(1, draft().id(), 300)).unwrap();
    assert_eq!(first.proposal(&Change::default(), NOW), Err(NoChange::Alone));
    let mut others = [first.clone(), first.clone()];
    for (of, papers) in (2..).zip(&mut others) {
        papers.add_row(row(of, draft().id(), 300)).unwrap();
        assert_eq!(first.take(papers), Ok(Taken { news: true }));
    }
    let charter = first.proposal(&Change::default(), NOW).unwrap();
    assert_eq!(charter.members.len(), 3);
    first.sign(&charter, realm(1), &key(1)).unwrap();
    for (of, papers) in (2..).zip(&mut others) {
        papers.take(&first).unwrap();
        let mine = key(of).verifying();
        let waits = papers.to_sign(&mine).first().map(|paper| paper.charter.clone()).unwrap();
        papers.sign(&waits, realm(of), &key(of)).unwrap();
        assert!(papers.to_sign(&mine).is_empty() && papers.standing().is_none());
    }
    let missing = first.missing(first.proposed()[0]);
    assert_eq!((missing.of.into_iter().collect::<Vec<_>>(), missing.more), (vec![realm(2), realm(3)], 0));
    let [mut second, third] = others;
    second.take(&third).unwrap();
    first.take(&second).unwrap();
    assert_eq!(first, second);
    assert_eq!(first.take(&third), Ok(Taken { news: false }));
    assert_eq!(first.standing().unwrap().charter, charter);
    assert!(first.proposed().is_empty() && first.waiting().is_empty());
    assert_eq!(Papers::from_bytes(&first.to_bytes()).unwrap(), first);
    // Another pool's papers are not mixed with them.
    let other = Papers::of(Draft { at: Millis(1), ..draft() });
    assert_eq!(first.take(&other), Err(Wrong::Another));
}

#[test]
fn nobody_signs_what_they_have_not_said_nor_two_things() {
    let mut papers = begun(3);
    let more = papers.proposal(&gives(2, 900), NOW).unwrap();
    assert_eq!(papers.sign(&more, realm(2), &key(2)), Err(Unwished::Row), "its own row was not said by it");
    papers.sign(&more, realm(1), &key(1)).unwrap();
    papers.add_row(row(2, papers.standing().unwrap().charter.id(), 900)).unwrap();
    let missing = papers.missing(papers.proposed()[0]);
    assert_eq!((missing.of.into_iter().collect::<Vec<_>>(), missing.more), (vec![realm(2)], 0));
    // One with that number is another thing.
    let mut other = more.clone();
    other.rules.notice_days = 1;
    assert_eq!(papers.sign(&other, realm(1), &key(1)), Err(Unwished::Double(more.id())));
    let next = papers.proposal(&Change { rules: Some(other.rules), ..Change::default() }, NOW).unwrap();
    assert!(next.number > more.number);
    assert_eq!(papers.proposal(&gives(2, 900), NOW).unwrap(), more, "it is found again");
    assert_eq!(papers.proposal(&Change::default(), NOW), Err(NoChange::Nothing));
    papers.sign(&more, realm(2), &key(2)).unwrap();
    assert_eq!(papers.standing().unwrap().charter, more);
    assert_eq!(papers.sign(&next, realm(1), &key(1)), Err(Unwished::Gone), "it follows what counts no more");
}

#[test]
fn who_comes_is_let_in_and_who_is_free_is_left_out() {
    let mut papers = begun(3);
    let pool = papers.standing().unwrap();
    papers.add_row(row(4, pool.charter.id(), 500)).unwrap();
    assert_eq!(papers.waiting().iter().map(|row| row.member.realm).collect::<Vec<_>>(), [realm(4)]);
    let come = |of: u8| Change { let_in: [realm(of)].into(), ..Change::default() };
    assert_eq!(papers.proposal(&come(5), NOW), Err(NoChange::NotWaiting(realm(5))));
    let charter = papers.proposal(&come(4), NOW).unwrap();
    for of in [1, 2, 4] {
        papers.sign(&charter, realm(of), &key(of)).unwrap();
    }
    assert_eq!(papers.standing().unwrap().charter, charter);
    assert!(papers.waiting().is_empty());
    let leaving = Leaving { pool: pool.pool, realm: realm(2), at: NOW, last: NOW };
    papers.add_notice(Notice::sign(leaving, &key(2))).unwrap();
    let free = papers.standing().unwrap().leaving[&realm(2)];
    assert_eq!(papers.proposal(&gives(1, 7), free).unwrap().members.len(), 4);
    let later = papers.proposal(&gives(1, 7), free.plus(Millis(1))).unwrap();
    assert!(later.member(&realm(2)).is_none());
    // A row that was in a charter once does not come back by itself.
    papers.add_row(row(1, papers.standing().unwrap().charter.id(), 7)).unwrap();
    for of in [1, 3, 4] {
        papers.sign(&later, realm(of), &key(of)).unwrap();
    }
    assert_eq!(papers.standing().unwrap().charter, later);
    assert!(papers.waiting().is_empty());
}

#[test]
fn strangers_bring_nothing_in_and_nobody_fills_it_up() {
    let papers = begun(3);
    let standing = papers.standing().unwrap();
    let mut more = papers.clone();
    // Not of anybody who decides, even if they would be in it.
    let stranger = next(&standing.charter, standing.pool, 2, |all| all.push(member(9, 1, 1)));
    assert_eq!(more.add_charter(signed(&stranger, &[9])), Ok(Taken { news: false }));
    let leaving = Leaving { pool: standing.pool, realm: realm(2), at: NOW, last: NOW };
    assert_eq!(more.add_notice(Notice::sign(leaving, &key(3))), Ok(Taken { news: false }));
    // A first charter with a row that its realm never made.
    let other = Charter { number: 7, ..first(3) };
    assert_eq!(more.add_charter(signed(&other, &[1, 2, 3])), Ok(Taken { news: false }));
    for number in 2..40 {
        let change = |all: &mut Vec<Member>| all[1].gives = u64::from(number);
        more.add_charter(signed(&next(&standing.charter, standing.pool, number, change), &[2])).unwrap();
        let at = NOW.plus(Millis(number.into()));
        more.add_notice(Notice::sign(Leaving { at, last: at, ..leaving }, &key(2))).unwrap();
    }
    assert_eq!(more.charters().count(), 1 + 4, "a member has as many proposals as a few");
    assert!(more.to_bytes().len() < 8192, "{}", more.to_bytes().len());
    // And those of another one find their place.
    let honest = more.proposal(&gives(1, 5), NOW).unwrap();
    more.add_row(row(1, standing.charter.id(), 5)).unwrap();
    more.sign(&honest, realm(1), &key(1)).unwrap();
    assert_eq!(more.proposed()[0].charter, honest);
    for of in 10..200 {
        more.add_row(row(of, draft().id(), 1)).unwrap();
    }
    assert!(more.rows().count() < 80, "{}", more.rows().count());
    assert_eq!(more.standing().unwrap().charter, standing.charter);
}

#[test]
fn two_words_of_one_stay_to_be_seen() {
    let mut papers = begun(3);
    let standing = papers.standing().unwrap();
    let word = |bytes: u64| next(&standing.charter, standing.pool, 2, |all| all[0].gives = bytes);
    papers.add_charter(signed(&word(7), &[1, 2])).unwrap();
    papers.add_charter(signed(&word(8), &[1, 3])).unwrap();
    let said: Vec<RealmId> = papers.standing().unwrap().doubles.iter().map(|double| double.realm).collect();
    assert_eq!(said, [realm(1)]);
    // Also when the pool has gone on from there.
    let tip = papers.standing().unwrap().charter;
    papers.add_charter(signed(&next(&tip, standing.pool, 3, |all| all[1].gives = 1), &[2, 3])).unwrap();
    assert_eq!(papers.standing().unwrap().charter.number, 3);
    assert_eq!(papers.standing().unwrap().doubles.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn in_whatever_order_papers_come_they_are_the_same(
        made in proptest::collection::vec((any::<prop::sample::Index>(), 1..4_u32, 0..3_usize, any::<u8>()), 0..6),
        parts in proptest::collection::vec(any::<u8>(), 6),
    ) {
        let start = begun(3);
        let first = start.standing().unwrap();
        let mut all = vec![first.charter.clone()];
        let mut papers = vec![start.clone()];
        for (number, (before, more, row, by)) in (0_u64..).zip(made) {
            let before = before.get(&all).clone();
            let change = |all: &mut Vec<Member>| all[row].gives += 1 + number;
            let charter = next(&before, first.pool, before.number + more, change);
            let signers: Vec<u8> = (1..=3).filter(|of| by & (1 << of) != 0).collect();
            all.push(charter.clone());
            // Whoever hands it on has what it follows.
            let holder = papers.iter().position(|held| held.charters().any(|paper| paper.charter == before));
            let Some(holder) = holder else { continue };
            let mut with = papers[holder].clone();
            with.add_charter(signed(&charter, &signers)).unwrap();
            papers.push(with);
        }
        let gather = |order: &mut dyn Iterator<Item = &Papers>| {
            let mut gathered = Papers::of(draft());
            for one in order {
                gathered.take(one).unwrap();
            }
            gathered
        };
        let forth = gather(&mut papers.iter());
        let back = gather(&mut papers.iter().rev());
        let counts = |papers: &Papers| papers.standing().map(|standing| (standing.pool, standing.charter, standing.leaving));
        prop_assert_eq!(counts(&forth), counts(&back));
        let twice = gather(&mut papers.iter().zip(&parts).filter(|(_, part)| *part % 2 == 0).map(|(one, _)| one).chain(papers.iter()));
        prop_assert_eq!(counts(&forth), counts(&twice));
        let mut again = forth.clone();
        prop_assert_eq!(again.take(&twice).unwrap().news || again.take(&forth).unwrap().news, again != forth);
        prop_assert_eq!(Papers::from_bytes(&forth.to_bytes()).unwrap(), forth);
    }

    #[test]
    fn what_was_changed_on_the_way_is_not_believed(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let papers = begun(2);
        let mut bytes = papers.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let Ok(read) = Papers::from_bytes(&bytes) else { return Ok(()) };
        let mut here = Papers::of(draft());
        if here.take(&read).is_ok() {
            prop_assert!(here.standing().is_none_or(|standing| Some(standing) == papers.standing()));
        }
        let mut mine = papers.clone();
        if mine.take(&read).is_ok() {
            prop_assert_eq!(mine, papers);
        }
    }

    #[test]
    fn any_bytes_are_papers_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(read) = Papers::from_bytes(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }
}

#[test]
fn letters_are_of_those_whose_rows_are_there_and_the_newest_counts() {
    let letter = |of: u8, by: u8, at: u64| {
        let text = |what: &str| Text::new(format!("{what} of {of} at {at}")).unwrap();
        let offers = vec![Offered { to: realm(of + 1), text: text("offer") }];
        Letter::sign((draft().id(), realm(of), Millis(at)), text("card"), offers, &key(by))
    };
    let mut papers = Papers::of(draft());
    papers.add_row(row(1, draft().id(), 300)).unwrap();
    assert_eq!(papers.add_letter(letter(2, 2, 5)), Ok(Taken { news: false }), "it has said nothing");
    assert_eq!(papers.add_letter(letter(1, 1, 5)), Ok(Taken { news: true }));
    assert_eq!(papers.add_letter(letter(1, 1, 4)), Ok(Taken { news: false }), "an older one");
    assert_eq!(papers.add_letter(letter(1, 2, 9)), Ok(Taken { news: false }), "in another's name");
    let mut forged = letter(1, 1, 9);
    forged.at = Millis(10);
    assert_eq!(papers.add_letter(forged), Ok(Taken { news: false }), "changed after it was signed");
    // Another key says that it is that realm, too: both stay until the charter says which one it is.
    papers.add_row(row_by(1, draft().id(), 300, 7)).unwrap();
    papers.add_letter(letter(1, 7, 9)).unwrap();
    assert_eq!(papers.letters().count(), 2);
    let mut begun = begun(3);
    assert_eq!(begun.take(&papers), Ok(Taken { news: true }));
    assert_eq!(begun.letters().cloned().collect::<Vec<_>>(), [letter(1, 1, 5)]);
    assert_eq!(begun.add_letter(letter(4, 4, 9)), Ok(Taken { news: false }), "no member");
    assert_eq!(Papers::from_bytes(&begun.to_bytes()).unwrap(), begun);
    // One that is full stays within its bounds.
    let long = Text::new("x".repeat(LETTER_TEXT_MAX)).unwrap();
    let offers = (0..32).map(|of| Offered { to: realm(of), text: long.clone() }).collect();
    let full = Letter::sign((draft().id(), realm(1), Millis(6)), long, offers, &key(1));
    assert!(full.is_signed() && full.offers.len() == 10, "{}", full.offers.len());
    assert_eq!(Letter::from_bytes(&full.to_bytes()).unwrap(), full);
}
