//! What is said before there is a charter: what a pool is to be, and what each realm would give and use.

use freehold_crypt::{Signature, SigningKey, VerifyingKey, hash};
use freehold_wire::{Digest, Millis, RealmId, Text, ZoneId, to_canonical};
use minicbor::{Decode, Encode};

use crate::{Member, NAME_MAX, Rules};

const TAG: &[u8] = b"freehold 2026 pool row\0";

/// Where machines stand, by the word for it: the same for everybody who writes the same word. None if it is empty.
pub fn place(word: &str) -> ZoneId {
    let word = word.trim().to_lowercase();
    let mut id = [0; 16];
    if !word.is_empty() {
        let digest = hash::digest("freehold 2026 pool place", word.as_bytes());
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    }
    ZoneId::from_bytes(id)
}

/// What a pool is to be. All its papers go by this one's id, which stays the same from the first word on.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Draft {
    /// What people are to call it.
    #[n(0)]
    pub name: Text<NAME_MAX>,
    /// What all are to be bound by.
    #[n(1)]
    pub rules: Rules,
    /// Whoever founds it.
    #[n(2)]
    pub realm: RealmId,
    /// Signs for it.
    #[n(3)]
    pub key: VerifyingKey,
    /// When they began, by their clock.
    #[n(4)]
    pub at: Millis,
}

impl Draft {
    /// Its id.
    pub fn id(&self) -> Digest {
        Digest::from_bytes(hash::digest("freehold 2026 pool draft id", &to_canonical(self)))
    }
}

/// What a realm would give and use: it binds nobody, but no first charter counts whose rows were not made by those
/// whose they are.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Row {
    /// The draft or the charter that it was made for.
    #[n(0)]
    pub of: Digest,
    /// When, by its realm's clock.
    #[n(1)]
    pub at: Millis,
    /// What the realm calls itself.
    #[n(2)]
    pub called: Text<NAME_MAX>,
    /// Where its machines stand, in a word.
    #[n(3)]
    pub stands: Text<NAME_MAX>,
    /// The row.
    #[n(4)]
    pub member: Member,
    #[n(5)]
    signature: Signature,
}

#[derive(Encode)]
#[cbor(array)]
struct Says<'a>(
    #[n(0)] &'a Digest,
    #[n(1)] &'a Millis,
    #[n(2)] &'a Text<NAME_MAX>,
    #[n(3)] &'a Text<NAME_MAX>,
    #[n(4)] &'a Member,
);

fn message(says: &Says<'_>) -> Vec<u8> {
    [TAG, &to_canonical(says)].concat()
}

/// What a realm says of itself in its row.
#[derive(Debug, Clone)]
pub struct About {
    /// Which one it is.
    pub realm: RealmId,
    /// What it calls itself.
    pub called: Text<NAME_MAX>,
    /// Where its machines stand, in a word.
    pub stands: Text<NAME_MAX>,
    /// Bytes that it lends.
    pub gives: u64,
    /// Bytes that it may use.
    pub uses: u64,
}

impl Row {
    /// Signs what a realm says of itself.
    pub fn sign(of: Digest, at: Millis, about: About, key: &SigningKey) -> Self {
        let About { realm, called, stands, gives, uses } = about;
        let member = Member { realm, key: key.verifying(), gives, uses, place: place(stands.as_str()) };
        let signature = key.sign(&message(&Says(&of, &at, &called, &stands, &member)));
        Self { of, at, called, stands, member, signature }
    }

    /// Whether the key in it has signed it, and its place is the one that its word says.
    pub fn is_signed(&self) -> bool {
        let says = Says(&self.of, &self.at, &self.called, &self.stands, &self.member);
        place(self.stands.as_str()) == self.member.place
            && self.member.key.verify(&message(&says), &self.signature).is_ok()
    }
}
