//! What is kept of one peer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use freehold_mesh::Line;
use freehold_reach::Flows;
use freehold_wire::{Millis, NodeId};

use crate::count::{Count, PeerStatus};

/// Flows under way with one peer.
const FLOWS: usize = 1 << 16;
/// Packets that wait for a line, and bytes of them.
const WAITING: usize = 64;
const WAITING_BYTES: usize = 256 * 1024;

/// Time since the tunnel began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(&self) -> Millis {
        Millis(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// What both directions know of a peer. It outlives its lines: an answer may come after a pause.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) flows: Mutex<Flows>,
    pub(crate) count: Count,
}

/// A peer, as the task that sends sees it.
pub(crate) struct Peer {
    pub(crate) line: Option<Line>,
    pub(crate) known: Arc<Known>,
    /// What the kernel gave while there was no line.
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    /// Counts frames that had to be split.
    pub(crate) id: u16,
    /// The line was full for as long as is waited for it: until it takes something it is not waited for.
    pub(crate) stuck: bool,
}

impl Peer {
    /// None if the operating system gives no random bytes: nobody may guess which flows share a place.
    pub(crate) fn new() -> Option<Self> {
        let mut seed = [0; 16];
        getrandom::fill(&mut seed).ok()?;
        let known = Known { flows: Mutex::new(Flows::new(seed, FLOWS)), count: Count::default() };
        Some(Self {
            line: None,
            known: Arc::new(known),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            id: 0,
            stuck: false,
        })
    }

    /// The line, if it is there.
    pub(crate) fn open_line(&self) -> Option<&Line> {
        self.line.as_ref().filter(|line| line.is_open())
    }

    /// Keeps what cannot be sent yet; the oldest goes if it is too much.
    pub(crate) fn wait(&mut self, bytes: &[u8]) {
        self.waiting.push_back(Bytes::copy_from_slice(bytes));
        self.waiting_bytes += bytes.len();
        while self.waiting.len() > WAITING || self.waiting_bytes > WAITING_BYTES {
            let Some(gone) = self.waiting.pop_front() else { return };
            self.waiting_bytes -= gone.len();
            self.known.count.dropped.add(1);
        }
    }

    /// What waited.
    pub(crate) fn take_waiting(&mut self) -> VecDeque<Bytes> {
        self.waiting_bytes = 0;
        std::mem::take(&mut self.waiting)
    }
}

/// How it goes with a peer.
pub(crate) fn status(node: NodeId, known: &Known, line: Option<&Line>) -> PeerStatus {
    let count = &known.count;
    let line = line.filter(|line| line.is_open());
    PeerStatus {
        node,
        path: line.map(Line::path),
        room: line.and_then(Line::room),
        sent: count.sent.get(),
        sent_bytes: count.sent_bytes.get(),
        dropped: count.dropped.get(),
        received: count.received.get(),
        received_bytes: count.received_bytes.get(),
        refused: count.refused.get(),
        broken: count.broken.get(),
    }
}
