//! What docs/formats/backend/vectors/journal.json shows, which another implementation makes too. To
//! write it for a new format: `cargo test -p freehold-backend --lib -- --ignored writes_the_journals_vectors`.

use std::fmt::Write as _;
use std::path::PathBuf;

use freehold_crypt::hash::Hasher;
use freehold_wire::{Hex, RealmId};

use super::*;
use crate::beside::Beside;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats/backend/vectors/journal.json")
}

fn part() -> Part {
    let mut cutter = Cutter::default();
    let row = |seq, payload: Option<&[u8]>| EntryRow {
        bucket: BucketId::from_bytes([2; 32]),
        origin: NodeId::from_bytes([3; 32]),
        seq,
        entry: vec![4; 5],
        payload: payload.map(<[u8]>::to_vec),
    };
    assert_eq!(cutter.op(OpId::from_bytes([1; 32]), b"operation".to_vec()), None);
    assert_eq!(cutter.entry(row(1, Some(b"payload"))), None);
    assert_eq!(cutter.entry(row(300, None)), None);
    cutter.finish(&BTreeSet::from([OpId::from_bytes([9; 32])])).after(Some(Digest::from_bytes([11; 32])))
}

fn made() -> String {
    let (secret, lot, holder) = (Secret::from_bytes([7; 32]), [8; 8], [6; 16]);
    let part_name = PartNames::of(&secret).name(300, lot);
    let claims = Beside::claims(&secret);
    let claim = claims.name(&[&5u64.to_be_bytes()]);
    let sealed = Hasher::plain().update(&claims.seal(&claim, [5; 16], &holder)).finish();
    let realm = RealmId::from_bytes([1; 32]);
    let letters = Beside::letters(realm);
    let letter = letters.name(&[b"attic", b"home"]);
    let part_hash = Part::hash(&part().to_bytes());
    let content = to_canonical(&crate::letter::tests::example(realm, part_hash));
    let letter_sealed = Hasher::plain().update(&letters.seal(&letter, [4; 16], &content)).finish();
    let mut json = String::new();
    writeln!(
        json,
        "{{\n  \"secret\": \"{}\",\n  \"part\": {{\"number\": 300, \"lot\": \"{}\", \"name\": \"{part_name}\", \
         \"content\": \"{}\", \"hash\": \"{part_hash}\"}},\n  \"claim\": {{\"number\": 5, \"lot\": \"{}\", \"holder\": \"{}\", \"name\": \"{}\", \
         \"sealed_blake3\": \"{}\"}},\n  \"letter\": {{\"lot\": \"{}\", \"realm\": \"{realm}\", \"bucket\": \"attic\", \"prefix\": \
         \"home\", \"content\": \"{}\", \"name\": \"{}\", \"sealed_blake3\": \"{}\"}}\n}}",
        Hex(secret.expose()),
        Hex(&lot),
        Hex(&part().to_bytes()),
        Hex(&[5; 16]),
        Hex(&holder),
        Hex(&claim),
        Hex(&sealed),
        Hex(&[4; 16]),
        Hex(&content),
        Hex(&letter),
        Hex(&letter_sealed),
    )
    .unwrap();
    json
}

#[test]
fn the_journals_vectors_are_what_is_made() {
    assert_eq!(std::fs::read_to_string(file()).unwrap(), made());
}

#[test]
#[ignore = "only for a new format"]
fn writes_the_journals_vectors() {
    freehold_disk::replace(&file(), made().as_bytes(), 0o644).unwrap();
}
