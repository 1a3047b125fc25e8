//! At each step of lending room somebody does not hear somebody: the offer, its acceptance, the rights that are renewed,
//! the end. Three realms, of which one has two machines that do not hear each other either.

use std::path::Path;

use anyhow::{Result, ensure};
use freehold_api::RoomPhase;
use freehold_harness::{Host, Node, Ready, Story, eventually, story, until};

use crate::around::{
    MIB, OBJECTS, found, identical, is_attached, lose_the_disk, lying, offer, photos, room, upload,
};

/// What one of two homes may keep of what was offered.
const SHARE: u64 = 28 << 20;
/// A film fits into a share beside the photos, and a second one does not.
const FILM: usize = 14 * MIB;

/// Whoever was cut off is found out to be, and tried again, within a minute or two. A film of which much had come by then is
/// waited for five minutes, before it comes from or goes to somebody else.
const WITHIN: u64 = 420;

/// What lies there, which is never more than a share.
fn within_its_share(home: &Node<'_>) -> Result<u64> {
    let lies = lying(home)?.iter().map(|(_, len)| len).sum();
    ensure!(lies <= SHARE, "{lies} bytes lie at {}", home.host().name());
    Ok(lies)
}

fn film(story: &Story, borrower: &Node<'_>, ready: &Ready, name: &str, seed: u64) -> Result<()> {
    let path = story.file(name, FILM, seed)?.to_string_lossy().into_owned();
    borrower.s3(ready)?.aws(&["s3", "cp", &path, &format!("s3://films/{name}")])?.good().map(drop)
}

/// Offered while nobody hears the offering machine, accepted while only the lender's other machine is heard, which knows
/// of nothing; and used while that one is away.
fn agreed_in_parts(
    story: &Story,
    (attic, barn): (&Node<'_>, &Node<'_>),
    borrower: &Node<'_>,
    ready: &Ready,
) -> Result<()> {
    attic.host().unplug()?;
    let what = ["--storage", "56MiB", "--egress", "1GiB/month", "--wind-down", "2", "--on", "attic,barn"];
    let text = offer(attic, borrower, &what)?;
    borrower.cli(&["grant", "accept", &text, "--name", "smith"])?.good()?;
    until(WITHIN, "the other machine turns away what it has not heard of", || {
        let trouble = borrower.ask::<freehold_api::GrantStatus>(&["grant", "show", "smith"])?.trouble;
        ensure!(trouble.is_some(), "nothing is in the way");
        Ok(())
    })?;
    ensure!(lying(barn)?.is_empty(), "something lies with who has heard of nothing");
    barn.host().unplug()?;
    attic.host().plug_in()?;
    is_attached(borrower, "smith")?;
    borrower.protected_within(WITHIN, "photos", OBJECTS)?;
    film(story, borrower, ready, "first", 21)?;
    film(story, borrower, ready, "second", 22)?;
    until(WITHIN, "one of two films has found room", || {
        let films = borrower.bucket("films")?;
        ensure!(films.objects == 2 && films.waiting == 1, "{films:?}");
        Ok(())
    })?;
    within_its_share(attic)?;
    ensure!(lying(barn)?.is_empty(), "something lies where nobody came");
    barn.host().plug_in()?;
    borrower.protected_within(WITHIN, "films", 2)?;
    let (here, there) = (within_its_share(attic)?, within_its_share(barn)?);
    ensure!(here > 0 && there > 0, "{here} and {there} bytes");
    Ok(())
}

/// What renews rights is cut off for longer than they hold: nothing goes by them, and everything again once they are heard.
fn renewed_after_a_while(
    lenders: &mut [&mut Node<'_>],
    borrower: &mut Node<'_>,
    original: &Path,
) -> Result<Ready> {
    borrower.host().unplug()?;
    for node in &mut *lenders {
        node.stop()?;
        node.set_clock(Some("+26h"));
        node.resume()?;
    }
    borrower.stop()?;
    borrower.set_clock(Some("+26h"));
    let ready = borrower.resume()?;
    // Whoever lends knows of no machine that comes by it any more.
    for lender in &*lenders {
        let grants: Vec<freehold_api::GrantStatus> = lender.ask(&["grant", "list"])?;
        ensure!(grants.iter().all(|grant| grant.machines.is_empty()), "{grants:?}");
    }
    ensure!(identical(borrower, &ready, original)?, "what is here is not read");
    borrower.host().plug_in()?;
    lose_the_disk(borrower)?;
    eventually(WITHIN, "it is read from the friend", || identical(borrower, &ready, original))?;
    // What is read, and was not here, is here again.
    for name in ["first", "second"] {
        let copy = borrower.host().folder().join(name).to_string_lossy().into_owned();
        borrower.s3(&ready)?.aws(&["s3", "cp", &format!("s3://films/{name}"), &copy])?.good()?;
    }
    borrower.protected_within(WITHIN, "films", 2)?;
    borrower.protected_within(WITHIN, "photos", OBJECTS)?;
    Ok(ready)
}

/// Revoked on a machine that nobody hears: the other one goes on within its share until it does; what came meanwhile is
/// lost as little as what was there.
fn ended_in_parts(
    story: &Story,
    (attic, barn, loft): (&Node<'_>, &Node<'_>, &Node<'_>),
    borrower: &Node<'_>,
    ready: &Ready,
) -> Result<()> {
    attic.host().unplug()?;
    attic.cli(&["grant", "revoke", "jones"])?.good()?;
    film(story, borrower, ready, "late", 23)?;
    within_its_share(barn)?;
    ensure!(room(borrower, "smith")?.phase == RoomPhase::Open, "it has heard of what nobody told it");
    // Meanwhile a third realm lends room, which none of the Smiths has to know of.
    barn.host().unplug()?;
    let text = offer(loft, borrower, &["--storage", "128MiB", "--wind-down", "0"])?;
    borrower.cli(&["grant", "accept", &text, "--name", "brown"])?.good()?;
    is_attached(borrower, "brown")?;
    // Where a copy belongs does not depend on who is heard at the moment: the new one's place may be with the Smiths, and
    // then it waits until they are heard.
    attic.host().plug_in()?;
    barn.host().plug_in()?;
    for node in [attic, barn] {
        until(WITHIN, "it winds down", || {
            let (theirs, ours) = (room(node, "jones")?, room(borrower, "smith")?);
            let winds_down = [&theirs, &ours].iter().all(|room| room.phase == RoomPhase::WindingDown);
            ensure!(winds_down, "{theirs:?} {ours:?}");
            Ok(())
        })?;
    }
    within_its_share(attic)?;
    within_its_share(barn)?;
    until(WITHIN, "the third realm has a copy of everything", || {
        let kept = room(loft, "jones")?.kept;
        ensure!(kept.is_some_and(|kept| kept > (9 + 3 * 14) << 20), "{kept:?} bytes are there");
        Ok(())
    })?;
    borrower.protected_within(WITHIN, "photos", OBJECTS)?;
    borrower.protected_within(WITHIN, "films", 3)
}

#[test]
fn whoever_is_cut_off_at_whatever_step_nothing_is_lost_or_overspent() -> Result<()> {
    story("cut_off_at_each_step", |story| {
        let [attic, barn, den, loft] =
            [story.host("attic")?, story.host("barn")?, story.host("den")?, story.host("loft")?];
        let hosts: [&Host; 4] = [&attic, &barn, &den, &loft];
        let [mut one, mut other, mut jones, mut brown] =
            [hosts[0].node()?, hosts[1].node()?, hosts[2].node()?, hosts[3].node()?];
        found(&mut one, "The Smiths", "attic")?;
        other.join(&one.invite(&[])?, "barn")?;
        eventually(WITHIN, "the smiths know each other", || Ok(one.connections()? == 1))?;
        let ready = found(&mut jones, "The Joneses", "den")?;
        found(&mut brown, "The Browns", "loft")?;
        let original = photos(story)?;
        for bucket in ["photos", "films"] {
            jones.cli(&["bucket", "create", bucket, "--copies", "2"])?.good()?;
        }
        upload(&jones, &ready, &original)?;
        agreed_in_parts(story, (&one, &other), &jones, &ready)?;
        brown.stop()?;
        brown.set_clock(Some("+26h"));
        brown.resume()?;
        let ready = renewed_after_a_while(&mut [&mut one, &mut other], &mut jones, &original)?;
        ended_in_parts(story, (&one, &other, &brown), &jones, &ready)?;

        // Days later, one of the two that delete is cut off from the other.
        other.host().unplug()?;
        for node in [&mut one, &mut other, &mut jones, &mut brown] {
            node.stop()?;
            node.set_clock(Some("+75h"));
        }
        for node in [&mut one, &mut other, &mut brown] {
            node.resume()?;
        }
        let ready = jones.resume()?;
        until(WITHIN, "each deletes what it has by itself", || {
            let left = [lying(&one)?.len(), lying(&other)?.len()];
            ensure!(left == [0, 0], "{left:?} are left");
            Ok(())
        })?;
        other.host().plug_in()?;
        until(WITHIN, "both have signed for it", || {
            let receipts = room(&jones, "smith")?.receipts;
            ensure!(receipts.len() == 2 && receipts.iter().all(|receipt| receipt.bytes > 0), "{receipts:?}");
            Ok(())
        })?;
        lose_the_disk(&jones)?;
        eventually(WITHIN, "all is read from the third realm", || identical(&jones, &ready, &original))
    })
}
