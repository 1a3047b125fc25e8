//! Getting a realm back with guardian phrases, on a new machine. Two things happen: the realm is
//! asked, visibly and with 72 hours' delay, to accept a new admin; and the recovery secret that the
//! phrases give back opens every bucket's key at once, so that what is stored can be read.

mod from_backend;
mod from_backup;
mod from_friend;
mod from_letters;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use freehold_api::{FoundRealm, Problem, WhatIsLeft};
use freehold_crypt::{BoxSecret, Entropy as _, Phrase, Share, SigningKey, combine};
use freehold_disk::{EntryRow, EntryStore, OsEntropy};
use freehold_placement::Entry;
use freehold_realm::body::GuardianSet;
use freehold_realm::{Clock, Folded, NodeRoles, Op, OpSet, Statement, draft, fold};
use freehold_seal::{DirectoryRow, KeyOf, KeyRing, Recipient};
use freehold_wire::{Bounded, Hlc, Millis, Name, NodeId, OpId, from_canonical};
use zeroize::Zeroizing;

use crate::clock;
use crate::directory::{Directory, From, Trust, directory_bucket};
use crate::door::{Answer, Carried, Request, free_name};
use crate::founding::SHARE_INFO;
use crate::home::Home;
use crate::identity::FreshKeys;
use crate::invitation::Card;
use crate::joining::{Heard, read_log, settle};
use crate::knock::{Refusal, Visit};
use crate::problem::store_problem;
use crate::scribe::{Saying, Scribe};
use crate::vacant::Vacant;

const WHAT: &str = "the realm was not recovered";
const NO: Refusal = Refusal {
    why: "the node refused: the phrases are of another realm, or fewer than this one asks for",
    next: "look which realm each paper is for",
};
const TOO_FEW: Refusal = Refusal {
    why: "the node refused one guardian phrase alone: two of the three are needed, unless the realm was set up otherwise",
    next: "add the phrase of another guardian",
};
/// The longest directory that is read.
const DIRECTORY_MAX: usize = 1 << 30;

/// Recovers: afterwards the home holds a node that can read, and that becomes a full member when
/// the recovery takes effect. Where a backend is named, it is brought back if `agree` has nothing against what lies there,
/// and runs in this home from now on.
///
/// # Errors
/// A [`Problem`]; the home then holds no node.
pub async fn recover(
    home: &Home,
    left: &WhatIsLeft,
    typed: Vec<Zeroizing<String>>,
    name: &str,
    agree: &(dyn Fn(&FoundRealm) -> Result<(), Problem> + Sync),
) -> Result<(), Problem> {
    let name = Name::new(name).map_err(|error| {
        Problem::invalid(WHAT, format!("the name cannot be used: {error}"), Some("choose another --name"))
    })?;
    let phrases = typed.iter().map(|words| phrase(words)).collect::<Result<Vec<_>, _>>()?;
    let guardians: Vec<SigningKey> = phrases.iter().map(Phrase::signing_key).collect();
    let keys = FreshKeys::draw();
    let mine = (&keys, &*phrases, &*guardians);
    let (card, stores) = match left {
        WhatIsLeft::Nodes { card } => return from_nodes(home, &self::card(card)?, mine, &name).await,
        WhatIsLeft::Folder { path } => {
            return from_backup(home, from_backup::At::Folder(path.into()), mine, &name).await;
        }
        WhatIsLeft::Bucket { store } => {
            return from_backup(home, from_backup::At::bucket(store)?, mine, &name).await;
        }
        WhatIsLeft::Backend { card, stores } => (self::card(card)?, stores),
    };
    let vacant = Vacant::take(home)?;
    vacant.clear()?;
    let asked = from_backend::Asked { host: home, card: &card, phrases: &phrases, agree };
    let (fetched, node) = asked.bring_back(&keys, &guardians, stores).await?;
    let heard = Heard { ops: fetched.ops.clone(), matured: fetched.matured.clone() };
    keep_directory(home, &card, &keys, fetched, &name)?;
    node.settle(&card)?;
    settle(&vacant, card.realm, &keys, true, &heard, card.contacts.into_vec())
}

/// Whoever recovers: the keys of the machine that is to be, and the guardians.
type Mine<'a> = (&'a FreshKeys, &'a [Phrase], &'a [SigningKey]);

async fn from_backup(home: &Home, at: from_backup::At, mine: Mine<'_>, name: &Name) -> Result<(), Problem> {
    let vacant = Vacant::take(home)?;
    let returned = from_backup::bring_back(at, mine).await?;
    vacant.clear()?;
    returned.settle(&vacant, home, mine.0, name)
}

async fn from_nodes(home: &Home, card: &Card, mine: Mine<'_>, name: &Name) -> Result<(), Problem> {
    let (keys, phrases, guardians) = mine;
    let vacant = Vacant::take(home)?;
    let seed = keys.keys().node_seed;
    let no = if guardians.len() == 1 { TOO_FEW } else { NO };
    let visit = Visit::begin(&seed, &card.contacts, guardians.iter().collect(), WHAT, no).await?;
    // The card of a realm that keeps something for this one leads here as well.
    let rooms = match visit.ask(&Request::Rescue).await {
        Ok(Answer::Rescue(rooms)) => rooms.into_vec(),
        Ok(_) => Vec::new(),
        Err(problem) => {
            visit.end().await;
            return Err(problem);
        }
    };
    if !rooms.is_empty() {
        let returned = from_friend::bring_back(&visit, &rooms, mine).await;
        visit.end().await;
        let returned = returned?;
        vacant.clear()?;
        return returned.settle(&vacant, home, keys, name);
    }
    let outcome = fetch_and_ask(&visit, card, keys, phrases, guardians).await;
    visit.end().await;
    let fetched = outcome?;
    let heard = Heard { ops: fetched.ops.clone(), matured: fetched.matured.clone() };
    vacant.clear()?;
    keep_directory(home, card, keys, fetched, name)?;
    settle(&vacant, card.realm, keys, true, &heard, card.contacts.to_vec())
}

/// Reads a realm's card.
///
/// # Errors
/// A [`Problem`] that says what is wrong with it.
pub fn card(text: &str) -> Result<Card, Problem> {
    Card::from_text(text).map_err(|error| {
        Problem::invalid(
            WHAT,
            format!("the card cannot be read: {error}"),
            Some("copy all of it, from FREEHOLD-CARD: to the end"),
        )
    })
}

/// Reads a guardian phrase as a person types it.
///
/// # Errors
/// A [`Problem`] that says which word is wrong.
pub fn phrase(typed: &str) -> Result<Phrase, Problem> {
    Phrase::parse(typed).map_err(|error| {
        Problem::invalid(WHAT, error.to_string(), Some("look at the paper and type it again"))
    })
}

struct Fetched {
    ops: Vec<Op>,
    matured: BTreeSet<OpId>,
    trust: Trust,
    let_in: BTreeMap<NodeId, NodeRoles>,
    directory: Vec<Carried>,
    recovery: BoxSecret,
}

async fn fetch_and_ask(
    visit: &Visit<'_>,
    card: &Card,
    keys: &FreshKeys,
    phrases: &[Phrase],
    guardians: &[SigningKey],
) -> Result<Fetched, Problem> {
    let (set, matured) = read_log(&visit.fetch(Request::Log).await?, card.realm)?;
    let folded = fold(&set, &Clock { now: clock::wall(), matured: matured.clone() });
    let recovery = recovery_secret(&folded.state.guardians, phrases)?;
    let carried = visit.fetch(Request::Directory).await?;
    let directory: Vec<Carried> = from_canonical(&carried, DIRECTORY_MAX).map_err(|e| {
        Problem::refused(WHAT, format!("the directory that came is not right: {e}"), Some("try again"))
    })?;
    let op = recovery_operation(&set, &folded, keys, guardians, clock::wall())?;
    let sent = Bounded::fill(&mut [op.to_bytes().into()].into_iter());
    let request = Request::Recover(sent);
    visit.ask_to(&request).await?;
    // What one of them does not hold another may.
    visit.tell_others(&request).await;
    put_together((set, folded, matured), op, directory, recovery)
}

/// What a new machine needs, with the recovery that it asks for.
fn put_together(
    (mut set, folded, matured): (OpSet, Folded, BTreeSet<OpId>),
    op: Op,
    directory: Vec<Carried>,
    recovery: BoxSecret,
) -> Result<Fetched, Problem> {
    set.insert(op).map_err(|e| Problem::bug(WHAT, e.to_string(), None::<&str>))?;
    let let_in = crate::log::let_in(&set, &folded);
    Ok(Fetched {
        trust: trust(&folded, &let_in),
        let_in,
        ops: set.iter().cloned().collect(),
        matured,
        directory,
        recovery,
    })
}

/// Whom to believe in the directory.
fn trust(folded: &Folded, let_in: &BTreeMap<NodeId, NodeRoles>) -> Trust {
    Trust {
        root: folded.state.directory,
        keepers: crate::log::keepers(let_in),
        erased: folded.state.erased().map(|(bucket, _)| bucket).collect(),
        kept: crate::log::kept(&folded.state),
        // Perhaps nobody has sealed anew what earlier keys sealed.
        ended: BTreeMap::new(),
    }
}

/// Joins the guardians' shares.
fn recovery_secret(set: &GuardianSet, phrases: &[Phrase]) -> Result<BoxSecret, Problem> {
    let mut shares = Vec::new();
    for phrase in phrases {
        let key = phrase.signing_key().verifying();
        let guardian = set.guardians.iter().find(|guardian| guardian.key == key).ok_or_else(|| {
            Problem::refused(
                WHAT,
                "one of the phrases belongs to no guardian of this realm",
                Some("look which realm each paper is for"),
            )
        })?;
        let opened = phrase.box_secret().open(SHARE_INFO, &guardian.share);
        let share = opened.ok().and_then(|share| Share::from_bytes(&share).ok());
        shares.push(share.ok_or_else(|| {
            Problem::corrupt(
                WHAT,
                "a guardian's share in the log is damaged",
                Some("try another guardian's phrase"),
            )
        })?);
    }
    let secret = combine(&shares).ok().map(|seed| BoxSecret::from_seed(&seed));
    secret.filter(|secret| secret.public() == set.recovery).ok_or_else(|| {
        Problem::refused(
            WHAT,
            format!("{} phrases of different guardians are needed", set.threshold),
            Some("type the phrase of another guardian as well"),
        )
    })
}

fn recovery_operation(
    set: &OpSet,
    folded: &Folded,
    keys: &FreshKeys,
    guardians: &[SigningKey],
    now: Millis,
) -> Result<Op, Problem> {
    let mut nonce = [0; 16];
    OsEntropy.fill(&mut nonce);
    let device = keys.device();
    let me = Statement::found(nonce, &device, keys.device_box().public());
    let refused = |e: freehold_realm::DraftError| Problem::refused(WHAT, e.to_string(), None::<&str>);
    let body = draft::recovery(folded, [vec![me]], None).map_err(refused)?;
    let mut op = draft(set, &folded.state, &device, body, now).map_err(refused)?;
    for guardian in guardians {
        op.add_signature(guardian);
    }
    Ok(op)
}

/// The recovery must stand in this log: the guardians may have been changed since.
fn must_count(set: &OpSet, matured: &BTreeSet<OpId>, op: &Op) -> Result<(), Problem> {
    let mut with = set.clone();
    let id = op.id();
    with.insert(op.clone()).map_err(|e| Problem::refused(WHAT, e.to_string(), None::<&str>))?;
    let folded: Folded = fold(&with, &Clock { now: clock::wall(), matured: matured.clone() });
    match folded.refused.get(&id) {
        Some(why) => Err(Problem::refused(WHAT, why.to_string(), Some("look which realm each paper is for"))),
        None => Ok(()),
    }
}

/// What the recovery secret opens of a directory that came, and the entries of it that stand.
fn read_directory(
    card: &Card,
    trust: Trust,
    let_in: &BTreeMap<NodeId, NodeRoles>,
    carried: &[Carried],
    recovery: BoxSecret,
) -> (Directory, Vec<EntryRow>) {
    let bucket = directory_bucket(card.realm);
    let mut directory = Directory::new(card.realm, Recipient::Recovery, recovery);
    directory.set_trust(trust);
    let mut rows = Vec::new();
    for carried in carried {
        let Ok(entry) = Entry::decode(&carried.entry) else { continue };
        let placed = entry.realm == card.realm && entry.bucket == bucket && entry.blobs.is_empty();
        let known = let_in.contains_key(&entry.origin);
        if !placed || !known || entry.verify().is_err() || !entry.covers(&carried.payload) {
            continue;
        }
        let from = From { origin: entry.origin, seq: entry.seq, hlc: entry.hlc };
        drop(directory.absorb(from, &carried.payload));
        rows.push(EntryRow {
            bucket,
            origin: entry.origin,
            seq: entry.seq,
            entry: carried.entry.clone(),
            payload: Some(carried.payload.clone()),
        });
    }
    (directory, rows)
}

/// Keeps the directory as it came, and boxes every key that the recovery secret opens for this
/// node: the secret itself is not kept.
fn keep_directory(
    home: &Home,
    card: &Card,
    keys: &FreshKeys,
    fetched: Fetched,
    name: &Name,
) -> Result<(), Problem> {
    let entries = Arc::new(EntryStore::open(&home.entries()).map_err(|e| store_problem(&e))?);
    let Fetched { trust, let_in, recovery, .. } = fetched;
    let (directory, rows) = read_directory(card, trust, &let_in, &fetched.directory, recovery);
    entries
        .write(move |txn| rows.iter().try_for_each(|row| txn.insert(row).map(drop)))
        .map_err(|e| store_problem(&e))?;
    let mine = keys.keys();
    let rings: Vec<&KeyRing> = directory.rings().collect();
    if rings.is_empty() {
        return Err(Problem::refused(
            WHAT,
            "the node that answered holds no keys sealed to the guardians",
            Some("ask another node of the realm: use the newest card"),
        ));
    }
    let mut sayings = Vec::new();
    for ring in rings {
        for key in ring.iter() {
            let to = Recipient::Node(mine.node_id());
            let envelope = ring
                .envelope(key.version(), to, &mine.box_secret().public(), &mut OsEntropy)
                .map_err(|e| Problem::bug(WHAT, e.to_string(), None::<&str>))?;
            sayings.push(Saying::Key(Box::new(envelope)));
        }
    }
    let directory_key = directory.ring(KeyOf::Directory).and_then(|ring| ring.current()).cloned();
    let taken = |name: &str| let_in.keys().any(|node| directory.node_name(*node) == Some(name));
    let name = free_name(name, taken);
    if directory_key.is_some() {
        sayings.push(Saying::Row(DirectoryRow::NodeName(mine.node_id(), Some(name))));
    }
    let scribe = Scribe { realm: card.realm, node: mine.node_id(), key: Arc::clone(&mine.node), entries };
    let hlc = Hlc { wall: clock::wall(), count: 0 };
    scribe
        .write(sayings, directory_key, hlc)
        .map(drop)
        .map_err(|e| Problem::refused(WHAT, e.to_string(), Some("df -h")))
}
