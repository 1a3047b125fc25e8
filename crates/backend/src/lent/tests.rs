use std::sync::Mutex as Locked;

use freehold_crypt::Secret;
use freehold_lent::{Room, RoomError};
use freehold_wire::{Bounded, Millis};
use futures::TryStreamExt as _;
use object_store::ObjectStoreExt as _;

use super::*;
use crate::{Pace, Packed};

const NOW: Millis = Millis(1_800_000_000_000);

/// Machines of a realm that lends: real rooms on a real disk, without a network between.
#[derive(Debug)]
struct Street {
    rooms: BTreeMap<NodeId, Room>,
    away: Locked<Vec<NodeId>>,
    _dir: tempfile::TempDir,
}

impl Street {
    fn of(shares: &[u64]) -> Arc<Self> {
        let dir = tempfile::tempdir().unwrap();
        let room = |(n, share): (u8, &u64)| {
            let place = dir.path().join(n.to_string());
            (home(n), Room::open(&place, (*share, u64::MAX), NOW).unwrap())
        };
        let rooms = (0u8..).zip(shares).map(room).collect();
        Arc::new(Self { rooms, away: Locked::default(), _dir: dir })
    }

    fn store(self: &Arc<Self>) -> Arc<Lent> {
        Arc::new(Lent::new(GrantId::from_bytes([9; 32]), Arc::clone(self) as Arc<dyn Errands>))
    }

    fn kept(&self) -> Vec<u64> {
        self.rooms.values().map(|room| room.meter(freehold_passes::storage::Meter::kept)).collect()
    }
}

fn home(n: u8) -> NodeId {
    NodeId::from_bytes([n; 32])
}

#[async_trait]
impl Errands for Street {
    fn homes(&self, _: GrantId) -> Vec<NodeId> {
        self.rooms.keys().copied().collect()
    }

    async fn ask(&self, home: NodeId, errand: Errand, body: Bytes) -> Result<(Outcome, Bytes), Failed> {
        if self.away.lock().unwrap().contains(&home) {
            return Err(Failed("it is away".to_owned()));
        }
        assert!(body.len() <= BODY_MAX, "{} bytes at once", body.len());
        let room = &self.rooms[&home];
        let done = |done: Result<(), RoomError>| done.map(|()| (Outcome::Done, Vec::new()));
        let said = match errand.what {
            What::Put(name) => done(room.put(name, &body)),
            What::Part(upload, at) => done(room.part(upload, at, &body, NOW)),
            What::Finish(upload, name, len) => done(room.finish(upload, name, len)),
            What::Abort(upload) => done(room.abort(upload)),
            What::Remove(name) => done(room.remove(name)),
            What::Get(name, from, to) => room.get(name, (from, to), NOW).map(|found| match found {
                Some((object, bytes)) => (Outcome::Found(object), bytes),
                None => (Outcome::Missing, Vec::new()),
            }),
            What::List(after) => {
                room.list(after).map(|all| (Outcome::Listed(Bounded::fill(&mut all.into_iter())), Vec::new()))
            }
            What::About => unreachable!("a store does not ask how it stands"),
        };
        Ok(match said {
            Ok((outcome, bytes)) => (outcome, bytes.into()),
            Err(RoomError::Refused(refusal)) => (Outcome::Refused(refusal), Bytes::new()),
            Err(error) => panic!("{error:?}"),
        })
    }
}

fn path(n: u8) -> Path {
    Path::from(Hex(&[n; 32]).to_string())
}

fn noise(len: usize) -> Bytes {
    (0u8..251).cycle().take(len).collect()
}

#[tokio::test]
async fn what_is_stored_comes_back_whole_and_in_ranges() {
    let street = Street::of(&[100 << 20]);
    let store = street.store();
    let bytes = noise(9_000_000);
    store.put(&path(1), bytes.clone().into()).await.unwrap();
    assert_eq!(store.get(&path(1)).await.unwrap().bytes().await.unwrap(), bytes);
    for range in [0..1, 4_194_303..4_194_305, 5..8_999_999, 8_999_000..9_000_000] {
        let at = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        assert_eq!(store.get_range(&path(1), range.clone()).await.unwrap(), bytes.slice(at), "{range:?}");
    }
    let last = GetOptions { range: Some(GetRange::Suffix(256)), ..GetOptions::default() };
    let last = store.get_opts(&path(1), last).await.unwrap().bytes().await.unwrap();
    assert_eq!(last, bytes.slice(bytes.len() - 256..));
    assert_eq!(store.head(&path(1)).await.unwrap().size, 9_000_000);
    assert!(matches!(store.get(&path(2)).await, Err(Error::NotFound { .. })));
    assert!(store.get_range(&path(1), 9_000_000..9_000_001).await.is_err());
    // Names that are none of a pack say nothing there either.
    store.put(&Path::from("holiday.jpg"), "x".into()).await.unwrap();
    assert_eq!(store.get(&Path::from("holiday.jpg")).await.unwrap().bytes().await.unwrap(), "x");
    let listed: Vec<ObjectMeta> = store.list(None).try_collect().await.unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|meta| meta.location.as_ref().len() == 64));
    store.delete(&path(1)).await.unwrap();
    assert_eq!(street.kept(), [1]);
}

#[tokio::test]
async fn a_large_object_goes_in_parts_in_their_order() {
    let street = Street::of(&[100 << 20]);
    let store = street.store();
    let bytes = noise(30_000_000);
    let mut upload = store.put_multipart(&path(1)).await.unwrap();
    let pieces = (0..bytes.len()).step_by(10_000_000).map(|at| bytes.slice(at..at + 10_000_000));
    let parts: Vec<UploadPart> = pieces.map(|piece| upload.put_part(piece.into())).collect();
    futures::future::try_join_all(parts).await.unwrap();
    assert_eq!(street.kept(), [0], "it is not there before it is whole");
    upload.complete().await.unwrap();
    assert_eq!(store.get(&path(1)).await.unwrap().bytes().await.unwrap(), bytes);
    let mut upload = store.put_multipart(&path(2)).await.unwrap();
    upload.put_part(noise(100).into()).await.unwrap();
    upload.abort().await.unwrap();
    assert_eq!(street.kept(), [30_000_000]);
}

#[tokio::test]
async fn several_machines_are_one_store_and_one_that_is_away_is_not_an_empty_one() {
    let street = Street::of(&[1000, 1000]);
    let store = street.store();
    store.put(&path(1), noise(900).into()).await.unwrap();
    store.put(&path(2), noise(800).into()).await.unwrap();
    assert_eq!(street.kept(), [900, 800], "the second is where there is room");
    let full = store.put(&path(3), noise(300).into()).await.unwrap_err();
    let said = std::error::Error::source(&full).and_then(|source| source.downcast_ref::<std::io::Error>());
    assert_eq!(said.unwrap().kind(), std::io::ErrorKind::StorageFull);
    // What is stored anew where there is room is nowhere else.
    store.put(&path(2), noise(50).into()).await.unwrap();
    assert_eq!(street.kept(), [950, 0]);
    street.away.lock().unwrap().push(home(0));
    let error = store.get(&path(1)).await.unwrap_err();
    assert!(!matches!(error, Error::NotFound { .. }), "{error:?}");
    assert!(store.list(None).try_collect::<Vec<_>>().await.is_err(), "half a list is no list");
    street.away.lock().unwrap().clear();
    assert_eq!(store.get(&path(1)).await.unwrap().bytes().await.unwrap(), noise(900));
}

/// A backend on a room: what it stores is what lies there, to the byte, and a full room is a full store.
#[tokio::test]
async fn a_backend_lies_there_and_is_told_when_it_is_full() {
    let street = Street::of(&[1 << 20]);
    let here = tempfile::tempdir().unwrap();
    let (key, pace) = (Secret::from_bytes([1; 32]), Pace::default());
    let packed = Packed::on(street.store(), here.path(), key, None, pace).await.unwrap();
    let bytes = noise(300_000);
    packed.put(&path(1), bytes.clone().into()).await.unwrap();
    assert_eq!(packed.get(&path(1)).await.unwrap().bytes().await.unwrap(), bytes);
    let listed: Vec<ObjectMeta> = street.store().list(None).try_collect().await.unwrap();
    assert_eq!(street.kept(), [listed.iter().map(|meta| meta.size).sum::<u64>()]);
    let full = packed.put(&path(2), noise(900_000).into()).await.unwrap_err();
    assert!(packed.is_full(), "{full:?}");
    assert_eq!(packed.get(&path(1)).await.unwrap().bytes().await.unwrap(), bytes, "what is there stays");
    packed.close().await;
}
