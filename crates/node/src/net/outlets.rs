//! Ways of this machine's programs into the network: the proxies that were asked for at the start, and forwarded
//! ports, which are this machine's own affair and stand in a file beside the realm's things.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use freehold_api::{NetForward, Problem};
use freehold_disk::{make_private_dir, read_private, replace};
use freehold_stack::{Door, Reacher, open};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Snapshot;
use super::stack::ForStack;
use crate::problem::{chain, home_problem, own_problem};
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

/// How often an address that could not be had is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// How long somebody who forwards a port waits until it is open.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// More ports than anybody forwards.
const FORWARDS_MAX: usize = 256;
const NOT_MADE: &str = "no port was forwarded";

/// Which proxies there are to be.
#[derive(Debug, Clone, Default)]
pub struct ProxyWish {
    /// Where SOCKS clients come.
    pub socks: Option<SocketAddr>,
    /// Where HTTP clients come.
    pub http: Option<SocketAddr>,
    /// That others than programs of this machine may come.
    pub others: bool,
}

/// A forwarded port, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Forward {
    listen: SocketAddr,
    host: String,
    port: u16,
}

/// The forwarded ports of this machine.
#[derive(Debug)]
pub(crate) struct Outlets {
    file: PathBuf,
    /// With a number that rises.
    kept: watch::Sender<(u64, Vec<Forward>)>,
    /// The last number that was followed.
    followed: watch::Sender<u64>,
    troubles: Mutex<BTreeMap<SocketAddr, String>>,
    /// Why the file was not read: it is not written over.
    unread: Option<String>,
    /// Held by whoever changes it.
    turn: tokio::sync::Mutex<()>,
}

impl Outlets {
    /// What was kept in a file. One that cannot be read forwards nothing, and that is told.
    pub(crate) fn kept(file: PathBuf) -> Self {
        let read = match read_private(&file) {
            Ok(None) => Ok(Vec::new()),
            Ok(Some(bytes)) => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
            Err(error) => Err(own_problem(&error).to_string()),
        };
        let unread = read.as_ref().err().map(|why| {
            format!("{} cannot be read, so no port of it is forwarded: {why}; delete it", file.display())
        });
        Self {
            file,
            kept: watch::channel((0, read.unwrap_or_default())).0,
            followed: watch::channel(0).0,
            troubles: Mutex::default(),
            unread,
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// All of them, and what is wrong with each.
    pub(crate) fn list(&self) -> Vec<NetForward> {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.kept.borrow();
        kept.1.iter().map(|forward| shown(forward, troubles.get(&forward.listen).cloned())).collect()
    }

    /// Forwards another port, from when this returns.
    pub(crate) async fn add(&self, forward: Forward) -> Result<NetForward, Problem> {
        let _turn = self.turn.lock().await;
        if let Some(unread) = &self.unread {
            return Err(Problem::refused(NOT_MADE, unread.clone(), Some("freehold stop, then freehold up")));
        }
        let mut all = self.kept.borrow().1.clone();
        if let Some(there) = all.iter().find(|there| there.listen == forward.listen) {
            let why = format!("{} leads to {}:{} already", there.listen, there.host, there.port);
            let next = format!("freehold net forward remove {}", there.listen);
            return Err(Problem::refused(NOT_MADE, why, Some(next)));
        }
        if all.len() >= FORWARDS_MAX {
            let why = format!("there are {FORWARDS_MAX} already");
            return Err(Problem::refused(NOT_MADE, why, Some("freehold net forward list")));
        }
        // Told at once, and not to a log: whoever has the port keeps it.
        if let Err(error) = tokio::net::TcpListener::bind(forward.listen).await {
            let why = format!("nothing can listen at {}: {error}", forward.listen);
            return Err(Problem::refused(NOT_MADE, why, Some("choose another port")));
        }
        all.push(forward.clone());
        all.sort_by_key(|forward| forward.listen);
        self.keep(all).await?;
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(shown(&forward, troubles.get(&forward.listen).cloned()))
    }

    /// Forwards it no longer; what goes through it is cut.
    pub(crate) async fn remove(&self, listen: SocketAddr) -> Result<(), Problem> {
        let _turn = self.turn.lock().await;
        let mut all = self.kept.borrow().1.clone();
        let before = all.len();
        all.retain(|forward| forward.listen != listen);
        if all.len() == before {
            let (what, why) = ("nothing was removed", format!("no port is forwarded at {listen}"));
            return Err(Problem::not_found(what, why, Some("freehold net forward list")));
        }
        self.keep(all).await
    }

    async fn keep(&self, all: Vec<Forward>) -> Result<(), Problem> {
        let (file, bytes) = (self.file.clone(), serde_json::to_vec_pretty(&all).unwrap_or_default());
        let written = tokio::task::spawn_blocking(move || write(&file, &bytes)).await;
        let written = written.map_err(|error| Problem::bug(NOT_MADE, error.to_string(), None::<&str>))?;
        written.map_err(|error| home_problem(&self.file, &error))?;
        let number = self.kept.borrow().0 + 1;
        let mut followed = self.followed.subscribe();
        self.kept.send_replace((number, all));
        // A node that is on its way up follows later.
        drop(tokio::time::timeout(OPEN_WITHIN, followed.wait_for(|now| *now >= number)).await);
        Ok(())
    }
}

fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        make_private_dir(folder)?;
    }
    replace(file, bytes, 0o600)
}

fn shown(forward: &Forward, trouble: Option<String>) -> NetForward {
    let host = if forward.host.contains(':') { format!("[{}]", forward.host) } else { forward.host.clone() };
    NetForward { listen: forward.listen.to_string(), to: format!("{host}:{}", forward.port), trouble }
}

/// A forward as it is typed: `8080` or `127.0.0.1:8080`, and `nas:80`.
pub(crate) fn typed(listen: &str, to: &str, others: bool) -> Result<Forward, Problem> {
    let wrong =
        |why: String| Problem::invalid(NOT_MADE, why, Some("freehold net forward add 127.0.0.1:8080 nas:80"));
    let listen = at(listen).ok_or_else(|| wrong(format!("{listen:?} is no address with a port")))?;
    let (host, port) = to.rsplit_once(':').ok_or_else(|| wrong(format!("{to:?} names no port")))?;
    let port = port.parse().ok().filter(|port| *port > 0);
    let port: u16 = port.ok_or_else(|| wrong(format!("{to:?} names no port")))?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() {
        return Err(wrong(format!("{to:?} names no machine")));
    }
    only_here(listen, others, NOT_MADE)?;
    Ok(Forward { listen, host: host.to_owned(), port })
}

/// An address with a port; the loopback where only a port is given.
pub(crate) fn at(text: &str) -> Option<SocketAddr> {
    let here = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let at = text.parse().ok().or_else(|| text.parse().ok().map(here));
    at.filter(|at: &SocketAddr| at.port() > 0)
}

/// Whoever comes in from elsewhere would be this machine to the realm: only if that was said.
pub(crate) fn only_here(at: SocketAddr, others: bool, what: &str) -> Result<(), Problem> {
    if others || at.ip().is_loopback() {
        return Ok(());
    }
    let why = format!(
        "whoever reaches {at} from elsewhere would be this machine to the realm, without signing on to anything"
    );
    Err(Problem::refused(
        what,
        why,
        Some("use 127.0.0.1, or say that you mean it: --others, --proxy-for-others"),
    ))
}

/// Keeps proxies and forwarded ports open until the plane ends.
///
/// # Errors
/// A [`Problem`] if a proxy would be open to others, and nobody has said so.
pub(crate) fn start(
    plane: &Plane,
    shared: &Arc<Shared>,
    view: watch::Receiver<Arc<Snapshot>>,
    wish: &ProxyWish,
) -> Result<(), Problem> {
    for at in [wish.socks, wish.http].into_iter().flatten() {
        only_here(at, wish.others, "the proxy was not opened")?;
    }
    let reacher = Reacher::new(shared.way.subscribe(), Arc::new(ForStack::new(shared, view)));
    let proxies = [(wish.socks, Door::Socks), (wish.http, Door::Http)];
    let proxies = proxies.into_iter().filter_map(|(at, door)| Some((at?, door))).collect();
    plane.spawn(keep(Arc::clone(shared), plane.clone(), reacher, proxies));
    Ok(())
}

async fn keep(shared: Arc<Shared>, plane: Plane, reacher: Reacher, proxies: BTreeMap<SocketAddr, Door>) {
    let outlets = &shared.outlets;
    let tasks = TaskTracker::new();
    let mut kept = outlets.kept.subscribe();
    let mut doors: BTreeMap<SocketAddr, (Door, CancellationToken)> = BTreeMap::new();
    loop {
        let (number, forwards) = kept.borrow_and_update().clone();
        let count = forwards.len();
        let mut wanted: BTreeMap<SocketAddr, Door> = forwards
            .into_iter()
            .map(|Forward { listen, host, port }| (listen, Door::Forward { host, port }))
            .collect();
        // What was said at the start counts.
        wanted.extend(proxies.clone());
        doors.retain(|at, (door, cancel)| {
            let stays = wanted.get(at) == Some(door);
            if !stays {
                cancel.cancel();
            }
            stays
        });
        let mut troubles = BTreeMap::new();
        for (at, door) in wanted {
            if doors.contains_key(&at) {
                continue;
            }
            let cancel = plane.cancel().child_token();
            match open(door.clone(), at, reacher.clone(), &tasks, cancel.clone()).await {
                Ok(_) => drop(doors.insert(at, (door, cancel))),
                Err(error) => drop(troubles.insert(at, chain(&error))),
            }
        }
        plane.report(health(&proxies, count, outlets.unread.iter().chain(troubles.values())));
        let again = !troubles.is_empty();
        *outlets.troubles.lock().unwrap_or_else(PoisonError::into_inner) = troubles;
        outlets.followed.send_replace(number);
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => break,
            changed = kept.changed() => if changed.is_err() { break },
            () = tokio::time::sleep(AGAIN), if again => {}
        }
    }
    tasks.close();
    tasks.wait().await;
}

fn health<'a>(
    proxies: &BTreeMap<SocketAddr, Door>,
    forwards: usize,
    troubles: impl Iterator<Item = &'a String>,
) -> Health {
    let troubles: Vec<&str> = troubles.map(String::as_str).collect();
    if !troubles.is_empty() {
        return Health::Degraded(troubles.join("; "));
    }
    let proxies = proxies.iter().map(|(at, door)| match door {
        Door::Socks => format!("SOCKS at {at}"),
        Door::Http => format!("HTTP at {at}"),
        Door::Forward { host, port } => format!("{at} leads to {host}:{port}"),
    });
    let forwards = (forwards > 0).then(|| freehold_api::words::count(forwards as u64, "forwarded port"));
    let all: Vec<String> = proxies.chain(forwards).collect();
    if all.is_empty() {
        return Health::Idle("nobody has asked for a proxy or a forwarded port".to_owned());
    }
    Health::Up(all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_understood_and_the_loopback_is_meant() {
        let good =
            |listen: &str, to: &str| typed(listen, to, false).map(|forward| shown(&forward, None)).unwrap();
        let forward = good("8080", "nas:80");
        assert_eq!((&forward.listen[..], &forward.to[..]), ("127.0.0.1:8080", "nas:80"));
        assert_eq!(good("[::1]:22", "[fd00::2]:22").to, "[fd00::2]:22");
        for (listen, to) in
            [("nas", "nas:80"), ("0", "nas:80"), ("8080", "nas"), ("8080", "nas:0"), ("8080", ":80")]
        {
            assert!(typed(listen, to, false).is_err(), "{listen} {to}");
        }
        assert!(
            typed("0.0.0.0:8080", "nas:80", false).is_err() && typed("0.0.0.0:8080", "nas:80", true).is_ok()
        );
    }

    #[tokio::test]
    async fn forwards_stay_over_a_restart_and_a_file_of_others_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("net/forwards");
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let port = free.port().to_string();
        let first = Outlets::kept(file.clone());
        first.followed.send_replace(u64::MAX);
        first.add(typed(&port, "nas:80", false).unwrap()).await.unwrap();
        assert!(first.add(typed(&port, "door:81", false).unwrap()).await.is_err());
        let second = Outlets::kept(file.clone());
        assert_eq!(second.list(), first.list());
        assert_eq!(second.list().len(), 1);
        second.followed.send_replace(u64::MAX);
        second.remove(free).await.unwrap();
        assert!(second.remove(free).await.is_err());
        assert!(Outlets::kept(file.clone()).list().is_empty());
        replace(&file, b"nonsense", 0o600).unwrap();
        let damaged = Outlets::kept(file.clone());
        assert!(damaged.unread.is_some());
        assert!(damaged.add(typed(&port, "nas:80", false).unwrap()).await.is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"nonsense", "somebody may still want it");
    }
}
