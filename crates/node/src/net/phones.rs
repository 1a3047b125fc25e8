//! Phones, served: who the log says comes by this machine is let in at its door, and cut off as soon as the log says
//! something else. Where the door is, is told to the realm, so that any machine can make a phone's configuration.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use freehold_api::Problem;
use freehold_crypt::{BoxSecret, Secret};
use freehold_phones::{Door, OpenError, Phone, Seen};
use freehold_reach::{Net, Party};
use freehold_realm::{NodeRoles, Standing, State};
use freehold_seal::{DirectoryRow, KeyOf, PhoneDoor};
use freehold_wire::{NodeId, Text};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::Snapshot;
use crate::problem::chain;
use crate::scribe::Saying;
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

/// What the door's key is derived for: with the node's own key it is back after a restart, and nothing else is.
const KEY: &str = "freehold 2026 door for phones";
/// Packets that wait between the door and the tunnel, in each direction; what does not fit is lost.
const WAITING: usize = 1024;
/// How often it is looked what phones do, whether the door can be opened, and whether what is told of it holds.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long the door may take to close.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Whether and where phones are taken in.
#[derive(Debug, Clone, Default)]
pub struct PhonesWish {
    /// The address and port.
    pub listen: Option<SocketAddr>,
    /// Where phones find that, if elsewhere: a name or an address, and a port.
    pub endpoint: Option<String>,
}

/// The way between door and tunnel, and what was seen at the door.
pub(crate) struct Phones {
    /// The tunnel's end.
    pub(crate) tunnel: freehold_tunnel::Phones,
    door: Mutex<Option<(mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>)>>,
    seen: watch::Sender<Arc<[Seen]>>,
}

impl Default for Phones {
    fn default() -> Self {
        let (to_network, from_phones) = mpsc::channel(WAITING);
        let (to_phones, from_network) = mpsc::channel(WAITING);
        Self {
            tunnel: freehold_tunnel::Phones::new(from_phones, to_phones),
            door: Mutex::new(Some((to_network, from_network))),
            seen: watch::channel(Arc::from([])).0,
        }
    }
}

impl Phones {
    /// What was seen of phones lately.
    pub(crate) fn seen(&self) -> Arc<[Seen]> {
        self.seen.borrow().clone()
    }
}

/// Starts to take phones in, if that is wanted.
///
/// # Errors
/// A [`Problem`] if nobody could find the door.
pub(crate) async fn start(
    plane: &Plane,
    shared: &Arc<Shared>,
    view: watch::Receiver<Arc<Snapshot>>,
    wish: &PhonesWish,
) -> Result<(), Problem> {
    let ends = shared.phones.door.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (Some(listen), Some(ends)) = (wish.listen, ends) else {
        plane.report(without_a_door(0));
        plane.spawn(take_back(Arc::clone(shared), plane.clone(), view));
        return Ok(());
    };
    let endpoint = endpoint(listen, wish.endpoint.as_deref())?;
    let secret = secret(&shared.keys.node_seed);
    let said = PhoneDoor { key: secret.public(), endpoint };
    let keep = Keep { shared: Arc::clone(shared), plane: plane.clone(), listen, said };
    plane.report(Health::Starting);
    // So that whoever types the next command finds it; said again until the realm has heard.
    if let Err(problem) = tell(shared, Some(&keep.said)).await {
        tracing::debug!(%problem, "the door for phones is told later");
    }
    plane.spawn(keep.run(view, secret, ends));
    Ok(())
}

/// The door's key.
fn secret(node: &Secret) -> BoxSecret {
    BoxSecret::from_seed(&node.derive(KEY))
}

/// Where phones are told to find the door.
fn endpoint(listen: SocketAddr, said: Option<&str>) -> Result<Text<256>, Problem> {
    let odd = |why: String| {
        let next = "freehold up --phone-listen 0.0.0.0:51820 --phone-endpoint vps.example.org:51820";
        Problem::invalid("phones cannot be taken in", why, Some(next))
    };
    let text = match said {
        None if listen.ip().is_unspecified() || listen.port() == 0 => {
            return Err(odd(format!("{listen} is no place that a phone could send to; say which one is")));
        }
        None => listen.to_string(),
        Some(said) => said.to_owned(),
    };
    let wrong = || odd(format!("{text:?} is no name or address with a port"));
    if !is_place(&text) {
        return Err(wrong());
    }
    Text::new(&text).map_err(|_| wrong())
}

/// Whether this is a name or address with a port, and nothing else. What another machine says ends in a file that
/// WireGuard's tools run commands from.
fn is_place(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let fits = match v6 {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c)),
    };
    fits && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Whoever the log lets in here.
fn inside(state: &State, net: &Net) -> Vec<Phone> {
    let here = state.live_phones().filter(|(id, _)| net.serves(id));
    // Without rights it has no address.
    let known = here.filter_map(|(id, phone)| Some((phone.key, net.addresses(Party::Phone(*id))?.0)));
    known.map(|(key, address)| Phone { key, address: address.into() }).collect()
}

/// The gateways that take phones in, by what they say themselves.
pub(crate) fn doors(shared: &Shared, state: &State) -> Vec<(NodeId, PhoneDoor)> {
    let stands = state
        .nodes
        .iter()
        .filter(|(_, node)| node.standing == Standing::Active && node.roles.contains(NodeRoles::GATEWAY));
    let directory = shared.directory();
    let door = |id| directory.phone_door(id).filter(|door| is_place(door.endpoint.as_str())).cloned();
    stands.filter_map(|(id, _)| Some((*id, door(*id)?))).collect()
}

/// Tells the realm where the door is, if it was told something else.
async fn tell(shared: &Shared, said: Option<&PhoneDoor>) -> Result<(), Problem> {
    let me = shared.me();
    let stands =
        shared.log.view().state().nodes.get(&me).is_some_and(|node| node.standing == Standing::Active);
    let known = {
        let directory = shared.directory();
        let has_key = directory.ring(KeyOf::Directory).is_some_and(|ring| ring.current().is_some());
        if !stands || !has_key || directory.phone_door(me) == said {
            return Ok(());
        }
        directory.phone_door(me).is_some()
    };
    if said.is_none() && !known {
        return Ok(());
    }
    shared.say(vec![Saying::Row(DirectoryRow::PhoneDoor(me, said.cloned()))]).await
}

/// How it is where no phone is taken in: nobody misses a door through which no phone is to come.
fn without_a_door(phones: usize) -> Health {
    match phones {
        0 => Health::Idle("phones are taken in where --phone-listen says so".to_owned()),
        some => Health::Degraded(format!(
            "{} in by this machine, which was started without --phone-listen: start it with that, or end them, \
             freehold net phone end",
            if some == 1 { "1 phone is to come".to_owned() } else { format!("{some} phones are to come") }
        )),
    }
}

/// What was told of a door that is no more is taken back, as soon as that can be done; and it is said whom it shuts out.
async fn take_back(shared: Arc<Shared>, plane: Plane, mut view: watch::Receiver<Arc<Snapshot>>) {
    let mut directory = shared.watch_directory();
    loop {
        let now = view.borrow_and_update().clone();
        let known = shared.log.view();
        let meant = known.state().live_phones().filter(|(id, _)| now.net.serves(id)).count();
        plane.report(without_a_door(meant));
        if let Err(problem) = tell(&shared, None).await {
            tracing::debug!(%problem, "it is not taken back yet where phones were taken in");
        }
        tokio::select! {
            () = plane.cancel().cancelled() => return,
            changed = directory.changed() => if changed.is_err() {
                return;
            },
            changed = view.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

/// What keeps the door.
struct Keep {
    shared: Arc<Shared>,
    plane: Plane,
    listen: SocketAddr,
    said: PhoneDoor,
}

impl Keep {
    async fn run(
        self,
        mut view: watch::Receiver<Arc<Snapshot>>,
        secret: BoxSecret,
        ends: (mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>),
    ) {
        let Some(mut door) = self.open(&secret, ends).await else { return };
        let mut every = interval(LOOK_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = view.borrow_and_update().clone();
            let phones = inside(self.shared.log.view().state(), &now.net);
            let failed = door.let_in(&phones).await.err();
            tokio::select! {
                biased;
                () = self.plane.cancel().cancelled() => break,
                changed = view.changed() => if changed.is_err() {
                    break;
                },
                _ = every.tick() => self.look(&door, phones.len(), failed).await,
            }
        }
        if tokio::time::timeout(CLOSE_WITHIN, door.close()).await.is_err() {
            tracing::warn!("the door for phones did not close in time");
        }
    }

    /// Opens the door; an address that cannot be had yet is tried again, since it may come.
    async fn open(
        &self,
        secret: &BoxSecret,
        (to_network, from_network): (mpsc::Sender<Bytes>, mpsc::Receiver<Bytes>),
    ) -> Option<Door> {
        let socket = loop {
            match freehold_phones::Socket::bind(self.listen, secret) {
                Ok(socket) => break socket,
                Err(error) => self.plane.report(Health::Degraded(chain(&error))),
            }
            tokio::select! {
                () = self.plane.cancel().cancelled() => return None,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        };
        match Door::open(socket, secret, to_network, from_network).await {
            Ok(door) => Some(door),
            Err(error) => {
                self.plane.report(Health::Failed(chain(&error)));
                None
            }
        }
    }

    async fn look(&self, door: &Door, phones: usize, failed: Option<OpenError>) {
        self.shared.phones.seen.send_replace(door.seen().await.into());
        if let Err(problem) = tell(&self.shared, Some(&self.said)).await {
            self.plane.report(Health::Degraded(format!("nobody knows of the door: {}", problem.why)));
            return;
        }
        self.plane.report(match failed {
            None => self.health(door, phones),
            // At the next look.
            Some(error) => {
                Health::Degraded(format!("no phone comes in, and it is tried again: {}", chain(&error)))
            }
        });
    }

    fn health(&self, door: &Door, phones: usize) -> Health {
        let view = self.shared.log.view();
        let gateways: BTreeSet<NodeId> =
            doors(&self.shared, view.state()).into_iter().map(|(id, _)| id).collect();
        if !gateways.contains(&self.shared.me()) {
            let why = "this machine is no gateway of the realm: no phone can be let in here";
            return Health::Degraded(why.to_owned());
        }
        if self.shared.tunnel.borrow().is_none() {
            let why = "phones come in, and no further: packets are not carried here, see the tunnel";
            return Health::Degraded(why.to_owned());
        }
        let at = (door.bound(), self.said.endpoint.as_str());
        let phones = if phones == 1 { "1 phone".to_owned() } else { format!("{phones} phones") };
        Health::Up(format!("{phones} at {}, which they find at {}", at.0, at.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It ends in a file that WireGuard's tools run commands from.
    #[test]
    fn what_another_machine_says_is_a_place_and_nothing_else() {
        assert!(is_place("vps.example.org:443") && is_place("[2001:db8::1]:443"));
        for odd in
            ["vps:1\n[Interface]\nPostUp = sh", "vps:1 ", "a b:1", "vps", "vps:0", ":1", "[x]:1", "vps:1\r"]
        {
            assert!(!is_place(odd), "{odd:?}");
        }
    }

    #[test]
    fn a_door_that_phones_miss_is_told_and_one_that_nobody_misses_is_not() {
        assert!(matches!(without_a_door(0), Health::Idle(_)));
        let Health::Degraded(said) = without_a_door(2) else { panic!("two phones are shut out unseen") };
        assert!(said.contains("2 phones") && said.contains("--phone-listen"), "{said}");
    }

    #[test]
    fn a_door_that_no_phone_could_find_is_refused_with_what_to_type() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let good = |listen: &str, said: Option<&str>| endpoint(at(listen), said).unwrap().as_str().to_owned();
        assert_eq!(good("192.0.2.1:51820", None), "192.0.2.1:51820");
        assert_eq!(good("[2001:db8::1]:51820", None), "[2001:db8::1]:51820");
        assert_eq!(good("0.0.0.0:51820", Some("vps.example.org:443")), "vps.example.org:443");
        assert_eq!(good("[::]:51820", Some("[2001:db8::1]:443")), "[2001:db8::1]:443");
        for (listen, said) in [
            ("0.0.0.0:51820", None),
            ("[::]:51820", None),
            ("192.0.2.1:0", None),
            ("192.0.2.1:1", Some("vps.example.org")),
            ("192.0.2.1:1", Some("vps.example.org:0")),
            ("192.0.2.1:1", Some("2001:db8::1:443")),
            ("192.0.2.1:1", Some("a b:443")),
            ("192.0.2.1:1", Some("a\nb:443")),
            ("192.0.2.1:1", Some(":443")),
        ] {
            let problem = endpoint(at(listen), said).unwrap_err();
            assert!(problem.next.is_some_and(|next| next.contains("--phone-endpoint")), "{listen} {said:?}");
        }
    }

    #[test]
    fn the_doors_key_is_the_same_after_a_restart_and_another_one_elsewhere() {
        let of = |byte| secret(&Secret::from_bytes([byte; 32])).public();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert_ne!(of(1), BoxSecret::from_seed(&Secret::from_bytes([1; 32])).public());
    }
}
