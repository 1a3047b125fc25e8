//! The realm's names, asked with dig on each machine.

use anyhow::{Context, Result, ensure};
use freehold_harness::{Host, Node, eventually, story, until};

use super::{house, in_net};

/// What dig reads: one line an answer.
fn dig(host: &Host, server: &str, question: &[&str]) -> Result<String> {
    let (ip, port) = server.rsplit_once(':').context("an address with a port")?;
    let at = format!("@{}", ip.trim_matches(['[', ']']));
    let fixed = [at.as_str(), "-p", port, "+short", "+tries=1", "+time=2"];
    Ok(host.run("dig", &[&fixed, question].concat())?.good()?.out.trim().to_owned())
}

/// Where a machine answers for names.
fn server(node: &Node<'_>) -> Result<String> {
    node.status()?.endpoints.names.first().cloned().context("it answers for no names")
}

#[test]
fn every_machine_answers_for_the_realms_names_also_offline() -> Result<()> {
    story("every_machine_answers_for_the_realms_names", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut other, mut laptop) = (alice.node()?, bob.node()?, carol.node()?);
        house(&mut one, &mut other, &mut laptop)?;
        one.cli(&["net", "node", "bob", "--ipv4", "auto"])?.good()?;
        one.cli(&["net", "service", "add", "wiki", "--node", "bob", "--port", "80"])?.good()?;
        let address = in_net(&one, "bob")?.address;
        let at = server(&laptop)?;
        let answers = |question: &[&str], expected: &str| {
            eventually(30, &format!("{question:?} is {expected:?}"), || {
                Ok(dig(&carol, &at, question)? == expected)
            })
        };
        answers(&["AAAA", "bob.the-smiths.internal"], &address)?;
        answers(&["-x", &address], "bob.the-smiths.internal.")?;
        let v4 = in_net(&one, "bob")?.ipv4.context("it was given one")?;
        answers(&["A", "BOB.The-Smiths.Internal", "+tcp"], &v4)?;
        answers(&["-x", &v4], "bob.the-smiths.internal.")?;
        eventually(30, "the service has an address", || {
            Ok(dig(&carol, &at, &["AAAA", "wiki.the-smiths.internal"])?.starts_with("fd"))
        })?;

        one.cli(&["node", "rename", "bob", "The NAS"])?.good()?;
        answers(&["AAAA", "the-nas.the-smiths.internal"], &address)?;
        answers(&["AAAA", "bob.the-smiths.internal"], "")?;
        carol.unplug()?;
        answers(&["AAAA", "the-nas.the-smiths.internal"], &address)?;
        carol.plug_in()?;
        one.cli(&["--yes", "node", "suspend", "The NAS"])?.good()?;
        answers(&["AAAA", "the-nas.the-smiths.internal"], "")
    })
}

/// Waits until a machine says that it answers for names there.
fn answers_at(node: &Node<'_>, at: &str) -> Result<()> {
    until(30, &format!("it answers at {at}"), || {
        let names = node.status()?.endpoints.names;
        ensure!(names.iter().any(|name| name == at), "{names:?}");
        Ok(())
    })
}

/// A gateway answers members' laptops, at its own address in the network.
#[test]
fn a_laptop_asks_a_gateway_through_the_network_and_nobody_else() -> Result<()> {
    story("a_laptop_asks_a_gateway_through_the_network", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut other, mut laptop) = (alice.node()?, bob.node()?, carol.node()?);
        house(&mut one, &mut other, &mut laptop)?;
        let (gateway, address) = (in_net(&laptop, "alice")?.address, in_net(&laptop, "bob")?.address);
        let at = format!("[{gateway}]:53");
        answers_at(&one, &at)?;
        let question = ["AAAA", "bob.the-smiths.internal"];
        eventually(30, "the laptop hears the name", || {
            Ok(dig(&carol, &at, &question).is_ok_and(|said| said == address))
        })?;
        let own = in_net(&laptop, "pad")?.address;
        let own = format!("[{own}]:53");
        answers_at(&laptop, &own)?;
        eventually(30, "the laptop's own answers", || Ok(dig(&carol, &own, &question)? == address))?;
        ensure!(dig(&bob, &own, &question).is_err(), "a laptop is asked by others");
        Ok(())
    })
}

#[test]
fn a_machine_answers_for_its_house_where_it_is_told_to() -> Result<()> {
    story("a_machine_answers_for_its_house", |story| {
        let (alice, bob) = (story.host("alice")?, story.host("bob")?);
        let mut one = alice.node()?;
        let at = format!("{}:53", alice.address());
        one.up(&["--name", "smith", "--dns", &at])?;
        let me = one.status()?.this_node;
        one.cli(&["node", "rename", &me, "alice"])?.good()?;
        until(30, "it answers there", || {
            let there = server(&one)?;
            ensure!(there == at, "it answers at {there}");
            Ok(())
        })?;
        let address = in_net(&one, "alice")?.address;
        eventually(30, "the house hears the name", || {
            Ok(dig(&bob, &at, &["AAAA", "alice.smith.internal"])? == address)
        })?;
        // What means something only in a house is asked of nobody.
        let told = bob.run("dig", &[&format!("@{}", alice.address()), "printer.local"])?.good()?.out;
        ensure!(told.contains("NXDOMAIN"), "{told}");
        one.stop()?;
        let odd = ["up", "--dns-upstream", "dns.example"];
        one.cli(&odd)?.refused(2, &["dns.example", "tls://"])?;
        Ok(())
    })
}
