//! What a machine asks of one that keeps its backups, in its own realm or, under a grant, in another one: the files of a
//! repository in restic's format, which may be listed, read and added. There is no word here that replaces or removes
//! anything: what a thief of the writing machine could say, nobody can.

use freehold_wire::{Bounded, DecodeError, Digest, GrantId, Millis, NodeId, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use crate::storage::{Phase, Refusal};

/// The longest errand, in bytes.
const ERRAND_MAX: usize = 256;
/// The longest answer, in bytes.
const OUTCOME_MAX: usize = 64 << 10;
/// The most files that are listed at once.
pub const FILES_MAX: usize = 512;
/// The most shelves that are told of.
pub const SHELVES_MAX: usize = 256;
/// No file on a shelf is longer: packs have 32 MiB at first and grow with the root of the whole.
pub const FILE_MAX: u64 = 512 << 20;
/// Nor is a file of which there are few: the config, and keys.
pub const SMALL_MAX: u64 = 64 << 10;
/// So many keys lie on a shelf at most: whoever opens a repository tries one after another, and each takes a second.
pub const KEYS_MAX: usize = 16;

/// What a file on a shelf is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Sort {
    /// Says what the repository is; there is one, and its name is all zeros.
    #[n(0)]
    Config,
    /// What the password opens.
    #[n(1)]
    Key,
    /// What there was at a time.
    #[n(2)]
    Snapshot,
    /// What lies in which pack.
    #[n(3)]
    Index,
    /// Content.
    #[n(4)]
    Pack,
    /// Beside the repository: what brings the realm back, sealed to its guardians.
    #[n(5)]
    Letter,
}

/// An errand at a shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct ShelfErrand {
    /// Under which grant; none between machines of one realm.
    #[n(0)]
    pub grant: Option<GrantId>,
    /// Whose shelf. Only its own machine adds to it.
    #[n(1)]
    pub of: NodeId,
    /// What is to be done.
    #[n(2)]
    pub what: ShelfWhat,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum ShelfWhat {
    /// Says how it stands.
    #[n(0)]
    About,
    /// Lists files of a sort by their names, from behind one on.
    #[n(1)]
    List(#[n(0)] Sort, #[n(1)] Option<Digest>),
    /// Gives bytes of a file out, from and to.
    #[n(2)]
    Read(#[n(0)] Sort, #[n(1)] Digest, #[n(2)] u64, #[n(3)] u64),
    /// Adds a file, or a part of one.
    #[n(3)]
    Add(#[n(0)] Part),
    /// Lists whose shelves there are.
    #[n(4)]
    Shelves,
}

/// A part of a file that is added: the body is its bytes from `at` on. With the last of them it is whole, and lies there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Part {
    /// What it is.
    #[n(0)]
    pub sort: Sort,
    /// Its name: the SHA-256 of the whole, but for the config.
    #[n(1)]
    pub name: Digest,
    /// Tells one attempt from others; drawn at random.
    #[n(2)]
    pub upload: u64,
    /// Where the body belongs.
    #[n(3)]
    pub at: u64,
    /// How long the whole is.
    #[n(4)]
    pub len: u64,
}

/// What is said to an errand.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ShelfOutcome {
    /// How it stands.
    #[n(0)]
    About(#[n(0)] ShelfAbout),
    /// Done; what is whole now will outlast a power cut.
    #[n(1)]
    Done,
    /// As many of the bytes as there are are in the body; how long the whole is.
    #[n(2)]
    Found(#[n(0)] u64),
    /// Nothing has that name.
    #[n(3)]
    Missing,
    /// What lies there; as many as fit if there are more.
    #[n(4)]
    Listed(#[n(0)] Bounded<ShelfFile, FILES_MAX>),
    /// Whose shelves there are.
    #[n(5)]
    Shelves(#[n(0)] Bounded<NodeId, SHELVES_MAX>),
    /// Not done.
    #[n(6)]
    Refused(#[n(0)] Refusal),
}

/// A file on a shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct ShelfFile {
    /// Its name.
    #[n(0)]
    pub name: Digest,
    /// How long it is, in bytes.
    #[n(1)]
    pub len: u64,
    /// When it was taken in, for a snapshot or a letter, by the keeper's clock.
    #[n(2)]
    pub received: Option<Millis>,
}

/// How a shelf stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct ShelfAbout {
    /// How the grant stands; open between machines of one realm.
    #[n(0)]
    pub phase: Phase,
    /// Bytes that lie there.
    #[n(1)]
    pub bytes: u64,
    /// Files that lie there.
    #[n(2)]
    pub files: u64,
    /// Bytes that may still come.
    #[n(3)]
    pub room: u64,
}

impl ShelfErrand {
    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Reads an errand.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the one encoding of one; so for an [`Errand`](crate::Errand).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, ERRAND_MAX)
    }
}

impl ShelfOutcome {
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
    use crate::{Errand, What};

    fn errands() -> Vec<ShelfErrand> {
        let (name, grant) = (Digest::from_bytes([1; 32]), GrantId::from_bytes([2; 32]));
        let of = NodeId::from_bytes([3; 32]);
        let part = Part { sort: Sort::Pack, name, upload: u64::MAX, at: 4, len: u64::MAX };
        let all = [
            ShelfWhat::About,
            ShelfWhat::List(Sort::Config, None),
            ShelfWhat::List(Sort::Letter, Some(name)),
            ShelfWhat::Read(Sort::Key, name, 0, u64::MAX),
            ShelfWhat::Add(part),
            ShelfWhat::Shelves,
        ];
        let of_one =
            |what| [ShelfErrand { grant: None, of, what }, ShelfErrand { grant: Some(grant), of, what }];
        all.into_iter().flat_map(of_one).collect()
    }

    #[test]
    fn errands_and_answers_come_back_as_they_were() {
        for errand in errands() {
            assert_eq!(ShelfErrand::from_bytes(&errand.to_bytes()), Ok(errand));
        }
        let file =
            ShelfFile { name: Digest::from_bytes([9; 32]), len: u64::MAX, received: Some(Millis(u64::MAX)) };
        let phase = Phase::WindingDown(Millis(u64::MAX));
        for told in [
            ShelfOutcome::About(ShelfAbout { phase, bytes: 1, files: 2, room: u64::MAX }),
            ShelfOutcome::Done,
            ShelfOutcome::Found(u64::MAX),
            ShelfOutcome::Missing,
            ShelfOutcome::Listed(Bounded::fill(&mut std::iter::repeat_n(file, FILES_MAX))),
            ShelfOutcome::Shelves(Bounded::fill(&mut std::iter::repeat_n(
                NodeId::from_bytes([3; 32]),
                SHELVES_MAX,
            ))),
            ShelfOutcome::Refused(Refusal::Taken),
        ] {
            assert_eq!(ShelfOutcome::from_bytes(&told.to_bytes()).unwrap(), told);
        }
    }

    #[test]
    fn an_errand_of_one_kind_is_none_of_the_other() {
        for errand in errands() {
            assert!(Errand::from_bytes(&errand.to_bytes()).is_err());
        }
        let other = Errand { grant: GrantId::from_bytes([2; 32]), what: What::About };
        assert!(ShelfErrand::from_bytes(&other.to_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_read_as_they_would_be_written(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(errand) = ShelfErrand::from_bytes(&bytes) {
                prop_assert_eq!(errand.to_bytes(), bytes.clone());
            }
            if let Ok(told) = ShelfOutcome::from_bytes(&bytes) {
                prop_assert_eq!(told.to_bytes(), bytes);
            }
        }

        /// Near what is right, too.
        #[test]
        fn so_are_errands_with_a_byte_changed(which in 0usize..12, at in 0usize..200, to in any::<u8>()) {
            let mut bytes = errands()[which].to_bytes();
            let at = at % bytes.len();
            bytes[at] = to;
            if let Ok(errand) = ShelfErrand::from_bytes(&bytes) {
                prop_assert_eq!(errand.to_bytes(), bytes);
            }
        }
    }
}
