//! A backend is all that is left: its node is brought back from its store, and this machine recovers
//! from that.

mod boxes;
mod journal;
mod letters;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use freehold_api::{FoundRealm, NewBackend, NewStore, Problem};
use freehold_backend::{Claims, Credentials, Inside, Packed, Settings, Stores};
use freehold_crypt::{Algorithm, BoxSecret, Phrase, SigningKey};
use freehold_disk::{EntryStore, LogStore};
use freehold_realm::{Folded, Op, Standing};
use freehold_wire::{Millis, PersonId};

use self::journal::Known;
use self::letters::Letters;
use super::{
    Fetched, WHAT, must_count, put_together, read_directory, recovery_operation, recovery_secret, trust,
};
use crate::clock;
use crate::directory::Directory;
use crate::gate::{RECOVERY_VISIT, Visitors};
use crate::home::Home;
use crate::hosting::{holder, store};
use crate::identity::{FreshKeys, Identity, bring_back as bring_keys_back};
use crate::invitation::Card;
use crate::log::keep_matured;
use crate::problem::{chain, home_problem, identity_problem, store_problem};
use crate::shared::VISITORS;

/// How often a store is read that changes while it is read.
const TRIES: u32 = 2;

/// A backend's node whose home is whole but for the identity.
pub(super) struct Node {
    home: Home,
}

impl Node {
    /// From now on it is this home's.
    pub(super) fn settle(self, card: &Card) -> Result<(), Problem> {
        let contacts = card.contacts.iter().cloned().collect();
        let identity = Identity { realm: card.realm, phrases_left_in: None, first_contacts: contacts };
        identity.write(&self.home).map_err(|e| identity_problem(&e))
    }
}

/// What a recovery from a backend is asked with.
pub(super) struct Asked<'a> {
    pub(super) host: &'a Home,
    pub(super) card: &'a Card,
    pub(super) phrases: &'a [Phrase],
    /// Whether somebody has anything against what was found.
    pub(super) agree: &'a (dyn Fn(&FoundRealm) -> Result<(), Problem> + Sync),
}

/// What lies on the stores, read into a home.
struct Found {
    letters: Letters,
    settings: Settings,
    home: Home,
    packed: Arc<Packed>,
    known: Known,
}

impl Asked<'_> {
    /// Brings a backend's node back from its stores, and asks its log for the recovery.
    pub(super) async fn bring_back(
        &self,
        keys: &FreshKeys,
        guardians: &[SigningKey],
        named: &[NewStore],
    ) -> Result<(Fetched, Node), Problem> {
        let named = named.iter().map(wished).collect::<Result<Vec<_>, _>>()?;
        let found = self.find(&named).await?;
        let checked = self.check(&found, &named).await;
        found.packed.close().await;
        checked?;
        let Found { letters, home, known, .. } = found;
        let op = recovery_operation(&known.set, &known.folded, keys, guardians, clock::wall())?;
        must_count(&known.set, &known.matured, &op)?;
        keep(&home, &known, &op, keys)?;
        self.say_box_again(&home, &letters, &known)?;
        bring_keys_back(&home, &letters.inside.node, &letters.inside.node_box)
            .map_err(|e| identity_problem(&e))?;
        let Known { set, folded, matured, directory, .. } = known;
        Ok((put_together((set, folded, matured), op, directory, letters.recovery)?, Node { home }))
    }

    /// Reads what lies on the stores, and changes nothing there. A machine that runs the backend still may
    /// tidy up at the same time: then it is read once more.
    async fn find(&self, named: &[(Settings, Credentials)]) -> Result<Found, Problem> {
        let (mut tries, mut strangers) = (0, BTreeSet::new());
        loop {
            let letters = letters::read(self.card, self.phrases, named).await?;
            let (inside, head) = (&letters.inside, letters.head);
            let places = letters.places.iter().copied().zip(named.iter().cloned()).collect();
            let (settings, credentials) = whereabouts(&inside.settings, places);
            let home = room(self.host, &inside.name)?;
            store::keep(&home, self.card.realm, &settings, &credentials, &inside.packs)?;
            let opened = freehold_backend::look(home.root(), &settings, &inside.packs, None).await;
            let packed = opened.map_err(|e| unreachable(chain(&e)))?;
            let read = journal::read(&home, &packed, self.card.realm, &head, &strangers).await;
            tries += 1;
            match read {
                Ok(mut known) => {
                    let is_whole = known.missing.is_empty() && known.strangers.is_empty();
                    if is_whole || tries > TRIES {
                        return Ok(Found { letters, settings, home, packed, known });
                    }
                    strangers.append(&mut known.strangers);
                }
                Err(problem) if tries > TRIES => {
                    packed.close().await;
                    return Err(problem);
                }
                Err(_) => {}
            }
            packed.close().await;
        }
    }

    /// Whether it is the realm's, and somebody agrees; then it is taken over.
    async fn check(&self, found: &Found, named: &[(Settings, Credentials)]) -> Result<(), Problem> {
        let Letters { inside, head, guardians, .. } = &found.letters;
        journal::vouch(&found.known, head, guardians)?;
        let names = || found.packed.names();
        let before = names().await.map_err(|e| unreachable(chain(&e)))?;
        (self.agree)(&self.shown(found)?)?;
        take_over(&found.home, &found.settings, inside).await?;
        let now = names().await.map_err(|e| unreachable(chain(&e)))?;
        let letters = letters::read(self.card, self.phrases, named).await?;
        if now == before && letters.head == *head {
            return Ok(());
        }
        let why = "what lies on the store has changed while it was looked at";
        Err(Problem::conflict(WHAT, why, Some("see that no other machine runs the backend, then try again")))
    }

    /// The directory, as the guardians read it.
    fn directory(&self, letters: &Letters, known: &Known) -> Result<Directory, Problem> {
        let recovery = recovery_secret(&letters.guardians, self.phrases)?;
        let trust = trust(&known.folded, &known.let_in);
        Ok(read_directory(self.card, trust, &known.let_in, &known.directory, recovery).0)
    }

    /// The letter may be older than the node's box key.
    fn say_box_again(&self, home: &Home, letters: &Letters, known: &Known) -> Result<(), Problem> {
        let directory = self.directory(letters, known)?;
        let entries = EntryStore::open(&home.entries()).map_err(|e| store_problem(&e))?;
        let key = SigningKey::from_seed(Algorithm::Ed25519, &letters.inside.node);
        let secret = BoxSecret::from_seed(&letters.inside.node_box);
        boxes::say_again(entries, self.card.realm, &directory, key, &secret).map(drop)
    }

    /// What was found, for people.
    fn shown(&self, found: &Found) -> Result<FoundRealm, Problem> {
        let (known, letters) = (&found.known, &found.letters);
        let Folded { state, refused, pending, .. } = &known.folded;
        let directory = self.directory(letters, known)?;
        let person = |id: &PersonId, standing: Standing| {
            // Names of people are in buckets, which are not opened for this.
            let name = id.short();
            if standing == Standing::Active { name } else { format!("{name} (suspended)") }
        };
        let is_admin = |id: &PersonId| state.admins().any(|(admin, _)| admin == id);
        let (admins, members): (Vec<_>, Vec<_>) = state.persons.iter().partition(|(id, _)| is_admin(id));
        let people = |all: Vec<(&PersonId, &freehold_realm::Person)>| {
            all.into_iter().map(|(id, is)| person(id, is.standing)).collect()
        };
        let counts = |op: &&Op| !refused.contains_key(&op.id()) && !pending.contains_key(&op.id());
        let by_admin = |op: &&Op| {
            let person = state.device(&op.head().author.id());
            person.is_some_and(|(id, _)| is_admin(&id))
        };
        let decided = known.set.iter().filter(counts).filter(by_admin).map(|op| op.head().hlc.wall).max();
        let node = |id| directory.node_name(id).map_or_else(|| id.short(), str::to_owned);
        Ok(FoundRealm {
            realm: directory.realm_name().unwrap_or_default().to_owned(),
            backend: letters.inside.name.clone(),
            written_ms: letters.head.time.0,
            decided_ms: decided.unwrap_or(Millis(0)).0,
            now_ms: clock::wall().0,
            admins: people(admins),
            members: people(members),
            machines: state.nodes.keys().copied().map(node).collect(),
            missing: known.missing.clone(),
        })
    }
}

fn wished(store: &NewStore) -> Result<(Settings, Credentials), Problem> {
    let one = NewBackend { name: String::new(), stores: vec![store.clone()], may_lose: 0, capacity: None };
    let (settings, mut credentials) = store::wished(WHAT, &one)?;
    let credentials = credentials.pop();
    credentials
        .map(|credentials| (settings, credentials))
        .ok_or_else(|| Problem::invalid(WHAT, "no access key of the store", Some("freehold recover --help")))
}

fn unreachable(why: String) -> Problem {
    Problem::unreachable(WHAT, why, Some("see that the store is reachable, then try again"))
}

/// Where the backend's stores are: as its letter has it, and now as they are named. One that nobody
/// names is taken for lost.
fn whereabouts(
    known: &Settings,
    mut named: BTreeMap<u8, (Settings, Credentials)>,
) -> (Settings, Vec<Credentials>) {
    let nobody = || Credentials {
        access_key_id: "lost".to_owned(),
        secret_access_key: String::from("lost").into(),
        session_token: None,
    };
    let (mut all, mut credentials) = (Vec::new(), Vec::new());
    for (at, store) in (0u8..).zip(known.stores()) {
        let (mut now, key) = named.remove(&at).unwrap_or_else(|| (store.clone(), nobody()));
        (now.capacity, now.parity, now.others) = (None, 0, Vec::new());
        all.push(now);
        credentials.push(key);
    }
    let mut all = all.into_iter();
    let mut settings = all.next().unwrap_or_else(|| known.clone());
    (settings.capacity, settings.parity, settings.others) = (known.capacity, known.parity, all.collect());
    (settings, credentials)
}

/// An empty home for the backend: what lies there is of a recovery that was broken off.
fn room(host: &Home, name: &str) -> Result<Home, Problem> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
        return Err(Problem::corrupt(WHAT, "the letter names no backend", None::<&str>));
    }
    let rooms = host.backends();
    let home = Home::at(&rooms.join(name));
    if home.root().exists() {
        std::fs::remove_dir_all(home.root()).map_err(|e| home_problem(home.root(), &e))?;
    }
    for folder in [&rooms, &home.root().to_owned()] {
        freehold_disk::make_private_dir(folder).map_err(|e| home_problem(folder, &e))?;
    }
    Ok(home)
}

/// Takes the backend over, unless the machine that had it runs still.
async fn take_over(home: &Home, settings: &Settings, inside: &Inside) -> Result<(), Problem> {
    let failed = |why: String| Problem::refused(WHAT, why, Some("set right what it says (df -h)"));
    let silent = |e: freehold_backend::ClaimError| unreachable(chain(&e));
    let Stores { each, .. } = stores(home, settings, inside)?;
    let claims = Claims::new(each, settings.parity, &inside.packs);
    let before = claims.after(inside.claim).await.map_err(silent)?;
    let number = before.map_or(inside.claim, |(number, _)| number).saturating_add(1);
    let held = holder::Held::new(number);
    claims.make(number, held.holder).await.map_err(silent)?;
    tokio::time::sleep(holder::ANSWER_WITHIN).await;
    let now = claims.after(number.saturating_sub(1)).await.map_err(silent)?;
    if now != Some((number, held.holder)) {
        return Err(Problem::conflict(
            WHAT,
            format!("another machine runs the backend {}, and has answered", inside.name),
            Some(
                "stop that machine's node for good, then try again; or recover from it: freehold recover \
                 --card CARD, without --s3",
            ),
        ));
    }
    held.write(home).map_err(failed)
}

fn stores(home: &Home, settings: &Settings, inside: &Inside) -> Result<Stores, Problem> {
    freehold_backend::stores(home.root(), settings, &inside.packs, None)
        .map_err(|e| Problem::refused(WHAT, chain(&e), Some("freehold recover --help")))
}

/// Writes what the node knew of the log into its home, with the recovery, and lets this machine in as one
/// that recovers. The entries are there.
fn keep(home: &Home, known: &Known, op: &Op, keys: &FreshKeys) -> Result<(), Problem> {
    let now = clock::wall();
    let failed = |e: freehold_disk::StoreError| store_problem(&e);
    let log = LogStore::open(&home.log()).map_err(failed)?;
    let ops = known.ops.iter().map(|(id, bytes)| (*id, bytes.clone()));
    log.append(ops.chain([(op.id(), op.to_bytes())]).collect(), now).map_err(failed)?;
    keep_matured(&log, &known.matured).map_err(failed)?;
    let entries = EntryStore::open(&home.entries()).map_err(failed)?;
    let visitors = Visitors::default();
    visitors.welcome(keys.keys().node_id(), op.id(), now.plus(RECOVERY_VISIT));
    let visitors = visitors.to_bytes();
    entries.write(move |txn| txn.set_meta(VISITORS, &visitors)).map_err(failed)
}
