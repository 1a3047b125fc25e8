//! Repeatable randomness for the tests of every module here.

use crate::{Entropy, hash};

/// Random bytes that follow from a seed.
pub(crate) struct Seeded(pub(crate) u64, u64);

impl Seeded {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed, 0)
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for block in out.chunks_mut(32) {
            let input = [self.0.to_be_bytes(), self.1.to_be_bytes()].concat();
            block.copy_from_slice(&hash::digest("freehold 2026 test entropy", &input)[..block.len()]);
            self.1 += 1;
        }
    }
}

/// Gives out bytes that a standard's vector prescribes.
pub(crate) struct Prescribed(pub(crate) Vec<u8>);

impl Entropy for Prescribed {
    fn fill(&mut self, out: &mut [u8]) {
        out.copy_from_slice(&self.0.drain(..out.len()).collect::<Vec<_>>());
    }
}

pub(crate) fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    hex::decode(hex).unwrap().try_into().unwrap()
}
