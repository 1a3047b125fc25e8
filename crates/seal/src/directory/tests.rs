use proptest::prelude::*;

use super::*;
use crate::fixture::{self, BUCKET, NODE, Seeded};

fn name(s: &str) -> Name {
    Name::new(s).unwrap()
}

fn rows() -> Vec<DirectoryRow> {
    vec![
        DirectoryRow::RealmName(Some(name("smith"))),
        DirectoryRow::NodeName(NODE, Some(name("attic"))),
        DirectoryRow::BucketName(BUCKET, None),
        DirectoryRow::ZoneName(ZoneId::from_bytes([6; 16]), Some(name("attic"))),
        DirectoryRow::ServiceName(ServiceId::from_bytes([8; 32]), Some(name("freehold/backup"))),
        DirectoryRow::ZoneName(ZoneId::from_bytes([4; 16]), Some(name("Zoë"))),
        DirectoryRow::Cut(NODE, Some(Bounded::from_vec(vec![(BUCKET, 7)]).unwrap())),
        DirectoryRow::Addresses(NODE, Bounded::from_vec(vec![Text::new("192.0.2.7:4433").unwrap()]).unwrap()),
        DirectoryRow::NetService(ServiceId::from_bytes([8; 32]), Some(name("wiki"))),
        DirectoryRow::NetRule(RuleId::from_bytes([8; 32]), None),
        DirectoryRow::Filter(
            Text::new("group/kids").unwrap(),
            Some(FilterRow::Group(FilterGroup::default())),
        ),
        DirectoryRow::Filter(Text::new("list/ads").unwrap(), None),
        DirectoryRow::Ready(NODE, BUCKET, Ready { kept: 2 << 16 | 7, last: 9, whole: true }),
        DirectoryRow::Published(ServiceId::from_bytes([8; 32]), None),
        DirectoryRow::PublicAuthority(Some(authority())),
        DirectoryRow::PhoneName(PhoneId::from_bytes([8; 32]), Some(name("ann's phone"))),
        DirectoryRow::PhoneDoor(
            NODE,
            Some(PhoneDoor {
                key: BoxPublic::from_bytes([3; 32]),
                endpoint: Text::new("vps.example.org:51820").unwrap(),
            }),
        ),
    ]
}

fn authority() -> PublicAuthority {
    PublicAuthority {
        directory: Text::new("https://acme.example/directory").unwrap(),
        contact: Bounded::from_vec(vec![Text::new("mailto:ada@example.org").unwrap()]).unwrap(),
        agreed: true,
        proof: crate::Proof::Dns,
        roots: None,
        update: None,
    }
}

#[test]
fn rows_open_again_and_all_look_alike() {
    let (key, place) = (fixture::bucket_key(), fixture::place());
    for row in rows() {
        let payload = row.seal(&key, &place, &mut Seeded::new(1)).unwrap();
        assert_eq!(payload.len(), 1024);
        assert_eq!(DirectoryRow::open(&key, &place, &payload), Ok(row));
    }
}

#[test]
fn rows_about_the_same_thing_replace_each_other() {
    let keys: std::collections::BTreeSet<_> = rows().iter().map(DirectoryRow::key).collect();
    assert_eq!(keys.len(), rows().len());
    let renamed = DirectoryRow::NodeName(NODE, Some(name("cellar")));
    assert!(keys.contains(&renamed.key()));
    assert!(!keys.contains(&DirectoryRow::NodeName(NodeId::from_bytes([9; 32]), None).key()));
}

#[test]
fn a_node_tells_only_its_own_addresses() {
    let other = NodeId::from_bytes([9; 32]);
    for row in rows() {
        // Nor does it say what of its own counts, once it was suspended.
        assert_eq!(row.may_come_from(NODE), row.key() != RowKey::Cut(NODE));
        let alone = [RowKey::Addresses(NODE), RowKey::Ready(BUCKET, NODE), RowKey::PhoneDoor(NODE)];
        let alone = alone.contains(&row.key());
        assert_eq!(row.may_come_from(other), !alone);
    }
}

#[test]
fn a_mere_store_names_nothing_but_itself() {
    for row in rows() {
        let own = matches!(
            row.key(),
            RowKey::NodeName(_) | RowKey::Addresses(_) | RowKey::Ready(..) | RowKey::PhoneDoor(_)
        );
        assert_eq!(row.needs_keeper(NODE), !own);
        assert!(row.needs_keeper(NodeId::from_bytes([9; 32])));
    }
}

#[test]
fn a_manifest_is_not_a_row() {
    assert_eq!(DirectoryRow::decode(&[1]), Err(PayloadError::Content { got: 1, wanted: 2 }));
}

proptest! {
    #[test]
    fn garbage_is_refused_and_what_is_read_is_written_the_same(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let content = [[2].as_slice(), &bytes].concat();
        if let Ok(row) = DirectoryRow::decode(&content) {
            prop_assert_eq!(freehold_wire::to_canonical(&row), bytes);
        }
    }
}
