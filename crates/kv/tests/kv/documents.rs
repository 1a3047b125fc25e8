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
    IndexSpec { name: name.into(), fields, unique, each }
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
