use freehold_wire::{DecodeError, to_canonical};
use proptest::prelude::*;

use super::*;
use crate::fixture::{self, BUCKET, REALM, Seeded, VERSION};

fn text<const N: usize>(s: &str) -> Text<N> {
    Text::new(s).unwrap()
}

fn blobs() -> Vec<(BlobName, u64, Digest)> {
    let blob = |n: u8, plain: u64| {
        (BlobName::from_bytes([n; 32]), cipher_len(plain).unwrap(), Digest::from_bytes([n + 100; 32]))
    };
    vec![blob(1, 5 << 20), blob(2, 5 << 20), blob(3, 100)]
}

fn refs(
    blobs: &[(BlobName, u64, Digest)],
) -> impl ExactSizeIterator<Item = (&BlobName, u64, &Digest)> + Clone {
    blobs.iter().map(|(name, len, hash)| (name, *len, hash))
}

fn stored() -> Stored {
    let part = |number, plain_len| ManifestPart { number, plain_len };
    Stored {
        size: (10 << 20) + 100,
        etag: text("0123456789abcdef0123456789abcdef-3"),
        content_type: Some(text("image/jpeg")),
        headers: Bounded::from_vec(vec![(text("cache-control"), text("no-store"))]).unwrap(),
        metadata: Bounded::from_vec(vec![(text("camera"), text("Zenit"))]).unwrap(),
        checksums: Bounded::from_vec(vec![Checksum {
            algorithm: ChecksumAlgorithm::Crc64Nvme,
            value: text("AAAAAAAAAAA="),
        }])
        .unwrap(),
        parts: Bounded::from_vec(vec![part(1, 5 << 20), part(2, 5 << 20), part(7, 100)]).unwrap(),
        blobs: blob_list_digest(refs(&blobs())),
        key: fixture::bucket_key().wrap(&fixture::binding(), &fixture::object_key(), &mut Seeded::new(4)),
        annotations: Bounded::from_vec(vec![Annotation {
            aspect: Aspect::Tags,
            document: Document::new(b"kind=photo".to_vec()).unwrap(),
        }])
        .unwrap(),
        part_sums: PartSums::of(ChecksumAlgorithm::Crc64Nvme, [[1; 8], [2; 8], [7; 8]]),
    }
}

fn manifest() -> Manifest {
    Manifest {
        name: text("photos/2026/beach.jpg"),
        version: VERSION,
        modified: Millis(1_790_000_000_000),
        stored: Some(Box::new(stored())),
        kind: None,
    }
}

#[test]
fn a_manifest_opens_again_and_leads_to_the_object_key() {
    let (key, place) = (fixture::bucket_key(), fixture::place());
    let payload = manifest().seal(&key, &place, &mut Seeded::new(1)).unwrap();
    assert_eq!(payload.len(), 1024);
    let opened = Manifest::open(&key, &place, &payload).unwrap();
    assert_eq!(opened, manifest());
    let binding = opened.binding(REALM, BUCKET);
    assert_eq!(binding, fixture::binding());
    assert_eq!(key.unwrap(&binding, &opened.stored.unwrap().key), Ok(fixture::object_key()));
}

#[test]
fn a_tombstone_looks_like_any_manifest() {
    let (key, place) = (fixture::bucket_key(), fixture::place());
    let tombstone = Manifest { stored: None, ..manifest() };
    let payload = tombstone.seal(&key, &place, &mut Seeded::new(1)).unwrap();
    assert_eq!(payload.len(), 1024);
    let opened = Manifest::open(&key, &place, &payload).unwrap();
    assert_eq!(opened.deed(), Some(Deed::NullRemoval));
}

#[test]
fn a_manifest_does_what_its_kind_and_what_it_stores_say() {
    let deed = |kind, stored: bool| {
        Manifest { kind, stored: stored.then(|| Box::new(self::stored())), ..manifest() }.deed()
    };
    assert_eq!(deed(None, true), Some(Deed::NullWrite));
    assert_eq!(deed(None, false), Some(Deed::NullRemoval));
    assert_eq!(deed(Some(Kind::Kept), true), Some(Deed::KeptWrite));
    assert_eq!(deed(Some(Kind::Kept), false), Some(Deed::KeptMarker));
    assert_eq!(deed(Some(Kind::NullMarker), false), Some(Deed::NullMarker));
    assert_eq!(deed(Some(Kind::Removal), false), Some(Deed::Removal));
    assert_eq!(deed(Some(Kind::NullMarker), true), None);
    assert_eq!(deed(Some(Kind::Removal), true), None);
    assert_eq!(stored().annotation(Aspect::Tags), Some(b"kind=photo".as_slice()));
    assert_eq!(stored().annotation(Aspect::Hold), None);
}

#[test]
fn a_row_is_not_a_manifest_and_a_later_format_is_named() {
    let content = [[2].as_slice(), &to_canonical(&manifest())].concat();
    assert_eq!(Manifest::decode(&content), Err(PayloadError::Content { got: 2, wanted: 1 }));
    assert_eq!(Manifest::decode(&[]), Err(PayloadError::Content { got: 0, wanted: 1 }));
    let content = [[1].as_slice(), &to_canonical(&manifest()), &[0]].concat();
    assert_eq!(Manifest::decode(&content), Err(PayloadError::Fields { source: DecodeError::NotCanonical }));
}

#[test]
fn blobs_that_are_not_the_manifests_are_refused() {
    let good = blobs();
    let check = |blobs: &[(BlobName, u64, Digest)]| stored().check_blobs(refs(blobs));
    assert_eq!(check(&good), Ok(()));
    assert_eq!(check(&good[..2]), Err(BlobsError::Count { blobs: 2, parts: 3 }));
    let mut swapped = good.clone();
    swapped.swap(0, 1);
    assert_eq!(check(&swapped), Err(BlobsError::Digest));
    let mut longer = good.clone();
    longer[2].1 += 1;
    assert_eq!(check(&longer), Err(BlobsError::Length { number: 7, got: longer[2].1 }));
    let mut rehashed = good.clone();
    rehashed[2].2 = Digest::from_bytes([0; 32]);
    assert_eq!(check(&rehashed), Err(BlobsError::Digest));
    let shrunk = Stored { size: 1, ..stored() };
    assert_eq!(shrunk.check_blobs(refs(&good)), Err(BlobsError::Size { parts: (10 << 20) + 100, size: 1 }));
    let mut parts = stored().parts.into_vec();
    parts[1].number = 1;
    let doubled = Stored { parts: Bounded::from_vec(parts).unwrap(), ..stored() };
    assert_eq!(doubled.check_blobs(refs(&good)), Err(BlobsError::Order(1)));
}

#[test]
fn ten_thousand_parts_and_two_kilobytes_of_metadata_fit() {
    let part = |number| ManifestPart { number, plain_len: 5 << 30 };
    let full = Stored {
        parts: Bounded::from_vec((1..=10_000).map(part).collect()).unwrap(),
        metadata: Bounded::from_vec(vec![(text("x"), Text::new("y".repeat(2048)).unwrap())]).unwrap(),
        part_sums: PartSums::of(ChecksumAlgorithm::Crc64Nvme, vec![[3; 8]; 8192]),
        ..stored()
    };
    let manifest = Manifest { stored: Some(Box::new(full)), ..manifest() };
    let (key, place) = (fixture::bucket_key(), fixture::place());
    let payload = manifest.seal(&key, &place, &mut Seeded::new(1)).unwrap();
    assert_eq!(payload.len(), 1 << 18);
    assert_eq!(Manifest::open(&key, &place, &payload), Ok(manifest));
}

#[test]
fn checksums_of_parts_lie_one_behind_the_other() {
    let sums = PartSums::of(ChecksumAlgorithm::Crc32, [[1; 4], [2; 4]]).unwrap();
    assert_eq!((sums.at(0), sums.at(1), sums.at(2)), (Some(&[1; 4][..]), Some(&[2; 4][..]), None));
    assert_eq!(PartSums::of(ChecksumAlgorithm::Crc32, [[1; 5]]), None);
    assert_eq!(PartSums::of(ChecksumAlgorithm::Sha256, vec![[1; 32]; 2049]), None, "more than fit");
}

proptest! {
    #[test]
    fn garbage_is_refused_and_what_is_read_is_written_the_same(at in 0usize..600, byte: u8) {
        let mut content = [[1].as_slice(), &to_canonical(&manifest())].concat();
        if let Some(there) = content.get_mut(at) { *there = byte }
        if let Ok(read) = Manifest::decode(&content) {
            prop_assert_eq!([[1].as_slice(), &to_canonical(&read)].concat(), content);
        }
    }
}
