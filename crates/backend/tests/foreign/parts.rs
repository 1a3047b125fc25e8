//! Parts of the node's journal: among the packs, found again with the key alone, and no depot sees them.

use bytes::Bytes;
use freehold_backend::PartAt;
use futures::TryStreamExt as _;
use object_store::ObjectStore as _;

use super::home::Home;

#[tokio::test]
async fn parts_are_found_again_with_the_key_alone() {
    let home = Home::new().await;
    home.put(1, b"a blob").await.unwrap();
    let first = home.packed.put_part(1, Bytes::from_static(b"one")).await.unwrap();
    let second = home.packed.put_part(2, Bytes::from_static(b"two")).await.unwrap();
    let long = home.packed.put_part(3, vec![3; 3 << 20].into()).await.unwrap();
    // Two who write at once do not take each other's place.
    let other = home.packed.put_part(2, Bytes::from_static(b"other")).await.unwrap();
    assert_ne!(second.name, other.name);

    let home = home.again(false).await;
    let parts = home.packed.parts().await.unwrap();
    assert_eq!(parts.iter().map(|part| part.number).collect::<Vec<_>>(), [1, 2, 2, 3]);
    assert_eq!(home.packed.part(&first).await.unwrap(), b"one");
    assert_eq!(home.packed.part(&long).await.unwrap(), vec![3; 3 << 20]);
    let listed: Vec<_> = home.packed.list(None).try_collect().await.unwrap();
    assert_eq!(listed.len(), 1, "a depot sees {listed:?}");
    assert_eq!(home.get(1).await.unwrap(), b"a blob");

    home.packed.remove_parts(vec![first, second, long]).await.unwrap();
    home.packed.purge().await.unwrap();
    let home = home.again(false).await;
    let left: Vec<PartAt> = home.packed.parts().await.unwrap();
    assert_eq!(left, [other]);
    assert!(!home.packed.has_lost_parts());
}
