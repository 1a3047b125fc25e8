//! Verification: every blob that is here, or should be, is read and compared with what was signed.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use freehold_crypt::hash::Hasher;
use freehold_disk::EntryRow;
use freehold_index::Locator;
use freehold_placement::{BlobRef, Entry};
use freehold_seal::{BlobHeader, BlobOpener, HEADER_LEN, plan_range};
use freehold_wire::{BlobName, BucketId};
use futures::StreamExt as _;

use crate::depot::read_at;
use crate::vault::{Inner, Opened, Vault, is_release};
use crate::{BlobReader, DepotError, GetError};

/// Holders asked for a good copy.
const TRIES: u32 = 3;
/// Read and hashed at once.
const SLICE: u64 = 1 << 20;

/// What is wrong with a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// It is not here.
    Missing,
    /// It is shorter or longer than it was.
    Cut,
    /// Another blob, or an older one, lies in its place.
    Swapped,
    /// Its bytes are not those that were written.
    Altered,
    /// Its bytes are those that the entry names, but they do not open with the object's key.
    NotForThisObject,
}

/// A damaged blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The bucket.
    pub bucket: BucketId,
    /// The object's key, where this node can read it.
    pub key: Option<String>,
    /// The blob.
    pub blob: BlobName,
    /// What is wrong.
    pub damage: Damage,
    /// Whether a good copy has been put in its place.
    pub repaired: bool,
}

/// What a verification saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Entries looked at.
    pub entries: u64,
    /// Entries that are not what was signed, or whose payload does not open.
    pub bad_entries: u64,
    /// Blobs read.
    pub blobs: u64,
    /// Bytes of ciphertext read.
    pub bytes: u64,
    /// Damaged blobs.
    pub findings: Vec<Finding>,
}

impl Vault {
    /// Reads every blob of the visible objects of a bucket (or of all) that lies here or should, and
    /// compares it with what was signed; with the bucket's key it also opens the first and
    /// last chunk of each. With `repair`, a good copy from another node replaces what is bad.
    ///
    /// # Errors
    /// [`GetError`] if the entry store or the depot fails; damage is not an error but a finding.
    pub async fn verify(&self, bucket: Option<&BucketId>, repair: bool) -> Result<VerifyReport, GetError> {
        self.verify_telling(bucket, repair, &|_| ()).await
    }

    /// [`Self::verify`], which tells after each entry what it has seen so far.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub async fn verify_telling(
        &self,
        bucket: Option<&BucketId>,
        repair: bool,
        told: &(dyn Fn(&VerifyReport) + Sync),
    ) -> Result<VerifyReport, GetError> {
        let mut report = VerifyReport::default();
        for at in self.inner.to_verify(bucket.copied()).await? {
            self.inner.verify_entry(at, repair, None, &mut report).await?;
            told(&report);
        }
        Ok(report)
    }

    /// [`Self::verify`] with repair, as work in the background: after each entry it rests for as long as
    /// that took.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub async fn scrub(&self, bucket: &BucketId) -> Result<VerifyReport, GetError> {
        let mut report = VerifyReport::default();
        for at in self.inner.to_verify(Some(*bucket)).await? {
            let began = tokio::time::Instant::now();
            self.inner.verify_entry(at, true, None, &mut report).await?;
            tokio::time::sleep(began.elapsed()).await;
        }
        Ok(report)
    }

    /// Checks the blobs of these names only, which a backend has said are bad, and puts a good copy from
    /// another node in their place.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub async fn mend(&self, blobs: &BTreeSet<BlobName>) -> Result<VerifyReport, GetError> {
        let mut report = VerifyReport::default();
        for at in self.inner.to_verify(None).await? {
            self.inner.verify_entry(at, true, Some(blobs), &mut report).await?;
        }
        Ok(report)
    }

    /// Reads one blob and compares length and hash with what its entry says; no key is needed.
    ///
    /// # Errors
    /// [`GetError::Depot`] if the depot fails.
    pub async fn check_blob(&self, blob: &BlobRef) -> Result<Option<Damage>, GetError> {
        self.inner.inspect(blob, 0, None).await
    }
}

impl Inner {
    /// The entries whose blobs matter: not overtaken, not erased.
    async fn to_verify(self: &Arc<Self>, bucket: Option<BucketId>) -> Result<Vec<Locator>, GetError> {
        let inner = Arc::clone(self);
        let listed = tokio::task::spawn_blocking(move || {
            let mut list = Vec::new();
            let see = |row: EntryRow| {
                let at = Locator { bucket: row.bucket, origin: row.origin, seq: row.seq };
                if row.payload.is_some() && !inner.index().is_superseded(&at) {
                    list.push(at);
                }
                ControlFlow::Continue(())
            };
            match &bucket {
                Some(bucket) => inner.shared.entries.scan_bucket(bucket, see),
                None => inner.shared.entries.scan(see),
            }
            .map(|()| list)
        });
        listed.await.map_err(|_| GetError::Closing)?.map_err(GetError::Store)
    }

    async fn verify_entry(
        self: &Arc<Self>,
        at: Locator,
        repair: bool,
        only: Option<&BTreeSet<BlobName>>,
        report: &mut VerifyReport,
    ) -> Result<(), GetError> {
        let asked = |blob: &BlobRef| only.is_none_or(|only| only.contains(&blob.name));
        let inner = Arc::clone(self);
        let row =
            tokio::task::spawn_blocking(move || inner.shared.entries.entry(&at.bucket, &at.origin, at.seq));
        // Erased since it was listed.
        let Some(row) = row.await.map_err(|_| GetError::Closing)?.map_err(GetError::Store)? else {
            return Ok(());
        };
        report.entries += 1;
        let Some(entry) = self.genuine(&row) else {
            report.bad_entries += 1;
            return Ok(());
        };
        if !entry.blobs.iter().any(asked) && only.is_some() {
            return Ok(());
        }
        let opened = if self.readable(&at.bucket) && !row.payload.as_deref().is_some_and(is_release) {
            match self.open_row(&row) {
                Ok(opened) => opened,
                Err(GetError::NoBucketKey) => None,
                Err(_) => {
                    report.bad_entries += 1;
                    None
                }
            }
        } else {
            None
        };
        let due = self.shared.replication.belongs_here(&at.bucket, &entry.id());
        for (part, blob) in entry.blobs.iter().enumerate().filter(|(_, blob)| asked(blob)) {
            let damage = self.inspect(blob, part, opened.as_ref()).await?;
            // What belongs elsewhere may lie here still, perhaps as the only copy; if it is gone,
            // that is as it should be.
            if !due && damage == Some(Damage::Missing) {
                continue;
            }
            report.blobs += 1;
            report.bytes += blob.len;
            if let Some(damage) = damage {
                // What lies there may be right, and this entry somebody's attack on it.
                let wanted = self.shared.replication.wanted(blob).await;
                let repaired = wanted && repair && self.repair(&at.bucket, blob, part, opened.as_ref()).await;
                if wanted && !repaired {
                    self.shared.replication.lost(&at.bucket, blob);
                }
                report.findings.push(Finding {
                    bucket: at.bucket,
                    key: opened.as_ref().map(|opened| opened.manifest.name.as_str().to_owned()),
                    blob: blob.name,
                    damage,
                    repaired,
                });
            }
        }
        Ok(())
    }

    /// The entry, if it stands where it belongs and is signed by its origin.
    fn genuine(&self, row: &EntryRow) -> Option<Entry> {
        let entry = Entry::decode(&row.entry).ok()?;
        let placed = entry.realm == self.config.realm
            && entry.bucket == row.bucket
            && entry.origin == row.origin
            && entry.seq == row.seq;
        let payload = row.payload.as_deref()?;
        (placed && entry.verify().is_ok() && entry.covers(payload)).then_some(entry)
    }

    async fn inspect(
        &self,
        blob: &BlobRef,
        part: usize,
        opened: Option<&Opened>,
    ) -> Result<Option<Damage>, GetError> {
        let reader = match self.shared.depot.open(blob.name).await {
            Ok(reader) => reader,
            Err(DepotError::Missing { .. }) => return Ok(Some(Damage::Missing)),
            Err(error) => return Err(GetError::Depot(error)),
        };
        let hash = match hash_of(&reader).await {
            Ok(hash) => hash,
            // A backend that sees for itself what is wrong.
            Err(GetError::Depot(DepotError::Missing { .. })) => return Ok(Some(Damage::Missing)),
            Err(GetError::Depot(DepotError::Altered { .. })) => return Ok(Some(Damage::Altered)),
            Err(error) => return Err(error),
        };
        if reader.len() == blob.len && hash == *blob.hash.as_bytes() {
            return self.opens(&reader, blob, part, opened).await;
        }
        let header = reader.read(0..HEADER_LEN as u64).await.map_err(GetError::Depot)?;
        Ok(Some(match BlobHeader::decode(&header) {
            Ok(header) if header.name() != blob.name => Damage::Swapped,
            _ if reader.len() != blob.len => Damage::Cut,
            _ => Damage::Altered,
        }))
    }

    /// Opens the first and the last chunk, where the key is here.
    async fn opens(
        &self,
        reader: &BlobReader,
        blob: &BlobRef,
        part: usize,
        opened: Option<&Opened>,
    ) -> Result<Option<Damage>, GetError> {
        let Some(opened) = opened else { return Ok(None) };
        let Some(stored) = opened.manifest.stored.as_deref() else { return Ok(None) };
        let (Some(part), Ok(key)) = (stored.parts.get(part), self.object_key(opened, stored)) else {
            return Ok(Some(Damage::NotForThisObject));
        };
        let binding = opened.manifest.binding(self.config.realm, opened.entry.bucket);
        let header = reader.read(0..HEADER_LEN as u64).await.map_err(GetError::Depot)?;
        let Ok(opener) = BlobOpener::new(&key, &binding, part.number, blob.name, &header) else {
            return Ok(Some(Damage::NotForThisObject));
        };
        for end in [0, part.plain_len] {
            let Ok(plan) = plan_range(part.plain_len, end.saturating_sub(1)..end) else {
                return Ok(Some(Damage::NotForThisObject));
            };
            let mut chunk = reader.read(plan.cipher).await.map_err(GetError::Depot)?;
            if opener.open_run(part.plain_len, plan.chunks, &mut chunk).is_err() {
                return Ok(Some(Damage::NotForThisObject));
            }
        }
        Ok(None)
    }

    async fn repair(&self, bucket: &BucketId, blob: &BlobRef, part: usize, opened: Option<&Opened>) -> bool {
        for tried in 0..TRIES {
            let Ok(stream) = self.shared.peers.fetch(bucket, blob, 0..blob.len, tried).await else {
                continue;
            };
            // Length and hash are checked on the way; a bad copy does not get in.
            match self.shared.depot.put_stream(blob, stream.boxed()).await {
                Ok(()) => return matches!(self.inspect(blob, part, opened).await, Ok(None)),
                Err(error) => {
                    tracing::warn!(blob = %blob.name.short(), %error, "a peer's copy was not taken");
                }
            }
        }
        false
    }
}

async fn hash_of(reader: &BlobReader) -> Result<[u8; 32], GetError> {
    let len = reader.len();
    if let Some(file) = reader.file().map(Arc::clone) {
        let hashed = tokio::task::spawn_blocking(move || {
            let mut hasher = Hasher::plain();
            for start in (0..len).step_by(usize::try_from(SLICE).unwrap_or(1 << 20)) {
                hasher.update(&read_at(&file, start..len.min(start + SLICE))?);
            }
            Ok(hasher.finish())
        });
        return hashed.await.map_err(|_| GetError::Closing)?.map_err(GetError::Depot);
    }
    let mut hasher = Hasher::plain();
    let mut stream = reader.clone().stream(0..len);
    while let Some(piece) = stream.next().await {
        hasher.update(&piece.map_err(GetError::Depot)?);
    }
    Ok(hasher.finish())
}
