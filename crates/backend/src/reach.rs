//! Two small things that are asked of a store as it is: whether it is there, and to forget everything.

use std::sync::Arc;
use std::time::Duration;

use freehold_crypt::Entropy as _;
use freehold_disk::OsEntropy;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _};

/// Who is there answers by then.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

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

/// Asks for what is not there: a store that says so lives, and it is the cheapest thing to ask.
///
/// # Errors
/// [`ReachError`]
pub async fn reach(store: &Arc<dyn ObjectStore>) -> Result<(), ReachError> {
    let random = u128::from_be_bytes(OsEntropy.bytes32().first_chunk().copied().unwrap_or_default());
    let name = Path::from(format!("reach-{random:032x}"));
    let asked = tokio::time::timeout(ANSWER_WITHIN, store.get(&name)).await;
    match asked.map_err(|_| ReachError::Silent(ANSWER_WITHIN))? {
        Err(error @ Error::NotFound { .. }) if says(&error, "NoSuchBucket") => {
            Err(ReachError::NoBucket(error))
        }
        Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
        Err(error @ (Error::PermissionDenied { .. } | Error::Unauthenticated { .. })) => {
            Err(ReachError::NotLetIn(error))
        }
        Err(error) => Err(ReachError::Failed(error)),
    }
}

/// Removes every pack that lies there, and says how many those were. What anybody else put beside them
/// stays.
///
/// # Errors
/// The store's own; what was removed stays so.
pub async fn erase(store: &Arc<dyn ObjectStore>) -> Result<u64, Error> {
    store.delete_stream(packs(store)).try_fold(0u64, async |count, _| Ok(count.saturating_add(1))).await
}

/// Whether something lies there that has the name of a pack, whoever's it is.
///
/// # Errors
/// The store's own.
pub async fn holds_packs(store: &Arc<dyn ObjectStore>) -> Result<bool, Error> {
    Ok(packs(store).try_next().await?.is_some())
}

fn packs(store: &Arc<dyn ObjectStore>) -> BoxStream<'static, Result<Path, Error>> {
    let is_pack = |name: &Path| name.as_ref().parse::<freehold_wire::BlobName>().is_ok();
    let names = store.list(None).map_ok(|found| found.location);
    names.try_filter(move |name| std::future::ready(is_pack(name))).boxed()
}

/// Whether a word stands in an error or below it.
fn says(error: &(dyn std::error::Error + 'static), word: &str) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.to_string().contains(word) {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn a_store_that_has_not_what_is_asked_is_there() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        reach(&store).await.unwrap();
        for name in ["5e".repeat(32), "a7".repeat(32), "photo.jpg".to_owned()] {
            store.put(&Path::from(name), "x".into()).await.unwrap();
        }
        assert!(holds_packs(&store).await.unwrap());
        assert_eq!(erase(&store).await.unwrap(), 2);
        assert!(!holds_packs(&store).await.unwrap());
        let left: Vec<_> = store.list(None).try_collect().await.unwrap();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}
