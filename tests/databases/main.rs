//! Databases: what was acknowledged survives a kill, one node writes and others read, and the right to
//! write changes hands.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use freehold_api::kv::{KvAnswer, KvDatabase, KvDone, KvEvent, KvPage, KvTransaction};
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
        node.cli(&["bucket", "list"])?.good()?;
        let status = node.cli(&["status"])?.good()?.out;
        ensure!(status.contains("Databases\n  shop ") && !status.contains("kv/shop"), "{status}");
        let none = node.cli(&["kv", "query", "shop", "rounds", "where round = 9"])?.good()?.out;
        ensure!(none.is_empty(), "an empty answer has no line: {none:?}");
        ensure!(
            node.cli(&["kv", "put", "shop", "a\nb", "1"])?.good()?.out.starts_with("a\\nb is put"),
            "one line"
        );
        node.cli(&["kv", "get", "shop", "none"])?.refused(1, &["no key none", "freehold kv scan shop"])?;
        node.cli(&["kv", "doc", "get", "shop", "x", "y"])?.refused(1, &["freehold kv query shop x"])?;
        node.cli(&["kv", "put", "shop", "k00", "2", "--if-version", "999"])?
            .refused(1, &["k00", "read it again"])?;
        node.cli(&["kv", "drop", "shop"])?.refused(1, &["nobody to ask", "freehold kv drop shop -y"])?;
        node.cli(&["kv", "drop", "shop", "-y"])?.good()?;
        node.cli(&["kv", "get", "shop", "k00"])?.refused(1, &["no database shop"]).map(drop)
    })
}

#[path = "../../crates/kv-client/examples/shop/shop.rs"]
mod shop;

/// The client crate's example, against a node.
#[test]
fn a_shop_runs_on_the_client_crate() -> Result<()> {
    story("a_shop_runs_on_the_client_crate", |story| {
        let alice = story.host("alice")?;
        let mut node = alice.node()?;
        node.up(&[])?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(shop::run(&node.home().join("control.sock")))
    })
}

/// A sale on the command line: who is overtaken is told by what.
#[test]
fn of_two_transactions_about_one_thing_one_is_overtaken() -> Result<()> {
    story("of_two_transactions_about_one_thing_one_is_overtaken", |story| {
        let alice = story.host("alice")?;
        let mut node = alice.node()?;
        node.up(&[])?;
        node.cli(&["kv", "create", "shop", "--copies", "1"])?.good()?;
        put(&node, "stock", "1")?;
        let begin = || Ok::<_, anyhow::Error>(node.ask::<KvTransaction>(&["kv", "begin", "shop"])?.id);
        let (ann, bob) = (begin()?, begin()?);
        for (who, sale) in [("ann", &ann), ("bob", &bob)] {
            let stock = node.cli(&["kv", "get", "shop", "stock", "--transaction", sale])?.good()?.out;
            ensure!(stock == "1", "{who} sees {stock}");
            node.cli(&["kv", "put", "shop", "stock", "0", "--transaction", sale])?.good()?;
            let key = format!("sold/{who}");
            node.cli(&["kv", "put", "shop", &key, "lamp", "--transaction", sale])?.good()?;
            let page: KvPage = node.ask(&["kv", "scan", "shop", "--transaction", sale])?;
            ensure!(page.items.len() == 2, "{page:?}");
        }
        let done: KvDone = node.ask(&["kv", "commit", "shop", &ann])?;
        let why = format!("write {} changed", done.number);
        node.cli(&["kv", "commit", "shop", &bob])?.refused(1, &[&why, "freehold kv begin shop"])?;
        let again: KvDone = node.ask(&["kv", "commit", "shop", &ann])?;
        ensure!(again.repeated && again.number == done.number, "{again:?}");
        let page: KvPage = node.ask(&["kv", "scan", "shop", "sold/"])?;
        ensure!(page.items.len() == 1 && page.items[0].key == "sold/ann", "{page:?}");
        node.cli(&["kv", "abort", "shop", &bob])?.refused(1, &["freehold kv begin shop"]).map(drop)
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
        let news = other.cli(&["kv", "watch", "shop", "--after", "0", "--count", "1"])?.good()?.out;
        let event: KvEvent = serde_json::from_str(&news)?;
        ensure!(event.stale_ms.is_some() && event.changes.len() == 1, "{event:?}");
        one.cli(&["kv", "snapshot", "shop", "--name", "first"])?.good()?;
        put(&one, "a", "1.5")?;
        shows(&other, "a", "1.5")?;
        let then = other.cli(&["kv", "get", "shop", "a", "--snapshot", "first"])?.good()?.out;
        ensure!(then == "1", "{then}");
        one.cli(&["kv", "release", "shop", "first"])?.good()?;

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
