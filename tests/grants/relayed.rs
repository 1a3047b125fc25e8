//! Two realms between which nothing goes but TCP to the relay of the one that lends.

use std::time::Instant;

use anyhow::{Result, ensure};
use freehold_api::{NetService, Path};
use freehold_harness::{Translation, eventually, story, until};

use crate::around::{Flow, found, lend, reaches, serve};
use crate::{AT_ONCE, WIKI};

#[test]
fn what_is_lent_is_reached_by_the_lenders_relay_where_no_udp_passes() -> Result<()> {
    story("what_is_lent_is_reached_by_the_lenders_relay", |story| {
        let vps = story.host("vps")?;
        let (hotel, works) = (story.router_that(Translation::NoUdp)?, story.router_that(Translation::NoUdp)?);
        let (attic, den) = (story.host_behind(&hotel, "attic")?, story.host_behind(&works, "den")?);
        let (mut relay, mut lender, mut borrower) = (vps.node()?, attic.node()?, den.node()?);
        relay.up(&["--name", "The Smiths", "--relay", &format!("{}:3340", vps.address())])?;
        let me = relay.status()?.this_node;
        relay.cli(&["node", "rename", &me, "vps"])?.good()?;
        lender.join(&relay.invite(&[])?, "attic")?;
        until(60, "they meet by the relay", || {
            ensure!(lender.peer("vps")?.path == Some(Path::Relay), "{:?}", lender.peer("vps")?);
            Ok(())
        })?;
        found(&mut borrower, "The Joneses", "den")?;
        let _wiki = serve(&attic, WIKI)?;
        let port = WIKI.to_string();
        let add = ["net", "service", "add", "wiki", "--node", "attic", "--port", &port];
        let wiki: NetService = until(30, "there is a wiki", || relay.ask(&add))?;
        until(30, "its machine has heard of it", || {
            let all: Vec<NetService> = lender.ask(&["net", "service", "list"])?;
            ensure!(all.iter().any(|one| one.name == "wiki"), "{all:?}");
            Ok(())
        })?;

        lend((&lender, "smith"), (&borrower, "jones"), &["--services", "wiki"])?;
        eventually(90, "what is lent is reached", || reaches(&den, &wiki.address, WIKI))?;
        let flow = Flow::begin(&den, &wiki.address, WIKI)?;
        ensure!(flow.goes_on()?, "nothing comes");
        let begun = Instant::now();
        lender.cli(&["grant", "revoke", "jones"])?.good()?;
        let took = flow.last(begun)?;
        ensure!(took < AT_ONCE, "what was revoked went on for {took:?}");
        ensure!(!reaches(&den, &wiki.address, WIKI)?, "it begins anew");
        Ok(())
    })
}
