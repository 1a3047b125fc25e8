//! Where a node can be reached: a bounded value with one canonical encoding for directory rows and
//! a text form for invitations and people.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use freehold_wire::{Bounded, NodeId, Text, from_canonical, to_canonical};
use iroh::{EndpointAddr, EndpointId, TransportAddr};
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

/// The most direct addresses kept of a node.
const MAX_DIRECT: usize = 16;
/// The most relays kept of a node.
const MAX_RELAYS: usize = 4;
/// The longest relay URL, in bytes.
const MAX_URL: usize = 128;
/// The longest encoding of [`Addresses`], in bytes; more is refused unread.
const MAX_BYTES: usize = 1024;

/// Text or bytes that are not addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// One item is neither `ip:port` nor a relay's URL.
    #[error("{0:?} is neither an address like 192.0.2.7:4710 nor a relay like http://192.0.2.7:4711")]
    Item(String),
    /// More than fit.
    #[error("at most {MAX_DIRECT} addresses and {MAX_RELAYS} relays are allowed")]
    TooMany,
    /// The encoding is not the canonical one.
    #[error("not the encoding of addresses")]
    Encoding(#[source] freehold_wire::DecodeError),
}

/// The URL of a relay: `http://host:port` or `https://host[:port]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayUrl(iroh::RelayUrl);

impl RelayUrl {
    pub(crate) const fn inner(&self) -> &iroh::RelayUrl {
        &self.0
    }

    pub(crate) fn from_inner(url: &iroh::RelayUrl) -> Option<Self> {
        url.as_str().parse().ok()
    }

    /// The URL of a relay on this socket, without TLS.
    pub(crate) fn plain(at: SocketAddr) -> Option<Self> {
        format!("http://{at}").parse().ok()
    }

    /// Where the relay answers questions about one's public address: the same port number with UDP
    /// for a relay of ours, the protocol's usual port for one behind HTTPS.
    pub(crate) fn discovery_port(&self) -> Option<u16> {
        if self.0.scheme() == "https" { None } else { self.0.port_or_known_default() }
    }
}

impl FromStr for RelayUrl {
    type Err = AddressError;
    fn from_str(s: &str) -> Result<Self, AddressError> {
        let refuse = || AddressError::Item(s.chars().take(MAX_URL).collect());
        if s.len() > MAX_URL || s.contains([',', ' ']) {
            return Err(refuse());
        }
        let url: iroh::RelayUrl = s.parse().map_err(|_| refuse())?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let scheme = matches!(url.scheme(), "http" | "https");
        let secretless = url.username().is_empty() && url.password().is_none();
        // As it is spelled it may be longer than it was typed, and then nobody could read it.
        let fits = url.as_str().trim_end_matches('/').len() <= MAX_URL;
        if scheme && bare && secretless && fits && url.host_str().is_some_and(|host| !host.is_empty()) {
            Ok(Self(url))
        } else {
            Err(refuse())
        }
    }
}

impl fmt::Display for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a node can be reached. As text: items with commas between them, `ip:port` for a direct
/// address, a URL for a relay it is reachable through, `+` and a URL for a relay it runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addresses {
    direct: Vec<SocketAddr>,
    relays: Vec<RelayUrl>,
    serves: Option<RelayUrl>,
}

impl Addresses {
    /// From direct addresses, relays it can be reached through, and the relay it runs. Sorted,
    /// without doubles; what cannot be dialled from elsewhere (link-local, unspecified, port 0) is
    /// left out, and so is what passes the bounds, local addresses first.
    pub fn new(
        direct: impl IntoIterator<Item = SocketAddr>,
        relays: impl IntoIterator<Item = RelayUrl>,
        serves: Option<RelayUrl>,
    ) -> Self {
        let mut direct: Vec<_> = direct.into_iter().filter(dialable).collect();
        direct.sort_by_key(|at| (nearness(at.ip()), *at));
        direct.dedup();
        direct.truncate(MAX_DIRECT);
        let mut relays: Vec<_> = relays.into_iter().collect();
        relays.sort();
        relays.dedup();
        relays.truncate(MAX_RELAYS);
        Self { direct, relays, serves }
    }

    /// Direct addresses (UDP), those with the widest reach first.
    pub fn direct(&self) -> &[SocketAddr] {
        &self.direct
    }

    /// Relays through which the node can be reached.
    pub fn relays(&self) -> &[RelayUrl] {
        &self.relays
    }

    /// The relay that the node runs for others.
    pub const fn serves(&self) -> Option<&RelayUrl> {
        self.serves.as_ref()
    }

    /// The same without the relay it runs: for a node whose role does not let it be a relay.
    #[must_use]
    pub fn without_relay_service(mut self) -> Self {
        self.serves = None;
        self
    }

    /// The same without the relays that are not among these: a node that names others makes us call
    /// where it likes.
    #[must_use]
    pub fn reached_only_by(mut self, relays: &BTreeSet<RelayUrl>) -> Self {
        self.relays.retain(|url| relays.contains(url));
        self
    }

    /// Nothing to dial.
    pub fn is_empty(&self) -> bool {
        self.direct.is_empty() && self.relays.is_empty() && self.serves.is_none()
    }

    /// The canonical encoding, for a directory row.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_canonical(&Encoded(self.clone()))
    }

    /// Reads the encoding.
    ///
    /// # Errors
    /// [`AddressError::Encoding`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AddressError> {
        from_canonical::<Encoded>(bytes, MAX_BYTES).map(|read| read.0).map_err(AddressError::Encoding)
    }

    pub(crate) fn every_relay(&self) -> impl Iterator<Item = &RelayUrl> {
        self.relays.iter().chain(&self.serves)
    }

    /// What iroh dials: all of it, and the relays of the realm besides, because the peer may have
    /// moved to another one since it told us.
    pub(crate) fn endpoint<'a>(
        &'a self,
        id: EndpointId,
        realm_relays: impl Iterator<Item = &'a RelayUrl>,
    ) -> EndpointAddr {
        let direct = self.direct.iter().copied().map(TransportAddr::Ip);
        let relays = self.every_relay().chain(realm_relays).map(|url| TransportAddr::Relay(url.0.clone()));
        EndpointAddr::from_parts(id, direct.chain(relays))
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direct = self.direct.iter().map(ToString::to_string);
        let relays = self.relays.iter().map(ToString::to_string);
        let serves = self.serves.iter().map(|url| format!("+{url}"));
        f.write_str(&direct.chain(relays).chain(serves).collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Addresses {
    type Err = AddressError;
    fn from_str(s: &str) -> Result<Self, AddressError> {
        if s.len() > MAX_BYTES {
            return Err(AddressError::TooMany);
        }
        let (mut direct, mut relays, mut serves) = (Vec::new(), Vec::new(), None);
        for item in s.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            if let Ok(at) = item.parse() {
                direct.push(at);
            } else if let Some(url) = item.strip_prefix('+') {
                serves = Some(url.parse()?);
            } else {
                relays.push(item.parse()?);
            }
        }
        if direct.len() > MAX_DIRECT || relays.len() > MAX_RELAYS {
            return Err(AddressError::TooMany);
        }
        Ok(Self::new(direct, relays, serves))
    }
}

fn dialable(at: &SocketAddr) -> bool {
    let usable = match at.ip() {
        IpAddr::V4(ip) => {
            !(ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() || ip.is_link_local())
        }
        IpAddr::V6(ip) => !(ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local()),
    };
    usable && at.port() != 0
}

/// 0 for public addresses, 1 for those of a local network, 2 for this machine only.
fn nearness(ip: IpAddr) -> u8 {
    match ip {
        _ if ip.is_loopback() => 2,
        IpAddr::V4(ip) if ip.is_private() || is_shared(ip) => 1,
        IpAddr::V6(ip) if ip.is_unique_local() => 1,
        _ => 0,
    }
}

/// The carriers' shared range, 100.64.0.0/10 (RFC 6598).
fn is_shared(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    a == 100 && b & 0xc0 == 64
}

pub(crate) fn node_id(id: EndpointId) -> NodeId {
    NodeId::from_bytes(*id.as_bytes())
}

/// `None` for bytes that are not a point of the curve: no such node can exist.
pub(crate) fn endpoint_id(node: NodeId) -> Option<EndpointId> {
    EndpointId::from_bytes(node.as_bytes()).ok()
}

/// On the wire: an array of three: direct addresses as byte strings (4 or 16 bytes of address, 2 of
/// port), relay URLs, and none or one URL of the relay it runs.
struct Encoded(Addresses);

impl<C> Encode<C> for Encoded {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        let Self(Addresses { direct, relays, serves }) = self;
        e.array(3)?.array(direct.len() as u64)?;
        for at in direct {
            let port = at.port().to_be_bytes();
            match at.ip() {
                IpAddr::V4(ip) => e.bytes(&[ip.octets().as_slice(), &port].concat())?,
                IpAddr::V6(ip) => e.bytes(&[ip.octets().as_slice(), &port].concat())?,
            };
        }
        relays.iter().map(ToString::to_string).collect::<Vec<_>>().encode(e, ctx)?;
        serves.iter().map(ToString::to_string).collect::<Vec<_>>().encode(e, ctx)
    }
}

impl<'b, C> Decode<'b, C> for Encoded {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, decode::Error> {
        if d.array()? != Some(3) {
            return Err(decode::Error::message("addresses are an array of three"));
        }
        let direct = Bounded::<Socket, MAX_DIRECT>::decode(d, ctx)?.into_iter().map(|at| at.0);
        let relays = Bounded::<Text<MAX_URL>, MAX_RELAYS>::decode(d, ctx)?;
        let serves = Bounded::<Text<MAX_URL>, 1>::decode(d, ctx)?;
        let mut read = Vec::new();
        for url in &relays {
            read.push(url.as_str().parse().map_err(decode::Error::custom)?);
        }
        let serves =
            serves.first().map(|url| url.as_str().parse()).transpose().map_err(decode::Error::custom)?;
        Ok(Self(Addresses::new(direct, read, serves)))
    }
}

struct Socket(SocketAddr);

impl<'b, C> Decode<'b, C> for Socket {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let bytes = d.bytes()?;
        let (ip, port) =
            bytes.split_last_chunk::<2>().ok_or_else(|| decode::Error::message("short address"))?;
        let ip = if let Ok(four) = <[u8; 4]>::try_from(ip) {
            IpAddr::V4(Ipv4Addr::from(four))
        } else {
            let sixteen =
                <[u8; 16]>::try_from(ip).map_err(|_| decode::Error::message("neither IPv4 nor IPv6"))?;
            IpAddr::V6(Ipv6Addr::from(sixteen))
        };
        Ok(Self(SocketAddr::new(ip, u16::from_be_bytes(*port))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Addresses {
        "192.168.1.7:4710,203.0.113.5:4710,[2001:db8::7]:4710,http://203.0.113.9:4711,+https://relay.example"
            .parse()
            .unwrap()
    }

    #[test]
    fn text_and_bytes_round_trip() {
        let addresses = sample();
        assert_eq!(addresses.to_string().parse::<Addresses>().unwrap(), addresses);
        assert_eq!(Addresses::from_bytes(&addresses.to_bytes()).unwrap(), addresses);
        assert_eq!(addresses.direct()[2], "192.168.1.7:4710".parse().unwrap(), "local ones come last");
        assert!("".parse::<Addresses>().unwrap().is_empty());
    }

    /// The example of docs/formats/mesh.md.
    #[test]
    fn the_encoding_is_the_one_that_is_written_down() {
        let text = "203.0.113.5:4433,192.168.1.7:4433,http://203.0.113.9:4711,+http://203.0.113.5:4711";
        let addresses: Addresses = text.parse().unwrap();
        assert_eq!(addresses.to_string(), text);
        let hex = "838246cb007105115146c0a8010711518177687474703a2f2f3230332e302e3131332e393a34373131\
                   8177687474703a2f2f3230332e302e3131332e353a34373131";
        assert_eq!(freehold_wire::Hex(&addresses.to_bytes()).to_string(), hex);
    }

    proptest! {
        #[test]
        fn any_addresses_round_trip(direct: Vec<(IpAddr, u16)>, ports: Vec<u16>, serves: Option<u16>) {
            let url = |port: u16| format!("http://192.0.2.1:{}", port.max(1)).parse::<RelayUrl>().unwrap();
            let direct = direct.into_iter().map(SocketAddr::from);
            let addresses = Addresses::new(direct, ports.into_iter().map(url), serves.map(url));
            prop_assert_eq!(&Addresses::from_bytes(&addresses.to_bytes()).unwrap(), &addresses);
            prop_assert_eq!(&addresses.to_string().parse::<Addresses>().unwrap(), &addresses);
        }

        #[test]
        fn bytes_are_read_in_one_spelling_or_refused(bytes: Vec<u8>, text: String) {
            if let Ok(addresses) = Addresses::from_bytes(&bytes) {
                prop_assert_eq!(addresses.to_bytes(), bytes);
            }
            drop(text.parse::<Addresses>());
            drop(text.parse::<RelayUrl>());
        }
    }

    #[test]
    fn garbage_is_refused() {
        for text in
            ["nonsense", "http://", "ftp://a:1", "http://u:p@a:1", "http://a/path", "+x", "http://a?b=c"]
        {
            assert!(text.parse::<Addresses>().is_err(), "{text}");
        }
        let many = (1..40).map(|i| format!("203.0.113.{i}:1")).collect::<Vec<_>>().join(",");
        assert_eq!(many.parse::<Addresses>(), Err(AddressError::TooMany));
        let bytes = sample().to_bytes();
        for end in 0..bytes.len() {
            assert!(Addresses::from_bytes(&bytes[..end]).is_err());
        }
        assert!(Addresses::from_bytes(&[0xff; 2000]).is_err());
    }

    #[test]
    fn what_cannot_be_dialled_is_left_out() {
        let direct = ["0.0.0.0:1", "[fe80::1]:5", "169.254.1.1:5", "10.0.0.1:0", "10.0.0.1:5", "10.0.0.1:5"];
        let addresses = Addresses::new(direct.map(|at| at.parse().unwrap()), [], None);
        assert_eq!(addresses.to_string(), "10.0.0.1:5");
    }
}
