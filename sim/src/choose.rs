//! Every decision of the world is asked of a [`Choose`].

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Whoever decides.
pub trait Choose {
    /// A number below `n`; 0 if `n` is 0.
    fn below(&mut self, n: usize) -> usize;

    /// An index, the likelier the higher its weight; never one of weight 0 unless all are.
    fn weigh(&mut self, weights: &[u32]) -> usize {
        let total: usize = weights.iter().map(|weight| *weight as usize).sum();
        let mut at = self.below(total);
        for (index, weight) in weights.iter().enumerate() {
            match at.checked_sub(*weight as usize) {
                Some(rest) => at = rest,
                None => return index,
            }
        }
        0
    }

    /// Whether there is nothing left to decide from.
    fn is_spent(&self) -> bool {
        false
    }
}

/// From a seed: the same on every machine.
#[derive(Debug)]
pub struct Seeded(ChaCha8Rng);

impl Seeded {
    /// The decisions of one seed.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }
}

impl Choose for Seeded {
    fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { self.0.random_range(0..n) }
    }
}

/// From the bytes that a fuzzer makes up.
#[derive(Debug)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// Decides by these bytes, one for each decision.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl Choose for Bytes<'_> {
    fn below(&mut self, n: usize) -> usize {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*byte).checked_rem(n).unwrap_or(0)
    }

    fn is_spent(&self) -> bool {
        self.0.is_empty()
    }
}

/// Every possibility, one run after the other.
#[derive(Debug, Default)]
pub struct Exhaustive {
    /// What was decided, and among how many.
    decided: Vec<(usize, usize)>,
    at: usize,
    started: bool,
}

impl Exhaustive {
    /// Goes on to the next run; `false` if all have been.
    pub fn advance(&mut self) -> bool {
        if !self.started {
            self.started = true;
            return true;
        }
        self.decided.truncate(self.at);
        self.at = 0;
        while let Some((choice, of)) = self.decided.pop() {
            if choice + 1 < of {
                self.decided.push((choice + 1, of));
                return true;
            }
        }
        false
    }
}

impl Choose for Exhaustive {
    fn below(&mut self, n: usize) -> usize {
        if n < 2 {
            return 0;
        }
        if self.at == self.decided.len() {
            self.decided.push((0, n));
        }
        let choice = self.decided.get(self.at).map_or(0, |(choice, _)| *choice);
        self.at += 1;
        choice
    }

    fn weigh(&mut self, weights: &[u32]) -> usize {
        // How likely something is does not matter where everything is tried.
        let possible: Vec<usize> =
            weights.iter().enumerate().filter(|(_, weight)| **weight > 0).map(|(index, _)| index).collect();
        let at = self.below(possible.len());
        possible.get(at).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
