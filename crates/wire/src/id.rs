//! Ids: 32 bytes each, one type per thing named, so that a node's id cannot stand where a realm's
//! is meant. Shown and read as lower-case hex.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

/// Text that is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: 64 hexadecimal digits are expected")]
pub struct IdError;

/// Bytes shown as lower-case hex.
#[derive(Clone, Copy)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn nibble(c: u8) -> Result<u8, IdError> {
    match c {
        b'0'..=b'9' => Ok(c - b'0'),
        b'a'..=b'f' => Ok(c - b'a' + 10),
        _ => Err(IdError),
    }
}

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// From its 32 bytes.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Its 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The first eight hex digits, for people; never to be compared.
            pub fn short(&self) -> String {
                let [a, b, c, d, ..] = self.0;
                Hex(&[a, b, c, d]).to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Hex(&self.0).fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(s: &str) -> Result<Self, IdError> {
                let mut out = [0u8; 32];
                let (pairs, rest) = s.as_bytes().as_chunks::<2>();
                if pairs.len() != 32 || !rest.is_empty() {
                    return Err(IdError);
                }
                for (byte, [hi, lo]) in out.iter_mut().zip(pairs) {
                    *byte = nibble(*hi)? << 4 | nibble(*lo)?;
                }
                Ok(Self(out))
            }
        }

        impl<C> Encode<C> for $name {
            fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> Decode<'b, C> for $name {
            fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
                let bytes = d.bytes()?;
                Ok(Self(bytes.try_into().map_err(|_| decode::Error::message("an id has 32 bytes"))?))
            }
        }
    )*};
}

id! {
    /// A realm: the BLAKE3 hash of its genesis operation.
    RealmId;
    /// A person: the BLAKE3 hash of the first statement of their device log.
    PersonId;
    /// A node: its Ed25519 public key, which is also its address on the mesh.
    NodeId;
    /// An operation of the realm log: BLAKE3 over all of it but the signatures.
    OpId;
    /// A verifying key: BLAKE3 over its algorithm and bytes.
    KeyId;
    /// A bucket: the hash of its first key, so that it tells nothing of the name.
    BucketId;
    /// A grant: random.
    GrantId;
    /// A service: random; its name is elsewhere.
    ServiceId;
    /// A rule of who may reach whom: random.
    RuleId;
    /// A machine without this program that a gateway lets into the network: random.
    PhoneId;
    /// An entry of a bucket's index: BLAKE3 over all of it but the signature.
    EntryId;
    /// A sealed blob's name on a backend: random.
    BlobName;
    /// A BLAKE3 hash of anything else.
    Digest;
}

#[cfg(test)]
mod tests;
