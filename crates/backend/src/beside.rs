//! What lies on a store beside the packs: the letter to the guardians, and claims. To an onlooker each
//! is one more pack: it has a name like one, a length like one, and is sealed like one. Lists of packs
//! leave it out.

use std::path::Path as FilePath;
use std::sync::Arc;

use async_trait::async_trait;
use freehold_crypt::hash::Hasher;
use freehold_crypt::stream::{Position, StreamKey, TAG_LEN};
use freehold_crypt::{Entropy as _, Secret};
use freehold_disk::{OsEntropy, PackName};
use freehold_wire::{BlobName, RealmId};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::sizes::padded;

const BINDING: &[u8] = b"freehold backend beside, format 1";
/// Plaintext of a chunk, as in a pack.
const CHUNK: usize = 64 << 10;
/// Bytes that say how long the content is.
const LEN: usize = 4;
const LOT: usize = 16;
/// Drawn anew each time.
pub(crate) type Lot = [u8; LOT];
/// Nothing here is longer.
const MOST: u64 = 1 << 20;
/// In a backend's home: the secret of the realm's letters.
const FILE: &str = "letters";

/// Who knows the secret names such objects, knows their names, and opens them.
#[derive(Debug, Clone)]
pub struct Beside(Secret);

impl Beside {
    /// Letters of a realm: whoever has the realm's card finds them.
    pub fn letters(realm: RealmId) -> Self {
        let mut hash = Hasher::new("freehold 2026 backend letters");
        Self(Secret::from_bytes(hash.update(realm.as_bytes()).finish()))
    }

    /// Claims to a backend: whoever has its key finds them.
    pub fn claims(key: &Secret) -> Self {
        Self(key.derive("freehold 2026 backend claims"))
    }

    /// Notes in a backend's home what its lists leave out.
    ///
    /// # Errors
    /// The system's.
    pub fn keep(&self, home: &FilePath) -> std::io::Result<()> {
        freehold_disk::replace(&home.join(FILE), self.0.expose(), 0o600)
    }

    /// What was noted.
    pub(crate) fn kept(home: &FilePath) -> Option<Self> {
        let bytes = std::fs::read(home.join(FILE)).ok()?;
        Some(Self(Secret::from_bytes(bytes.try_into().ok()?)))
    }

    /// Half of a name is drawn from what it is for, and the other half from that.
    pub(crate) fn name(&self, of: &[&[u8]]) -> PackName {
        let mut hash = Hasher::new("freehold 2026 backend name");
        hash.update(self.0.expose());
        for piece in of {
            hash.update(&(piece.len() as u64).to_be_bytes()).update(piece);
        }
        let mut name = hash.finish();
        let (first, second) = name.split_at_mut(16);
        second.copy_from_slice(&self.mark(first));
        name
    }

    fn mark(&self, first: &[u8]) -> [u8; 16] {
        let mut hash = Hasher::new("freehold 2026 backend name mark");
        hash.update(self.0.expose()).update(first);
        hash.finish().first_chunk().copied().unwrap_or_default()
    }

    /// Whether one is called so.
    pub(crate) fn has(&self, name: &PackName) -> bool {
        let (first, second) = name.split_at(16);
        self.mark(first) == second
    }

    /// As long as a pack, and as random: `lot` first, which makes the key another one each time,
    /// since what lies under a name may change.
    pub(crate) fn seal(&self, name: &PackName, lot: Lot, bytes: &[u8]) -> Vec<u8> {
        let key = self.key(name, lot);
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let content = bytes.len().saturating_add(LEN + LOT);
        let all = usize::try_from(padded(content as u64)).unwrap_or(content).saturating_sub(LOT);
        let mut plain = [&len.to_be_bytes(), bytes].concat();
        plain.resize(all, 0);
        let mut out = lot.to_vec();
        let chunks = all.div_ceil(CHUNK);
        for (index, chunk) in (0u64..).zip(plain.chunks_mut(CHUNK)) {
            let last = index.saturating_add(1) == chunks as u64;
            let tag = key.seal(Position { index, last }, chunk);
            out.extend_from_slice(chunk);
            out.extend_from_slice(&tag);
        }
        out
    }

    pub(crate) fn open(&self, name: &PackName, sealed: &[u8]) -> Option<Vec<u8>> {
        let (lot, sealed) = sealed.split_first_chunk::<LOT>()?;
        let key = self.key(name, *lot);
        let mut plain = Vec::new();
        let chunks = sealed.len().div_ceil(CHUNK + TAG_LEN) as u64;
        for (index, chunk) in (0u64..).zip(sealed.chunks(CHUNK + TAG_LEN)) {
            let mut chunk = chunk.to_vec();
            let last = index.saturating_add(1) == chunks;
            let len = key.open(Position { index, last }, &mut chunk).ok()?;
            plain.extend_from_slice(chunk.get(..len)?);
        }
        let (len, rest) = plain.split_first_chunk::<LEN>()?;
        rest.get(..usize::try_from(u32::from_be_bytes(*len)).ok()?).map(<[u8]>::to_vec)
    }

    fn key(&self, name: &PackName, lot: Lot) -> StreamKey {
        StreamKey::derive(&self.0, name, &[BINDING, &lot].concat())
    }

    pub(crate) async fn put(&self, store: &dyn ObjectStore, name: &PackName, bytes: &[u8]) -> Result<()> {
        let lot = OsEntropy.bytes32().first_chunk().copied().unwrap_or_default();
        let sealed = self.seal(name, lot, bytes);
        store.put(&place(name), PutPayload::from(sealed)).await.map(drop)
    }

    /// Reads one; nothing if there is none of that name, or it does not open.
    pub(crate) async fn get(&self, store: &dyn ObjectStore, name: &PackName) -> Result<Option<Vec<u8>>> {
        let found = match store.get(&place(name)).await {
            Ok(found) if found.meta.size > MOST => return Ok(None),
            Ok(found) => found.bytes().await?,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(self.open(name, &found))
    }
}

fn place(name: &PackName) -> Path {
    Path::from(freehold_wire::Hex(name).to_string())
}

/// A store whose lists leave out what lies beside the packs.
#[derive(Debug)]
pub(crate) struct Screened {
    store: Arc<dyn ObjectStore>,
    without: Arc<[Beside]>,
}

impl Screened {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, without: Arc<[Beside]>) -> Self {
        Self { store, without }
    }
}

impl std::fmt::Display for Screened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.store.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Screened {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let without = Arc::clone(&self.without);
        let is_beside = move |path: &Path| {
            let name = path.filename().and_then(|name| name.parse::<BlobName>().ok());
            name.is_some_and(|name| without.iter().any(|beside| beside.has(name.as_bytes())))
        };
        let shown = move |meta: &ObjectMeta| std::future::ready(!is_beside(&meta.location));
        self.store.list(prefix).try_filter(shown).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn it_looks_like_a_pack_and_is_in_no_list() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let letters = Beside::letters(RealmId::from_bytes([1; 32]));
        let name = letters.name(&[b"attic", b""]);
        letters.put(&store, &name, b"to the guardians").await.unwrap();
        let other = place(&[9; 32]);
        store.put(&other, vec![1; 16 << 10].into()).await.unwrap();
        let all: Vec<ObjectMeta> = store.list(None).try_collect().await.unwrap();
        let letter = all.iter().find(|meta| meta.location != other).unwrap();
        assert_eq!((letter.size, letter.location.as_ref().len()), ((16 << 10) + 16, 64));
        let screened = Screened::new(Arc::clone(&store), [letters.clone()].into());
        let listed: Vec<ObjectMeta> = screened.list(None).try_collect().await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].location, other);

        assert_eq!(letters.get(&store, &name).await.unwrap().unwrap(), b"to the guardians");
        let strangers = Beside::letters(RealmId::from_bytes([2; 32]));
        assert!(
            !strangers.has(&name) && strangers.open(&name, &letters.seal(&name, [1; 16], b"x")).is_none()
        );
        for at in [0, 100, 16_000, (16 << 10) + 15] {
            let mut sealed = letters.seal(&name, [1; 16], b"to the guardians");
            sealed[at] ^= 1;
            assert!(letters.open(&name, &sealed).is_none(), "byte {at}");
        }
        // What is sealed once more under a name shows nothing of what was there before.
        let [one, other] = [1, 2].map(|lot| letters.seal(&name, [lot; 16], b"to the guardians"));
        assert!(one.iter().zip(&other).filter(|(one, other)| one == other).count() < 200);
        for len in [0, 16_348, 16_349, 65_516, 65_517, 200_000] {
            let (bytes, sealed) = (vec![5; len], letters.seal(&name, [1; 16], &vec![5; len]));
            let plain = padded(len as u64 + 20);
            assert_eq!(sealed.len() as u64, plain + 16 * plain.div_ceil(64 << 10), "{len} bytes");
            assert_eq!(letters.open(&name, &sealed), Some(bytes));
            assert_eq!(letters.open(&name, &sealed[..sealed.len() - 1]), None);
        }
        assert!(letters.get(&store, &letters.name(&[b"cellar", b""])).await.unwrap().is_none());
    }
}
