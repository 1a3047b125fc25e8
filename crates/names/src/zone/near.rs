//! Tells most names that are not ours at once, by their last two labels: bits for those that any name
//! of ours ends in. What passes here is looked up properly.

use crate::domain::Domain;
use crate::suffix::{Mixer, Suffixes};

const WORDS: usize = 64;

#[derive(Debug, Clone)]
pub(super) struct Near {
    mixer: Mixer,
    bits: [u64; WORDS],
    /// Something of ours covers every name.
    all: bool,
}

impl Default for Near {
    fn default() -> Self {
        // Who makes names pass here makes them slower, and nothing else: no seed is needed.
        Self { mixer: Mixer::new(&[0; 16]), bits: [0; WORDS], all: false }
    }
}

impl Near {
    /// The name, and all below it, are to pass.
    pub(super) fn add(&mut self, name: &Domain) {
        let suffixes = Suffixes::with(name.as_wire(), self.mixer);
        match suffixes.hashes() {
            [] => self.all = true,
            [one] | [_, one, ..] => {
                let (word, bit) = place(*one);
                if let Some(word) = self.bits.get_mut(word) {
                    *word |= bit;
                }
            }
        }
    }

    /// Whether a name in lower case may be ours.
    pub(super) fn may_have(&self, name: &[u8]) -> bool {
        let has = |number: u64| {
            let (word, bit) = place(number);
            self.bits.get(word).is_some_and(|word| word & bit != 0)
        };
        let (top, second) = last_labels(name);
        let first = self.mixer.label(0, top);
        self.all || has(first) || has(self.mixer.label(first, second))
    }
}

fn place(number: u64) -> (usize, u64) {
    let word = usize::try_from(number >> 32).unwrap_or(0) % WORDS;
    (word, 1 << (number & 63))
}

/// The last label and the one before it; empty where there is none.
fn last_labels(name: &[u8]) -> (&[u8], &[u8]) {
    let (mut top, mut second): (&[u8], &[u8]) = (&[], &[]);
    let mut rest = name;
    while let Some((len, more)) = rest.split_first() {
        let Some((label, more)) = more.split_at_checked(usize::from(*len)).filter(|_| *len > 0) else {
            break;
        };
        (second, top, rest) = (top, label, more);
    }
    (top, second)
}
