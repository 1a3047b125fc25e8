//! One backend over several stores: any of them may lie, fail or be lost, as many as was said.

use std::sync::Arc;

use freehold_backend::{Packed, Spread};
use freehold_crypt::Secret;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutPayload};
use proptest::prelude::*;

use super::home::{QUICK, blob, content, depot, put};
use super::liar::{Liar, Lie};

const KEY: [u8; 32] = [3; 32];
/// What a store may do to what is read from it, or written to it.
const LIES: [Lie; 9] = [
    Lie::Down,
    Lie::StoresNothing,
    Lie::StoresHalf,
    Lie::StoresOther,
    Lie::GivesAnother,
    Lie::GivesFlipped,
    Lie::GivesLess,
    Lie::IgnoresRanges,
    Lie::Full,
];

struct World {
    liars: Vec<Arc<Liar>>,
    spread: Spread,
}

impl World {
    fn new(stores: usize, parity: u8) -> Self {
        let liars: Vec<Arc<Liar>> = (0..stores).map(|_| Liar::new()).collect();
        let spread = over(&liars, parity);
        Self { liars, spread }
    }

    /// The same stores, with nothing remembered.
    fn again(&self, parity: u8) -> Spread {
        over(&self.liars, parity)
    }
}

fn over(liars: &[Arc<Liar>], parity: u8) -> Spread {
    let stores = liars.iter().map(|liar| Arc::<Liar>::clone(liar) as Arc<dyn ObjectStore>).collect();
    Spread::new(stores, parity, &Secret::from_bytes(KEY)).unwrap()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

async fn write(
    spread: &Spread,
    path: &Path,
    bytes: &[u8],
    pieces: Option<usize>,
) -> object_store::Result<()> {
    let Some(piece) = pieces else { return spread.put(path, bytes.to_vec().into()).await.map(drop) };
    let mut upload = spread.put_multipart(path).await?;
    for piece in bytes.chunks(piece) {
        upload.put_part(PutPayload::from(piece.to_vec())).await?;
    }
    upload.complete().await.map(drop)
}

async fn read(spread: &Spread, path: &Path) -> object_store::Result<Vec<u8>> {
    Ok(spread.get(path).await?.bytes().await?.into())
}

async fn lose(liar: &Liar) {
    for path in liar.names().await {
        liar.inner.delete(&path).await.unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever is read is what was written, with as many stores lying as may be lost; with more of
    /// them it is an error, and never other bytes.
    #[test]
    fn lying_stores_change_nothing(
        (data, parity) in prop_oneof![Just((2usize, 1u8)), Just((1, 2)), Just((3, 2)), Just((5, 3))],
        len in prop_oneof![0usize..300, 60_000usize..70_000, 130_000usize..400_000, 600_000usize..1_000_000],
        pieces in prop_oneof![Just(None), (50_000usize..300_000).prop_map(Some)],
        lie in prop::sample::select(LIES.to_vec()),
        who in any::<usize>(),
        cut in any::<(u32, u32)>(),
    ) {
        run(async {
            let world = World::new(data + usize::from(parity), parity);
            let (path, other) = (Path::from("aa"), Path::from("bb"));
            let bytes = content(7, len);
            write(&world.spread, &other, &content(8, len), None).await.unwrap();
            write(&world.spread, &path, &bytes, pieces).await.unwrap();
            let spread = world.again(parity);
            for more in 0..=usize::from(parity) {
                let read = read(&spread, &path).await.unwrap();
                prop_assert!(read == bytes, "{} of {lie:?}", more);
                let from = u64::from(cut.0) % (len as u64 + 1);
                let to = from + u64::from(cut.1) % (len as u64 - from + 1);
                let options = GetOptions { range: Some(GetRange::Bounded(from..to)), ..GetOptions::default() };
                let range = spread.get_opts(&path, options).await.unwrap().bytes().await.unwrap();
                prop_assert_eq!(&range[..], &bytes[from as usize..to as usize]);
                world.liars[(who + more) % world.liars.len()].tell(lie);
            }
            if let Ok(read) = read(&world.again(parity), &path).await {
                prop_assert!(read == bytes);
            }
            Ok(())
        })?;
    }
}

#[test]
fn a_lost_store_is_made_anew_and_then_another_may_be_lost() {
    run(async {
        for (stores, parity) in [(3, 1), (5, 2)] {
            let world = World::new(stores, parity);
            let paths: Vec<Path> = (0..4).map(|i| Path::from(format!("{i:02}"))).collect();
            let lens = [1, 300, 300_000, 5_300_000 * (stores - usize::from(parity))];
            for (path, len) in paths.iter().zip(lens) {
                // The last in pieces, of which each shard has two.
                let pieces = (len > 300_000).then_some(8 << 20);
                write(&world.spread, path, &content(9, len), pieces).await.unwrap();
            }
            for lost in 0..stores {
                lose(&world.liars[lost]).await;
                let mended = world.again(parity).mend(false).await.unwrap();
                assert_eq!((mended.objects, mended.lost, mended.made), (4, 4, 4), "{mended:?}");
                assert_eq!((&mended.beyond[..], mended.last_error), (&[][..], None));
            }
            assert_eq!(world.spread.mend(true).await.unwrap().lost, 0);
            for (path, len) in paths.iter().zip(lens) {
                assert!(read(&world.again(parity), path).await.unwrap() == content(9, len));
            }
            for liar in world.liars.iter().take(usize::from(parity) + 1) {
                lose(liar).await;
            }
            let mended = world.again(parity).mend(false).await.unwrap();
            assert_eq!((mended.made, mended.beyond.len()), (0, 4), "{mended:?}");
            let gone = read(&world.again(parity), &paths[2]).await;
            assert!(matches!(gone, Err(object_store::Error::NotFound { .. })), "{gone:?}");
        }
    });
}

#[test]
fn an_altered_shard_is_found_by_reading_and_made_anew() {
    run(async {
        let world = World::new(3, 1);
        let path = Path::from("aa");
        write(&world.spread, &path, &content(1, 500_000), None).await.unwrap();
        let liar = &world.liars[2];
        let mut bytes = Vec::from(liar.inner.get(&path).await.unwrap().bytes().await.unwrap());
        bytes[70_000] ^= 1;
        liar.inner.put(&path, bytes.into()).await.unwrap();
        assert_eq!(world.spread.mend(false).await.unwrap().lost, 0);
        assert_eq!(world.spread.mend(true).await.unwrap().made, 1);
        assert_eq!(world.spread.mend(true).await.unwrap().lost, 0);
        lose(&world.liars[0]).await;
        assert!(read(&world.again(1), &path).await.unwrap() == content(1, 500_000));
    });
}

#[test]
fn enough_shards_are_stored_before_it_counts() {
    run(async {
        for pieces in [None, Some(200_000)] {
            let (small, large) = (World::new(3, 1), World::new(5, 2));
            let bytes = content(1, 400_000);
            for lie in [Lie::Down, Lie::Full, Lie::StoresNothing] {
                let path = Path::from(format!("{lie:?}"));
                small.liars[1].tell(lie);
                assert!(write(&small.spread, &path, &bytes, pieces).await.is_err(), "{lie:?}");
                large.liars[1].tell(lie);
                write(&large.spread, &path, &bytes, pieces).await.unwrap();
                large.liars[4].tell(lie);
                let other = Path::from(format!("{lie:?} twice"));
                assert!(write(&large.spread, &other, &bytes, pieces).await.is_err(), "{lie:?}");
                large.liars[4].tell(Lie::None);
                large.liars[1].tell(Lie::None);
                let mended = large.again(2).mend(true).await.unwrap();
                assert_eq!((mended.last_error, mended.beyond), (None, vec![]));
                lose(&large.liars[0]).await;
                lose(&large.liars[3]).await;
                assert!(read(&large.again(2), &path).await.unwrap() == bytes);
                large.again(2).mend(false).await.unwrap();
            }
        }
    });
}

#[test]
fn a_listing_needs_no_more_stores_than_reading() {
    run(async {
        let world = World::new(5, 2);
        for name in ["aa", "bb"] {
            write(&world.spread, &Path::from(name), &content(2, 100_000), None).await.unwrap();
        }
        let listed = || async {
            use futures::TryStreamExt as _;
            let mut all: Vec<_> =
                world.again(2).list(None).map_ok(|meta| (meta.location, meta.size)).try_collect().await?;
            all.sort();
            Ok::<_, object_store::Error>(all)
        };
        let both = [(Path::from("aa"), 100_000), (Path::from("bb"), 100_000)];
        for liar in &world.liars[..2] {
            assert_eq!(listed().await.unwrap(), both);
            liar.tell(Lie::Down);
        }
        assert_eq!(listed().await.unwrap(), both);
        world.liars[2].tell(Lie::Down);
        assert!(listed().await.is_err());
        for liar in &world.liars {
            liar.tell(Lie::None);
        }
        world.spread.delete(&both[0].0).await.unwrap();
        assert_eq!(listed().await.unwrap(), both[1..]);
    });
}

/// The whole of it, as a node uses it.
#[test]
fn a_depot_over_three_stores_survives_the_loss_of_any() {
    run(async {
        for lost in 0..3 {
            let world = World::new(3, 1);
            let folder = tempfile::tempdir().unwrap();
            let key = Secret::from_bytes([1; 32]);
            let open = async |spread: Spread| {
                Arc::new(Packed::on(Arc::new(spread), folder.path(), key.clone(), None, QUICK).await.unwrap())
            };
            let packed = open(world.again(1)).await;
            let first = depot(&packed).await;
            for (name, len) in [(1, 100), (2, 70_000), (3, 3_000_000)] {
                put(&first, name, &content(name, len)).await.unwrap();
            }
            packed.close().await;
            drop((first, packed));
            lose(&world.liars[lost]).await;
            std::fs::remove_file(folder.path().join("packs.redb")).unwrap();
            let packed = open(world.again(1)).await;
            let again = depot(&packed).await;
            for (name, len) in [(1, 100), (2, 70_000), (3, 3_000_000)] {
                let reader = again.open(blob(name)).await.unwrap();
                assert!(reader.read(0..reader.len()).await.unwrap() == content(name, len));
            }
            assert_eq!(packed.audit(None).await.unwrap().bad, []);
            packed.close().await;
        }
    });
}
