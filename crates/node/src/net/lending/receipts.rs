//! The end of what was kept: whoever lent deletes it and signs for that, and whoever borrowed keeps the receipt.

use freehold_passes::storage::Phase;
use freehold_passes::{Deletion, Receipt};
use freehold_realm::{Grant, Side};
use freehold_wire::{GrantId, NodeId};

use super::{folder, is_room, keeping};
use crate::clock;
use crate::problem::chain;
use crate::shared::Shared;

/// What a receipt is called in a grant's folder, of the machine that signed it.
fn file(of: NodeId) -> String {
    format!("receipt-{of}")
}

/// A receipt that this machine has, given or got.
pub(crate) fn kept(shared: &Shared, side: Side, grant: GrantId, of: NodeId) -> Option<Receipt> {
    let bytes = std::fs::read(folder(shared, side, grant).join(file(of))).ok()?;
    Receipt::from_bytes(&bytes).ok().filter(|receipt| receipt.is_signed() && receipt.deletion.grant == grant)
}

/// All receipts that this machine has of a grant.
pub(crate) fn all(shared: &Shared, side: Side, grant: GrantId) -> Vec<Receipt> {
    let here = std::fs::read_dir(folder(shared, side, grant)).into_iter().flatten().flatten();
    let signers = here.filter_map(|entry| entry.file_name().to_str()?.strip_prefix("receipt-")?.parse().ok());
    signers.filter_map(|of| kept(shared, side, grant, of)).collect()
}

/// Deletes what is kept here under grants that are over, and signs for it; what fails is tried again. Waits for the
/// disk.
pub(super) fn delete_what_is_over(shared: &Shared) -> Vec<String> {
    let (view, now, me) = (shared.log.view(), clock::wall(), shared.me());
    let over = |(_, grant): &(&GrantId, &Grant)| {
        is_room(grant, Side::Lends) && grant.homes.contains(&me) && Phase::of(grant, now) == Phase::Over
    };
    let mut failed = Vec::new();
    for (id, grant) in view.state().grants.iter().filter(over) {
        if kept(shared, Side::Lends, *id, me).is_some() {
            continue;
        }
        if let Err(why) = delete(shared, *id, grant) {
            tracing::error!(grant = %id.short(), why, "what another realm kept here is not deleted yet");
            failed.push(why);
        }
    }
    failed
}

fn delete(shared: &Shared, id: GrantId, grant: &Grant) -> Result<(), String> {
    let room = keeping::room(shared, id, grant).map_err(|error| chain(&error))?;
    let deleted = room.delete().map_err(|error| chain(&error))?;
    shared.rooms.open().remove(&id);
    let deletion = Deletion {
        grant: id,
        lender: shared.realm(),
        borrower: grant.other,
        node: shared.me(),
        objects: deleted.objects,
        bytes: deleted.bytes,
        at: clock::wall(),
    };
    let receipt = Receipt::sign(deletion, &shared.keys.node);
    keep(shared, Side::Lends, &receipt)?;
    tracing::info!(grant = %id.short(), objects = deleted.objects, bytes = deleted.bytes, "what another realm kept here is deleted");
    Ok(())
}

fn keep(shared: &Shared, side: Side, receipt: &Receipt) -> Result<(), String> {
    let dir = folder(shared, side, receipt.deletion.grant);
    freehold_disk::make_private_dir(&dir).map_err(|error| error.to_string())?;
    let path = dir.join(file(receipt.deletion.node));
    freehold_disk::replace(&path, &receipt.to_bytes(), 0o600).map_err(|error| error.to_string())
}

/// Takes a receipt from a machine of the realm that lent, if it is one for this realm's grant, signed by that machine.
pub(crate) fn take(shared: &Shared, id: GrantId, from: NodeId, bytes: &[u8]) {
    let Ok(receipt) = Receipt::from_bytes(bytes) else { return };
    let view = shared.log.view();
    let known = view.state().grants.get(&id).filter(|grant| is_room(grant, Side::Borrows));
    let deletion = &receipt.deletion;
    let is_ours = known.is_some_and(|grant| deletion.lender == grant.other)
        && (deletion.grant, deletion.borrower, deletion.node) == (id, shared.realm(), from);
    if !is_ours || !receipt.is_signed() || kept(shared, Side::Borrows, id, from).is_some() {
        return;
    }
    if let Err(why) = keep(shared, Side::Borrows, &receipt) {
        tracing::warn!(why, "a receipt of a deletion was not kept; it is asked for again");
    }
}
