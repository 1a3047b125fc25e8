//! Copies come no faster than the realm's people want.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::time::Instant;

/// So much may come at once after a rest.
const BURST: Duration = Duration::from_millis(250);

/// Bytes in a second, over all copies that come at one time.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Turn>);

#[derive(Debug, Default)]
struct Turn {
    /// 0 for no limit.
    limit: u64,
    /// When what has come so far is paid for.
    free: Option<Instant>,
}

impl Pace {
    pub(super) fn set(&self, limit: u64) {
        let mut turn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if turn.limit != limit {
            *turn = Turn { limit, free: None };
        }
    }

    /// How long to wait after so many bytes have come.
    fn pay(&self, bytes: u64) -> Duration {
        let mut turn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if turn.limit == 0 {
            return Duration::ZERO;
        }
        let now = Instant::now();
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(turn.limit);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let begun = turn.free.map_or(now, |free| free.max(now.checked_sub(BURST).unwrap_or(now)));
        let free = begun + cost;
        turn.free = Some(free);
        free.saturating_duration_since(now)
    }

    /// The same pieces, each handed on when its turn is over.
    pub(super) fn slow<E: Send + 'static>(
        self: Arc<Self>,
        pieces: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    ) -> impl Stream<Item = Result<Bytes, E>> + Send + 'static {
        pieces.then(move |piece| {
            let wait = piece.as_ref().map_or(Duration::ZERO, |piece| self.pay(piece.len() as u64));
            async move {
                if !wait.is_zero() {
                    tokio::time::sleep(wait).await;
                }
                piece
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(count: usize) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send + 'static {
        futures::stream::iter((0..count).map(|_| Ok(Bytes::from_static(&[7; 1000]))))
    }

    #[tokio::test(start_paused = true)]
    async fn several_copies_share_one_pace() {
        let pace = Arc::new(Pace::default());
        pace.set(10_000);
        let begun = Instant::now();
        let [a, b] = [(), ()].map(|()| Arc::clone(&pace).slow(pieces(50)).count());
        assert_eq!(tokio::join!(a, b), (50, 50));
        let took = begun.elapsed();
        assert!((Duration::from_secs(9)..Duration::from_secs(11)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nothing_waits() {
        let pace = Arc::new(Pace::default());
        let begun = Instant::now();
        assert_eq!(Arc::clone(&pace).slow(pieces(50)).count().await, 50);
        assert!(begun.elapsed().is_zero());
    }
}
