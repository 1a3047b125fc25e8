use freehold_vault::{GetError, ListQuery};
use freehold_wire::BucketId;

use crate::world::World;

#[tokio::test]
async fn pages_add_up() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    for day in 1..=5 {
        for photo in 1..=4 {
            world.put(&format!("2026/{day:02}/{photo}.jpg"), b"x").await.unwrap();
        }
    }
    world.put("readme", b"hello").await.unwrap();
    for max in [1, 2, 3, 7, 100] {
        for delimiter in [None, Some("/")] {
            let mut query =
                ListQuery { prefix: "2026/".into(), delimiter: delimiter.map(Into::into), after: None, max };
            let (mut objects, mut prefixes) = (Vec::new(), Vec::new());
            loop {
                let page = world.vault.list(&world.bucket, &query).unwrap();
                assert!(page.objects.len() + page.prefixes.len() <= max);
                objects.extend(page.objects.into_iter().map(|object| object.key));
                prefixes.extend(page.prefixes);
                query.after = page.next;
                if query.after.is_none() {
                    break;
                }
            }
            let expected = if delimiter.is_some() { (0, 5) } else { (20, 0) };
            assert_eq!((objects.len(), prefixes.len()), expected, "{max} a page");
            assert!(objects.is_sorted() && prefixes.is_sorted());
        }
    }
    let none = ListQuery::default();
    assert!(world.vault.list(&world.bucket, &none).unwrap().objects.is_empty());
    let elsewhere = world.vault.list(&BucketId::from_bytes([0; 32]), &none);
    assert!(matches!(elsewhere, Err(GetError::NoSuchBucket)));
    assert_eq!(world.vault.bucket_named("photos").unwrap().0, world.bucket);
    assert_eq!(world.vault.bucket_named("music"), None);
}

#[tokio::test]
async fn many_are_deleted_at_once() {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(home.path()).await;
    for number in 0..5 {
        world.put(&format!("k{number}"), b"x").await.unwrap();
    }
    assert_eq!(world.delete_many(&["k1", "nothing", "k3"]).await, [true, false, true]);
    assert_eq!(world.keys(), ["k0", "k2", "k4"]);
}
