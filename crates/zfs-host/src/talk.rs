//! What a source asks of a target. There is no word that removes a snapshot, changes a dataset, or names one by a path: a
//! backup, a target and a dataset of the declaration are named, and the target works out by its own copy where that lies.

use freehold_wire::{DecodeError, Digest, from_canonical, to_canonical};
use freehold_zfs::Shown;
use minicbor::{Decode, Encode};

/// The longest question or answer, in bytes.
const WORDS_MAX: usize = 4 << 10;
/// The longest body, in bytes.
pub const BODY_MAX: usize = 8 << 20;

/// A backup at a target, by the declaration that the source has.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Pair {
    /// Of the declaration: both ends must have the same.
    #[n(0)]
    pub declaration: Digest,
    /// The backup's name.
    #[n(1)]
    pub backup: String,
    /// The target's.
    #[n(2)]
    pub target: String,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Ask {
    /// What there is.
    #[n(0)]
    Look(#[n(0)] Pair),
    /// A stream begins: of this dataset of the source, for a snapshot with this guid.
    #[n(1)]
    Begin(#[n(0)] Pair, #[n(1)] String, #[n(2)] u64),
    /// A part of it is in the body: of which stream, and the how manieth.
    #[n(2)]
    Part(#[n(0)] u64, #[n(1)] u64),
    /// It was the last.
    #[n(3)]
    End(#[n(0)] u64),
    /// What came in part of this dataset cannot be gone on with.
    #[n(4)]
    Abandon(#[n(0)] Pair, #[n(1)] String),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// What there is, in the body.
    #[n(0)]
    Shown,
    /// The stream has this number.
    #[n(1)]
    Ready(#[n(0)] u64),
    /// Done.
    #[n(2)]
    Done,
    /// The declarations are not the same.
    #[n(4)]
    Differs,
    /// Not done, and why.
    #[n(5)]
    Refused(#[n(0)] String),
}

impl Ask {
    /// As it goes over the mesh.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Reads one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, WORDS_MAX)
    }
}

impl Answer {
    /// As it goes over the mesh.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Reads one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, WORDS_MAX)
    }
}

/// What there is, in a body.
pub(crate) fn shown_to_bytes(shown: &Shown) -> Vec<u8> {
    to_canonical(shown)
}

pub(crate) fn shown_from_bytes(bytes: &[u8]) -> Result<Shown, DecodeError> {
    from_canonical(bytes, BODY_MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair() -> impl Strategy<Value = Pair> {
        (any::<[u8; 32]>(), ".{0,40}", ".{0,40}").prop_map(|(declaration, backup, target)| Pair {
            declaration: Digest::from_bytes(declaration),
            backup,
            target,
        })
    }

    fn ask() -> impl Strategy<Value = Ask> {
        prop_oneof![
            pair().prop_map(Ask::Look),
            (pair(), ".{0,80}", any::<u64>()).prop_map(|(pair, name, guid)| Ask::Begin(pair, name, guid)),
            any::<(u64, u64)>().prop_map(|(number, part)| Ask::Part(number, part)),
            any::<u64>().prop_map(Ask::End),
            (pair(), ".{0,80}").prop_map(|(pair, name)| Ask::Abandon(pair, name)),
        ]
    }

    fn answer() -> impl Strategy<Value = Answer> {
        prop_oneof![
            Just(Answer::Shown),
            any::<u64>().prop_map(Answer::Ready),
            Just(Answer::Done),
            Just(Answer::Differs),
            ".{0,200}".prop_map(Answer::Refused),
        ]
    }

    proptest! {
        #[test]
        fn what_is_asked_and_answered_comes_back_and_in_one_form_alone(ask in ask(), answer in answer(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let (asked, answered) = (ask.to_bytes(), answer.to_bytes());
            prop_assert_eq!(Ask::from_bytes(&asked), Ok(ask));
            prop_assert_eq!(Answer::from_bytes(&answered), Ok(answer));
            // What was changed on its way is another thing or none, and never the same one in other bytes.
            let mut changed = asked.clone();
            if let Some(byte) = changed.get_mut(at.index(asked.len())) {
                *byte ^= 1 << bit;
            }
            if let Ok(other) = Ask::from_bytes(&changed) {
                prop_assert_eq!(other.to_bytes(), changed);
            }
        }

        #[test]
        fn junk_is_refused_or_read_and_nothing_else(junk in prop::collection::vec(any::<u8>(), 0..300)) {
            for known in [
                Ask::from_bytes(&junk).map(|ask| ask.to_bytes()),
                Answer::from_bytes(&junk).map(|answer| answer.to_bytes()),
                shown_from_bytes(&junk).map(|shown| shown_to_bytes(&shown)),
            ].into_iter().flatten() {
                prop_assert_eq!(&known, &junk);
            }
        }
    }

    #[test]
    fn what_is_too_long_is_not_read() {
        let ask = Ask::End(7).to_bytes();
        assert!(Ask::from_bytes(&[ask.as_slice(), &[0; WORDS_MAX]].concat()).is_err());
    }
}
