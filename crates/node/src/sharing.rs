//! Who holds a bucket's key: what the nodes said of it, and whose word counts. Pure, so that the same
//! words give the same holders on every node, in any order of arrival.

use std::cmp::Ordering;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use freehold_seal::{DOCUMENT_MAX, Holder, HolderRow, Holders, Right};
use freehold_vault::{Word, Writers};
use freehold_wire::{Bounded, NodeId, TooLong, from_canonical};

/// Whose word counts before any other was heard.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Root<'a> {
    /// Of an ordinary bucket that of every node that holds, or once held, the realm's secrets, and
    /// nobody else's: who was given one key is not to give it on.
    Keepers(&'a BTreeSet<NodeId>),
    /// Of a private bucket that of whoever made it, and then of those that may write in it.
    Founders(&'a BTreeSet<NodeId>),
}

/// What holds of one holder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    turn: u32,
    right: Right,
    /// Of nodes that do not write any more, what counts.
    last: BTreeMap<NodeId, u64>,
}

impl Row {
    /// Of what two nodes said, what holds. If they took it away at once, what either had seen counts.
    fn join(&mut self, other: Self) {
        match (other.turn, other.right).cmp(&(self.turn, self.right)) {
            Ordering::Less => {}
            Ordering::Greater => *self = other,
            Ordering::Equal => {
                for (node, last) in other.last {
                    let there = self.last.entry(node).or_default();
                    *there = last.max(*there);
                }
            }
        }
    }
}

/// What holds of a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Held {
    rows: BTreeMap<Holder, Row>,
    /// The nodes whose word counts.
    pub(crate) authors: BTreeSet<NodeId>,
    /// The generation of the latest key that such a word is sealed with; 0 if there is none.
    pub(crate) generation: u16,
    /// Of them, those whose word cannot be read here.
    pub(crate) unreadable: BTreeSet<NodeId>,
}

impl Held {
    /// Adds up what was said. `nodes_of` tells the nodes of a holder, those among them that are gone
    /// too: what they said before counts.
    ///
    /// A private bucket's holders are believed one after the other, from whoever made it on: next is
    /// always the one whose word is the latest of those that may write by what is believed so far.
    /// Who was taken away by one of them says nothing any more. A word under a later key is later, so
    /// that somebody who has lost the bucket's key cannot date theirs back.
    pub(crate) fn of(words: &[Word], root: Root<'_>, nodes_of: impl Fn(&Holder) -> Vec<NodeId>) -> Self {
        let mut held = Self::default();
        match root {
            Root::Keepers(keepers) => {
                for word in words.iter().filter(|word| keepers.contains(&word.stamp.origin)) {
                    held.hear(word);
                }
            }
            Root::Founders(founders) => {
                // Who made it cannot be told any more: then it is who spoke first.
                let first = words.iter().min_by_key(|word| (word.generation, word.stamp));
                let first = first.filter(|_| founders.is_empty()).map(|word| word.stamp.origin);
                for founder in founders.iter().copied().chain(first) {
                    let row = Row { turn: 0, right: Right::Writes, last: BTreeMap::new() };
                    held.rows.insert(Holder::Node(founder), row);
                }
                while let Some(next) = held.next(words, &nodes_of) {
                    held.hear(next);
                }
            }
        }
        held
    }

    fn next<'a>(&self, words: &'a [Word], nodes_of: impl Fn(&Holder) -> Vec<NodeId>) -> Option<&'a Word> {
        let writing = self.rows.iter().filter(|(_, row)| row.right == Right::Writes);
        let writing: BTreeSet<NodeId> = writing.flat_map(|(holder, _)| nodes_of(holder)).collect();
        let may = |word: &&Word| {
            let origin = word.stamp.origin;
            writing.contains(&origin) && !self.authors.contains(&origin)
        };
        words.iter().filter(may).max_by_key(|word| (word.generation, word.stamp))
    }

    fn hear(&mut self, word: &Word) {
        let origin = word.stamp.origin;
        self.authors.insert(origin);
        let Some(document) = &word.document else { return };
        let Ok(said) = from_canonical::<Holders>(document, DOCUMENT_MAX) else {
            self.unreadable.insert(origin);
            return;
        };
        self.generation = self.generation.max(word.generation);
        for row in &said {
            let last = row.last.iter().copied().collect();
            let said = Row { turn: row.turn, right: row.right, last };
            match self.rows.entry(row.holder) {
                Entry::Vacant(vacant) => drop(vacant.insert(said)),
                Entry::Occupied(there) => there.into_mut().join(said),
            }
        }
    }

    /// Whose entries count, beside those of nodes that write by their role.
    pub(crate) fn writers(
        &self,
        of_role: &BTreeSet<NodeId>,
        nodes_of: impl Fn(&Holder) -> Vec<NodeId>,
    ) -> Writers {
        let mut writers = Writers { all: of_role.clone(), until: BTreeMap::new() };
        for (holder, row) in &self.rows {
            if row.right == Right::Writes {
                writers.all.extend(nodes_of(holder));
            }
            for (node, last) in &row.last {
                let there = writers.until.entry(*node).or_default();
                *there = (*last).max(*there);
            }
        }
        writers
    }

    /// Whether somebody was taken away to whom a node belongs.
    pub(crate) fn has_lost(&self, node: &NodeId, nodes_of: impl Fn(&Holder) -> Vec<NodeId>) -> bool {
        let gone = self.rows.iter().filter(|(_, row)| row.right == Right::Gone);
        gone.flat_map(|(holder, _)| nodes_of(holder)).any(|of| of == *node)
    }

    /// Each holder, and whether it only reads.
    pub(crate) fn holders(&self) -> impl Iterator<Item = (&Holder, bool)> {
        let there = self.rows.iter().filter(|(_, row)| row.right != Right::Gone);
        there.map(|(holder, row)| (holder, row.right == Right::Reads))
    }

    /// Whether anybody said anything that counts.
    pub(crate) const fn is_said(&self) -> bool {
        self.generation > 0
    }

    /// The same with another right of one holder, of whose nodes this much was heard of. If it writes no
    /// more, that is what counts.
    pub(crate) fn with(&self, holder: Holder, right: Right, heard: &BTreeMap<NodeId, u64>) -> Self {
        let mut then = self.clone();
        let before = self.rows.get(&holder);
        let turn = before.map_or(0, |row| row.turn).saturating_add(1);
        let last = match before {
            _ if right == Right::Writes => BTreeMap::new(),
            Some(row) if row.right == Right::Writes => heard.clone(),
            Some(row) => row.last.clone(),
            None => BTreeMap::new(),
        };
        then.rows.insert(holder, Row { turn, right, last });
        then
    }

    /// What a node says that knows all of it.
    ///
    /// # Errors
    /// [`TooLong`] if there are too many.
    pub(crate) fn document(&self) -> Result<Holders, TooLong> {
        let row = |(holder, row): (&Holder, &Row)| {
            let last = row.last.iter().filter(|(_, last)| **last > 0).map(|(node, last)| (*node, *last));
            let last = Bounded::from_vec(last.collect())?;
            Ok(HolderRow { holder: *holder, turn: row.turn, right: row.right, last })
        };
        Bounded::from_vec(self.rows.iter().map(row).collect::<Result<_, _>>()?)
    }
}

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
    use std::sync::Arc;

    use freehold_vault::Stamp;
    use freehold_wire::{Hlc, Millis, to_canonical};

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

    type Rows<'a> = &'a [(u8, u32, Right)];

    fn node(n: u8) -> NodeId {
        NodeId::from_bytes([n; 32])
    }

    fn nodes<const N: usize>(all: [u8; N]) -> BTreeSet<NodeId> {
        all.map(node).into()
    }

    fn word(origin: u8, generation: u16, wall: u64, rows: Rows<'_>) -> Word {
        let rows = rows.iter().map(|(holder, turn, right)| HolderRow {
            holder: Holder::Node(node(*holder)),
            turn: *turn,
            right: *right,
            last: Bounded::new(),
        });
        let rows: Holders = Bounded::from_vec(rows.collect()).unwrap();
        let stamp = Stamp { hlc: Hlc { wall: Millis(wall), count: 0 }, origin: node(origin), seq: wall };
        Word { generation, stamp, document: Some(to_canonical(&rows).into()) }
    }

    fn own(holder: &Holder) -> Vec<NodeId> {
        match holder {
            Holder::Node(node) => vec![*node],
            Holder::Person(_) => Vec::new(),
        }
    }

    /// Whoever holds it, and whether they only read; the same in any order.
    fn holding(words: &[Word], root: Root<'_>) -> BTreeMap<u8, bool> {
        let held = Held::of(words, root, own);
        let reversed: Vec<Word> = words.iter().rev().cloned().collect();
        assert_eq!(held, Held::of(&reversed, root, own));
        held.holders()
            .flat_map(|(holder, only)| own(holder).into_iter().map(move |n| (n.as_bytes()[0], only)))
            .collect()
    }

    use Right::{Gone, Reads, Writes};

    #[test]
    fn of_an_ordinary_bucket_keepers_alone_are_believed() {
        let keepers = nodes([1, 2]);
        let root = Root::Keepers(&keepers);
        // Somebody it is shared with names a friend, and dates it late and under the newest key.
        let words = [word(1, 1, 10, &[(5, 1, Writes)]), word(5, 9, 99, &[(6, 1, Writes), (5, 9, Writes)])];
        assert_eq!(holding(&words, root), [(5, false)].into());
    }

    #[test]
    fn two_keepers_at_once_lose_nothing_and_removal_wins() {
        let keepers = nodes([1, 2]);
        let root = Root::Keepers(&keepers);
        let before = word(1, 1, 10, &[(5, 1, Writes)]);
        let other = word(2, 1, 30, &[(5, 1, Writes), (6, 1, Reads)]);
        assert_eq!(holding(&[before, other.clone()], root), [(5, false), (6, true)].into());
        // One takes a holder away while the other, who has not heard of it, adds one.
        let taken = word(1, 2, 20, &[(5, 2, Gone)]);
        assert_eq!(holding(&[taken.clone(), other], root), [(6, true)].into());
        // Of two in one turn too; given again, it is given.
        let at_once = word(2, 1, 40, &[(5, 2, Writes)]);
        assert_eq!(holding(&[taken.clone(), at_once], root), [].into());
        assert_eq!(holding(&[taken, word(2, 2, 50, &[(5, 3, Reads)])], root), [(5, true)].into());
    }

    #[test]
    fn of_a_private_bucket_nobody_is_believed_who_was_not_named() {
        let founder = nodes([1]);
        let root = Root::Founders(&founder);
        let made = word(1, 1, 10, &[(1, 1, Writes), (2, 1, Reads)]);
        for hostile in [2, 3] {
            for wall in [1, 99] {
                let takes = word(hostile, 9, wall, &[(hostile, 9, Writes), (1, 9, Gone)]);
                assert_eq!(holding(&[made.clone(), takes], root), [(1, false), (2, true)].into());
            }
        }
    }

    #[test]
    fn who_was_taken_away_says_nothing_any_more() {
        let founder = nodes([1]);
        let root = Root::Founders(&founder);
        let taken = word(1, 2, 50, &[(1, 1, Writes), (2, 2, Gone), (3, 1, Writes)]);
        for wall in [1, 20, 99] {
            let back = word(2, 1, wall, &[(1, 9, Gone), (2, 9, Writes)]);
            assert_eq!(holding(&[taken.clone(), back], root), [(1, false), (3, false)].into());
        }
        // By another than the maker, though the word is dated back: it is sealed with the old key.
        let made = word(1, 1, 10, &[(1, 1, Writes), (2, 1, Writes), (3, 1, Writes)]);
        let taken = word(3, 2, 50, &[(1, 1, Writes), (2, 2, Gone), (3, 1, Writes)]);
        let back = word(2, 1, 5, &[(3, 9, Gone), (2, 9, Writes)]);
        assert_eq!(holding(&[made, taken, back], root), [(1, false), (3, false)].into());
    }

    #[test]
    fn whom_somebody_named_who_was_named_is_believed() {
        let founder = nodes([1]);
        let root = Root::Founders(&founder);
        let words = [
            word(3, 1, 5, &[(4, 1, Reads)]),
            word(2, 1, 7, &[(3, 1, Writes)]),
            word(1, 1, 9, &[(1, 1, Writes), (2, 1, Writes)]),
        ];
        assert_eq!(holding(&words, root), [(1, false), (2, false), (3, false), (4, true)].into());
    }

    #[test]
    fn a_word_that_cannot_be_read_is_told_of_if_it_counts() {
        let keepers = nodes([1]);
        let odd = |origin| Word { document: Some(Arc::from(*b"?")), ..word(origin, 1, 1, &[]) };
        let held = Held::of(&[odd(1), odd(2)], Root::Keepers(&keepers), own);
        assert_eq!(held.unreadable, nodes([1]));
        assert!(!held.is_said());
    }

    #[test]
    fn a_change_is_one_turn_later_than_what_was_known() {
        let keepers = nodes([1]);
        let held = Held::of(&[word(1, 1, 1, &[(5, 3, Writes)])], Root::Keepers(&keepers), own);
        let none = BTreeMap::new();
        let then = held.with(Holder::Node(node(5)), Gone, &none).with(Holder::Node(node(6)), Reads, &none);
        let said = then.document().unwrap();
        let said: Vec<_> = said.iter().map(|row| (row.turn, row.right)).collect();
        assert_eq!(said, [(4, Gone), (1, Reads)]);
    }

    #[test]
    fn of_who_was_taken_away_that_counts_which_was_heard_before() {
        let keepers = nodes([1, 2]);
        let root = Root::Keepers(&keepers);
        let (who, heard) = (Holder::Node(node(5)), BTreeMap::from([(node(5), 7)]));
        let writers = |held: &Held| held.writers(&keepers, own);
        let shared = Held::of(&[word(1, 1, 1, &[(5, 1, Writes)])], root, own);
        assert!(writers(&shared).lets(&node(5), 99) && writers(&shared).lets(&node(2), 99));
        assert!(!writers(&shared).lets(&node(6), 1), "nobody named it");
        for right in [Gone, Reads] {
            let taken = shared.with(who, right, &heard);
            assert!(writers(&taken).lets(&node(5), 7) && !writers(&taken).lets(&node(5), 8));
            // What it wrote since does not come to count because it may read, or is taken away again.
            let later = taken.with(who, Reads, &[(node(5), 20)].into()).with(who, Gone, &heard);
            assert!(writers(&later).lets(&node(5), 7) && !writers(&later).lets(&node(5), 8));
            let back = taken.with(who, Writes, &heard);
            assert!(writers(&back).lets(&node(5), 99), "given again, it is given");
        }
        let reader = Held::default().with(who, Reads, &heard).with(who, Gone, &heard);
        assert!(!writers(&reader).lets(&node(5), 1), "it never was to write");
    }

    #[test]
    fn of_two_that_take_away_at_once_what_either_heard_counts() {
        let keepers = nodes([1, 2]);
        let shared = Held::of(&[word(1, 1, 1, &[(5, 1, Writes)])], Root::Keepers(&keepers), own);
        let said = |origin, last| {
            let taken = shared.with(Holder::Node(node(5)), Gone, &[(node(5), last)].into());
            let document = to_canonical(&taken.document().unwrap()).into();
            Word { document: Some(document), ..word(origin, 2, 9, &[]) }
        };
        let words = [said(1, 7), said(2, 9)];
        for words in [words.clone(), [words[1].clone(), words[0].clone()]] {
            let held = Held::of(&words, Root::Keepers(&keepers), own);
            assert!(held.has_lost(&node(5), own));
            let writers = held.writers(&keepers, own);
            assert!(writers.lets(&node(5), 9) && !writers.lets(&node(5), 10));
        }
    }
}
