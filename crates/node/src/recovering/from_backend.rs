//! A backend is all that is left: its node is brought back from its store, and this machine recovers
//! from that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use freehold_api::{NewBackend, NewStore, Problem};
use freehold_backend::{Claims, Credentials, Inside, Letter, Part, Settings, Stores, Sum, connect};
use freehold_crypt::{BoxSecret, Phrase, SigningKey};
use freehold_disk::{EntryRow, EntryStore, LogStore};
use freehold_realm::body::GuardianSet;
use freehold_realm::{Clock, Folded, Op, OpSet, fold};
use freehold_wire::{OpId, from_canonical};

use super::{Fetched, WHAT, put_together, recovery_operation, recovery_secret};
use crate::clock;
use crate::directory::directory_bucket;
use crate::door::Carried;
use crate::gate::{RECOVERY_VISIT, Visitors};
use crate::home::Home;
use crate::hosting::{holder, store};
use crate::identity::{FreshKeys, Identity, bring_back as bring_keys_back};
use crate::invitation::Card;
use crate::log::keep_matured;
use crate::problem::{chain, home_problem, identity_problem, store_problem};
use crate::shared::VISITORS;

const GUARDIANS_MAX: usize = 64 << 10;
/// Entries written at once.
const BATCH: usize = 1000;

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

/// Brings a backend's node back from its stores, and asks its log for the recovery.
pub(super) async fn bring_back(
    host: &Home,
    card: &Card,
    keys: &FreshKeys,
    phrases: &[Phrase],
    guardians: &[SigningKey],
    named: &[NewStore],
) -> Result<(Fetched, Node), Problem> {
    let named = named.iter().map(wished).collect::<Result<Vec<_>, _>>()?;
    let (inside, recovery, places) = read_letters(card, phrases, &named).await?;
    let (settings, credentials) = whereabouts(&inside.settings, places.into_iter().zip(named).collect());
    let home = room(host, &inside.name)?;
    store::keep(&home, card.realm, &settings, &credentials, &inside.packs)?;
    bring_keys_back(&home, &inside.node, &inside.node_box).map_err(|e| identity_problem(&e))?;
    take_over(&home, &settings, &inside).await?;
    let sum = read_journal(&home, &settings, &inside).await?;
    let set = judge(&sum, card)?;
    let matured = sum.matured().clone();
    let folded = fold(&set, &Clock { now: clock::wall(), matured: matured.clone() });
    let op = recovery_operation(&set, &folded, keys, guardians)?;
    must_count(&set, &op, &matured)?;
    let directory = keep(&home, card, &sum, &op, keys)?;
    Ok((put_together((set, folded, matured), op, directory, recovery)?, Node { home }))
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

/// Opens the letter on each store with what the guardians' phrases give back. The newest counts; it
/// says which of the backend's stores each is.
async fn read_letters(
    card: &Card,
    phrases: &[Phrase],
    named: &[(Settings, Credentials)],
) -> Result<(Inside, BoxSecret, Vec<u8>), Problem> {
    let (mut newest, mut places): (Option<(Inside, BoxSecret)>, _) = (None, Vec::new());
    for (settings, credentials) in named {
        let (place, inside, recovery) = open_letter(card, phrases, settings, credentials).await?;
        places.push(place);
        if newest.as_ref().is_none_or(|(known, _)| known.claim < inside.claim) {
            newest = Some((inside, recovery));
        }
    }
    let (inside, recovery) = newest.ok_or_else(|| unreachable("no store is named".to_owned()))?;
    Ok((inside, recovery, places))
}

async fn open_letter(
    card: &Card,
    phrases: &[Phrase],
    settings: &Settings,
    credentials: &Credentials,
) -> Result<(u8, Inside, BoxSecret), Problem> {
    let store = connect(settings, credentials)
        .map_err(|e| Problem::invalid(WHAT, chain(&e), Some("freehold recover --help")))?;
    let place = || format!("{}, bucket {}", settings.endpoint, settings.bucket);
    let found = Letter::find(&store, card.realm, settings).await;
    let found = found.map_err(|e| unreachable(format!("{}: {}", place(), chain(&e))))?;
    let letter = found.ok_or_else(|| {
        Problem::not_found(
            WHAT,
            format!("{} holds no backend of the realm that the card names", place()),
            Some("look at the card, the bucket and the prefix that the backend was attached with"),
        )
    })?;
    let damaged = |why: &str| Problem::corrupt(WHAT, why, Some("name another store of the backend"));
    let guardians: GuardianSet = from_canonical(letter.guardians(), GUARDIANS_MAX)
        .map_err(|_| damaged("the letter to the guardians is damaged"))?;
    let recovery = recovery_secret(&guardians, phrases)?;
    let inside = letter.open(card.realm, &recovery).map_err(|_| {
        damaged("the letter to the guardians does not open with what their phrases give back")
    })?;
    Ok((letter.store(), inside, recovery))
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
    freehold_backend::stores(home.root(), settings, &inside.packs)
        .map_err(|e| Problem::refused(WHAT, chain(&e), Some("freehold recover --help")))
}

/// Makes the map of packs anew, and reads the journal that lies in them.
async fn read_journal(home: &Home, settings: &Settings, inside: &Inside) -> Result<Sum, Problem> {
    let opened = freehold_backend::open(home.root(), settings, &inside.packs).await;
    let packed = opened.map_err(|e| unreachable(chain(&e)))?;
    let read = async {
        let (mut sum, mut lost) = (Sum::default(), 0u64);
        for at in packed.parts().await? {
            match packed.part(&at).await {
                Ok(bytes) => match Part::from_bytes(&bytes) {
                    Ok(part) => sum.add(part),
                    Err(_) => lost += 1,
                },
                Err(freehold_backend::PackError::Bad { .. }) => lost += 1,
                Err(error) => return Err(error),
            }
        }
        Ok((sum, lost))
    };
    let read = read.await;
    packed.close().await;
    let (sum, lost) = read.map_err(|e| unreachable(chain(&e)))?;
    if lost > 0 {
        tracing::warn!(lost, "parts of the backend's journal are damaged: what they said is missing");
    }
    Ok(sum)
}

/// The realm's log as the journal has it: signatures are checked, and that it is this realm's.
fn judge(sum: &Sum, card: &Card) -> Result<OpSet, Problem> {
    let mut set = OpSet::new(card.realm);
    let mut refused = 0u64;
    for bytes in sum.ops().values() {
        match Op::decode(bytes) {
            // What this set merely does not keep is no harm.
            Ok(op) => refused += u64::from(set.insert(op).is_err()),
            Err(_) => refused += 1,
        }
    }
    if set.iter().next().is_none() {
        return Err(Problem::corrupt(
            WHAT,
            format!("the backend's journal holds no log of this realm ({refused} operations do not belong)"),
            Some("name another store of the backend, if it has several"),
        ));
    }
    Ok(set)
}

/// The recovery must stand in this log: the guardians may have been changed since.
fn must_count(set: &OpSet, op: &Op, matured: &BTreeSet<OpId>) -> Result<(), Problem> {
    let mut with = set.clone();
    let id = op.id();
    with.insert(op.clone()).map_err(|e| Problem::refused(WHAT, e.to_string(), None::<&str>))?;
    let folded: Folded = fold(&with, &Clock { now: clock::wall(), matured: matured.clone() });
    match folded.refused.get(&id) {
        Some(why) => Err(Problem::refused(WHAT, why.to_string(), Some("look which realm each paper is for"))),
        None => Ok(()),
    }
}

/// Writes what the node knew into its home, with the recovery, and lets this machine in as one that
/// recovers. Gives back the directory.
fn keep(home: &Home, card: &Card, sum: &Sum, op: &Op, keys: &FreshKeys) -> Result<Vec<Carried>, Problem> {
    let now = clock::wall();
    let failed = |e: freehold_disk::StoreError| store_problem(&e);
    let log = LogStore::open(&home.log()).map_err(failed)?;
    let ops = sum.ops().iter().map(|(id, bytes)| (*id, bytes.clone()));
    log.append(ops.chain([(op.id(), op.to_bytes())]).collect(), now).map_err(failed)?;
    keep_matured(&log, sum.matured()).map_err(failed)?;
    let entries = Arc::new(EntryStore::open(&home.entries()).map_err(failed)?);
    let visitors = Visitors::default();
    visitors.welcome(keys.keys().node_id(), op.id(), now.plus(RECOVERY_VISIT));
    let visitors = visitors.to_bytes();
    entries.write(move |txn| txn.set_meta(VISITORS, &visitors)).map_err(failed)?;
    let (rows, beyond) = sum.entries();
    if beyond > 0 {
        tracing::warn!(beyond, "entries are left out, since some before them are missing in the journal");
    }
    let directory = directory_bucket(card.realm);
    let mut carried = Vec::new();
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        let batch: Vec<EntryRow> = rows.by_ref().take(BATCH).collect();
        carried.extend(
            batch
                .iter()
                .filter(|row| row.bucket == directory)
                .filter_map(|row| Some(Carried { entry: row.entry.clone(), payload: row.payload.clone()? })),
        );
        entries
            .write(move |txn| batch.iter().try_for_each(|row| txn.insert(row).map(drop)))
            .map_err(failed)?;
    }
    Ok(carried)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(endpoint: &str, bucket: &str) -> (Settings, Credentials) {
        let key = format!("access_key_id = {bucket}\nsecret_access_key = s");
        (Settings::new(endpoint, bucket), Credentials::parse(&key).unwrap())
    }

    #[test]
    fn stores_keep_their_order_however_they_are_named_and_one_may_be_lost() {
        let mut known = Settings::new("https://one.example", "attic");
        known.others = vec![
            Settings::new("https://two.example", "attic"),
            Settings::new("https://three.example", "shed"),
        ];
        (known.parity, known.capacity) = (1, Some(1 << 40));
        // The second has another name by now; the first is gone.
        let now =
            [(2, named("https://three.example", "shed")), (1, named("https://two.new.example", "attic"))];
        let (settings, credentials) = whereabouts(&known, now.into());
        let places: Vec<&str> = settings.stores().map(|store| store.endpoint.as_str()).collect();
        assert_eq!(places, ["https://one.example", "https://two.new.example", "https://three.example"]);
        assert_eq!((settings.parity, settings.capacity, settings.check().is_ok()), (1, Some(1 << 40), true));
        let keys: Vec<&str> = credentials.iter().map(|key| key.access_key_id.as_str()).collect();
        assert_eq!(keys, ["lost", "attic", "shed"]);
    }
}
