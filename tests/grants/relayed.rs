//! Machines of a realm that cannot meet by themselves, and come together by relays that another realm lends.

use anyhow::{Result, ensure};
use freehold_api::Path;
use freehold_harness::{Node, Translation, eventually, story, until};

use crate::around::{found, grant, lend};

fn path(node: &Node<'_>, to: &str) -> Result<Option<Path>> {
    Ok(node.peer(to)?.path)
}

#[test]
fn machines_that_cannot_meet_come_together_by_a_relay_that_is_lent() -> Result<()> {
    story("machines_that_cannot_meet_come_together", |story| {
        let (attic, den) = (story.host("attic")?, story.host("den")?);
        let routers =
            [story.router_that(Translation::Symmetric)?, story.router_that(Translation::Symmetric)?];
        let (pad, loft) = (story.host_behind(&routers[0], "pad")?, story.host_behind(&routers[1], "loft")?);
        let (mut attic_node, mut den_node) = (attic.node()?, den.node()?);
        let (mut pad_node, mut loft_node) = (pad.node()?, loft.node()?);
        attic_node.up(&["--name", "The Smiths", "--relay", &format!("{}:3340", attic.address())])?;
        found(&mut den_node, "The Joneses", "den")?;
        pad_node.join(&den_node.invite(&[])?, "pad")?;
        loft_node.join(&den_node.invite(&[])?, "loft")?;
        eventually(60, "den is met by both", || Ok(den_node.connections()? == 2))?;
        until(60, "each knows of the other", || {
            for (node, other) in [(&pad_node, "loft"), (&loft_node, "pad")] {
                ensure!(!node.peer(other)?.connected, "they meet without a relay");
            }
            Ok(())
        })?;

        lend((&attic_node, "smith"), (&den_node, "jones"), &["--relay"])?;
        until(120, "they come together by the relay that is lent", || {
            for (node, other) in [(&pad_node, "loft"), (&loft_node, "pad")] {
                ensure!(path(node, other)? == Some(Path::Relay), "{:?}", node.peer(other)?);
            }
            Ok(())
        })?;
        ensure!(path(&den_node, "pad")? == Some(Path::Direct), "where there is a direct way it is taken");
        // Nothing else is open: no packets, no service, and a stranger is not let in by it.
        ensure!(grant(&pad_node, "smith")?.services.is_empty(), "something else is lent");

        attic_node.cli(&["grant", "revoke", "jones", "-y"])?.good()?;
        eventually(120, "it ends with the grant", || Ok(!pad_node.peer("loft")?.connected))?;
        ensure!(den_node.connections()? == 2, "what needs no relay goes on");
        Ok(())
    })
}
