//! Realms lend each other services over the network: as far as the grant says, for as long as both say so, and no
//! further.
#![cfg(test)]

mod around;
mod relayed;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use freehold_api::{Explanation, GrantOffered, GrantStanding, GrantStatus, NetService, RealmCard};
use freehold_harness::{Host, Node, eventually, story, until};

use around::{Flow, address, dig, found, grant, lend, reaches, serve};

/// How long what goes by a right goes on when that has ended.
const AT_ONCE: Duration = Duration::from_secs(4);
/// The same where another realm has to hear of it first.
const HEARD: Duration = Duration::from_secs(8);
const WIKI: u16 = 8080;
const OTHER: u16 = 8081;

/// The Smiths with a wiki on their server attic, and another machine, vps.
fn smiths(attic: &mut Node<'_>, vps: &mut Node<'_>) -> Result<NetService> {
    found(attic, "The Smiths", "attic")?;
    vps.join(&attic.invite(&["--roles", "gateway,relay"])?, "vps")?;
    eventually(30, "the smiths know each other", || Ok(attic.connections()? == 1))?;
    let port = WIKI.to_string();
    until(30, "there is a wiki", || {
        attic.ask(&["net", "service", "add", "wiki", "--node", "attic", "--port", &port])
    })
}

/// The Joneses with their server den, and a laptop, pad.
fn joneses(den: &mut Node<'_>, pad: &mut Node<'_>) -> Result<()> {
    found(den, "The Joneses", "den")?;
    pad.join(&den.invite(&["--laptop", "--device"])?, "pad")?;
    eventually(30, "the joneses know each other", || Ok(den.connections()? == 1))
}

fn explained(node: &Node<'_>, question: &[&str]) -> Result<bool> {
    let told: Explanation = node.ask(&[&["net", "policy", "explain"], question].concat())?;
    Ok(!told.answers.is_empty() && told.answers.iter().all(|answer| answer.allowed))
}

/// An offer is for one realm, and is read before it is accepted.
fn offers_are_for_whom_they_name(attic: &Node<'_>, den: &Node<'_>) -> Result<()> {
    let card: RealmCard = den.ask(&["grant", "card"])?;
    let offer = ["grant", "offer", "--to", &card.text, "--services", "wiki", "--until", "30d"];
    attic.cli(&[&offer[..], &["--dry-run"]].concat())?.good()?;
    ensure!(attic.ask::<Vec<GrantStatus>>(&["grant", "list"])?.is_empty(), "something was offered");
    let own: RealmCard = attic.ask(&["grant", "card"])?;
    attic.cli(&["grant", "offer", "--to", &own.text, "--services", "wiki"])?.refused(2, &["own"])?;
    attic
        .cli(&["grant", "offer", "--to", &card.text, "--services", "nothing"])?
        .refused(1, &["there is no"])?;
    let file = attic.host().folder().join("offer").to_string_lossy().into_owned();
    let named = ["--name", "jones", "--file", &file];
    let offered: GrantOffered = attic.ask(&[&offer[..], &named].concat())?;
    ensure!(offered.grant.name == "jones" && offered.grant.realm_name == "The Joneses", "{offered:?}");
    attic.cli(&[&offer[..], &["--name", "again"]].concat())?.refused(1, &["jones", "already"])?;
    attic.cli(&["grant", "accept", &offered.text])?.refused(1, &["another realm"])?;
    let mut wrong = offered.text.clone();
    wrong.truncate(wrong.len() - 3);
    den.cli(&["grant", "accept", &wrong])?.refused(2, &["not complete"])?;
    den.cli(&["grant", "accept", &file, "--dry-run"])?.good()?;
    ensure!(den.ask::<Vec<GrantStatus>>(&["grant", "list"])?.is_empty(), "something was accepted");
    den.cli(&["grant", "accept", &file, "--name", "smith"])?.good()?;
    den.cli(&["grant", "accept", &offered.text])?.refused(1, &["accepted already"]).map(drop)
}

/// What is lent is reached, and nothing else, in neither direction.
fn no_further(
    (attic, vps): (&Node<'_>, &Node<'_>),
    (den, pad): (&Node<'_>, &Node<'_>),
    wiki: &str,
) -> Result<()> {
    let (attics, vpss) = (address(attic, "attic")?, address(attic, "vps")?);
    let (dens, pads) = (address(den, "den")?, address(den, "pad")?);
    for from in [den.host(), pad.host()] {
        for at in [wiki, &attics, &vpss] {
            ensure!(!reaches(from, at, OTHER)?, "{} reaches {at}", from.name());
        }
    }
    for from in [attic.host(), vps.host()] {
        for at in [&dens, &pads] {
            ensure!(!reaches(from, at, OTHER)?, "{} reaches {at}", from.name());
        }
    }
    ensure!(explained(attic, &["grant:jones", "wiki"])?, "it is not told why");
    ensure!(!explained(attic, &["grant:jones", "attic", "tcp/22"])?, "it is told that it may");
    Ok(())
}

fn all_serve(hosts: &[&Host]) -> Result<Vec<around::Running>> {
    hosts.iter().map(|host| serve(host, OTHER)).collect()
}

#[test]
fn a_realm_lends_another_one_a_service_and_nothing_else() -> Result<()> {
    story("a_realm_lends_another_one_a_service", |story| {
        let (attic, vps) = (story.host("attic")?, story.host("vps")?);
        let (den, pad) = (story.host("den")?, story.host("pad")?);
        let (mut attic_node, mut vps_node) = (attic.node()?, vps.node()?);
        let (mut den_node, mut pad_node) = (den.node()?, pad.node()?);
        let wiki = smiths(&mut attic_node, &mut vps_node)?;
        joneses(&mut den_node, &mut pad_node)?;
        let _wiki = serve(&attic, WIKI)?;
        let _others = all_serve(&[&attic, &vps, &den, &pad])?;
        // Nothing is open before.
        ensure!(!reaches(&den, &wiki.address, WIKI)?, "it was open before");
        offers_are_for_whom_they_name(&attic_node, &den_node)?;

        // By the machine that signs, and by one that it signs for.
        for host in [&den, &pad] {
            eventually(60, "what is lent is reached", || reaches(host, &wiki.address, WIKI))?;
        }
        for node in [&den_node, &pad_node] {
            until(60, "it has a name", || {
                let told = dig(node, "wiki.the-smiths.internal")?;
                ensure!(told == wiki.address, "{told:?}");
                Ok(())
            })?;
        }
        no_further((&attic_node, &vps_node), (&den_node, &pad_node), &wiki.address)?;
        until(30, "both sides see who comes", || {
            let (lent, borrowed) = (grant(&attic_node, "jones")?, grant(&den_node, "smith")?);
            ensure!(lent.machines.len() == 2 && borrowed.services.len() == 1, "{lent:?} {borrowed:?}");
            Ok(())
        })?;
        // What it has signed it takes back although it was restarted since.
        den_node.stop()?;
        den_node.resume()?;
        eventually(60, "what is lent is reached again", || reaches(&den, &wiki.address, WIKI))?;
        ends(&attic, (&attic_node, &den_node), (&den, &pad), &wiki.address)
    })
}

/// Who loses their rights at home loses them here, and a grant that ends ends what goes by it.
fn ends(
    attic: &Host,
    (lender, borrower): (&Node<'_>, &Node<'_>),
    (den, pad): (&Host, &Host),
    wiki: &str,
) -> Result<()> {
    let (server, laptop) = (Flow::begin(den, wiki, WIKI)?, Flow::begin(pad, wiki, WIKI)?);
    borrower.cli(&["--yes", "node", "suspend", "pad"])?.good()?;
    let begun = Instant::now();
    let took = laptop.last(begun)?;
    ensure!(took < HEARD, "a machine that was suspended at home went on for {took:?}");
    println!("a machine that lost its rights in its own realm: cut after {took:?}");
    // It might have shut itself out: the lender was told, and counts it no more.
    until(30, "the lender has heard of it", || {
        let machines = grant(lender, "jones")?.machines;
        ensure!(machines.len() == 1, "{machines:?}");
        Ok(())
    })?;
    ensure!(server.goes_on()?, "another one was cut with it");
    ensure!(!reaches(pad, wiki, WIKI)?, "it begins anew");

    lender.cli(&["grant", "revoke", "jones", "--dry-run"])?.good()?;
    ensure!(server.goes_on()?, "it was only asked");
    lender.cli(&["grant", "revoke", "jones"])?.good()?;
    let begun = Instant::now();
    let took = server.last(begun)?;
    ensure!(took < AT_ONCE, "what was revoked went on for {took:?}");
    println!("a grant that ended: cut after {took:?}");
    ensure!(!reaches(den, wiki, WIKI)?, "it begins anew");
    until(40, "the other side is told", || {
        let why = grant(borrower, "smith")?.trouble.context("nothing is wrong")?;
        ensure!(why.contains("the grant was ended"), "{why}");
        Ok(())
    })?;
    ensure!(grant(lender, "jones")?.standing == GrantStanding::Ended);
    // The wiki is there as before for those at home.
    eventually(20, "the wiki is there", || reaches(attic, wiki, WIKI))
}

#[test]
fn a_grant_ends_by_itself_and_by_whoever_borrows() -> Result<()> {
    story("a_grant_ends_by_itself", |story| {
        let (attic, vps, den) = (story.host("attic")?, story.host("vps")?, story.host("den")?);
        let (mut lender, mut gateway, mut borrower) = (attic.node()?, vps.node()?, den.node()?);
        let wiki = smiths(&mut lender, &mut gateway)?;
        found(&mut borrower, "The Joneses", "den")?;
        let _wiki = serve(&attic, WIKI)?;
        let services = ["--services", "wiki"];
        lend((&lender, "smith"), (&borrower, "jones"), &services)?;
        eventually(60, "what is lent is reached", || reaches(&den, &wiki.address, WIKI))?;
        // After a restart of either side it goes on.
        for node in [&mut lender, &mut borrower] {
            node.stop()?;
            node.resume()?;
        }
        eventually(60, "it is reached again", || reaches(&den, &wiki.address, WIKI))?;
        // Who borrows gives it back.
        borrower.cli(&["grant", "revoke", "smith"])?.good()?;
        eventually(60, "it is given back", || Ok(!reaches(&den, &wiki.address, WIKI)?))?;
        eventually(30, "its name is gone", || Ok(dig(&borrower, "wiki.the-smiths.internal")?.is_empty()))?;
        lender.cli(&["grant", "revoke", "jones"])?.good()?;

        let until_soon = [&services[..], &["--until", "1h"]].concat();
        lend((&lender, "smith again"), (&borrower, "jones again"), &until_soon)?;
        eventually(60, "what is lent is reached", || reaches(&den, &wiki.address, WIKI))?;
        // An hour later, as the lender's clock says.
        lender.stop()?;
        lender.set_clock(Some("+61m"));
        lender.resume()?;
        until(60, "it is over", || {
            let standing = grant(&lender, "jones again")?.standing;
            ensure!(standing == GrantStanding::Lapsed, "{standing:?}");
            Ok(())
        })?;
        eventually(30, "it does not go on", || Ok(!reaches(&den, &wiki.address, WIKI)?))
    })
}
