//! What lies on a store beside the packs: the letter to the guardians, and claims. To an onlooker each
//! is one more pack: it has a name like one, a length like one, and is sealed like one. Lists of packs
//! leave it out.

use std::path::Path as FilePath;
use std::sync::Arc;

use async_trait::async_trait;
use freehold_crypt::Secret;
use freehold_crypt::hash::Hasher;
use freehold_disk::PackName;
use freehold_wire::{BlobName, Bounded, RealmId};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::pack::{Index, Opener, Row, Sealer};

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

    /// A pack with this and nothing else.
    pub(crate) fn seal(&self, name: &PackName, bytes: &[u8]) -> Vec<u8> {
        let mut sealer = Sealer::new(&self.0, name);
        let mut out = Vec::new();
        sealer.push(bytes, &mut out);
        let row = Row { name: BlobName::from_bytes([0; 32]), len: bytes.len() as u64, at: 0 };
        let index = Index { seq: 0, at: 0, blobs: Bounded::fill(&mut std::iter::once(row)) }.encode();
        let zeros = usize::try_from(sealer.padding(&index)).unwrap_or(0);
        sealer.push(&vec![0; zeros], &mut out);
        sealer.finish(&index, &mut out);
        out
    }

    pub(crate) fn open(&self, name: &PackName, sealed: Vec<u8>) -> Option<Vec<u8>> {
        let opener = Opener::new(&self.0, name, sealed.len() as u64)?;
        let all = 0..opener.tail().end;
        let plain = opener.open(&all, sealed).ok()?;
        let range = opener.index_range(&plain)?;
        let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
        let index = Index::decode(plain.get(start..end)?, range.start)?;
        let len = usize::try_from(index.blobs.first()?.len).ok()?;
        plain.get(..len).map(<[u8]>::to_vec)
    }

    pub(crate) async fn put(&self, store: &dyn ObjectStore, name: &PackName, bytes: &[u8]) -> Result<()> {
        let sealed = self.seal(name, bytes);
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
        Ok(self.open(name, found.into()))
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
        assert!(!strangers.has(&name) && strangers.open(&name, letters.seal(&name, b"x")).is_none());
        for at in [0, 100, 16_000, (16 << 10) + 15] {
            let mut sealed = letters.seal(&name, b"to the guardians");
            sealed[at] ^= 1;
            assert!(letters.open(&name, sealed).is_none(), "byte {at}");
        }
        assert!(letters.get(&store, &letters.name(&[b"cellar", b""])).await.unwrap().is_none());
    }
}
