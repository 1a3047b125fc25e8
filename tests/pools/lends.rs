//! What all have signed is lent without anybody's typing: offers go with the papers, room comes to be where copies lie, and
//! nothing ends by itself.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use freehold_api::{GrantStanding, GrantStatus, NodeStatus, PoolStatus, RoomPhase};
use freehold_harness::{Node, Ready, Story, eventually, story, until};

use crate::{POOL, member, shown, text, typed};

const MIB: u64 = 1 << 20;
const WITHIN: u64 = 150;

/// Each has a place of its own, gives as much as it uses, and leaves without notice.
fn signed(attic: &Node<'_>, den: &Node<'_>, loft: &Node<'_>) -> Result<()> {
    let row = ["--give", "64MiB", "--use", "64MiB", "--place"];
    let new = [&["new", POOL], &row[..], &["berlin", "--notice", "0d", "--wind-down", "3d"]].concat();
    let drafted = typed(attic, &new)?;
    let joined = typed(den, &[&["join", text(&drafted)?], &row[..], &["paris"]].concat())?;
    let joined = typed(loft, &[&["join", text(&joined)?], &row[..], &["rome"]].concat())?;
    let signed = typed(attic, &["sign", text(&joined)?])?;
    let signed = typed(den, &["sign", text(&signed)?])?;
    for node in [attic, den] {
        ensure!(
            node.ask::<Vec<GrantStatus>>(&["grant", "list"])?.is_empty(),
            "something is lent before it counts"
        );
    }
    // The last one to sign offers at once, so that its papers hold both.
    let signed = typed(loft, &["sign", text(&signed)?])?;
    ensure!(lent(&signed.pool, "The Lees", "The Smiths") == Some(32 * MIB), "{:?}", signed.pool);
    let one = typed(attic, &["papers", "import", text(&signed)?])?;
    ensure!(
        lent(&one.pool, "The Lees", "The Smiths") == Some(32 * MIB),
        "it was not accepted: {:?}",
        one.pool
    );
    // The rest comes by itself, once one of the two others has handed theirs on.
    let handed = typed(attic, &["papers", "export", POOL])?;
    typed(den, &["papers", "import", text(&handed)?]).map(drop)
}

fn lent(pool: &PoolStatus, lender: &str, borrower: &str) -> Option<u64> {
    let one = pool.lending.iter().find(|one| one.lender == lender && one.borrower == borrower);
    one.and_then(|one| one.granted)
}

/// What this realm has part in is lent as the charter says.
fn is_lent(node: &Node<'_>) -> Result<()> {
    until(WITHIN, &format!("all is lent at {}", node.host().name()), || {
        let pool = shown(node)?;
        let mine: Vec<_> = pool.lending.iter().filter(|one| one.granted.is_some()).collect();
        let are_lent = mine.iter().all(|one| one.granted == Some(one.bytes) && one.trouble.is_none());
        ensure!(mine.len() == 4 && are_lent && pool.next.is_empty() && pool.by_hand.is_empty(), "{pool:?}");
        Ok(())
    })
}

/// Each other realm is a place for copies, in a zone of its own.
fn are_places(node: &Node<'_>, places: &[&str; 2]) -> Result<()> {
    until(WITHIN, &format!("there are places for copies at {}", node.host().name()), || {
        let nodes: Vec<NodeStatus> = node.ask(&["node", "list"])?;
        let mut zones: Vec<&str> = nodes.iter().filter_map(|node| node.place.zone.as_deref()).collect();
        zones.sort_unstable();
        ensure!(zones == places, "{nodes:?}");
        Ok(())
    })
}

fn kept_and_read(story: &Story, node: &Node<'_>, ready: &Ready) -> Result<()> {
    let path = story.file("album", 5 << 20, 7)?;
    node.cli(&["bucket", "create", "photos", "--copies", "3"])?.good()?;
    let typed = path.to_string_lossy().into_owned();
    node.s3(ready)?.aws(&["s3", "cp", &typed, "s3://photos/album"])?.good()?;
    node.protected_within(WITHIN, "photos", 1)?;
    let grants: Vec<GrantStatus> = node.ask(&["grant", "list"])?;
    let rooms: Vec<_> = grants.iter().filter_map(|grant| grant.room.as_ref()).collect();
    ensure!(rooms.iter().all(|room| room.wind_down_days == 3 && room.bytes == 32 * MIB), "{grants:?}");
    // Everybody hears what lies where, by the meters.
    until(WITHIN, "the balance is told", || {
        let pool = shown(node)?;
        let of = |name: &str| member(&pool, name).map(|member| member.balance);
        let keeps = |name: &str| Ok::<_, anyhow::Error>(of(name)?.is_some_and(|one| one.keeps >= 5 * MIB));
        ensure!(keeps("The Joneses")? && keeps("The Lees")?, "{pool:?}");
        ensure!(of("The Smiths")?.is_some_and(|one| one.uses_now >= 10 * MIB), "{pool:?}");
        Ok(())
    })?;
    // Its own disk is gone: it comes back from the pool.
    lose_the_disk(node)?;
    let back = node.host().folder().join("back");
    eventually(WITHIN, "it is read from the others", || same(node, ready, &path, &back))
}

fn lose_the_disk(node: &Node<'_>) -> Result<()> {
    let mut folders = vec![node.home().join("depot")];
    let mut lost = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                std::fs::remove_file(&path)?;
                lost += 1;
            }
        }
    }
    ensure!(lost > 0, "nothing lay there");
    Ok(())
}

fn same(node: &Node<'_>, ready: &Ready, original: &Path, back: &Path) -> Result<bool> {
    let copy = back.to_string_lossy().into_owned();
    let came = node.s3(ready)?.aws(&["s3", "cp", "s3://photos/album", &copy])?.good().is_ok();
    Ok(came && std::fs::read(back)? == std::fs::read(original)?)
}

/// Two are left: each gives the other all that it may use, once what stands has been ended. It is read until it is over.
fn grows(attic: &Node<'_>, den: &Node<'_>) -> Result<()> {
    ensure!(lent(&shown(attic)?, "The Smiths", "The Joneses") == Some(32 * MIB), "{:?}", shown(attic)?);
    attic.cli(&["grant", "revoke", "The Joneses"])?.good()?;
    until(2 * WITHIN, "the new amount is offered, and accepted though what was ended is still read", || {
        let pools = [shown(attic)?, shown(den)?];
        let are_lent = |pool: &PoolStatus| lent(pool, "The Smiths", "The Joneses") == Some(64 * MIB);
        ensure!(pools.iter().all(are_lent), "{pools:?}");
        Ok(())
    })?;
    let grants: Vec<GrantStatus> = den.ask(&["grant", "list"])?;
    let ended =
        |grant: &&GrantStatus| grant.room.as_ref().is_some_and(|room| room.phase == RoomPhase::WindingDown);
    ensure!(grants.iter().filter(ended).count() == 1, "{grants:?}");
    Ok(())
}

#[test]
fn what_all_have_signed_is_lent_by_itself() -> Result<()> {
    story("what_all_have_signed_is_lent", |story: &Story| {
        let hosts = [story.host("attic")?, story.host("den")?, story.host("loft")?];
        let [mut attic, mut den, mut loft] = [hosts[0].node()?, hosts[1].node()?, hosts[2].node()?];
        let ready = attic.up(&["--name", "The Smiths"])?;
        den.up(&["--name", "The Joneses"])?;
        loft.up(&["--name", "The Lees"])?;
        signed(&attic, &den, &loft)?;
        for (node, places) in
            [(&attic, ["paris", "rome"]), (&den, ["berlin", "rome"]), (&loft, ["berlin", "paris"])]
        {
            is_lent(node)?;
            are_places(node, &places)?;
        }
        kept_and_read(story, &attic, &ready)?;

        // Who leaves is free at once here. What lies there stays until somebody ends it.
        typed(&loft, &["leave", POOL])?;
        until(WITHIN, "it is said what to end, and how", || {
            let pool = shown(&attic)?;
            let says = |line: &String| line.contains("charter says 0 bytes: freehold grant revoke");
            ensure!(pool.next.iter().any(says), "{pool:?}");
            Ok(())
        })?;
        let pool = shown(&attic)?;
        ensure!(member(&pool, "The Lees")?.leaves_ms.is_some(), "{pool:?}");
        let grants: Vec<GrantStatus> = attic.ask(&["grant", "list"])?;
        ensure!(
            grants.len() == 4 && grants.iter().all(|one| one.standing == GrantStanding::Holds),
            "{grants:?}"
        );
        let lees = pool.next.iter().find(|line| line.contains("lends The Lees")).context("how it ends")?;
        let grant = lees.split("freehold grant revoke ").nth(1);
        let grant = grant.context("what is typed")?.trim_matches('\'').to_owned();
        attic.cli(&["grant", "revoke", &grant])?.good()?;
        let says = |line: &String| line.contains("The Lees");
        ensure!(!shown(&attic)?.next.iter().any(says), "{:?}", shown(&attic)?);
        grows(&attic, &den)
    })
}

#[test]
fn what_cannot_be_lent_is_said() -> Result<()> {
    story("what_cannot_be_lent_is_said", |story: &Story| {
        let hosts = [story.host("attic")?, story.host("den")?];
        let [mut attic, mut den] = [hosts[0].node()?, hosts[1].node()?];
        attic.up(&["--name", "The Smiths"])?;
        den.up(&["--name", "The Joneses"])?;
        let drafted = typed(&attic, &["new", POOL, "--give", "900TiB", "--use", "8MiB"])?;
        let joined = typed(&den, &["join", text(&drafted)?, "--give", "8MiB", "--use", "900TiB"])?;
        let signed = typed(&attic, &["sign", text(&joined)?])?;
        let signed = typed(&den, &["sign", text(&signed)?])?;
        let held = typed(&attic, &["papers", "import", text(&signed)?])?;
        let trouble = held.pool.lending.iter().find_map(|one| one.trouble.clone());
        ensure!(
            trouble.is_some_and(|why| why.contains("are free on this machine's disk")),
            "{:?}",
            held.pool
        );
        let read = attic.cli(&["pool", "show", POOL])?.good()?.out;
        ensure!(
            read.contains("NOT LENT") && read.contains("The Joneses lends The Smiths 8.3 MB: lent"),
            "{read}"
        );
        Ok(())
    })
}
