//! The task that owns the tunnel: it sends what the kernel gives, has the lines, and starts a reader for
//! each. It waits for nobody longer than a moment.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use freehold_mesh::{Line, LineError, LineEvent, Lines};
use freehold_packet::icmp::{self, Refusal};
use freehold_packet::{Flow, Head, Icmp, Virtio, tcp_flag};
use freehold_reach::Verdict;
use freehold_wire::{Millis, NodeId};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::View;
use crate::budget::Budget;
use crate::device::READ_MAX;
use crate::ground::{Ground, Intake};
use crate::inward::{Guard, Reader};
use crate::outward::Cutter;
use crate::peer::{Clock, Peer};
use crate::phones::{self, Inlet, Phones};
use crate::tunnel::{Shared, Trouble};

/// Reads in a row before something else has its turn.
const READS: usize = 64;
/// Datagrams that are sent at a time.
pub(crate) const BATCH: usize = 256;
/// How long a line that is busy is waited for, while all others wait, too: some times what it takes to send
/// what is in its queue.
const PATIENCE: Duration = Duration::from_millis(10);
/// After a start, connections may be older than what is remembered of flows.
const OLDER: Millis = Millis::from_secs(60);

/// The owner of the tunnel.
pub(crate) struct Pump {
    pub(crate) me: NodeId,
    pub(crate) ground: Arc<Ground>,
    pub(crate) intake: Intake,
    pub(crate) lines: Lines,
    pub(crate) view: watch::Receiver<Arc<View>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
    pub(crate) ports: Arc<[u16]>,
    pub(crate) mtu: u16,
    pub(crate) phones: Option<Phones>,
}

/// What the sending side works with.
pub(crate) struct Desk {
    pub(crate) view: Arc<View>,
    pub(crate) guard: Guard,
    pub(crate) peers: BTreeMap<NodeId, Peer>,
    pub(crate) phones: phones::Known,
    pub(crate) cutter: Cutter,
    /// What goes to `target` next.
    pub(crate) out: Vec<Bytes>,
    pub(crate) target: Option<NodeId>,
    errors: Budget,
}

impl Pump {
    pub(crate) async fn run(mut self, cancel: CancellationToken) -> Option<Trouble> {
        let view = Arc::clone(&self.view.borrow_and_update());
        let guard = Guard { ports: Arc::clone(&self.ports), addresses: view.own(self.me) };
        let cutter = Cutter::new(self.mtu);
        let (peers, errors) = (BTreeMap::new(), Budget::default());
        let known = phones::Known::default();
        let out = Vec::new();
        let mut desk = Desk { view, guard, peers, phones: known, cutter, out, target: None, errors };
        let mut inlet = self.phones.as_ref().map_or_else(|| Inlet::Shut, Phones::inlet);
        let mut arrived = Vec::new();
        let mut readers: JoinSet<io::Result<()>> = JoinSet::new();
        let mut buffer = vec![0; READ_MAX];
        let ended = loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => break None,
                event = self.lines.next() => match event {
                    Some(event) => self.line_event(&mut desk, &mut readers, event).await,
                    None => break Some(Trouble::Lines),
                },
                changed = self.view.changed() => match changed {
                    Ok(()) => self.see(&mut desk),
                    Err(_) => break None,
                },
                Some(done) = readers.join_next(), if !readers.is_empty() => match done {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => break Some(Trouble::Device(error)),
                    Err(error) => break Some(Trouble::Broken(error.to_string())),
                },
                () = inlet.next(&mut arrived) => {
                    self.take_from_phones(&mut desk, &mut arrived).await;
                    // However much phones send, this machine has its turn.
                    if let Err(error) = self.carry(&mut desk, &mut buffer).await {
                        break Some(Trouble::Device(error));
                    }
                }
                ready = self.intake.readable() => {
                    let done = match ready {
                        Ok(()) => self.carry(&mut desk, &mut buffer).await,
                        Err(error) => Err(error),
                    };
                    if let Err(error) = done {
                        break Some(Trouble::Device(error));
                    }
                }
            }
        };
        readers.shutdown().await;
        self.shared.forget(|_| false);
        info!("the tunnel is down");
        ended
    }

    /// Takes what the kernel has for us, but not for ever.
    async fn carry(&mut self, desk: &mut Desk, buffer: &mut [u8]) -> io::Result<()> {
        for _ in 0..READS {
            let Some(len) = self.intake.read(buffer)? else { break };
            let bytes = buffer.get(..len).unwrap_or_default();
            let Some(to) = self.destination(desk, bytes) else { continue };
            if desk.target != Some(to) || desk.out.len() >= BATCH {
                flush(desk).await;
            }
            self.pack(desk, to, bytes);
        }
        flush(desk).await;
        Ok(())
    }

    /// The peer that a packet of the kernel's goes to. None if it goes nowhere; then the kernel is told.
    fn destination(&self, desk: &mut Desk, bytes: &[u8]) -> Option<NodeId> {
        let packet = bytes.get(Virtio::LEN..)?;
        let head = Head::parse(packet).ok()?;
        let flow = &head.flow;
        if self.phones.is_some()
            && let Some(phone) = phones::served(&desk.view.net, flow.dst)
        {
            self.to_phone(desk, phone, &head, bytes);
            return None;
        }
        // Who sends from here is this machine, or what it leads to: only with what somebody asked of that.
        let is_own = desk.guard.addresses.contains(&flow.src);
        if !is_own && !desk.view.net.lies_behind(flow.src)
            || desk.guard.is_of_the_mesh(flow, flow.src, flow.sport)
        {
            return None;
        }
        let Some(node) = desk.view.net.via(flow.dst, &desk.view.wish) else {
            self.refuse(desk, packet, Refusal::Unreachable);
            return None;
        };
        if let Entry::Vacant(place) = desk.peers.entry(node) {
            let peer = place.insert(Peer::new()?);
            self.shared.learn(node, &peer.known, None);
        }
        if !is_own {
            return self.may_return(desk, node, packet, &head).then_some(node);
        }
        // Later pieces have no ports; the first one was noted.
        if head.piece.is_some_and(|piece| !piece.first) || self.may_leave(desk, node, &head) {
            return Some(node);
        }
        self.refuse(desk, packet, Refusal::Prohibited);
        None
    }

    /// Whether a packet from behind this machine belongs to what a peer asked for, and still may.
    fn may_return(&self, desk: &Desk, to: NodeId, packet: &[u8], head: &Head) -> bool {
        let Some(peer) = desk.peers.get(&to) else { return false };
        let (now, view) = (self.clock.now(), &desk.view);
        // The kernel lets them pass with the first one, which has the ports.
        if head.piece.is_some_and(|piece| !piece.first) {
            return true;
        }
        // An error is about a packet of the peer's.
        let flow = match head.icmp {
            Some(Icmp::Error) => icmp::about(packet, head).map(Flow::reversed),
            _ => Some(head.flow),
        };
        let Some(flow) = flow else { return false };
        let mut flows = peer.known.flows.lock().unwrap_or_else(PoisonError::into_inner);
        flows.returned(view.generation, now, &flow, || {
            let began = view.net.carries(to, flow.dst);
            began.map_or(Verdict::SHUT, |party| view.net.judge(party, &flow.reversed()))
        })
    }

    /// Notes a packet that leaves; whether it may.
    pub(crate) fn may_leave(&self, desk: &Desk, to: NodeId, head: &Head) -> bool {
        let Some(peer) = desk.peers.get(&to) else { return false };
        let (now, view) = (self.clock.now(), &desk.view);
        let opens = match (head.icmp, head.tcp) {
            (Some(icmp), _) => icmp == Icmp::Echo,
            (None, Some(tcp)) => tcp.flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN || now < OLDER,
            (None, None) => true,
        };
        let mut flows = peer.known.flows.lock().unwrap_or_else(PoisonError::into_inner);
        flows.outbound(view.generation, now, &head.flow, opens, || {
            // That flow as it came in: began by whoever has the address that this packet goes to.
            let began = view.net.carries(to, head.flow.dst);
            began.map_or(Verdict::SHUT, |party| view.net.judge(party, &head.flow.reversed()))
        })
    }

    /// Puts a packet's datagrams to what is sent next, or keeps it until there is a line.
    pub(crate) fn pack(&self, desk: &mut Desk, to: NodeId, bytes: &[u8]) {
        let Desk { peers, cutter, out, target, .. } = desk;
        let Some(peer) = peers.get_mut(&to) else { return };
        let Some(room) = peer.open_line().and_then(Line::room) else {
            peer.wait(bytes);
            self.lines.opener().open(to);
            return;
        };
        let (Some(virtio), Some(packet)) = (Virtio::read(bytes), bytes.get(Virtio::LEN..)) else { return };
        match cutter.cut(&virtio, packet, room, &mut peer.id, out) {
            Ok((packets, len)) => {
                peer.known.count.sent.add(packets);
                peer.known.count.sent_bytes.add(len);
                *target = Some(to);
            }
            Err(error) => {
                debug!(%error, "the kernel gave what cannot be cut");
                peer.known.count.dropped.add(1);
            }
        }
    }

    /// Says to a program of this machine that its packet goes nowhere, as if the other end said so: the
    /// kernel believes no error that comes from itself.
    pub(crate) fn refuse(&self, desk: &mut Desk, packet: &[u8], why: Refusal) {
        let from = Head::parse(packet).ok().map(|head| head.flow.dst);
        if let Some(error) = from.and_then(|from| icmp::error(packet, from, why))
            && desk.errors.take()
        {
            self.ground.offer(&error);
        }
    }

    async fn line_event(&mut self, desk: &mut Desk, readers: &mut JoinSet<io::Result<()>>, event: LineEvent) {
        match event {
            LineEvent::Up(line) => self.up(desk, readers, line).await,
            LineEvent::Down(node, why) => {
                debug!(peer = %node.short(), ?why, "no line any more");
                if let Some(peer) = desk.peers.get_mut(&node)
                    && peer.open_line().is_none()
                {
                    peer.line = None;
                    self.shared.learn(node, &peer.known, None);
                }
            }
            LineEvent::Failed(node, trouble) => {
                debug!(peer = %node.short(), ?trouble, "no line");
                let waiting = desk.peers.get_mut(&node).map(Peer::take_waiting).unwrap_or_default();
                for bytes in waiting {
                    if let Some(peer) = desk.peers.get(&node) {
                        peer.known.count.dropped.add(1);
                    }
                    let packet = bytes.get(Virtio::LEN..).unwrap_or_default();
                    self.refuse(desk, packet, Refusal::Unreachable);
                }
            }
        }
    }

    async fn up(&mut self, desk: &mut Desk, readers: &mut JoinSet<io::Result<()>>, line: Line) {
        let node = line.node();
        let peer = match desk.peers.entry(node) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(place) => match Peer::new() {
                Some(peer) => place.insert(peer),
                None => return,
            },
        };
        self.shared.learn(node, &peer.known, Some(&line));
        let reader = Reader {
            line: line.clone(),
            me: self.me,
            ground: Arc::clone(&self.ground),
            view: self.view.clone(),
            ports: Arc::clone(&self.ports),
            known: Arc::clone(&peer.known),
            shared: Arc::clone(&self.shared),
            clock: self.clock,
            phones: self.phones.as_ref().map(|phones| phones.outlet().clone()),
        };
        readers.spawn(reader.run());
        peer.line = Some(line);
        peer.stuck = false;
        for bytes in peer.take_waiting() {
            self.pack(desk, node, &bytes);
        }
        flush(desk).await;
    }

    /// The log has changed.
    fn see(&mut self, desk: &mut Desk) {
        let view = Arc::clone(&self.view.borrow_and_update());
        desk.guard.addresses = view.own(self.me);
        let nodes: BTreeSet<NodeId> = view.net.nodes().collect();
        desk.peers.retain(|node, peer| nodes.contains(node) || peer.open_line().is_some());
        self.shared.forget(|node| desk.peers.contains_key(node));
        desk.phones.keep(&view.net);
        desk.view = view;
    }
}

/// Sends what is packed.
pub(crate) async fn flush(desk: &mut Desk) {
    let Desk { peers, out, target, .. } = desk;
    let Some(peer) = target.take().and_then(|node| peers.get_mut(&node)) else {
        out.clear();
        return;
    };
    let Some(line) = peer.line.clone() else {
        out.clear();
        return;
    };
    let patience = if peer.stuck { Duration::ZERO } else { PATIENCE };
    match line.send_within(out, patience).await {
        Ok(taken) => {
            peer.stuck = taken < out.len();
            peer.known.count.dropped.add(out.len() - taken);
        }
        Err(error) => {
            // A path that carries less has opened just now; the next packets are cut to it.
            peer.known.count.dropped.add(out.len());
            if error == LineError::Gone {
                peer.line = None;
            }
        }
    }
    out.clear();
}
