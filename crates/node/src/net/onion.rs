//! The onion door: the console and SSH of this machine over the Tor network, for those who hold a key. Who comes by it
//! is somebody from outside, though `tor` runs on this machine: the console has a socket of its own for them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use freehold_api::{OnionClient, OnionState, OnionStatus, Problem};
use freehold_disk::{make_private_dir, read_private, replace};
use freehold_onion::{ClientKey, ClientName, Doing, Folder, Leads, Standing, Target, Wish, find_tor, keep};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::home::Home;
use crate::problem::{home_problem, own_problem};
use crate::run::Console;
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

const SSH: u16 = 22;
const HTTPS: u16 = 443;
const CONSOLE: &str = "console.sock";
/// How long whoever changes something waits until it holds: longer than a `tor` takes to end.
const HOLDS_WITHIN: Duration = Duration::from_secs(10);
/// How long a first `tor` may take to make its address.
const ADDRESS_WITHIN: Duration = Duration::from_secs(20);
/// More than anybody lets in by hand.
const CLIENTS_MAX: usize = 64;

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Kept {
    on: bool,
    ssh_port: u16,
    clients: BTreeMap<String, String>,
}

impl Default for Kept {
    fn default() -> Self {
        Self { on: false, ssh_port: SSH, clients: BTreeMap::new() }
    }
}

impl Kept {
    /// Nothing of it counts if a part is not what was written: who is let in must not be guessed.
    fn read(bytes: &[u8]) -> Option<Self> {
        let kept: Self = serde_json::from_slice(bytes).ok()?;
        (kept.clients().is_some() && kept.ssh_port != 0).then_some(kept)
    }

    fn clients(&self) -> Option<BTreeMap<ClientName, ClientKey>> {
        self.clients.iter().map(|(name, key)| Some((name.parse().ok()?, key.parse().ok()?))).collect()
    }

    fn wish(&self, number: u64, console: PathBuf) -> Wish {
        let ssh = (Ipv4Addr::LOCALHOST, self.ssh_port).into();
        let ports = vec![
            Leads { port: SSH, to: Target::Tcp(ssh) },
            Leads { port: HTTPS, to: Target::Socket(console) },
        ];
        Wish { number, on: self.on, ports, clients: self.clients().unwrap_or_default() }
    }
}

/// The onion door of this machine.
pub(crate) struct Onion {
    folder: Folder,
    kept: Mutex<Kept>,
    wish: watch::Sender<Wish>,
    standing: watch::Sender<Standing>,
    /// Why the file could not be read, until another one is written.
    unreadable: Mutex<Option<String>>,
    /// Held by whoever changes it.
    turn: tokio::sync::Mutex<()>,
}

impl Onion {
    /// What was kept. A file that cannot be read counts as a door that is shut, and that is told.
    pub(crate) fn kept(home: &Home) -> Self {
        let folder = Folder::at(home.onion());
        let file = folder.path().join(FILE);
        let read = match read_private(&file) {
            Ok(None) => Ok(Kept::default()),
            Ok(Some(bytes)) => Kept::read(&bytes).ok_or_else(|| "it is not what was written".to_owned()),
            Err(error) => Err(own_problem(&error).to_string()),
        };
        let unreadable = read.as_ref().err().map(|why| {
            format!(
                "{} cannot be read, so the onion door is shut: {why}; freehold net onion on",
                file.display()
            )
        });
        let kept = read.unwrap_or_default();
        let wish = kept.wish(0, folder.socket(CONSOLE));
        let standing = Standing { address: folder.address(), ..Standing::default() };
        Self {
            folder,
            kept: Mutex::new(kept),
            wish: watch::Sender::new(wish),
            standing: watch::Sender::new(standing),
            unreadable: Mutex::new(unreadable),
            turn: tokio::sync::Mutex::default(),
        }
    }

    fn now(&self) -> Kept {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How it stands, for whoever asks.
    pub(crate) fn status(&self) -> OnionStatus {
        let (kept, standing) = (self.now(), self.standing.borrow().clone());
        let (state, percent, trouble) = match standing.doing {
            Doing::Off => (OnionState::Off, None, None),
            Doing::Waiting => (OnionState::Waiting, None, None),
            Doing::Starting { percent, trouble } => (OnionState::Starting, Some(percent), trouble),
            Doing::Up { trouble } => (OnionState::Up, None, trouble),
            Doing::Down(trouble) => (OnionState::Down, None, Some(trouble)),
        };
        let client = |(name, key)| OnionClient { name, key };
        OnionStatus {
            on: kept.on,
            address: standing.address.map(|address| address.to_string()),
            state,
            percent,
            trouble: trouble.as_ref().map(ToString::to_string),
            next: trouble.as_ref().and_then(freehold_onion::Trouble::next).map(str::to_owned),
            ssh_port: kept.ssh_port,
            clients: kept.clients.into_iter().map(client).collect(),
        }
    }

    /// Opens or shuts it.
    pub(crate) async fn set(&self, on: Option<bool>, ssh_port: Option<u16>) -> Result<(), Problem> {
        if ssh_port == Some(0) {
            return Err(Problem::invalid(
                NOT_CHANGED,
                "0 is no port",
                Some("freehold net onion on --ssh-port 22"),
            ));
        }
        if on == Some(true) {
            has_tor()?;
        }
        let _turn = self.turn.lock().await;
        let mut kept = self.now();
        kept.on = on.unwrap_or(kept.on);
        kept.ssh_port = ssh_port.unwrap_or(kept.ssh_port);
        self.follow(kept).await
    }

    /// Lets somebody in, and waits until the address is known.
    pub(crate) async fn let_in(&self, client: OnionClient) -> Result<(), Problem> {
        let odd = |why: freehold_onion::NoClient| {
            Problem::invalid(NOT_LET_IN, why.to_string(), Some("freehold net onion let-in my-laptop"))
        };
        let name: ClientName = client.name.parse().map_err(odd)?;
        let key: ClientKey = client.key.parse().map_err(odd)?;
        has_tor()?;
        {
            let _turn = self.turn.lock().await;
            let mut kept = self.now();
            if !kept.on {
                let next = Some("freehold net onion on");
                return Err(Problem::refused(NOT_LET_IN, "the onion door is off", next));
            }
            if kept.clients.contains_key(name.as_str()) {
                let why = format!("{name} is let in already, by another key");
                return Err(Problem::conflict(
                    NOT_LET_IN,
                    why,
                    Some(format!("freehold net onion remove {name}")),
                ));
            }
            if kept.clients.len() >= CLIENTS_MAX {
                let why = format!("{CLIENTS_MAX} are let in already");
                return Err(Problem::refused(NOT_LET_IN, why, Some("freehold net onion remove NAME")));
            }
            kept.clients.insert(name.to_string(), key.text());
            self.follow(kept).await?;
        }
        let mut standing = self.standing.subscribe();
        let named = async {
            while standing.borrow_and_update().address.is_none() {
                if let Some(address) = self.folder.address() {
                    self.standing.send_modify(|standing| standing.address = Some(address));
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        if tokio::time::timeout(ADDRESS_WITHIN, named).await.is_ok() {
            return Ok(());
        }
        let why = self.status().trouble.unwrap_or_else(|| "tor has made no address in time".to_owned());
        // Nobody would ever hold this key.
        self.remove(name.as_str()).await?;
        Err(Problem::refused(NOT_LET_IN, why, Some("freehold net onion show")))
    }

    /// Lets somebody in no longer; when this returns, they are cut off.
    pub(crate) async fn remove(&self, name: &str) -> Result<(), Problem> {
        let _turn = self.turn.lock().await;
        let mut kept = self.now();
        if kept.clients.remove(name).is_none() {
            let why = format!("nobody called {name:?} is let in");
            return Err(Problem::not_found("nobody was removed", why, Some("freehold net onion show")));
        }
        self.follow(kept).await
    }

    /// Keeps it, and waits until it holds.
    async fn follow(&self, kept: Kept) -> Result<(), Problem> {
        let file = self.folder.path().join(FILE);
        let bytes = serde_json::to_vec_pretty(&kept).unwrap_or_default();
        let written = make_private_dir(self.folder.path()).and_then(|()| replace(&file, &bytes, 0o600));
        written.map_err(|error| home_problem(&file, &error))?;
        *self.unreadable.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let number = self.wish.borrow().number + 1;
        let wish = kept.wish(number, self.folder.socket(CONSOLE));
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        let mut standing = self.standing.subscribe();
        self.wish.send_replace(wish);
        let holds = tokio::time::timeout(HOLDS_WITHIN, standing.wait_for(|now| now.number >= number)).await;
        match holds {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Problem::unreachable(
                "it is kept, and does not hold yet",
                "the tor that runs has not ended in time",
                Some("freehold net onion show"),
            )),
        }
    }
}

const FILE: &str = "choice";
const NOT_CHANGED: &str = "the onion door was not changed";
const NOT_LET_IN: &str = "nobody was let in";

fn has_tor() -> Result<(), Problem> {
    find_tor()
        .map(drop)
        .map_err(|no| Problem::refused(NOT_CHANGED, no.to_string(), Some("sudo apt install tor")))
}

/// Starts to keep the door as it is wanted.
pub(crate) fn start(plane: &Plane, shared: &Arc<Shared>, console: Console) {
    let keeper = (Arc::clone(shared), plane.clone());
    plane.spawn(async move {
        let (shared, plane) = keeper;
        let onion = &shared.onion;
        keep(&onion.folder, onion.wish.subscribe(), &onion.standing, plane.cancel()).await;
    });
    let teller = (Arc::clone(shared), plane.clone());
    plane.spawn(async move {
        let (shared, plane) = teller;
        tell(&shared.onion, &plane).await;
    });
    let host = (Arc::clone(shared), plane.clone());
    plane.spawn(async move {
        let (shared, plane) = host;
        open_console(&shared.onion, &plane, &console).await;
    });
}

async fn tell(onion: &Onion, plane: &Plane) {
    let mut standing = onion.standing.subscribe();
    loop {
        standing.mark_unchanged();
        let unreadable = onion.unreadable.lock().unwrap_or_else(PoisonError::into_inner).clone();
        plane.report(health(&onion.status(), unreadable.as_deref()));
        tokio::select! {
            () = plane.cancel().cancelled() => return,
            changed = standing.changed() => if changed.is_err() { return },
        }
    }
}

/// Serves the console at its socket while the door is wanted.
async fn open_console(onion: &Onion, plane: &Plane, console: &Console) {
    let mut wish = onion.wish.subscribe();
    let named = || onion.standing.borrow().address.as_ref().map(|address| Arc::from(address.as_str()));
    let is_wanted = |wish: &Wish| wish.on && !wish.clients.is_empty();
    loop {
        let wanted = async { wish.wait_for(is_wanted).await.is_ok() };
        tokio::select! {
            () = plane.cancel().cancelled() => return,
            wanted = wanted => if !wanted { return },
        }
        let until = plane.cancel().child_token();
        let at = onion.folder.socket(CONSOLE);
        let serve = console.serve(&at, &named, until.clone());
        let mut serve = std::pin::pin!(serve);
        let unwanted = async { wish.wait_for(|wish| !is_wanted(wish)).await.is_ok() };
        let ended = tokio::select! {
            ended = &mut serve => ended,
            _ = unwanted => {
                until.cancel();
                serve.await
            }
        };
        if let Err(error) = ended {
            tracing::warn!(%error, "the console is not reached by the onion door");
            tokio::select! {
                () = plane.cancel().cancelled() => return,
                () = tokio::time::sleep(HOLDS_WITHIN) => {}
            }
        }
    }
}

fn health(status: &OnionStatus, unreadable: Option<&str>) -> Health {
    if let (Some(unreadable), false) = (unreadable, status.on) {
        return Health::Degraded(unreadable.to_owned());
    }
    let address = status.address.as_deref().unwrap_or_default();
    let next = status.next.as_ref().map(|next| format!(": {next}")).unwrap_or_default();
    match (status.state, &status.trouble) {
        (OnionState::Off, _) => Health::Idle("nobody has switched it on: freehold net onion on".to_owned()),
        (OnionState::Waiting, _) => {
            Health::Off("shut until somebody is let in: freehold net onion let-in NAME".to_owned())
        }
        (_, Some(trouble)) => Health::Degraded(format!("{trouble}{next}")),
        (OnionState::Starting, None) => {
            Health::Up(format!("on its way into the Tor network, {} %", status.percent.unwrap_or_default()))
        }
        (OnionState::Up | OnionState::Down, None) => Health::Up(address.to_owned()),
    }
}

#[cfg(test)]
mod tests;
