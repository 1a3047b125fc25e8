//! Names, answered: the realm's own zone from what the log and the directory say, everything else by the servers
//! that somebody named. Without any, nobody outside is ever asked.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use freehold_api::Problem;
use freehold_names::{Domain, LocalTime, PolicyParty, Row, reserved};
use freehold_reach::Party;
use freehold_resolver::{
    Config, Handle, Listen, Resolver, Roots, Server, Setting, Speaks, StartError, Upstream,
};
use freehold_wire::Prefix;
use tokio::sync::watch;

use super::Snapshot;
use crate::clock;
use crate::ports;
use crate::problem::chain;
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

/// For answers of others: many times what a household asks for in a day.
const CACHE_BYTES: usize = 8 << 20;
/// Where everybody asks for names.
const NAMES_PORT: u16 = 53;
/// More names than any list has.
const BLOCKED_MAX: usize = 4_000_000;

/// Where names are answered, and who is asked for those of the internet.
#[derive(Debug, Clone, Default)]
pub struct NamesWish {
    /// The addresses; those that somebody named are taken as they are or not at all.
    pub listen: Vec<SocketAddr>,
    /// The port on this machine's loopback, or another one if it is in use.
    pub port: u16,
    /// Servers, in order, as `192.0.2.1` or `tls://dns.example@192.0.2.1`.
    pub servers: Vec<String>,
}

/// Starts to answer; gives the addresses, and notes the wanted port if it could not be had.
///
/// # Errors
/// A [`Problem`] if an address that somebody named cannot be served, or a server not be asked. Where nobody named
/// any, a node that cannot answer for names goes on without.
pub(crate) async fn start(
    plane: &Plane,
    shared: &Arc<Shared>,
    view: watch::Receiver<Arc<Snapshot>>,
    wish: &NamesWish,
    moved: &mut Vec<String>,
) -> Result<Vec<String>, Problem> {
    match answer(plane, shared, view, wish, moved).await {
        Err(problem) if wish.listen.is_empty() && wish.servers.is_empty() => {
            plane.report(Health::Degraded(format!("{}: {}", problem.what, problem.why)));
            Ok(Vec::new())
        }
        answered => answered,
    }
}

async fn answer(
    plane: &Plane,
    shared: &Arc<Shared>,
    mut view: watch::Receiver<Arc<Snapshot>>,
    wish: &NamesWish,
    moved: &mut Vec<String>,
) -> Result<Vec<String>, Problem> {
    let upstreams = upstreams(&wish.servers)?;
    let mut listen = wish.listen.clone();
    if listen.is_empty() {
        listen.push(here(wish.port, moved).await?);
    }
    let first = view.borrow_and_update().clone();
    let config = |listen: &[SocketAddr]| {
        let parties = view.clone();
        Config {
            listen: listen.iter().map(|at| Listen { address: *at, speaks: Speaks::Plain }).collect(),
            tls: None,
            parties: Arc::new(move |from| party(&parties.borrow(), from.ip())),
            // Nobody has said any hours yet: UTC will do.
            clock: Arc::new(|| LocalTime::at(clock::wall(), 0)),
            cache: CACHE_BYTES,
            folder: shared.home.names(),
            roots: Roots::System,
            names_max: BLOCKED_MAX,
            setting: setting(&first, &upstreams),
        }
    };
    let handle = match in_network(shared, &first) {
        None => Resolver::start(config(&listen)).await,
        Some(own) => match Resolver::start(config(&[listen.as_slice(), &[own]].concat())).await {
            // Nobody asked for that: whoever has the port there, or the right to it, keeps it.
            Err(StartError::Listen { address, .. }) if address == own => {
                Resolver::start(config(&listen)).await
            }
            started => started,
        },
    };
    let handle = handle.map_err(|error| not_served(&error))?;
    let bound: Vec<String> = handle.bound().iter().map(|bound| bound.address.to_string()).collect();
    plane.report(Health::Up(format!("{} at {}", first.called.zone(), bound.join(", "))));
    plane.spawn_vital(keep(plane.clone(), handle, view, upstreams));
    Ok(bound)
}

async fn keep(
    plane: Plane,
    handle: Handle,
    mut view: watch::Receiver<Arc<Snapshot>>,
    upstreams: Vec<Upstream>,
) -> Result<(), String> {
    loop {
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => break,
            changed = view.changed() => {
                if changed.is_err() {
                    break;
                }
            }
        }
        let now = view.borrow_and_update().clone();
        handle.change(setting(&now, &upstreams)).await.map_err(|error| error.to_string())?;
    }
    if !handle.shutdown().await {
        tracing::warn!("answers about names were still under way");
    }
    Ok(())
}

/// Where the realm's machines and phones ask this one, if packets come here: its rules say who may.
fn in_network(shared: &Shared, now: &Snapshot) -> Option<SocketAddr> {
    // In user space nobody can have a port of that address: the stack hands it on.
    shared.tunnel.borrow().as_ref().filter(|tunnel| !tunnel.is_by_hand())?;
    let (own, _) = now.net.addresses(Party::Node(shared.me()))?;
    Some(SocketAddr::new(own.into(), NAMES_PORT))
}

/// What is answered here, and who is asked for the rest.
fn setting(now: &Snapshot, upstreams: &[Upstream]) -> Setting {
    let own = now.zone.iter().filter_map(|row| match row {
        Row::Zone { apex, .. } => Some(apex.clone()),
        Row::Record { .. } => None,
    });
    let own: Vec<Domain> = own.collect();
    let rows = now.zone.iter().cloned().chain(reserved(&own)).collect();
    Setting { rows, upstreams: upstreams.to_vec(), ..Setting::default() }
}

/// Whose question it is: this machine's, one of the realm's, or one of somebody in the network around; a stranger
/// gets no answer.
fn party(now: &Snapshot, from: IpAddr) -> Option<PolicyParty> {
    let from = from.to_canonical();
    let nobody = PolicyParty::default();
    if from.is_loopback() {
        return Some(nobody);
    }
    match now.net.party_of(from) {
        Some(Party::Node(node)) => Some(PolicyParty { node: Some(node), ..nobody }),
        Some(Party::Phone(phone)) => Some(PolicyParty { phone: Some(*phone.as_bytes()), ..nobody }),
        // Who has no rights in the realm is no neighbour by an address of it.
        None if is_near(from) && !now.own.iter().any(|own| own.contains(from)) => {
            Some(PolicyParty { address: Some(from), ..nobody })
        }
        Some(Party::Guest(..) | Party::Lan) | None => None,
    }
}

/// Whether an address is one of a house and not of the internet.
pub(super) fn is_near(at: IpAddr) -> bool {
    let local = match at {
        IpAddr::V4(at) => at.is_link_local(),
        IpAddr::V6(at) => at.is_unicast_link_local(),
    };
    local || Prefix::around(at, u8::MAX).is_private()
}

fn upstreams(servers: &[String]) -> Result<Vec<Upstream>, Problem> {
    let read = |text: &String| {
        text.parse::<Server>().map_err(|error| {
            Problem::invalid(
                format!("{text:?} cannot be asked for names"),
                error.to_string(),
                Some("freehold up --dns-upstream tls://dns.example@192.0.2.1"),
            )
        })
    };
    let servers = servers.iter().map(read).collect::<Result<Vec<Server>, _>>()?;
    if servers.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![Upstream { servers, validate: true, anchors: None }])
}

/// An address of this machine alone.
async fn here(wanted: u16, moved: &mut Vec<String>) -> Result<SocketAddr, Problem> {
    let loopback = IpAddr::from(std::net::Ipv4Addr::LOCALHOST);
    // Free for one protocol and then the other; who takes it meanwhile is told like anybody else.
    let listening = ports::listen("answering of names", loopback, wanted).await.map_err(|error| {
        Problem::refused("names cannot be answered", error.to_string(), Some("freehold up --dns ADDRESS"))
    })?;
    moved.extend(listening.moved);
    Ok(listening.address)
}

fn not_served(error: &StartError) -> Problem {
    let next = match error {
        StartError::Listen { .. } => format!("{}; or another address: freehold up --dns", error.remedy()),
        _ => error.remedy(),
    };
    Problem::refused("names cannot be answered", chain(error), Some(next))
}

#[cfg(test)]
mod tests;
