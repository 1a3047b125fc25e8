//! The protocols' names, which stand in the first packet of a dial for all on the way to read. So
//! each node has its own: only who knows its id can speak to it, and to all others it is silent.
//! That also keeps another node at an outdated address from answering in its place.

use freehold_crypt::hash;
use freehold_wire::NodeId;
use iroh::endpoint::Incoming;

/// A protocol's name with one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Protocol([u8; 32]);

impl Protocol {
    /// For members of the realm.
    pub(crate) fn member(of: NodeId) -> Self {
        Self::new("freehold 2026 mesh protocol, members, 1", of)
    }

    /// For packets.
    pub(crate) fn line(of: NodeId) -> Self {
        Self::new("freehold 2026 mesh protocol, packets, 1", of)
    }

    /// For newcomers and guardians.
    pub(crate) fn door(of: NodeId) -> Self {
        Self::new("freehold 2026 mesh protocol, door, 1", of)
    }

    /// For calls.
    pub(crate) fn call(of: NodeId) -> Self {
        Self::new("freehold 2026 mesh protocol, calls, 1", of)
    }

    /// For errands.
    pub(crate) fn errand(of: NodeId) -> Self {
        Self::new("freehold 2026 mesh protocol, errands, 1", of)
    }

    fn new(context: &'static str, of: NodeId) -> Self {
        Self(hash::digest(context, of.as_bytes()))
    }

    pub(crate) const fn name(&self) -> &[u8] {
        &self.0
    }
}

/// What somebody dials for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meant {
    /// Membership, the door, a call or errands.
    Here,
    /// A line.
    Line,
    /// Another node.
    Elsewhere,
}

/// What a dial is meant for. If the name cannot be read, TLS will sort it out.
pub(crate) fn meant(node: NodeId, incoming: &Incoming) -> Meant {
    let Some(names) = incoming.decrypt().and_then(|packet| packet.alpns()) else { return Meant::Here };
    let line = Protocol::line(node);
    let ours = [Protocol::member(node), Protocol::door(node), Protocol::call(node), Protocol::errand(node)];
    let mut meant = Meant::Elsewhere;
    for name in names.flatten() {
        if ours.iter().any(|our| our.name() == name) {
            return Meant::Here;
        }
        if line.name() == name {
            meant = Meant::Line;
        }
    }
    meant
}

#[cfg(test)]
mod tests {
    use freehold_wire::Hex;

    use super::*;

    /// The example of docs/formats/mesh.md.
    #[test]
    fn the_names_are_the_ones_that_are_written_down() {
        let node = NodeId::from_bytes([1; 32]);
        assert_eq!(
            Hex(Protocol::member(node).name()).to_string(),
            "099bcaad9e61a1d80b446426ed5dde15ce112ed42e057ba611cfc8a0c9eee97e"
        );
        assert_eq!(
            Hex(Protocol::door(node).name()).to_string(),
            "acb619b11d349f8bbb083fcdac7ce10f76b4dc69c2b08885788d7f19ae996894"
        );
        assert_eq!(
            Hex(Protocol::line(node).name()).to_string(),
            "56d6ce0ea6cab827b70e18145cfaf82c44e9f6f1a58ea1f06899e5632a890360"
        );
        assert_eq!(
            Hex(Protocol::call(node).name()).to_string(),
            "e43eb50991196b166bc909df0a6a6a9ac395e1556a48813a606714962a2ad565"
        );
        assert_eq!(
            Hex(Protocol::errand(node).name()).to_string(),
            "8b841ed76c173f74377ea3e9df8c1352313d16e63a7f9f653ac408ca9d2cfc12"
        );
    }
}
