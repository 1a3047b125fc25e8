//! Names, answered: the realm's own zone from what the log and the directory say, everything else by the servers
//! that somebody named, and what the realm has blocked for whom. Without servers nobody outside is ever asked.

mod system;
mod who;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use freehold_api::Problem;
use freehold_names::{LocalTime, Row, reserved};
use freehold_reach::Party;
use freehold_realm::NodeRoles;
use freehold_resolver::{
    Config, Handle, Listen, Resolver, Roots, Server, Setting, Speaks, StartError, Upstream, Way,
};
use tokio::sync::{Notify, watch};

use self::system::Settings;
pub use self::system::SystemWish;
pub(crate) use self::who::Who;
use super::Snapshot;
use super::filter::{Compiled, Said, ahead};
use super::near::Near;
use super::stack;
use crate::clock;
use crate::problem::chain;
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

/// The tunnel's device.
pub(crate) const DEVICE: &str = "freehold0";
/// What this machine itself asks by.
const LOOPBACK: &str = "lo";
/// For answers of others: many times what a household asks for in a day.
const CACHE_BYTES: usize = 8 << 20;
/// Where everybody asks for names.
const NAMES_PORT: u16 = 53;
/// More names than any list has.
const BLOCKED_MAX: usize = 4_000_000;
/// How many ports above the wanted one are tried before the system is asked for any.
const TRIES: u16 = 20;
/// How often neighbours, time zones and settings of others are looked at.
const LOOK: Duration = Duration::from_secs(30);
/// How soon what could not be served is tried again: a cable is plugged in, an address comes.
const AGAIN: Duration = Duration::from_secs(5);

/// Where names are answered, and who is asked for those of the internet.
#[derive(Debug, Clone, Default)]
pub struct NamesWish {
    /// The addresses.
    pub listen: Vec<SocketAddr>,
    /// The port on this machine's loopback, or another one if it is in use.
    pub port: u16,
    /// Where they are answered over TLS.
    pub tls: Vec<SocketAddr>,
    /// Where they are answered over HTTPS.
    pub https: Vec<SocketAddr>,
    /// A file with a certificate, those above it and its key, for both; the console's own if there is none.
    pub certificate: Option<PathBuf>,
    /// Servers, in order, as `192.0.2.1` or `tls://dns.example@192.0.2.1`; the realm's if there are none.
    pub servers: Vec<String>,
    /// Whether this machine's own programs ask here.
    pub system: SystemWish,
}

/// What answers for names.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) handle: Handle,
    compiled: watch::Sender<Arc<Compiled>>,
    who: watch::Sender<Arc<Who>>,
    /// The servers that this machine was told of as it was started.
    here: Vec<Upstream>,
    troubles: Mutex<Vec<String>>,
    nudge: Notify,
}

impl Names {
    /// What it goes by.
    pub(crate) fn compiled(&self) -> Arc<Compiled> {
        Arc::clone(&self.compiled.borrow())
    }

    /// Who asks.
    pub(crate) fn who(&self) -> Arc<Who> {
        Arc::clone(&self.who.borrow())
    }

    /// Whether this machine was told whom to ask.
    pub(crate) fn has_servers_here(&self) -> bool {
        !self.here.is_empty()
    }

    /// What is wrong.
    pub(crate) fn troubles(&self) -> Vec<String> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has it look at what only this machine knows.
    pub(crate) fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// Where it answers.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for bound in self.handle.bound() {
            let told = match bound.speaks {
                Speaks::Plain => bound.address.to_string(),
                Speaks::Tls => format!("tls://{}", bound.address),
                Speaks::Https => format!("https://{}/dns-query", bound.address),
            };
            if !all.contains(&told) {
                all.push(told);
            }
        }
        all
    }
}

/// Starts to answer; gives the addresses, and notes the wanted port if it could not be had. Names are no reason
/// to stop a node: what cannot be had is told and tried again.
///
/// # Errors
/// A [`Problem`] if what was typed makes no sense.
pub(crate) async fn start(
    plane: &Plane,
    shared: &Arc<Shared>,
    mut view: watch::Receiver<Arc<Snapshot>>,
    wish: &NamesWish,
    moved: &mut Vec<String>,
) -> Result<Vec<String>, Problem> {
    let here = upstreams(&wish.servers)?;
    let tls = tls(shared, wish)?;
    let now = view.borrow_and_update().clone();
    let who = watch::channel(Arc::new(who(shared, &now, &Said::default()))).0;
    let (minutes, parties) = (Arc::new(AtomicI32::new(ahead("", clock::wall()))), who.subscribe());
    let clocks = Arc::clone(&minutes);
    let way = shared.way.subscribe();
    let config = Config {
        listen: Vec::new(),
        tls,
        parties: Arc::new(move |from| {
            let from = stack::behind(way.borrow().as_ref(), from)?;
            parties.borrow().party(from.ip())
        }),
        clock: Arc::new(move || LocalTime::at(clock::wall(), clocks.load(Ordering::Relaxed))),
        cache: CACHE_BYTES,
        folder: shared.home.names(),
        roots: Roots::System,
        names_max: BLOCKED_MAX,
        setting: Setting { rows: rows(&now), ..Setting::default() },
    };
    let handle = match Resolver::start(config).await {
        Ok(handle) => handle,
        Err(error) => {
            plane.report(Health::Degraded(format!("names are not answered: {}", not_served(&error))));
            return Ok(Vec::new());
        }
    };
    let mut wanted: Vec<Listen> = wish.listen.iter().map(|at| Listen::at(*at, Speaks::Plain)).collect();
    wanted.extend(wish.tls.iter().map(|at| Listen::at(*at, Speaks::Tls)));
    wanted.extend(wish.https.iter().map(|at| Listen::at(*at, Speaks::Https)));
    if wish.listen.is_empty() {
        wanted.extend(on_loopback(&handle, wish.port, moved).await);
    }
    let names = Names {
        handle,
        compiled: watch::channel(Arc::default()).0,
        who,
        here,
        troubles: Mutex::default(),
        nudge: Notify::new(),
    };
    let names = Arc::new(names);
    let settings = Settings::of(wish.system, shared.home.net());
    let mut keeper = Keeper {
        plane: plane.clone(),
        shared: Arc::clone(shared),
        names: Arc::clone(&names),
        wanted,
        minutes,
        settings,
    };
    keeper.look(&now).await;
    moved.extend(names.troubles());
    let bound = names.addresses();
    drop(shared.names.set(names));
    plane.spawn_vital(keeper.keep(view));
    Ok(bound)
}

/// Who sees to it that names are answered as is said now.
struct Keeper {
    plane: Plane,
    shared: Arc<Shared>,
    names: Arc<Names>,
    /// Where names are answered whatever the log says.
    wanted: Vec<Listen>,
    minutes: Arc<AtomicI32>,
    settings: Settings,
}

impl Keeper {
    async fn keep(mut self, mut view: watch::Receiver<Arc<Snapshot>>) -> Result<(), String> {
        let mut tunnel = self.shared.tunnel.subscribe();
        loop {
            let wait = if self.names.troubles().is_empty() { LOOK } else { AGAIN };
            tokio::select! {
                biased;
                () = self.plane.cancel().cancelled() => break,
                changed = view.changed() => {
                    if changed.is_err() {
                        break;
                    }
                }
                () = self.names.nudge.notified() => {}
                changed = tunnel.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    // A device that was made anew is another one, whatever it is called.
                    self.leave_device();
                    self.settings.begin_anew().await;
                }
                () = tokio::time::sleep(wait) => {}
            }
            let now = view.borrow_and_update().clone();
            self.look(&now).await;
        }
        self.settings.give_back().await;
        if !self.names.handle.shutdown().await {
            tracing::warn!("answers about names were still under way");
        }
        Ok(())
    }

    fn leave_device(&self) {
        let handle = &self.names.handle;
        let listens = handle.listens();
        listens.iter().filter(|listen| listen.device.is_some()).for_each(|listen| handle.leave(listen));
    }

    /// Takes what is said now.
    async fn look(&mut self, now: &Arc<Snapshot>) {
        let (said, at) = (Said::heard(&self.shared), clock::wall());
        self.minutes.store(ahead("", at), Ordering::Relaxed);
        self.names.who.send_replace(Arc::new(who(&self.shared, now, &said)));
        let (mut here, before) = (self.names.here.clone(), self.settings.before());
        if here.is_empty() && said.upstreams.is_empty() {
            // All names come here: those of the internet go on to whom they went to.
            let plain = |at: IpAddr| Server { address: SocketAddr::new(at, NAMES_PORT), way: Way::Plain };
            let servers: Vec<Server> = before.iter().copied().map(plain).collect();
            here.extend((!servers.is_empty()).then(|| Upstream {
                servers,
                inside: true,
                ..Upstream::default()
            }));
        }
        let compiled = Compiled::of(said, rows(now), &here, at);
        let mut troubles: Vec<String> = compiled.said.unread.iter().cloned().collect();
        if let Err(error) = self.names.handle.change(compiled.setting.clone()).await {
            troubles.push(format!("the filter of names does not hold: {error}"));
        }
        self.names.compiled.send_replace(Arc::new(compiled));
        troubles.extend(self.serve(now).await);
        let served = self.names.handle.listens();
        let at = served
            .iter()
            .find(|listen| listen.device.as_deref() == Some(DEVICE))
            .map(|listen| listen.address);
        let plain = served.iter().filter(|listen| listen.device.is_none() && listen.speaks == Speaks::Plain);
        let plain: Vec<SocketAddr> = plain.map(|listen| reached(listen.address)).collect();
        troubles.extend(self.settings.hold(at, &plain, &system::own(&now.zone)).await);
        if self.settings.before() != before {
            // Names of the internet go on to them from now on.
            self.names.nudge();
        }
        self.report(now, troubles);
    }

    /// Serves where it should, and nowhere else; why not, where it cannot.
    async fn serve(&self, now: &Snapshot) -> Vec<String> {
        let own = self.in_network(now);
        let handle = &self.names.handle;
        let served = handle.listens();
        for listen in served.iter().filter(|listen| !own.contains(listen) && !self.wanted.contains(listen)) {
            handle.leave(listen);
        }
        let mut troubles = Vec::new();
        for listen in self.wanted.iter().chain(&own).filter(|listen| !served.contains(listen)) {
            let Err(error) = handle.serve(listen).await else { continue };
            // A laptop is asked by nobody: whoever has the port there, or the right to it, keeps it.
            if listen.device.is_none() || self.is_gateway() {
                troubles.push(not_served(&error));
            }
        }
        troubles
    }

    /// Where the realm's machines and phones ask this one, if packets come here: its rules say who may. Only by the
    /// tunnel's device, past which nobody's word is checked, and by what this machine itself asks by.
    fn in_network(&self, now: &Snapshot) -> Vec<Listen> {
        // In user space nobody can have a port of that address: the stack hands it on.
        let has_tunnel = self.shared.tunnel.borrow().as_ref().is_some_and(|tunnel| !tunnel.is_by_hand());
        let own = now.net.addresses(Party::Node(self.shared.me())).filter(|_| has_tunnel);
        let Some((own, _)) = own else { return Vec::new() };
        let at = Listen::at(SocketAddr::new(own.into(), NAMES_PORT), Speaks::Plain);
        [DEVICE, LOOPBACK].map(|device| Listen { device: Some(device.to_owned()), ..at.clone() }).into()
    }

    fn is_gateway(&self) -> bool {
        let view = self.shared.log.view();
        let own = view.state().nodes.get(&self.shared.me());
        own.is_some_and(|node| node.roles.contains(NodeRoles::GATEWAY))
    }

    fn report(&self, now: &Snapshot, troubles: Vec<String>) {
        let bound = self.names.addresses().join(", ");
        self.plane.report(match troubles.as_slice() {
            [] => Health::Up(format!("{} at {bound}", now.called.zone())),
            several => Health::Degraded(several.join("; ")),
        });
        *self.names.troubles.lock().unwrap_or_else(PoisonError::into_inner) = troubles;
    }
}

fn who(shared: &Shared, now: &Arc<Snapshot>, said: &Said) -> Who {
    let view = shared.log.view();
    Who::of(Arc::clone(now), shared.me(), view.state(), Near::look(), said.networks())
}

/// Where a program of this machine finds what is served there.
fn reached(at: SocketAddr) -> SocketAddr {
    let ip = match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, at.port())
}

/// What is answered here of the realm, and what means something only here.
fn rows(now: &Snapshot) -> Vec<Row> {
    now.zone.iter().cloned().chain(reserved(&system::own(&now.zone))).collect()
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
    Ok(vec![Upstream { servers, validate: true, ..Upstream::default() }])
}

/// With which certificate names are answered over TLS and HTTPS.
fn tls(shared: &Shared, wish: &NamesWish) -> Result<Option<Arc<rustls::ServerConfig>>, Problem> {
    if wish.tls.is_empty() && wish.https.is_empty() {
        return Ok(None);
    }
    let own = shared.home.console_certificate();
    let at = wish.certificate.as_ref().unwrap_or(&own);
    let names = ["localhost".to_owned(), "freehold.internal".to_owned()];
    let addresses: Vec<IpAddr> = wish.tls.iter().chain(&wish.https).map(SocketAddr::ip).collect();
    let unusable = |why: String| {
        Problem::invalid(
            "names cannot be answered over TLS",
            why,
            Some(
                "freehold up --dns-certificate FILE    (a certificate, those above it, and its key, as PEM)",
            ),
        )
    };
    if wish.certificate.is_some() && !at.exists() {
        return Err(unusable(format!("there is no file {}", at.display())));
    }
    let identity = crate::certificate::load_or_make(at, &names, &addresses);
    identity.map(|identity| Some(identity.tls)).map_err(|error| unusable(chain(&error)))
}

/// Answers on an address of this machine alone, at the wanted port or the next one that is free for UDP and TCP.
async fn on_loopback(handle: &Handle, wanted: u16, moved: &mut Vec<String>) -> Option<Listen> {
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    for port in (wanted..=wanted.saturating_add(TRIES)).chain([0]) {
        let listen = Listen::at(SocketAddr::new(loopback, port), Speaks::Plain);
        let Ok(bound) = handle.serve(&listen).await else { continue };
        if bound.address.port() != wanted && wanted != 0 {
            moved.push(format!(
                "port {wanted} is taken, so the answering of names is on {}",
                bound.address.port()
            ));
        }
        return Some(listen);
    }
    None
}

/// Why names are not answered somewhere, and what to do about it.
fn not_served(error: &StartError) -> String {
    let next = match error {
        StartError::Listen { device: None, .. } => {
            format!("{}; or another address: freehold up --dns", error.remedy())
        }
        _ => error.remedy(),
    };
    format!("{}: {next}", chain(error))
}

#[cfg(test)]
mod tests;
