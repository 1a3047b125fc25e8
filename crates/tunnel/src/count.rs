//! What went to each peer and came from it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use freehold_mesh::Path;
use freehold_wire::NodeId;

/// One number that grows.
#[derive(Debug, Default)]
pub(crate) struct Tally(AtomicU64);

impl Tally {
    pub(crate) fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is counted of one peer.
#[derive(Debug, Default)]
pub(crate) struct Count {
    pub(crate) sent: Tally,
    pub(crate) sent_bytes: Tally,
    pub(crate) dropped: Tally,
    pub(crate) received: Tally,
    pub(crate) received_bytes: Tally,
    pub(crate) refused: Tally,
    pub(crate) broken: Tally,
}

/// How packets go to and from one peer. Counts begin with the tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// Who.
    pub node: NodeId,
    /// The path of its line and the round-trip time, if there is a line.
    pub path: Option<(Path, Option<Duration>)>,
    /// The largest datagram that the line carries at the moment.
    pub room: Option<usize>,
    /// Packets sent, large ones of the kernel's as the many that they became.
    pub sent: u64,
    /// Bytes of those.
    pub sent_bytes: u64,
    /// Packets for which the line had no room or the peer no line.
    pub dropped: u64,
    /// Packets that came and were let through.
    pub received: u64,
    /// Bytes of those.
    pub received_bytes: u64,
    /// Packets that came and were not allowed.
    pub refused: u64,
    /// What came and was no packet, or came from an address that is not the sender's.
    pub broken: u64,
}
