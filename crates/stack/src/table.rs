//! Which flows there are, who gets their packets, and how many one sender may have.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use freehold_packet::icmp::Refusal;
use freehold_packet::{Flow, protocol};
use tokio::sync::mpsc;

/// Packets of one flow that wait; more are lost, as on any line.
pub(crate) const WAITING: usize = 1024;
/// Ports that this machine dials from.
const OWN_PORTS: std::ops::Range<u16> = 32_768..61_000;

/// How much others may have of this machine.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// TCP connections from one address.
    pub each: usize,
    /// Those of them that are not open yet.
    pub half_open: usize,
    /// Flows of UDP from one address.
    pub datagrams: usize,
    /// Memory of all TCP connections, in bytes.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { each: 256, half_open: 32, datagrams: 64, memory: 128 * 1024 * 1024 }
    }
}

/// What a flow is told.
#[derive(Debug)]
pub(crate) enum Item {
    Packet(Bytes),
    /// Its packets go no further.
    Barred(Refusal),
}

/// A flow, as its packets come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) other: SocketAddr,
    pub(crate) own: SocketAddr,
    pub(crate) tcp: bool,
}

impl Key {
    /// The flow as its packets come.
    pub(crate) const fn flow(&self) -> Flow {
        let proto = if self.tcp { protocol::TCP } else { protocol::UDP };
        let Self { other, own, .. } = self;
        Flow { src: other.ip(), dst: own.ip(), proto, sport: other.port(), dport: own.port() }
    }

    pub(crate) const fn of(flow: &Flow, tcp: bool) -> Self {
        Self { other: SocketAddr::new(flow.src, flow.sport), own: SocketAddr::new(flow.dst, flow.dport), tcp }
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    open: usize,
    half: usize,
    datagrams: usize,
}

#[derive(Debug, Default)]
struct Flows {
    /// With whether this machine began it.
    all: HashMap<Key, (mpsc::Sender<Item>, bool)>,
    /// Of those that others began.
    counts: BTreeMap<IpAddr, Count>,
}

/// The flows of this machine.
#[derive(Debug)]
pub(crate) struct Table {
    flows: Mutex<Flows>,
    limits: Limits,
}

/// Whose a place is, and how it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Ours,
    Half,
    Open,
    Datagrams,
}

/// A flow's place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    table: Arc<Table>,
    key: Key,
    sort: Sort,
}

impl Table {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { flows: Mutex::default(), limits }
    }

    fn flows(&self) -> MutexGuard<'_, Flows> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many flows there are.
    pub(crate) fn len(&self) -> usize {
        self.flows().all.len()
    }

    /// All flows, and whether this machine began them.
    pub(crate) fn all(&self) -> Vec<(Key, bool)> {
        self.flows().all.iter().map(|(key, (_, ours))| (*key, *ours)).collect()
    }

    /// Tells a flow; gives back what it is told if there is no such flow.
    pub(crate) fn tell(&self, key: &Key, item: Item) -> Option<Item> {
        let flows = self.flows();
        let Some((inbox, _)) = flows.all.get(key) else { return Some(item) };
        // Full, or about to go: lost.
        drop(inbox.try_send(item));
        None
    }

    /// A place for what somebody else begins; none if they have too many.
    pub(crate) fn enter(self: &Arc<Self>, key: Key) -> Option<(Place, mpsc::Receiver<Item>)> {
        let mut flows = self.flows();
        let count = flows.counts.entry(key.other.ip()).or_default();
        let sort = if key.tcp { Sort::Half } else { Sort::Datagrams };
        let room = match sort {
            Sort::Datagrams => count.datagrams < self.limits.datagrams,
            _ => count.half < self.limits.half_open && count.half + count.open < self.limits.each,
        };
        if !room {
            return None;
        }
        *count.of(sort) += 1;
        let (inbox, items) = mpsc::channel(WAITING);
        flows.all.insert(key, (inbox, false));
        drop(flows);
        Some((Place { table: Arc::clone(self), key, sort }, items))
    }

    /// A place for what this machine begins, from a port that is free; none if none is.
    pub(crate) fn leave_for(
        self: &Arc<Self>,
        own: IpAddr,
        other: SocketAddr,
    ) -> Option<(Key, Place, mpsc::Receiver<Item>)> {
        let mut drawn = [0; 2];
        getrandom::fill(&mut drawn).ok()?;
        let ports = OWN_PORTS.len();
        let first = usize::from(u16::from_ne_bytes(drawn)) % ports;
        let mut flows = self.flows();
        let keys = OWN_PORTS.cycle().skip(first).take(ports);
        let mut keys = keys.map(|port| Key { other, own: SocketAddr::new(own, port), tcp: true });
        let key = keys.find(|key| !flows.all.contains_key(key))?;
        let (inbox, items) = mpsc::channel(WAITING);
        flows.all.insert(key, (inbox, true));
        drop(flows);
        Some((key, Place { table: Arc::clone(self), key, sort: Sort::Ours }, items))
    }
}

impl Count {
    const fn of(&mut self, sort: Sort) -> &mut usize {
        match sort {
            Sort::Half => &mut self.half,
            // Never counted for what is ours.
            Sort::Open | Sort::Ours => &mut self.open,
            Sort::Datagrams => &mut self.datagrams,
        }
    }
}

impl Place {
    /// The connection is open: it does not count as half-open any more.
    pub(crate) fn opened(&mut self) {
        if self.sort != Sort::Half {
            return;
        }
        let mut flows = self.table.flows();
        let count = flows.counts.entry(self.key.other.ip()).or_default();
        count.half = count.half.saturating_sub(1);
        count.open += 1;
        drop(flows);
        self.sort = Sort::Open;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut flows = self.table.flows();
        flows.all.remove(&self.key);
        if self.sort == Sort::Ours {
            return;
        }
        let at = self.key.other.ip();
        if let Some(count) = flows.counts.get_mut(&at) {
            let own = count.of(self.sort);
            *own = own.saturating_sub(1);
            if count.open + count.half + count.datagrams == 0 {
                flows.counts.remove(&at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(from: u16, tcp: bool) -> Key {
        let other = SocketAddr::new("fd00::9".parse().unwrap(), from);
        Key { other, own: "[fd00::1]:22".parse().unwrap(), tcp }
    }

    #[test]
    fn one_sender_has_so_many_half_open_so_many_open_and_takes_nothing_from_others() {
        let limits = Limits { each: 4, half_open: 2, datagrams: 1, memory: 0 };
        let table = Arc::new(Table::new(limits));
        let mut places: Vec<Place> = (1..3).map(|from| table.enter(key(from, true)).unwrap().0).collect();
        assert!(table.enter(key(3, true)).is_none(), "too many are half-open");
        places.iter_mut().for_each(Place::opened);
        places.extend((3..5).map(|from| table.enter(key(from, true)).unwrap().0));
        places.iter_mut().for_each(Place::opened);
        assert!(table.enter(key(5, true)).is_none(), "too many are open");
        let datagrams = table.enter(key(1, false)).unwrap();
        assert!(table.enter(key(2, false)).is_none());
        let other = Key { other: "[fd00::8]:1".parse().unwrap(), ..key(1, true) };
        assert!(table.enter(other).is_some(), "nor is it everybody's limit");
        drop(places.pop());
        assert!(table.enter(key(5, true)).is_some());
        drop((places, datagrams));
        assert_eq!((table.len(), table.flows().counts.len()), (0, 0), "nothing stays");
    }

    #[test]
    fn what_this_machine_begins_has_a_port_of_its_own_and_gets_its_packets() {
        let table = Arc::new(Table::new(Limits::default()));
        let other = "[fd00::2]:80".parse().unwrap();
        let own = "fd00::1".parse().unwrap();
        let (first, _place, mut items) = table.leave_for(own, other).unwrap();
        let (second, _second, _items) = table.leave_for(own, other).unwrap();
        assert_ne!(first, second);
        assert!(OWN_PORTS.contains(&first.own.port()));
        assert!(table.tell(&first, Item::Packet(Bytes::from_static(b"x"))).is_none());
        assert!(matches!(items.try_recv(), Ok(Item::Packet(_))));
        let nobody = Key { other: "[fd00::3]:80".parse().unwrap(), ..first };
        assert!(table.tell(&nobody, Item::Barred(Refusal::Prohibited)).is_some());
    }
}
