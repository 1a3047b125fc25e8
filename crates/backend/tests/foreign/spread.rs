//! One backend over several stores: any of them may lie, fail or be lost, as many as was said.

use std::sync::Arc;
use std::time::Duration;

use freehold_backend::{Mended, Pace, Packed, Spread, Stores, reach};
use freehold_crypt::Secret;
use futures::TryStreamExt as _;
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

/// Everything that lies there, with its length.
async fn objects(spread: &Spread) -> Vec<(Path, u64)> {
    spread.list(None).map_ok(|meta| (meta.location, meta.size)).try_collect().await.unwrap()
}

async fn mend(spread: &Spread, read: bool) -> Mended {
    spread.mend(&objects(spread).await, read, &|_| true).await.unwrap()
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
                let mended = mend(&world.again(parity), false).await;
                assert_eq!((mended.objects, mended.lost, mended.made), (4, 4, 4), "{mended:?}");
                assert_eq!((&mended.beyond[..], mended.last_error), (&[][..], None));
            }
            assert_eq!(mend(&world.spread, true).await.lost, 0);
            for (path, len) in paths.iter().zip(lens) {
                assert!(read(&world.again(parity), path).await.unwrap() == content(9, len));
            }
            let all = objects(&world.spread).await;
            for liar in world.liars.iter().take(usize::from(parity) + 1) {
                lose(liar).await;
            }
            let mended = world.again(parity).mend(&all, false, &|_| true).await.unwrap();
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
        assert_eq!(mend(&world.spread, false).await.lost, 0);
        assert_eq!(mend(&world.spread, true).await.made, 1);
        assert_eq!(mend(&world.spread, true).await.lost, 0);
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
                let mended = mend(&large.again(2), true).await;
                assert_eq!((mended.last_error, mended.beyond), (None, vec![]));
                lose(&large.liars[0]).await;
                lose(&large.liars[3]).await;
                assert!(read(&large.again(2), &path).await.unwrap() == bytes);
                mend(&large.again(2), false).await;
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

fn stores(world: &World, parity: u8) -> Stores {
    let each = world.liars.iter().map(|liar| Arc::<Liar>::clone(liar) as Arc<dyn ObjectStore>).collect();
    let spread = world.again(parity);
    Stores { all: Arc::new(spread.clone()), each, spread: Some(spread), beside: [].into() }
}

#[test]
fn as_many_stores_as_may_be_lost_need_not_answer() {
    const WITHIN: Duration = Duration::from_secs(2);
    run(async {
        for (count, parity, lie) in [
            (3, 1, Lie::Down),
            (3, 2, Lie::Down),
            (5, 2, Lie::NoBucket),
            (2, 1, Lie::NoBucket),
            (2, 1, Lie::Silent),
        ] {
            let world = World::new(count, parity);
            let path = Path::from("aa");
            let bytes = content(1, 300_000);
            write(&world.spread, &path, &bytes, None).await.unwrap();
            for lost in 0..usize::from(parity) {
                world.liars[lost].tell(lie);
                let silent = reach(&stores(&world, parity), WITHIN).await.unwrap();
                assert_eq!(silent.len(), lost + 1, "{count} {parity} {lie:?}");
                let spread = world.again(parity);
                let begun = std::time::Instant::now();
                for _ in 0..10 {
                    assert!(read(&spread, &path).await.unwrap() == bytes);
                }
                // It is waited for once, and not every time.
                let late = begun.elapsed();
                assert!(late.as_secs() < 15, "{late:?} for {count} {parity} {lie:?}");
            }
            world.liars[usize::from(parity)].tell(lie);
            assert!(reach(&stores(&world, parity), WITHIN).await.is_err(), "{count} {parity} {lie:?}");
        }
    });
}

#[test]
fn a_listing_that_lies_makes_no_shard_anew() {
    run(async {
        let world = World::new(3, 1);
        let path = Path::from("aa");
        write(&world.spread, &path, &content(1, 300_000), None).await.unwrap();
        let all = [(path.clone(), 300_000)];
        world.liars[1].tell(Lie::ListsNothing);
        let mended = world.again(1).mend(&all, false, &|_| true).await.unwrap();
        assert_eq!((mended.lost, mended.made), (0, 0), "{mended:?}");
        // One that was removed is not made again, nor a shard of one that is removed meanwhile.
        world.liars[1].tell(Lie::None);
        lose(&world.liars[1]).await;
        let mended = world.again(1).mend(&all, false, &|_| false).await.unwrap();
        assert_eq!((mended.lost, mended.made), (0, 0), "{mended:?}");
        let asked = std::sync::atomic::AtomicBool::new(false);
        let once = |_: &Path| !asked.swap(true, std::sync::atomic::Ordering::Relaxed);
        let mended = world.again(1).mend(&all, false, &once).await.unwrap();
        assert_eq!((mended.lost, mended.made), (1, 0), "{mended:?}");
        assert!(world.liars[1].names().await.is_empty());
        // Nor is one beyond repair that nobody wants.
        lose(&world.liars[0]).await;
        asked.store(false, std::sync::atomic::Ordering::Relaxed);
        let mended = world.again(1).mend(&all, false, &once).await.unwrap();
        assert_eq!((mended.made, mended.beyond.len()), (0, 0), "{mended:?}");
        assert_eq!(world.again(1).mend(&all, false, &|_| true).await.unwrap().beyond, ["aa"]);
    });
}

async fn flip(liar: &Liar, path: &Path) {
    let mut bytes = Vec::from(liar.inner.get(path).await.unwrap().bytes().await.unwrap());
    bytes[100] ^= 1;
    liar.inner.put(path, bytes.into()).await.unwrap();
}

async fn until_same(liar: &Liar, before: &[(Path, bytes::Bytes)]) {
    let same = async {
        while liar.everything().await != before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), same).await.expect("it is not mended");
}

#[test]
fn every_shard_is_read_in_time_and_one_that_a_reader_finds_altered_at_once() {
    run(async {
        let (moment, day) = (Duration::from_millis(1), Duration::from_hours(24));
        for round in [moment, day] {
            let world = World::new(3, 1);
            let folder = tempfile::tempdir().unwrap();
            let pace = Pace { tend: moment, round, ..QUICK };
            let open = async || {
                let key = Secret::from_bytes([1; 32]);
                Arc::new(Packed::over(world.again(1), folder.path(), key, None, pace).await.unwrap())
            };
            let packed = open().await;
            let depot = depot(&packed).await;
            put(&depot, 1, &content(1, 70_000)).await.unwrap();
            let before: Vec<_> = {
                let mut all = Vec::new();
                for liar in &world.liars {
                    all.push(liar.everything().await);
                }
                all
            };
            let path = before[0][0].0.clone();
            if round == moment {
                flip(&world.liars[2], &path).await;
                until_same(&world.liars[2], &before[2]).await;
            }
            flip(&world.liars[0], &path).await;
            if round == day {
                let reader = depot.open(blob(1)).await.unwrap();
                assert!(reader.read(0..reader.len()).await.unwrap() == content(1, 70_000));
            }
            until_same(&world.liars[0], &before[0]).await;
            drop(depot);
            packed.close().await;
        }
    });
}

#[test]
fn what_has_too_few_shards_left_is_told_as_bad() {
    run(async {
        let world = World::new(3, 1);
        let folder = tempfile::tempdir().unwrap();
        let key = Secret::from_bytes([1; 32]);
        let packed = Packed::over(world.again(1), folder.path(), key, None, QUICK).await.unwrap();
        let packed = Arc::new(packed);
        let depot = depot(&packed).await;
        put(&depot, 1, &content(1, 70_000)).await.unwrap();
        assert_eq!(packed.mend(true).await.unwrap(), Mended { objects: 1, ..Mended::default() });
        world.liars[1].tell(Lie::Down);
        packed.mend(false).await.unwrap();
        assert!(packed.lacking().is_some_and(|why| why.contains("connection refused")));
        world.liars[1].tell(Lie::None);
        for liar in &world.liars[..2] {
            lose(liar).await;
        }
        assert_eq!(packed.mend(false).await.unwrap().beyond.len(), 1);
        assert_eq!((packed.lacking(), packed.bad().len()), (None, 1));
        assert_eq!(packed.damaged().await.unwrap().into_iter().collect::<Vec<_>>(), [blob(1)]);
        drop(depot);
        packed.close().await;
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
