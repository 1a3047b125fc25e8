//! Messages on their way, and who can reach whom.

use std::collections::BTreeSet;
use std::fmt;

use freehold_wire::NodeId;

use crate::Choose;

/// A node's name in traces; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(pub u8);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("n{}", self.0))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Flight<M> {
    pub(crate) from: Name,
    pub(crate) to: Name,
    pub(crate) message: M,
}

#[derive(Debug)]
pub(crate) struct Network<M> {
    pub(crate) flights: Vec<Flight<M>>,
    cut: BTreeSet<(Name, Name)>,
    /// Connections, both ways.
    up: BTreeSet<(Name, Name)>,
}

impl<M: Clone> Network<M> {
    pub(crate) const fn new() -> Self {
        Self { flights: Vec::new(), cut: BTreeSet::new(), up: BTreeSet::new() }
    }

    pub(crate) fn send(&mut self, from: Name, to: Name, message: M) {
        if self.is_up(from, to) {
            self.flights.push(Flight { from, to, message });
        }
    }

    pub(crate) fn is_up(&self, a: Name, b: Name) -> bool {
        self.up.contains(&pair(a, b))
    }

    /// Connects two nodes unless their link is cut; whether that is new.
    pub(crate) fn connect(&mut self, a: Name, b: Name) -> bool {
        a != b && !self.cut.contains(&pair(a, b)) && self.up.insert(pair(a, b))
    }

    /// Ends a connection with all that is on its way; whether there was one.
    pub(crate) fn disconnect(&mut self, a: Name, b: Name) -> bool {
        self.flights.retain(|flight| pair(flight.from, flight.to) != pair(a, b));
        self.up.remove(&pair(a, b))
    }

    pub(crate) fn cut(&mut self, a: Name, b: Name) {
        self.cut.insert(pair(a, b));
    }

    pub(crate) fn mend(&mut self, a: Name, b: Name) {
        self.cut.remove(&pair(a, b));
    }

    pub(crate) fn cuts(&self) -> Vec<(Name, Name)> {
        self.cut.iter().copied().collect()
    }

    /// A message on its way: the oldest, or any if they overtake each other.
    pub(crate) fn pick(&self, choose: &mut dyn Choose, reorder: bool) -> Option<usize> {
        if self.flights.is_empty() {
            return None;
        }
        Some(if reorder { choose.below(self.flights.len()) } else { 0 })
    }

    pub(crate) fn take(&mut self, at: usize) -> Option<Flight<M>> {
        (at < self.flights.len()).then(|| self.flights.remove(at))
    }
}

fn pair(a: Name, b: Name) -> (Name, Name) {
    (a.min(b), a.max(b))
}

/// The id of a node whose key does not matter.
pub(crate) const fn plain_id(name: Name) -> NodeId {
    let mut bytes = [0xaa; 32];
    bytes[0] = name.0;
    NodeId::from_bytes(bytes)
}
