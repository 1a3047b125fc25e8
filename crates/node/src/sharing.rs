//! Who may say who holds a bucket's key, and what may be said.

use std::collections::BTreeMap;

use freehold_wire::NodeId;

/// Nodes whose rights hold and that have a bucket's key because they are named, and whether each only
/// reads.
pub(crate) type Named = BTreeMap<NodeId, bool>;

/// Why the holders of a key stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unshared {
    /// Nobody believes a node that the realm trusts with no secrets.
    #[error("nobody would believe this node: it does not hold the realm's secrets")]
    NotKept,
    /// Nor, of a private bucket, one that is not named, or only reads.
    #[error("nobody would believe this node: it may only read the bucket, or not even that")]
    NotNamed,
    /// The next key is made here, so it must be known here. And where somebody stays who can act,
    /// the bucket is not lost.
    #[error("this node makes the next key, and would not hold it any more")]
    LeavesItself,
}

/// Whether this node may have the holders become `after`. Asked before anything is said: half of it
/// would be worse than none.
pub(crate) fn may_name(
    me: &NodeId,
    (is_private, is_keeper): (bool, bool),
    before: &Named,
    after: &Named,
) -> Result<(), Unshared> {
    let writes = |named: &Named| named.get(me).is_some_and(|only_reads| !only_reads);
    match is_private {
        false if is_keeper => Ok(()),
        false => Err(Unshared::NotKept),
        true if !writes(before) => Err(Unshared::NotNamed),
        true if !writes(after) => Err(Unshared::LeavesItself),
        true => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: NodeId = NodeId::from_bytes([1; 32]);
    const OTHER: NodeId = NodeId::from_bytes([2; 32]);

    fn named<const N: usize>(all: [(NodeId, bool); N]) -> Named {
        all.into()
    }

    #[test]
    fn a_keeper_says_who_holds_an_ordinary_bucket_and_nobody_else() {
        let shared = named([(OTHER, false)]);
        assert_eq!(may_name(&ME, (false, true), &shared, &named([])), Ok(()));
        assert_eq!(may_name(&ME, (false, false), &named([(ME, false)]), &shared), Err(Unshared::NotKept));
    }

    #[test]
    fn nobody_leaves_a_private_bucket_by_a_word_of_their_own() {
        let both = named([(ME, false), (OTHER, false)]);
        assert_eq!(may_name(&ME, (true, true), &both, &named([(ME, false)])), Ok(()));
        assert_eq!(may_name(&ME, (true, true), &both, &named([(OTHER, false)])), Err(Unshared::LeavesItself));
        assert_eq!(
            may_name(&ME, (true, true), &both, &named([(ME, true), (OTHER, false)])),
            Err(Unshared::LeavesItself)
        );
        // Whoever is left is suspended, or a person without a device: no node comes of that.
        assert_eq!(may_name(&ME, (true, true), &both, &named([])), Err(Unshared::LeavesItself));
    }

    #[test]
    fn who_only_reads_a_private_bucket_names_nobody() {
        let reading = named([(ME, true), (OTHER, false)]);
        assert_eq!(may_name(&ME, (true, true), &reading, &reading), Err(Unshared::NotNamed));
        assert_eq!(may_name(&ME, (true, true), &named([(OTHER, false)]), &reading), Err(Unshared::NotNamed));
    }
}
