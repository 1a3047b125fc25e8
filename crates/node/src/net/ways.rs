//! Exits and networks behind machines, as the kernel is told of them: what this machine uses, as it has chosen,
//! and what it leads others to, as the log says. Looked at again every few seconds, since the networks around
//! change too.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use freehold_reach::{Net, Party, Through};
use freehold_realm::State;
use freehold_tunnel::{Config, Out, WayError, Ways, WaysWish};
use freehold_wire::{Millis, NodeId};
use tokio::sync::watch;

use super::called::{Called, Thing};
use super::choice::Choice;
use super::{Snapshot, TunnelWish, called};
use crate::clock;
use crate::problem::chain;
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

/// How often it is looked whether everything is as it should be.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// And after something could not be done: an address may come in a moment.
const AGAIN: Duration = Duration::from_millis(500);
/// How often the names of relays are asked for, and how long an answer may take.
const ASK_EVERY: Duration = Duration::from_mins(1);
const ASK_WITHIN: Duration = Duration::from_secs(2);

/// How the choice of an exit stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    /// Why it cannot be used, if it cannot.
    pub(crate) barrier: Option<String>,
    /// What else is to be known.
    pub(crate) notes: Vec<String>,
}

/// How a choice stands by the log alone.
pub(crate) fn standing(state: &State, called: &Called, me: NodeId, choice: &Choice, now: Millis) -> Standing {
    let Some(exit) = choice.wish.exit else { return Standing::default() };
    let name = called.shown(Thing::Node(exit));
    let barred = |barrier: String| Standing { barrier: Some(barrier), notes: Vec::new() };
    let there = Net::of(state, exit, &BTreeMap::new(), now);
    if !there.is_exit(&exit) {
        let next = "freehold net use --exit none, or another one";
        return barred(format!("{name} is no exit, or has no rights any more: {next}"));
    }
    let Some((v6, v4)) = there.addresses(Party::Node(me)) else {
        return barred("this machine has no rights in the realm's network".to_owned());
    };
    if !there.through().world.contains(&IpAddr::from(v6)) {
        return barred(format!(
            "{name} lets only laptops and phones of members through, and this machine is none: freehold net status"
        ));
    }
    let own = called.name(Thing::Node(me));
    let none = v4.is_none().then(|| {
        format!("this machine has no IPv4 address in the realm: an admin types freehold net node {own} --ipv4 auto")
    });
    Standing { barrier: None, notes: none.into_iter().collect() }
}

/// The servers for names that stand in the network around, by `/etc/resolv.conf`.
pub(crate) fn nearby_servers(resolv_conf: &str) -> Vec<IpAddr> {
    let servers =
        resolv_conf.lines().filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok());
    let near = |at: &IpAddr| {
        !at.is_loopback() && freehold_wire::Prefix::around(*at, u8::MAX).is_private()
            || matches!(at, IpAddr::V6(at) if at.is_unicast_link_local())
    };
    servers.filter(near).collect()
}

/// Starts to tell the kernel; it ends with the plane. What an earlier process left is taken back in any case.
pub(crate) fn start(
    plane: &Plane,
    shared: &Arc<Shared>,
    view: watch::Receiver<Arc<Snapshot>>,
    wish: &TunnelWish,
) {
    let device = wish.device.clone().unwrap_or_else(|| Config::default().name);
    match Ways::open(&device, &shared.home.kernel_note()) {
        Ok(ways) => {
            let no_tun = wish.by_hand;
            let keeper =
                Keeper { shared: Arc::clone(shared), ways, no_tun, names: BTreeMap::new(), asked: None };
            plane.spawn(keeper.keep(plane.clone(), view));
        }
        Err(error) => plane.report(Health::Degraded(chain(&error))),
    }
}

struct Keeper {
    shared: Arc<Shared>,
    ways: Ways,
    /// That no network device is wanted.
    no_tun: bool,
    /// Relays that are known by name, and where they were when that was asked last.
    names: BTreeMap<String, Vec<SocketAddr>>,
    asked: Option<Instant>,
}

impl Keeper {
    async fn keep(mut self, plane: Plane, mut view: watch::Receiver<Arc<Snapshot>>) {
        let mut chosen = self.shared.chosen.watch();
        let mut every = tokio::time::interval(LOOK_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = plane.cancel().cancelled() => break,
                changed = view.changed() => if changed.is_err() { break },
                changed = chosen.changed() => if changed.is_err() { break },
                () = self.ways.lost() => tracing::warn!("the program that holds the packet filter has ended"),
                _ = every.tick() => {}
            }
            let (number, choice) = chosen.borrow_and_update().clone();
            let now = Arc::clone(&view.borrow_and_update());
            if !self.look(&plane, &now, number, &choice).await {
                every.reset_after(AGAIN);
            }
        }
        for error in self.ways.leave().await {
            tracing::warn!(error = %chain(&error), "something of the ways out stays behind");
        }
    }

    /// Tells the kernel; whether it did everything.
    async fn look(&mut self, plane: &Plane, now: &Snapshot, number: u64, choice: &Choice) -> bool {
        let log = self.shared.log.view();
        let me = self.shared.me();
        let standing = standing(log.state(), &called(&self.shared, log.state()), me, choice, clock::wall());
        let hindered = standing.barrier.clone().or_else(|| self.unreached(choice));
        // Without a network device only what goes by the proxies goes through the exit.
        let by_hand = matches!(&*self.shared.way.borrow(), Some(freehold_stack::Way::Stack(_)));
        let wish = WaysWish {
            out: if is_held(choice, hindered.is_some(), by_hand, self.no_tun) {
                Some(self.out(choice).await)
            } else {
                None
            },
            networks: if by_hand { BTreeSet::new() } else { now.net.accepted(&choice.wish) },
            sources: own_addresses(&now.net, me),
            own: now.own.to_vec(),
            through: if now.net.is_exit(&me) || now.net.behind(&me).next().is_some() {
                now.net.through()
            } else {
                Through::default()
            },
            behind: now.net.behind(&me).collect(),
        };
        let failed: Vec<String> = self.ways.want(&wish).await.iter().map(said).collect();
        // Rights do not come by asking.
        let is_done = failed.is_empty() || by_hand;
        let past = choice.wish.exit.is_some() && by_hand && !self.no_tun;
        let is_way =
            !wish.through.world.is_empty() || !(wish.behind.is_empty() || wish.through.behind.is_empty());
        let mute = is_way && (by_hand || self.shared.tunnel.borrow().is_none());
        let mut troubles: Vec<String> = choice.unread.iter().cloned().collect();
        troubles.extend(past.then(|| format!("{NO_DEVICE}; {}", held(choice, failed.is_empty()))));
        troubles.extend(failed);
        troubles.extend(hindered.map(|why| format!("{why}; {}", meanwhile(choice))));
        troubles.extend(mute.then(|| {
            "others may go through this machine, and nobody gets through: it has no network device of the realm"
                .to_owned()
        }));
        self.shared.chosen.told(troubles.clone());
        self.shared.chosen.holds(number);
        plane.report(health(&wish, &troubles));
        is_done
    }

    /// Why an exit that might be used is not reached.
    fn unreached(&self, choice: &Choice) -> Option<String> {
        let exit = choice.wish.exit?;
        if self.shared.tunnel.borrow().is_none() {
            return Some("this machine carries no packets: freehold status says why".to_owned());
        }
        let peers = self.shared.mesh.get()?.peers();
        let connected = peers.iter().any(|peer| peer.id == exit && peer.connected);
        (!connected).then(|| format!("there is no connection to {}", self.shared.name_of(exit)))
    }

    /// What goes around the exit, or the tunnel would run inside itself.
    async fn out(&mut self, choice: &Choice) -> Out {
        let mut out = Out { lan: choice.lan, may_leak: choice.leak, ..Out::default() };
        let Some(mesh) = self.shared.mesh.get().cloned() else { return out };
        out.mesh = mesh.bound().iter().map(SocketAddr::port).collect();
        out.mesh.dedup();
        out.relay = mesh.relay_bound().map(|at| at.port());
        let again = self.asked.is_none_or(|asked| asked.elapsed() >= ASK_EVERY);
        for relay in mesh.relays() {
            let url = relay.url.to_string();
            if again || !self.names.contains_key(&url) {
                let found = find(&url).await;
                // What does not answer now may be where it was.
                if !found.is_empty() || !self.names.contains_key(&url) {
                    self.names.insert(url.clone(), found);
                }
                self.asked = Some(Instant::now());
            }
            out.relays.extend(self.names.get(&url).into_iter().flatten());
        }
        out
    }
}

/// Where a relay is: `http://host:port`, or `https://host` at its usual port.
async fn find(url: &str) -> Vec<SocketAddr> {
    let Some((host, port)) = host_of(url) else { return Vec::new() };
    let asked = tokio::time::timeout(ASK_WITHIN, tokio::net::lookup_host((host, port))).await;
    asked.ok().and_then(Result::ok).into_iter().flatten().collect()
}

fn host_of(url: &str) -> Option<(&str, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let rest = rest.trim_end_matches('/');
    let usual = if scheme == "https" { 443 } else { 80 };
    let (host, port) = match rest.rsplit_once(':') {
        // The last part of an IPv6 address is no port.
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (rest, usual),
    };
    Some((host.trim_matches(['[', ']']), port))
}

/// Whether the kernel sends nothing past the exit, whether or not it can be used. Who wants no device wants the
/// choice for the proxies; a device that cannot be had lifts nothing.
const fn is_held(choice: &Choice, is_hindered: bool, by_hand: bool, no_tun: bool) -> bool {
    if choice.wish.exit.is_none() && choice.unread.is_none() {
        return false;
    }
    match (by_hand, no_tun) {
        (true, true) => false,
        (true, false) => !choice.leak,
        (false, _) => !is_hindered || !choice.leak,
    }
}

/// What an exit is for, where packets are carried in user space.
pub(crate) const NO_DEVICE: &str =
    "there is no network device, so only what goes by the proxies goes through the exit";

/// What becomes of the rest.
const fn held(choice: &Choice, is_done: bool) -> &'static str {
    match (choice.leak, is_done) {
        (true, _) => "the rest goes out without it, as --leak yes says",
        (false, true) => {
            "the rest goes nowhere; freehold net use --leak yes lets it out, and freehold up --no-tun leaves it alone"
        }
        (false, false) => "the rest goes out without it, as this program has not the right to hold it back",
    }
}

fn own_addresses(net: &Net, me: NodeId) -> Vec<IpAddr> {
    let Some((v6, v4)) = net.addresses(Party::Node(me)) else { return Vec::new() };
    std::iter::once(v6.into()).chain(v4.map(IpAddr::from)).collect()
}

fn said(error: &WayError) -> String {
    chain(error)
}

/// What becomes of packets while an exit cannot be used.
pub(crate) const fn meanwhile(choice: &Choice) -> &'static str {
    if choice.leak {
        "meanwhile packets go out without it, as --leak yes says"
    } else {
        "meanwhile nothing goes to the internet; freehold net use --leak yes lets it"
    }
}

fn health(wish: &WaysWish, troubles: &[String]) -> Health {
    if !troubles.is_empty() {
        return Health::Degraded(troubles.join("; "));
    }
    let mut parts = Vec::new();
    parts.extend(wish.out.as_ref().map(|_| "everything goes through an exit".to_owned()));
    if !wish.networks.is_empty() {
        parts.push(format!("{} networks behind others are used", wish.networks.len()));
    }
    if !wish.through.world.is_empty() {
        parts.push("this machine is an exit".to_owned());
    }
    if !wish.behind.is_empty() && !wish.through.behind.is_empty() {
        parts.push(format!("this machine leads to {} networks", wish.behind.len()));
    }
    Health::Up(if parts.is_empty() { "the machine's own".to_owned() } else { parts.join("; ") })
}

#[cfg(test)]
mod tests {
    use freehold_reach::Wish;
    use freehold_realm::body::NodeNet;

    use super::super::lab::{Lab, NOW, node};
    use super::*;

    fn through(name: &str) -> Choice {
        Choice { wish: Wish { exit: Some(node(name)), ..Wish::default() }, ..Choice::default() }
    }

    #[test]
    fn an_exit_is_used_for_as_long_as_the_log_lets_it() {
        let mut lab = Lab::house();
        let stands = |lab: &Lab, me: &str| {
            let standing = standing(&lab.state(), &lab.called(), node(me), &through("door"), NOW);
            standing.barrier.unwrap_or_default()
        };
        assert!(stands(&lab, "pad").contains("door is no exit"));
        lab.must(NodeNet { exit: Some(true), ..NodeNet::of(node("door")) });
        assert_eq!(stands(&lab, "pad"), "");
        // A server acts for nobody.
        assert!(stands(&lab, "nas").contains("only laptops and phones"));
        lab.suspend("pad");
        assert!(stands(&lab, "pad").contains("no rights"));
        lab.suspend("door");
        assert!(stands(&lab, "pad").contains("door is no exit"));
        let nothing = standing(&lab.state(), &lab.called(), node("pad"), &Choice::default(), NOW);
        assert_eq!(nothing, Standing::default());
    }

    #[test]
    fn what_was_to_leave_by_an_exit_alone_stays_in_without_a_device() {
        let (shut, leaky) = (through("door"), Choice { leak: true, ..through("door") });
        let (none, unread) =
            (Choice::default(), Choice { unread: Some("damaged".to_owned()), ..Choice::default() });
        for (choice, hindered, by_hand, no_tun, held) in [
            (&shut, false, false, false, true),
            (&shut, true, false, false, true),
            (&leaky, true, false, false, false),
            (&leaky, false, false, false, true),
            // The device could not be had.
            (&shut, false, true, false, true),
            (&shut, true, true, false, true),
            (&leaky, false, true, false, false),
            (&none, false, false, false, false),
            (&unread, false, false, false, true),
            (&unread, false, true, false, true),
            // Nobody wants one.
            (&shut, false, true, true, false),
        ] {
            assert_eq!(
                is_held(choice, hindered, by_hand, no_tun),
                held,
                "{choice:?} {hindered} {by_hand} {no_tun}"
            );
        }
    }

    #[test]
    fn without_an_ipv4_address_it_is_said_how_to_get_one() {
        let mut lab = Lab::house();
        lab.must(NodeNet { exit: Some(true), ..NodeNet::of(node("door")) });
        let notes =
            |lab: &Lab| standing(&lab.state(), &lab.called(), node("pad"), &through("door"), NOW).notes;
        assert!(notes(&lab)[0].contains("freehold net node pad --ipv4 auto"));
        let range = lab.state().network.range;
        let IpAddr::V4(first) = range.first() else { panic!("{range}") };
        let v4 = Some(std::net::Ipv4Addr::from_bits(first.to_bits() + 7));
        lab.must(NodeNet { v4, ..NodeNet::of(node("pad")) });
        assert_eq!(notes(&lab), Vec::<String>::new());
    }

    #[test]
    fn a_server_for_names_in_the_house_is_noticed() {
        let text =
            "# a\nnameserver 192.168.1.1\nnameserver 127.0.0.53\nnameserver 9.9.9.9\nnameserver fe80::1\n";
        let near: Vec<String> = nearby_servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(near, ["192.168.1.1", "fe80::1"]);
    }

    #[test]
    fn a_relays_host_and_port_are_read() {
        for (url, expected) in [
            ("http://192.0.2.7:4711", Some(("192.0.2.7", 4711))),
            ("https://relay.example", Some(("relay.example", 443))),
            ("https://relay.example/", Some(("relay.example", 443))),
            ("http://[2001:db8::7]:4711", Some(("2001:db8::7", 4711))),
            ("http://[2001:db8::7]", Some(("2001:db8::7", 80))),
            ("relay", None),
        ] {
            assert_eq!(host_of(url), expected, "{url}");
        }
    }
}
