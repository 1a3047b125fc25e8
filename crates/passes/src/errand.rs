//! What a realm's machine asks of one that keeps something for it under a grant: objects by names that say nothing, and
//! how the grant stands. Each errand comes with a body, and so does its answer; either may be empty.

use freehold_wire::{BlobName, Bounded, DecodeError, GrantId, Millis, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use crate::storage::{Phase, Refusal};

/// The longest errand, in bytes.
const ERRAND_MAX: usize = 256;
/// The longest answer, in bytes.
const OUTCOME_MAX: usize = 64 << 10;
/// The longest body, in bytes: the pieces of a large object, sealed.
pub const BODY_MAX: usize = 9 << 20;
/// The most objects that are listed at once.
pub const LISTED_MAX: usize = 512;

/// An errand under a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Errand {
    /// The grant.
    #[n(0)]
    pub grant: GrantId,
    /// What is to be done.
    #[n(1)]
    pub what: What,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum What {
    /// Says how it stands.
    #[n(0)]
    About,
    /// Stores the body, in the place of what has that name.
    #[n(1)]
    Put(#[n(0)] BlobName),
    /// Adds the body to what is being sent under a name of its own, where so many bytes are there already.
    #[n(2)]
    Part(#[n(0)] BlobName, #[n(1)] u64),
    /// What was sent in parts is whole: which, as what, how long.
    #[n(3)]
    Finish(#[n(0)] BlobName, #[n(1)] BlobName, #[n(2)] u64),
    /// What was sent in parts is not wanted.
    #[n(4)]
    Abort(#[n(0)] BlobName),
    /// Gives bytes out, from and to.
    #[n(5)]
    Get(#[n(0)] BlobName, #[n(1)] u64, #[n(2)] u64),
    /// Removes an object.
    #[n(6)]
    Remove(#[n(0)] BlobName),
    /// Lists what lies there, from behind a name on.
    #[n(7)]
    List(#[n(0)] BlobName),
}

/// What is said to an errand.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// How it stands.
    #[n(0)]
    About(#[n(0)] About),
    /// Done, and it will outlast a power cut.
    #[n(1)]
    Done,
    /// The bytes are in the body.
    #[n(2)]
    Found(#[n(0)] Object),
    /// Nothing has that name.
    #[n(3)]
    Missing,
    /// What lies there; as many as fit if there are more.
    #[n(4)]
    Listed(#[n(0)] Bounded<Object, LISTED_MAX>),
    /// Not done.
    #[n(5)]
    Refused(#[n(0)] Refusal),
}

/// An object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Object {
    /// Its name.
    #[n(0)]
    pub name: BlobName,
    /// How long it is, in bytes.
    #[n(1)]
    pub len: u64,
    /// When it was stored.
    #[n(2)]
    pub modified: Millis,
}

/// How it stands with what one machine keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct About {
    /// How the grant stands.
    #[n(0)]
    pub phase: Phase,
    /// Bytes that lie there.
    #[n(1)]
    pub kept: u64,
    /// Bytes that may lie there.
    #[n(2)]
    pub room: u64,
    /// Objects that lie there.
    #[n(3)]
    pub objects: u64,
    /// Bytes given out this month.
    #[n(4)]
    pub sent: u64,
    /// Bytes that may be given out in a month.
    #[n(5)]
    pub egress: u64,
}

impl Errand {
    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Reads an errand.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the one encoding of one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, ERRAND_MAX)
    }
}

impl Outcome {
    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the one encoding of one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, OUTCOME_MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn errands_and_answers_come_back_as_they_were() {
        let (name, grant) = (BlobName::from_bytes([1; 32]), GrantId::from_bytes([2; 32]));
        for what in [
            What::About,
            What::Put(name),
            What::Part(name, u64::MAX),
            What::Finish(name, name, u64::MAX),
            What::Abort(name),
            What::Get(name, 0, u64::MAX),
            What::Remove(name),
            What::List(name),
        ] {
            let errand = Errand { grant, what };
            assert_eq!(Errand::from_bytes(&errand.to_bytes()), Ok(errand));
        }
        let object = Object { name, len: u64::MAX, modified: Millis(u64::MAX) };
        let phase = Phase::WindingDown(Millis(u64::MAX));
        let about = About { phase, kept: 1, room: u64::MAX, objects: 3, sent: 4, egress: u64::MAX };
        for told in [
            Outcome::About(about),
            Outcome::Done,
            Outcome::Found(object),
            Outcome::Missing,
            Outcome::Listed(Bounded::fill(&mut std::iter::repeat_n(object, LISTED_MAX))),
            Outcome::Refused(Refusal::Full),
        ] {
            assert_eq!(Outcome::from_bytes(&told.to_bytes()).unwrap(), told);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read_as_they_would_be_written(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(errand) = Errand::from_bytes(&bytes) {
                prop_assert_eq!(errand.to_bytes(), bytes.clone());
            }
            if let Ok(told) = Outcome::from_bytes(&bytes) {
                prop_assert_eq!(told.to_bytes(), bytes);
            }
        }
    }
}
