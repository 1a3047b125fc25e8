//! The address of an onion service, version 3 (Tor's rend-spec-v3, "encoding onion addresses").

use std::fmt;
use std::str::FromStr;

/// The letters before `.onion`: a key of 32 bytes, two of a checksum, and the version, in base32.
const LETTERS: usize = 56;
const VERSION: u8 = 3;
const END: &str = ".onion";

/// An address, as `tor` writes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(String);

/// It is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no address of an onion service: 56 letters and digits, and {END}")]
pub struct NoAddress;

impl Address {
    /// With `.onion`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without `.onion`.
    #[must_use]
    pub fn letters(&self) -> &str {
        self.0.get(..LETTERS).unwrap_or_default()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let letters = text.strip_suffix(END).filter(|letters| letters.len() == LETTERS).ok_or(NoAddress)?;
        let upper = letters.to_ascii_uppercase();
        let bytes = data_encoding::BASE32_NOPAD.decode(upper.as_bytes()).map_err(|_| NoAddress)?;
        // It is tor's own file that it is read from: a checksum would find nothing that is not found here.
        let is_small = letters.bytes().all(|letter| !letter.is_ascii_uppercase());
        (is_small && bytes.last() == Some(&VERSION)).then(|| Self(text.to_owned())).ok_or(NoAddress)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The Tor project's own.
    pub(crate) const KNOWN: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";

    #[test]
    fn an_address_is_what_tor_writes_and_nothing_else() {
        let known: Address = KNOWN.parse().unwrap();
        assert_eq!((known.as_str(), known.letters().len()), (KNOWN, LETTERS));
        let upper = KNOWN.to_ascii_uppercase();
        let other = KNOWN.replace("wid", "wie");
        let old = "expyuzz4wqqyqhjn.onion";
        for odd in [
            "",
            ".onion",
            "localhost",
            old,
            &upper,
            &other,
            &KNOWN[1..],
            &format!("www.{KNOWN}"),
            &KNOWN[..56],
        ] {
            assert_eq!(odd.parse::<Address>(), Err(NoAddress), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_none(text: String, letters in "[a-z2-7]{55}[a-z2-7ü]") {
            for text in [text, format!("{letters}.onion")] {
                if let Ok(address) = text.parse::<Address>() {
                    prop_assert_eq!(address.as_str(), &text);
                    prop_assert!(address.letters().bytes().all(|letter| letter.is_ascii_alphanumeric()));
                }
            }
        }
    }
}
