use freehold_wire::{from_canonical, to_canonical};

use super::*;
use crate::fixture;

#[test]
fn a_version_reads_back_as_it_is_shown_and_in_no_other_spelling() {
    let version = VersionId::random(&mut fixture::Seeded::new(1));
    assert_eq!(version.to_string().parse(), Ok(version));
    for bad in
        ["", "00", &version.to_string().to_uppercase(), "+f000000000000000000000000000000", &"0".repeat(33)]
    {
        assert_eq!(bad.parse::<VersionId>(), Err(VersionIdError), "{bad}");
    }
    assert_eq!(from_canonical(&to_canonical(&version), 32), Ok(version));
}

#[test]
fn every_field_of_a_binding_counts() {
    let base = fixture::binding();
    let header = [9; 16];
    let mut others = vec![
        base.of_part(&[8; 16], 1),
        base.of_part(&header, 2),
        Binding { realm: RealmId::from_bytes([9; 32]), ..base }.of_part(&header, 1),
        Binding { bucket: BucketId::from_bytes([9; 32]), ..base }.of_part(&header, 1),
        Binding { object: object_digest("photos/2026/Beach.jpg"), ..base }.of_part(&header, 1),
        Binding { version: VersionId::from_bytes([9; 16]), ..base }.of_part(&header, 1),
        base.of_object_key(1),
        base.of_object_key(2),
    ];
    others.push(base.of_part(&header, 1));
    let all: std::collections::BTreeSet<_> = others.iter().collect();
    assert_eq!(all.len(), others.len());
}
