//! Numbers of the DNS that are used here (IANA, "Domain Name System Parameters").

use std::fmt;

/// The class of the internet.
pub const IN: u16 = 1;
/// Any class.
pub const ANY_CLASS: u16 = 255;

/// Types of records.
pub mod kind {
    /// An IPv4 address.
    pub const A: u16 = 1;
    /// A name server.
    pub const NS: u16 = 2;
    /// Another name for this one.
    pub const CNAME: u16 = 5;
    /// The start of a zone.
    pub const SOA: u16 = 6;
    /// The name of an address.
    pub const PTR: u16 = 12;
    /// Where mail goes.
    pub const MX: u16 = 15;
    /// Text.
    pub const TXT: u16 = 16;
    /// An IPv6 address.
    pub const AAAA: u16 = 28;
    /// Where a service runs.
    pub const SRV: u16 = 33;
    /// What a client or server says of itself.
    pub const OPT: u16 = 41;
    /// How to reach a service.
    pub const SVCB: u16 = 64;
    /// How to reach a website.
    pub const HTTPS: u16 = 65;
    /// All there is.
    pub const ANY: u16 = 255;
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rcode(pub u16);

impl Rcode {
    /// As asked.
    pub const GOOD: Self = Self(0);
    /// The question could not be read.
    pub const FORMAT: Self = Self(1);
    /// Those who were asked failed.
    pub const FAILED: Self = Self(2);
    /// There is no such name.
    pub const NO_NAME: Self = Self(3);
    /// Another sort of request than a question.
    pub const NOT_IMPLEMENTED: Self = Self(4);
    /// Not for this client.
    pub const REFUSED: Self = Self(5);
    /// A version of EDNS that nobody has yet.
    pub const VERSION: Self = Self(16);
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Self::GOOD => "NOERROR",
            Self::FORMAT => "FORMERR",
            Self::FAILED => "SERVFAIL",
            Self::NO_NAME => "NXDOMAIN",
            Self::NOT_IMPLEMENTED => "NOTIMP",
            Self::REFUSED => "REFUSED",
            Self::VERSION => "BADVERS",
            Self(other) => return write!(f, "RCODE{other}"),
        };
        f.write_str(text)
    }
}

/// Why an answer is as it is (RFC 8914).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Kept longer than it was good for, since nobody else answers.
    Stale = 3,
    /// Signatures do not hold.
    Bogus = 6,
    /// Blocked by whoever runs this resolver.
    Blocked = 15,
    /// Filtered, as the client's own people wanted.
    Filtered = 17,
    /// This client may not ask.
    Prohibited = 18,
    /// None of those asked answered.
    Unreachable = 22,
}

impl Why {
    pub(crate) const fn code(self) -> u16 {
        self as u16
    }
}
