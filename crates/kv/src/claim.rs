//! Who writes a database. A claim is an object of the bucket, never overwritten: its key says epoch
//! and node, and where that node's data lies. The greatest claim holds; every node that has heard
//! of it agrees.

use freehold_vault::{GetError, PutError};
use freehold_wire::{Millis, NodeId};
use serde::{Deserialize, Serialize};

use crate::bucket::Bucket;

const CLAIMS: &str = "claim/";

/// A node's right to write, from an epoch on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claim {
    pub(crate) epoch: u64,
    pub(crate) node: NodeId,
}

#[derive(Debug, Serialize, Deserialize)]
struct Says {
    data: String,
}

impl Claim {
    fn key(&self) -> String {
        format!("{CLAIMS}{:016x}-{}", self.epoch, self.node)
    }

    fn read(key: &str) -> Option<Self> {
        let (epoch, node) = key.strip_prefix(CLAIMS)?.split_once('-')?;
        let epoch = u64::from_str_radix(epoch, 16).ok()?;
        Some(Self { epoch, node: node.parse().ok()? })
    }

    /// Where a node that did not get the data handed over keeps its own.
    pub(crate) fn own_data(&self) -> String {
        format!("data/{:x}-{}/", self.epoch, self.node.short())
    }

    /// The claim that holds, and since when.
    pub(crate) fn current(bucket: &Bucket) -> Result<Option<(Self, Millis)>, GetError> {
        let all = bucket.list(CLAIMS)?;
        Ok(all.iter().filter_map(|kept| Some((Self::read(&kept.key)?, kept.modified))).max())
    }

    /// Where its data lies.
    pub(crate) async fn data(&self, bucket: &Bucket) -> Result<String, GetError> {
        let says = bucket.read(&self.key()).await?;
        let says: Says = serde_json::from_slice(&says).map_err(|_| GetError::Tampered)?;
        Ok(says.data)
    }

    /// Makes it hold.
    pub(crate) async fn make(&self, bucket: &Bucket, data: &str) -> Result<(), PutError> {
        let says = serde_json::to_vec(&Says { data: data.to_owned() }).unwrap_or_default();
        bucket.put(&self.key(), "", vec![says.into()], true).await.map(drop)
    }

    /// Whether another one holds by now.
    pub(crate) fn is_over(&self, bucket: &Bucket) -> bool {
        // A bucket that is gone has no writer.
        Self::current(bucket).map_or(true, |current| current.is_none_or(|(current, _)| current != *self))
    }
}
