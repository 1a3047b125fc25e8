//! What the S3 front asks of whoever keeps the realm's log: to make or end a bucket is an operation
//! there. Which buckets there are, the vault says.

use async_trait::async_trait;
use freehold_wire::BucketId;

/// Why a bucket could not be made or ended. `why` is shown to the client.
#[derive(Debug, thiserror::Error)]
pub enum BucketsError {
    /// There is one of that name.
    #[error("there is a bucket of that name already")]
    Exists,
    /// There is something in it.
    #[error("the bucket is not empty")]
    NotEmpty,
    /// No bucket can have that name.
    #[error("no bucket can have that name: {why}")]
    Name {
        /// What names there can be.
        why: String,
    },
    /// The realm does not let this node do it.
    #[error("the realm refuses it: {why}")]
    Refused {
        /// In plain words, with the remedy.
        why: String,
    },
    /// It could not be written down.
    #[error("the realm's log could not take it: {why}")]
    Failed {
        /// In plain words, with the remedy.
        why: String,
    },
}

/// Makes and ends buckets. The node implements it; when a call returns, the vault knows of it.
#[async_trait]
pub trait Buckets: Send + Sync + 'static {
    /// Makes a bucket with the realm's default number of copies.
    async fn create(&self, name: &str) -> Result<(), BucketsError>;

    /// Ends a bucket if it is empty.
    async fn delete(&self, id: &BucketId) -> Result<(), BucketsError>;
}
