//! Nodes that live in one process: each is told where the others are without anybody's word for it,
//! so that they are connected before the directory says so, and on a machine without a network.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use freehold_mesh::Addresses;
use freehold_wire::NodeId;
use tokio::sync::watch;

/// The UDP port of each node in this process. Clones are handles to the same.
#[derive(Debug, Clone)]
pub(crate) struct Neighbours(Arc<watch::Sender<BTreeMap<NodeId, u16>>>);

impl Default for Neighbours {
    fn default() -> Self {
        Self(Arc::new(watch::channel(BTreeMap::new()).0))
    }
}

impl Neighbours {
    /// A node listens on this port.
    pub(crate) fn is_here(&self, node: NodeId, port: u16) {
        self.0.send_if_modified(|all| all.insert(node, port) != Some(port));
    }

    /// It listens no more.
    pub(crate) fn is_gone(&self, node: NodeId) {
        self.0.send_if_modified(|all| all.remove(&node).is_some());
    }

    /// Tells when one comes or goes.
    pub(crate) fn watch(&self) -> watch::Receiver<BTreeMap<NodeId, u16>> {
        self.0.subscribe()
    }

    /// What is known of where a node is, and its place in this process if it has one.
    pub(crate) fn beside(&self, node: NodeId, known: Addresses) -> Addresses {
        let Some(port) = self.0.borrow().get(&node).copied() else { return known };
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let direct = std::iter::once(here).chain(known.direct().iter().copied());
        Addresses::new(direct, known.relays().iter().cloned(), known.serves().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_is_found_without_a_network() {
        let (neighbours, node) = (Neighbours::default(), NodeId::from_bytes([1; 32]));
        assert_eq!(neighbours.beside(node, Addresses::default()), Addresses::default());
        neighbours.is_here(node, 4434);
        let known: Addresses = "192.0.2.1:1,http://192.0.2.1:2".parse().unwrap();
        let beside = neighbours.beside(node, known);
        assert_eq!(beside.to_string(), "192.0.2.1:1,127.0.0.1:4434,http://192.0.2.1:2");
        neighbours.is_gone(node);
        assert!(neighbours.beside(node, Addresses::default()).is_empty());
    }
}
