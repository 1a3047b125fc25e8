//! Databases: what was acknowledged survives a kill, one node writes and others read, and the right to
//! write changes hands.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use freehold_api::kv::{KvAnswer, KvDatabase, KvDone, KvPage};
use freehold_harness::{Node, eventually, story};

fn value(node: &Node<'_>, key: &str) -> Result<Option<String>> {
    let answer = node.cli(&["kv", "get", "shop", key])?;
    Ok((answer.code == Some(0)).then_some(answer.out))
}

fn shows(node: &Node<'_>, key: &str, wanted: &str) -> Result<()> {
    eventually(60, &format!("{key} is {wanted}"), || Ok(value(node, key)?.as_deref() == Some(wanted)))
}

fn put(node: &Node<'_>, key: &str, value: &str) -> Result<KvDone> {
    node.ask(&["kv", "put", "shop", key, value])
}

#[test]
fn what_was_acknowledged_survives_a_kill() -> Result<()> {
    story("what_was_acknowledged_survives_a_kill", |story| {
        let alice = story.host("alice")?;
        let mut node = alice.node()?;
        node.up(&[])?;
        node.cli(&["kv", "create", "shop", "--copies", "1"])?.good()?;
        let mut told = BTreeMap::new();
        for round in 0..3 {
            for n in 0..5 {
                let key = format!("k{round}{n}");
                told.insert(key.clone(), put(&node, &key, &format!("v{n}"))?.number);
            }
            let document = format!(r#"{{"round": {round}}}"#);
            node.cli(&["kv", "doc", "put", "shop", "rounds", &format!("r{round}"), &document])?.good()?;
            node.kill()?;
            node.resume()?;
        }
        let page: KvPage = node.ask(&["kv", "scan", "shop"])?;
        let found: BTreeMap<_, _> = page.items.into_iter().map(|item| (item.key, item.version)).collect();
        ensure!(found == told, "{found:?} instead of {told:?}");
        node.cli(&["kv", "index", "add", "shop", "rounds", "round", "round", "--wait"])?.good()?;
        let answer: KvAnswer =
            node.ask(&["kv", "query", "shop", "rounds", "where round > 0 order by round desc"])?;
        let ids: Vec<_> = answer.documents.iter().filter_map(|document| document["$id"].as_str()).collect();
        ensure!(ids == ["r2", "r1"] && answer.plan.contains("index round"), "{answer:?}");
        // What is in a database is nobody's bucket.
        let buckets = node.cli(&["bucket", "list", "--json"])?.good()?.out;
        ensure!(!buckets.contains("kv/shop"), "{buckets}");
        node.cli(&["kv", "drop", "shop"])?.good()?;
        node.cli(&["kv", "get", "shop", "k00"])?.refused(1, &["no database shop"]).map(drop)
    })
}

#[test]
fn one_writes_the_other_reads_and_the_right_changes_hands() -> Result<()> {
    story("one_writes_the_other_reads_and_the_right_changes_hands", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        one.up(&[])?;
        other.join(&one.invite(&[])?, "bob")?;
        one.cli(&["kv", "create", "shop", "--copies", "2"])?.good()?;
        put(&one, "a", "1")?;
        shows(&other, "a", "1")?;
        let page: KvPage = other.ask(&["kv", "scan", "shop"])?;
        ensure!(page.stale_ms.is_some(), "it does not say how old it may be: {page:?}");
        other.cli(&["kv", "put", "shop", "a", "2"])?.failed(&["writes it"])?;

        one.cli(&["kv", "handover", "shop", "bob"])?.good()?;
        eventually(60, "bob writes", || Ok(other.ask::<KvDatabase>(&["kv", "show", "shop"])?.here))?;
        put(&other, "a", "3")?;
        one.cli(&["kv", "put", "shop", "a", "4"])?.failed(&["bob"])?;
        shows(&one, "a", "3")?;

        // The writer is off; it is not known whether it will come back.
        put(&other, "b", "late")?;
        shows(&one, "b", "late")?;
        other.kill()?;
        eventually(60, "it says how old it is", || {
            let page: KvPage = one.ask(&["kv", "scan", "shop"])?;
            Ok(page.stale_ms.is_some_and(|stale| stale > 2000))
        })?;
        one.cli(&["kv", "takeover", "shop"])?.failed(&["--force"])?;
        let now: KvDatabase = one.ask(&["kv", "takeover", "shop", "--force"])?;
        ensure!(now.here && now.epoch == 3, "{now:?}");
        put(&one, "c", "new")?;
        shows(&one, "a", "3")?;
        shows(&one, "b", "late")?;
        other.resume()?;
        if shows(&other, "c", "new").is_err() {
            let told = other.cli(&["kv", "get", "shop", "c"])?;
            let all = other.cli(&["kv", "databases", "--json"])?;
            anyhow::bail!("{told:?} {all:?} {}", other.log()?);
        }
        other.cli(&["kv", "put", "shop", "c", "old"])?.failed(&["writes it"]).map(drop)
    })
}
