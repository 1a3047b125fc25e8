//! Writing to a database; making, cloning and deleting one; who writes it.

use std::sync::Arc;

use freehold_documents::IndexSpec;
use freehold_wire::{BucketId, NodeId};
use slatedb::WriteBatch;
use slatedb::config::{PutOptions, Ttl};

use super::{Kv, NewDatabase, PREFIX, check_name};
use crate::bucket::{Bucket, Kept};
use crate::claim::Claim;
use crate::database::Database;
use crate::rows::{self, Stamped};
use crate::{Done, KvError, Write};

/// Rows of a clone in one commit.
const CLONE_BATCH: usize = 500;
/// How often a copy is made anew because its source changed meanwhile.
const ROUNDS: usize = 5;

/// How a database changed hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takeover {
    /// The epoch that begins.
    pub epoch: u64,
    /// Tables and logs copied; none when it was handed over.
    pub copied: u64,
}

impl Kv {
    /// Carries out a write. When it returns, the write is durable on as many nodes as the database
    /// asks for.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn write(&self, name: &str, write: &Write) -> Result<Done, KvError> {
        self.writer(name).await?.write(write).await
    }

    /// Declares an index.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn add_index(&self, name: &str, collection: &str, spec: IndexSpec) -> Result<(), KvError> {
        self.writer(name).await?.add_index(collection, spec).await
    }

    /// Drops an index.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn drop_index(&self, name: &str, collection: &str, index: &str) -> Result<(), KvError> {
        self.writer(name).await?.drop_index(collection, index).await
    }

    /// Makes a database that this node writes.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn create(&self, wish: &NewDatabase) -> Result<(), KvError> {
        check_name(&wish.name)?;
        let bucket_name = format!("{PREFIX}{}", wish.name);
        if let Ok((id, _)) = self.find(&wish.name) {
            // Nobody's yet, if this node stopped while it made it.
            let claim = Claim::current(&self.bucket(id)).map_err(KvError::Get)?;
            return match claim {
                Some(_) => Err(KvError::Exists),
                None => self.claim_first(id).await,
            };
        }
        let made = self.inner.realm.create(&bucket_name, wish.copies, wish.confirm).await;
        made.map_err(|error| KvError::Realm(error.0))?;
        self.claim_first(self.find(&wish.name)?.0).await
    }

    async fn claim_first(&self, id: BucketId) -> Result<(), KvError> {
        let claim = Claim { epoch: 1, node: self.inner.me };
        claim.make(&self.bucket(id), &claim.own_data()).await.map_err(KvError::Put)
    }

    /// Deletes a database with all that is in it.
    ///
    /// # Errors
    /// [`KvError`]; [`KvError::Elsewhere`] if another node writes it whose rights hold.
    pub async fn delete(&self, name: &str) -> Result<(), KvError> {
        let (id, _) = self.find(name)?;
        let bucket = self.bucket(id);
        let place = self.place(id);
        let mut place = place.lock().await;
        let current = Claim::current(&bucket).map_err(KvError::Get)?;
        if let Some((claim, _)) = &current
            && claim.node != self.inner.me
            && self.inner.realm.counts(&claim.node)
        {
            return Err(KvError::Elsewhere(claim.node));
        }
        if let Some(open) = place.take() {
            open.close().await;
        }
        let keys: Vec<String> =
            bucket.list("").map_err(KvError::Get)?.into_iter().map(|kept| kept.key).collect();
        for some in keys.chunks(1000) {
            bucket.delete(some).await.map_err(KvError::Put)?;
        }
        self.inner.realm.end(&id).await.map_err(|error| KvError::Realm(error.0))
    }

    /// Makes a database with what is in another one now, or in a snapshot of it.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn clone_to(&self, name: &str, snapshot: Option<&str>, to: &str) -> Result<u64, KvError> {
        let (_, info) = self.find(name)?;
        let reading = self.read(name, snapshot).await?;
        let wish = NewDatabase { name: to.to_owned(), copies: info.copies, confirm: info.confirm };
        if self.find(to).is_ok() {
            return Err(KvError::Exists);
        }
        self.create(&wish).await?;
        let copied = match self.writer(to).await {
            Ok(target) => copy_rows(&reading, &target).await,
            Err(error) => Err(error),
        };
        if copied.is_err() {
            self.delete(to).await?;
            return copied;
        }
        // Opened anew, it knows its last number.
        let (id, _) = self.find(to)?;
        let closing = self.place(id).lock().await.take();
        if let Some(open) = closing {
            open.close().await;
        }
        copied
    }

    /// Has another node write a database from now on.
    ///
    /// # Errors
    /// [`KvError::Elsewhere`] if this node does not write it.
    pub async fn hand_over(&self, name: &str, node: NodeId) -> Result<Takeover, KvError> {
        if !self.inner.realm.counts(&node) {
            return Err(KvError::Takeover("what that node writes does not count in this realm"));
        }
        let database = self.writer(name).await?;
        let place = self.place(*database.bucket.id());
        let mut place = place.lock().await;
        let (bucket, old) = (database.bucket.clone(), database.claim.clone());
        let data = old.data(&bucket).await.map_err(KvError::Get)?;
        database.close().await;
        *place = None;
        // It comes after everything else in this node's sequence: whoever hears it has the rest.
        let claim = Claim { epoch: old.epoch + 1, node };
        claim.make(&bucket, &data).await.map_err(KvError::Put)?;
        Ok(Takeover { epoch: claim.epoch, copied: 0 })
    }

    /// Writes a database from now on, with what has come of it. Without `force` only if what its
    /// writer writes does not count any more.
    ///
    /// # Errors
    /// [`KvError`]
    pub async fn take_over(&self, name: &str, force: bool) -> Result<Takeover, KvError> {
        let (id, _) = self.find(name)?;
        let bucket = self.bucket(id);
        let place = self.place(id);
        let mut place = place.lock().await;
        let current = Claim::current(&bucket).map_err(KvError::Get)?;
        let (old, _) = current.ok_or(KvError::Takeover("it is not known yet who writes this database"))?;
        if old.node == self.inner.me {
            return Err(KvError::Takeover("this node writes it already"));
        }
        if !force && self.inner.realm.counts(&old.node) {
            return Err(KvError::Takeover(
                "its writer may be at work: what it acknowledges and this node has not heard would be lost",
            ));
        }
        let claim = Claim { epoch: old.epoch + 1, node: self.inner.me };
        let (from, to) = (old.data(&bucket).await.map_err(KvError::Get)?, claim.own_data());
        let copied = copy_objects(&bucket, &from, &to).await?;
        claim.make(&bucket, &to).await.map_err(KvError::Put)?;
        if let Some(open) = place.take() {
            open.close().await;
        }
        Ok(Takeover { epoch: claim.epoch, copied })
    }
}

/// Copies what lies under one prefix to another, as it is at one moment.
async fn copy_objects(bucket: &Bucket, from: &str, to: &str) -> Result<u64, KvError> {
    let mut had: Vec<Kept> = Vec::new();
    for _ in 0..ROUNDS {
        let now = bucket.list(from).map_err(KvError::Get)?;
        if now == had {
            return Ok(had.len() as u64);
        }
        let gone: Vec<String> = had
            .iter()
            .filter(|old| !now.iter().any(|new| new.key == old.key))
            .filter_map(|old| Some(format!("{to}{}", old.key.strip_prefix(from)?)))
            .collect();
        bucket.delete(&gone).await.map_err(KvError::Put)?;
        for kept in now.iter().filter(|new| !had.contains(new)) {
            let Some(rest) = kept.key.strip_prefix(from) else { continue };
            let (_, path) = bucket.path_of(&kept.key).await.map_err(KvError::Get)?;
            let bytes = bucket.read(&kept.key).await.map_err(KvError::Get)?;
            bucket
                .put(&format!("{to}{rest}"), &path, vec![bytes.into()], false)
                .await
                .map_err(KvError::Put)?;
        }
        had = now;
    }
    Err(KvError::Takeover("its writer is at work: have it hand the database over"))
}

/// Copies every row of a view into a database that is new.
async fn copy_rows(from: &super::Reading, to: &Arc<Database>) -> Result<u64, KvError> {
    to.db.put(rows::UNFINISHED, b"").await?;
    to.db.flush().await?;
    let mut found = from.view().scan(vec![0], None, false).await?;
    let (mut batch, mut in_batch, mut all) = (WriteBatch::new(), 0, 0u64);
    while let Some(row) = found.next().await? {
        let stamped = row.key.first().is_some_and(|space| matches!(*space, rows::RAW | rows::REPEATS));
        let expires = if stamped { Stamped::decode(row.value.clone(), rows::now())? } else { None };
        let expires = expires.and_then(|row| i64::try_from(row.expires?.0).ok());
        let ttl = expires.map_or(Ttl::NoExpiry, Ttl::ExpireAtMillis);
        batch.put_bytes_with_options(row.key, row.value, &PutOptions { ttl });
        (in_batch, all) = (in_batch + 1, all + 1);
        if in_batch >= CLONE_BATCH {
            to.db.write(std::mem::take(&mut batch)).await?;
            to.db.flush().await?;
            in_batch = 0;
        }
    }
    if in_batch > 0 {
        to.db.write(batch).await?;
    }
    to.db.delete(rows::UNFINISHED).await?;
    to.db.flush().await?;
    Ok(all)
}
