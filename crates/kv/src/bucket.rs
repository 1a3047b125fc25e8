//! A database's bucket: the few things that this plane asks of the vault.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use freehold_vault::{
    BoxError, ByteRange, Conditions, DeleteRequest, GetError, GetObject, ListQuery, ObjectMeta, PutError,
    PutRequest, Vault,
};
use freehold_wire::{BucketId, Millis};
use futures::StreamExt as _;

const PATH: &str = "path";
const PAGE: usize = 1000;

/// What is kept under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) modified: Millis,
    pub(crate) etag: String,
}

impl Kept {
    fn of(meta: &ObjectMeta) -> Self {
        Self { key: meta.key.clone(), size: meta.size, modified: meta.modified, etag: meta.etag.clone() }
    }
}

/// The bucket of one database.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    vault: Vault,
    id: BucketId,
}

impl Bucket {
    pub(crate) const fn new(vault: Vault, id: BucketId) -> Self {
        Self { vault, id }
    }

    pub(crate) const fn id(&self) -> &BucketId {
        &self.id
    }

    /// Writes an object, with the path that it stands for.
    pub(crate) async fn put(
        &self,
        key: &str,
        path: &str,
        pieces: Vec<Bytes>,
        only_new: bool,
    ) -> Result<Kept, PutError> {
        let if_none_match = if only_new { vec!["*".to_owned()] } else { Vec::new() };
        let request = PutRequest {
            user_meta: BTreeMap::from([(PATH.to_owned(), path.to_owned())]),
            conditions: Conditions { if_none_match, ..Conditions::default() },
            ..PutRequest::default()
        };
        let body = futures::stream::iter(pieces.into_iter().map(Ok::<_, BoxError>)).boxed();
        let done = self.vault.put(&self.id, key, request, body).await?;
        Ok(Kept { key: key.to_owned(), size: done.size, modified: done.modified, etag: done.etag })
    }

    /// Opens an object for reading, and says which path it stands for.
    pub(crate) async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<GetObject, GetError> {
        let range = range.map(|range| ByteRange::From { first: range.start, last: range.end.checked_sub(1) });
        self.vault.get(&self.id, key, None, range).await
    }

    /// Reads a small object whole.
    pub(crate) async fn read(&self, key: &str) -> Result<Vec<u8>, GetError> {
        let mut body = self.get(key, None).await?.body;
        let mut out = Vec::new();
        while let Some(piece) = body.next().await {
            out.extend_from_slice(&piece?);
        }
        Ok(out)
    }

    /// What is under a key, and the path that it stands for.
    pub(crate) async fn path_of(&self, key: &str) -> Result<(Kept, String), GetError> {
        let meta = self.vault.head(&self.id, key, None).await?;
        Ok((Kept::of(&meta), path(&meta)))
    }

    /// Everything whose key begins so, by key.
    pub(crate) fn list(&self, prefix: &str) -> Result<Vec<Kept>, GetError> {
        let mut query = ListQuery { prefix: prefix.to_owned(), max: PAGE, ..ListQuery::default() };
        let mut all = Vec::new();
        loop {
            let page = self.vault.list(&self.id, &query)?;
            all.extend(page.objects.iter().map(Kept::of));
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(all),
            }
        }
    }

    pub(crate) async fn delete(&self, keys: &[String]) -> Result<(), PutError> {
        if keys.is_empty() {
            return Ok(());
        }
        let requests: Vec<DeleteRequest> =
            keys.iter().map(|key| DeleteRequest { key: key.clone(), ..DeleteRequest::default() }).collect();
        self.vault.delete_many(&self.id, &requests).await.map(drop)
    }
}

/// The path that an object stands for.
pub(crate) fn path(meta: &ObjectMeta) -> String {
    meta.user_meta.get(PATH).cloned().unwrap_or_default()
}
