//! Versions, what is said of them, and how a bucket is set.

use freehold_vault::{
    Annotations, Aspect, DeleteRequest, GetError, ListQuery, Locked, Locks, Mode, Note, ObjectLock, PutError,
    PutRequest, Retention, Setting, Version, VersionQuery, Versioning,
};
use freehold_wire::Millis;
use futures::TryStreamExt as _;

use crate::world::{Setup, Witness, World};

const FAR: Millis = Millis(4_000_000_000_000);
const LATE: Millis = Millis(u64::MAX / 2);

async fn keep_versions(world: &World, versioning: Versioning) {
    world.vault.set(&world.bucket, Setting::Versioning, Some(versioning.to_bytes())).await.unwrap();
}

async fn read(world: &World, key: &str, version: Version) -> Result<Vec<u8>, GetError> {
    let object = world.vault.get(&world.bucket, key, Some(version), None).await?;
    assert_eq!(object.meta.version, version);
    let pieces: Vec<bytes::Bytes> = object.body.try_collect().await?;
    Ok(pieces.concat())
}

fn of(key: &str, version: Option<Version>) -> DeleteRequest {
    DeleteRequest { key: key.into(), version, ..DeleteRequest::default() }
}

fn lines(world: &World) -> Vec<(String, Version, bool, bool)> {
    let keys = ListQuery { max: 100, ..ListQuery::default() };
    let page = world.vault.list_versions(&world.bucket, &VersionQuery { keys, older_than: None }).unwrap();
    page.versions.into_iter().map(|v| (v.meta.key, v.meta.version, v.current, v.marker)).collect()
}

#[tokio::test]
async fn versions_are_kept_from_when_it_was_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    assert_eq!(world.put("k", b"before").await.unwrap().version, Version::Null);
    keep_versions(&world, Versioning::Enabled).await;
    let first = world.put("k", b"first").await.unwrap().version;
    let second = world.put("k", b"second").await.unwrap().version;
    assert!(first != second && first != Version::Null);
    let marker = world.vault.delete(&world.bucket, of("k", None)).await.unwrap();
    assert!(marker.marker && marker.found);
    let marker = marker.version.unwrap();
    assert!(matches!(world.get("k").await, Err(GetError::Deleted(there)) if there == marker));
    assert!(world.keys().is_empty());
    assert_eq!(read(&world, "k", first).await.unwrap(), b"first");
    assert_eq!(read(&world, "k", Version::Null).await.unwrap(), b"before");
    assert!(matches!(read(&world, "k", marker).await, Err(GetError::Marker { .. })));
    let line = |version, current, marker| ("k".to_owned(), version, current, marker);
    let all = [
        line(marker, true, true),
        line(second, false, false),
        line(first, false, false),
        line(Version::Null, false, false),
    ];
    assert_eq!(lines(&world), all);
    drop(world);

    let world = World::open(home.path()).await;
    assert_eq!(lines(&world), all, "the same after a restart");
    world.vault.delete(&world.bucket, of("k", Some(marker))).await.unwrap();
    assert_eq!(world.get("k").await.unwrap(), b"second");
    assert_eq!(world.vault.stats()[&world.bucket].versions, 3);
    keep_versions(&world, Versioning::Suspended).await;
    assert_eq!(world.put("k", b"after").await.unwrap().version, Version::Null);
    assert_eq!(read(&world, "k", second).await.unwrap(), b"second");
    let marker = world.vault.delete(&world.bucket, of("k", None)).await.unwrap();
    assert_eq!(marker.version, Some(Version::Null));
    assert_eq!(lines(&world)[0], line(Version::Null, true, true));
}

#[tokio::test]
async fn what_is_removed_for_good_is_erased_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let witness = Witness { releases: true, ..Witness::default() };
    let setup = Setup { replication: std::sync::Arc::new(witness), ..Setup::default() };
    let world = World::with(home.path(), setup).await;
    keep_versions(&world, Versioning::Enabled).await;
    let first = world.put("k", b"first").await.unwrap().version;
    let second = world.put("k", b"second").await.unwrap().version;
    let note = |tags: &str| Note { aspect: Aspect::Tags, document: Some(tags.into()), bypass: false };
    for tags in ["a=1", "a=2"] {
        world.vault.annotate(&world.bucket, "k", Some(first), note(tags)).await.unwrap();
        world.vault.annotate(&world.bucket, "k", Some(second), note(tags)).await.unwrap();
    }
    world.vault.delete(&world.bucket, of("k", Some(first))).await.unwrap();
    assert!(matches!(read(&world, "k", first).await, Err(GetError::NoSuchVersion)));
    let swept = world.vault.sweep(LATE).await.unwrap();
    assert_eq!(swept.erased, 4, "the first version, its tags, and the earlier tags of the second");
    assert_eq!(read(&world, "k", second).await.unwrap(), b"second");
    drop(world);
    let world = World::open(home.path()).await;
    assert_eq!(lines(&world), [("k".to_owned(), second, true, false)]);
    let tags = world.vault.annotation(&world.bucket, "k", None, Aspect::Tags).await.unwrap();
    assert_eq!(tags, (second, Some(b"a=2".to_vec())));
}

#[tokio::test]
async fn what_is_said_of_a_version_goes_with_it() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let tags = |world: &World| {
        let (vault, bucket) = (world.vault.clone(), world.bucket);
        async move { vault.annotation(&bucket, "k", None, Aspect::Tags).await.unwrap().1 }
    };
    let annotations = Annotations::from([(Aspect::Tags, b"a=1".to_vec())]);
    world.put_with("k", PutRequest { annotations, ..PutRequest::default() }, b"x").await.unwrap();
    assert_eq!(tags(&world).await.unwrap(), b"a=1");
    for document in [Some(b"b=2".to_vec()), None, Some(b"c=3".to_vec())] {
        let note = Note { aspect: Aspect::Tags, document: document.clone(), bypass: false };
        world.vault.annotate(&world.bucket, "k", None, note).await.unwrap();
        assert_eq!(tags(&world).await, document);
    }
    world.put("k", b"y").await.unwrap();
    assert_eq!(tags(&world).await, None, "another version has its own");
    let note = Note { aspect: Aspect::Tags, document: None, bypass: false };
    let nothing = world.vault.annotate(&world.bucket, "gone", None, note).await;
    assert!(matches!(nothing, Err(PutError::NoSuchKey)));
}

#[tokio::test]
async fn a_locked_version_stays() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let retention = Retention { mode: Mode::Governance, until: FAR };
    let locked = || PutRequest {
        annotations: Annotations::from([(Aspect::Retention, retention.to_bytes())]),
        ..PutRequest::default()
    };
    assert!(matches!(world.put_with("k", locked(), b"x").await, Err(PutError::NoObjectLock)));
    let lock = ObjectLock::default().to_bytes();
    world.vault.set(&world.bucket, Setting::ObjectLock, Some(lock)).await.unwrap();
    let suspend = Some(Versioning::Suspended.to_bytes());
    let refused = world.vault.set(&world.bucket, Setting::Versioning, suspend).await;
    assert!(matches!(refused, Err(PutError::Setting(_))), "{refused:?}");
    let version = world.put_with("k", locked(), b"x").await.unwrap().version;
    assert_ne!(version, Version::Null, "object lock keeps versions");
    let refused = world.vault.delete(&world.bucket, of("k", Some(version))).await;
    assert!(matches!(refused, Err(PutError::Locked(Locked::Until(until))) if until == retention));
    let hold = |on| Note { aspect: Aspect::Hold, document: Some(Locks::hold_to_bytes(on)), bypass: false };
    world.vault.annotate(&world.bucket, "k", None, hold(true)).await.unwrap();
    let bypass = DeleteRequest { bypass: true, ..of("k", Some(version)) };
    let refused = world.vault.delete(&world.bucket, bypass.clone()).await;
    assert!(matches!(refused, Err(PutError::Locked(Locked::Hold))));
    world.vault.delete(&world.bucket, of("k", None)).await.unwrap();
    world.vault.annotate(&world.bucket, "k", Some(version), hold(false)).await.unwrap();
    world.vault.delete(&world.bucket, bypass).await.unwrap();
    assert_eq!(lines(&world).len(), 1, "the marker");
}
