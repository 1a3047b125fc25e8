//! Lengths of what lies on the foreign store: few, so that they say little of what is inside.

/// The smallest.
const SMALLEST: u64 = 16 << 10;
/// No pack of several blobs is longer, before it is sealed.
pub(crate) const LARGEST: u64 = 8 << 20;

/// Up to here lengths are powers of two.
const DOUBLING: u64 = 1 << 20;

/// The length to which so many bytes are filled up. Up to 1 MiB it is a power of two; above that
/// Padmé (Nikitin et al., PETS 2019): at most 3 % more, and of lengths of one magnitude only as
/// many as that magnitude has binary digits.
pub(crate) fn padded(len: u64) -> u64 {
    if len <= DOUBLING {
        return len.max(SMALLEST).next_power_of_two();
    }
    let magnitude = u64::from(len.ilog2());
    let kept = u64::from(magnitude.ilog2()) + 1;
    let mask = (1u64 << magnitude.saturating_sub(kept)) - 1;
    len.saturating_add(mask) & !mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_few_and_cost_little() {
        assert_eq!([0, 1, 16 << 10].map(padded), [16 << 10; 3]);
        assert_eq!(padded((16 << 10) + 1), 32 << 10);
        assert_eq!([DOUBLING, LARGEST].map(padded), [DOUBLING, LARGEST]);
        for len in [
            DOUBLING + 1,
            DOUBLING + 500,
            LARGEST + 1,
            10_000_000,
            64 << 20,
            (64 << 20) + 1,
            5_000_000_000,
            80 << 30,
        ] {
            let padded = padded(len);
            assert!(padded >= len && padded - len <= len / 32, "{len} became {padded}");
        }
        let mut seen = std::collections::BTreeSet::new();
        for len in ((64u64 << 20)..(128 << 20)).step_by(4096) {
            seen.insert(padded(len));
        }
        assert!(seen.len() <= 33, "{} lengths", seen.len());
    }
}
