//! One bit for each number of a sequence, counted from 1.

use freehold_crypt::hash;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bits(Vec<u8>);

impl Bits {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn get(&self, seq: u64) -> bool {
        let Some((byte, mask)) = place(seq) else { return false };
        self.0.get(byte).is_some_and(|byte| byte & mask != 0)
    }

    /// Sets a bit; whether that changed it.
    pub(crate) fn set(&mut self, seq: u64, to: bool) -> bool {
        let Some((at, mask)) = place(seq) else { return false };
        if self.get(seq) == to {
            return false;
        }
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        if let Some(byte) = self.0.get_mut(at) {
            *byte ^= mask;
        }
        // One spelling for one set, so that sums can be compared.
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        true
    }

    /// Tells two sets apart.
    pub(crate) fn sum(&self) -> u64 {
        let digest = hash::digest("freehold 2026 held entries", &self.0);
        digest.first_chunk().copied().map_or(0, u64::from_be_bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same without what lies beyond a number.
    #[must_use]
    pub(crate) fn up_to(mut self, last: u64) -> Self {
        let whole = usize::try_from(last.div_ceil(8)).unwrap_or(usize::MAX);
        self.0.truncate(whole);
        for seq in last.saturating_add(1)..=last.saturating_add(7) {
            self.set(seq, false);
        }
        Self::from_bytes(self.0)
    }

    pub(crate) fn from_bytes(mut bytes: Vec<u8>) -> Self {
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        Self(bytes)
    }
}

fn place(seq: u64) -> Option<(usize, u8)> {
    let index = seq.checked_sub(1)?;
    Some((usize::try_from(index / 8).ok()?, 1 << (index % 8)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_leaves_no_trace_in_the_sum() {
        let mut long = Bits::new();
        long.set(3, true);
        let short = long.clone();
        long.set(40, true);
        for last in [3, 8, 9, 16, 24, 39] {
            assert_eq!(long.clone().up_to(last).sum(), short.sum(), "{last}");
        }
        assert_eq!(long.clone().up_to(2), Bits::new());
    }
}
