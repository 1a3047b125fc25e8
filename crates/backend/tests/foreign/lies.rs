//! A store that says something else than is true: it is seen, named, and nothing wrong is given out.

use freehold_vault::DepotError;

use super::home::{Home, blob, content};
use super::liar::Lie;

fn text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

async fn refused_with(lie: Lie, words: &str) {
    let home = Home::new().await;
    for (name, len) in [(1, 1000), (2, 3 << 20)] {
        home.liar.tell(lie);
        let error = home.put(name, &content(1, len)).await.expect_err("a lie was believed");
        assert!(text(&error).contains(words), "{lie:?}: {}", text(&error));
        let state = home.packed.state().await.unwrap();
        assert!(state.last_error.unwrap().contains(words));
        home.liar.tell(Lie::None);
        assert!(matches!(home.get(name).await, Err(DepotError::Missing { .. })));
        // What may be there of it goes.
        home.packed.repack().await.unwrap();
        assert!(home.liar.names().await.is_empty(), "{lie:?}");
        assert_eq!(home.packed.state().await.unwrap().dying, 0);
        home.put(name, &content(1, len)).await.unwrap();
        home.depot.delete(blob(name)).await.unwrap();
        home.packed.repack().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_that_says_stored_and_has_nothing_is_not_believed() {
    refused_with(Lie::StoresNothing, "it is missing").await;
}

#[tokio::test]
async fn a_store_that_keeps_half_is_not_believed() {
    refused_with(Lie::StoresHalf, "shorter or longer").await;
}

#[tokio::test]
async fn a_store_that_keeps_other_bytes_is_not_believed() {
    refused_with(Lie::StoresOther, "altered").await;
}

#[tokio::test]
async fn a_large_blob_is_not_acknowledged_by_a_store_that_has_nothing() {
    let home = Home::new().await;
    home.liar.tell(Lie::StoresNothing);
    let error = home.put(1, &content(1, 20 << 20)).await.expect_err("a lie was believed");
    assert!(text(&error).contains("it is missing"), "{}", text(&error));
    home.liar.tell(Lie::None);
    assert!(matches!(home.get(1).await, Err(DepotError::Missing { .. })));
    home.put(1, &content(1, 20 << 20)).await.unwrap();
    assert!(home.get(1).await.unwrap() == content(1, 20 << 20));
}

#[tokio::test]
async fn nothing_wrong_is_given_out() {
    let home = Home::new().await;
    let (small, large) = (content(1, 10_000), content(2, 3 << 20));
    home.put(1, &small).await.unwrap();
    home.put(2, &large).await.unwrap();
    for lie in [Lie::GivesAnother, Lie::GivesFlipped, Lie::GivesLess, Lie::IgnoresRanges] {
        home.liar.tell(lie);
        for name in [1, 2] {
            let reader = home.depot.open(blob(name)).await.unwrap();
            for range in [0..reader.len(), 0..100, 5_000..5_001] {
                let right =
                    &[&small, &large][usize::from(name) - 1][range.start as usize..range.end as usize];
                match reader.read(range.clone()).await {
                    Err(DepotError::Altered { .. }) => {}
                    // All of it was asked for.
                    Ok(bytes) if lie == Lie::IgnoresRanges && bytes == right => {}
                    Ok(_) => panic!("{lie:?} {name} {range:?} was given out"),
                    Err(error) => panic!("{lie:?} {name} {range:?}: {error}"),
                }
            }
        }
        let seen = home.packed.state().await.unwrap().last_error;
        assert!(lie == Lie::IgnoresRanges || seen.unwrap().contains("pack"), "{lie:?}");
        home.liar.tell(Lie::None);
        assert!(home.get(1).await.unwrap() == small && home.get(2).await.unwrap() == large);
    }
}

#[tokio::test]
async fn an_old_state_of_the_store_is_seen() {
    let home = Home::new().await;
    home.put(1, &content(1, 5_000)).await.unwrap();
    let old = home.liar.everything().await;
    home.put(2, &content(2, 5_000)).await.unwrap();
    home.depot.delete(blob(1)).await.unwrap();
    home.packed.repack().await.unwrap();
    // The vendor puts everything back to what it was.
    for path in home.liar.names().await {
        object_store::ObjectStoreExt::delete(&home.liar.inner, &path).await.unwrap();
    }
    for (path, bytes) in old {
        object_store::ObjectStoreExt::put(&home.liar.inner, &path, bytes.into()).await.unwrap();
    }
    assert!(matches!(home.get(2).await, Err(DepotError::Missing { .. })));
    assert!(matches!(home.get(1).await, Err(DepotError::Missing { .. })), "what was deleted stays deleted");
    let audit = home.packed.audit(None).await.unwrap();
    assert_eq!(audit.bad.len(), 1, "{audit:?}");
    assert_eq!(audit.bad[0].damage, freehold_backend::Damage::Missing);
    assert_eq!(audit.taken_in, 1, "a pack of ours that came back is told of");
}

#[tokio::test]
async fn a_store_that_answers_nothing_is_an_error_and_no_loss() {
    let home = Home::new().await;
    home.put(1, &content(1, 5_000)).await.unwrap();
    home.liar.tell(Lie::Down);
    assert!(matches!(home.get(1).await, Err(DepotError::Backend { .. })));
    home.put(2, &content(2, 5_000)).await.unwrap_err();
    assert!(home.packed.repack().await.is_err(), "what was half written cannot be removed now");
    assert!(home.packed.state().await.unwrap().last_error.unwrap().contains("connection refused"));
    // The map is here, so it opens all the same.
    let home = home.again(true).await;
    assert!(matches!(home.get(1).await, Err(DepotError::Backend { .. })));
    home.liar.tell(Lie::None);
    assert_eq!(home.get(1).await.unwrap(), content(1, 5_000));
    home.put(2, &content(2, 5_000)).await.unwrap();
    assert_eq!(home.packed.state().await.unwrap().last_error, None);
}

#[tokio::test]
async fn a_full_store_takes_no_half_of_a_blob() {
    let home = Home::new().await;
    home.liar.tell(Lie::Full);
    for (name, len) in [(1, 1000), (2, 3 << 20), (3, 20 << 20)] {
        let error = home.put(name, &content(1, len)).await.expect_err("it is full");
        assert!(text(&error).contains("507"), "{}", text(&error));
        assert!(matches!(home.get(name).await, Err(DepotError::Missing { .. })));
        assert!(home.packed.is_full());
    }
    home.liar.tell(Lie::None);
    home.packed.repack().await.unwrap();
    assert!(home.liar.names().await.is_empty());
    assert!(home.packed.is_full(), "it has taken nothing yet");
    home.put(1, &content(1, 1000)).await.unwrap();
    assert!(!home.packed.is_full());
}

#[tokio::test]
async fn a_listing_that_is_stale_loses_nothing() {
    let home = Home::new().await;
    home.put(1, &content(1, 5_000)).await.unwrap();
    home.put(2, &content(2, 5_000)).await.unwrap();
    home.liar.tell(Lie::ListsStale);
    let audit = home.packed.audit(None).await.unwrap();
    assert!(audit.bad.is_empty(), "{audit:?}");
    assert_eq!((audit.packs, audit.unlisted), (2, 1));
    // A map made from such a listing has less, says so, and an audit finds the rest.
    let home = home.again(false).await;
    assert!(matches!(home.get(2).await, Err(DepotError::Missing { .. })));
    home.liar.tell(Lie::None);
    assert_eq!(home.packed.audit(None).await.unwrap().taken_in, 1);
    assert_eq!(home.get(2).await.unwrap(), content(2, 5_000));
}

#[tokio::test]
async fn a_store_that_keeps_what_was_deleted_gives_none_of_it_back() {
    let home = Home::new().await;
    home.put(1, &content(1, 5_000)).await.unwrap();
    home.liar.tell(Lie::KeepsDeleted);
    home.depot.delete(blob(1)).await.unwrap();
    home.packed.repack().await.unwrap();
    assert_eq!(home.liar.names().await.len(), 1);
    assert!(matches!(home.get(1).await, Err(DepotError::Missing { .. })));
    // It is told of, and goes for good when the store is made to do it.
    assert_eq!(home.packed.audit(None).await.unwrap().taken_in, 1);
    home.liar.tell(Lie::None);
    home.depot.delete(blob(1)).await.unwrap();
    home.packed.repack().await.unwrap();
    assert!(home.liar.names().await.is_empty());
}
