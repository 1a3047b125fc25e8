//! The machine: inputs in, outputs out. Times are monotonic and handed in.

mod receive;
mod store;
mod tell;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use freehold_wire::{Millis, NodeId, OpId};

use crate::graph::Graph;
use crate::{Checked, Log, Message};

/// Heads are told again this often, so that a lost message is made good.
const TELL_EVERY: Millis = Millis::from_secs(30);
/// A peer that is told less than it should for want of room is told again after this.
const TELL_SOON: Millis = Millis::from_secs(1);
/// A peer that was asked and sends nothing new for this long is passed over for the next.
const ANSWER_WITHIN: Millis = Millis::from_secs(10);
/// After a write failed, nothing is asked for until then: the disk may be full.
const STORE_AGAIN: Millis = Millis::from_secs(5);
/// A peer that sent this much garbage is dropped.
const GARBAGE_MAX: u32 = 16;
/// One piece of garbage is forgiven after this.
const GARBAGE_FORGIVEN: Millis = Millis::from_secs(600);
/// Messages that wait for one peer; what does not fit is told later.
const QUEUED_MAX: usize = 64;
/// Bytes handed over to be stored and not yet durable; what comes beyond is asked for again.
const STORING_MAX: usize = 8 << 20;

/// Names a write that was handed out; a higher one was handed out later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ticket(pub u64);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A connection to a peer that belongs to the realm is up.
    Connected(NodeId),
    /// The connection is gone.
    Disconnected(NodeId),
    /// A message came.
    Received(NodeId, Message),
    /// Bytes came that are no message.
    Garbage(NodeId),
    /// An operation of this node's own, as bytes; its parents are in the log. One at a time: the
    /// next is drafted after [`Event::Admitted`], or both would have one number.
    Append(Vec<u8>),
    /// Operations from a file, as bytes, parents before children.
    Take(Vec<Vec<u8>>),
    /// The write is durable. Writes become so in the order of their tickets.
    Stored(Ticket),
    /// The write failed; it is as if it had not been asked for.
    StoreFailed(Ticket),
}

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output<R> {
    /// Make these operations durable, then say [`Input::Stored`].
    Store(Ticket, Vec<(OpId, Vec<u8>)>),
    /// Send a message.
    Send(NodeId, Message),
    /// Close the connection and do not take another one for a while: the peer sends garbage.
    Drop(NodeId),
    /// Something worth knowing.
    Tell(Event<R>),
}

/// Something worth knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<R> {
    /// These operations are durable and in the log now, or have new signatures.
    Admitted(Vec<OpId>),
    /// An operation was refused.
    Refused {
        /// Who sent it; nobody if it is our own or from a file.
        from: Option<NodeId>,
        /// Why.
        why: R,
        /// Whether it had been stored by then, and may be forgotten.
        written: bool,
    },
    /// An own operation was not taken because a parent of it is not in the log.
    Unrooted(OpId),
    /// An own operation was not taken because another one is not durable yet: draft it anew after
    /// that.
    Busy(OpId),
    /// The peer has exactly the operations that we have.
    InStep(NodeId),
}

/// Replicates one log with any number of peers.
#[derive(Debug, Clone)]
pub struct LogSync<L: Log> {
    log: L,
    graph: Graph,
    peers: BTreeMap<NodeId, Peer>,
    /// Garbage outlives a connection, or a peer would be forgiven by dialling again.
    garbage: BTreeMap<NodeId, (u32, Millis)>,
    asking: Option<Asking>,
    /// Who was asked last: the next one goes first.
    asked_last: Option<NodeId>,
    ask_after: Millis,
    next_ticket: u64,
    storing: BTreeMap<Ticket, Vec<Storing<L::Op>>>,
    stored: BTreeSet<Ticket>,
    in_flight: BTreeSet<OpId>,
    storing_bytes: usize,
    orphans: store::Orphans<L::Op>,
    /// Who sent what no honest log holds.
    blamed: Vec<NodeId>,
    out: VecDeque<Output<L::Refusal>>,
    queued: BTreeMap<NodeId, usize>,
}

#[derive(Debug, Clone, Default)]
struct Peer {
    /// Heads it told of that are not here.
    lacking: BTreeSet<OpId>,
    tell_at: Millis,
}

#[derive(Debug, Clone)]
struct Asking {
    peer: NodeId,
    until: Millis,
    /// Whether the answer brought anything new so far.
    fruitful: bool,
    /// The heads that it was asked for.
    named: BTreeSet<OpId>,
}

#[derive(Debug, Clone)]
struct Storing<T> {
    from: Option<NodeId>,
    /// Whether this node made it just now.
    own: bool,
    checked: Checked<T>,
    bytes: Vec<u8>,
}

impl<L: Log> LogSync<L> {
    /// Takes over a log whose operations are all durable.
    pub fn new(log: L) -> Self {
        let mut graph = Graph::new();
        log.each(&mut |id, parents| {
            graph.add(id, parents, &log.mark(&id).unwrap_or_default());
        });
        Self {
            log,
            graph,
            peers: BTreeMap::new(),
            garbage: BTreeMap::new(),
            asking: None,
            asked_last: None,
            ask_after: Millis(0),
            next_ticket: 0,
            storing: BTreeMap::new(),
            stored: BTreeSet::new(),
            in_flight: BTreeSet::new(),
            storing_bytes: 0,
            orphans: store::Orphans::default(),
            blamed: Vec::new(),
            out: VecDeque::new(),
            queued: BTreeMap::new(),
        }
    }

    /// The log: every operation in it is durable.
    pub const fn log(&self) -> &L {
        &self.log
    }

    /// Takes in what happened. Poll for outputs afterwards.
    pub fn handle(&mut self, now: Millis, input: Input) {
        match input {
            Input::Connected(peer) => self.connected(now, peer),
            Input::Disconnected(peer) => self.disconnected(now, &peer),
            Input::Received(peer, message) => self.received(now, peer, message),
            Input::Garbage(peer) => self.garbage(now, peer),
            Input::Append(bytes) => self.append(&bytes),
            Input::Take(operations) => self.take(&operations),
            Input::Stored(ticket) => self.stored(now, ticket),
            Input::StoreFailed(ticket) => self.store_failed(now, ticket),
        }
    }

    /// The next thing to do. Take all there is before the next input.
    pub fn poll_output(&mut self) -> Option<Output<L::Refusal>> {
        let output = self.out.pop_front()?;
        if let Output::Send(peer, _) = &output
            && let Some(queued) = self.queued.get_mut(peer)
        {
            *queued = queued.saturating_sub(1);
        }
        Some(output)
    }

    /// When [`Self::handle_timeout`] wants to be called, and what for.
    pub fn poll_timeout(&self) -> Option<(Millis, &'static str)> {
        let tell = self.peers.values().map(|peer| (peer.tell_at, "tell heads again"));
        let answer = self.asking.iter().map(|asking| (asking.until, "operations asked of a peer"));
        let waits = self.asking.is_none()
            && self.storing.is_empty()
            && self.peers.values().any(|peer| !peer.lacking.is_empty());
        let again = waits.then_some((self.ask_after, "ask again after a failed write"));
        tell.chain(answer).chain(again).min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Millis) {
        // It told of heads and does not give them: they are forgotten until it tells again.
        self.asking.take_if(|asking| asking.until <= now);
        let due: Vec<NodeId> =
            self.peers.iter().filter(|(_, peer)| peer.tell_at <= now).map(|(id, _)| *id).collect();
        for peer in due {
            self.tell_heads(now, peer);
        }
        self.ask(now);
    }

    /// One line for traces: operations, heads, waiting for parents, tickets open, whom it asks.
    pub fn describe(&self) -> String {
        format!(
            "ops={} heads={} orphans={} tickets={} asks={}",
            self.graph.len(),
            self.graph.head_count(),
            self.orphans.len(),
            self.storing.len(),
            self.asking.as_ref().map_or_else(|| "-".to_owned(), |asking| asking.peer.short()),
        )
    }

    fn connected(&mut self, now: Millis, peer: NodeId) {
        self.peers.insert(peer, Peer::default());
        self.queued.insert(peer, 0);
        self.tell_heads(now, peer);
    }

    fn disconnected(&mut self, now: Millis, peer: &NodeId) {
        self.peers.remove(peer);
        self.queued.remove(peer);
        self.out.retain(|output| !matches!(output, Output::Send(to, _) if to == peer));
        self.orphans.forget(peer);
        self.asking.take_if(|asking| asking.peer == *peer);
        self.ask(now);
    }

    fn garbage(&mut self, now: Millis, from: NodeId) {
        let (count, since) = self.garbage.entry(from).or_insert((0, now));
        let forgiven = now.since(*since).0 / GARBAGE_FORGIVEN.0;
        *count = count.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX));
        // What is left of a period counts for the next piece.
        *since =
            if *count == 0 { now } else { since.plus(Millis(forgiven.saturating_mul(GARBAGE_FORGIVEN.0))) };
        *count = count.saturating_add(1);
        if *count >= GARBAGE_MAX && self.peers.contains_key(&from) {
            self.disconnected(now, &from);
            self.out.push_back(Output::Drop(from));
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket = self.next_ticket.saturating_add(1);
        Ticket(self.next_ticket)
    }
}

#[cfg(test)]
mod tests;
