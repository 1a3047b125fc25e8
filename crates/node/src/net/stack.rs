//! The network without privileges: what the stack in user space asks of this node, and how far what comes over
//! the network is let to the loopback.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Weak};

use freehold_names::{Data, Domain, Row};
use freehold_packet::Flow;
use freehold_reach::{Net, Party, Why, Wish};
use freehold_realm::State;
use freehold_realm::body::{Ports, RuleTo};
use freehold_stack::{COMERS, Config, Found, Inlet, Limits, Realm, Stack, Way};
use freehold_tunnel::{Hands, MTU};
use freehold_wire::NodeId;
use tokio::sync::watch;

use super::Snapshot;
use crate::shared::Shared;

/// Where everybody asks for names.
const NAMES_PORT: u16 = 53;
/// Whoever opens more ports than this at once has named none of them.
const NAMED_MAX: u16 = 1000;

/// The realm's network as the stack sees it.
pub(crate) struct ForStack {
    shared: Weak<Shared>,
    view: watch::Receiver<Arc<Snapshot>>,
    me: NodeId,
}

impl std::fmt::Debug for ForStack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForStack").field("me", &self.me).finish_non_exhaustive()
    }
}

impl ForStack {
    pub(crate) fn new(shared: &Arc<Shared>, view: watch::Receiver<Arc<Snapshot>>) -> Self {
        Self { shared: Arc::downgrade(shared), view, me: shared.me() }
    }

    fn now(&self) -> Arc<Snapshot> {
        Arc::clone(&self.view.borrow())
    }

    /// Where this node answers for names.
    fn names(&self) -> Option<SocketAddr> {
        let shared = self.shared.upgrade()?;
        let at: SocketAddr = shared.endpoints.get()?.names.first()?.parse().ok()?;
        let here: IpAddr = match at.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        Some(if at.ip().is_unspecified() { SocketAddr::new(here, at.port()) } else { at })
    }
}

impl Realm for ForStack {
    fn own(&self) -> Vec<IpAddr> {
        own(&self.now().net, self.me)
    }

    fn inlet(&self, flow: &Flow) -> Inlet {
        let now = self.now();
        let cause = now.net.party_of(flow.src).and_then(|party| now.net.judge(party, flow).cause);
        match cause.map(|cause| cause.why) {
            // What others lead through this machine would need its kernel.
            None | Some(Why::Route | Why::Exit) => Inlet::Shut,
            Some(_) if flow.dport == NAMES_PORT => self.names().map_or(Inlet::Shut, Inlet::At),
            Some(_) => {
                let named = |shared: Arc<Shared>| is_named(shared.log.view().state(), self.me, flow);
                let named = self.shared.upgrade().is_some_and(named);
                if named { Inlet::Named } else { Inlet::Wide }
            }
        }
    }

    fn look_up(&self, name: &str) -> Found {
        let now = self.now();
        look_up(now.called.zone(), &now.zone, name)
    }

    fn leads(&self, to: IpAddr) -> bool {
        // Also to what others offer, where that was chosen: an exit, networks behind machines.
        let wish = self.shared.upgrade().map_or_else(Wish::default, |shared| shared.chosen.choice().wish);
        self.now().net.via(to, &wish).is_some()
    }
}

fn own(net: &Net, me: NodeId) -> Vec<IpAddr> {
    let Some((v6, v4)) = net.addresses(Party::Node(me)) else { return Vec::new() };
    [Some(v6.into()), v4.map(IpAddr::from)].into_iter().flatten().chain(net.offered()).collect()
}

/// Whether somebody has named this very port of this machine, as a service's or in a rule: whatever listens there
/// is meant, also on the loopback. That one's own laptop reaches everything names nothing.
fn is_named(state: &State, me: NodeId, flow: &Flow) -> bool {
    let few = |ports: &Ports| *ports != Ports::ALL && ports.last - ports.first < NAMED_MAX;
    let has = |all: &[Ports]| all.iter().any(|ports| few(ports) && ports.contain(flow.proto, flow.dport));
    let served = state.live_services().any(|(_, service)| service.homes.contains(&me) && has(&service.ports));
    served || state.live_rules().any(|(_, rule)| rule.to.contains(&RuleTo::Node(me)) && has(&rule.ports))
}

/// Who comes to a door of this machine from there: whoever is behind it, where the stack has brought it. Nobody, if
/// that is not known: what came over the network is never this machine itself.
pub(crate) fn behind(way: Option<&Way>, from: SocketAddr) -> Option<SocketAddr> {
    let ip = from.ip().to_canonical();
    if !ip.is_loopback() {
        return Some(from);
    }
    let whose = match way {
        Some(Way::Stack(dialer)) => dialer.whose(from),
        _ => None,
    };
    // IPv6 has no address of the loopback to tell by.
    let brought = ip == IpAddr::V4(COMERS) || (ip.is_ipv6() && matches!(way, Some(Way::Stack(_))));
    match whose {
        Some(whose) => Some(SocketAddr::new(whose, from.port())),
        None => (!brought).then_some(from),
    }
}

/// What a name means: one of the realm's, in full or without the zone.
fn look_up(zone: &str, rows: &[Row], name: &str) -> Found {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let Ok(apex) = zone.parse::<Domain>() else { return Found::Foreign };
    let full = if name.contains('.') || name.is_empty() { name } else { format!("{name}.{zone}") };
    let Ok(full) = full.parse::<Domain>() else { return Found::Foreign };
    if !full.is_within(&apex) {
        return Found::Foreign;
    }
    let here = rows.iter().filter_map(|row| match row {
        Row::Record { name, data: Data::V6(at), .. } if *name == full => Some(IpAddr::V6(*at)),
        Row::Record { name, data: Data::V4(at), .. } if *name == full => Some(IpAddr::V4(*at)),
        _ => None,
    });
    let here: Vec<IpAddr> = here.collect();
    if here.is_empty() { Found::Nothing } else { Found::Here(here) }
}

/// Starts a stack, and what carries packets to it and from it.
pub(crate) fn start(realm: Arc<dyn Realm>) -> (Stack, Hands) {
    let (stack, ends) = Stack::start(Config { mtu: MTU, limits: Limits::default() }, realm);
    (stack, Hands { to: ends.to, from: ends.from })
}

#[cfg(test)]
mod tests;
