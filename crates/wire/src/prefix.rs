//! Addresses that begin alike.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

/// Addresses whose first bits are the same: a network. Bits behind those are zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    at: IpAddr,
    len: u8,
}

/// Text that is not a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a network: an address and how many bits count, with zeros behind them, as in 192.168.1.0/24")]
pub struct PrefixError;

/// Networks of nobody's own, which a router of the internet does not carry: (first bits, how many).
const PRIVATE: [(IpAddr, u8); 5] = [
    (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8),
    (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 0)), 12),
    (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 0)), 16),
    (IpAddr::V4(Ipv4Addr::new(100, 64, 0, 0)), 10),
    (IpAddr::V6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0)), 7),
];

/// An address from its highest bit on, and how many bits it has.
const fn bits(at: IpAddr) -> (u128, u8) {
    match at {
        IpAddr::V4(at) => ((at.to_bits() as u128) << 96, 32),
        IpAddr::V6(at) => (at.to_bits(), 128),
    }
}

/// The same, back; what an IPv4 address has no room for is left out.
fn address(bits: u128, most: u8) -> IpAddr {
    let [a, b, c, d, ..] = bits.to_be_bytes();
    if most == 32 { Ipv4Addr::new(a, b, c, d).into() } else { Ipv6Addr::from_bits(bits).into() }
}

/// Ones behind so many zeros.
fn behind(len: u8) -> u128 {
    u128::MAX.checked_shr(len.into()).unwrap_or(0)
}

impl Prefix {
    /// None if there are not so many bits, or one behind them is set.
    pub fn new(at: IpAddr, len: u8) -> Option<Self> {
        let (bits, most) = bits(at);
        (len <= most && bits & behind(len) == 0).then_some(Self { at, len })
    }

    /// The network of so many bits that an address is in; the address alone if it has no more.
    #[must_use]
    pub fn around(at: IpAddr, len: u8) -> Self {
        let (whole, most) = bits(at);
        let len = len.min(most);
        Self { at: address(whole & !behind(len), most), len }
    }

    /// Its first address.
    pub const fn first(&self) -> IpAddr {
        self.at
    }

    /// Its last address.
    pub fn last(&self) -> IpAddr {
        let (first, most) = bits(self.at);
        address(first | behind(self.len), most)
    }

    /// How many bits are the same.
    pub const fn bits(&self) -> u8 {
        self.len
    }

    /// Whether an address is in it.
    pub fn contains(&self, at: IpAddr) -> bool {
        let ((own, most), (other, bits)) = (bits(self.at), bits(at));
        most == bits && (own ^ other) & !behind(self.len) == 0
    }

    /// Whether all of another network is in it.
    pub fn covers(&self, other: &Self) -> bool {
        self.len <= other.len && self.contains(other.at)
    }

    /// Whether some address is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// Whether it is one that people give to networks of their own.
    pub fn is_private(&self) -> bool {
        PRIVATE.iter().any(|(at, len)| Self { at: *at, len: *len }.covers(self))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.at, self.len)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (at, len) = text.split_once('/').ok_or(PrefixError)?;
        let (at, len) = (at.parse().map_err(|_| PrefixError)?, len.parse().map_err(|_| PrefixError)?);
        Self::new(at, len).ok_or(PrefixError)
    }
}

impl<C> Encode<C> for Prefix {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.array(2)?;
        match self.at {
            IpAddr::V4(at) => e.bytes(&at.octets())?,
            IpAddr::V6(at) => e.bytes(&at.octets())?,
        };
        e.u8(self.len)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Prefix {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let wrong = || decode::Error::message("a network is its first address and a number of bits");
        if d.array()? != Some(2) {
            return Err(wrong());
        }
        let bytes = d.bytes()?;
        let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
        let at = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).map_err(|_| wrong())?;
        Self::new(at, d.u8()?).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests;
