//! Reading the journal as if a stranger had written it: only what is signed, and by whom the log lets, is
//! kept; and it shows if some of it is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use freehold_api::{Problem, words};
use freehold_backend::{Head, PackError, Packed, Sum, SumError};
use freehold_disk::{EntryRow, EntryStore};
use freehold_placement::{Entry, PAYLOAD_MAX};
use freehold_realm::body::GuardianSet;
use freehold_realm::{Clock, Folded, NodeRoles, Op, OpSet, Pending, RECOVERY_DELAY, Standing, fold};
use freehold_seal::{Envelope, KeyOf};
use freehold_wire::{BucketId, Millis, NodeId, OpId, RealmId, to_canonical};

use super::super::WHAT;
use super::unreachable;
use crate::clock;
use crate::directory::directory_bucket;
use crate::door::Carried;
use crate::home::Home;
use crate::problem::{chain, store_problem};

/// What a journal says, as far as it is believed.
pub(super) struct Known {
    pub(super) set: OpSet,
    pub(super) folded: Folded,
    pub(super) matured: BTreeSet<OpId>,
    /// The bytes of the operations.
    pub(super) ops: BTreeMap<OpId, Vec<u8>>,
    pub(super) let_in: BTreeMap<NodeId, NodeRoles>,
    pub(super) directory: Vec<Carried>,
    /// What is not as it should be.
    pub(super) missing: Vec<String>,
    /// Writers that the log does not know.
    pub(super) strangers: BTreeSet<NodeId>,
}

/// Reads the journal into the home's entries; those of `strangers` are left out.
pub(super) async fn read(
    home: &Home,
    packed: &Packed,
    realm: RealmId,
    head: &Head,
    strangers: &BTreeSet<NodeId>,
) -> Result<Known, Problem> {
    let entries = EntryStore::open(&home.entries()).map_err(|e| store_problem(&e))?;
    let (mut sum, mut lost) = (Sum::default(), 0u64);
    for at in packed.parts().await.map_err(|e| unreachable(chain(&e)))? {
        // What was told anew since: payloads in older parts may have been erased.
        if at.number < head.base {
            continue;
        }
        let bytes = match packed.part(&at).await {
            Ok(bytes) => bytes,
            Err(PackError::Bad { .. }) => {
                lost += 1;
                continue;
            }
            Err(error) => return Err(unreachable(chain(&error))),
        };
        let add = || sum.add(&bytes, |row| !strangers.contains(&row.origin) && stands(realm, row));
        match tokio::task::block_in_place(add) {
            Ok(rows) => tokio::task::block_in_place(|| keep(&entries, rows))?,
            Err(SumError::Damaged(_)) => lost += 1,
            Err(error @ SumError::TooMuch) => {
                return Err(Problem::refused(WHAT, error.to_string(), Some("name another store")));
            }
        }
    }
    let mut known = judge(&sum, realm)?;
    if lost > 0 || !sum.is_whole(&head.last) {
        known.missing.push(
            "parts of the journal are missing or damaged: it was cut short, or the store has lost them"
                .to_owned(),
        );
    }
    if sum.left_out() > 0 {
        let entries = words::count(sum.left_out(), "entry").replace("entrys", "entries");
        known
            .missing
            .push(format!("{entries} of the journal do not stand, or follow on such as are missing"));
    }
    known.strangers = sum.origins().into_iter().filter(|origin| !known.let_in.contains_key(origin)).collect();
    known.directory = tokio::task::block_in_place(|| directory(&entries, realm, &known.folded))?;
    Ok(known)
}

/// Whether an entry is what its place says, and signed by its writer.
pub(super) fn stands(realm: RealmId, row: &EntryRow) -> bool {
    let Ok(entry) = Entry::decode(&row.entry) else { return false };
    let placed = (entry.bucket, entry.origin, entry.seq) == (row.bucket, row.origin, row.seq);
    let bare = row.bucket != directory_bucket(realm) || entry.blobs.is_empty();
    let payload = row.payload.as_ref();
    let covered = payload.is_none_or(|payload| payload.len() <= PAYLOAD_MAX && entry.covers(payload));
    entry.realm == realm && placed && bare && covered && entry.verify().is_ok()
}

/// Keeps entries; of one that came before with a payload that has been erased since, the payload goes.
fn keep(entries: &EntryStore, rows: Vec<EntryRow>) -> Result<(), Problem> {
    let write = entries.write(move |txn| {
        rows.iter().try_for_each(|row| {
            if row.payload.is_none() {
                txn.erase_payload(&row.bucket, &row.origin, row.seq)?;
            }
            txn.insert(row).map(drop)
        })
    });
    write.map_err(|e| store_problem(&e))
}

/// The realm's log as the journal has it: signatures are checked, and that it is this realm's.
pub(super) fn judge(sum: &Sum, realm: RealmId) -> Result<Known, Problem> {
    let (mut set, mut ops, mut refused) = (OpSet::new(realm), BTreeMap::new(), 0u64);
    for bytes in sum.ops().values() {
        match Op::decode(bytes) {
            Ok(op) => {
                let id = op.id();
                // What this set merely does not keep is no harm.
                match set.insert(op) {
                    Ok(_) => drop(ops.insert(id, bytes.clone())),
                    Err(_) => refused += 1,
                }
            }
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
    let (matured, folded) = matured(&set, sum.matured(), clock::wall());
    let let_in = crate::log::let_in(&set, &folded);
    let (directory, strangers) = (Vec::new(), BTreeSet::new());
    let missing = if refused > 0 {
        vec![format!("{} of the log do not stand", words::count(refused, "operation"))]
    } else {
        Vec::new()
    };
    Ok(Known { set, folded, matured, ops, let_in, directory, missing, strangers })
}

/// Which recoveries have waited long enough: those that the journal says have, if that can be so by their
/// date and no majority of admins objects in this log.
pub(super) fn matured(set: &OpSet, said: &BTreeSet<OpId>, now: Millis) -> (BTreeSet<OpId>, Folded) {
    let mut matured = BTreeSet::new();
    loop {
        let folded = fold(set, &Clock { now, matured: matured.clone() });
        let old = |id: &OpId| set.get(id).is_some_and(|op| now.since(op.head().hlc.wall) >= RECOVERY_DELAY);
        let waits = |id: &&OpId| folded.pending.get(id) == Some(&Pending::Recovery { vetoed: false });
        let more: Vec<OpId> = said.iter().filter(waits).filter(|id| old(id)).copied().collect();
        if more.is_empty() {
            return (matured, folded);
        }
        matured.extend(more);
    }
}

/// The realm's log, and not the letter, says who the guardians are and which node this is.
pub(super) fn vouch(known: &Known, head: &Head, guardians: &GuardianSet) -> Result<(), Problem> {
    let state = &known.folded.state;
    let no =
        |why: &str| Problem::refused(WHAT, why, Some("name another store of the backend, if it has several"));
    match state.nodes.get(&head.node) {
        None => {
            Err(no("who signed the letter on the store is no node of the realm, as its log there has it"))
        }
        Some(node) if node.standing != Standing::Active => {
            Err(no("the node of the backend was suspended, as the realm's log on the store has it"))
        }
        Some(node) if node.roles != NodeRoles::STORAGE => {
            Err(no("who signed the letter on the store is no backend, as the realm's log there has it"))
        }
        Some(_) if to_canonical(&state.guardians) != to_canonical(guardians) => {
            Err(no("the letter on the store has other guardians than the realm's log there"))
        }
        Some(_) => Ok(()),
    }
}

/// What the directory holds; keys of erased buckets leave it.
pub(super) fn directory(
    entries: &EntryStore,
    realm: RealmId,
    folded: &Folded,
) -> Result<Vec<Carried>, Problem> {
    let bucket = directory_bucket(realm);
    let erased: BTreeSet<BucketId> = folded.state.erased().map(|(bucket, _)| bucket).collect();
    let of_erased = |payload: &[u8]| {
        let envelope = Envelope::decode(payload);
        envelope.is_ok_and(|e| matches!(e.key_of, KeyOf::Bucket(of) if erased.contains(&of)))
    };
    let (mut carried, mut gone) = (Vec::new(), Vec::new());
    let scanned = entries.scan_bucket(&bucket, |row| {
        match row.payload {
            Some(payload) if of_erased(&payload) => gone.push((row.origin, row.seq)),
            Some(payload) => carried.push(Carried { entry: row.entry, payload }),
            None => {}
        }
        ControlFlow::Continue(())
    });
    scanned.map_err(|e| store_problem(&e))?;
    let erase = entries.write(move |txn| {
        gone.iter().try_for_each(|(origin, seq)| txn.erase_payload(&bucket, origin, *seq).map(drop))
    });
    erase.map_err(|e| store_problem(&e))?;
    Ok(carried)
}
