//! Transactions of several requests: as if each had happened alone.

use freehold_crypt::Entropy as _;
use freehold_disk::OsEntropy;
use freehold_kv::{KvError, Op, Scan};
use freehold_wire::Millis;
use serde_json::json;

use crate::world::{World, put, write};

const MINUTE: Millis = Millis::from_secs(60);

async fn world() -> (tempfile::TempDir, World) {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    world.make("shop").await;
    (home, world)
}

async fn begin(world: &World) -> String {
    world.kv.begin("shop", MINUTE).await.unwrap().id
}

async fn get(world: &World, transaction: &str, key: &str) -> Option<String> {
    match world.kv.read_in("shop", transaction).await.unwrap().get(key).await {
        Ok(item) => Some(String::from_utf8(item.value.to_vec()).unwrap()),
        Err(KvError::NoKey(_)) => None,
        Err(error) => panic!("{error:?}"),
    }
}

async fn keys(world: &World, transaction: &str, scan: Scan) -> Vec<String> {
    let page = world.kv.read_in("shop", transaction).await.unwrap().scan(&scan).await.unwrap();
    page.items.into_iter().map(|item| item.key).collect()
}

fn delete(key: &str) -> Op {
    Op::Delete { key: key.into() }
}

#[tokio::test]
async fn it_sees_one_moment_and_what_it_put_itself() {
    let (_home, world) = world().await;
    world.kv.write("shop", &write(["a", "b", "d", "f"].map(|key| put(key, key)))).await.unwrap();
    let one = begin(&world).await;
    world.put("late", "x").await.unwrap();
    world.kv.add("shop", &one, vec![put("c", "own"), put("b", "own"), delete("d")]).await.unwrap();
    assert_eq!(get(&world, &one, "b").await.as_deref(), Some("own"));
    assert_eq!((get(&world, &one, "d").await, get(&world, &one, "late").await), (None, None));
    let all = Scan { limit: 9, ..Scan::default() };
    assert_eq!(keys(&world, &one, all.clone()).await, ["a", "b", "c", "f"]);
    let back = Scan { reverse: true, limit: 2, ..Scan::default() };
    assert_eq!(keys(&world, &one, back.clone()).await, ["f", "c"]);
    assert_eq!(keys(&world, &one, Scan { after: Some("c".into()), ..back }).await, ["b", "a"]);
    assert_eq!(world.get("c").await, None, "nobody else sees it");
    world.kv.abort("shop", &one).await.unwrap();
    assert!(matches!(world.kv.commit("shop", &one).await, Err(KvError::NoTransaction)));
    assert_eq!(world.get("d").await.as_deref(), Some("d"));
}

#[tokio::test]
async fn it_is_written_as_a_whole_and_once() {
    let (_home, world) = world().await;
    world.put("a", "1").await.unwrap();
    let one = begin(&world).await;
    assert_eq!(get(&world, &one, "a").await.as_deref(), Some("1"));
    let document = Op::PutDocument {
        collection: "things".into(),
        id: "x".into(),
        document: json!({"n": 1}),
        lasting: None,
    };
    world.kv.add("shop", &one, vec![put("a", "2"), document]).await.unwrap();
    let reading = world.kv.read_in("shop", &one).await.unwrap();
    assert_eq!(reading.document("things", "x").await.unwrap()["n"], 1);
    drop(reading);
    let done = world.kv.commit("shop", &one).await.unwrap();
    let again = world.kv.commit("shop", &one).await.unwrap();
    assert!(again.repeated && again.number == done.number);
    assert_eq!(world.get("a").await.as_deref(), Some("2"));
    let reading = world.kv.read("shop", None).await.unwrap();
    assert_eq!(reading.document("things", "x").await.unwrap()["$version"], done.number);
    let nothing = begin(&world).await;
    get(&world, &nothing, "a").await;
    world.put("a", "3").await.unwrap();
    assert!(!world.kv.commit("shop", &nothing).await.unwrap().repeated, "who only reads is always right");
}

#[tokio::test]
async fn what_it_read_must_not_have_changed() {
    let (_home, world) = world().await;
    world.kv.write("shop", &write([put("a", "1"), put("p/1", "x"), put("q", "1")])).await.unwrap();
    let cases: [(&str, Op, bool); 7] = [
        ("a value", put("a", "2"), true),
        ("a value that is the same", put("a", "1"), true),
        ("nothing", put("gone", "now there"), true),
        ("a range", put("p/2", "new"), true),
        ("a range", delete("p/1"), true),
        ("something else", put("q", "2"), false),
        ("beyond the page", put("r/9", "new"), false),
    ];
    for (what, op, refused) in cases {
        world.kv.write("shop", &write([put("p/1", "x"), put("r/1", "1"), put("r/2", "2")])).await.unwrap();
        world.kv.write("shop", &write([delete("gone"), delete("p/2"), delete("r/9")])).await.unwrap();
        let one = begin(&world).await;
        get(&world, &one, "a").await;
        get(&world, &one, "gone").await;
        keys(&world, &one, Scan { prefix: "p/".into(), limit: 9, ..Scan::default() }).await;
        keys(&world, &one, Scan { prefix: "r/".into(), limit: 1, ..Scan::default() }).await;
        world.kv.add("shop", &one, vec![put("out", what)]).await.unwrap();
        world.kv.write("shop", &write([op.clone()])).await.unwrap();
        let done = world.kv.commit("shop", &one).await;
        if refused {
            let Err(KvError::Overtaken(why)) = done else { panic!("{what} {op:?}: {done:?}") };
            assert!(why.contains("after this transaction had read it"), "{why}");
        } else {
            done.unwrap();
        }
    }
}

#[tokio::test]
async fn bounds_are_told() {
    let (_home, world) = world().await;
    assert!(matches!(world.kv.begin("shop", Millis::from_secs(3600)).await, Err(KvError::Invalid(_))));
    let short = world.kv.begin("shop", Millis(1)).await.unwrap().id;
    let begun = std::time::Instant::now();
    while world.kv.add("shop", &short, vec![put("a", "1")]).await.is_ok() {
        assert!(begun.elapsed().as_secs() < 10);
    }
    assert!(matches!(world.kv.commit("shop", &short).await, Err(KvError::NoTransaction)));
    let mut all = Vec::new();
    let refused = loop {
        match world.kv.begin("shop", MINUTE).await {
            Ok(begun) => all.push(begun.id),
            Err(error) => break error,
        }
    };
    assert!(all.len() == 64 && matches!(refused, KvError::Invalid(_)), "{} {refused:?}", all.len());
    world.kv.abort("shop", &all[0]).await.unwrap();
    let one = begin(&world).await;
    let many = (0..1001).map(|n| put(&n.to_string(), "")).collect();
    assert!(matches!(world.kv.add("shop", &one, many).await, Err(KvError::Invalid(_))));
    world.put("shop", "still works").await.unwrap();
}

/// Money moves between accounts at random, and the sum is looked at: it never changes, whoever is
/// overtaken begins again. Two accounts may together not fall below nothing, which only holds if
/// nobody writes on what he read before another wrote: the classical skew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_as_if_one_after_the_other() {
    const ACCOUNTS: u8 = 4;
    let (_home, world) = world().await;
    let open = (0..ACCOUNTS).map(|n| put(&format!("account/{n}"), "100"));
    world.kv.write("shop", &write(open)).await.unwrap();
    let world = std::sync::Arc::new(world);
    let mut tellers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let world = std::sync::Arc::clone(&world);
        tellers.spawn(async move {
            let (mut done, mut overtaken) = (0, 0);
            while done < 15 {
                let mut draw = [0; 3];
                OsEntropy.fill(&mut draw);
                let one = begin(&world).await;
                let pair = 2 * (draw[0] % (ACCOUNTS / 2));
                let (from, with) = (pair + draw[1] % 2, pair + 1 - draw[1] % 2);
                let balance = |text: Option<String>| text.unwrap().parse::<i64>().unwrap();
                let own = balance(get(&world, &one, &format!("account/{from}")).await);
                let other = balance(get(&world, &one, &format!("account/{with}")).await);
                let amount = i64::from(draw[2]);
                // Allowed as long as both together are enough; the other half of the pair is only read.
                let change = if own + other >= amount { -amount } else { 200 };
                let key = format!("account/{from}");
                world.kv.add("shop", &one, vec![put(&key, &(own + change).to_string())]).await.unwrap();
                match world.kv.commit("shop", &one).await {
                    Ok(_) => done += 1,
                    Err(KvError::Overtaken(_)) => overtaken += 1,
                    Err(error) => panic!("{error:?}"),
                }
                let look = begin(&world).await;
                let all = world.kv.read_in("shop", &look).await.unwrap();
                let page = all.scan(&Scan { prefix: "account/".into(), limit: 9, ..Scan::default() }).await;
                let sums: Vec<i64> = page
                    .unwrap()
                    .items
                    .chunks(2)
                    .map(|pair| {
                        pair.iter()
                            .map(|item| std::str::from_utf8(&item.value).unwrap().parse::<i64>().unwrap())
                            .sum()
                    })
                    .collect();
                assert!(sums.iter().all(|sum| *sum >= 0), "{sums:?}");
                world.kv.commit("shop", &look).await.unwrap();
            }
            overtaken
        });
    }
    let overtaken: u32 = tellers.join_all().await.into_iter().sum();
    assert!(overtaken > 0, "they never met");
}
