//! Realms lend each other room: sealed bytes lie on a friend's disk, counted to the byte, as much as was promised and
//! no more; what is lost at home comes back from there; and at the end nothing is left but a receipt.
#![cfg(test)]

mod around;
mod partitions;

use std::path::Path;

use anyhow::{Result, ensure};
use freehold_api::{GrantRoom, GrantStatus, RealmCard, RoomPhase};
use freehold_harness::{Host, Node, Ready, Story, eventually, story, until};

use around::{
    MIB, OBJECTS, files, found, identical, if_there, is_attached, lose_the_disk, lying, meter_is_exact,
    offer, photos, room, shows_nothing, upload,
};

/// Offered while the one is cut off, and accepted while the other is: what was agreed on holds once they hear each other.
fn agreed_without_each_other(
    (attic, lender): (&Host, &Node<'_>),
    (den, borrower): (&Host, &Node<'_>),
) -> Result<()> {
    den.unplug()?;
    let text =
        offer(lender, borrower, &["--storage", "24MiB", "--egress", "1GiB/month", "--wind-down", "1"])?;
    den.plug_in()?;
    attic.unplug()?;
    let terms = borrower.cli(&["grant", "accept", &text, "--dry-run"])?.good()?.out;
    for said in ["may keep", "a month", "after the end it can be read for 1 day", "signed receipt"] {
        ensure!(terms.contains(said), "the terms do not say {said:?}: {terms}");
    }
    borrower.cli(&["grant", "accept", &text, "--name", "smith"])?.good()?;
    ensure!(room(borrower, "smith")?.place.is_none(), "a place for copies out of nothing");
    attic.plug_in()
}

/// More than was promised is refused and told; what is there stays.
fn no_more_than_promised(story: &Story, lender: &Node<'_>, borrower: &Node<'_>, ready: &Ready) -> Result<()> {
    let large = story.file("large", 20 * MIB, 9)?.to_string_lossy().into_owned();
    borrower.cli(&["bucket", "create", "films", "--copies", "2"])?.good()?;
    borrower.s3(ready)?.aws(&["s3", "cp", &large, "s3://films/large"])?.good()?;
    borrower.alarmed(&["smith", "full"])?;
    let kept = meter_is_exact(lender, "jones")?;
    ensure!(kept <= 24 << 20, "{kept} bytes lie there");
    ensure!(borrower.bucket("films")?.waiting == 1, "{:?}", borrower.bucket("films")?);
    borrower.protected("photos", OBJECTS)
}

#[test]
fn a_friend_keeps_copies_and_learns_nothing() -> Result<()> {
    story("a_friend_keeps_copies", |story| {
        let (attic, barn, den) = (story.host("attic")?, story.host("barn")?, story.host("den")?);
        let (mut smith, mut brown, mut jones) = (attic.node()?, barn.node()?, den.node()?);
        found(&mut smith, "The Smiths", "attic")?;
        found(&mut brown, "The Browns", "barn")?;
        let ready = found(&mut jones, "The Joneses", "den")?;
        let original = photos(story)?;
        jones.cli(&["bucket", "create", "photos", "--copies", "2"])?.good()?;
        upload(&jones, &ready, &original)?;
        ensure!(jones.bucket("photos")?.waiting > 0, "one machine is not two");

        agreed_without_each_other((&attic, &smith), (&den, &jones))?;
        is_attached(&jones, "smith")?;
        jones.protected("photos", OBJECTS)?;
        shows_nothing(&smith)?;
        let kept = meter_is_exact(&smith, "jones")?;
        ensure!(kept > 9 << 20, "{kept} bytes lie there");
        // Whoever borrows sees the same.
        until(40, "both sides see the same", || {
            let (theirs, ours) = (room(&smith, "jones")?, room(&jones, "smith")?);
            ensure!(theirs.kept == ours.kept && theirs.phase == ours.phase, "{theirs:?} {ours:?}");
            Ok(())
        })?;

        // What is lost here comes back from there.
        lose_the_disk(&jones)?;
        ensure!(identical(&jones, &ready, &original)?, "not everything is read from the friend");

        // Both sides start anew, and it is as it was.
        for node in [&mut smith, &mut jones] {
            node.stop()?;
        }
        smith.resume()?;
        let ready = jones.resume()?;
        is_attached(&jones, "smith")?;
        lose_the_disk(&jones)?;
        eventually(60, "it is read from the friend after a restart", || {
            identical(&jones, &ready, &original)
        })?;
        meter_is_exact(&smith, "jones")?;
        no_more_than_promised(story, &smith, &jones, &ready)?;
        it_ends((&mut smith, &mut jones), (&barn, &mut brown), &ready, &original)
    })
}

/// What is revoked winds down: copies go elsewhere, what is there is read until the last day, and then it is gone.
fn it_ends<'a>(
    (smith, jones): (&mut Node<'a>, &mut Node<'a>),
    (_barn, brown): (&Host, &mut Node<'_>),
    ready: &Ready,
    original: &Path,
) -> Result<()> {
    let text = offer(brown, jones, &["--storage", "96MiB", "--wind-down", "0"])?;
    jones.cli(&["grant", "accept", &text, "--name", "brown"])?.good()?;
    is_attached(jones, "brown")?;
    smith.cli(&["grant", "revoke", "jones"])?.good()?;
    until(60, "it winds down", || {
        let (theirs, ours) = (room(smith, "jones")?, room(jones, "smith")?);
        let winds_down =
            |room: &GrantRoom| room.phase == RoomPhase::WindingDown && room.phase_until_ms.is_some();
        ensure!(winds_down(&theirs) && winds_down(&ours), "{theirs:?} {ours:?}");
        Ok(())
    })?;
    jones.alarmed(&["smith", "ended"])?;
    // Nobody has to ask for it: the other friend is given what this one had, and what found no room here.
    until(180, "copies are made elsewhere", || {
        let theirs = room(brown, "jones")?.kept;
        ensure!(theirs.is_some_and(|kept| kept > 29 << 20), "{theirs:?} bytes are there");
        Ok(())
    })?;
    jones.protected("photos", OBJECTS)?;
    jones.protected("films", 1)?;
    ensure!(!lying(smith)?.is_empty(), "it was deleted before its time");
    lose_the_disk(jones)?;
    eventually(60, "it is read while it winds down", || identical(jones, ready, original))?;

    // A day later.
    for node in [&mut *smith, &mut *jones] {
        node.stop()?;
        node.set_clock(Some("+25h"));
    }
    smith.resume()?;
    jones.resume()?;
    until(60, "it is deleted, with a receipt on both sides", || {
        let (theirs, ours) = (room(smith, "jones")?, room(jones, "smith")?);
        ensure!(theirs.phase == RoomPhase::Over && lying(smith)?.is_empty(), "{theirs:?}");
        let signed = |room: &GrantRoom| room.receipts.iter().any(|receipt| receipt.bytes > 9 << 20);
        ensure!(signed(&theirs) && theirs.receipts == ours.receipts, "{theirs:?} {ours:?}");
        Ok(())
    })?;
    jones.alarmed(&["smith", "detach"])?;
    jones.cli(&["--yes", "backend", "detach", "smith", "--force"])?.good()?;
    // With no days of winding down it is over at once.
    brown.cli(&["grant", "revoke", "jones"])?.good()?;
    until(20, "it is deleted at once", || {
        let theirs = room(brown, "jones")?;
        ensure!(
            theirs.phase == RoomPhase::Over && theirs.receipts.len() == 1 && lying(brown)?.is_empty(),
            "{theirs:?}"
        );
        Ok(())
    })
}

#[test]
fn nobody_else_comes_to_what_is_kept() -> Result<()> {
    story("nobody_else_comes", |story| {
        let (attic, den) = (story.host("attic")?, story.host("den")?);
        let (mut smith, mut jones) = (attic.node()?, den.node()?);
        found(&mut smith, "The Smiths", "attic")?;
        found(&mut jones, "The Joneses", "den")?;
        let card: RealmCard = jones.ask(&["grant", "card"])?;
        let refused = |what: &[&str], code: i32, words: &[&str]| -> Result<()> {
            let typed = [&["grant", "offer", "--to", &card.text], what].concat();
            smith.cli(&typed)?.refused(code, words).map(drop)
        };
        refused(&["--storage", "much"], 2, &["is no size"])?;
        refused(&["--storage", "1000TiB"], 1, &["free on this machine's disk"])?;
        refused(&["--storage", "1MiB", "--gateway"], 2, &[])?;
        refused(&["--gateway", "--egress", "1MiB"], 2, &[])?;
        refused(&["--storage", "1MiB", "--on", "nowhere"], 1, &["there is no"])?;
        refused(&["--storage", "1MiB", "--wind-down", "366"], 2, &["366 days"])?;
        ensure!(smith.ask::<Vec<GrantStatus>>(&["grant", "list"])?.is_empty(), "something was offered");
        let text = offer(&smith, &jones, &["--storage", "8MiB"])?;
        smith.cli(&["grant", "accept", &text])?.refused(1, &["another realm"])?;
        jones.cli(&["grant", "accept", &text, "--name", "smith"])?.good()?;
        is_attached(&jones, "smith")?;
        let kept = meter_is_exact(&smith, "jones")?;
        let id = smith.ask::<GrantStatus>(&["grant", "show", "jones"])?.id;
        let folder = smith.home().join("net/lent").join(&id);
        ensure!(folder.is_dir(), "it lies elsewhere than in {}", folder.display());
        for file in files(&folder)? {
            use std::os::unix::fs::PermissionsExt as _;
            let Some(found) = if_there(std::fs::metadata(&file))? else { continue };
            let mode = found.permissions().mode();
            ensure!(mode.trailing_zeros() >= 6, "{} has mode {mode:o}", file.display());
        }
        // Given back by whoever borrows: what lay there is removed by its owner.
        jones.cli(&["--yes", "backend", "detach", "smith", "--force"])?.good()?;
        until(30, "its owner has removed it", || {
            let left = lying(&smith)?;
            ensure!(left.len() < 2, "{left:?} of {kept} bytes are left");
            Ok(())
        })?;
        jones.cli(&["grant", "revoke", "smith"])?.good().map(drop)
    })
}
