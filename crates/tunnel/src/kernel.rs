//! What the kernel knows of the device: addresses and routes, over netlink.
//!
//! The mesh must not offer the tunnel's own addresses as places to reach this machine at, or a tunnel would
//! run inside itself. It leaves out deprecated IPv6 addresses and everything on `lo`: so the IPv6 address
//! is there and deprecated, and the IPv4 address stands on `lo` alone. Routes name the source, since the
//! kernel would choose neither by itself.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{IpAddr, Ipv6Addr};

use freehold_wire::Prefix;
use futures::TryStreamExt as _;
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage, CacheInfo};
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::{Error, Handle, LinkUnspec, RouteMessageBuilder};
use tokio_util::task::TaskTracker;

/// `lo`, in every network namespace.
const LOOPBACK: u32 = 1;

/// Addresses or routes could not be set.
#[derive(Debug, thiserror::Error)]
#[error("{doing}; routes and addresses need the right CAP_NET_ADMIN")]
pub struct RouteError {
    doing: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

fn failed(doing: impl Into<String>) -> impl FnOnce(Error) -> RouteError {
    let doing = doing.into();
    |source| RouteError { doing, source: source.into() }
}

/// What the kernel is to know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Wanted {
    pub(crate) addresses: BTreeSet<IpAddr>,
    pub(crate) networks: BTreeSet<Prefix>,
}

/// The kernel's view of one device, and what was set.
pub(crate) struct Kernel {
    handle: Handle,
    index: u32,
    set: Wanted,
}

impl Kernel {
    /// Finds the device, sets the size of its packets, and switches it on.
    pub(crate) async fn of(name: &str, mtu: u16, tasks: &TaskTracker) -> Result<Self, RouteError> {
        let (connection, handle, _) = rtnetlink::new_connection()
            .map_err(|source| RouteError { doing: "no netlink socket".to_owned(), source: source.into() })?;
        // Ends with the last handle.
        tasks.spawn(connection);
        let mut found = handle.link().get().match_name(name.to_owned()).execute();
        let link = found.try_next().await.map_err(failed(format!("look for the device {name}")))?;
        let index = link.map_or(0, |link| link.header.index);
        settle(name);
        let up = LinkUnspec::new_with_index(index).mtu(u32::from(mtu)).up().build();
        handle.link().set(up).execute().await.map_err(failed(format!("switch the device {name} on")))?;
        Ok(Self { handle, index, set: Wanted::default() })
    }

    /// Makes addresses and routes what they are to be, as far as that goes; what fails is tried again with
    /// the next change.
    pub(crate) async fn want(&mut self, wanted: &Wanted) -> Result<(), RouteError> {
        let mut trouble = Ok(());
        for network in self.set.networks.difference(&wanted.networks).copied().collect::<Vec<_>>() {
            // Gone already is as good.
            drop(self.handle.route().del(self.route(network, None)).execute().await);
            self.set.networks.remove(&network);
        }
        if self.set.addresses != wanted.addresses {
            // Routes name the address that they are used with, and some go with it.
            self.set.networks.clear();
        }
        for address in self.set.addresses.difference(&wanted.addresses).copied().collect::<Vec<_>>() {
            self.remove(address).await;
            self.set.addresses.remove(&address);
        }
        for address in wanted.addresses.difference(&self.set.addresses).copied().collect::<Vec<_>>() {
            match self.add(address).await.map_err(failed(format!("set the address {address}"))) {
                Ok(()) => drop(self.set.addresses.insert(address)),
                Err(error) => trouble = Err(error),
            }
        }
        for network in wanted.networks.difference(&self.set.networks).copied().collect::<Vec<_>>() {
            let v6 = network.first().is_ipv6();
            // The machine's own, which sorts before those of services.
            let source = self.set.addresses.iter().find(|address| address.is_ipv6() == v6);
            // Without an address of the family nothing could be sent there.
            let Some(source) = source.copied() else { continue };
            let route = self.handle.route().add(self.route(network, Some(source))).replace().execute();
            match route.await.map_err(failed(format!("set the route to {network}"))) {
                Ok(()) => drop(self.set.networks.insert(network)),
                Err(error) => trouble = Err(error),
            }
        }
        trouble
    }

    /// Takes back what would outlive the device.
    pub(crate) async fn leave(&mut self) {
        for address in std::mem::take(&mut self.set.addresses) {
            self.remove(address).await;
        }
    }

    async fn add(&self, address: IpAddr) -> Result<(), Error> {
        let (index, bits) = self.place(address);
        let mut add = self.handle.address().add(index, address, bits).replace();
        if address.is_ipv6() {
            deprecate(add.message_mut());
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

    fn route(&self, network: Prefix, source: Option<IpAddr>) -> RouteMessage {
        match network.first() {
            IpAddr::V4(first) => {
                let route = RouteMessageBuilder::<std::net::Ipv4Addr>::new();
                let route = route.destination_prefix(first, network.bits()).output_interface(self.index);
                match source {
                    Some(IpAddr::V4(source)) => route.pref_source(source).build(),
                    _ => route.build(),
                }
            }
            IpAddr::V6(first) => {
                let route = RouteMessageBuilder::<Ipv6Addr>::new();
                let route = route.destination_prefix(first, network.bits()).output_interface(self.index);
                match source {
                    Some(IpAddr::V6(source)) => route.pref_source(source).build(),
                    _ => route.build(),
                }
            }
        }
    }
}

/// IPv6 on this device also where others have none, and no address but the one that is set: the kernel would
/// make a link-local one. Where neither may be said, setting the address tells what is wrong.
fn settle(name: &str) {
    for (setting, value) in [("disable_ipv6", "0"), ("addr_gen_mode", "1")] {
        let path = format!("/proc/sys/net/ipv6/conf/{name}/{setting}");
        drop(OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(value.as_bytes())));
    }
}

/// Valid for ever, preferred for no time; at once, without asking the line whether somebody else has it.
fn deprecate(message: &mut AddressMessage) {
    let mut times = CacheInfo::default();
    times.ifa_valid = u32::MAX;
    message.attributes.push(AddressAttribute::CacheInfo(times));
    message.header.flags |= AddressHeaderFlags::Nodad;
}
