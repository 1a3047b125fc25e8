//! Once the papers have been handed over, what is signed, changed and left comes to the others by itself: over the grants that
//! realms have with each other, also by way of one whom both know, and again after nobody heard anybody.

use anyhow::{Result, ensure};
use freehold_api::{GrantOffered, PoolStatus, RealmCard};
use freehold_harness::{Node, Story, story, until};

use crate::{POOL, member, shown, text, typed};

const GIB: u64 = 1 << 30;
/// Machines look for each other every half minute, and hand on papers every minute.
const WITHIN: u64 = 150;

/// One lends the other a little, by which they know each other.
fn befriend(lender: &Node<'_>, borrower: &Node<'_>, name: &str) -> Result<()> {
    let card: RealmCard = borrower.ask(&["grant", "card"])?;
    let offered: GrantOffered =
        lender.ask(&["grant", "offer", "--to", &card.text, "--name", name, "--storage", "8MiB"])?;
    borrower.cli(&["grant", "accept", &offered.text, "--name", "smith"])?.good().map(drop)
}

fn comes(node: &Node<'_>, what: &str, is_so: impl Fn(&PoolStatus) -> bool) -> Result<()> {
    until(WITHIN, &format!("at {}: {what}", node.host().name()), || {
        let pool = shown(node)?;
        ensure!(is_so(&pool), "{pool:?}");
        Ok(())
    })
}

fn gives(pool: &PoolStatus, name: &str, gib: u64) -> bool {
    pool.begun && member(pool, name).is_ok_and(|member| member.share.gives == gib * GIB)
}

/// The first words are handed over; signatures come by themselves, and nothing is signed by what comes.
fn begun(attic: &Node<'_>, den: &Node<'_>, loft: &Node<'_>) -> Result<()> {
    let row = ["--give", "600GiB", "--use", "300GiB", "--place"];
    let drafted = typed(attic, &[&["new", POOL], &row[..], &["berlin"]].concat())?;
    for (node, place) in [(den, "paris"), (loft, "rome")] {
        typed(node, &[&["join", text(&drafted)?], &row[..], &[place]].concat())?;
    }
    comes(attic, "both rows", |pool| pool.members.len() == 3)?;
    typed(attic, &["sign", POOL])?;
    for node in [den, loft] {
        comes(node, "a charter that waits", |pool| pool.proposals.iter().any(|one| one.is_mine_to_sign))?;
        ensure!(!shown(node)?.begun, "something was signed by what came");
        typed(node, &["sign", POOL])?;
    }
    for node in [attic, den, loft] {
        comes(node, "it has begun", |pool| gives(pool, "The Joneses", 600))?;
    }
    Ok(())
}

#[test]
fn papers_travel_by_themselves() -> Result<()> {
    story("papers_travel", |story: &Story| {
        let hosts = [story.host("attic")?, story.host("den")?, story.host("loft")?, story.host("barn")?];
        let [mut attic, mut den, mut loft, mut barn] =
            [hosts[0].node()?, hosts[1].node()?, hosts[2].node()?, hosts[3].node()?];
        attic.up(&["--name", "The Smiths"])?;
        den.up(&["--name", "The Joneses"])?;
        loft.up(&["--name", "The Lees"])?;
        barn.up(&["--name", "The Browns"])?;
        // The Joneses and the Lees know the Smiths, and not each other.
        befriend(&attic, &den, "jones")?;
        befriend(&attic, &loft, "lee")?;
        befriend(&attic, &barn, "brown")?;
        begun(&attic, &den, &loft)?;

        let by_hand = |node: &Node<'_>| Ok::<_, anyhow::Error>(shown(node)?.by_hand);
        ensure!(by_hand(&attic)?.is_empty(), "{:?}", shown(&attic)?);
        ensure!(by_hand(&den)? == ["The Lees"], "{:?}", shown(&den)?);

        // A stranger who has a grant, and got hold of the papers: it learns nothing more, and what it makes goes nowhere.
        let leaked = typed(&attic, &["papers", "export", POOL])?;
        typed(&barn, &["papers", "import", text(&leaked)?])?;
        let row = ["--give", "1GiB", "--use", "1GiB", "--place", "oslo"];
        typed(&barn, &[&["new", "trap"], &row[..]].concat())?;

        // Two decide while the third hears nobody.
        loft.host().unplug()?;
        typed(&den, &["change", POOL, "--give", "900GiB"])?;
        comes(&attic, "a change that waits", |pool| pool.proposals.iter().any(|one| one.is_mine_to_sign))?;
        typed(&attic, &["sign", POOL])?;
        comes(&den, "the change", |pool| gives(pool, "The Joneses", 900))?;
        ensure!(gives(&shown(&loft)?, "The Joneses", 600), "who is cut off has heard of it");
        loft.host().plug_in()?;
        comes(&loft, "the change, after it was cut off", |pool| gives(pool, "The Joneses", 900))?;

        // Who leaves tells nobody but by that; over a restart as well.
        attic.stop()?;
        typed(&loft, &["leave", POOL])?;
        attic.resume()?;
        for node in [&attic, &den] {
            comes(node, "who leaves", |pool| {
                member(pool, "The Lees").is_ok_and(|lees| lees.leaves_ms.is_some())
            })?;
        }
        ensure!(gives(&shown(&barn)?, "The Joneses", 600), "a stranger was handed papers");
        let known: Vec<PoolStatus> = attic.ask(&["pool", "list"])?;
        ensure!(known.len() == 1, "a stranger's pool was taken: {known:?}");
        Ok(())
    })
}
