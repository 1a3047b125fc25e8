//! Starts and stops all of it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use freehold_names::{Domain, PolicyParty};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answering::Answering;
pub use crate::answering::Verdict;
use crate::asking::Asking;
use crate::config::{Config, Listen, Speaks};
use crate::counting::{Counters, Counts, Frequent};
use crate::datagrams::{Datagrams, Socket};
use crate::keeper::{Command, Gone, Keeper, Tools};
use crate::lists::{ListState, Shelf};
use crate::outgoing::Outgoing;
use crate::store::Store;
use crate::streams::Streams;
use crate::upstream::ServerState;
use crate::waiting::Waiting;
use crate::web::Web;

/// Longer than what is under way at the end takes.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// Settings that wait for each other.
const COMMANDS: usize = 16;
/// Connections that nobody has taken yet.
const BACKLOG: u32 = 1024;
/// Where any port will do, one may be free for UDP and taken for TCP.
const PORT_TRIES: usize = 16;

/// Why the resolver does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be served.
    #[error("serving names at {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// By which device, if by one alone.
        device: Option<String>,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// TLS is wanted, and there is no certificate.
    #[error("serving names at {0} over TLS takes a certificate, and there is none")]
    NoCertificate(SocketAddr),
    /// The folder for lists cannot be used.
    #[error("the folder for lists of names, {path}: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There are no random numbers.
    #[error("the system has no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    /// The first setting does not hold.
    #[error(transparent)]
    Setting(#[from] Gone),
}

impl StartError {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Listen { address, source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                format!("ss -lpn 'sport = :{}'    (says which program has the port)", address.port())
            }
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "ports below 1024 take the capability CAP_NET_BIND_SERVICE".to_owned()
            }
            Self::Listen { device: Some(device), .. } => format!("ip address show {device}"),
            Self::Listen { .. } => "look with `ip address` whether this machine has the address".to_owned(),
            Self::NoCertificate(_) => {
                "let the node have a certificate first, or serve without TLS".to_owned()
            }
            Self::Folder { .. } => "look whether this user may write there".to_owned(),
            Self::Setting(Gone::Tls(_)) => "apt install ca-certificates".to_owned(),
            Self::Random(_) | Self::Setting(_) => "freehold doctor".to_owned(),
        }
    }
}

/// Where it serves, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The address, with its port.
    pub address: SocketAddr,
    /// What is spoken.
    pub speaks: Speaks,
}

/// The resolver, before it runs.
#[derive(Debug)]
pub struct Resolver;

impl Resolver {
    /// Serves, with the lists that are kept, until the handle is shut down.
    ///
    /// # Errors
    /// [`StartError`]; nothing is served then.
    pub async fn start(config: Config) -> Result<Handle, StartError> {
        let mut seed = [0; 16];
        getrandom::fill(&mut seed)?;
        let folder = config.folder.clone();
        let failed = |source| StartError::Folder { path: folder.clone(), source };
        let shelf = Shelf::open(&config.folder).map_err(failed)?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let (store, counters) =
            (Arc::new(Store::new(config.cache, seed)), Arc::new(Counters::new(processors)));
        let tools = Tools {
            seed,
            clock: Arc::clone(&config.clock),
            outgoing: Outgoing::new(config.roots.clone()),
            shelf,
            names_max: config.names_max,
            store: Arc::clone(&store),
            counters: Arc::clone(&counters),
        };
        let keeper = Keeper::new(tools, config.setting.clone()).await?;
        let (view, states, started) = (keeper.view(), keeper.states(), Instant::now());
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let asking = Asking::new(view.clone(), Arc::clone(&store), started, tasks.clone(), stop.clone());
        let (parties, clock) = (Arc::clone(&config.parties), Arc::clone(&config.clock));
        let answering = Arc::new(Answering { seed, view, store, asking, parties, clock, started });
        let (commands, orders) = mpsc::channel(COMMANDS);
        let (tls, waiting, places) = (config.tls.clone(), Waiting::default(), Mutex::default());
        let handle =
            Handle { answering, counters, states, commands, tls, waiting, processors, places, tasks, stop };
        for listen in &config.listen {
            if let Err(error) = handle.serve(listen).await {
                handle.shutdown().await;
                return Err(error);
            }
        }
        handle.tasks.spawn(keeper.run(orders, handle.stop.clone()));
        Ok(handle)
    }
}

/// The resolver, while it runs. Dropped without [`Self::shutdown`] it ends as well, by and by.
pub struct Handle {
    answering: Arc<Answering>,
    counters: Arc<Counters>,
    states: watch::Receiver<Vec<ListState>>,
    commands: mpsc::Sender<Command>,
    tls: Option<Arc<rustls::ServerConfig>>,
    waiting: Waiting,
    processors: usize,
    places: Mutex<Vec<Place>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// Where something is served, until it is stopped.
struct Place {
    listen: Listen,
    bound: Bound,
    stop: CancellationToken,
}

impl Handle {
    /// Serves at one address more.
    ///
    /// # Errors
    /// [`StartError::Listen`] or [`StartError::NoCertificate`]; what was served before still is.
    pub async fn serve(&self, listen: &Listen) -> Result<Bound, StartError> {
        let failed = |source| {
            let (address, device) = (listen.address, listen.device.clone());
            StartError::Listen { address, device, source }
        };
        let acceptor = |alpn: &[&[u8]]| {
            let mut tls = rustls::ServerConfig::clone(
                self.tls.as_ref().ok_or(StartError::NoCertificate(listen.address))?,
            );
            tls.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
            Ok::<_, StartError>(TlsAcceptor::from(Arc::new(tls)))
        };
        let stop = self.stop.child_token();
        let (listener, address) = match listen.speaks {
            Speaks::Plain => {
                let (sockets, listener) = pair(listen, self.processors).await.map_err(failed)?;
                let address = sockets.first().map_or(listen.address, Socket::address);
                for (number, socket) in sockets.into_iter().enumerate() {
                    let datagrams = Datagrams {
                        answering: Arc::clone(&self.answering),
                        socket: Arc::new(socket),
                        counter: self.counters.nth(number),
                        waiting: self.waiting.clone(),
                        tasks: self.tasks.clone(),
                        stop: stop.clone(),
                    };
                    self.tasks.spawn(datagrams.serve());
                }
                (listener, address)
            }
            Speaks::Tls | Speaks::Https => {
                let listener = stream(listen.address, listen.device.as_deref()).await.map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?;
                (listener, address)
            }
        };
        let number = self.places().len();
        let (answering, counter) = (Arc::clone(&self.answering), self.counters.nth(number));
        let (waiting, tasks) = (self.waiting.clone(), self.tasks.clone());
        let (bound, ending) = (Bound { address, speaks: listen.speaks }, stop.clone());
        if listen.speaks == Speaks::Https {
            let tls = acceptor(&[b"h2", b"http/1.1"])?;
            let web = Web { answering, listener, tls, counter, waiting, tasks, stop };
            self.tasks.spawn(web.serve());
        } else {
            let tls = if listen.speaks == Speaks::Tls { Some(acceptor(&[])?) } else { None };
            let streams = Streams { answering, listener, tls, counter, waiting, tasks, stop };
            self.tasks.spawn(streams.serve());
        }
        self.places().push(Place { listen: listen.clone(), bound, stop: ending });
        Ok(bound)
    }

    /// Serves no more at an address that was asked for: who is answered now still is.
    pub fn leave(&self, listen: &Listen) {
        self.places().retain(|place| {
            let stays = place.listen != *listen;
            if !stays {
                place.stop.cancel();
            }
            stays
        });
    }

    fn places(&self) -> MutexGuard<'_, Vec<Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it serves.
    pub fn bound(&self) -> Vec<Bound> {
        self.places().iter().map(|place| place.bound).collect()
    }

    /// Where it was told to serve, and does.
    pub fn listens(&self) -> Vec<Listen> {
        self.places().iter().map(|place| place.listen.clone()).collect()
    }

    /// What would become of a name now, if somebody asked.
    pub fn judge(&self, party: &PolicyParty, name: &Domain) -> Verdict {
        self.answering.judge(party, name)
    }

    /// Takes a setting in the place of the one before, whole. Lists that are new and not kept come later.
    ///
    /// # Errors
    /// [`Gone`]; the one before holds on then.
    pub async fn change(&self, setting: crate::Setting) -> Result<(), Gone> {
        let (tell, told) = oneshot::channel();
        let command = Command::Change(Box::new(setting), tell);
        self.commands.send(command).await.map_err(|_| Gone::Ended)?;
        told.await.map_err(|_| Gone::Ended)?
    }

    /// Looks for newer lists now.
    pub async fn renew_lists(&self) {
        // Without a keeper there is nothing to renew.
        drop(self.commands.send(Command::Renew).await);
    }

    /// How the lists are, now and whenever that changes.
    pub fn lists(&self) -> watch::Receiver<Vec<ListState>> {
        self.states.clone()
    }

    /// How the servers are that are asked, by their numbers.
    pub fn servers(&self) -> Vec<Vec<ServerState>> {
        self.answering.view().upstreams.iter().map(|group| group.states()).collect()
    }

    /// How many names are blocked, and how many answers of others are known.
    pub fn size(&self) -> (usize, usize) {
        (self.answering.view().blocked.len(), self.answering.store.len())
    }

    /// What a group asked, or all, in each hour of the last day, the oldest first: how many hours ago, and
    /// how often.
    pub fn counts(&self, group: Option<usize>) -> Vec<(u64, Counts)> {
        self.counters.hours(self.answering.moment().at.now, group)
    }

    /// The names that were blocked, or that passed, most often in the last day: none, unless the setting
    /// says that names are kept.
    pub fn frequent(&self, blocked: bool, most: usize) -> Frequent {
        self.counters.frequent(self.answering.moment().at.now, blocked, most)
    }

    /// Ends: answers under way are given, connections closed. Whether all ended in time.
    pub async fn shutdown(&self) -> bool {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(STOP_WITHIN, self.tasks.wait()).await.is_ok()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("bound", &self.bound()).finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// UDP sockets, one for each processor, and a TCP listener, all with one address.
async fn pair(listen: &Listen, processors: usize) -> io::Result<(Vec<Socket>, TcpListener)> {
    let (address, device) = (listen.address, listen.device.as_deref());
    let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        let first = Socket::open(address, device)?;
        let at = first.address();
        match stream(at, device).await {
            Ok(listener) => {
                let more = (1..processors).map(|_| Socket::open(at, device));
                let sockets = std::iter::once(Ok(first)).chain(more).collect::<io::Result<_>>()?;
                return Ok((sockets, listener));
            }
            Err(error) if tries == 1 || error.kind() != io::ErrorKind::AddrInUse => return Err(error),
            Err(_) => tries -= 1,
        }
    }
}

async fn stream(address: SocketAddr, device: Option<&str>) -> io::Result<TcpListener> {
    let Some(device) = device else { return TcpListener::bind(address).await };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind_device(Some(device.as_bytes()))?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
