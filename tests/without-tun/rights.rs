//! The rights that the system's unit leaves the program are enough, and no more are used.

use anyhow::{Result, ensure};
use freehold_api::PlaneState;
use freehold_harness::{eventually, story, until};

use super::{in_net, plane};

#[test]
fn with_the_rights_of_the_units_alone_there_is_a_network_device() -> Result<()> {
    story("with_the_rights_of_the_units_alone", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let (mut one, mut other) = (alice.node()?, bob.node()?);
        // `CapabilityBoundingSet=` of the unit that `up --install-service` writes.
        one.keep_rights(&["net_admin", "net_bind_service"]);
        other.keep_rights(&["net_admin", "net_bind_service"]);
        one.up(&["--name", "smith"])?;
        other.join(&one.invite(&[])?, "bob")?;
        for node in [&one, &other] {
            until(30, "its tunnel runs", || {
                let told = plane(node, "tunnel")?;
                ensure!(told.state == PlaneState::Running, "{told:?}");
                Ok(())
            })?;
        }
        ensure!(alice.run("ip", &["link", "show", "freehold0"])?.code == Some(0), "there is no device");
        eventually(30, "they ping each other", || {
            let at = in_net(&one, "bob")?.address;
            Ok(alice.run("ping", &["-c", "1", "-W", "2", &at])?.code == Some(0))
        })
    })
}
