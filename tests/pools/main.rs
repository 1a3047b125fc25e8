//! Three realms found a pool by papers that they hand to each other, never all of them on at one time: nobody is bound by
//! what they have not signed, everybody works out the same, and who says two things is seen.
#![cfg(test)]

mod lends;
mod travels;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use freehold_api::{PoolHanded, PoolMember, PoolStatus};
use freehold_harness::{Node, Story, story};

const POOL: &str = "elm street";
const GIB: u64 = 1 << 30;

/// A realm on a machine, which is switched off again.
fn realm(node: &mut Node<'_>, name: &str) -> Result<()> {
    node.up(&["--name", name])?;
    node.stop()
}

/// What is typed on a machine that is on for as long as that takes; the others are off.
fn alone<T>(node: &mut Node<'_>, work: impl FnOnce(&Node<'_>) -> Result<T>) -> Result<T> {
    node.resume()?;
    let done = work(node)?;
    node.stop()?;
    Ok(done)
}

fn typed(node: &Node<'_>, arguments: &[&str]) -> Result<PoolHanded> {
    node.ask(&[&["pool"], arguments].concat())
}

fn text(handed: &PoolHanded) -> Result<&str> {
    handed.papers.as_deref().context("no papers were handed out")
}

fn shown(node: &Node<'_>) -> Result<PoolStatus> {
    node.ask(&["pool", "show", POOL])
}

fn member<'a>(pool: &'a PoolStatus, name: &str) -> Result<&'a PoolMember> {
    pool.members.iter().find(|member| member.name == name).with_context(|| format!("no {name}: {pool:?}"))
}

/// The file in which a machine keeps the pool's papers.
fn file(node: &Node<'_>, pool: &PoolStatus) -> PathBuf {
    node.home().join("pools").join(&pool.id)
}

/// From the first word to the last signature, each handing on what the one before handed over.
fn founded(attic: &mut Node<'_>, den: &mut Node<'_>, loft: &mut Node<'_>) -> Result<String> {
    let new = ["new", POOL, "--give", "600GiB", "--use", "300GiB", "--place", "berlin", "--notice", "14d"];
    let drafted = alone(attic, |node| {
        typed(node, &[&new[..], &["--dry-run"]].concat())?;
        ensure!(node.ask::<Vec<PoolStatus>>(&["pool", "list"])?.is_empty(), "something was founded on trial");
        let drafted = typed(node, &new)?;
        node.cli(&[&["pool"], &new[..]].concat())?.refused(1, &["already"])?;
        // One alone is no pool.
        node.cli(&["pool", "sign", POOL])?.refused(1, &["two realms"])?;
        Ok(drafted)
    })?;
    let joined = alone(den, |node| {
        let mut wrong = text(&drafted)?.to_owned();
        wrong.truncate(wrong.len() - 3);
        let row = ["--give", "600GiB", "--use", "300GiB", "--place", "paris"];
        node.cli(&[&["pool", "join", &wrong], &row[..]].concat())?.refused(2, &["not complete"])?;
        let joined = typed(node, &[&["join", text(&drafted)?], &row[..]].concat())?;
        node.cli(&["pool", "sign", POOL])?.refused(1, &["nothing waits"])?;
        Ok(joined)
    })?;
    let joined = alone(loft, |node| {
        typed(node, &["join", text(&joined)?, "--give", "600GiB", "--use", "300GiB", "--place", " Berlin"])
    })?;
    let signed = alone(attic, |node| {
        let read = typed(node, &["sign", text(&joined)?, "--dry-run"])?;
        ensure!(read.papers.is_none() && shown(node)?.members.len() == 1, "something was signed on trial");
        let signed = typed(node, &["sign", text(&joined)?])?;
        let [waits] = signed.pool.proposals.as_slice() else { anyhow::bail!("{signed:?}") };
        ensure!(waits.missing.len() == 2 && waits.signed == ["The Smiths"], "{waits:?}");
        node.cli(&["pool", "leave", POOL])?.refused(1, &["signed it"])?;
        Ok(signed)
    })?;
    let signed = alone(den, |node| {
        let signed = typed(node, &["sign", text(&signed)?])?;
        ensure!(!signed.pool.begun, "it has begun without one");
        Ok(signed)
    })?;
    let signed = alone(loft, |node| typed(node, &["sign", text(&signed)?]))?;
    ensure!(signed.pool.begun && signed.pool.next.is_empty(), "{:?}", signed.pool);
    Ok(text(&signed)?.to_owned())
}

/// Everybody who has the papers works out the same.
fn agree(nodes: &[&PoolStatus]) -> Result<()> {
    let first = nodes.first().context("somebody")?;
    // What of it is lent, each knows of its own.
    let lending = |pool: &PoolStatus| -> Vec<(String, String, u64)> {
        pool.lending.iter().map(|one| (one.lender.clone(), one.borrower.clone(), one.bytes)).collect()
    };
    for other in nodes {
        ensure!(lending(other) == lending(first) && other.id == first.id, "{first:?} {other:?}");
    }
    for name in ["The Smiths", "The Joneses", "The Lees"] {
        let one = member(first, name)?;
        ensure!(one.has == 300 * GIB && one.shared_out <= 600 * GIB, "{one:?}");
    }
    // The Smiths and the Lees stand in one place: both lend to the Joneses and have theirs there.
    let together =
        first.lending.iter().any(|one| one.lender != "The Joneses" && one.borrower != "The Joneses");
    ensure!(!together, "{:?}", first.lending);
    Ok(())
}

#[test]
fn three_realms_that_never_meet_found_a_pool_and_change_it() -> Result<()> {
    story("three_realms_found_a_pool", |story: &Story| {
        let hosts = (story.host("attic")?, story.host("den")?, story.host("loft")?);
        let (mut attic, mut den, mut loft) = (hosts.0.node()?, hosts.1.node()?, hosts.2.node()?);
        realm(&mut attic, "The Smiths")?;
        realm(&mut den, "The Joneses")?;
        realm(&mut loft, "The Lees")?;
        let papers = founded(&mut attic, &mut den, &mut loft)?;

        // By a file, twice, and over a restart.
        let all = story.folder().join("papers");
        std::io::Write::write_all(&mut std::fs::File::create(&all)?, papers.as_bytes())?;
        let all = all.to_string_lossy().into_owned();
        let first = alone(&mut attic, |node| {
            node.cli(&["pool", "papers", "import", &all])?.good()?;
            node.cli(&["pool", "papers", "import", &papers, &all])?.good()?;
            shown(node)
        })?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&file(&attic, &first).metadata()?.permissions());
        ensure!(mode & 0o777 == 0o600, "others may read them: {mode:o}");
        let second = alone(&mut den, |node| {
            node.cli(&["pool", "papers", "import", &all])?.good()?;
            shown(node)
        })?;
        let third = alone(&mut loft, shown)?;
        agree(&[&first, &second, &third])?;

        // A change: two of three decide, and whoever is bound by it.
        let more = alone(&mut den, |node| typed(node, &["change", POOL, "--give", "900GiB"]))?;
        ensure!(member(&more.pool, "The Joneses")?.share.gives == 600 * GIB, "one decided alone");
        let more = alone(&mut loft, |node| typed(node, &["sign", text(&more)?]))?;
        ensure!(member(&more.pool, "The Joneses")?.share.gives == 900 * GIB, "{:?}", more.pool);
        // Nobody speaks for the Lees.
        alone(&mut attic, |node| {
            node.cli(&["pool", "papers", "import", text(&more)?])?.good()?;
            node.cli(&["pool", "change", POOL, "--out", "nobody"])?.refused(1, &["nobody"])?;
            Ok(())
        })?;

        // Who leaves needs nobody; the others see until when they are bound.
        let left = alone(&mut loft, |node| {
            typed(node, &["leave", POOL, "--dry-run"])?;
            ensure!(member(&shown(node)?, "The Lees")?.leaves_ms.is_none(), "it left on trial");
            let left = typed(node, &["leave", POOL])?;
            node.cli(&["pool", "leave", POOL])?.refused(1, &["bound until"])?;
            Ok(left)
        })?;
        let seen = alone(&mut den, |node| {
            node.cli(&["pool", "papers", "import", text(&left)?, text(&more)?])?.good()?;
            shown(node)
        })?;
        let lees = member(&seen, "The Lees")?;
        ensure!(lees.leaves_ms.is_some() && lees.has == 0 && lees.shared_out == 0, "{lees:?}");
        Ok(())
    })
}

#[test]
fn who_signs_two_things_is_seen() -> Result<()> {
    story("who_signs_two_things_is_seen", |story: &Story| {
        let hosts = (story.host("attic")?, story.host("den")?, story.host("loft")?);
        let (mut attic, mut den, mut loft) = (hosts.0.node()?, hosts.1.node()?, hosts.2.node()?);
        realm(&mut attic, "The Smiths")?;
        realm(&mut den, "The Joneses")?;
        realm(&mut loft, "The Lees")?;
        let papers = founded(&mut attic, &mut den, &mut loft)?;
        // Somebody puts back what their machine had before it signed, and signs something else.
        let (one, other) = alone(&mut attic, |node| {
            node.cli(&["pool", "papers", "import", &papers])?.good()?;
            let kept = file(node, &shown(node)?);
            let before = std::fs::read(&kept)?;
            let one = typed(node, &["change", POOL, "--give", "700GiB"])?;
            std::io::Write::write_all(&mut std::fs::File::create(&kept)?, &before)?;
            let other = typed(node, &["change", POOL, "--give", "1GiB"])?;
            Ok((one, other))
        })?;
        let seen = alone(&mut den, |node| {
            node.cli(&["pool", "papers", "import", text(&one)?, text(&other)?])?.good()?;
            node.cli(&["pool", "show", POOL])?.good()?;
            shown(node)
        })?;
        ensure!(member(&seen, "The Smiths")?.said_two_things, "{seen:?}");
        ensure!(!member(&seen, "The Joneses")?.said_two_things, "{seen:?}");
        // Two wait now, and it is said which is signed.
        alone(&mut den, |node| {
            node.cli(&["pool", "sign", POOL])?.refused(1, &["2 changes wait"])?;
            let id = seen.proposals.first().context("one that waits")?.id.clone();
            let signed = typed(node, &["sign", POOL, "--charter", &id])?;
            ensure!(signed.pool.proposals.is_empty(), "{:?}", signed.pool);
            ensure!(member(&signed.pool, "The Smiths")?.said_two_things, "the proof was lost");
            Ok(())
        })?;
        // What lies there damaged is told, and nothing is signed by it.
        let kept = file(&den, &seen);
        let mut damaged = std::fs::read(&kept)?;
        damaged.truncate(damaged.len() / 2);
        std::io::Write::write_all(&mut std::fs::File::create(&kept)?, &damaged)?;
        alone(&mut den, |node| {
            node.cli(&["pool", "list"])?.refused(1, &["not complete"])?;
            Ok(())
        })
    })
}
