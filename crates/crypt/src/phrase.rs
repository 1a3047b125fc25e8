//! Guardian phrases: 128 random bits as twelve words (BIP-39, English), from which a guardian's
//! keys follow. The words are all there is: nothing of them stays on a machine.

use bip39::{Language, Mnemonic};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{Algorithm, BoxSecret, Entropy, Secret, SigningKey};

/// Words that are not a phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    /// Not twelve words.
    #[error("a phrase has twelve words, these are {0}")]
    Count(usize),
    /// A word is not in the list.
    #[error("word {0} is not one of the phrase words; check its spelling")]
    Word(usize),
    /// The words are known, but not in this order or not these.
    #[error("the words do not fit together: one is wrong or two are swapped")]
    Checksum,
}

/// A guardian phrase.
pub struct Phrase(Mnemonic);

impl Phrase {
    /// A new random phrase.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        let mut bits = Zeroizing::new([0u8; 16]);
        entropy.fill(bits.as_mut_slice());
        match Mnemonic::from_entropy_in(Language::English, bits.as_slice()) {
            Ok(words) => Self(words),
            Err(_) => unreachable!("16 bytes make a phrase"),
        }
    }

    /// Reads a phrase as a person types it or copies it from where it was shown: any case, any white
    /// space, with commas or without, with the words' numbers or without.
    ///
    /// # Errors
    /// [`PhraseError`] says which word is wrong (counted from 1).
    pub fn parse(text: &str) -> Result<Self, PhraseError> {
        let parts = || {
            let mark = |c: char| c.is_whitespace() || c.is_ascii_punctuation() || c.is_ascii_digit();
            text.split(mark).filter(|word| !word.is_empty())
        };
        let count = parts().count();
        if count != 12 {
            return Err(PhraseError::Count(count));
        }
        // Grown once: a string that moves while it grows leaves its old bytes behind.
        let mut words = Zeroizing::new(String::with_capacity(text.len().saturating_mul(3)));
        for word in parts() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.extend(word.chars().flat_map(char::to_lowercase));
        }
        Mnemonic::parse_in_normalized(Language::English, &words).map(Self).map_err(|e| match e {
            bip39::Error::UnknownWord(at) => PhraseError::Word(at + 1),
            _ => PhraseError::Checksum,
        })
    }

    /// The twelve words, for showing once.
    pub fn words(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.to_string())
    }

    /// The key that signs for this guardian.
    pub fn signing_key(&self) -> SigningKey {
        SigningKey::from_seed(Algorithm::Ed25519, &self.seed().derive("freehold 2026 guardian signing key"))
    }

    /// The key to which this guardian's share of the recovery secret is sealed.
    pub fn box_secret(&self) -> BoxSecret {
        BoxSecret::from_seed(&self.seed().derive("freehold 2026 guardian box key"))
    }

    fn seed(&self) -> Secret {
        let (mut bits, len) = self.0.to_entropy_array();
        let seed = Secret::from_bytes(blake3::derive_key(
            "freehold 2026 guardian phrase",
            bits.get(..len).unwrap_or_default(),
        ));
        bits.zeroize();
        seed
    }
}

impl Drop for Phrase {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Phrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Phrase(..)")
    }
}

#[cfg(test)]
mod tests;
