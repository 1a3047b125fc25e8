//! Texts that people hand to each other: a realm's card, by which another realm can lend it something, and an offer.
//! Neither is a secret: an offer is of use to machines of the realm that it names alone. Whoever gets one believes it
//! as far as the way by which it came.

use freehold_crypt::VerifyingKey;
use freehold_realm::body::Terms;
use freehold_wire::{Bounded, GrantId, Name, OpId, RealmId, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use crate::invitation::{Contact, TEXT_MAX, TextError, from_text, to_text};

const REALM: &str = "FREEHOLD-REALM:";
const OFFER: &str = "FREEHOLD-GRANT:";

/// Who a realm is, and which of its machines' keys sign for the others.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct RealmCard {
    #[n(0)]
    pub(crate) realm: RealmId,
    #[n(1)]
    pub(crate) name: Name,
    #[n(2)]
    pub(crate) signers: Bounded<VerifyingKey, 4>,
}

/// What is lent, by whom and to whom, and where the lender is found.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub(crate) struct Offer {
    #[n(0)]
    pub(crate) realm: RealmId,
    #[n(1)]
    pub(crate) name: Name,
    #[n(2)]
    pub(crate) to: RealmId,
    #[n(3)]
    pub(crate) grant: GrantId,
    /// The offer in the lender's log.
    #[n(4)]
    pub(crate) said_in: OpId,
    #[n(5)]
    pub(crate) terms: Terms,
    #[n(6)]
    pub(crate) signers: Bounded<VerifyingKey, 4>,
    #[n(7)]
    pub(crate) contacts: Bounded<Contact, 8>,
}

impl RealmCard {
    pub(crate) fn to_text(&self) -> String {
        to_text(REALM, &to_canonical(self))
    }

    pub(crate) fn from_text(text: &str) -> Result<Self, TextError> {
        from_canonical(&from_text(REALM, text)?, TEXT_MAX).map_err(|_| TextError::Damaged)
    }
}

impl Offer {
    pub(crate) fn to_text(&self) -> String {
        to_text(OFFER, &to_canonical(self))
    }

    pub(crate) fn from_text(text: &str) -> Result<Self, TextError> {
        from_canonical(&from_text(OFFER, text)?, TEXT_MAX).map_err(|_| TextError::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use freehold_crypt::{Algorithm, Secret, SigningKey};
    use freehold_realm::body::{Ceilings, Resource};
    use freehold_wire::{Millis, NodeId};
    use proptest::prelude::*;

    use super::*;

    fn offer() -> Offer {
        let key = SigningKey::from_seed(Algorithm::Ed25519, &Secret::from_bytes([7; 32])).verifying();
        Offer {
            realm: RealmId::from_bytes([1; 32]),
            name: Name::new("The Smiths").unwrap(),
            to: RealmId::from_bytes([2; 32]),
            grant: GrantId::from_bytes([3; 32]),
            said_in: OpId::from_bytes([4; 32]),
            terms: Terms {
                resource: Resource::Gateway,
                ceilings: Ceilings::default(),
                from: Millis(1),
                until: Millis(2),
                wind_down_days: 0,
            },
            signers: Bounded::from_vec(vec![key]).unwrap(),
            contacts: Bounded::from_vec(vec![Contact {
                node: NodeId::from_bytes([5; 32]),
                addresses: vec![1],
            }])
            .unwrap(),
        }
    }

    #[test]
    fn an_offer_and_a_card_survive_any_folding_and_are_not_mistaken_for_each_other() {
        let text = offer().to_text();
        let folded: String = text.to_lowercase().chars().flat_map(|c| [c, '\n']).collect();
        assert_eq!(Offer::from_text(&folded).unwrap(), offer());
        let card = RealmCard { realm: offer().to, name: offer().name, signers: offer().signers };
        assert_eq!(RealmCard::from_text(&card.to_text()).unwrap(), card);
        assert_eq!(RealmCard::from_text(&text), Err(TextError::Prefix(REALM)));
        assert_eq!(Offer::from_text(&card.to_text()), Err(TextError::Prefix(OFFER)));
    }

    proptest! {
        #[test]
        fn any_text_is_refused_quietly(text in ".{0,300}") {
            let (offer, card) = (format!("{OFFER}{text}"), format!("{REALM}{text}"));
            prop_assert!(Offer::from_text(&offer).is_err());
            prop_assert!(RealmCard::from_text(&card).is_err());
        }
    }
}
