//! Reading a blob in large pieces. The local backend's own stream reads 8 KiB at a time through a
//! thread hop each, which measured four to six times slower than this.

use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use freehold_wire::BlobName;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::{GetOptions, GetRange, GetResultPayload, ObjectStore as _};

use super::{Altered, Depot, DepotError, blocking, io, place};

/// Bytes read at once by [`BlobReader::stream`].
const SLICE: u64 = 1 << 20;
/// Each is a request of its own there.
const SLICE_REMOTE: u64 = 4 << 20;

/// A blob open for reading; ranges of it can be read in any order.
#[derive(Debug, Clone)]
pub struct BlobReader {
    depot: Depot,
    name: BlobName,
    len: u64,
    file: Option<Arc<File>>,
    /// Its first bytes, read as it was opened; all of it, if there is no file.
    held: Option<Bytes>,
}

impl BlobReader {
    pub(super) async fn open(depot: Depot, name: BlobName) -> Result<Self, DepotError> {
        match Self::held(&depot, name)? {
            Some(held) => Ok(held),
            None => Self::open_file(depot, name).await,
        }
    }

    /// A small one, of those that lie beside the entries.
    fn held(depot: &Depot, name: BlobName) -> Result<Option<Self>, DepotError> {
        let Some(small) = &depot.inner.small else { return Ok(None) };
        let found = small.get(&name)?;
        Ok(found.map(|held| {
            let len = held.len() as u64;
            Self { depot: depot.clone(), name, len, file: None, held: Some(held) }
        }))
    }

    async fn open_file(depot: Depot, name: BlobName) -> Result<Self, DepotError> {
        let options = GetOptions { head: depot.inner.root.is_none(), ..GetOptions::default() };
        match depot.inner.store.get_opts(&place(name), options).await {
            Ok(found) => {
                let len = found.meta.size;
                let file = match found.payload {
                    GetResultPayload::File(file, _) => Some(Arc::new(file)),
                    GetResultPayload::Stream(_) => None,
                };
                Ok(Self { depot, name, len, file, held: None })
            }
            Err(object_store::Error::NotFound { .. }) => Err(DepotError::Missing { name }),
            Err(source) => Err(DepotError::Backend { doing: "opening", source }),
        }
    }

    /// Opens a blob and reads its first bytes in the same step: a thread hop costs more than the work.
    pub(super) async fn open_reading(depot: Depot, name: BlobName, first: u64) -> Result<Self, DepotError> {
        if let Some(held) = Self::held(&depot, name)? {
            return Ok(held);
        }
        let Some(root) = &depot.inner.root else { return Self::open_file(depot, name).await };
        let path = root.join(place(name).as_ref());
        blocking(move || {
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Err(DepotError::Missing { name });
                }
                Err(error) => return Err(io("opening", &path)(error)),
            };
            let len = file.metadata().map_err(io("opening", &path))?.len();
            // What cannot be read now is told when it is wanted.
            let held = read_at(&file, 0..len.min(first)).ok().map(Bytes::from);
            let is_all = held.as_ref().is_some_and(|held| held.len() as u64 == len);
            let file = if is_all { None } else { Some(Arc::new(file)) };
            Ok(Self { depot, name, len, file, held })
        })
        .await
    }

    /// Whether all of it is in memory.
    pub(crate) const fn is_held(&self) -> bool {
        self.held.is_some() && self.file.is_none()
    }

    /// Its length as it is on the backend.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The file to read from, where the backend has one. For those who read and work on the
    /// bytes on one blocking thread.
    pub(crate) const fn file(&self) -> Option<&Arc<File>> {
        self.file.as_ref()
    }

    /// Reads a range; shorter if the blob ends before.
    ///
    /// # Errors
    /// [`DepotError`]
    pub async fn read(&self, range: Range<u64>) -> Result<Vec<u8>, DepotError> {
        let range = range.start.min(self.len)..range.end.min(self.len);
        if range.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(held) = self.held.as_ref().filter(|held| range.end <= held.len() as u64) {
            let at = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(held.len());
            return Ok(held.get(at(range.start)..at(range.end)).unwrap_or_default().to_vec());
        }
        if let Some(file) = &self.file {
            let file = Arc::clone(file);
            return blocking(move || read_at(&file, range)).await;
        }
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let failed = |source| self.failed(source);
        let found = self.depot.inner.store.get_opts(&place(self.name), options).await.map_err(failed)?;
        Ok(found.bytes().await.map_err(failed)?.into())
    }

    fn failed(&self, source: object_store::Error) -> DepotError {
        let name = self.name;
        match source {
            object_store::Error::NotFound { .. } => DepotError::Missing { name },
            object_store::Error::Generic { source: ref seen, .. } if seen.is::<Altered>() => {
                DepotError::Altered { name, source }
            }
            source => DepotError::Backend { doing: "reading", source },
        }
    }

    /// Streams a range in slices of 1 MiB, of a remote backend in larger ones.
    pub fn stream(self, range: Range<u64>) -> BoxStream<'static, Result<Bytes, DepotError>> {
        let end = range.end.min(self.len);
        let slice = if self.file.is_some() { SLICE } else { SLICE_REMOTE };
        futures::stream::try_unfold((self, range.start), move |(reader, at)| async move {
            if at >= end {
                return Ok(None);
            }
            let piece = reader.read(at..end.min(at + slice)).await?;
            if piece.is_empty() {
                return Ok(None);
            }
            let next = at + piece.len() as u64;
            Ok(Some((Bytes::from(piece), (reader, next))))
        })
        .boxed()
    }
}

/// Reads until the range or the file ends.
pub(crate) fn read_at(file: &File, range: Range<u64>) -> Result<Vec<u8>, DepotError> {
    let failed = |source: std::io::Error| DepotError::Backend {
        doing: "reading",
        source: object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(source) },
    };
    let want = usize::try_from(range.end - range.start)
        .map_err(|_| failed(std::io::Error::from(ErrorKind::OutOfMemory)))?;
    // Not zeroed first: of a megabyte that would cost as much as a tenth of reading it.
    let mut slice = Vec::with_capacity(want);
    while slice.len() < want {
        let at = range.start + slice.len() as u64;
        match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut slice), at) {
            Ok(0) => break,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed(error.into())),
        }
    }
    slice.truncate(want);
    Ok(slice)
}
