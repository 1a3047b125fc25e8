//! From what somebody wishes of the network to what the log is to say. What the log would refuse in a word is
//! refused here with what stands in the way.

use std::net::{IpAddr, Ipv4Addr};

use freehold_api::{NetNodeSetting, NetSetting, NewRule, NewService, Problem};
use freehold_realm::body::{NOBODY, NetSet, NodeNet, Ports, Preset, RuleFrom, RuleSet, RuleTo, ServiceSet};
use freehold_realm::{State, network_of, own_range};
use freehold_wire::{Bounded, Millis, NodeId, Prefix, RuleId, ServiceId};

use super::called::{Called, Thing};
use super::ports;

const NOT_CHANGED: &str = "the network was not changed";
const NO_SERVICE: &str = "no service was made";
const NO_RULE: &str = "no rule was made";
/// What gives a node the first address that is free.
const AUTO: &str = "auto";
/// What machines under a grant are named by.
const GRANT: &str = "grant:";

fn odd(what: &str, why: impl Into<String>, next: &str) -> Problem {
    Problem::invalid(what, why, Some(next))
}

fn network(text: &str) -> Result<Prefix, Problem> {
    text.parse::<Prefix>().map_err(|error| {
        odd(NOT_CHANGED, format!("{text:?} is {error}"), "write it as 192.168.1.0/24 or fd12:3456::/64")
    })
}

/// Must be a network of people's own.
fn private(network: Prefix) -> Result<Prefix, Problem> {
    if network.is_private() {
        return Ok(network);
    }
    Err(odd(
        NOT_CHANGED,
        format!("{network} is not a private network: nobody's machine takes addresses of the internet over"),
        "choose one within 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 or fc00::/7",
    ))
}

/// A list that ascends, nothing twice.
fn list<T: Ord, const N: usize>(what: &str, name: &str, mut all: Vec<T>) -> Result<Bounded<T, N>, Problem> {
    all.sort_unstable();
    all.dedup();
    Bounded::from_vec(all).map_err(|error| odd(what, format!("{name}: {error}"), "name fewer of them"))
}

/// What is to be said of the network as a whole.
pub(crate) fn of_whole(state: &State, called: &Called, wish: &NetSetting) -> Result<NetSet, Problem> {
    let now = &state.network;
    let own = own_range(&state.realm);
    let range = match wish.range.as_deref() {
        None => (now.range != own).then_some(now.range),
        Some("") => None,
        Some(text) => Some(private(network(text)?)?),
    };
    if let Some(range) = range
        && (range.first().is_ipv6() || range.bits() > 30)
    {
        return Err(odd(
            NOT_CHANGED,
            format!(
                "{range} cannot be the range of IPv4 addresses: it takes an IPv4 network of at most 30 bits"
            ),
            "freehold net set --range 10.20.0.0/16",
        ));
    }
    let wanted = range.unwrap_or(own);
    if let Some((route, node)) = routes(state).find(|(route, _)| route.overlaps(&wanted)) {
        return Err(Problem::conflict(
            NOT_CHANGED,
            format!("{wanted} overlaps {route}, which lies behind {}", called.shown(Thing::Node(node))),
            Some("choose another range, or take the network behind the node back: freehold net node --help"),
        ));
    }
    Ok(NetSet {
        range,
        guests_exit: wish.guests_exit.unwrap_or(now.guests_exit),
        strict: wish.strict.unwrap_or(now.strict),
    })
}

fn routes(state: &State) -> impl Iterator<Item = (Prefix, NodeId)> {
    let parts =
        state.nodes.iter().flat_map(|(id, node)| node.network.routes.iter().map(move |said| (id, said)));
    parts.flat_map(|(id, said)| said.what.iter().map(move |route| (*route, *id)))
}

/// What is to be said of a node's part.
pub(crate) fn of_node(
    state: &State,
    called: &Called,
    node: NodeId,
    wish: &NetNodeSetting,
) -> Result<NodeNet, Problem> {
    let v4 = match wish.ipv4.as_deref() {
        None => None,
        Some("") => Some(Ipv4Addr::UNSPECIFIED),
        Some(AUTO) => Some(free_address(state, node)?),
        Some(text) => Some(wanted_address(state, called, node, text)?),
    };
    let routes = wish.routes.as_ref().map(|all| wanted_routes(state, called, node, all)).transpose()?;
    let owner = match wish.owner.as_deref() {
        None => None,
        Some("") => Some(NOBODY),
        Some(typed) => Some(called.person(typed)?),
    };
    Ok(NodeNet { node, v4, exit: wish.exit, routes, owner, ingress: wish.ingress })
}

fn taken(state: &State, node: NodeId) -> impl Iterator<Item = (Ipv4Addr, NodeId)> {
    let others = state.nodes.iter().filter(move |(id, _)| **id != node);
    others.filter_map(|(id, other)| Some((other.network.v4.as_ref()?.what, *id)))
}

/// The one that it has, or else the first that nobody has.
fn free_address(state: &State, node: NodeId) -> Result<Ipv4Addr, Problem> {
    let range = state.network.range;
    let has = state.nodes.get(&node).and_then(|node| node.network.v4.as_ref()).map(|said| said.what);
    if let Some(has) = has.filter(|has| range.contains((*has).into())) {
        return Ok(has);
    }
    let taken: Vec<Ipv4Addr> = taken(state, node).map(|(at, _)| at).collect();
    let (IpAddr::V4(first), IpAddr::V4(last)) = (range.first(), range.last()) else {
        return Err(odd(
            NOT_CHANGED,
            format!("{range} is no IPv4 network"),
            "freehold net set --range 10.20.0.0/16",
        ));
    };
    let all = (first.to_bits().saturating_add(1)..last.to_bits()).map(Ipv4Addr::from_bits);
    all.into_iter().find(|at| !taken.contains(at)).ok_or_else(|| {
        Problem::conflict(
            NOT_CHANGED,
            format!("every address of {range} is taken"),
            Some("freehold net set --range 10.20.0.0/16    (a wider one)"),
        )
    })
}

fn wanted_address(state: &State, called: &Called, node: NodeId, text: &str) -> Result<Ipv4Addr, Problem> {
    let range = state.network.range;
    let at: Ipv4Addr = text.parse().map_err(|_| {
        odd(NOT_CHANGED, format!("{text:?} is no IPv4 address"), "freehold net node NODE --ipv4 auto")
    })?;
    if !range.contains(at.into()) || range.first() == IpAddr::V4(at) || range.last() == IpAddr::V4(at) {
        return Err(odd(
            NOT_CHANGED,
            format!("{at} is no address for a machine in {range}, the range of this realm"),
            "freehold net node NODE --ipv4 auto, or freehold net set --range",
        ));
    }
    match taken(state, node).find(|(other, _)| *other == at) {
        None => Ok(at),
        Some((_, other)) => Err(Problem::conflict(
            NOT_CHANGED,
            format!("{} has {at}", called.shown(Thing::Node(other))),
            Some("freehold net node NODE --ipv4 auto"),
        )),
    }
}

fn wanted_routes<const N: usize>(
    state: &State,
    called: &Called,
    node: NodeId,
    typed: &[String],
) -> Result<Bounded<Prefix, N>, Problem> {
    let all = typed.iter().map(|text| private(network(text)?)).collect::<Result<Vec<Prefix>, _>>()?;
    let own = [network_of(&state.realm), state.network.range];
    for route in &all {
        let least = if route.first().is_ipv4() { 8 } else { 16 };
        if route.bits() < least {
            return Err(odd(NOT_CHANGED, format!("{route} is too wide"), "name the networks that are there"));
        }
        if let Some(own) = own.iter().find(|own| own.overlaps(route)) {
            return Err(Problem::conflict(
                NOT_CHANGED,
                format!("{route} overlaps {own}, which this realm uses itself"),
                Some("name narrower networks; or move the IPv4 range: freehold net set --range"),
            ));
        }
        if let Some((_, other)) = routes(state).find(|(other, of)| other == route && *of != node) {
            return Err(Problem::conflict(
                NOT_CHANGED,
                format!("{route} lies behind {} already", called.shown(Thing::Node(other))),
                Some("take it back there first, or name a part of it"),
            ));
        }
    }
    list(NOT_CHANGED, "networks", all)
}

fn wanted_ports(what: &str, typed: &[String]) -> Result<Vec<Ports>, Problem> {
    let read = |text: &String| {
        ports::read(text).ok_or_else(|| {
            odd(what, format!("{text:?} is no port"), "such as tcp/8080, udp/53, tcp/8000-8010 or any")
        })
    };
    typed.iter().map(read).collect()
}

/// What is to be said of a service.
pub(crate) fn of_service(
    called: &Called,
    service: ServiceId,
    wish: &NewService,
) -> Result<ServiceSet, Problem> {
    let nodes =
        |typed: &[String]| typed.iter().map(|typed| called.node(typed)).collect::<Result<Vec<_>, _>>();
    // Gateways of another realm are named by the grant.
    let (borrowed, gateways): (Vec<String>, Vec<String>) =
        wish.gateways.iter().cloned().partition(|typed| typed.starts_with(GRANT));
    let (homes, wanted) = (nodes(&wish.nodes)?, wanted_ports(NO_SERVICE, &wish.ports)?);
    if homes.is_empty() || wanted.is_empty() {
        return Err(odd(
            NO_SERVICE,
            "it needs a node that it runs on, and a port",
            "freehold net service add NAME --node NODE --port tcp/8080",
        ));
    }
    let mut preset = None;
    let mut grants = borrowed.iter().map(|typed| called.grant(typed)).collect::<Result<Vec<_>, _>>()?;
    for access in &wish.access {
        let said = match access.as_str() {
            "realm" => Preset::Realm,
            "lan" => Preset::Lan,
            "public" => Preset::Public,
            other if other.starts_with(GRANT) => {
                grants.push(called.grant(other)?);
                continue;
            }
            other => {
                return Err(odd(
                    NO_SERVICE,
                    format!("{other:?} does not say who may use it"),
                    "--access realm, lan or public, and grant:ID for another realm's machines under a grant",
                ));
            }
        };
        if preset.replace(said).is_some_and(|before| before != said) {
            return Err(odd(NO_SERVICE, "only one of realm, lan and public can hold", "--access realm"));
        }
    }
    Ok(ServiceSet {
        service,
        homes: list(NO_SERVICE, "nodes", homes)?,
        ports: list(NO_SERVICE, "ports", wanted)?,
        preset: preset.unwrap_or(Preset::Realm),
        grants: list(NO_SERVICE, "grants", grants)?,
        gateways: list(NO_SERVICE, "gateways", nodes(&gateways)?)?,
        sign_on: wish.sign_on,
    })
}

/// What is to be said of a rule.
pub(crate) fn of_rule(
    called: &Called,
    rule: RuleId,
    now: Millis,
    wish: &NewRule,
) -> Result<RuleSet, Problem> {
    let from = wish.from.iter().map(|typed| called.rule_from(typed)).collect::<Result<Vec<RuleFrom>, _>>()?;
    let to = wish.to.iter().map(|typed| called.rule_to(typed)).collect::<Result<Vec<RuleTo>, _>>()?;
    let wanted = wanted_ports(NO_RULE, &wish.ports)?;
    let services = to.iter().filter(|to| matches!(to, RuleTo::Service(_))).count();
    let why = if from.is_empty() || to.is_empty() {
        Some("it needs who may, and what they may reach")
    } else if services == to.len() && !wanted.is_empty() {
        Some("a service has its own ports, so the rule can name none")
    } else if services < to.len() && wanted.is_empty() {
        Some("it has to say at which ports of a machine")
    } else if wish.until_ms.is_some_and(|until| Millis(until) <= now) {
        Some("it would have lapsed already")
    } else {
        None
    };
    if let Some(why) = why {
        return Err(odd(NO_RULE, why, "freehold net rule add NAME --from WHO --to NODE --port tcp/22"));
    }
    Ok(RuleSet {
        rule,
        from: list(NO_RULE, "who may", from)?,
        to: list(NO_RULE, "what they may reach", to)?,
        ports: list(NO_RULE, "ports", wanted)?,
        until: wish.until_ms.map(Millis),
    })
}

#[cfg(test)]
mod tests;
