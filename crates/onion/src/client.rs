//! Who is let in: a name, which is also a file's, and the public half of a key (Tor's rend-spec-v3, "client
//! authorization").

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;

use crate::Address;

const NAME_MAX: usize = 32;

/// What people call a client: small letters, digits and hyphens, since a file is named by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientName(String);

/// The public half of a client's key (X25519).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientKey([u8; 32]);

/// Why somebody cannot be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoClient {
    /// The name would be no file's.
    #[error(
        "a name has up to {NAME_MAX} small letters, digits and hyphens, and begins with a letter or digit"
    )]
    Name,
    /// The key is none.
    #[error("a key is 32 bytes in base32: 52 letters and digits")]
    Key,
}

impl ClientName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ClientName {
    type Err = NoClient;

    fn from_str(text: &str) -> Result<Self, NoClient> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_good =
            (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(fits) && !text.starts_with('-');
        is_good.then(|| Self(text.to_owned())).ok_or(NoClient::Name)
    }
}

impl ClientKey {
    /// In base32, as `tor` reads it.
    #[must_use]
    pub fn text(&self) -> String {
        BASE32_NOPAD.encode(&self.0)
    }

    /// The line in the file that lets its holder in.
    pub(crate) fn line(&self) -> String {
        format!("descriptor:x25519:{}\n", self.text())
    }
}

impl From<[u8; 32]> for ClientKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl FromStr for ClientKey {
    type Err = NoClient;

    fn from_str(text: &str) -> Result<Self, NoClient> {
        let bytes = BASE32_NOPAD.decode(text.as_bytes()).map_err(|_| NoClient::Key)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| NoClient::Key)?;
        // Whoever has the key nought has none.
        (bytes != [0; 32]).then_some(Self(bytes)).ok_or(NoClient::Key)
    }
}

/// What a client's `tor` reads, in a file of its `ClientOnionAuthDir` whose name ends in `.auth_private`.
#[must_use]
pub fn private_line(address: &Address, secret: &str) -> String {
    format!("{}:descriptor:x25519:{secret}\n", address.letters())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_a_files_and_leads_nowhere_else() {
        for good in ["pad", "ann-2", "7", &"a".repeat(32)] {
            assert_eq!(good.parse::<ClientName>().unwrap().as_str(), good);
        }
        for odd in ["", "-a", "..", "a/b", "A", "ä", "a.b", "a b", "a\n", &"a".repeat(33)] {
            assert_eq!(odd.parse::<ClientName>(), Err(NoClient::Name), "{odd:?}");
        }
    }

    #[test]
    fn a_key_is_as_tor_writes_it() {
        let key = ClientKey::from([7; 32]);
        assert_eq!(key.text().len(), 52);
        assert_eq!(key.text().parse(), Ok(key));
        assert_eq!(key.line(), format!("descriptor:x25519:{}\n", key.text()));
        for odd in ["", "x", &key.text()[1..], &key.text().to_lowercase(), &BASE32_NOPAD.encode(&[0; 32])] {
            assert_eq!(odd.parse::<ClientKey>(), Err(NoClient::Key), "{odd:?}");
        }
        let address = crate::address::tests::KNOWN.parse().unwrap();
        let line = private_line(&address, "SECRET");
        assert_eq!(line, format!("{}:descriptor:x25519:SECRET\n", address.letters()));
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_and_a_key_or_none(text: String, bytes: [u8; 32]) {
            drop((text.parse::<ClientName>(), text.parse::<ClientKey>()));
            prop_assert_eq!(ClientKey::from(bytes).text().parse::<ClientKey>().is_ok(), bytes != [0; 32]);
        }
    }
}
