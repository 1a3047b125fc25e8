//! Invitations and cards: short texts that carry what a new machine must know. Upper-case base32
//! behind a prefix, so that a QR code holds them in its dense alphanumeric mode; a checksum tells
//! a mistyped one from a wrong one.

use freehold_crypt::{Secret, hash};
use freehold_wire::{Bounded, Millis, NodeId, RealmId, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

const INVITATION: &str = "FREEHOLD-INVITE:";
const CARD: &str = "FREEHOLD-CARD:";
/// The longest text accepted, in characters: far above what eight nodes' addresses take.
pub(crate) const TEXT_MAX: usize = 8192;

/// A text that is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Another kind of text.
    #[error("it does not begin with {0}")]
    Prefix(&'static str),
    /// Characters are missing or wrong.
    #[error("it is not complete: a part is missing or a character is wrong")]
    Damaged,
}

/// Where a node can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Contact {
    /// Who it is.
    #[n(0)]
    pub node: NodeId,
    /// The mesh's own encoding of its addresses.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub addresses: Vec<u8>,
}

/// What an invited machine is told.
pub struct Invitation {
    /// The realm.
    pub realm: RealmId,
    /// When the invitation lapses, wall time.
    pub expires: Millis,
    /// Seed of the one-time key that redeems it.
    pub key_seed: Secret,
    /// Nodes to knock at.
    pub contacts: Vec<Contact>,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct InvitationWire {
    #[n(0)]
    realm: RealmId,
    #[n(1)]
    expires: Millis,
    #[cbor(n(2), with = "minicbor::bytes")]
    key_seed: [u8; 32],
    #[n(3)]
    contacts: Bounded<Contact, 8>,
}

impl Invitation {
    /// The text.
    pub fn to_text(&self) -> String {
        let wire = InvitationWire {
            realm: self.realm,
            expires: self.expires,
            key_seed: *self.key_seed.expose(),
            contacts: Bounded::fill(&mut self.contacts.iter().cloned()),
        };
        to_text(INVITATION, &to_canonical(&wire))
    }

    /// Reads a text, in either case and with any white space.
    ///
    /// # Errors
    /// [`TextError`] if it is another text or incomplete.
    pub fn from_text(text: &str) -> Result<Self, TextError> {
        let bytes = from_text(INVITATION, text)?;
        let wire: InvitationWire = from_canonical(&bytes, TEXT_MAX).map_err(|_| TextError::Damaged)?;
        Ok(Self {
            realm: wire.realm,
            expires: wire.expires,
            key_seed: Secret::from_bytes(wire.key_seed),
            contacts: wire.contacts.into_vec(),
        })
    }
}

impl std::fmt::Debug for Invitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invitation").field("realm", &self.realm).finish_non_exhaustive()
    }
}

/// Where a realm's nodes are, for the day a machine is set up from guardian phrases. Holds no
/// secret: without two phrases a node answers nothing to it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Card {
    /// The realm.
    #[n(0)]
    pub realm: RealmId,
    /// Its nodes.
    #[n(1)]
    pub contacts: Bounded<Contact, 8>,
}

impl Card {
    /// The text.
    pub fn to_text(&self) -> String {
        to_text(CARD, &to_canonical(self))
    }

    /// Reads a text.
    ///
    /// # Errors
    /// [`TextError`] if it is another text or incomplete.
    pub fn from_text(text: &str) -> Result<Self, TextError> {
        from_canonical(&from_text(CARD, text)?, TEXT_MAX).map_err(|_| TextError::Damaged)
    }
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = hash::digest("freehold 2026 text checksum", bytes);
    [a, b, c, d]
}

pub(crate) fn to_text(prefix: &str, bytes: &[u8]) -> String {
    let whole = [bytes, &checksum(bytes)].concat();
    format!("{prefix}{}", data_encoding::BASE32_NOPAD.encode(&whole))
}

pub(crate) fn from_text(prefix: &'static str, text: &str) -> Result<Vec<u8>, TextError> {
    from_long_text(prefix, text, TEXT_MAX)
}

/// The same of a text that may be longer.
pub(crate) fn from_long_text(prefix: &'static str, text: &str, max: usize) -> Result<Vec<u8>, TextError> {
    if text.len() > max {
        return Err(TextError::Damaged);
    }
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_uppercase();
    let body = text.strip_prefix(prefix).ok_or(TextError::Prefix(prefix))?;
    let whole = data_encoding::BASE32_NOPAD.decode(body.as_bytes()).map_err(|_| TextError::Damaged)?;
    let (bytes, sum) = whole.split_last_chunk::<4>().ok_or(TextError::Damaged)?;
    if checksum(bytes) == *sum { Ok(bytes.to_vec()) } else { Err(TextError::Damaged) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Invitation {
        Invitation {
            realm: RealmId::from_bytes([7; 32]),
            expires: Millis(1_800_000_000_000),
            key_seed: Secret::from_bytes([9; 32]),
            contacts: vec![Contact { node: NodeId::from_bytes([1; 32]), addresses: vec![1, 2, 3] }],
        }
    }

    #[test]
    fn text_round_trip_in_any_case_and_folding() {
        let text = sample().to_text();
        let folded: String = text.to_lowercase().chars().flat_map(|c| [c, '\n']).collect();
        let read = Invitation::from_text(&folded).unwrap();
        assert_eq!(read.to_text(), text);
        assert_eq!(Card::from_text(&text), Err(TextError::Prefix(CARD)));
    }

    proptest! {
        #[test]
        fn one_wrong_character_is_seen(at in 0usize..120, c in "[A-Z2-7]") {
            let mut text = sample().to_text();
            let at = INVITATION.len() + at % (text.len() - INVITATION.len());
            prop_assume!(text[at..=at] != c);
            text.replace_range(at..=at, &c);
            prop_assert!(Invitation::from_text(&text).is_err());
        }

        #[test]
        fn any_text_is_refused_quietly(text in ".{0,300}") {
            prop_assert!(Invitation::from_text(&text).is_err());
            let card = format!("{CARD}{text}");
            prop_assert!(Card::from_text(&card).is_err());
        }
    }
}
