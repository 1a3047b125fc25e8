//! Two nodes: one writes, the other reads what has come; how the right to write changes hands.

use freehold_kv::KvError;
use freehold_wire::Millis;

use crate::world::World;

struct Pair {
    _homes: [tempfile::TempDir; 2],
    one: World,
    two: World,
}

async fn pair() -> Pair {
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let one = World::open(homes[0].path()).await;
    let two = one.beside(homes[1].path()).await;
    one.make("shop").await;
    Pair { _homes: homes, one, two }
}

/// Waits until the other node shows a value.
async fn shows(world: &World, key: &str, value: &str) {
    let begun = std::time::Instant::now();
    while world.get(key).await.as_deref() != Some(value) {
        assert!(begun.elapsed().as_secs() < 20, "{key} does not become {value}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_other_node_reads_what_has_come_and_says_how_old_it_is() {
    let Pair { _homes, one, two } = pair().await;
    one.put("a", "1").await.unwrap();
    one.send_entries(&two);
    shows(&two, "a", "1").await;
    let reading = two.kv.read("shop", None).await.unwrap();
    assert_eq!(reading.stale(), Some(Millis(1234)));
    assert!(reading.last_write().await.unwrap().is_some());
    assert!(matches!(two.put("a", "2").await, Err(KvError::Elsewhere(node)) if node == one.node));
    for n in 2..9 {
        one.put("a", &n.to_string()).await.unwrap();
    }
    one.send_entries(&two);
    shows(&two, "a", "8").await;
}

#[tokio::test]
async fn a_database_is_handed_over() {
    let Pair { _homes, one, two } = pair().await;
    one.put("a", "1").await.unwrap();
    one.send_entries(&two);
    assert!(matches!(two.kv.hand_over("shop", two.node).await, Err(KvError::Elsewhere(_))));
    let took = one.kv.hand_over("shop", two.node).await.unwrap();
    assert_eq!((took.epoch, took.copied), (2, 0));
    assert!(matches!(one.put("a", "2").await, Err(KvError::Elsewhere(node)) if node == two.node));
    assert!(matches!(two.put("a", "2").await, Err(KvError::Elsewhere(_))), "it has not heard of it yet");
    one.send_entries(&two);
    two.put("a", "3").await.unwrap();
    two.send_entries(&one);
    shows(&one, "a", "3").await;
}

#[tokio::test]
async fn a_writer_that_is_gone_is_replaced_and_stops_when_it_hears() {
    let Pair { _homes, one, two } = pair().await;
    one.put("a", "heard").await.unwrap();
    one.send_entries(&two);
    one.put("b", "not heard").await.unwrap();
    assert!(matches!(two.kv.take_over("shop", false).await, Err(KvError::Takeover(_))));
    one.agreed.out.lock().unwrap().insert(one.node);
    let took = two.kv.take_over("shop", false).await.unwrap();
    assert!(took.epoch == 2 && took.copied > 0);
    two.put("c", "new").await.unwrap();
    assert_eq!((two.get("a").await, two.get("b").await), (Some("heard".into()), None));
    // It writes on until it hears: what it acknowledges now is its own only.
    one.put("d", "alone").await.unwrap();
    two.send_entries(&one);
    assert!(matches!(one.put("e", "late").await, Err(KvError::Elsewhere(_) | KvError::Fenced)));
    shows(&one, "c", "new").await;
    assert_eq!(one.get("d").await, None);
    // What it had written alone does not disturb the new writer's.
    one.send_entries(&two);
    two.put("f", "still").await.unwrap();
    assert_eq!((two.get("a").await, two.get("d").await), (Some("heard".into()), None));
}

#[tokio::test]
async fn of_two_that_take_over_apart_all_agree_on_one() {
    let Pair { _homes, one, two } = pair().await;
    one.put("a", "1").await.unwrap();
    one.send_entries(&two);
    two.kv.take_over("shop", true).await.unwrap();
    two.put("a", "2").await.unwrap();
    two.send_entries(&one);
    one.kv.take_over("shop", true).await.unwrap();
    one.put("a", "3").await.unwrap();
    one.send_entries(&two);
    shows(&two, "a", "3").await;
    assert_eq!(two.kv.info("shop").unwrap().epoch, 3);
    assert!(matches!(two.put("a", "4").await, Err(KvError::Elsewhere(_))));
}

#[tokio::test]
async fn who_hears_of_the_new_writer_while_it_opens_does_not_look_for_ever() {
    let Pair { _homes, one, two } = pair().await;
    one.put("a", "1").await.unwrap();
    one.send_entries(&two);
    one.kv.close().await;
    two.kv.take_over("shop", true).await.unwrap();
    two.put("a", "2").await.unwrap();
    // It still believes that it writes, and begins to open; then the news comes.
    let again = freehold_kv::Kv::new(
        one.vault.clone(),
        one.node,
        std::sync::Arc::<crate::world::Agreed>::clone(&one.agreed),
    );
    let opening = again.read("shop", None);
    let news = async {
        tokio::task::yield_now().await;
        two.send_entries(&one);
    };
    let both = Box::pin(async { tokio::join!(opening, news) });
    let (opened, ()) = tokio::time::timeout(std::time::Duration::from_secs(20), both).await.unwrap();
    drop(opened);
    let now = again.read("shop", None).await.unwrap().get("a").await.unwrap();
    assert_eq!(now.value, "2");
}
