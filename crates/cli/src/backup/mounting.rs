//! A backup as a folder. It is shown from here, where whoever typed it sees it, and read by the node, which has the password
//! and the way to the target.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use freehold_api::words::{self, count};
use freehold_api::{
    BackupEvent, BackupMount, BackupMounted, BackupNode, BackupNodeKind, BackupRead, BackupTree, Client,
    Problem,
};
use freehold_mount::{Entry, Kind, MountError, Mounted, Root, Source};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::args::MountArgs;
use super::odd;
use crate::terminal::Terminal;

const NOT_MOUNTED: &str = "nothing was mounted";
/// How often a node that went away is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

type Events = BoxStream<'static, Result<BackupEvent, Problem>>;
/// What the node calls what it keeps open: another name after it was started anew.
type Named = Arc<Mutex<String>>;

/// What the node reads for whoever looks into the folder.
struct Asked {
    client: Client,
    named: Named,
    runtime: Handle,
    terminal: Terminal,
}

impl Asked {
    fn name(&self) -> String {
        self.named.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// In a line.
fn line(problem: &Problem) -> String {
    format!("{}: {}", problem.what, problem.why)
}

impl Source for Asked {
    fn entries(&self, tree: &str) -> Result<Vec<Entry>, String> {
        let (name, wish) = (self.name(), BackupTree { tree: tree.to_owned(), only: None });
        let nodes = self.runtime.block_on(self.client.mounted_nodes(&name, &wish));
        Ok(nodes.map_err(|problem| line(&problem))?.into_iter().filter_map(entry).collect())
    }

    fn read(&self, tree: &str, at: u64, offset: u64, length: u64) -> Result<Bytes, String> {
        let (name, wish) = (self.name(), BackupRead { tree: tree.to_owned(), at, offset, length });
        let bytes = self.runtime.block_on(self.client.mounted_bytes(&name, &wish));
        bytes.map_err(|problem| line(&problem))
    }

    fn tell(&self, what: String) {
        self.terminal.say(format!("error: cannot read {what}"));
    }
}

/// As the folder shows it; nothing where its name makes no sense.
fn entry(node: BackupNode) -> Option<Entry> {
    let kind = match node.kind {
        BackupNodeKind::File => Kind::File,
        BackupNodeKind::Dir(tree) => Kind::Dir(tree),
        BackupNodeKind::Link(to) => Kind::Link(to.bytes()?),
        BackupNodeKind::Pipe => Kind::Pipe,
        BackupNodeKind::Socket => Kind::Socket,
        BackupNodeKind::Block(number) => Kind::Block(number),
        BackupNodeKind::Char(number) => Kind::Char(number),
    };
    Some(Entry {
        at: node.at,
        name: node.name.bytes()?,
        kind,
        mode: node.mode,
        user: node.user,
        group: node.group,
        size: node.size,
        links: node.links,
        times: node.times.try_into().ok()?,
    })
}

/// Has the node keep it open.
async fn open(client: &Client, wish: &BackupMount) -> Result<(BackupMounted, Events), Problem> {
    let mut events = client.mount_backup(wish).await?;
    match events.next().await {
        Some(Ok(BackupEvent::Mounted(mounted))) => Ok((mounted, events)),
        Some(Ok(BackupEvent::Failed(problem)) | Err(problem)) => Err(problem),
        Some(Ok(_)) => Err(odd()),
        None => Err(Problem::unreachable(NOT_MOUNTED, "the node is stopping", Some("freehold up"))),
    }
}

/// Opens it again whenever the node was away.
async fn tend(client: &Client, wish: &BackupMount, mut events: Events, named: &Named, terminal: Terminal) {
    loop {
        while let Some(Ok(_)) = events.next().await {}
        terminal.say("The node is away: what was not read yet cannot be until it is back (freehold up).");
        events = loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Ok((mounted, events)) = open(client, wish).await {
                *named.lock().unwrap_or_else(PoisonError::into_inner) = mounted.id;
                break events;
            }
        };
        terminal.say("The node is back.");
    }
}

/// Whether all are of the same machine and paths: the newest of several would be somebody else's.
fn is_of_one(mounted: &BackupMounted) -> bool {
    let group = |root: &freehold_api::BackupRoot| {
        (root.snapshot.machine.clone(), root.snapshot.paths.iter().cloned().collect::<BTreeSet<_>>())
    };
    mounted.snapshots.iter().map(group).collect::<BTreeSet<_>>().len() < 2
}

fn problem(error: &MountError) -> Problem {
    Problem::refused(NOT_MOUNTED, error.to_string(), Some(error.next()))
}

/// What ends a program that a person sits at, or that a service is.
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> Result<Self, Problem> {
        let of =
            |kind| signal(kind).map_err(|error| Problem::bug(NOT_MOUNTED, error.to_string(), None::<&str>));
        Ok(Self([of(SignalKind::interrupt())?, of(SignalKind::terminate())?, of(SignalKind::hangup())?]))
    }

    async fn any(&mut self) {
        let Self([interrupt, terminate, hangup]) = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Something that blocks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, MountError> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| problem(&error)),
        Err(error) => Err(Problem::bug(NOT_MOUNTED, error.to_string(), None::<&str>)),
    }
}

pub(super) async fn mount(terminal: Terminal, client: &Client, args: MountArgs) -> Result<(), Problem> {
    let MountArgs { name, folder, from, snapshot } = args;
    // Before anything is asked of a target that may be far away.
    freehold_mount::check(&folder).map_err(|error| problem(&error))?;
    let mut signals = Signals::new()?;
    let wish = BackupMount { backup: name, target: from, snapshot };
    let (mounted, events) = tokio::select! {
        opened = open(client, &wish) => opened?,
        () = signals.any() => return Ok(()),
    };
    let latest = is_of_one(&mounted);
    let root = |root: &freehold_api::BackupRoot| Root {
        id: root.snapshot.id.clone(),
        made_ms: root.snapshot.made_ms,
        tree: root.tree.clone(),
    };
    let roots: Vec<Root> = mounted.snapshots.iter().map(root).collect();
    let (named, runtime): (Named, _) = (Arc::new(Mutex::new(mounted.id.clone())), Handle::current());
    let asked = Asked { client: client.clone(), named: Arc::clone(&named), runtime, terminal };
    let (ended, end) = oneshot::channel();
    let shown: Mounted = blocking(move || {
        freehold_mount::mount(&folder, roots, latest, asked, move || {
            // Nobody listens where it was ended from here.
            ended.send(()).ok();
        })
    })
    .await?;
    let at = shown.folder().display().to_string();
    terminal.done(
        true,
        format!(
            "{} of {} shown in {at}, to be read only. Ctrl-C ends it, and so does: umount {}",
            count(mounted.snapshots.len() as u64, "snapshot"),
            mounted.target,
            words::typed(&at)
        ),
    );
    tokio::select! {
        _ = end => {
            shown.was_ended();
            return Ok(());
        }
        () = signals.any() => {}
        () = tend(client, &wish, events, &named, terminal) => {}
    }
    if blocking(move || shown.end()).await? {
        terminal.say("Something in it was still open, and can be read no longer.");
    }
    Ok(())
}
