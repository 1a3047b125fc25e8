//! The ways of packets besides the tunnel's own: out to the internet through another node (an exit), to networks
//! behind others, and, where this machine is such a node, on for whoever may.
//!
//! Everything that this machine sends goes into the tunnel by a table of routes of our own, asked before the
//! machine's. What the mesh sends is asked about earlier still, or it would run inside itself; so is what others
//! began, and what is passed on for others, which leaves as if no exit were used here: two machines that are each
//! other's exit send nothing round in circles. When the process dies the device goes, and what remains of the
//! table sends everything nowhere, until the next start. Networks of which others can tell a machine that they
//! are near (by DHCP, say) do not take anything out of it, unless the network around is to be reached.

mod around;
mod passage;
mod route;
mod rule;
mod setting;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use freehold_packet::protocol::{TCP, UDP};
use freehold_reach::Through;
use freehold_wire::Prefix;
use futures::TryStreamExt as _;
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::packet_route::rule::RuleMessage;
use rtnetlink::{Handle, IpVersion, RouteMessageBuilder};
use tokio_util::task::TaskTracker;

use self::around::Around;
use self::passage::{Passage, answers};
use self::route::{Route, Seen, Way};
use self::rule::{MAIN, Rule, TABLE, Which};
pub use self::setting::SettingError;
use self::setting::Settings;
use crate::filter::{self, Table};
use crate::nft::{FilterError, Nft};

/// The first of our rules; others' tunnels come later, and the machine's own table last of all.
const FIRST: u32 = 4710;

/// How this machine goes out through an exit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Out {
    /// Whether the network around is reached past the exit.
    pub lan: bool,
    /// Whether packets may go out as if there were no exit, where it cannot be used.
    pub may_leak: bool,
    /// UDP ports of the mesh's sockets on this machine.
    pub mesh: Vec<u16>,
    /// TCP and UDP port of the relay that this machine runs.
    pub relay: Option<u16>,
    /// The relays that the mesh uses.
    pub relays: Vec<SocketAddr>,
}

/// What is wanted of the kernel; nothing, if it is as by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WaysWish {
    /// Whether everything goes out through an exit.
    pub out: Option<Out>,
    /// The networks behind others that are used from here.
    pub networks: BTreeSet<Prefix>,
    /// The machine's addresses in the realm, the one from its key and the one that the log gives it.
    pub sources: Vec<IpAddr>,
    /// The realm's own networks.
    pub own: Vec<Prefix>,
    /// For whom packets are passed on.
    pub through: Through,
    /// The networks behind this machine.
    pub behind: Vec<Prefix>,
}

/// Something of it is not so; the rest is.
#[derive(Debug, thiserror::Error)]
pub enum WayError {
    /// Rules or routes.
    #[error("{doing}; routes need the right CAP_NET_ADMIN")]
    Route {
        /// What was to be done.
        doing: String,
        /// What the kernel said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nothing is passed on, for the reason given.
    #[error("packets are passed on for nobody")]
    NotPassedOn(#[source] FilterError),
    /// An exit is used, and what others began does not find its way back.
    #[error("whoever reaches this machine from outside the realm gets no answer while an exit is used")]
    NotAnswered(#[source] FilterError),
    /// A switch of the kernel.
    #[error("the kernel is not set as it should be")]
    Setting(#[from] SettingError),
}

fn failed<E>(doing: impl Into<String>) -> impl FnOnce(E) -> WayError
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let doing = doing.into();
    |source| WayError::Route { doing, source: source.into() }
}

/// The kernel's rules, routes, filter and switches, as far as they are ours.
pub struct Ways {
    device: String,
    handle: Handle,
    tasks: TaskTracker,
    filter: Option<(Nft, Table)>,
    settings: Settings,
}

/// What the kernel has now.
struct Now {
    rules: Vec<(Rule, RuleMessage)>,
    routes: Vec<(Route, RouteMessage)>,
    around: Around,
    /// The tunnel's device, if it is there.
    device: Option<u32>,
}

impl Ways {
    /// For a tunnel's device of that name, there or not. Nothing is changed yet; what an earlier process left
    /// behind is, with the first wish. `note` is a file that says which switches to put back.
    ///
    /// # Errors
    /// [`WayError::Route`] if the kernel cannot be asked at all.
    pub fn open(device: &str, note: &Path) -> Result<Self, WayError> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(failed("no netlink socket"))?;
        let tasks = TaskTracker::new();
        // Ends with the last handle.
        tasks.spawn(connection);
        let settings = Settings::of(note);
        Ok(Self { device: device.to_owned(), handle, tasks, filter: None, settings })
    }

    /// Makes everything so, as far as that goes; asked again, it mends what others have changed meanwhile.
    pub async fn want(&mut self, wish: &WaysWish) -> Vec<WayError> {
        let now = match self.look().await {
            Ok(now) => now,
            Err(error) => return vec![error],
        };
        let mut troubles = self.pass_on(wish, &now).await;
        let (rules, routes) = (rules(&self.device, wish), routes(wish, &now));
        troubles.extend(self.set(&now, &rules, &routes).await);
        troubles
    }

    /// Takes everything back.
    pub async fn leave(mut self) -> Vec<WayError> {
        let troubles = self.want(&WaysWish::default()).await;
        let Self { handle, tasks, .. } = self;
        drop(handle);
        tasks.close();
        tasks.wait().await;
        troubles
    }

    /// Waits until the filter is gone although nobody asked for that; then it has to be wanted again. Never,
    /// while there is none.
    pub async fn lost(&mut self) {
        match &mut self.filter {
            Some((nft, _)) => nft.ended().await,
            None => std::future::pending().await,
        }
        self.filter = None;
    }

    /// The filter first, then what makes the kernel pass on; the other way round where it ends.
    async fn pass_on(&mut self, wish: &WaysWish, now: &Now) -> Vec<WayError> {
        let passage = Passage {
            through: wish.through.clone(),
            behind: wish.behind.clone(),
            house: now.around.house().into_iter().collect(),
            own: wish.own.clone(),
            only: !self.settings.passes_on(),
        };
        let is_open = now.device.is_some() && !passage.is_shut();
        let mut troubles = Vec::new();
        if !is_open {
            troubles
                .extend(self.settings.want(&BTreeSet::new(), wish.out.is_some()).err().map(WayError::from));
        }
        let mut chains = if is_open { passage.chains(&self.device) } else { Vec::new() };
        chains.extend(wish.out.iter().flat_map(|_| answers(&self.device)));
        let table = Table { name: format!("{}-ways", filter::name(&self.device)), chains };
        let filtered = self.filter(table).await;
        if is_open {
            let mut devices = match &filtered {
                Ok(()) => now.around.toward(&wish.behind, !wish.through.world.is_empty()),
                Err(_) => BTreeSet::new(),
            };
            if !devices.is_empty() {
                devices.insert(self.device.clone());
            }
            troubles.extend(self.settings.want(&devices, wish.out.is_some()).err().map(WayError::from));
        }
        if let Err(error) = filtered {
            troubles.push(if is_open { WayError::NotPassedOn(error) } else { WayError::NotAnswered(error) });
        }
        troubles
    }

    async fn filter(&mut self, table: Table) -> Result<(), FilterError> {
        if table.chains.is_empty() {
            self.filter = None;
            return Ok(());
        }
        if self.filter.as_ref().is_some_and(|(_, known)| *known == table) {
            return Ok(());
        }
        let (mut nft, known) = match self.filter.take() {
            Some((nft, known)) => (nft, Some(known)),
            None => (Nft::start()?, None),
        };
        let done = nft.make(&table).await;
        match (&done, known) {
            (Ok(()), _) => self.filter = Some((nft, table)),
            // What it had it has, while the kernel still passes on.
            (Err(FilterError::Refused(_)), Some(known)) => self.filter = Some((nft, known)),
            (Err(_), _) => {}
        }
        done
    }

    /// First what is missing, then what is too much: nothing goes another way in between.
    async fn set(&self, now: &Now, rules: &BTreeSet<Rule>, routes: &BTreeSet<Route>) -> Vec<WayError> {
        let mut troubles = Vec::new();
        let (aside, stays): (Vec<_>, Vec<_>) = now
            .routes
            .iter()
            .partition(|(route, _)| routes.iter().any(|wanted| route.is_in_the_way_of(wanted)));
        for (_, message) in aside {
            // If it cannot go, setting the other one says why.
            drop(self.handle.route().del(message.clone()).execute().await);
        }
        let there: BTreeSet<&Route> = stays.iter().map(|(route, _)| route).collect();
        for route in routes.iter().filter(|route| !there.contains(route)) {
            let doing = || format!("set the route to {}", route.to);
            let add = self.handle.route().add(route.message()).execute().await;
            troubles.extend(add.map_err(failed(doing())).err());
        }
        let there: BTreeSet<&Rule> = now.rules.iter().map(|(rule, _)| rule).collect();
        for rule in rules.iter().filter(|rule| !there.contains(rule)) {
            let mut add = self.handle.rule().add();
            *add.message_mut() = rule.message();
            let add = add.execute().await.map_err(failed(format!("set the routing rule {}", rule.number)));
            troubles.extend(add.err());
        }
        // The last rule leads into the table, the ones before it lead around: the last one goes first.
        for (rule, message) in now.rules.iter().rev().filter(|(rule, _)| !rules.contains(rule)) {
            let end = self.handle.rule().del(message.clone()).execute().await;
            troubles.extend(end.map_err(failed(format!("take back the routing rule {}", rule.number))).err());
        }
        for (route, message) in stays.into_iter().filter(|(route, _)| !routes.contains(route)) {
            let end = self.handle.route().del(message.clone()).execute().await;
            troubles.extend(end.map_err(failed(format!("take back the route to {}", route.to))).err());
        }
        troubles
    }

    async fn look(&self) -> Result<Now, WayError> {
        let mut names = BTreeMap::new();
        let mut links = self.handle.link().get().execute();
        while let Some(link) = links.try_next().await.map_err(failed("list network devices"))? {
            let name = link.attributes.into_iter().find_map(|attribute| match attribute {
                LinkAttribute::IfName(name) => Some(name),
                _ => None,
            });
            names.extend(name.map(|name| (link.header.index, name)));
        }
        let device = names.iter().find(|(_, name)| **name == self.device).map(|(index, _)| *index);
        let (mut rules, mut ours, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        for v6 in families() {
            let mut all = self.handle.rule().get(if v6 { IpVersion::V6 } else { IpVersion::V4 }).execute();
            while let Some(message) = all.try_next().await.map_err(failed("list routing rules"))? {
                rules.extend(Rule::read(&message).map(|rule| (rule, message)));
            }
            let ask = if v6 {
                RouteMessageBuilder::<std::net::Ipv6Addr>::new().build()
            } else {
                RouteMessageBuilder::<std::net::Ipv4Addr>::new().build()
            };
            let mut all = self.handle.route().get(ask).execute();
            while let Some(message) = all.try_next().await.map_err(failed("list routes"))? {
                match Route::read(&message) {
                    Some(route) => ours.push((route, message)),
                    None => seen.extend(Seen::read(&message)),
                }
            }
        }
        rules.sort_by(|(one, _), (other, _)| one.cmp(other));
        let around = Around::of(seen, names, device.unwrap_or(0));
        Ok(Now { rules, routes: ours, around, device })
    }
}

impl std::fmt::Debug for Ways {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ways").field("device", &self.device).finish_non_exhaustive()
    }
}

/// Whether IPv6, for each family that the kernel has.
fn families() -> Vec<bool> {
    let v6 = Path::new("/proc/sys/net/ipv6").exists();
    if v6 { vec![false, true] } else { vec![false] }
}

/// Which table is asked for what.
fn rules(device: &str, wish: &WaysWish) -> BTreeSet<Rule> {
    let Some(out) = &wish.out else { return BTreeSet::new() };
    let mut all: Vec<(u32, Option<bool>, Which, u32)> = Vec::new();
    for port in out.mesh.iter().chain(&out.relay) {
        all.push((0, None, Which::From { proto: UDP, port: *port }, MAIN));
    }
    all.extend(out.relay.map(|port| (0, None, Which::From { proto: TCP, port }, MAIN)));
    for at in &out.relays {
        let which = Which::To { proto: TCP, at: at.ip(), port: at.port() };
        all.push((1, Some(at.is_ipv6()), which, MAIN));
    }
    all.push((2, None, Which::Marked, MAIN));
    all.push((3, None, Which::By(device.to_owned()), MAIN));
    if out.lan {
        all.push((4, None, Which::All, MAIN));
    }
    all.push((5, None, Which::All, TABLE));
    let both = all.into_iter().flat_map(|(at, only, which, table)| {
        let of = families().into_iter().filter(move |v6| only.is_none_or(|only| only == *v6));
        of.map(move |v6| Rule { number: FIRST + at, v6, which: which.clone(), table, near: at == 4 })
    });
    both.collect()
}

/// The routes of our table, and those into the tunnel among the machine's.
fn routes(wish: &WaysWish, now: &Now) -> BTreeSet<Route> {
    let mut all = BTreeSet::new();
    for v6 in families() {
        let source = wish.sources.iter().copied().find(|at| at.is_ipv6() == v6);
        let tunnel =
            now.device.zip(source).map(|(device, source)| Way::Tunnel { device, source: Some(source) });
        let is_of = |network: &&Prefix| network.first().is_ipv6() == v6;
        if let Some(way) = tunnel {
            let used = wish.networks.iter().filter(is_of);
            all.extend(used.map(|to| Route { table: MAIN, to: *to, way }));
        }
        let Some(out) = &wish.out else { continue };
        let everywhere = everywhere(v6);
        let mut put = |to, way| all.insert(Route { table: TABLE, to, way });
        if let Some(way) = tunnel {
            put(everywhere, way);
        }
        if !out.may_leak {
            put(everywhere, Way::Nowhere);
        }
        for to in links(v6).iter().chain(now.around.inside().iter().filter(is_of)) {
            put(*to, Way::Elsewhere);
        }
    }
    all
}

fn everywhere(v6: bool) -> Prefix {
    use std::net::{Ipv4Addr, Ipv6Addr};
    let at: IpAddr = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    Prefix::around(at, 0)
}

/// What only means something on one link: it leaves no house.
fn links(v6: bool) -> [Prefix; 2] {
    let [one, other]: [IpAddr; 2] = if v6 {
        [[0xfe80, 0, 0, 0, 0, 0, 0, 0].into(), [0xff00, 0, 0, 0, 0, 0, 0, 0].into()]
    } else {
        [[169, 254, 0, 0].into(), [224, 0, 0, 0].into()]
    };
    let bits = if v6 { (10, 8) } else { (16, 4) };
    [Prefix::around(one, bits.0), Prefix::around(other, bits.1)]
}

#[cfg(test)]
mod tests;
