//! Services, published: the door of this machine shows what log and directory say, with certificates of the realm's
//! own authority inside and of a public one outside. It opens when there is something to show, and not before.

pub(crate) mod asked;
mod certificates;
mod judge;
pub(crate) mod kept;
mod plan;
mod sign_on;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use freehold_certs::Shelf;
use freehold_gateway::{Challenges, Door, Gatekeeper, Handed, OpenError, Settings, Sockets, Table};
use freehold_seal::Published;
use freehold_wire::{NodeId, ServiceId};
use tokio::sync::watch;

use self::certificates::Certificates;
pub(crate) use self::certificates::update;
use self::judge::Keeper;
use self::kept::Kept;
use self::plan::{Ground, Plan};
pub(crate) use self::plan::{HTTP, HTTPS};
pub(crate) use self::told::{Face, Told};
use super::Snapshot;
use super::called::{Called, Thing};
use super::near::Near;
use crate::clock;
use crate::problem::chain;
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

/// Addresses come a little later than word of the service, and ports are free again.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Requests under way may take so long when the node stops: less than a plane has.
const DRAIN: Duration = Duration::from_secs(5);

/// Where the door is to be for those outside the realm's network.
#[derive(Debug, Clone)]
pub struct DoorWish {
    /// Addresses; all of this machine's, without.
    pub listen: Vec<IpAddr>,
    /// The port for HTTPS.
    pub https: u16,
    /// The port for plain HTTP.
    pub http: u16,
    /// The program that puts records into the zone.
    pub hook: Option<PathBuf>,
}

impl Default for DoorWish {
    fn default() -> Self {
        Self { listen: Vec::new(), https: HTTPS, http: HTTP, hook: None }
    }
}

/// Starts to publish what is to be published.
pub(crate) fn start(
    plane: &Plane,
    shared: &Arc<Shared>,
    view: watch::Receiver<Arc<Snapshot>>,
    wish: DoorWish,
) {
    match Kept::new(shared) {
        Ok(kept) => {
            plane.report(Health::Up(NOTHING.to_owned()));
            let certificates = Certificates::new(shared, kept, wish.hook.clone());
            let house = House {
                shared: Arc::clone(shared),
                plane: plane.clone(),
                wish,
                certificates,
                open: None,
                said: Vec::new(),
            };
            plane.spawn(house.keep(view));
        }
        Err(error) => plane.report(Health::Degraded(format!("nothing is published: {}", chain(&error)))),
    }
}

const NOTHING: &str = "nothing is published here";

/// The door, and what it goes by.
struct House {
    shared: Arc<Shared>,
    plane: Plane,
    wish: DoorWish,
    certificates: Certificates,
    open: Option<Open>,
    /// What could not be listened at, the last time.
    said: Vec<String>,
}

struct Open {
    door: Arc<Door>,
    keeper: Arc<Keeper>,
    services: Vec<freehold_gateway::Service>,
    outside: BTreeSet<ServiceId>,
    near: Near,
    generation: u64,
}

impl House {
    async fn keep(mut self, mut view: watch::Receiver<Arc<Snapshot>>) {
        let mut every = tokio::time::interval(LOOK_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let now = view.borrow_and_update().clone();
            let plan = self.plan(&now);
            self.go_by(&now, plan).await;
            tokio::select! {
                biased;
                () = self.plane.cancel().cancelled() => break,
                changed = view.changed() => if changed.is_err() { break },
                _ = every.tick() => {}
            }
        }
        self.shared.door.set(None);
        let Some(open) = self.open else { return };
        match Arc::try_unwrap(open.door) {
            Ok(door) => door.close().await,
            // Somebody counts just now: it closes when they are done.
            Err(shown) => drop(shown),
        }
    }

    fn plan(&self, now: &Snapshot) -> Plan {
        let view = self.shared.log.view();
        let directory = self.shared.directory();
        let said = |id| directory.published_by(id).map(|(by, published)| (by, published.clone()));
        let published: BTreeMap<ServiceId, (NodeId, Published)> =
            (view.state().live_services()).filter_map(|(id, _)| Some((*id, said(*id)?))).collect();
        let shown = self.open.iter().flat_map(|open| &open.services);
        let held = shown.flat_map(|one| one.hosts.iter().map(|host| (host.clone(), one.id))).collect();
        let authority = directory.public_authority().cloned();
        drop(directory);
        let has_server = authority.as_ref().is_some_and(|authority| authority.update.is_some());
        let mut plan = Plan::of(&Ground {
            me: self.shared.me(),
            state: view.state(),
            called: &now.called,
            published: &published,
            owners: &view.owners,
            held: &held,
            authority: authority.as_ref(),
            // By hand neither side has the other's addresses in its kernel.
            carries: self.shared.tunnel.borrow().as_ref().is_some_and(|tunnel| !tunnel.is_by_hand()),
            has_records: has_server || self.wish.hook.is_some(),
        });
        plan.add_lent(&self.shared.strangers.hosts(view.state(), clock::wall()));
        plan.wait_for_gateways(view.state(), &self.shared.strangers.taken());
        plan
    }

    async fn go_by(&mut self, now: &Snapshot, mut plan: Plan) {
        let zone = now.called.zone().to_owned();
        if plan.services.is_empty() && self.open.is_none() {
            return self.report(&plan, &[], &now.called);
        }
        // Rights first: what comes after may wait for other machines.
        self.go_by_rights(now, &plan);
        self.certificates.go_by(&self.plane, &plan, &zone).await;
        self.note_certificates(&mut plan, &zone);
        let table = match Table::new(plan.services.clone()) {
            Ok(table) => table,
            Err(error) => {
                self.plane.report(Health::Degraded(format!("services are published as before: {error}")));
                return;
            }
        };
        if let Some(open) = &mut self.open {
            if open.services != plan.services {
                open.services.clone_from(&plan.services);
                open.door.swap(table);
            }
        } else if let Err(why) = self.open(now, table, &plan) {
            self.plane.report(Health::Degraded(format!("nothing is published: {why}")));
            return;
        }
        let listening = self.listen(&plan);
        self.report(&plan, &listening, &now.called);
    }

    /// Judges by what the log says now, also what is under way.
    fn go_by_rights(&mut self, now: &Snapshot, plan: &Plan) {
        let Some(open) = &mut self.open else { return };
        let near = Near::look();
        if open.generation != now.generation || open.outside != plan.outside || open.near != near {
            open.keeper.set(ground(&self.shared, now, plan, near.clone()));
            (open.generation, open.outside, open.near) = (now.generation, plan.outside.clone(), near);
            open.door.judge_again();
        }
    }

    fn open(&mut self, now: &Snapshot, table: Table, plan: &Plan) -> Result<(), String> {
        let near = Near::look();
        let ground = ground(&self.shared, now, plan, near.clone());
        let keeper = Arc::new(Keeper::new(ground, self.shared.way.subscribe()));
        let shelf = self.certificates.shelf();
        let mut settings = Settings::new(Vec::new(), Vec::new());
        settings.https_port = self.wish.https;
        settings.drain = DRAIN;
        let handed = Handed {
            certificates: Arc::clone(shelf) as Arc<dyn rustls::server::ResolvesServerCert>,
            gatekeeper: Arc::clone(&keeper) as Arc<dyn Gatekeeper>,
            challenges: Arc::new(Texts(Arc::clone(shelf))),
            dial: Arc::new(Sockets),
        };
        let door = Door::open(settings, handed, table).map_err(|error| chain(&error))?;
        self.open = Some(Open {
            door: Arc::new(door),
            keeper,
            services: plan.services.clone(),
            outside: plan.outside.clone(),
            near,
            generation: now.generation,
        });
        Ok(())
    }

    /// Listens for those outside if anything is for them, and at each service's address.
    fn listen(&mut self, plan: &Plan) -> Vec<SocketAddr> {
        let Some(open) = &self.open else { return Vec::new() };
        let outside = self.outside(plan);
        let outer = |port: u16| outside.iter().map(move |ip| SocketAddr::new(*ip, port));
        let inner = |port: u16| plan.inside.iter().map(move |ip| SocketAddr::new(*ip, port));
        let https: Vec<SocketAddr> = outer(self.wish.https).collect();
        let http: Vec<SocketAddr> = outer(self.wish.http).chain(inner(HTTP)).collect();
        // The log opens no datagrams at a service's own address.
        let tcp_only: Vec<SocketAddr> = inner(HTTPS).collect();
        let failed = open.door.listen(&https, &tcp_only, &http);
        let missing: Vec<SocketAddr> = failed.iter().filter_map(place).collect();
        self.said = failed.iter().map(not_listening).collect();
        https.into_iter().chain(tcp_only).chain(http).filter(|at| !missing.contains(at)).collect()
    }

    /// Where people come to from outside the realm's network.
    fn outside(&self, plan: &Plan) -> Vec<IpAddr> {
        match self.wish.listen.as_slice() {
            _ if !plan.is_gateway => Vec::new(),
            [] if has_ipv6() => vec![Ipv6Addr::UNSPECIFIED.into()],
            [] => vec![Ipv4Addr::UNSPECIFIED.into()],
            named => named.to_vec(),
        }
    }

    /// What is wrong with certificates belongs to the services that they are for.
    fn note_certificates(&self, plan: &mut Plan, zone: &str) {
        let inside = |name: &String| name.ends_with(zone);
        if !self.certificates.has_authority() {
            let lost = plan.names.iter().filter(|(_, names)| names.iter().any(inside)).map(|(id, _)| *id);
            let why = "it has no certificate for its name in the realm yet: freehold net ca show makes the realm's \
                       authority, on a machine with the role secrets; and this machine needs that role, too";
            plan.troubles.extend(lost.map(|id| (id, why.to_owned())).collect::<Vec<_>>());
        }
        let failed = self.certificates.standing().into_iter().filter_map(|one| Some((one.name, one.error?)));
        for (name, error) in failed.collect::<Vec<_>>() {
            let of = plan.names.iter().find(|(_, names)| names.contains(&name)).map(|(id, _)| *id);
            plan.troubles.extend(of.map(|id| (id, format!("no certificate for {name}: {error}"))));
        }
    }

    fn report(&self, plan: &Plan, listening: &[SocketAddr], called: &Called) {
        let troubles =
            plan.troubles.iter().map(|(id, why)| format!("{}: {why}", called.name(Thing::Service(*id))));
        let troubles: Vec<String> = self.said.iter().cloned().chain(troubles).collect();
        self.plane.report(match (troubles.as_slice(), plan.services.len()) {
            ([], 0) => Health::Up(NOTHING.to_owned()),
            ([], count) => Health::Up(format!(
                "{} at {}",
                freehold_api::words::count(count as u64, "service"),
                places(listening)
            )),
            (troubles, _) => Health::Degraded(troubles.join("; ")),
        });
        self.shared.door.set(Some(Face {
            door: self.open.as_ref().map(|open| Arc::clone(&open.door)),
            listening: listening.iter().map(ToString::to_string).collect(),
            names: plan.names.clone(),
            troubles: plan.troubles.clone(),
            standing: self.certificates.standing(),
        }));
    }
}

/// What rights follow from now.
fn ground(shared: &Shared, now: &Snapshot, plan: &Plan, near: Near) -> judge::Ground {
    let net = (Arc::clone(&now.net), now.own);
    judge::Ground::new(shared.me(), shared.log.view().state().clone(), net, plan.outside.clone(), near)
}

fn places(listening: &[SocketAddr]) -> String {
    let shown: Vec<String> = listening.iter().take(4).map(ToString::to_string).collect();
    let more = if listening.len() > shown.len() { ", ..." } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// Whether this machine has IPv6 at all.
fn has_ipv6() -> bool {
    std::net::UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok()
}

/// What a public authority asks for on port 80.
struct Texts(Arc<Shelf>);

impl Challenges for Texts {
    fn text(&self, host: &str, token: &str) -> Option<String> {
        self.0.text(host, token)
    }
}

/// Where it could not be listened.
const fn place(error: &OpenError) -> Option<SocketAddr> {
    match error {
        OpenError::Listen { at, .. } => Some(*at),
        _ => None,
    }
}

fn not_listening(error: &OpenError) -> String {
    match error {
        OpenError::Listen { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => format!(
            "{error}. With systemd: sudo freehold up --install-service; else: sudo setcap \
             cap_net_bind_service,cap_net_admin+ep \"$(readlink -f \"$(command -v freehold)\")\"; or other ports: \
             freehold up --door-ports 8443,8080"
        ),
        _ => error.to_string(),
    }
}
