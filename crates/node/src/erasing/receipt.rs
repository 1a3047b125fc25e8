//! The receipt of an erasure: a file that shows, to people who have none of the realm's keys, who decided
//! it, which nodes had to carry it out, and which of them say that they have.

use std::collections::{BTreeMap, BTreeSet};

use freehold_api::{Erasure, ErasureNode, Problem};
use freehold_crypt::{Signature, VerifyingKey};
use freehold_realm::audit::{self, Audit};
use freehold_realm::{Body, Clock, Standing, State};
use freehold_seal::Erased;
use freehold_wire::{
    Bounded, DecodeError, Millis, Name, NodeId, OpId, RealmId, from_canonical, to_canonical,
};
use minicbor::{Decode, Encode};

use crate::clock;
use crate::log::{admissions, asked};
use crate::shared::Shared;

const TAG: &str = "freehold erasure receipt";
const RECEIPT_MAX: usize = (1 << 30) + (1 << 20);
/// Nodes that a receipt names at most: more than any realm has.
const NODES_MAX: usize = 4096;

/// What no erasure reaches, as every receipt says.
const NOT_COVERED: [&str; 5] = [
    "a copy of a machine's disk that was made, with its folder keys, before that machine confirmed",
    "the guardians' phrases, with a copy of the directory from before: together they open earlier keys",
    "what people or programs read, and keys that they noted, while it was there",
    "blocks of an overwritten key file that a disk keeps without showing them",
    "what the realm's log says that the node did not have which made the receipt, later nodes for one",
];

const OF_BUCKETS: &[&str] =
    &["the bucket's own name, which the directory of names holds, and how many bytes it had"];
const OF_PERSONS: &[&str] = &[
    "names of buckets, machines and services that the person chose, in older copies of the directory of names",
    "buckets that others may use as well, and what the person wrote in buckets of others, unless they are named here",
    "buckets whose keys the machine did not hold on which the erasure was typed",
];
const OF_OBJECTS: &[&str] = &[
    "the object's own name, in the note of its deletion, which holders of the bucket's keys read",
    "what a machine wrote under that name, or copied from it, while it had not heard of the deletion",
    "copies of the object under other names, or in other buckets",
];

#[derive(Encode, Decode)]
#[cbor(map)]
struct Told {
    #[n(0)]
    tag: String,
    #[n(1)]
    version: u32,
    #[n(2)]
    realm: RealmId,
    #[n(3)]
    erasure: OpId,
    #[n(4)]
    made: Millis,
    #[n(5)]
    by: NodeId,
    #[cbor(n(6), with = "minicbor::bytes")]
    log: Vec<u8>,
    #[n(7)]
    said: Bounded<Erased, NODES_MAX>,
    #[n(8)]
    names: Bounded<(NodeId, Name), NODES_MAX>,
}

#[derive(Encode, Decode)]
#[cbor(array)]
struct Receipt {
    #[n(0)]
    told: Told,
    #[n(1)]
    signature: Signature,
}

fn message(told: &Told) -> Vec<u8> {
    let mut out = b"freehold 2026 erasure receipt".to_vec();
    out.extend_from_slice(&to_canonical(told));
    out
}

/// Makes the receipt of an erasure, signed by this node.
pub(crate) async fn make(shared: &Shared, erasure: OpId) -> Result<Vec<u8>, Problem> {
    let log = shared.log.export().await?;
    let nodes: Vec<NodeId> = shared.log.view().let_in.keys().copied().collect();
    let directory = shared.directory();
    let named = |node: NodeId| Some((node, Name::new(directory.node_name(node)?).ok()?));
    let told = Told {
        tag: TAG.to_owned(),
        version: 1,
        realm: shared.realm(),
        erasure,
        made: clock::wall(),
        by: shared.me(),
        log,
        said: Bounded::fill(&mut directory.erased_by(erasure).copied()),
        names: Bounded::fill(&mut nodes.into_iter().filter_map(named)),
    };
    drop(directory);
    let signature = shared.keys.node.sign(&message(&told));
    Ok(to_canonical(&Receipt { told, signature }))
}

/// Every operation that erases something, once.
fn erasures(state: &State) -> BTreeSet<OpId> {
    let ended = state.ended().map(|(_, ended)| ended.erasure);
    let buckets = state.erased().map(|(_, erasure)| erasure);
    buckets.chain(ended).chain(state.erased_persons.keys().copied()).collect()
}

/// Every erasure of the realm, as this node knows it.
pub(crate) async fn all(shared: &Shared) -> Result<Vec<Erasure>, Problem> {
    let view = shared.log.view();
    let erased = erasures(view.state());
    if erased.is_empty() {
        return Ok(Vec::new());
    }
    let log = shared.log.export().await?;
    let judge = move || audit::audit(&log, &now()).map_err(|error| error.to_string());
    let judged = tokio::task::spawn_blocking(judge).await.map_err(|error| error.to_string());
    let bug = |why: String| Problem::bug("the erasures cannot be told", why, None::<&str>);
    let audit = judged.and_then(|judged| judged).map_err(bug)?;
    let directory = shared.directory();
    let me = shared.me();
    let name = |node: NodeId| directory.node_name(node).map(str::to_owned);
    let told = erased.into_iter().map(|erasure| {
        let said: Vec<Erased> = directory.erased_by(erasure).copied().collect();
        let mut told = evaluate(&audit, erasure, &said, name)?;
        for node in told.pending.iter_mut().chain(&mut told.gone) {
            node.connected = node.id.parse().ok().map(|id| shared.is_on(id));
        }
        let bucket = told.buckets.first().filter(|_| told.object.is_some()).and_then(|id| id.parse().ok());
        if let Some(waiting) = bucket.and_then(|bucket| shared.endings.of(&bucket)) {
            told.unread = waiting.unread;
            told.waits = if said.iter().all(|one| one.node != me) { waiting.until } else { Vec::new() };
        }
        Ok::<Erasure, String>(told)
    });
    let mut told = told.collect::<Result<Vec<_>, _>>().map_err(bug)?;
    told.sort_by_key(|erasure| std::cmp::Reverse(erasure.decided_ms));
    Ok(told)
}

/// Reads a receipt and says what it shows; nothing but the file is needed.
///
/// # Errors
/// A [`Problem`] if it is none, was altered, or shows no erasure.
pub fn check(bytes: &[u8]) -> Result<Erasure, Problem> {
    let bad = |why: String| {
        Problem::corrupt(
            "this file shows no erasure",
            why,
            Some("make one with: freehold receipt save ERASURE FILE"),
        )
    };
    let read: Result<Receipt, DecodeError> = from_canonical(bytes, RECEIPT_MAX);
    let Receipt { told, signature } = read.map_err(|error| bad(format!("it is not a receipt: {error}")))?;
    if told.tag != TAG || told.version != 1 {
        return Err(bad("it is not a receipt that this program knows".to_owned()));
    }
    let key = VerifyingKey::from_bytes(&[&[1], told.by.as_bytes().as_slice()].concat());
    if !key.is_ok_and(|key| key.verify(&message(&told), &signature).is_ok()) {
        return Err(bad("it was altered after it was signed".to_owned()));
    }
    let audit = audit::audit(&told.log, &now()).map_err(|error| bad(error.to_string()))?;
    if audit.set.realm() != told.realm
        || !audit.unbelievable.is_empty()
        || audit.set.waiting().next().is_some()
    {
        return Err(bad("the realm's log in it is not whole".to_owned()));
    }
    let signer = audit.folded.state.nodes.get(&told.by);
    if signer.is_none_or(|node| node.standing != Standing::Active) {
        return Err(bad("who signed it is no node of that realm".to_owned()));
    }
    let names: BTreeMap<NodeId, &Name> = told.names.iter().map(|(node, name)| (*node, name)).collect();
    let name = |node: NodeId| names.get(&node).map(|name| name.as_str().to_owned());
    let mut shown = evaluate(&audit, told.erasure, &told.said, name).map_err(bad)?;
    shown.receipt_ms = Some(told.made.0);
    Ok(shown)
}

fn now() -> Clock {
    Clock { now: clock::wall(), ..Clock::default() }
}

/// What the log and the nodes' words show of an erasure.
fn evaluate(
    audit: &Audit,
    erasure: OpId,
    said: &[Erased],
    name: impl Fn(NodeId) -> Option<String>,
) -> Result<Erasure, String> {
    let state = &audit.folded.state;
    let op = audit.set.get(&erasure).ok_or("the realm's log has no such operation")?;
    let (buckets, object, person, own) = match op.body() {
        Body::BucketErase(body) => (vec![body.bucket], None, None, OF_BUCKETS),
        Body::KeysErase(body) => (vec![body.bucket], body.object, None, OF_OBJECTS),
        Body::PersonErase(body) => (body.buckets.to_vec(), None, Some(body.person), OF_PERSONS),
        _ => return Err("that operation erases nothing".to_owned()),
    };
    if !erasures(state).contains(&erasure) {
        return Err("the realm's log does not take that operation".to_owned());
    }
    let again = person.filter(|person| state.persons.contains_key(person));
    let again = again.map(|_| "the person is a member of the realm, again or still");
    let genuine = said.iter().filter(|said| said.erasure == erasure && said.is_genuine(state.realm));
    let genuine: BTreeMap<NodeId, Millis> = genuine.map(|said| (said.node, said.at)).collect();
    let (mut confirmed, mut pending, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for node in asked(&audit.set, &admissions(&audit.set, &audit.folded), &erasure) {
        let at = genuine.get(&node).map(|at| at.0);
        let stays = state.nodes.get(&node).is_some_and(|node| node.standing == Standing::Active);
        let of = if at.is_some() {
            &mut confirmed
        } else if stays {
            &mut pending
        } else {
            &mut gone
        };
        of.push(ErasureNode {
            id: node.to_string(),
            name: name(node).unwrap_or_else(|| node.short()),
            at_ms: at,
            connected: None,
        });
    }
    let author = op.head().author.id();
    Ok(Erasure {
        id: erasure.to_string(),
        realm: state.realm.to_string(),
        person: person.map(|person| person.to_string()),
        buckets: buckets.iter().map(ToString::to_string).collect(),
        object: object.map(|object| object.to_string()),
        decided_ms: op.head().hlc.wall.0,
        decided_by: state
            .device(&author)
            .map_or_else(|| author.to_string(), |(person, _)| person.to_string()),
        confirmed,
        pending,
        gone,
        waits: Vec::new(),
        unread: 0,
        not_covered: NOT_COVERED.iter().chain(own).copied().chain(again).map(str::to_owned).collect(),
        receipt_ms: None,
    })
}
