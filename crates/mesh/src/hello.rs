//! The first exchange on a connection between members. Both sides dial, so two connections may
//! come to be; the node with the smaller id leads and says which one counts, by opening the first
//! stream on it with a number that only grows. The follower obeys, so both agree without a clock.

use std::time::Duration;

use iroh::endpoint::{Connection, ConnectionError, RecvStream, SendStream};
use tokio::time::timeout;

use crate::frame::why_closed;
use crate::{Trouble, Why};

/// A peer that does not say hello for this long is given up.
const PATIENCE: Duration = Duration::from_secs(8);

const VERSION: u8 = 1;
pub(crate) const START: usize = 17;

/// What the leader says: this run of its program, and which connection of that run this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) boot: [u8; 8],
    pub(crate) turn: u64,
}

impl Start {
    pub(crate) fn to_bytes(self) -> [u8; START] {
        let mut out = [VERSION; START];
        let (boot, turn) = out.split_at_mut(9);
        if let Some(boot) = boot.get_mut(1..) {
            boot.copy_from_slice(&self.boot);
        }
        turn.copy_from_slice(&self.turn.to_be_bytes());
        out
    }

    pub(crate) fn from_bytes(bytes: [u8; START]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        let (boot, turn) = rest.split_first_chunk::<8>()?;
        let turn = u64::from_be_bytes(turn.try_into().ok()?);
        (*version == VERSION).then_some(Self { boot: *boot, turn })
    }
}

/// The leader's side: announces the connection and waits until the follower has taken it.
pub(crate) async fn lead(connection: &Connection, start: Start) -> Result<(), Trouble> {
    let exchange = async {
        let (mut tx, mut rx) = connection.open_bi().await.map_err(|error| trouble(&error))?;
        tx.write_all(&start.to_bytes()).await.map_err(|_| ended(connection))?;
        // A failure only means that the stream is gone already, which the read will show.
        drop(tx.finish());
        let mut taken = [0u8];
        rx.read_exact(&mut taken).await.map_err(|_| ended(connection))?;
        if taken == [VERSION] { Ok(()) } else { Err(Trouble::Protocol) }
    };
    timeout(PATIENCE, exchange).await.unwrap_or(Err(Trouble::Unreachable))
}

/// The follower's side: waits for the leader's word. The stream is where to say that it is taken.
pub(crate) async fn follow(connection: &Connection) -> Result<(Start, SendStream), Trouble> {
    let exchange = async {
        let (tx, mut rx): (SendStream, RecvStream) =
            connection.accept_bi().await.map_err(|error| trouble(&error))?;
        let mut bytes = [0u8; START];
        rx.read_exact(&mut bytes).await.map_err(|_| ended(connection))?;
        Ok((Start::from_bytes(bytes).ok_or(Trouble::Protocol)?, tx))
    };
    timeout(PATIENCE, exchange).await.unwrap_or(Err(Trouble::Unreachable))
}

/// Tells the leader that the connection is taken.
pub(crate) async fn take(mut tx: SendStream) {
    // Failures show as the end of the connection.
    if let Ok(Ok(())) = timeout(PATIENCE, tx.write_all(&[VERSION])).await {
        drop(tx.finish());
    }
}

fn ended(connection: &Connection) -> Trouble {
    connection.close_reason().map_or(Trouble::Protocol, |error| trouble(&error))
}

/// What the end of a connection says about reaching the peer.
pub(crate) fn trouble(error: &ConnectionError) -> Trouble {
    match why_closed(error) {
        Why::Refused => Trouble::Refused,
        Why::Broke => Trouble::Protocol,
        Why::Left | Why::Silent | Why::Replaced | Why::Cut | Why::Shutdown => Trouble::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_round_trips() {
        let start = Start { boot: *b"boot id!", turn: 0x0102_0304_0506_0708 };
        assert_eq!(Start::from_bytes(start.to_bytes()), Some(start));
        let mut other = start.to_bytes();
        other[0] = 2;
        assert_eq!(Start::from_bytes(other), None);
    }
}
