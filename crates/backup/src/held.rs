//! What was read lately, within a bound: what was not asked for the longest goes first.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

/// Values by their keys, of so much weight together at most; a single one may weigh more.
pub(crate) struct Held<K, V> {
    most: u64,
    weight: u64,
    turn: u64,
    by: HashMap<K, (u64, u64, V)>,
    order: BTreeMap<u64, K>,
}

impl<K: Clone + Eq + Hash, V: Clone> Held<K, V> {
    pub(crate) fn new(most: u64) -> Self {
        Self { most, weight: 0, turn: 0, by: HashMap::new(), order: BTreeMap::new() }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        let (at, _, value) = self.by.get_mut(key)?;
        self.turn += 1;
        self.order.remove(at);
        *at = self.turn;
        self.order.insert(self.turn, key.clone());
        Some(value.clone())
    }

    pub(crate) fn put(&mut self, key: K, value: V, weight: u64) {
        self.remove(&key);
        self.turn += 1;
        self.weight += weight;
        self.order.insert(self.turn, key.clone());
        self.by.insert(key, (self.turn, weight, value));
        while self.weight > self.most && self.by.len() > 1 {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            self.forget(&oldest);
        }
    }

    pub(crate) fn remove(&mut self, key: &K) {
        if let Some(at) = self.forget(key) {
            self.order.remove(&at);
        }
    }

    fn forget(&mut self, key: &K) -> Option<u64> {
        let (at, weight, _) = self.by.remove(key)?;
        self.weight -= weight;
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longest_unused_goes_and_one_may_be_greater() {
        let mut held = Held::new(10);
        held.put("a", 1, 5);
        held.put("b", 2, 5);
        assert_eq!(held.get(&"a"), Some(1));
        held.put("c", 3, 5);
        assert_eq!((held.get(&"a"), held.get(&"b"), held.get(&"c")), (Some(1), None, Some(3)));
        held.put("d", 4, 50);
        assert_eq!((held.get(&"a"), held.get(&"d")), (None, Some(4)));
    }

    proptest! {
        #[test]
        fn it_never_weighs_more_than_it_may(puts in prop::collection::vec((0_u8..20, 0_u64..30), 0..200)) {
            let mut held = Held::new(60);
            for (key, weight) in puts {
                held.put(key, weight, weight);
                prop_assert_eq!(held.get(&key), Some(weight));
                prop_assert_eq!(held.by.len(), held.order.len());
                prop_assert_eq!(held.weight, held.by.values().map(|(_, weight, _)| weight).sum::<u64>());
                prop_assert!(held.weight <= 60);
            }
        }
    }
}
