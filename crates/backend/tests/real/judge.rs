//! What has to hold over any real store.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use freehold_backend::{Credentials, Found, Packed, Settings, connect, open, probe};
use freehold_crypt::Secret;
use freehold_vault::{Depot, DepotError, DepotLimits};
use freehold_wire::{BlobName, Millis};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::ObjectStoreExt as _;

/// A backend with a depot on it.
pub(crate) struct Backend {
    pub(crate) packed: Arc<Packed>,
    pub(crate) depot: Depot,
}

impl Backend {
    pub(crate) async fn open(home: &Path, settings: &Settings) -> Self {
        let packed = open(home, settings, &key(), None).await.unwrap();
        let limits = DepotLimits { reserve_bytes: 0, quota_bytes: None };
        let store = Arc::clone(&packed);
        Self { packed, depot: Depot::on(store, None, limits).await.unwrap() }
    }

    pub(crate) async fn put(&self, name: u16, bytes: &[u8]) -> Result<(), DepotError> {
        let mut writer = self.depot.begin(blob(name), Some(bytes.len() as u64))?;
        for piece in bytes.chunks(1 << 20) {
            writer.write(Bytes::copy_from_slice(piece)).await?;
        }
        writer.finish().await
    }

    pub(crate) async fn get(&self, name: u16) -> Result<Vec<u8>, DepotError> {
        let reader = self.depot.open(blob(name)).await?;
        let len = reader.len();
        let pieces: Vec<Bytes> = reader.stream(0..len).try_collect().await?;
        Ok(pieces.concat())
    }

    pub(crate) async fn close(self) {
        drop(self.depot);
        self.packed.close().await;
    }
}

fn key() -> Secret {
    Secret::from_bytes([42; 32])
}

pub(crate) fn blob(name: u16) -> BlobName {
    let mut bytes = [7; 32];
    bytes[..2].copy_from_slice(&name.to_be_bytes());
    BlobName::from_bytes(bytes)
}

/// Bytes that another name does not have.
pub(crate) fn content(name: u16, len: usize) -> Vec<u8> {
    let mark = b"plaintext of a test ".iter().chain(&name.to_be_bytes()).copied().collect::<Vec<u8>>();
    mark.into_iter().cycle().take(len).collect()
}

pub(crate) async fn asked(settings: &Settings, credentials: &Credentials) -> Found {
    let store = connect(settings, credentials).unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let found = probe(&*store, Millis(u64::try_from(now).unwrap())).await.unwrap();
    let left: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert!(left.is_empty(), "a probe left {left:?}");
    found
}

const LENS: [usize; 9] =
    [0, 1, 4096, 65_536, 1 << 20, (1 << 20) + 1, (8 << 20) - 1, 8 << 20, (21 << 20) + 12_345];

/// Puts, reads, restarts, loses the map, removes. Leaves blobs 1 to 300 there.
pub(crate) async fn stores_and_gives_back(home: &Path, settings: &Settings) {
    let backend = Backend::open(home, settings).await;
    for (name, len) in (1000..).zip(LENS) {
        backend.put(name, &content(name, len)).await.unwrap();
        assert!(backend.get(name).await.unwrap() == content(name, len), "{len}");
    }
    let reader = backend.depot.open(blob(1008)).await.unwrap();
    for range in [0..1, 65_535..65_537, 8_000_000..8_100_000, 21 << 20..(21 << 20) + 12_345] {
        let want = &content(1008, LENS[8])[range.start as usize..range.end as usize];
        assert!(reader.read(range).await.unwrap() == want);
    }
    drop(reader);
    let puts = futures::stream::iter(1..=300u16)
        .map(|name| {
            let backend = &backend;
            async move { backend.put(name, &content(name, 4096)).await }
        })
        .buffer_unordered(64);
    puts.try_collect::<Vec<()>>().await.unwrap();
    let state = backend.packed.state().await.unwrap();
    assert!(state.packs < 100, "300 small blobs that came together: {state:?}");
    for name in 1000..1009 {
        backend.depot.delete(blob(name)).await.unwrap();
    }
    backend.packed.repack().await.unwrap();
    let state = backend.packed.state().await.unwrap();
    assert_eq!((state.blobs, state.dying), (300, 0));
    let audit = backend.packed.audit(None).await.unwrap();
    assert!(audit.bad.is_empty() && audit.strange.is_empty() && audit.unlisted == 0, "{audit:?}");
    assert_eq!((audit.packs, audit.taken_in), (state.packs, 0));
    backend.close().await;
    for with_map in [true, false] {
        if !with_map {
            std::fs::remove_file(home.join("packs.redb")).unwrap();
        }
        let backend = Backend::open(home, settings).await;
        assert_eq!(backend.depot.names().await.unwrap().len(), 300);
        for name in (1..=300).step_by(17) {
            assert!(backend.get(name).await.unwrap() == content(name, 4096));
        }
        backend.close().await;
    }
}

/// A listing of more than a page, and the removal of all that it names.
pub(crate) async fn lists_many(home: &Path, settings: &Settings) {
    let store = connect(settings, &Credentials::read(home).unwrap()).unwrap();
    let under = object_store::path::Path::from("pages");
    let puts = futures::stream::iter(0..1100).map(|number| {
        let (store, path) = (Arc::clone(&store), under.clone().join(format!("{number:04}")));
        async move { store.put(&path, vec![1; 10].into()).await.map(drop) }
    });
    puts.buffer_unordered(16).try_collect::<Vec<()>>().await.unwrap();
    let listed = store.list(Some(&under)).map_ok(|meta| meta.location).try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(listed.len(), 1100);
    let behind = store.list_with_offset(Some(&under), &under.clone().join("0049"));
    assert_eq!(behind.try_collect::<Vec<_>>().await.unwrap().len(), 1050);
    let removed = store.delete_stream(futures::stream::iter(listed.into_iter().map(Ok)).boxed());
    assert_eq!(removed.try_collect::<Vec<_>>().await.unwrap().len(), 1100);
    assert_eq!(store.list(Some(&under)).count().await, 0);
}

/// Small packs become one, also when the map was made anew.
pub(crate) async fn packs_anew(home: &Path, settings: &Settings) {
    let backend = Backend::open(home, settings).await;
    for name in 2000..2040 {
        backend.put(name, &content(name, 9)).await.unwrap();
    }
    let before = backend.packed.state().await.unwrap();
    backend.close().await;
    std::fs::remove_file(home.join("packs.redb")).unwrap();
    let backend = Backend::open(home, settings).await;
    assert_eq!(backend.packed.state().await.unwrap().blobs, before.blobs);
    backend.packed.repack().await.unwrap();
    let after = backend.packed.state().await.unwrap();
    assert!(after.packs + 30 < before.packs && after.blobs == before.blobs, "{before:?} {after:?}");
    assert!(backend.get(2039).await.unwrap() == content(2039, 9));
    backend.close().await;
}
