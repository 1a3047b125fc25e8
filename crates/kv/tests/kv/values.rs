//! Keys and values.

use std::time::{Duration, Instant};

use freehold_kv::{Condition, KvError, Op, Scan, Write};
use freehold_wire::Millis;
use futures::StreamExt as _;

use crate::world::{World, put, write};

async fn world() -> (tempfile::TempDir, World) {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    world.make("shop").await;
    (home, world)
}

#[tokio::test]
async fn what_is_put_comes_back_also_after_a_start() {
    let (home, world) = world().await;
    assert!(matches!(
        world.kv.create(&freehold_kv::NewDatabase { name: "Shop!".into(), copies: 1, confirm: 1 }).await,
        Err(KvError::Name)
    ));
    assert!(matches!(world.kv.write("none", &write([put("a", "1")])).await, Err(KvError::NoDatabase)));
    let first = world.put("a", "one").await.unwrap();
    let second = world.put("b", "two").await.unwrap();
    assert!(second.number > first.number);
    world.put("a", "three").await.unwrap();
    world.kv.write("shop", &write([Op::Delete { key: "b".into() }])).await.unwrap();
    assert_eq!((world.get("a").await, world.get("b").await), (Some("three".into()), None));
    assert_eq!(world.kv.list().unwrap().len(), 1);
    let info = world.kv.info("shop").unwrap();
    assert!(info.here && info.epoch == 1 && info.writer == Some(world.node));
    world.kv.close().await;
    world.agreed.forget();
    drop(world);
    let again = World::open(home.path()).await;
    again.agreed.agree("kv/shop");
    assert_eq!((again.get("a").await, again.get("b").await), (Some("three".into()), None));
    assert_eq!(again.put("c", "x").await.unwrap().number, 5, "numbers go on");
}

#[tokio::test]
async fn a_write_happens_as_a_whole_if_its_conditions_hold() {
    let (_home, world) = world().await;
    let first = world.put("a", "1").await.unwrap().number;
    let swap = |version, value| Write {
        conditions: vec![
            Condition::Version { key: "a".into(), version },
            Condition::Absent { key: "b".into() },
        ],
        ops: vec![put("a", value), put("log", value)],
        idempotency: None,
    };
    world.kv.write("shop", &swap(first, "2")).await.unwrap();
    assert!(matches!(
        world.kv.write("shop", &swap(first, "3")).await,
        Err(KvError::Condition { number: 1, .. })
    ));
    assert_eq!((world.get("a").await, world.get("log").await), (Some("2".into()), Some("2".into())));
    let now = world.kv.read("shop", None).await.unwrap().get("a").await.unwrap().version;
    world.put("b", "there").await.unwrap();
    assert!(matches!(
        world.kv.write("shop", &swap(now, "3")).await,
        Err(KvError::Condition { number: 2, .. })
    ));
}

#[tokio::test]
async fn many_at_once_count_right() {
    let (_home, world) = world().await;
    world.put("count", "0").await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let kv = world.kv.clone();
        tasks.spawn(async move {
            for _ in 0..10 {
                loop {
                    let there = kv.read("shop", None).await.unwrap().get("count").await.unwrap();
                    let next: u64 = std::str::from_utf8(&there.value).unwrap().parse::<u64>().unwrap() + 1;
                    let conditions = vec![Condition::Version { key: "count".into(), version: there.version }];
                    let write =
                        Write { conditions, ops: vec![put("count", &next.to_string())], idempotency: None };
                    match kv.write("shop", &write).await {
                        Ok(_) => break,
                        Err(KvError::Condition { number: 1, .. }) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(world.get("count").await.unwrap(), "40");
}

#[tokio::test]
async fn the_same_write_twice_is_one() {
    let (_home, world) = world().await;
    let once =
        |value| Write { ops: vec![put("a", value)], idempotency: Some("order-7".into()), ..Write::default() };
    let first = world.kv.write("shop", &once("1")).await.unwrap();
    world.put("a", "2").await.unwrap();
    let again = world.kv.write("shop", &once("1")).await.unwrap();
    assert!(again.repeated && again.number == first.number);
    assert_eq!(world.get("a").await.unwrap(), "2");
    assert!(matches!(world.kv.write("shop", &once("3")).await, Err(KvError::KeyUsed)));
}

#[tokio::test]
async fn a_value_ends_when_its_time_is_over() {
    let (_home, world) = world().await;
    let short = Op::Put { key: "s".into(), value: "x".into(), lasting: Some(Millis(2000)) };
    world.kv.write("shop", &write([short, put("t", "stays")])).await.unwrap();
    assert!(world.kv.read("shop", None).await.unwrap().get("s").await.unwrap().expires_ms.is_some());
    let begun = Instant::now();
    while world.get("s").await.is_some() {
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::task::yield_now().await;
    }
    assert!(begun.elapsed() > Duration::from_millis(100));
    let page = world.kv.read("shop", None).await.unwrap().scan(&Scan { limit: 9, ..Scan::default() }).await;
    assert_eq!(page.unwrap().items.len(), 1);
}

#[tokio::test]
async fn scans_go_both_ways_page_by_page() {
    let (_home, world) = world().await;
    let keys: Vec<String> = (0..25).map(|n| format!("a/{n:02}")).chain(["b".into(), "é/1".into()]).collect();
    world.kv.write("shop", &write(keys.iter().map(|key| put(key, key)))).await.unwrap();
    let reading = world.kv.read("shop", None).await.unwrap();
    for reverse in [false, true] {
        let mut scan = Scan { prefix: "a/".into(), limit: 10, reverse, ..Scan::default() };
        let mut seen = Vec::new();
        loop {
            let page = reading.scan(&scan).await.unwrap();
            seen.extend(page.items.into_iter().map(|item| item.key));
            let Some(next) = page.next else { break };
            scan.after = Some(next);
        }
        let mut wanted = keys[..25].to_vec();
        if reverse {
            wanted.reverse();
        }
        assert_eq!(seen, wanted);
    }
    let some = Scan { from: Some("a/20".into()), to: Some("b".into()), limit: 100, ..Scan::default() };
    assert_eq!(reading.scan(&some).await.unwrap().items.len(), 5);
    let all = Scan { limit: 100, ..Scan::default() };
    assert_eq!(reading.scan(&all).await.unwrap().items.len(), 27);
    let none = Scan { from: Some("z".into()), to: Some("a".into()), limit: 1, ..Scan::default() };
    assert_eq!(reading.scan(&none).await.unwrap().items.len(), 0);
}

#[tokio::test]
async fn who_watches_misses_nothing() {
    let (_home, world) = world().await;
    let first = world.put("a", "1").await.unwrap().number;
    world.put("b", "2").await.unwrap();
    let mut from_first = world.kv.watch("shop", Some(first - 1)).await.unwrap().0;
    let mut from_now = world.kv.watch("shop", None).await.unwrap().0;
    world.kv.write("shop", &write([Op::Delete { key: "a".into() }, put("c", "3")])).await.unwrap();
    let mut told = Vec::new();
    while told.len() < 3 {
        told.push(from_first.next().await.unwrap().unwrap());
    }
    assert!(told.is_sorted_by_key(|event| event.number));
    assert_eq!(told[0].changes[0].key, "a");
    assert!(told[2].changes[0].deleted && told[2].changes[1].key == "c");
    assert_eq!(from_now.next().await.unwrap().unwrap(), told[2]);
}

#[tokio::test]
async fn a_snapshot_and_a_clone_stay_as_they_were() {
    let (_home, world) = world().await;
    world.put("a", "1").await.unwrap();
    let (id, _) = world.kv.snapshot("shop", Millis::from_secs(60)).await.unwrap();
    world.put("a", "2").await.unwrap();
    let then = world.kv.read("shop", Some(&id)).await.unwrap();
    assert_eq!(then.get("a").await.unwrap().value, "1");
    world.kv.clone_to("shop", Some(&id), "then").await.unwrap();
    world.kv.clone_to("shop", None, "now").await.unwrap();
    let value = async |name: &str| world.kv.read(name, None).await.unwrap().get("a").await.unwrap().value;
    assert_eq!((value("then").await, value("now").await), ("1".into(), "2".into()));
    let done = world.kv.write("then", &write([put("b", "3")])).await.unwrap();
    assert!(done.number > 1, "numbers go on in a clone");
    assert!(matches!(world.kv.clone_to("shop", None, "now").await, Err(KvError::Exists)));
    world.kv.let_go("shop", &id).await.unwrap();
    assert!(world.kv.read("shop", Some(&id)).await.is_err());
    world.kv.delete("then").await.unwrap();
    assert!(matches!(world.kv.info("then"), Err(KvError::NoDatabase)));
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let (_home, world) = world().await;
    let large = Op::Put { key: "k".into(), value: vec![0; (1 << 20) + 1].into(), lasting: None };
    assert!(matches!(world.kv.write("shop", &write([large])).await, Err(KvError::Invalid(_))));
    assert!(matches!(world.put(&"k".repeat(1025), "").await, Err(KvError::Invalid(_))));
    assert!(matches!(world.kv.write("shop", &write([])).await, Err(KvError::Invalid(_))));
    let long = Op::Put { key: "k".repeat(1024), value: vec![7; 1 << 20].into(), lasting: None };
    world.kv.write("shop", &write([long])).await.unwrap();
}
