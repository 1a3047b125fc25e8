//! What members' machines ask each other when they hand on papers by themselves: of which pool, and what the one who
//! asks has of it. The papers go along, or come back, as they lie.

use freehold_wire::Digest;

use crate::Papers;

/// What such a question begins with; nothing else that is asked does.
const BEGINS: &[u8; 16] = b"fh-pool-papers-1";
const ID: usize = 32;

/// A question, which the papers of whoever asks may come with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handing {
    /// The pool, by its draft.
    pub pool: Digest,
    /// The papers that whoever asks has.
    pub has: Digest,
}

impl Handing {
    /// About papers.
    pub fn of(papers: &Papers) -> Self {
        Self { pool: papers.draft().id(), has: papers.digest() }
    }

    /// The bytes.
    pub fn to_bytes(self) -> Vec<u8> {
        [&BEGINS[..], self.pool.as_bytes(), self.has.as_bytes()].concat()
    }

    /// Reads a question; none if it is another sort of question.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(BEGINS)?;
        let (pool, has) = rest.split_at_checked(ID)?;
        let id = |bytes: &[u8]| <[u8; ID]>::try_from(bytes).ok().map(Digest::from_bytes);
        Some(Self { pool: id(pool)?, has: id(has)? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_no_question_or_read_as_they_would_be_written(
            bytes in prop::collection::vec(any::<u8>(), 0..80), begins: bool
        ) {
            let bytes = if begins { [&BEGINS[..], &bytes].concat() } else { bytes };
            if let Some(asked) = Handing::from_bytes(&bytes) {
                prop_assert_eq!(asked.to_bytes(), bytes);
            } else {
                prop_assert!(!begins || bytes.len() != BEGINS.len() + 2 * ID);
            }
        }

        #[test]
        fn a_question_comes_back_as_it_was(pool: [u8; ID], has: [u8; ID]) {
            let asked = Handing { pool: Digest::from_bytes(pool), has: Digest::from_bytes(has) };
            prop_assert_eq!(Handing::from_bytes(&asked.to_bytes()), Some(asked));
        }
    }
}
