//! This machine, on its way to realms that lend it something: it gets itself passes, shows them where the grant leads,
//! and remembers what it is told. It goes around again soon, so that either side may forget, and at once when the log
//! has changed. What it has signed for others it takes back when they lose their rights.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use freehold_mesh::{Addresses, KnockError, Mesh};
use freehold_passes::{Answer, Call, HOSTS_MAX, Host, Pass, Recall, Shown, Welcome};
use freehold_realm::body::Resource;
use freehold_realm::{Grant, Side, State};
use freehold_seal::{KnownGrant, TlsEnds};
use freehold_wire::{Bounded, GrantId, Millis, NodeId, Text};
use futures::StreamExt as _;

use super::answering::{is_entitled, sign};
use super::{Machine, There, issued};
use crate::clock;
use crate::net::lending::{is_gone_to, last_asked, receipts};
use crate::shared::Shared;
use crate::supervisor::{Health, Plane};

/// How often it goes around: what forwards packets on the way forgets who is behind it after half a minute.
const ROUND: Duration = Duration::from_secs(20);
/// How often in between it is looked whether lines are there that others come by.
const LOOKS: u32 = 5;
/// After something has changed, others change with it.
const SETTLE: Duration = Duration::from_millis(200);
/// Calls at a time.
const AT_ONCE: usize = 4;
/// The most machines of one realm that are called.
const MACHINES_MAX: usize = 64;
/// A pass that holds for less is asked for anew.
const RENEW: Millis = Millis::from_hours(3);

/// Starts to go around; it ends with the plane.
pub(crate) fn start(plane: &Plane, shared: &Arc<Shared>) {
    plane.report(Health::Up(NOTHING.to_owned()));
    plane.spawn(run(Arc::clone(shared), plane.clone()));
}

const NOTHING: &str = "no other realm lends this one anything";

/// What one machine of a realm that lends said.
type Said = (GrantId, NodeId, Addresses, Result<Welcome, Unsaid>);

/// Why a machine does not let this one in.
enum Unsaid {
    Why(String),
    /// What was kept there is deleted, and this is the receipt.
    Deleted(Vec<u8>),
}

impl Unsaid {
    fn told(self, shared: &Shared, grant: GrantId, from: NodeId) -> String {
        match self {
            Self::Why(why) => why,
            Self::Deleted(receipt) => {
                receipts::take(shared, grant, from, &receipt);
                format!("{REFUSED}what was kept there is deleted")
            }
        }
    }
}

async fn run(shared: Arc<Shared>, plane: Plane) {
    let (mut log, mut directory) = (shared.log.watch(), shared.watch_directory());
    let mut passes = BTreeMap::new();
    loop {
        let around = async {
            if let Some(mesh) = shared.mesh.get().cloned() {
                go_around(&shared, &mesh, &mut passes, &plane).await;
            }
            for _ in 0..LOOKS {
                tokio::time::sleep(ROUND / LOOKS).await;
                keep_lines(&shared);
            }
        };
        let changed = async {
            tokio::select! {
                changed = log.changed() => changed.is_ok(),
                changed = directory.changed() => changed.is_ok(),
            }
        };
        tokio::select! {
            biased;
            () = plane.cancel().cancelled() => return,
            goes_on = changed => if !goes_on { return },
            () = around => continue,
        }
        tokio::time::sleep(SETTLE).await;
    }
}

async fn go_around(
    shared: &Arc<Shared>,
    mesh: &Arc<Mesh>,
    passes: &mut BTreeMap<GrantId, Pass>,
    plane: &Plane,
) {
    let view = shared.log.view();
    let (state, now) = (view.state(), clock::wall());
    take_back(shared, mesh, state, now).await;
    let mut next: BTreeMap<GrantId, There> = BTreeMap::new();
    for (id, grant) in &state.grants {
        if grant.side != Side::Borrows || !is_gone_to(grant, now) || !is_entitled(state, shared.me(), now) {
            continue;
        }
        let Some(known) = shared.directory().known_grant(*id).cloned() else { continue };
        let before = shared.strangers.told().remove(id).unwrap_or_default();
        let there = match pass_for(shared, mesh, state, (*id, &known), passes).await {
            Ok(pass) => show(shared, mesh, state, (*id, grant, &known), &pass, before).await,
            Err(why) => There { trouble: Some(why), ..before },
        };
        next.insert(*id, there);
    }
    passes.retain(|id, _| next.contains_key(id));
    report(plane, shared, &next);
    shared.strangers.learn(next);
    shared.strangers.place(mesh);
    keep_lines(shared);
}

fn report(plane: &Plane, shared: &Shared, all: &BTreeMap<GrantId, There>) {
    let troubles = all.iter().filter_map(|(id, there)| {
        let name = shared.directory().known_grant(*id).map(|known| known.name.as_str().to_owned());
        Some(format!("{}: {}", name.unwrap_or_default(), there.trouble.as_ref()?))
    });
    let unreadable = shared.strangers.known().unreadable.clone().map(|why| {
        format!(
            "no pass is signed here, as it cannot be read which ones were: {why}; move the file away and restart, and \
             what was signed before holds to its end, six hours at most"
        )
    });
    let troubles: Vec<String> = troubles.chain(unreadable).collect();
    plane.report(match (all.len(), troubles.is_empty()) {
        (0, true) => Health::Up(NOTHING.to_owned()),
        (some, true) => Health::Up(freehold_api::words::count(some as u64, "grant")),
        (_, false) => Health::Degraded(troubles.join("; ")),
    });
}

/// A pass that holds for long enough: signed here if this machine may, or else by a machine that may.
async fn pass_for(
    shared: &Shared,
    mesh: &Mesh,
    state: &State,
    (id, known): (GrantId, &KnownGrant),
    passes: &mut BTreeMap<GrantId, Pass>,
) -> Result<Pass, String> {
    let now = clock::wall();
    let held = passes.get(&id).copied();
    let (grant_ends, ends) = (
        state.grants.get(&id).map_or(Millis(0), last_asked),
        held.map_or(Millis(0), |pass| pass.claim.until),
    );
    if let Some(pass) = held
        && (ends.since(now) > RENEW || ends >= grant_ends)
        && ends > now
    {
        return Ok(pass);
    }
    let found = if known.signers.contains(&shared.me()) {
        sign(shared, state, id, shared.me(), now).map_err(str::to_owned)
    } else {
        ask_signers(shared, mesh, (id, known)).await
    };
    match (found, held) {
        (Ok(pass), _) => {
            passes.insert(id, pass);
            Ok(pass)
        }
        // Not yet over: it may be asked for again.
        (Err(_), Some(pass)) if ends > now => Ok(pass),
        (Err(why), _) => Err(why),
    }
}

async fn ask_signers(
    shared: &Shared,
    mesh: &Mesh,
    (id, known): (GrantId, &KnownGrant),
) -> Result<Pass, String> {
    let at = crate::whereabouts::of_others(shared);
    let question = Bytes::from(Call::Pass(id).to_bytes());
    let mut why = "none of the machines that sign passes is known; freehold grant show says which".to_owned();
    for signer in &known.signers {
        let Some(at) = at.get(signer) else { continue };
        why = match mesh.call(at, *signer, question.clone()).await {
            Ok(answer) => match Answer::from_bytes(&answer) {
                Ok(Answer::Pass(bytes)) => match Pass::from_bytes(&bytes) {
                    Ok(pass) if (pass.claim.grant, pass.claim.node) == (id, shared.me()) => return Ok(pass),
                    _ => "a machine that signs passes gave something else".to_owned(),
                },
                Ok(Answer::Refused(why)) => why.as_str().to_owned(),
                _ => "a machine that signs passes gave something else".to_owned(),
            },
            Err(error) => format!("no machine that signs passes answers: {error}"),
        };
    }
    Err(why)
}

/// Shows the pass to every machine that the grant leads to.
async fn show(
    shared: &Shared,
    mesh: &Mesh,
    state: &State,
    (id, grant, known): (GrantId, &Grant, &KnownGrant),
    pass: &Pass,
    before: There,
) -> There {
    let hosts = wanted_hosts(shared, state, (id, grant));
    let shown = Shown {
        pass: pass.to_bytes().into(),
        addresses: mesh.addresses().to_bytes().into(),
        hosts: hosts.clone(),
    };
    let question = Bytes::from(Call::Visit(shown).to_bytes());
    let mut places: BTreeMap<NodeId, Addresses> =
        before.machines.iter().map(|(node, machine)| (*node, machine.addresses.clone())).collect();
    for contact in &known.contacts {
        let said: Vec<&str> = contact.addresses.iter().map(Text::as_str).collect();
        if let Ok(at) = Addresses::from_str(&said.join(",")) {
            places.entry(contact.node).or_insert(at);
        }
    }
    let mut there =
        There { machines: BTreeMap::new(), services: BTreeMap::new(), trouble: None, ..before.clone() };
    let mut asked: BTreeSet<NodeId> = BTreeSet::new();
    let mut failed = None;
    // Those that are told of are called, too.
    loop {
        let fresh = places.iter().filter(|(node, _)| !asked.contains(node) && **node != shared.me());
        let fresh: Vec<(NodeId, Addresses)> = fresh
            .map(|(node, at)| (*node, at.clone()))
            .take(MACHINES_MAX.saturating_sub(asked.len()))
            .collect();
        if fresh.is_empty() {
            break;
        }
        asked.extend(fresh.iter().map(|(node, _)| *node));
        let calls = fresh.into_iter().map(|(node, at)| visit(mesh, (id, node, at), question.clone()));
        let said: Vec<Said> = futures::stream::iter(calls).buffer_unordered(AT_ONCE).collect().await;
        for (_, node, addresses, said) in said {
            match said.map_err(|unsaid| unsaid.told(shared, id, node)) {
                Ok(welcome) => there.hear(node, addresses, (&welcome, &hosts), &mut places),
                Err(why) => {
                    // It is let in until then, whether or not it is heard now.
                    let kept = before
                        .machines
                        .get(&node)
                        .filter(|one| one.until.is_some_and(|at| at > clock::wall()));
                    if let Some(kept) = kept.filter(|_| !why.starts_with(REFUSED)) {
                        there.machines.insert(node, kept.clone());
                        let at_it = before.services.iter().filter(|(_, (_, home))| *home == node);
                        there.services.extend(at_it.map(|(service, said)| (*service, said.clone())));
                    }
                    failed = Some(why);
                }
            }
        }
    }
    if there.machines.is_empty() {
        there.trouble = Some(failed.unwrap_or_else(|| "no machine of the other realm is known".to_owned()));
    }
    there
}

const REFUSED: &str = "it refuses: ";

async fn visit(mesh: &Mesh, (id, node, at): (GrantId, NodeId, Addresses), question: Bytes) -> Said {
    let said = match mesh.call(&at, node, question).await {
        Ok(answer) => match Answer::from_bytes(&answer) {
            Ok(Answer::Welcome(welcome)) => Ok(welcome),
            Ok(Answer::Refused(why)) => Err(Unsaid::Why(format!("{REFUSED}{why}"))),
            Ok(Answer::Deleted(receipt)) => Err(Unsaid::Deleted(receipt.to_vec())),
            _ => Err(Unsaid::Why("it answers something else".to_owned())),
        },
        Err(KnockError::Refused) => Err(Unsaid::Why(format!("{REFUSED}it does not say why"))),
        Err(error) => Err(Unsaid::Why(error.to_string())),
    };
    (id, node, at, said)
}

impl There {
    /// Takes in what one machine says. Of other machines it says where they are, and no more counts of that.
    fn hear(
        &mut self,
        node: NodeId,
        addresses: Addresses,
        (welcome, wanted): (&Welcome, &[Host]),
        places: &mut BTreeMap<NodeId, Addresses>,
    ) {
        welcome.zone.as_str().clone_into(&mut self.zone);
        for contact in &welcome.contacts {
            if let Ok(at) = Addresses::from_bytes(&contact.addresses) {
                places.entry(contact.node).or_insert(at);
            }
        }
        let refused: Vec<(String, String)> = (welcome.refused.iter())
            .map(|told| (told.name.as_str().to_owned(), told.why.as_str().to_owned()))
            .collect();
        let is_gateway = welcome.gateways.contains(&node);
        let names = wanted.iter().filter(|_| is_gateway).map(|host| host.name.as_str().to_owned());
        let taken = names.filter(|name| !refused.iter().any(|(other, _)| other == name)).collect();
        let machine = Machine { addresses, until: Some(welcome.until), is_gateway, taken, refused };
        self.machines.insert(node, machine);
        for offered in &welcome.services {
            let said = (offered.label.as_str().to_owned(), offered.home);
            self.services.entry(offered.service).or_insert(said);
        }
    }
}

/// The names that are to lead here by that realm's gateways.
fn wanted_hosts(shared: &Shared, state: &State, (id, grant): (GrantId, &Grant)) -> Bounded<Host, HOSTS_MAX> {
    if grant.terms.resource != Resource::Gateway {
        return Bounded::default();
    }
    let directory = shared.directory();
    let mine = state
        .live_services()
        .filter(|(_, known)| known.homes.contains(&shared.me()) && known.grants.contains(&id));
    let published = mine.filter_map(|(service, _)| Some((service, directory.published(*service)?)));
    let at_home = published.filter(|(_, published)| published.ends == TlsEnds::Home);
    let hosts = at_home.flat_map(|(service, published)| {
        published.hosts.iter().map(|name| Host { name: name.clone(), service: *service })
    });
    let hosts: Vec<Host> = hosts.take(HOSTS_MAX).collect();
    Bounded::fill(&mut hosts.into_iter())
}

/// A gateway elsewhere finds its way through whatever stands before this machine, as long as there is a line.
fn keep_lines(shared: &Shared) {
    let Some(mesh) = shared.mesh.get() else { return };
    let view = shared.log.view();
    let state = view.state();
    for (id, there) in shared.strangers.told() {
        let wants =
            state.grants.get(&id).is_some_and(|grant| !wanted_hosts(shared, state, (id, grant)).is_empty());
        if wants {
            let gateways = there.machines.iter().filter(|(_, machine)| machine.is_gateway);
            gateways.for_each(|(node, _)| mesh.open_line(*node));
        }
    }
}

/// Says of machines that have lost their rights that their passes count no longer: again and again, until they are
/// over anyway, since whoever lends may forget.
async fn take_back(shared: &Shared, mesh: &Mesh, state: &State, now: Millis) {
    let mut words = Vec::new();
    {
        let known = shared.strangers.known();
        for word in issued::recalled(&known.issued, state, shared.realm(), now) {
            let machines =
                known.there.get(&word.grant).map(|there| there.machines.clone()).unwrap_or_default();
            let bytes = Recall::sign(word, &shared.keys.node).to_bytes();
            words.extend(machines.into_iter().map(|(at, machine)| (at, machine.addresses, bytes.clone())));
        }
    }
    let calls = words.into_iter().map(|(node, at, bytes)| async move {
        if let Err(error) = mesh.call(&at, node, Call::Recall(bytes.into()).to_bytes().into()).await {
            tracing::warn!(node = %node.short(), %error, "a machine of another realm has not heard of a recall");
        }
    });
    futures::stream::iter(calls).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}
