//! What a member tells the others so that what the charter says is lent is lent: the card of its realm, and the offers
//! that it has made. Both are texts as people hand them to each other, which are read elsewhere.

use freehold_crypt::{Signature, SigningKey, VerifyingKey};
use freehold_wire::{Bounded, DecodeError, Digest, Millis, RealmId, Text, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use crate::MEMBERS_MAX;

const TAG: &[u8] = b"freehold 2026 pool letter\0";
/// The longest letter, in bytes.
pub const LETTER_MAX: usize = 48 * 1024;
/// The longest card or offer, in characters.
pub const LETTER_TEXT_MAX: usize = 4096;

/// An offer of room.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct Offered {
    /// To whom.
    #[n(0)]
    pub to: RealmId,
    /// The offer.
    #[n(1)]
    pub text: Text<LETTER_TEXT_MAX>,
}

/// What a realm tells the others, signed by the key of its row.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Letter {
    /// The pool, by its draft.
    #[n(0)]
    pub of: Digest,
    /// Who says so.
    #[n(1)]
    pub realm: RealmId,
    /// When, by its clock.
    #[n(2)]
    pub at: Millis,
    /// Its card, by which others can lend it something.
    #[n(3)]
    pub card: Text<LETTER_TEXT_MAX>,
    /// What it offers, of each other one at most.
    #[n(4)]
    pub offers: Bounded<Offered, MEMBERS_MAX>,
    /// The key of the realm's row.
    #[n(5)]
    pub key: VerifyingKey,
    #[n(6)]
    signature: Signature,
}

#[derive(Encode)]
#[cbor(array)]
struct Says<'a>(
    #[n(0)] &'a Digest,
    #[n(1)] &'a RealmId,
    #[n(2)] &'a Millis,
    #[n(3)] &'a Text<LETTER_TEXT_MAX>,
    #[n(4)] &'a Bounded<Offered, MEMBERS_MAX>,
);

impl Letter {
    /// Signs what a realm tells. Offers for which there is no room stay out.
    pub fn sign(
        (of, realm, at): (Digest, RealmId, Millis),
        card: Text<LETTER_TEXT_MAX>,
        offers: Vec<Offered>,
        key: &SigningKey,
    ) -> Self {
        // Besides the texts: ids, lengths, the key and the signature.
        let mut left = LETTER_MAX.saturating_sub(1024 + card.as_str().len());
        let fits = |one: &Offered| {
            let len = one.text.as_str().len() + 64;
            let fits = len <= left;
            left = left.saturating_sub(len);
            fits
        };
        let offers = Bounded::fill(&mut offers.into_iter().filter(fits));
        let message = [TAG, &to_canonical(&Says(&of, &realm, &at, &card, &offers))].concat();
        let (key, signature) = (key.verifying(), key.sign(&message));
        Self { of, realm, at, card, offers, key, signature }
    }

    /// Whether the key in it has signed it, and it is no longer than one may be.
    pub fn is_signed(&self) -> bool {
        let says = Says(&self.of, &self.realm, &self.at, &self.card, &self.offers);
        self.key.verify(&[TAG, &to_canonical(&says)].concat(), &self.signature).is_ok()
            && self.to_bytes().len() <= LETTER_MAX
    }

    /// The bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(self)
    }

    /// Reads one from outside.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the one encoding of one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        from_canonical(bytes, LETTER_MAX)
    }
}
