//! Ports of the house's router that lead here: the mesh's, so that whoever is behind a difficult router of their own
//! still meets this machine directly; the door's, while it shows something to everybody; and that of phones.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use freehold_api::MappedPort;
use freehold_realm::body::Preset;
use freehold_realm::{NodeRoles, Standing as Stands};
use freehold_router::{Protocol, Standing, Wanted, keep};
use futures::future::{pending, select_all};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::door::DoorWish;
use super::phones::PhonesWish;
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

/// How often it is looked what is to be reached from outside.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Where everybody looks for HTTPS, and for HTTP: another port of the router's would be found by nobody.
const HTTPS: u16 = 443;
const HTTP: u16 = 80;

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum For {
    Mesh,
    Https,
    Http,
    Phones,
}

impl For {
    const fn word(self) -> &'static str {
        match self {
            Self::Mesh => "mesh",
            Self::Https | Self::Http => "door",
            Self::Phones => "phones",
        }
    }
}

/// How it stands with each port, for whoever asks.
#[derive(Debug, Default)]
pub(crate) struct Mapping(Mutex<Vec<MappedPort>>);

impl Mapping {
    pub(crate) fn ports(&self) -> Vec<MappedPort> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, ports: Vec<MappedPort>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ports;
    }
}

/// What this machine was started with.
#[derive(Debug, Clone)]
pub(crate) struct Started {
    pub(crate) door: DoorWish,
    pub(crate) phones: PhonesWish,
}

/// Starts to keep ports passed on, unless that is not wanted.
pub(crate) fn start(plane: &Plane, shared: &Arc<Shared>, off: bool, started: Started) {
    if off {
        plane.report(Health::Off("the router is not asked for a port, as --no-port-mapping says".to_owned()));
        return;
    }
    let asking =
        Asking { plane: plane.clone(), shared: Arc::clone(shared), kept: BTreeMap::new(), offered: None };
    plane.spawn(asking.run(started));
}

/// A port that is kept passed on.
struct Kept {
    wanted: Wanted,
    standing: watch::Receiver<Standing>,
    cancel: CancellationToken,
}

struct Asking {
    plane: Plane,
    shared: Arc<Shared>,
    kept: BTreeMap<For, Kept>,
    /// Where peers are told that the mesh is reached.
    offered: Option<SocketAddr>,
}

impl Asking {
    async fn run(mut self, started: Started) {
        loop {
            self.go_by(&wanted(&Ground::look(&self.shared, &started)));
            self.offer().await;
            self.tell();
            tokio::select! {
                biased;
                () = self.plane.cancel().cancelled() => break,
                () = changed(&mut self.kept) => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        self.shared.mapping.set(Vec::new());
    }

    /// Asks for what is wanted now, and gives back what is not wanted any more.
    fn go_by(&mut self, wanted: &BTreeMap<For, Wanted>) {
        self.kept.retain(|what, kept| {
            let stays = wanted.get(what) == Some(&kept.wanted);
            if !stays {
                kept.cancel.cancel();
            }
            stays
        });
        for (what, wanted) in wanted {
            if !self.kept.contains_key(what) {
                let kept = self.keep(*wanted);
                self.kept.insert(*what, kept);
            }
        }
    }

    fn keep(&self, wanted: Wanted) -> Kept {
        let (told, standing) = watch::channel(Standing::default());
        let cancel = self.plane.cancel().child_token();
        let until = cancel.clone();
        self.plane.spawn(async move { keep(wanted, &told, &until).await });
        Kept { wanted, standing, cancel }
    }

    /// Others are told where the mesh is reached. What a router says may be wrong: then nobody answers there, and
    /// other ways are as good as before.
    async fn offer(&mut self) {
        let Some(mesh) = self.shared.mesh.get() else { return };
        let outside = self.kept.get(&For::Mesh).and_then(|kept| kept.standing.borrow().outside());
        let outside = outside.map(SocketAddr::V4);
        if outside == self.offered {
            return;
        }
        if let Some(gone) = self.offered.take() {
            mesh.remove_outside(gone).await;
        }
        if let Some(at) = outside {
            mesh.add_outside(at).await;
        }
        self.offered = outside;
    }

    fn tell(&self) {
        let kept = self.kept.iter();
        let ports: Vec<MappedPort> =
            kept.map(|(what, kept)| told(*what, kept.wanted, &kept.standing.borrow())).collect();
        self.plane.report(health(&ports));
        self.shared.mapping.set(ports);
    }
}

/// Waits until something is known anew of a port.
async fn changed(kept: &mut BTreeMap<For, Kept>) {
    let each = kept.values_mut().map(|kept| {
        Box::pin(async {
            if kept.standing.changed().await.is_err() {
                // Whoever kept it has ended: there will be nothing new.
                pending::<()>().await;
            }
        })
    });
    let each: Vec<_> = each.collect();
    if each.is_empty() {
        return pending().await;
    }
    select_all(each).await;
}

/// What it is decided by.
#[derive(Debug, Default)]
struct Ground {
    /// The mesh's port.
    mesh: Option<u16>,
    /// The ports for HTTPS and HTTP, while the door takes in everybody from outside.
    door: Option<(u16, u16)>,
    /// Where phones are taken in, and the port that they are told, if another one.
    phones: Option<(SocketAddr, Option<u16>)>,
}

impl Ground {
    fn look(shared: &Shared, started: &Started) -> Self {
        let bound = shared.mesh.get().map(|mesh| mesh.bound()).unwrap_or_default();
        let mesh = bound.iter().find(|at| at.is_ipv4()).map(SocketAddr::port);
        let view = shared.log.view();
        let me = shared.me();
        let known = view.state().nodes.get(&me);
        let is_gateway = known
            .is_some_and(|node| node.standing == Stands::Active && node.roles.contains(NodeRoles::GATEWAY));
        // Not for a service that is for the house alone: some routers put their own address in the place of whoever
        // comes from outside.
        let shown = shared.door.get();
        let is_public = is_gateway
            && view.state().live_services().any(|(id, service)| {
                service.preset == Preset::Public
                    && service.gateways.contains(&me)
                    && shown.as_ref().is_some_and(|face| face.names.contains_key(id))
            });
        let listening = shown.iter().flat_map(|face| &face.listening);
        let listens = listening
            .filter_map(|at| at.parse::<SocketAddr>().ok())
            .any(|at| at.port() == started.door.https && is_towards_a_router(at.ip()));
        let door = (is_public && listens).then_some((started.door.https, started.door.http));
        let port = |endpoint: &String| endpoint.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let phones = started.phones.listen.filter(|_| is_gateway);
        let phones = phones.map(|listen| (listen, started.phones.endpoint.as_ref().and_then(port)));
        Self { mesh, door, phones }
    }
}

/// Whether what a router passes on arrives at a socket of this address.
const fn is_towards_a_router(at: IpAddr) -> bool {
    match at {
        IpAddr::V4(at) => at.is_unspecified() || at.is_private(),
        IpAddr::V6(at) => at.is_unspecified(),
    }
}

/// The ports to ask for.
fn wanted(ground: &Ground) -> BTreeMap<For, Wanted> {
    let mut all = BTreeMap::new();
    if let Some(port) = ground.mesh {
        all.insert(For::Mesh, Wanted { protocol: Protocol::Udp, inside: port, outside: port, exact: false });
    }
    if let Some((https, http)) = ground.door {
        let wanted = |inside, outside| Wanted { protocol: Protocol::Tcp, inside, outside, exact: true };
        all.insert(For::Https, wanted(https, HTTPS));
        all.insert(For::Http, wanted(http, HTTP));
    }
    if let Some((listen, told)) = ground.phones.filter(|(listen, _)| is_towards_a_router(listen.ip())) {
        let (inside, outside) = (listen.port(), told.unwrap_or(listen.port()));
        // Phones were told this one, and look nowhere else.
        all.insert(For::Phones, Wanted { protocol: Protocol::Udp, inside, outside, exact: true });
    }
    // A router takes one place outside for each port inside.
    let mesh = all.get(&For::Mesh).map(|mesh| mesh.inside);
    all.retain(|what, wanted| {
        *what == For::Mesh || wanted.protocol == Protocol::Tcp || Some(wanted.inside) != mesh
    });
    all
}

fn told(what: For, wanted: Wanted, standing: &Standing) -> MappedPort {
    let protocol = match wanted.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    let (outside, way, trouble) = match standing {
        Standing::Asking => (None, None, None),
        Standing::Shut(why) => (None, None, Some(why.clone())),
        Standing::Open(mapped) => {
            let is_public = freehold_records::due::is_public((*mapped.outside.ip()).into());
            let behind = (!is_public).then(|| "the router is behind another router itself".to_owned());
            (Some(mapped.outside.to_string()), Some(mapped.way.word().to_owned()), behind)
        }
    };
    MappedPort {
        what: what.word().to_owned(),
        port: format!("{protocol}/{}", wanted.inside),
        outside,
        way,
        trouble,
    }
}

/// A router that passes nothing on is nothing broken.
fn health(ports: &[MappedPort]) -> Health {
    let open = ports.iter().filter_map(|port| {
        let (outside, way) = (port.outside.as_ref()?, port.way.as_ref()?);
        let odd = port.trouble.as_ref().map(|odd| format!("; {odd}")).unwrap_or_default();
        Some(format!("{} is passed on at {outside} ({way}){odd}", port.port))
    });
    let open: Vec<String> = open.collect();
    let mut shut: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for port in ports.iter().filter(|port| port.outside.is_none()) {
        if let Some(why) = &port.trouble {
            shut.entry(why).or_default().push(&port.port);
        }
    }
    let shut = shut.into_iter().map(|(why, ports)| format!("{} is not passed on: {why}", ports.join(", ")));
    let all: Vec<String> = open.into_iter().chain(shut).collect();
    Health::Up(if all.is_empty() { "the router is asked".to_owned() } else { all.join("; ") })
}

#[cfg(test)]
mod tests {
    use freehold_router::{Mapped, Way};

    use super::*;

    fn ports(ground: &Ground) -> Vec<(For, u16, u16, bool)> {
        wanted(ground).into_iter().map(|(what, one)| (what, one.inside, one.outside, one.exact)).collect()
    }

    #[test]
    fn a_port_is_asked_for_while_somebody_is_to_come_by_it() {
        assert_eq!(ports(&Ground::default()), []);
        let all = Ground {
            mesh: Some(4433),
            door: Some((8443, 8080)),
            phones: Some(("0.0.0.0:51820".parse().unwrap(), Some(443))),
        };
        let told = [
            (For::Mesh, 4433, 4433, false),
            (For::Https, 8443, 443, true),
            (For::Http, 8080, 80, true),
            (For::Phones, 51820, 443, true),
        ];
        assert_eq!(ports(&all), told);
        let at = |text: &str| Ground { phones: Some((text.parse().unwrap(), None)), ..Ground::default() };
        assert_eq!(ports(&at("192.168.1.7:51820")), [(For::Phones, 51820, 51820, true)]);
        for elsewhere in ["127.0.0.1:51820", "44.128.7.5:51820", "[fd00::1]:51820"] {
            assert_eq!(ports(&at(elsewhere)), [], "{elsewhere}");
        }
        let twice = Ground { mesh: Some(51820), ..at("0.0.0.0:51820") };
        assert_eq!(ports(&twice), [(For::Mesh, 51820, 51820, false)], "one port has one place outside");
    }

    #[test]
    fn what_is_passed_on_and_what_is_not_is_told_in_one_line() {
        let wanted = |inside| Wanted { protocol: Protocol::Udp, inside, outside: inside, exact: false };
        let open = |at: &str| Standing::Open(Mapped { outside: at.parse().unwrap(), way: Way::Pcp });
        let shut = |what, port| told(what, wanted(port), &Standing::Shut("it is not allowed".to_owned()));
        let ports = [
            told(For::Mesh, wanted(4433), &open("44.128.7.5:4433")),
            shut(For::Phones, 51820),
            shut(For::Https, 443),
        ];
        let line = "udp/4433 is passed on at 44.128.7.5:4433 (PCP); udp/51820, udp/443 is not passed on: it is not \
                    allowed";
        assert_eq!(health(&ports), Health::Up(line.to_owned()));
        let behind = told(For::Mesh, wanted(4433), &open("10.0.0.2:4433"));
        assert!(behind.trouble.is_some_and(|odd| odd.contains("behind another router")));
        assert_eq!(health(&[]), Health::Up("the router is asked".to_owned()));
    }

    #[tokio::test]
    async fn what_is_new_of_any_port_is_heard_and_who_has_ended_is_not_asked_again() {
        let kept = |standing| Kept {
            wanted: Wanted { protocol: Protocol::Udp, inside: 1, outside: 1, exact: false },
            standing,
            cancel: CancellationToken::new(),
        };
        let (first, second) = (watch::channel(Standing::Asking), watch::channel(Standing::Asking));
        let mut all = BTreeMap::from([(For::Mesh, kept(first.1)), (For::Phones, kept(second.1))]);
        drop(first.0);
        second.0.send_replace(Standing::Shut(String::new()));
        changed(&mut all).await;
        tokio::time::timeout(Duration::from_millis(20), changed(&mut all)).await.unwrap_err();
    }
}
