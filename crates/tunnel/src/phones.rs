//! Machines that are reached through this one, and not by a line of the mesh: phones behind its door. What a phone
//! sends to this machine is judged here, the rest by whoever receives it; nobody begins anything with a phone.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use freehold_packet::frame::{self, Kind};
use freehold_packet::icmp::{self, Refusal};
use freehold_packet::{Head, Icmp, Virtio, checksum};
use freehold_reach::{Flows, Net, Party};
use freehold_wire::{Millis, NodeId, PhoneId};
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc};

use crate::View;
use crate::budget::Budget;
use crate::fate::Fates;
use crate::inward::{Fate, Guard, Judge};
use crate::outward::Cutter;
use crate::peer::Peer;
use crate::pump::{BATCH, Desk, Pump, flush};

/// Flows under way between one phone and this machine.
const FLOWS: usize = 1 << 12;

/// The tunnel's end of the way to a door that phones come by. Goes on with the next tunnel when this one has ended.
#[derive(Debug, Clone)]
pub struct Phones {
    from: Arc<Mutex<mpsc::Receiver<Bytes>>>,
    outlet: Outlet,
}

impl Phones {
    /// `from` gives whole IP packets of phones, each from an address that the door found to be the sender's; `to`
    /// takes those for them. What does not fit is lost, as in any network.
    pub fn new(from: mpsc::Receiver<Bytes>, to: mpsc::Sender<Bytes>) -> Self {
        Self { from: Arc::new(Mutex::new(from)), outlet: Outlet(to) }
    }

    pub(crate) const fn outlet(&self) -> &Outlet {
        &self.outlet
    }

    /// What phones send, for one tunnel alone: from when the one before has ended.
    pub(crate) fn inlet(&self) -> Inlet {
        Inlet::Waiting(Arc::clone(&self.from))
    }
}

/// Takes packets for phones.
#[derive(Debug, Clone)]
pub(crate) struct Outlet(mpsc::Sender<Bytes>);

impl Outlet {
    /// Hands over a packet whose sum may be partial: a phone wants it whole.
    pub(crate) fn give(&self, kind: Kind, packet: &[u8]) {
        let mut packet = packet.to_vec();
        if kind == Kind::Partial && checksum::finish(&mut packet).is_err() {
            return;
        }
        // Full is lost.
        drop(self.0.try_send(packet.into()));
    }
}

/// What phones send; none ever comes where nobody serves any.
pub(crate) enum Inlet {
    Shut,
    /// Another tunnel may have it still.
    Waiting(Arc<Mutex<mpsc::Receiver<Bytes>>>),
    Open(OwnedMutexGuard<mpsc::Receiver<Bytes>>),
}

impl Inlet {
    /// Waits for packets, of which many may come at once.
    pub(crate) async fn next(&mut self, into: &mut Vec<Bytes>) {
        if let Self::Waiting(from) = self {
            *self = Self::Open(Arc::clone(from).lock_owned().await);
        }
        if let Self::Open(from) = self
            && from.recv_many(into, BATCH).await > 0
        {
            return;
        }
        // The door is closed for good.
        *self = Self::Shut;
        std::future::pending::<()>().await;
    }
}

/// What is kept of one phone.
pub(crate) struct Phone {
    flows: Flows,
    fates: Fates,
    /// Of what this machine sends to it.
    sent: Fates,
    errors: Budget,
}

impl Phone {
    fn new() -> Option<Self> {
        let mut seed = [0; 16];
        getrandom::fill(&mut seed).ok()?;
        let flows = Flows::new(seed, FLOWS);
        Some(Self { flows, fates: Fates::default(), sent: Fates::default(), errors: Budget::default() })
    }
}

/// The phones that send, each with what is under way between it and this machine.
#[derive(Default)]
pub(crate) struct Known(BTreeMap<PhoneId, Phone>);

impl Known {
    fn of(&mut self, phone: PhoneId) -> Option<&mut Phone> {
        match self.0.entry(phone) {
            Entry::Occupied(there) => Some(there.into_mut()),
            Entry::Vacant(place) => Some(place.insert(Phone::new()?)),
        }
    }

    /// Forgets those that this machine serves no more.
    pub(crate) fn keep(&mut self, net: &Net) {
        self.0.retain(|phone, _| net.serves(phone));
    }
}

/// The phone at an address, if this machine serves it.
pub(crate) fn served(net: &Net, at: IpAddr) -> Option<PhoneId> {
    match net.party_of(at)? {
        Party::Phone(phone) => net.serves(&phone).then_some(phone),
        _ => None,
    }
}

/// Where a phone's packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// To another machine, which judges it.
    Line(NodeId),
    /// To this machine's kernel.
    Here,
    /// Nowhere, and its sender is told.
    Refused,
    /// Nowhere.
    Lost,
}

/// What this machine goes by.
pub(crate) struct Desktop<'a> {
    pub(crate) view: &'a View,
    pub(crate) guard: &'a Guard,
    pub(crate) me: NodeId,
    pub(crate) now: Millis,
}

impl Desktop<'_> {
    /// Where a phone's packet goes.
    pub(crate) fn way(&self, known: &mut Known, packet: &[u8], head: &Head) -> Way {
        let net = &self.view.net;
        let Some(phone) = served(net, head.flow.src) else { return Way::Lost };
        if let Some(node) = net.via(head.flow.dst, &self.view.wish) {
            return Way::Line(node);
        }
        let Some(phone) = known.of(phone) else { return Way::Lost };
        // Its packets come here as if over a line of this machine's own.
        let judge = Judge { view: self.view, guard: self.guard, line: self.me, now: self.now };
        match judge.judge(&mut phone.flows, &mut phone.fates, packet, head) {
            Fate::Passes => Way::Here,
            Fate::Refused if phone.errors.take() => Way::Refused,
            Fate::Refused | Fate::Broken => Way::Lost,
        }
    }

    /// Whether something that this machine sends may go to a phone: it has to belong to what the phone began.
    pub(crate) fn may_go(&self, known: &mut Known, phone: PhoneId, head: &Head) -> bool {
        if head.piece.is_some_and(|piece| !piece.first) {
            return known.of(phone).is_some_and(|known| known.sent.may_follow(self.now, head));
        }
        match head.icmp {
            Some(Icmp::Error) => true,
            Some(Icmp::Echo | Icmp::Other) => false,
            Some(Icmp::Reply) | None => {
                let Some(known) = known.of(phone) else { return false };
                let began = head.flow.reversed();
                let net = &self.view.net;
                let judge = || net.judge(Party::Phone(phone), &began);
                let may = known.flows.inbound(self.view.generation, self.now, &began, judge);
                if may {
                    known.sent.passed(self.now, head);
                }
                may
            }
        }
    }
}

impl Pump {
    fn desktop<'a>(&self, view: &'a View, guard: &'a Guard) -> Desktop<'a> {
        Desktop { view, guard, me: self.me, now: self.clock.now() }
    }

    /// Sends on what phones have sent.
    pub(crate) async fn take_from_phones(&self, desk: &mut Desk, packets: &mut Vec<Bytes>) {
        for packet in packets.drain(..) {
            let Some(to) = self.take_from_phone(desk, &packet) else { continue };
            if desk.target != Some(to) || desk.out.len() >= BATCH {
                flush(desk).await;
            }
            let framed = [&Virtio::default().write(), &*packet].concat();
            self.pack(desk, to, &framed);
        }
        flush(desk).await;
    }

    /// The peer that a phone's packet goes to; none if it stays here.
    fn take_from_phone(&self, desk: &mut Desk, packet: &[u8]) -> Option<NodeId> {
        let head = Head::parse(packet).ok()?;
        let way = self.desktop(&desk.view, &desk.guard).way(&mut desk.phones, packet, &head);
        match way {
            Way::Line(node) => {
                if let Entry::Vacant(place) = desk.peers.entry(node) {
                    let peer = place.insert(Peer::new()?);
                    self.shared.learn(node, &peer.known, None);
                }
                let later = head.piece.is_some_and(|piece| !piece.first);
                (later || self.may_leave(desk, node, &head)).then_some(node)
            }
            Way::Here => {
                self.ground.offer(packet);
                None
            }
            Way::Refused => {
                let error = icmp::error(packet, head.flow.dst, Refusal::Prohibited);
                if let (Some(error), Some(phones)) = (error, &self.phones) {
                    phones.outlet().give(Kind::Whole, &error);
                }
                None
            }
            Way::Lost => None,
        }
    }

    /// Takes what the kernel has for a phone.
    pub(crate) fn to_phone(&self, desk: &mut Desk, phone: PhoneId, head: &Head, bytes: &[u8]) {
        let Some(phones) = &self.phones else { return };
        let (Some(virtio), Some(packet)) = (Virtio::read(bytes), bytes.get(Virtio::LEN..)) else { return };
        if !self.desktop(&desk.view, &desk.guard).may_go(&mut desk.phones, phone, head) {
            self.refuse(desk, packet, Refusal::Prohibited);
            return;
        }
        for packet in whole(&mut desk.cutter, &virtio, packet) {
            if let Some((kind, packet)) = frame::read(&packet) {
                phones.outlet().give(kind, packet);
            }
        }
    }
}

/// A large packet of the kernel's as the many that a phone can take.
fn whole(cutter: &mut Cutter, virtio: &Virtio, packet: &[u8]) -> Vec<Bytes> {
    let mut out = Vec::new();
    // With room for all of it, nothing is split into what only a tunnel joins again.
    match cutter.cut(virtio, packet, usize::MAX, &mut 0, &mut out) {
        Ok(_) => out,
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
