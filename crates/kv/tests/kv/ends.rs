//! What has an end goes, with all its rows; what is kept stays; what a database overwrites is freed.

use std::time::{Duration, Instant};

use freehold_documents::IndexSpec;
use freehold_kv::{Asked, KvError, Op, Pace, Scan, Write};
use freehold_wire::Millis;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use crate::world::{World, write};

fn document(id: &str, document: Value, lasting: Option<u64>) -> Op {
    Op::PutDocument { collection: "all".into(), id: id.into(), document, lasting: lasting.map(Millis) }
}

async fn world() -> (tempfile::TempDir, World) {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    world.make("shop").await;
    (home, world)
}

async fn ids(world: &World, query: &str) -> Vec<String> {
    let asked = Asked { collection: "all".into(), query: query.into(), ..Asked::default() };
    let answer = world.kv.read("shop", None).await.unwrap().query(&asked).await.unwrap();
    answer.documents.iter().map(|document| document["$id"].as_str().unwrap().to_owned()).collect()
}

async fn index(world: &World, name: &str, unique: bool) {
    let fields = vec![name.parse().unwrap()];
    let spec = IndexSpec { name: name.into(), fields, unique, each: false, text: false };
    world.kv.add_index("shop", "all", spec).await.unwrap();
}

#[tokio::test]
async fn a_document_goes_with_its_rows_when_its_time_is_over() {
    let (_home, world) = world().await;
    index(&world, "mail", true).await;
    index(&world, "n", false).await;
    let ops = [
        document("short", json!({"mail": "a@x", "n": 1}), Some(400)),
        document("again", json!({"mail": "b@x", "n": 1}), Some(400)),
        document("stays", json!({"n": 1}), None),
    ];
    world.kv.write("shop", &write(ops)).await.unwrap();
    let mut news = world.kv.watch("shop", None).await.unwrap().0;
    assert!(world.kv.read("shop", None).await.unwrap().document("all", "short").await.is_ok());
    world.kv.write("shop", &write([document("again", json!({"mail": "b@x", "n": 2}), None)])).await.unwrap();
    assert!(!news.next().await.unwrap().unwrap().changes[0].deleted);
    let gone = news.next().await.unwrap().unwrap();
    assert!(gone.changes.len() == 1 && gone.changes[0].deleted && gone.changes[0].key == "short", "{gone:?}");
    assert_eq!(ids(&world, "where n = 1").await, ["stays"]);
    assert_eq!(ids(&world, "order by n").await, ["stays", "again"]);
    world.kv.write("shop", &write([document("new", json!({"mail": "a@x"}), None)])).await.unwrap();
    let taken = world.kv.write("shop", &write([document("newer", json!({"mail": "b@x"}), None)])).await;
    assert!(matches!(taken, Err(KvError::Unique { .. })));
    assert_eq!(world.kv.read("shop", None).await.unwrap().collections().await.unwrap()[0].documents, 3);
}

#[tokio::test]
async fn who_comes_before_it_was_removed_finds_its_place_free() {
    let (_home, world) = world().await;
    index(&world, "mail", true).await;
    for n in 0..20 {
        let mail = json!({"mail": "a@x"});
        let one = document(&format!("d{n}"), mail, Some(1));
        // The one before has ended, whether anybody has removed it or not.
        let begun = Instant::now();
        while let Err(error) = world.kv.write("shop", &write([one.clone()])).await {
            assert!(matches!(error, KvError::Unique { .. }), "{error:?}");
            assert!(begun.elapsed() < Duration::from_secs(30));
        }
    }
    let begun = Instant::now();
    while world.kv.read("shop", None).await.unwrap().collections().await.unwrap()[0].documents > 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "all are removed in the end");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_snapshot_with_a_name_stays_and_is_read_everywhere() {
    let (home, world) = world().await;
    let other = tempfile::tempdir().unwrap();
    let two = world.beside(other.path()).await;
    world.put("a", "1").await.unwrap();
    let kept = world.kv.keep("shop", "before").await.unwrap();
    assert!(kept.name == "before" && kept.made.0 > 0);
    assert!(matches!(world.kv.keep("shop", "before").await, Err(KvError::SnapshotThere(_))));
    assert!(matches!(world.kv.keep("shop", "0-1").await, Err(KvError::Invalid(_))));
    world.put("a", "2").await.unwrap();
    let then = async |world: &World| {
        world.kv.read("shop", Some("before")).await.unwrap().get("a").await.unwrap().value
    };
    assert_eq!((then(&world).await, world.get("a").await), ("1".into(), Some("2".into())));
    world.send_entries(&two);
    assert_eq!(two.kv.snapshots("shop").await.unwrap(), vec![kept]);
    assert_eq!(then(&two).await, "1");
    world.kv.close().await;
    world.agreed.forget();
    drop((world, two));
    let again = World::open(home.path()).await;
    again.agreed.agree("kv/shop");
    assert_eq!((then(&again).await, again.get("a").await), ("1".into(), Some("2".into())));
    again.kv.clone_to("shop", Some("before"), "back").await.unwrap();
    assert_eq!(again.kv.read("back", None).await.unwrap().get("a").await.unwrap().value, "1");
    again.kv.let_go("shop", "before").await.unwrap();
    assert!(matches!(again.kv.let_go("shop", "before").await, Err(KvError::NoSnapshot(_))));
    assert!(matches!(again.kv.read("shop", Some("before")).await, Err(KvError::NoSnapshot(_))));
    again.put("a", "3").await.unwrap();
    assert_eq!(again.get("a").await.as_deref(), Some("3"));
}

#[tokio::test]
async fn who_watches_another_node_misses_nothing() {
    let (_home, world) = world().await;
    let other = tempfile::tempdir().unwrap();
    let two = world.beside(other.path()).await;
    let first = world.put("a", "1").await.unwrap().number;
    world.send_entries(&two);
    let (mut news, writer) = two.kv.watch("shop", Some(first - 1)).await.unwrap();
    assert_eq!(writer, Some(world.node));
    assert_eq!(news.next().await.unwrap().unwrap().number, first);
    for n in 0..5 {
        world.put("b", &n.to_string()).await.unwrap();
    }
    world.send_entries(&two);
    for n in 1..=5 {
        let event = tokio::time::timeout(Duration::from_secs(20), news.next()).await.unwrap();
        assert_eq!(event.unwrap().unwrap().number, first + n);
    }
}

/// Objects that the database has, and blobs on the disk.
async fn space(world: &World) -> (u64, usize) {
    let objects = world.vault.stats().values().map(|bucket| bucket.objects).sum();
    let blobs: Vec<_> = world.vault.depot().list().try_collect().await.unwrap();
    (objects, blobs.len())
}

// As in a node: what tidies up is not kept waiting by who writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_database_leaves_on_the_disk_is_bounded() {
    const OBJECTS: u64 = 40;
    const TABLE: u32 = 16;
    let home = tempfile::tempdir().unwrap();
    let pace = Pace { flushes: TABLE, tidy_every: Duration::from_millis(50), tidy_age: Duration::ZERO };
    let world = World::open(home.path()).await.at_pace(pace);
    world.make("shop").await;
    for round in 0..3 {
        for n in 0..200 {
            world.put(&format!("k{}", n % 10), &format!("{round}-{n}")).await.unwrap();
        }
        let (begun, mut written) = (Instant::now(), 0_u32);
        loop {
            // Two hundred logs, a dozen tables, a manifest for each of them have come since.
            world.kv.tidy(Millis(u64::MAX / 2)).await.unwrap();
            let (objects, blobs) = space(&world).await;
            if objects <= OBJECTS && blobs as u64 <= objects {
                break;
            }
            assert!(begun.elapsed() < Duration::from_mins(4), "{objects} objects, {blobs} blobs");
            // Nothing of it is freed before a table is made of what is still in the log. What comes between two
            // rounds of the engine, ten seconds apart, stays until the next: once there are tables, few do.
            let slowly = Duration::from_secs(2) * written.saturating_sub(2 * TABLE);
            if begun.elapsed() >= pace.tidy_every * written.min(2 * TABLE) + slowly {
                world.put("k0", "again").await.unwrap();
                written += 1;
            }
        }
    }
    let page = world.kv.read("shop", None).await.unwrap().scan(&Scan { limit: 99, ..Scan::default() }).await;
    assert_eq!(page.unwrap().items.len(), 10);
    world.kv.close().await;
    world.kv.write("shop", &Write::default()).await.unwrap_err();
}
