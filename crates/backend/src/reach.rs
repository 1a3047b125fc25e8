//! Whether the stores of a backend are there.

use std::sync::Arc;
use std::time::Duration;

use freehold_crypt::Entropy as _;
use freehold_disk::OsEntropy;
use futures::future::join_all;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _};

use crate::Stores;
use crate::error::is_missing;

/// A store gives no sign of life.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// Nobody answers in time.
    #[error("it did not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// The key is not let in.
    #[error("it does not let this access key in")]
    NotLetIn(#[source] Error),
    /// The bucket is gone.
    #[error("it has no such bucket")]
    NoBucket(#[source] Error),
    /// Anything else.
    #[error("it cannot be asked")]
    Failed(#[source] Error),
}

/// Asks all stores of a backend at once for a sign of life within that time. As many as may be lost need
/// not give one: those are returned.
///
/// # Errors
/// What the first of them said, if too many give none.
pub async fn reach(stores: &Stores, within: Duration) -> Result<Vec<(usize, ReachError)>, ReachError> {
    let asked = join_all(stores.each.iter().map(|store| reach_one(store, within))).await;
    let silent = asked.into_iter().enumerate().filter_map(|(at, answer)| Some((at, answer.err()?)));
    let mut silent: Vec<_> = silent.collect();
    let may_lose = stores.spread.as_ref().map_or(0, crate::Spread::parity);
    if silent.len() <= may_lose { Ok(silent) } else { Err(silent.swap_remove(0).1) }
}

/// Asks for what is not there: a store that says so lives, and it is the cheapest thing to ask.
async fn reach_one(store: &Arc<dyn ObjectStore>, within: Duration) -> Result<(), ReachError> {
    let random = u128::from_be_bytes(OsEntropy.bytes32().first_chunk().copied().unwrap_or_default());
    let name = Path::from(format!("reach-{random:032x}"));
    let asked = tokio::time::timeout(within, store.get(&name)).await;
    match asked.map_err(|_| ReachError::Silent(within))? {
        Ok(_) => Ok(()),
        Err(error) if is_missing(&error) => Ok(()),
        Err(error @ Error::NotFound { .. }) => Err(ReachError::NoBucket(error)),
        Err(error @ (Error::PermissionDenied { .. } | Error::Unauthenticated { .. })) => {
            Err(ReachError::NotLetIn(error))
        }
        Err(error) => Err(ReachError::Failed(error)),
    }
}
