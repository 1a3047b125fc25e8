//! Claims to a backend, so that two machines do not run its node at once. They are numbered; the
//! highest one counts. Who takes a backend over makes the next and waits: a machine that runs the
//! backend looks for it all the time, and makes the one after that. One that was off, or away, finds
//! the claim of another and stops.

use std::sync::Arc;

use freehold_crypt::Secret;
use futures::future::join_all;
use object_store::ObjectStore;

use crate::beside::Beside;

/// What a machine calls itself, drawn by lot.
pub type Holder = [u8; 16];

/// Whose a backend is cannot be known or said, since its stores do not answer.
#[derive(Debug, thiserror::Error)]
#[error("its store does not say whether another machine runs it")]
pub struct ClaimError(#[from] object_store::Error);

/// Claims to one backend.
#[derive(Debug, Clone)]
pub struct Claims {
    stores: Vec<Arc<dyn ObjectStore>>,
    /// Stores that may be lost.
    parity: usize,
    names: Beside,
}

impl Claims {
    /// Those on its stores, of which so many may be lost.
    pub fn new(stores: Vec<Arc<dyn ObjectStore>>, parity: u8, key: &Secret) -> Self {
        Self { stores, parity: parity.into(), names: Beside::claims(key) }
    }

    /// The highest claim after `known`, if there is one, and whose it is.
    ///
    /// # Errors
    /// [`ClaimError`] if it cannot be known.
    pub async fn after(&self, known: u64) -> Result<Option<(u64, Holder)>, ClaimError> {
        let (mut highest, mut number) = (None, known);
        loop {
            number = number.saturating_add(1);
            match self.read(number).await? {
                Some(holder) => highest = Some((number, holder)),
                None => return Ok(highest),
            }
        }
    }

    /// Whose a claim is.
    async fn read(&self, number: u64) -> Result<Option<Holder>, ClaimError> {
        let name = self.name(number);
        let (mut answers, mut found, mut failed) = (0, None, None);
        for read in join_all(self.stores.iter().map(|store| self.names.get(store, &name))).await {
            match read {
                // Of two on different stores all must choose the same.
                Ok(claim) => {
                    answers += 1;
                    found = found.max(claim.and_then(|bytes| Holder::try_from(bytes).ok()));
                }
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            // Whoever made one made it on more stores than did not answer.
            Some(error) if found.is_none() && answers <= self.parity => Err(error.into()),
            _ => Ok(found),
        }
    }

    /// Makes a claim.
    ///
    /// # Errors
    /// [`ClaimError`] if not enough of the stores have it.
    pub async fn make(&self, number: u64, holder: Holder) -> Result<(), ClaimError> {
        let name = self.name(number);
        let (mut made, mut failed) = (0, None);
        for put in join_all(self.stores.iter().map(|store| self.names.put(store, &name, &holder))).await {
            match put {
                Ok(()) => made += 1,
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if made + self.parity < self.stores.len() => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn name(&self, number: u64) -> [u8; 32] {
        self.names.name(&[&number.to_be_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn the_highest_counts_though_a_store_was_lost() {
        let three: Vec<Arc<dyn ObjectStore>> = (0..3).map(|_| Arc::new(InMemory::new()) as _).collect();
        let key = Secret::from_bytes([1; 32]);
        let claims = Claims::new(three.clone(), 1, &key);
        assert_eq!(claims.after(0).await.unwrap(), None);
        claims.make(1, [1; 16]).await.unwrap();
        claims.make(2, [2; 16]).await.unwrap();
        assert_eq!(claims.after(0).await.unwrap(), Some((2, [2; 16])));
        assert_eq!(claims.after(2).await.unwrap(), None);
        let mut two = three;
        two[1] = Arc::new(InMemory::new());
        assert_eq!(Claims::new(two.clone(), 1, &key).after(0).await.unwrap(), Some((2, [2; 16])));
        let other = Claims::new(two, 1, &Secret::from_bytes([2; 32]));
        assert_eq!(other.after(0).await.unwrap(), None);
    }
}
