use freehold_crypt::Secret;
use freehold_wire::{Bounded, Millis, Text};

use super::*;
use crate::fixture::{self, NODE, Seeded, VERSION};
use crate::{Amendment, Aspect, DirectoryRow, Stored, Target, blob_list_digest};

fn manifest(key: &BucketKey, object: &ObjectKey, etag: &str) -> Content {
    let stored = Stored {
        size: 0,
        etag: Text::new(etag).unwrap(),
        content_type: None,
        headers: Bounded::new(),
        metadata: Bounded::new(),
        checksums: Bounded::new(),
        parts: Bounded::new(),
        blobs: blob_list_digest([]),
        key: key.wrap(&fixture::binding(), object, &mut Seeded::new(3)),
        annotations: Bounded::new(),
        part_sums: None,
    };
    Content::Manifest(Manifest {
        name: Text::new("photos/2026/beach.jpg").unwrap(),
        version: VERSION,
        modified: Millis(5),
        stored: Some(Box::new(stored)),
        kind: None,
    })
}

#[test]
fn the_same_under_another_key_says_the_same_and_nothing_else_does() {
    let (key, place) = (fixture::bucket_key(), fixture::place());
    let next = BucketKey::from_secret(1 << 16, Secret::from_bytes([9; 32]));
    let blinding = Blinding::of(&key, &place);
    let (object, other) = (fixture::object_key(), ObjectKey::from_secret(Secret::from_bytes([8; 32])));
    let says = manifest(&key, &object, "a").says(&key, &place, &blinding).unwrap();
    assert_eq!(manifest(&next, &object, "a").says(&next, &place, &blinding), Some(says));
    assert_eq!(manifest(&next, &object, "a").says(&key, &place, &blinding), None, "its key does not open");
    for (content, key, blinding) in [
        (manifest(&next, &object, "b"), &next, blinding.clone()),
        (manifest(&next, &other, "a"), &next, blinding.clone()),
        (manifest(&next, &object, "a"), &next, Blinding::of(&next, &place)),
        (manifest(&next, &object, "a"), &next, Blinding::of(&key, &PayloadPlace { seq: 8, ..place })),
    ] {
        let other = content.says(key, &place, &blinding);
        assert!(other.is_some() && other != Some(says), "{content:?}");
    }
}

#[test]
fn what_nobody_seals_anew_commits_to_nothing() {
    let (key, place) = (fixture::bucket_key(), fixture::place());
    let blinding = Blinding::of(&key, &place);
    let says = |content: &Content| content.says(&key, &place, &blinding);
    assert_eq!(says(&Content::Row(DirectoryRow::RealmName(None))), None);
    let name = Text::new("photos/2026/beach.jpg").unwrap();
    let target = Target::Null(freehold_wire::Hlc::default(), NODE, 1);
    let said = Content::Amendment(Amendment { name, target, aspect: Aspect::Tags, document: None });
    assert!(says(&said).is_some());
}
