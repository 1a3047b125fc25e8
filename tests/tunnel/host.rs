//! A machine of the story: a real mesh and a real tunnel, told by lines what the log says. `tunnel-host
//! NAME [MODE]` runs until standard input ends. Modes: `handed`, standard error is its device; `serves`, it
//! runs a relay; `relayed`, it reaches others by that alone; `off`, it carries nothing, and ends.

mod realm;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use freehold_mesh::{
    Addresses, BlobSource, Config, Doorman, Event, Gate, Mesh, Proof, RelayServe, Served, Unavailable,
};
use freehold_reach::Party;
use freehold_tunnel::{Tunnel, View};
use freehold_wire::{BlobName, NodeId};
use realm::{Realm, node, seed};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::watch;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: freehold_allocator::Allocator = freehold_allocator::Allocator;

/// Where machine t runs a relay, if it does.
const RELAY: &str = "192.0.2.2:4711";

/// Who belongs; there are no blobs, and nobody is let in.
#[derive(Default)]
struct House(RwLock<BTreeSet<NodeId>>);

impl Gate for House {
    fn admits(&self, node: NodeId) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&node)
    }
}

#[async_trait::async_trait]
impl BlobSource for House {
    async fn open(&self, _: NodeId, _: BlobName, _: Range<u64>) -> Result<Served, Unavailable> {
        Err(Unavailable::NotHere)
    }
}

#[async_trait::async_trait]
impl Doorman for House {
    fn admit(&self, _: &Proof) -> bool {
        false
    }

    async fn serve(&self, _: Proof, _: Bytes) -> Bytes {
        Bytes::new()
    }
}

/// One machine.
struct Host {
    me: NodeId,
    realm: Realm,
    house: Arc<House>,
    mesh: Mesh,
    view: watch::Sender<Arc<View>>,
    tunnel: Tunnel,
}

#[tokio::main]
async fn main() -> Result<()> {
    freehold_allocator::give_back_soon();
    let name = std::env::args().nth(1).context("say which")?;
    let modes: Vec<String> = std::env::args().skip(2).collect();
    let is = |mode: &str| modes.iter().any(|one| one == mode);
    let opened = if is("handed") {
        Some(std::io::stderr().as_fd().try_clone_to_owned()?)
    } else {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
        None
    };
    if is("off") {
        freehold_tunnel::sweep("freehold0").await?;
        return Ok(());
    }
    let (me, mut realm) = (node(&name)?, Realm::found()?);
    let house = Arc::new(House::default());
    let mut config = Config::new(seed(&name), vec!["0.0.0.0:4710".parse()?, "[::]:4710".parse()?]);
    if is("serves") {
        config.relay_serve = Some(RelayServe { bind: RELAY.parse()?, url: None, connections: 16 });
    }
    if is("relayed") {
        config.relays = vec![format!("http://{RELAY}").parse()?];
        config.relay_only = true;
    }
    let gate = Arc::clone(&house) as Arc<dyn Gate>;
    let (mesh, mut told) =
        Mesh::start(config, gate, Arc::clone(&house) as _, Arc::clone(&house) as _).await?;
    let first = realm.view(me);
    let (v6, v4) = first.net.addresses(Party::Node(me)).context("it is in the log")?;
    let (view, seen) = watch::channel(Arc::new(first));
    let tunnel = Tunnel::start(freehold_tunnel::Config { opened, ..Default::default() }, &mesh, seen).await?;
    say(&format!("inside {v6} {}", v4.context("it has an IPv4 address")?));
    let mut host = Host { me, realm, house, mesh, view, tunnel };
    host.changed()?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut at = host.mesh.watch_addresses();
    at.mark_changed();
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => host.obey(&line).await?,
                None => break,
            },
            changed = at.changed() => {
                changed?;
                say(&format!("at {}", *at.borrow_and_update()));
            }
            event = told.recv() => match event.context("the mesh is up")? {
                Event::Up(..) => say("up"),
                Event::Down(..) => say("down"),
                Event::Message(..) => {}
            },
        }
    }
    host.tunnel.stop(Duration::from_secs(5)).await?;
    host.mesh.shutdown(Duration::from_secs(5)).await?;
    say("stopped");
    Ok(())
}

impl Host {
    async fn obey(&mut self, line: &str) -> Result<()> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "peer" => {
                let (name, at) = rest.split_once('=').context("NAME=ADDRESSES")?;
                self.mesh.set_peers(BTreeMap::from([(node(name)?, at.parse::<Addresses>()?)])).await;
            }
            "allow" => self.realm.allow(rest.parse()?)?,
            "end" => self.realm.end()?,
            "suspend" => self.realm.suspend(rest)?,
            "status" => {}
            other => bail!("what is {other}?"),
        }
        self.changed()?;
        for peer in self.tunnel.peers() {
            say(&format!("status {peer:?}"));
        }
        for trouble in self.tunnel.troubles() {
            say(&format!("trouble {trouble:?}"));
        }
        say(&format!("done {line}"));
        Ok(())
    }

    /// The log says something else, as the node tells its planes.
    fn changed(&mut self) -> Result<()> {
        let all = [node("s")?, node("t")?];
        let admitted: BTreeSet<NodeId> = all.into_iter().filter(|node| self.realm.admits(*node)).collect();
        let gone: Vec<NodeId> = all.into_iter().filter(|node| !admitted.contains(node)).collect();
        *self.house.0.write().unwrap_or_else(PoisonError::into_inner) = admitted;
        for node in gone.into_iter().filter(|node| *node != self.me) {
            self.mesh.disconnect(node);
        }
        let next = Arc::new(self.realm.view(self.me));
        self.view.send(next).context("the tunnel is up")
    }
}

#[expect(clippy::print_stdout, reason = "it is how the story hears it")]
fn say(what: &str) {
    println!("{what}");
}
