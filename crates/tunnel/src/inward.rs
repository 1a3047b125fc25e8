//! What comes over a line: put together, judged, and joined for the kernel.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use freehold_mesh::Line;
use freehold_packet::fragment::Joining;
use freehold_packet::frame::{Kind, read};
use freehold_packet::icmp::{self, Refusal};
use freehold_packet::{Flow, Head, Icmp, Joiner, Run, protocol};
use freehold_reach::Flows;
use freehold_wire::{Millis, NodeId};
use tokio::sync::watch;

use crate::View;
use crate::budget::Budget;
use crate::fate::Fates;
use crate::ground::Ground;
use crate::outward;
use crate::peer::{Clock, Known};
use crate::phones::{Outlet, served};
use crate::tunnel::Shared;

/// Datagrams taken at a time.
const BATCH: usize = 128;

/// The mesh's own packets, which must not travel inside the tunnel.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guard {
    pub(crate) ports: Arc<[u16]>,
    pub(crate) addresses: Vec<IpAddr>,
}

impl Guard {
    /// Whether a packet leaves from a socket of the mesh on this machine, or is for one.
    pub(crate) fn is_of_the_mesh(&self, flow: &Flow, at: IpAddr, port: u16) -> bool {
        flow.proto == protocol::UDP && self.ports.contains(&port) && self.addresses.contains(&at)
    }
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The kernel gets it.
    Passes,
    /// The rules do not allow it, and its sender may know.
    Refused,
    /// It is not what this peer may send at all.
    Broken,
}

/// Judges what comes from one peer.
pub(crate) struct Judge<'a> {
    pub(crate) view: &'a View,
    pub(crate) guard: &'a Guard,
    pub(crate) line: NodeId,
    pub(crate) now: Millis,
}

impl Judge<'_> {
    pub(crate) fn judge(&self, flows: &mut Flows, fates: &mut Fates, packet: &[u8], head: &Head) -> Fate {
        let (net, flow) = (&self.view.net, &head.flow);
        let party = net.carries(self.line, flow.src);
        let answers = net.answers(self.line, flow.src);
        if party.is_none() && !answers || self.guard.is_of_the_mesh(flow, flow.dst, flow.dport) {
            return Fate::Broken;
        }
        if head.piece.is_some_and(|piece| !piece.first) {
            return if fates.may_follow(self.now, head) { Fate::Passes } else { Fate::Broken };
        }
        let may = match head.icmp {
            Some(Icmp::Error) => return self.error(flows, packet, head),
            Some(Icmp::Other) => return Fate::Broken,
            Some(Icmp::Reply) => flows.answered(self.now, flow),
            Some(Icmp::Echo) | None => match party {
                Some(party) => flows.inbound(self.view.generation, self.now, flow, || net.judge(party, flow)),
                None => flows.answered(self.now, flow),
            },
        };
        if may {
            fates.passed(self.now, head);
            Fate::Passes
        } else if party.is_some() && head.icmp != Some(Icmp::Reply) {
            Fate::Refused
        } else {
            Fate::Broken
        }
    }

    /// An error passes if it is about something that is under way with this peer.
    fn error(&self, flows: &mut Flows, packet: &[u8], head: &Head) -> Fate {
        let Some(about) = icmp::about(packet, head) else { return Fate::Broken };
        let back = about.reversed();
        if flows.answered(self.now, &back) {
            return Fate::Passes;
        }
        let net = &self.view.net;
        let Some(party) = net.carries(self.line, back.src) else { return Fate::Broken };
        let known = flows.inbound(self.view.generation, self.now, &back, || net.judge(party, &back));
        if known { Fate::Passes } else { Fate::Broken }
    }
}

/// Reads one line until it ends.
pub(crate) struct Reader {
    pub(crate) line: Line,
    pub(crate) me: NodeId,
    pub(crate) ground: Arc<Ground>,
    pub(crate) view: watch::Receiver<Arc<View>>,
    pub(crate) ports: Arc<[u16]>,
    pub(crate) known: Arc<Known>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
    pub(crate) phones: Option<Outlet>,
}

/// What a reader keeps between batches.
struct Desk {
    view: Arc<View>,
    guard: Guard,
    joining: Joining,
    fates: Fates,
    joiner: Joiner,
    errors: Budget,
    id: u16,
}

impl Reader {
    /// # Errors
    /// The device's.
    pub(crate) async fn run(mut self) -> std::io::Result<()> {
        let view = Arc::clone(&self.view.borrow_and_update());
        let guard = Guard { ports: Arc::clone(&self.ports), addresses: view.own(self.me) };
        let mut desk = Desk {
            view,
            guard,
            joining: Joining::default(),
            fates: Fates::default(),
            joiner: self.ground.joiner(),
            errors: Budget::default(),
            id: 0,
        };
        let mut into = vec![Bytes::new(); BATCH];
        let mut runs: Vec<Run> = Vec::new();
        while let Ok(count) = self.line.receive(&mut into).await {
            if self.view.has_changed().unwrap_or(false) {
                desk.view = Arc::clone(&self.view.borrow_and_update());
                desk.guard.addresses = desk.view.own(self.me);
            }
            let frames = self.frames(&mut desk, into.get_mut(..count).unwrap_or_default());
            let refused = self.ground.deliver(&frames, &mut desk.joiner, &mut runs).await?;
            self.known.count.broken.add(refused);
        }
        Ok(())
    }

    /// The frames of a batch whose packets pass.
    fn frames(&self, desk: &mut Desk, datagrams: &mut [Bytes]) -> Vec<Bytes> {
        let now = self.clock.now();
        let count = &self.known.count;
        let mut passed = Vec::with_capacity(datagrams.len());
        let mut flows = self.known.flows.lock().unwrap_or_else(PoisonError::into_inner);
        for datagram in datagrams {
            let datagram = std::mem::take(datagram);
            let frame = match read(&datagram) {
                Some((Kind::Whole | Kind::Partial, _)) => datagram,
                Some((Kind::Fragment, body)) => match desk.joining.take(now, body) {
                    Some(frame) => Bytes::from(frame),
                    None => continue,
                },
                Some((Kind::Path, _)) | None => continue,
            };
            let Some((kind, packet)) = read(&frame) else { continue };
            let Ok(head) = Head::parse(packet) else {
                count.broken.add(1);
                continue;
            };
            let (line, view, guard) = (self.line.node(), &*desk.view, &desk.guard);
            match (Judge { view, guard, line, now }).judge(&mut flows, &mut desk.fates, packet, &head) {
                Fate::Passes => {
                    count.received.add(1);
                    count.received_bytes.add(packet.len());
                    match self.outlet(view, guard, head.flow.dst) {
                        Some(phones) => phones.give(kind, packet),
                        None => passed.push(frame),
                    }
                }
                Fate::Refused => {
                    count.refused.add(1);
                    self.shared.refusals.note(&head.flow);
                    if desk.errors.take() {
                        self.tell(packet, &head, &mut desk.id);
                    }
                }
                Fate::Broken => count.broken.add(1),
            }
        }
        passed
    }

    /// Where a packet goes that is for a phone of this machine's and not for itself.
    fn outlet(&self, view: &View, guard: &Guard, to: IpAddr) -> Option<&Outlet> {
        let phones = self.phones.as_ref().filter(|_| !guard.addresses.contains(&to))?;
        served(&view.net, to).map(|_| phones)
    }

    /// Says to the sender that it may not, so that nobody waits for what will never come.
    fn tell(&self, packet: &[u8], head: &Head, id: &mut u16) {
        let error = icmp::error(packet, head.flow.dst, Refusal::Prohibited);
        if let (Some(error), Some(room)) = (error, self.line.room()) {
            let mut out = Vec::new();
            outward::whole(&error, room, id, &mut out);
            // Lost is lost: it is a courtesy.
            drop(self.line.send(&out));
        }
    }
}
