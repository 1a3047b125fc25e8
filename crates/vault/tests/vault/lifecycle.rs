//! What rules remove when the vault is swept, on one node and on two.

use freehold_vault::{
    Annotations, Aspect, DAY, DeleteRequest, Expiration, Filter, Lifecycle, ListQuery, Mode, Noncurrent,
    ObjectLock, PutRequest, Retention, Rule, Setting, UploadRequest, VersionQuery, Versioning,
};
use freehold_wire::{Bounded, Millis, Text};

use crate::world::{Setup, World};

fn rule(prefix: &str) -> Rule {
    Rule {
        id: Text::new(prefix).unwrap(),
        enabled: true,
        filter: Filter { prefix: Some(Text::new(prefix).unwrap()), ..Filter::default() },
        expiration: None,
        noncurrent: None,
        abort_days: None,
    }
}

async fn set(world: &World, rules: Vec<Rule>) {
    let document = Lifecycle(Bounded::from_vec(rules).unwrap()).to_bytes();
    world.vault.set(&world.bucket, Setting::Lifecycle, Some(document)).await.unwrap();
}

async fn keep_versions(world: &World) {
    let on = Versioning::Enabled.to_bytes();
    world.vault.set(&world.bucket, Setting::Versioning, Some(on)).await.unwrap();
}

fn in_days(days: u64) -> Millis {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Millis(u64::try_from(now.as_millis()).unwrap() + DAY.0 * days)
}

fn versions(world: &World) -> Vec<(String, bool)> {
    let keys = ListQuery { max: 100, ..ListQuery::default() };
    let page = world.vault.list_versions(&world.bucket, &VersionQuery { keys, older_than: None }).unwrap();
    page.versions.into_iter().map(|line| (line.meta.key, line.marker)).collect()
}

#[tokio::test]
async fn what_is_due_goes_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let tags = |text: &str| PutRequest {
        annotations: Annotations::from([(Aspect::Tags, text.into())]),
        ..PutRequest::default()
    };
    world.put("tmp/a", b"x").await.unwrap();
    world.put("keep/a", b"x").await.unwrap();
    world.put_with("log/old", tags("kind=log%20file&a=b"), b"x").await.unwrap();
    world.put_with("log/not", tags("kind=other"), b"x").await.unwrap();
    let mut tagged = rule("log/");
    let tag = (Text::new("kind").unwrap(), Text::new("log file").unwrap());
    tagged.filter.tags = Bounded::from_vec(vec![tag]).unwrap();
    let expire = |rule| Rule { expiration: Some(Expiration::Days(3)), ..rule };
    set(&world, vec![expire(rule("tmp/")), expire(tagged), Rule { abort_days: Some(3), ..rule("up/") }])
        .await;
    for key in ["up/a", "keep/b"] {
        world.vault.begin_upload(&world.bucket, key, UploadRequest::default()).await.unwrap();
    }
    assert_eq!(world.vault.sweep(in_days(2)).await.unwrap().expired, 0);
    let swept = world.vault.sweep(in_days(5)).await.unwrap();
    assert_eq!((swept.expired, world.keys()), (2, vec!["keep/a".to_owned(), "log/not".to_owned()]));
    let query = ListQuery { max: 10, ..ListQuery::default() };
    let uploads = world.vault.list_uploads(&world.bucket, &query).await.unwrap().uploads;
    assert!(uploads.iter().all(|upload| upload.key != "up/a"));
    assert_eq!(world.vault.sweep(in_days(9)).await.unwrap().expired, 0);
}

#[tokio::test]
async fn two_nodes_that_expire_an_object_make_one_marker() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = World::open(one.path()).await;
    let second = World::with(two.path(), Setup { node: 2, ..Setup::default() }).await;
    keep_versions(&first).await;
    first.put("k", b"x").await.unwrap();
    set(&first, vec![Rule { expiration: Some(Expiration::Days(1)), ..rule("") }]).await;
    first.send_entries(&second);
    for world in [&first, &second] {
        assert_eq!(world.vault.sweep(in_days(3)).await.unwrap().expired, 1);
    }
    first.send_entries(&second);
    second.send_entries(&first);
    let wanted = [("k".to_owned(), true), ("k".to_owned(), false)];
    assert_eq!((versions(&first), versions(&second)), (wanted.to_vec(), wanted.to_vec()));
    // Who brings the object back and leaves the rule gets another marker, once.
    let marker = {
        let keys = ListQuery { max: 1, ..ListQuery::default() };
        let query = VersionQuery { keys, older_than: None };
        first.vault.list_versions(&first.bucket, &query).unwrap().versions[0].meta.version
    };
    let request = DeleteRequest { key: "k".into(), version: Some(marker), ..DeleteRequest::default() };
    first.vault.delete(&first.bucket, request).await.unwrap();
    assert_eq!(first.keys(), ["k"]);
    assert_eq!(first.vault.sweep(in_days(3)).await.unwrap().expired, 1);
    assert_eq!(versions(&first), wanted);
}

#[tokio::test]
async fn what_lies_behind_goes_unless_it_is_locked() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    let lock = ObjectLock::default().to_bytes();
    world.vault.set(&world.bucket, Setting::ObjectLock, Some(lock)).await.unwrap();
    let retention = Retention { mode: Mode::Governance, until: Millis(in_days(9).0) };
    let locked = PutRequest {
        annotations: Annotations::from([(Aspect::Retention, retention.to_bytes())]),
        ..PutRequest::default()
    };
    world.put_with("k", locked, b"locked").await.unwrap();
    for content in [b"1", b"2", b"3"] {
        world.put("k", content).await.unwrap();
    }
    world
        .vault
        .delete(&world.bucket, DeleteRequest { key: "gone".into(), ..DeleteRequest::default() })
        .await
        .unwrap();
    let noncurrent = Some(Noncurrent { days: 1, keep: Some(1) });
    set(&world, vec![Rule { noncurrent, expiration: Some(Expiration::Marker(true)), ..rule("") }]).await;
    let swept = world.vault.sweep(in_days(3)).await.unwrap();
    assert_eq!(swept.expired, 2, "the marker with nothing behind it, and the first unlocked version");
    assert_eq!(versions(&world).len(), 3, "the current one, one behind it, and the locked one");
}
