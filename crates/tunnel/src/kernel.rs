//! What the kernel knows of the device: addresses and routes, over netlink.
//!
//! The mesh must not offer the tunnel's own addresses as places to reach this machine at, or a tunnel would
//! run inside itself. It leaves out deprecated IPv6 addresses and everything on `lo`: so the IPv6 address
//! is there and deprecated, and the IPv4 address stands on `lo` alone. Routes name the source, since the
//! kernel would choose neither by itself. One address that nobody uses is there as well, of IPv4's link-local ones,
//! which the mesh leaves out, too: systemd-resolved asks by no link whose addresses are all deprecated.
//!
//! Nothing is remembered of what was set: it is looked at each time, so that what others took away is set again,
//! and what a killed process left on `lo` goes, which bears our label. No route of others is ever replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use freehold_wire::Prefix;
use futures::TryStreamExt as _;
use futures::channel::mpsc::UnboundedReceiver;
use rtnetlink::packet_core::NetlinkMessage;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage, CacheInfo};
use rtnetlink::packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute, LinkFlags, LinkMessage,
};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteType,
};
use rtnetlink::sys::SocketAddr;
use rtnetlink::{Error, Handle, LinkUnspec, MulticastGroup, RouteMessageBuilder};
use tokio_util::task::TaskTracker;

/// `lo`, in every network namespace.
const LOOPBACK: u32 = 1;
/// What the routes of a tunnel bear, so that they are known from those of others (`ip route show proto 70`).
pub const PROTOCOL: u8 = 70;
/// The longest label of an address, in bytes.
const LABEL_MAX: usize = 15;

/// What tells of links and addresses that changed.
pub(crate) type Events = UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>;

/// Addresses or routes are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// The kernel did not do it.
    #[error("{doing}; routes and addresses need the right CAP_NET_ADMIN")]
    Failed {
        /// What was to be done.
        doing: String,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The system's setting, which this process may not change.
    #[error(
        "IPv6 is switched off on the device {0}: sudo sysctl -w net.ipv6.conf.default.disable_ipv6=0, \
         and start the daemon again"
    )]
    NoIpv6(String),
    /// This machine is in a network that has the same addresses.
    #[error(
        "{network} is a network of the realm and also one that this machine has at its device {device}: packets \
         for {there} stay there. For another range of the realm: freehold net set --range NETWORK"
    )]
    Taken {
        /// The realm's.
        network: Prefix,
        /// The other one, which is the same or in it.
        there: Prefix,
        /// Where that is.
        device: String,
    },
}

fn failed(doing: impl Into<String>) -> impl FnOnce(Error) -> RouteError {
    let doing = doing.into();
    |source| RouteError::Failed { doing, source: source.into() }
}

/// What the kernel is to know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Wanted {
    pub(crate) addresses: BTreeSet<IpAddr>,
    pub(crate) networks: BTreeSet<Prefix>,
}

/// What it knows.
#[derive(Debug, Default)]
struct There {
    up: bool,
    addresses: BTreeSet<IpAddr>,
    /// The address that nobody uses is there.
    marked: bool,
    /// Our routes, with the source that each names.
    routes: BTreeMap<Prefix, Option<IpAddr>>,
    /// Networks of others, and at which device.
    others: Vec<(Prefix, u32)>,
}

/// The kernel's view of one device.
pub(crate) struct Kernel {
    handle: Handle,
    name: String,
    index: u32,
}

impl Kernel {
    /// Finds the device, sets the size of its packets, and switches it on.
    pub(crate) async fn of(name: &str, mtu: u16, tasks: &TaskTracker) -> Result<(Self, Events), RouteError> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        let (connection, handle, events) = rtnetlink::new_multicast_connection(&groups).map_err(no_socket)?;
        // Ends with the last handle.
        tasks.spawn(connection);
        let index = index(&handle, name).await?.unwrap_or_default();
        settle(name);
        let mut bare = LinkUnspec::new_with_index(index).build();
        bare.attributes.push(no_link_local());
        // Before it is on. A kernel without IPv6 takes no setting of it, and needs none.
        drop(handle.link().set(bare).execute().await);
        let up = LinkUnspec::new_with_index(index).mtu(u32::from(mtu)).up().build();
        let done = handle.link().set(up).execute().await;
        done.map_err(failed(format!("switch the device {name} on")))?;
        Ok((Self { handle, name: name.to_owned(), index }, events))
    }

    /// Makes addresses and routes what they are to be, as far as that goes. The networks that are routed to the
    /// device, and what is not as it should be.
    pub(crate) async fn want(&self, wanted: &Wanted) -> (BTreeSet<Prefix>, Result<(), RouteError>) {
        let mut trouble = Ok(());
        let there = match self.prepare(wanted, &mut trouble).await {
            Ok(there) => there,
            Err(error) => return (BTreeSet::new(), Err(error)),
        };
        let mut set = BTreeSet::new();
        for network in &wanted.networks {
            // The machine's own, which sorts before those of services.
            let v6 = network.first().is_ipv6();
            let Some(source) = wanted.addresses.iter().find(|address| address.is_ipv6() == v6) else {
                // Without an address of the family nothing could be sent there.
                continue;
            };
            if let Some((other, device)) = there.others.iter().find(|(other, _)| is_within(*other, *network))
            {
                let device = self.name_of(*device).await;
                trouble = Err(RouteError::Taken { network: *network, there: *other, device });
                // Whoever says of a realm's own IPv6 network that it is here is not believed.
                if !v6 {
                    continue;
                }
            }
            let is_there = there.routes.get(network) == Some(&Some(*source));
            let done = if is_there { Ok(()) } else { self.add_route(*network, *source).await };
            match done.map_err(failed(format!("set the route to {network}"))) {
                Ok(()) => drop(set.insert(*network)),
                Err(error) => trouble = Err(error),
            }
        }
        (set, trouble)
    }

    /// Everything but the routes that are wanted and not there.
    async fn prepare(
        &self,
        wanted: &Wanted,
        trouble: &mut Result<(), RouteError>,
    ) -> Result<There, RouteError> {
        let there = self.look().await?;
        if !there.up {
            let up = LinkUnspec::new_with_index(self.index).up().build();
            let done = self.handle.link().set(up).execute().await;
            done.map_err(failed(format!("switch the device {} on again", self.name)))?;
        }
        let others_too = |network: &Prefix| {
            !network.first().is_ipv6() && there.others.iter().any(|(other, _)| is_within(*other, *network))
        };
        for (network, source) in &there.routes {
            let source_stays = source.is_some_and(|source| wanted.addresses.contains(&source));
            if !wanted.networks.contains(network) || !source_stays || others_too(network) {
                // Gone already is as good.
                drop(self.handle.route().del(self.route(*network, None)).execute().await);
            }
        }
        for address in there.addresses.difference(&wanted.addresses) {
            self.remove(*address).await;
        }
        for address in wanted.addresses.difference(&there.addresses) {
            if let Err(error) = self.add(*address).await {
                *trouble = Err(self.not_set(*address, error));
            }
        }
        let mark = wanted.addresses.iter().find_map(mark);
        if let Some(mark) = mark.filter(|_| !there.marked) {
            // A kernel without IPv4 has no such programs either.
            drop(self.handle.address().add(self.index, mark.into(), 32).execute().await);
        }
        // Some routes go with their addresses, and all with a device that was off.
        self.look().await
    }

    /// Takes back what would outlive the device.
    pub(crate) async fn leave(&self) {
        drop(forget(&self.handle, &self.name).await);
    }

    async fn look(&self) -> Result<There, RouteError> {
        let mut there = There::default();
        let mut links = self.handle.link().get().match_index(self.index).execute();
        let link = links.try_next().await.map_err(failed(format!("look for the device {}", self.name)))?;
        there.up = link.is_some_and(|link: LinkMessage| link.header.flags.contains(LinkFlags::Up));
        let v6 = |at: &IpAddr| matches!(at, IpAddr::V6(at) if !at.is_unicast_link_local());
        for message in addresses(&self.handle).await? {
            let Some(at) = address_of(&message) else { continue };
            there.marked |= message.header.index == self.index && at.is_ipv4();
            let ours =
                if message.header.index == self.index { v6(&at) } else { is_ours(&message, &self.name) };
            if ours {
                there.addresses.insert(at);
            }
        }
        let v4 = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let v6 = RouteMessageBuilder::<Ipv6Addr>::new().build();
        for family in [v4, v6] {
            let mut routes = self.handle.route().get(family).execute();
            // A family that the kernel does not have has no routes.
            while let Ok(Some(route)) = routes.try_next().await {
                there.note(&route, self.index);
            }
        }
        Ok(there)
    }

    async fn add_route(&self, network: Prefix, source: IpAddr) -> Result<(), Error> {
        self.handle.route().add(self.route(network, Some(source))).execute().await
    }

    async fn add(&self, address: IpAddr) -> Result<(), Error> {
        let (index, bits) = self.place(address);
        let mut add = self.handle.address().add(index, address, bits).replace();
        match address {
            IpAddr::V6(_) => deprecate(add.message_mut()),
            IpAddr::V4(_) => add.message_mut().attributes.push(AddressAttribute::Label(label(&self.name))),
        }
        add.execute().await
    }

    async fn remove(&self, address: IpAddr) {
        let (index, bits) = self.place(address);
        let message = self.handle.address().add(index, address, bits).message_mut().clone();
        // Gone already is as good.
        drop(self.handle.address().del(message).execute().await);
    }

    const fn place(&self, address: IpAddr) -> (u32, u8) {
        match address {
            IpAddr::V4(_) => (LOOPBACK, 32),
            IpAddr::V6(_) => (self.index, 128),
        }
    }

    fn not_set(&self, address: IpAddr, error: Error) -> RouteError {
        // EACCES is the kernel's word for a device without IPv6.
        match &error {
            Error::NetlinkError(said) if address.is_ipv6() && said.raw_code() == -13 => {
                RouteError::NoIpv6(self.name.clone())
            }
            _ => failed(format!("set the address {address}"))(error),
        }
    }

    async fn name_of(&self, index: u32) -> String {
        let mut links = self.handle.link().get().match_index(index).execute();
        let link = links.try_next().await.ok().flatten();
        let name = link.into_iter().flat_map(|link| link.attributes).find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name),
            _ => None,
        });
        name.unwrap_or_else(|| format!("number {index}"))
    }

    fn route(&self, network: Prefix, source: Option<IpAddr>) -> RouteMessage {
        let protocol = RouteProtocol::Other(PROTOCOL);
        match network.first() {
            IpAddr::V4(first) => {
                let route = RouteMessageBuilder::<Ipv4Addr>::new().protocol(protocol);
                let route = route.destination_prefix(first, network.bits()).output_interface(self.index);
                match source {
                    Some(IpAddr::V4(source)) => route.pref_source(source).build(),
                    _ => route.build(),
                }
            }
            IpAddr::V6(first) => {
                let route = RouteMessageBuilder::<Ipv6Addr>::new().protocol(protocol);
                let route = route.destination_prefix(first, network.bits()).output_interface(self.index);
                match source {
                    Some(IpAddr::V6(source)) => route.pref_source(source).build(),
                    _ => route.build(),
                }
            }
        }
    }
}

impl There {
    /// Notes a route of the main table, which is where machines have their networks.
    fn note(&mut self, route: &RouteMessage, device: u32) {
        let (mut table, mut to, mut out, mut source) = (u32::from(route.header.table), None, None, None);
        for attribute in &route.attributes {
            match attribute {
                RouteAttribute::Table(other) => table = *other,
                RouteAttribute::Destination(at) => to = ip(at),
                RouteAttribute::Oif(index) => out = Some(*index),
                RouteAttribute::PrefSource(at) => source = ip(at),
                _ => {}
            }
        }
        let network = to.and_then(|to| Prefix::new(to, route.header.destination_prefix_length));
        let (Some(network), Some(out)) = (network, out) else { return };
        if table != u32::from(RouteHeader::RT_TABLE_MAIN) || route.header.kind != RouteType::Unicast {
            return;
        }
        if out != device {
            self.others.push((network, out));
        } else if route.header.protocol == RouteProtocol::Other(PROTOCOL) {
            self.routes.insert(network, source);
        }
    }
}

/// Removes what a process that was killed has left, if no tunnel has the device now.
///
/// # Errors
/// [`RouteError`] if the kernel cannot be asked.
pub async fn sweep(name: &str) -> Result<(), RouteError> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(no_socket)?;
    let work = async {
        if index(&handle, name).await.ok().flatten().is_none() { forget(&handle, name).await } else { Ok(()) }
    };
    tokio::select! {
        done = work => done,
        // It has the socket, and ends with the handle.
        () = connection => Ok(()),
    }
}

/// Removes the addresses on `lo` that bear the device's label.
async fn forget(handle: &Handle, name: &str) -> Result<(), RouteError> {
    for message in addresses(handle).await? {
        if is_ours(&message, name) {
            // Gone already is as good.
            drop(handle.address().del(message).execute().await);
        }
    }
    Ok(())
}

async fn index(handle: &Handle, name: &str) -> Result<Option<u32>, RouteError> {
    let mut found = handle.link().get().match_name(name.to_owned()).execute();
    let link = found.try_next().await.map_err(failed(format!("look for the device {name}")))?;
    Ok(link.map(|link| link.header.index))
}

async fn addresses(handle: &Handle) -> Result<Vec<AddressMessage>, RouteError> {
    handle.address().get().execute().try_collect().await.map_err(failed("look at this machine's addresses"))
}

fn no_socket(source: std::io::Error) -> RouteError {
    RouteError::Failed { doing: "no netlink socket".to_owned(), source: source.into() }
}

/// What an address on `lo` is known by. The kernel wants the device's name at its beginning.
fn label(device: &str) -> String {
    format!("lo:{device}").chars().take(LABEL_MAX).collect()
}

fn is_ours(message: &AddressMessage, device: &str) -> bool {
    let label = AddressAttribute::Label(label(device));
    message.header.index == LOOPBACK && message.attributes.contains(&label)
}

fn address_of(message: &AddressMessage) -> Option<IpAddr> {
    message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(at) => Some(*at),
        _ => None,
    })
}

const fn ip(at: &RouteAddress) -> Option<IpAddr> {
    match at {
        RouteAddress::Inet(at) => Some(IpAddr::V4(*at)),
        RouteAddress::Inet6(at) => Some(IpAddr::V6(*at)),
        _ => None,
    }
}

/// The address that shows systemd-resolved a link in use, made from the machine's own (RFC 3927, section 2.1).
fn mark(address: &IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(own) = address else { return None };
    let [.., above, last] = own.octets();
    Some(Ipv4Addr::new(169, 254, 1 + above % 254, last))
}

fn is_within(one: Prefix, other: Prefix) -> bool {
    one.bits() >= other.bits() && other.contains(one.first())
}

/// IPv6 on this device also where others have none. Where that may not be said, setting the address tells what is
/// wrong.
fn settle(name: &str) {
    let path = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
    drop(OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(b"0")));
}

/// No address but the one that is set: the kernel would make a link-local one.
fn no_link_local() -> LinkAttribute {
    let mode = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
    LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![mode])])
}

/// Valid for ever, preferred for no time; at once, without asking the line whether somebody else has it.
fn deprecate(message: &mut AddressMessage) {
    let mut times = CacheInfo::default();
    times.ifa_valid = u32::MAX;
    message.attributes.push(AddressAttribute::CacheInfo(times));
    message.header.flags |= AddressHeaderFlags::Nodad;
}
