//! The bytes that are written down in docs/formats/pool.

use freehold_wire::Hex;
use serde_json::{Value, json};

use super::*;

const WRITTEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/pool/vectors.json");

fn vectors() -> Value {
    let charter = first(4);
    let pool = charter.id();
    let start = signed(&charter, &[1, 2, 3, 4]);
    let more = next(&charter, pool, 2, |all| all[3].gives = 900);
    let cases = [
        ("the first", &start, true),
        ("the first, one has not signed", &signed(&charter, &[1, 2, 3]), false),
        ("one gives more", &signed(&more, &[1, 2, 4]), true),
        ("one gives more and has not signed", &signed(&more, &[1, 2, 3]), false),
        ("half have signed", &signed(&more, &[1, 4]), false),
        (
            "one is put out",
            &signed(&next(&charter, pool, 2, |all| all.retain(|one| one.realm != realm(2))), &[1, 3, 4]),
            true,
        ),
        (
            "another key, signed with both",
            &signed(&next(&charter, pool, 2, |all| all[0].key = key(9).verifying()), &[1, 2, 3, 9]),
            true,
        ),
    ];
    let charters = cases.map(|(name, paper, counts)| {
        let right = if paper.charter.before.is_none() {
            paper.begins().is_ok()
        } else {
            paper.follows(&charter, &pool).is_ok()
        };
        assert_eq!(right, counts, "{name}");
        json!({ "name": name, "bytes": Hex(&paper.to_bytes()).to_string(), "counts": counts })
    });
    let notice = Notice::sign(Leaving { pool, realm: realm(2), at: NOW, last: NOW.plus(DAY) }, &key(2));
    let with = vec![Used { with: realm(2), kept: 40, used: 5 }];
    let account = Account::sign((pool, realm(1), NOW), Bounded::from_vec(with).unwrap(), &key(1));
    let offers = vec![Offered { to: realm(2), text: Text::new("FREEHOLD-GRANT:AAAA").unwrap() }];
    let card = Text::new("FREEHOLD-REALM:BBBB").unwrap();
    let letter = Letter::sign((pool, realm(1), NOW), card, offers, &key(1));
    let houses: [&[(u64, u64, u8)]; 4] = [
        &[(300, 300, 1), (300, 300, 2), (300, 300, 3), (300, 300, 1)],
        &[(100, 1000, 1), (1000, 100, 2), (1000, 1000, 2)],
        &[(7, 11, 0), (13, 5, 0), (3, 17, 0), (29, 2, 1), (1, 1, 1)],
        &[(1 << 50, 3, 1), (5, 1 << 50, 1)],
    ];
    let shares = houses.map(|of| {
        let all: Vec<Member> = (1_u8..)
            .zip(of)
            .map(|(number, (gives, uses, place))| Member {
                place: ZoneId::from_bytes([*place; 16]),
                ..member(number, *gives, *uses)
            })
            .collect();
        let at = |realm: &RealmId| all.iter().position(|member| member.realm == *realm).unwrap();
        let shares: Vec<(usize, usize, u64)> = allot(all.iter())
            .iter()
            .map(|share| (at(&share.lender), at(&share.borrower), share.bytes))
            .collect();
        json!({ "members": of, "shares": shares })
    });
    json!({
        "pool": pool.to_string(),
        "charters": charters,
        "notice": { "bytes": Hex(&notice.to_bytes()).to_string(), "free": NOW.plus(Millis(DAY.0 * 14)).0 },
        "account": Hex(&account.to_bytes()).to_string(),
        "letter": Hex(&letter.to_bytes()).to_string(),
        "shares": shares,
    })
}

#[test]
fn the_bytes_are_those_that_are_written_down() {
    let written: Value = serde_json::from_slice(&std::fs::read(WRITTEN).unwrap()).unwrap();
    assert_eq!(written, vectors());
}

#[test]
#[ignore = "writes the vectors anew"]
#[expect(clippy::disallowed_methods, reason = "a file of the repository, written by hand")]
fn write() {
    std::fs::write(WRITTEN, format!("{:#}\n", vectors())).unwrap();
}
