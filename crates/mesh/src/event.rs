//! What the mesh tells its owner.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use freehold_wire::NodeId;

use crate::RelayUrl;

/// What a frame is for. The number is what is written at the head of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Channel {
    /// Sync of the realm log.
    Log = 1,
    /// Sync of entries and directory.
    Replica = 2,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 2] = [Self::Log, Self::Replica];

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| *channel as u8 == byte)
    }
}

/// How packets to a peer travel at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// Straight to this address.
    Direct(SocketAddr),
    /// Through this relay, which sees only ciphertext.
    Relay(RelayUrl),
    /// Not chosen yet.
    Unknown,
}

/// Something happened. Between [`Event::Up`] and [`Event::Down`] of a peer the messages of one
/// channel arrive in order and without gaps; with `Down`, what was not yet delivered is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A peer is connected.
    Up(NodeId, Path),
    /// A peer is gone; the mesh goes on trying to reach it while it is in the list of peers.
    Down(NodeId, Why),
    /// A frame from a peer.
    Message(NodeId, Channel, Bytes),
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The peer closed it in order, for example because it shuts down.
    Left,
    /// The peer does not (or no longer) count us as one of the realm.
    Refused,
    /// Nothing was heard for too long.
    Silent,
    /// A newer connection to the same peer took its place; `Up` follows.
    Replaced,
    /// We cut it: [`crate::Mesh::disconnect`], or the gate no longer admits the peer.
    Cut,
    /// The peer broke the protocol.
    Broke,
    /// The mesh shuts down.
    Shutdown,
}

/// Why there is no connection to a peer that ought to have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// No address of it is known: it has to reach us.
    NoAddress,
    /// Nobody answered at the known addresses.
    Unreachable,
    /// It answered, and does not count us as one of the realm.
    Refused,
    /// It answered, but not in our protocol.
    Protocol,
    /// The gate does not admit it.
    NotAdmitted,
}

/// How it goes with one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerHealth {
    /// The peer.
    pub id: NodeId,
    /// Whether there is a connection.
    pub connected: bool,
    /// The path in use, if connected.
    pub path: Path,
    /// Round-trip time of the path in use.
    pub rtt: Option<Duration>,
    /// Time since anything was heard of it, if ever since the start.
    pub last_heard: Option<Duration>,
    /// What is in the way, if not connected and known.
    pub trouble: Option<Trouble>,
}

/// How it goes with the relay through which others reach this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayHealth {
    /// The relay.
    pub url: RelayUrl,
    /// Whether there is a connection to it.
    pub connected: bool,
    /// It turned us away: to it we are none of the realm.
    pub refused: bool,
}

/// Why a frame was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The queue is full: the peer or the line is slower than we are. Nothing was queued.
    #[error("the queue to {0} is full")]
    Full(NodeId),
    /// There is no connection. Wait for [`Event::Up`].
    #[error("{0} is not connected")]
    NotConnected(NodeId),
    /// The frame passes [`crate::MAX_FRAME`].
    #[error("a frame of {0} bytes is too large")]
    TooLarge(usize),
}
