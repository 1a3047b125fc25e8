use freehold_wire::Millis;
use proptest::prelude::*;

use super::*;
use crate::fixture::{self, NODE, Seeded, VERSION};

fn amendment(document: Option<&[u8]>) -> Amendment {
    Amendment {
        name: Text::new("photos/2026/beach.jpg").unwrap(),
        target: Target::Kept(VERSION),
        aspect: Aspect::Tags,
        document: document.map(|bytes| Document::new(bytes.to_vec()).unwrap()),
    }
}

fn resealed(content: &Content) -> Resealed {
    let hlc = Hlc { wall: Millis(5), count: 2 };
    let blinding = Blinding::of(&fixture::bucket_key(), &fixture::place());
    Resealed { hlc, origin: NODE, seq: 9, content: content.to_bytes(), blinding }
}

#[test]
fn what_is_sealed_anew_is_what_a_buckets_entry_can_say() {
    let said = Content::Amendment(amendment(Some(b"kind=photo")));
    assert_eq!(resealed(&said).content(), Ok(said.clone()));
    let twice = resealed(&Content::Resealed(resealed(&said)));
    assert_eq!(twice.content(), Err(PayloadError::Content { got: RESEALED, wanted: 1 }));
    let row = resealed(&Content::Row(DirectoryRow::RealmName(None)));
    assert_eq!(row.content(), Err(PayloadError::Content { got: 2, wanted: 1 }));
}

fn contents() -> Vec<Content> {
    let of_null = Target::Null(Hlc { wall: Millis(5), count: 2 }, NODE, 9);
    let setting = |setting, bytes: Option<Vec<u8>>| SettingRow {
        setting,
        document: bytes.map(|b| Document::new(b).unwrap()),
    };
    vec![
        Content::Amendment(amendment(Some(b"kind=photo"))),
        Content::Amendment(amendment(None)),
        Content::Amendment(Amendment { target: of_null, aspect: Aspect::Acl, ..amendment(Some(b"<xml/>")) }),
        Content::Setting(setting(Setting::Versioning, Some(vec![1]))),
        Content::Setting(setting(Setting::Logging, None)),
        Content::Setting(setting(Setting::Policy, Some(vec![b'{'; DOCUMENT_MAX]))),
        Content::Resealed(resealed(&Content::Amendment(amendment(Some(b"kind=photo"))))),
    ]
}

#[test]
fn what_is_said_later_opens_again_at_its_place_alone() {
    let (key, place) = (fixture::bucket_key(), fixture::place());
    for content in contents() {
        let payload = content.seal(&key, &place, &mut Seeded::new(1)).unwrap();
        assert_eq!(Content::open(&key, &place, &payload), Ok(content));
        let elsewhere = PayloadPlace { seq: place.seq + 1, ..place };
        assert_eq!(Content::open(&key, &elsewhere, &payload), Err(PayloadError::Closed));
    }
}

#[test]
fn an_amendment_looks_like_a_manifest() {
    let (key, place) = (fixture::bucket_key(), fixture::place());
    let payload = contents()[0].seal(&key, &place, &mut Seeded::new(1)).unwrap();
    assert_eq!(payload.len(), 1024);
}

#[test]
fn a_document_has_a_bound() {
    assert_eq!(
        Document::new(vec![0; DOCUMENT_MAX + 1]),
        Err(TooLong { got: DOCUMENT_MAX + 1, max: DOCUMENT_MAX })
    );
    assert_eq!(Content::decode(&[9, 0x80]), Err(PayloadError::Content { got: 9, wanted: 2 }));
    assert_eq!(Content::decode(&[]), Err(PayloadError::Content { got: 0, wanted: 1 }));
}

proptest! {
    #[test]
    fn garbage_is_refused_and_what_is_read_is_written_the_same(which in 0usize..6, at in 0usize..200, byte: u8) {
        let whole = match contents().swap_remove(which) {
            Content::Amendment(a) => [[AMENDMENT].as_slice(), &freehold_wire::to_canonical(&a)].concat(),
            Content::Setting(s) => [[SETTING].as_slice(), &freehold_wire::to_canonical(&s)].concat(),
            other => panic!("{other:?}"),
        };
        let mut content = whole;
        if let Some(there) = content.get_mut(at).filter(|_| at > 0) { *there = byte }
        let again = match Content::decode(&content) {
            Ok(Content::Amendment(a)) => [[AMENDMENT].as_slice(), &freehold_wire::to_canonical(&a)].concat(),
            Ok(Content::Setting(s)) => [[SETTING].as_slice(), &freehold_wire::to_canonical(&s)].concat(),
            _ => return Ok(()),
        };
        prop_assert_eq!(again, content);
    }
}
