//! Documents and indexes.

use std::time::{Duration, Instant};

use freehold_documents::IndexSpec;
use freehold_kv::{Asked, Condition, IndexState, KvError, Op, Write};
use serde_json::{Value, json};

use crate::world::{World, write};

async fn world() -> (tempfile::TempDir, World) {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    world.make("shop").await;
    (home, world)
}

fn document(id: &str, document: Value) -> Op {
    Op::PutDocument { collection: "people".into(), id: id.into(), document, lasting: None }
}

fn index(name: &str, fields: &[&str], unique: bool, each: bool) -> IndexSpec {
    let fields = fields.iter().map(|path| path.parse().unwrap()).collect();
    IndexSpec { name: name.into(), fields, unique, each, text: false }
}

async fn ask(world: &World, query: &str) -> (Vec<String>, String) {
    let asked = Asked { collection: "people".into(), query: query.into(), ..Asked::default() };
    let answer = world.kv.read("shop", None).await.unwrap().query(&asked).await.unwrap();
    let ids = answer.documents.iter().map(|document| document["$id"].as_str().unwrap().to_owned());
    (ids.collect(), answer.plan)
}

async fn state(world: &World, name: &str) -> Option<IndexState> {
    let all = world.kv.read("shop", None).await.unwrap().collections().await.unwrap();
    let people = all.into_iter().find(|collection| collection.name == "people")?;
    people.indexes.into_iter().find(|index| index.spec.name == name).map(|index| index.state)
}

/// Waits until an index is not being built any more.
async fn settled(world: &World, name: &str) -> Option<IndexState> {
    let begun = Instant::now();
    loop {
        let state = state(world, name).await;
        if !matches!(state, Some(IndexState::Building { .. } | IndexState::Dropping)) {
            return state;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{state:?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn documents_are_found_by_their_indexes() {
    let (_home, world) = world().await;
    for spec in [
        index("age", &["age"], false, false),
        index("mail", &["mail"], true, false),
        index("tag", &["tags"], false, true),
    ] {
        world.kv.add_index("shop", "people", spec.clone()).await.unwrap();
        assert!(matches!(world.kv.add_index("shop", "people", spec).await, Err(KvError::Index(_))));
    }
    for name in ["age", "mail", "tag"] {
        assert_eq!(settled(&world, name).await, Some(IndexState::Whole));
    }
    let ops = [
        document("ann", json!({"age": 40, "mail": "a@x", "tags": ["red", "big"]})),
        document("bob", json!({"age": 20, "mail": "b@x", "tags": ["red"]})),
        document("cat", json!({"age": 30})),
    ];
    let done = world.kv.write("shop", &write(ops)).await.unwrap();
    assert_eq!(ask(&world, "order by age").await.0, ["bob", "cat", "ann"]);
    let (found, plan) = ask(&world, "where tags has \"red\" and age > 30").await;
    assert_eq!((found, plan.contains("index tag")), (vec!["ann".to_owned()], true));
    let twin = world.kv.write("shop", &write([document("eve", json!({"mail": "a@x"}))])).await;
    assert!(matches!(twin, Err(KvError::Unique { index, id }) if index == "mail" && id == "ann"));
    let moved = [document("ann", json!({"age": 41, "mail": "z@x"})), document("eve", json!({"mail": "a@x"}))];
    let write = Write {
        conditions: vec![Condition::DocumentVersion {
            collection: "people".into(),
            id: "ann".into(),
            version: done.number,
        }],
        ops: moved.into(),
        idempotency: None,
    };
    world.kv.write("shop", &write).await.unwrap();
    assert_eq!(ask(&world, "where mail = \"a@x\"").await.0, ["eve"]);
    assert_eq!(ask(&world, "where tags has \"red\"").await.0, ["bob"]);
    let gone = Op::DeleteDocument { collection: "people".into(), id: "eve".into() };
    world.kv.write("shop", &crate::world::write([gone])).await.unwrap();
    assert_eq!(ask(&world, "where mail starts \"\"").await.0, ["ann", "bob"]);
    let all = world.kv.read("shop", None).await.unwrap().collections().await.unwrap();
    assert_eq!(all[0].documents, 3);
    world.kv.drop_index("shop", "people", "tag").await.unwrap();
    assert_eq!(settled(&world, "tag").await, None);
    let (found, plan) = ask(&world, "where tags has \"red\"").await;
    assert_eq!((found, plan.contains("every document")), (vec!["bob".to_owned()], true));
}

#[tokio::test]
async fn an_index_is_built_while_documents_are_written() {
    let (_home, world) = world().await;
    for some in 0..4 {
        let ops = (0..250)
            .map(|n| some * 250 + n)
            .map(|n| document(&format!("d{n:04}"), json!({"n": n % 7, "u": n})));
        world.kv.write("shop", &write(ops)).await.unwrap();
    }
    world.kv.add_index("shop", "people", index("n", &["n"], false, false)).await.unwrap();
    world.kv.add_index("shop", "people", index("u", &["u"], true, false)).await.unwrap();
    let mut extra = 0;
    while matches!(state(&world, "n").await, Some(IndexState::Building { .. })) {
        let ops = [
            document(&format!("x{extra}"), json!({"n": 3, "u": 5000 + extra})),
            document(&format!("d{:04}", extra % 1000), json!({"n": 100, "u": extra % 1000})),
        ];
        world.kv.write("shop", &write(ops)).await.unwrap();
        extra += 1;
    }
    assert_eq!(settled(&world, "n").await, Some(IndexState::Whole));
    assert_eq!(settled(&world, "u").await, Some(IndexState::Whole));
    world.kv.add_index("shop", "people", index("twice", &["n"], true, false)).await.unwrap();
    assert!(matches!(settled(&world, "twice").await, Some(IndexState::Failed { .. })));
    for query in ["where n = 3 limit 1000", "where n = 100 limit 1000", "where n < 2 limit 1000"] {
        let (with, plan) = ask(&world, query).await;
        assert!(plan.contains("index n"), "{plan}");
        let all = ask_all(&world, query).await;
        assert_eq!(with, all, "{query}");
    }
}

/// The same by looking at every document.
async fn ask_all(world: &World, query: &str) -> Vec<String> {
    let parsed = freehold_documents::parse(query).unwrap();
    let mut asked = Asked { collection: "people".into(), query: "limit 1000".into(), ..Asked::default() };
    let mut found = Vec::new();
    loop {
        let answer = world.kv.read("shop", None).await.unwrap().query(&asked).await.unwrap();
        found.extend(answer.documents.into_iter().filter(|document| parsed.filter.holds(document)));
        match answer.next {
            Some(next) => asked.after = Some(next),
            None => return found.iter().map(|d| d["$id"].as_str().unwrap().to_owned()).collect(),
        }
    }
}

#[tokio::test]
async fn what_is_no_document_is_refused() {
    let (_home, world) = world().await;
    for bad in [json!([1]), json!({"$x": 1}), json!({"a": "x".repeat(300_000)})] {
        let refused = world.kv.write("shop", &write([document("a", bad)])).await;
        assert!(matches!(refused, Err(KvError::Invalid(_))));
    }
    let read = world.kv.read("shop", None).await.unwrap();
    let asked = Asked { collection: "people".into(), query: "where".into(), ..Asked::default() };
    assert!(matches!(read.query(&asked).await, Err(KvError::Query(_))));
    assert!(matches!(read.document("people", "a").await, Err(KvError::NoDocument { .. })));
    world.kv.write("shop", &write([document("a", json!({"$id": "other", "b": 1.5e300}))])).await.unwrap();
    let kept = read.document("people", "a").await.unwrap();
    assert_eq!((&kept["$id"], &kept["b"]), (&json!("a"), &json!(1.5e300)));
}

#[tokio::test]
async fn words_are_found_ranked_and_built_beside_writes() {
    let (_home, world) = world().await;
    let lamps = |n: u32| document(&format!("d{n:03}"), json!({"body": format!("lamp {n} of oak"), "n": n}));
    world.kv.write("shop", &write((0..300).map(lamps))).await.unwrap();
    world.kv.write("shop", &write([document("best", json!({"body": "Lamp, lamp; lamp!"}))])).await.unwrap();
    let spec = IndexSpec { text: true, ..index("words", &["body"], false, false) };
    let twice = IndexSpec { unique: true, ..spec.clone() };
    assert!(matches!(world.kv.add_index("shop", "people", twice).await, Err(KvError::Fits(_))));
    world.kv.add_index("shop", "people", spec).await.unwrap();
    // While it is built some are changed, deleted and added, before and behind where it is.
    for n in [1, 150, 299] {
        let ops = [
            document(&format!("d{n:03}"), json!({"body": "chair"})),
            document(&format!("e{n:03}"), json!({"body": "lamp of elm"})),
            Op::DeleteDocument { collection: "people".into(), id: format!("d{:03}", n - 1) },
        ];
        world.kv.write("shop", &write(ops)).await.unwrap();
    }
    assert_eq!(settled(&world, "words").await, Some(IndexState::Whole));
    let (ids, plan) = ask(&world, "where body matches \"LAMP\" order by $score desc limit 3").await;
    assert!(ids[0] == "best" && plan.contains("words of the index words by body; ranks"), "{ids:?} {plan}");
    assert!(ids[1..] == ["e299", "e150"], "shorter ones first, then later ids: {ids:?}");
    assert_eq!(ask(&world, "where body matches \"oak 17\"").await.0, ["d017"]);
    assert_eq!(ask(&world, "where body matches \"chair\"").await.0, ["d001", "d150", "d299"]);
    assert_eq!(ask(&world, "where body matches \"lamp\" and n = 7").await.0, ["d007"]);
    for query in ["where body matches \"of lamp\" limit 1000", "where body matches \"elm\" limit 9"] {
        assert_eq!(ask(&world, query).await.0, ask_all(&world, query).await, "{query}");
    }
    // Page by page nothing is missing, nothing twice.
    let query = "where body matches \"lamp\" order by $score desc limit 50";
    let mut asked = Asked { collection: "people".into(), query: query.into(), ..Asked::default() };
    let (mut seen, mut scores) = (std::collections::BTreeSet::new(), Vec::new());
    let reading = world.kv.read("shop", None).await.unwrap();
    loop {
        let answer = reading.query(&asked).await.unwrap();
        for document in answer.documents {
            scores.push(document["$score"].as_f64().unwrap());
            assert!(seen.insert(document["$id"].as_str().unwrap().to_owned()));
        }
        match answer.next {
            Some(next) => asked.after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen.len(), 1 + 300 - 3 - 3 + 3);
    assert!(scores.is_sorted_by(|one, other| one >= other));
    let unranked = Asked { query: "order by $score desc".into(), ..asked };
    assert!(matches!(reading.query(&Asked { after: None, ..unranked }).await, Err(KvError::Invalid(_))));
    world.kv.drop_index("shop", "people", "words").await.unwrap();
    assert_eq!(settled(&world, "words").await, None);
    assert_eq!(ask(&world, "where body matches \"oak 17\"").await.0, ["d017"], "slower, but the same");
}
