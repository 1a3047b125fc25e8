//! Addresses, owners and what lies behind machines; and what is refused, with what to type.

use anyhow::{Result, ensure};
use freehold_api::{NetRule, NetService, NetStatus};
use freehold_harness::{Node, story, until};

use super::{explain, house, in_net};

/// Types it on a machine and wants it refused: as wrong usage, or by the state of things.
fn refused(node: &Node<'_>, typed: &str, code: i32, words: &[&str]) -> Result<()> {
    let all: Vec<&str> = ["net"].into_iter().chain(typed.split_whitespace()).collect();
    node.cli(&all)?.refused(code, words).map(drop)
}

#[test]
fn an_address_an_owner_and_a_network_behind_a_machine_are_known_everywhere() -> Result<()> {
    story("an_address_an_owner_and_a_network", |story| {
        let (alice, bob, carol) = (story.host("alice")?, story.host("bob")?, story.host("carol")?);
        let (mut one, mut other, mut laptop) = (alice.node()?, bob.node()?, carol.node()?);
        house(&mut one, &mut other, &mut laptop)?;
        let before: NetStatus = one.ask(&["net", "status"])?;
        ensure!(before.zone == "the-smiths.internal" && before.troubles.is_empty(), "{before:?}");
        let pad = in_net(&one, "pad")?;
        ensure!(pad.laptop && pad.owner.is_some() && pad.domain == "pad.the-smiths.internal", "{pad:?}");

        one.cli(&["net", "set", "--range", "10.20.0.0/16"])?.good()?;
        let try_out = ["net", "node", "bob", "--ipv4", "auto", "--route", "192.168.1.0/24", "--exit", "yes"];
        one.cli(&[&try_out[..], &["--dry-run"]].concat())?.good()?;
        ensure!(in_net(&one, "bob")?.ipv4.is_none(), "a dry run changed something");
        one.cli(&try_out)?.good()?;
        let now = until(30, "bob hears of its address", || {
            let now = in_net(&other, "bob")?;
            ensure!(now.ipv4.as_deref() == Some("10.20.0.1"), "{now:?}");
            Ok(now)
        })?;
        ensure!(now.exit && now.routes == ["192.168.1.0/24"] && !now.ingress, "{now:?}");

        // One's own laptop reaches everything on one's own machine, unless that is not wanted.
        let me = pad.owner.unwrap_or_default();
        one.cli(&["net", "node", "bob", "--owner", &me])?.good()?;
        let told = until(30, "bob is alice's", || {
            let told = explain(&laptop, &["pad", "bob", "5432"])?;
            ensure!(told.allowed, "{told:?}");
            Ok(told)
        })?;
        ensure!(told.said.is_some_and(|said| said.kind == "InvitationRedeem" || said.kind == "NodeNet"));
        one.cli(&["net", "set", "--strict", "yes"])?.good()?;
        until(30, "the realm is strict", || {
            let told = explain(&laptop, &["pad", "bob", "5432"])?;
            ensure!(!told.allowed, "{told:?}");
            Ok(())
        })?;
        let whole: NetStatus = one.ask(&["net", "status"])?;
        ensure!(whole.strict && whole.range == "10.20.0.0/16", "what was not said did not stay: {whole:?}");

        one.cli(&["net", "node", "bob", "--ipv4", "none", "--route", "none", "--exit", "no"])?.good()?;
        let bare = in_net(&one, "bob")?;
        ensure!(bare.ipv4.is_none() && bare.routes.is_empty() && !bare.exit, "{bare:?}");
        Ok(())
    })
}

#[test]
fn what_makes_no_sense_is_refused_with_what_to_type() -> Result<()> {
    story("what_makes_no_sense_is_refused", |story| {
        let alice = story.host("alice")?;
        let mut one = alice.node()?;
        one.up(&["--name", "smith"])?;
        let me = one.status()?.this_node;
        one.cli(&["node", "rename", &me, "alice"])?.good()?;
        let good = "service add wiki --node alice --port tcp/8080";
        one.cli(&["net", "service", "add", "wiki", "--node", "alice", "--port", "tcp/8080", "--dry-run"])?
            .good()?;
        ensure!(one.ask::<Vec<NetService>>(&["net", "service", "list"])?.is_empty(), "a dry run made it");
        one.cli(&[&["net"], &good.split(' ').collect::<Vec<_>>()[..]].concat())?.good()?;

        for (typed, code, words) in [
            (good, 1, ["called wiki already", "hint"]),
            ("service add alice --node alice --port 80", 1, ["called alice already", "hint"]),
            ("service add Wiki --node alice --port 80", 2, ["lower-case", "call it wiki"]),
            ("service add shop --node attic --port 80", 1, ["no node attic", "freehold node list"]),
            ("service add shop --node alice --port http", 2, ["\"http\" is no port", "tcp/8080"]),
            (
                "service add shop --node alice --port 80 --access friends",
                2,
                ["friends", "realm, lan or public"],
            ),
            ("service end shop", 1, ["no service shop", "freehold net service list"]),
            ("rule add r --from eve --to alice --port 22", 1, ["person", "eve"]),
            ("rule add r --from alice --to wiki --port 22", 2, ["own ports", "hint"]),
            ("rule add r --from alice --to alice", 2, ["at which ports", "hint"]),
            ("rule add r --from role:king --to alice --port 22", 2, ["no role", "operator"]),
            ("rule add r --from alice --to alice --port 22 --until yesterday", 2, ["no end", "30d"]),
            ("node alice", 2, ["none was", "--help"]),
            ("node alice --ipv4 192.0.2.1", 2, ["range of this realm", "--ipv4 auto"]),
            ("node alice --route 8.8.8.0/24", 2, ["not a private network", "192.168.0.0/16"]),
            ("node alice --owner eve", 1, ["no person eve", "freehold person list"]),
            ("set --range 10.0.0.0/31", 2, ["at most 30 bits", "hint"]),
            ("set", 2, ["none was", "--help"]),
            ("policy explain alice alice", 2, ["many ports", "freehold net policy explain"]),
            ("policy explain alice attic 22", 1, ["attic", "freehold node list"]),
            ("policy explain alice alice 22-23", 2, ["no single port", "53/udp"]),
            ("phone end 12345678", 1, ["no phone", "freehold net phone list"]),
        ] {
            refused(&one, typed, code, &words)?;
        }
        ensure!(one.ask::<Vec<NetRule>>(&["net", "rule", "list"])?.is_empty(), "a refused rule is there");

        // A person and their machine are often called alike.
        one.cli(&["person", "add", "alice"])?.good()?;
        let rule = "rule add r --from alice --to wiki";
        refused(&one, rule, 2, &["several things", "node:alice, person:alice"])?;
        one.cli(&["net", "rule", "add", "r", "--from", "person:alice", "--to", "wiki"])?.good()?;
        let rules: Vec<NetRule> = one.ask(&["net", "rule", "list"])?;
        ensure!(rules.len() == 1 && rules[0].from == ["person:alice"], "{rules:?}");
        Ok(())
    })
}
