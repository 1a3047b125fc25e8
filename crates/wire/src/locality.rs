//! Where machines stand: in a zone, and in a region.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use crate::id::Hex;
use crate::{Bounded, IdError};

/// Machines that may fail together, such as those of one house. Random; its name is elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ZoneId([u8; 16]);

impl ZoneId {
    /// No zone that anybody named.
    pub const NONE: Self = Self([0; 16]);

    /// From its 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Whether somebody named it.
    pub fn is_some(self) -> bool {
        self != Self::NONE
    }
}

impl fmt::Display for ZoneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl fmt::Debug for ZoneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZoneId({self})")
    }
}

impl<C> Encode<C> for ZoneId {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for ZoneId {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let bytes = d.bytes()?;
        Ok(Self(bytes.try_into().map_err(|_| decode::Error::message("a zone has 16 bytes"))?))
    }
}

/// A country, by its two letters in ISO 3166-1. `ZZ` says that it is not known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region([u8; 2]);

impl Region {
    /// Nobody said where.
    pub const UNKNOWN: Self = Self(*b"ZZ");

    /// Whether somebody said where.
    pub fn is_known(self) -> bool {
        self != Self::UNKNOWN
    }

    /// Its two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("ZZ")
    }
}

impl Default for Region {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

impl FromStr for Region {
    type Err = IdError;

    /// Reads two capital letters.
    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok(Self([*a, *b])),
            _ => Err(IdError),
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({self})")
    }
}

impl<C> Encode<C> for Region {
    fn encode<W: encode::Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), encode::Error<W::Error>> {
        e.str(self.as_str())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Region {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        d.str()?.parse().map_err(|_| decode::Error::message("a region has two capital letters"))
    }
}

/// The most regions in one list.
pub const REGIONS_MAX: usize = 64;

/// Regions in which something may lie.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(array)]
pub struct Regions {
    /// Only in these; anywhere if there is none.
    #[n(0)]
    pub only: Bounded<Region, REGIONS_MAX>,
    /// Never in these.
    #[n(1)]
    pub never: Bounded<Region, REGIONS_MAX>,
}

impl Regions {
    /// Whether anywhere will do.
    pub fn is_anywhere(&self) -> bool {
        self.only.is_empty() && self.never.is_empty()
    }

    /// Whether something may lie there. Where it matters, a place that nobody knows will not do.
    pub fn allow(&self, region: Region) -> bool {
        let listed = self.only.is_empty() || self.only.contains(&region);
        self.is_anywhere() || region.is_known() && listed && !self.never.contains(&region)
    }

    /// Whether both lists are ascending and name known regions, and no region is in both.
    pub fn fits(&self) -> bool {
        let ascending =
            |list: &[Region]| list.windows(2).all(|pair| matches!(pair, [first, second] if first < second));
        let known = self.only.iter().chain(self.never.iter()).all(|region| region.is_known());
        let apart = !self.only.iter().any(|region| self.never.contains(region));
        ascending(&self.only) && ascending(&self.never) && known && apart
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{from_canonical, to_canonical};

    fn list(regions: &[&str]) -> Bounded<Region, REGIONS_MAX> {
        Bounded::fill(&mut regions.iter().map(|region| region.parse().unwrap()))
    }

    #[test]
    fn a_place_that_nobody_knows_is_no_place_where_it_matters() {
        let unknown = Region::UNKNOWN;
        for (only, never, in_de, nobody_knows) in [
            (&[][..], &[][..], true, true),
            (&["DE", "FR"], &[], true, false),
            (&["FR"], &[], false, false),
            (&[], &["US"], true, false),
            (&[], &["DE"], false, false),
        ] {
            let regions = Regions { only: list(only), never: list(never) };
            assert!(regions.fits());
            assert_eq!(regions.allow("DE".parse().unwrap()), in_de, "{regions:?}");
            assert_eq!(regions.allow(unknown), nobody_knows, "{regions:?}");
        }
    }

    #[test]
    fn a_region_has_two_capital_letters() {
        for text in ["", "D", "de", "DEU", "D1", "ÄÖ"] {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
        let bytes = to_canonical(&Region::UNKNOWN);
        assert_eq!(from_canonical::<Region>(&bytes, 10), Ok(Region::UNKNOWN));
        assert!(from_canonical::<Region>(b"\x62de", 10).is_err());
    }

    #[test]
    fn lists_have_one_order_and_do_not_contradict_each_other() {
        for (only, never) in
            [(&["FR", "DE"][..], &[][..]), (&["DE", "DE"], &[]), (&["DE"], &["DE"]), (&["ZZ"], &[])]
        {
            assert!(!Regions { only: list(only), never: list(never) }.fits(), "{only:?} {never:?}");
        }
    }
}
