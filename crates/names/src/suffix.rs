//! A name's suffixes as numbers, worked out in one pass from the right, so that sets of names can be
//! asked without comparing text. The numbers are keyed: who does not know the seed can neither make
//! two names meet nor fill one bucket.

use std::fmt;

use crate::domain::{NAME_MAX, wire_len};

/// The most labels that a name can have.
const LABELS_MAX: usize = 127;
/// Suffixes of more labels than this have no number: nobody says anything of names that deep.
pub(crate) const DEPTH_MAX: usize = 32;
/// Eight bytes can be read from every place of a name.
const ROOM: usize = NAME_MAX + 9;

/// The key of the numbers, drawn at every start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mixer {
    start: u64,
    factor: u64,
}

impl Mixer {
    pub(crate) fn new(seed: &[u8; 16]) -> Self {
        let wide = u128::from_le_bytes(*seed);
        let (start, factor) = halves(wide);
        // A factor of few bits would mix little.
        Self { start, factor: fold(factor ^ 0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93) | 1 }
    }

    /// One more word behind what was mixed.
    pub(crate) fn mix(self, state: u64, word: u64) -> u64 {
        fold(state ^ word ^ self.start, self.factor)
    }

    /// A label before those that were mixed; the label is in lower case.
    pub(crate) fn label(self, state: u64, label: &[u8]) -> u64 {
        let mut lower = [0; ROOM];
        let len = u8::try_from(label.len()).unwrap_or(0);
        let room = lower.split_first_mut().and_then(|(first, rest)| {
            *first = len;
            rest.get_mut(..label.len())
        });
        if let Some(room) = room {
            room.copy_from_slice(label);
        }
        mix_label(self, state, &lower, 0)
    }

    /// A number for a whole name, in any case; quicker than those of all its suffixes.
    pub(crate) fn name(self, name: &[u8]) -> u64 {
        let mut lower = [0; ROOM];
        let Some(room) = lower.get_mut(..name.len()) else { return 0 };
        room.copy_from_slice(name);
        room.make_ascii_lowercase();
        let words = lower.get(..name.len().next_multiple_of(8)).unwrap_or(&[]).as_chunks::<8>().0;
        words.iter().fold(0, |state, word| self.mix(state, u64::from_le_bytes(*word)))
    }
}

/// Both halves of a product, over each other.
fn fold(one: u64, other: u64) -> u64 {
    let (low, high) = halves(u128::from(one) * u128::from(other));
    low ^ high.rotate_left(23)
}

fn halves(wide: u128) -> (u64, u64) {
    let low = u64::try_from(wide & u128::from(u64::MAX)).unwrap_or(0);
    (low, u64::try_from(wide >> 64).unwrap_or(0))
}

/// A name in lower case with a number for each suffix.
#[derive(Clone)]
pub struct Suffixes {
    lower: [u8; ROOM],
    len: usize,
    hashes: [u64; DEPTH_MAX],
    depth: usize,
}

impl Suffixes {
    /// Of a name as it stands in a message, in any case. What is no name counts as the root.
    pub fn of(name: &[u8], seed: &[u8; 16]) -> Self {
        Self::with(name, Mixer::new(seed))
    }

    pub(crate) fn with(name: &[u8], mixer: Mixer) -> Self {
        let mut found = Self { lower: [0; ROOM], len: 1, hashes: [0; DEPTH_MAX], depth: 0 };
        let name = wire_len(name).and_then(|len| name.get(..len)).unwrap_or(&[0]);
        found.len = name.len();
        if let Some(room) = found.lower.get_mut(..name.len()) {
            room.copy_from_slice(name);
            // Lengths are below every letter.
            room.make_ascii_lowercase();
        }
        let mut starts = [0u8; LABELS_MAX];
        let mut at = 0u8;
        for start in &mut starts {
            let len = found.lower.get(usize::from(at)).copied().unwrap_or(0);
            if len == 0 {
                break;
            }
            *start = at;
            found.depth += 1;
            at = at.saturating_add(len).saturating_add(1);
        }
        let mut state = 0;
        let from_the_right = starts.get(..found.depth).unwrap_or(&[]).iter().rev();
        for (hash, start) in found.hashes.iter_mut().zip(from_the_right) {
            state = mix_label(mixer, state, &found.lower, usize::from(*start));
            *hash = state;
        }
        found
    }

    /// The name, in lower case, as in a message.
    pub fn name(&self) -> &[u8] {
        self.lower.get(..self.len).unwrap_or(&[0])
    }

    /// How many labels the name has.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// A number for each suffix of up to 32 labels, the shortest first; the root has none.
    pub fn hashes(&self) -> &[u64] {
        self.hashes.get(..self.depth.min(DEPTH_MAX)).unwrap_or(&[])
    }

    /// The number of the whole name; none for the root, and for one of more than 32 labels.
    pub fn whole(&self) -> Option<u64> {
        if self.depth > DEPTH_MAX { None } else { self.hashes().last().copied() }
    }
}

impl fmt::Debug for Suffixes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suffixes").field("depth", &self.depth).finish_non_exhaustive()
    }
}

/// Mixes the label that begins with its length at `start`.
fn mix_label(mixer: Mixer, mut state: u64, lower: &[u8; ROOM], start: usize) -> u64 {
    let len = lower.get(start).copied().map_or(0, usize::from);
    state = mixer.mix(state, u64::try_from(len).unwrap_or(0));
    let mut at = start + 1;
    let mut left = len;
    while left > 0 {
        let word = lower
            .get(at..at + 8)
            .and_then(|word| <[u8; 8]>::try_from(word).ok())
            .map_or(0, u64::from_le_bytes);
        let word = if left < 8 { word & (u64::MAX >> (64 - 8 * left)) } else { word };
        state = mixer.mix(state, word);
        at += 8;
        left = left.saturating_sub(8);
    }
    state
}
