//! A friend's gateway: a name of the internet leads through it to another realm's machine, whose key it never has.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use freehold_api::{GrantOffered, GrantStatus, RealmCard};
use freehold_harness::{Node, eventually, story, until};

use crate::around::{certified, curl, website};
use crate::world::World;

const ZONE: &str = "acme.test";
const FAR: &str = "198.51.100.7";

fn found(node: &mut Node<'_>, realm: &str, name: &str) -> Result<()> {
    node.up(&["--name", realm])?;
    let me = node.status()?.this_node;
    node.cli(&["node", "rename", &me, name])?.good().map(drop)
}

fn grant(node: &Node<'_>, name: &str) -> Result<GrantStatus> {
    node.ask(&["grant", "show", name])
}

/// What of a folder's files has this in it.
fn has(folder: &std::path::Path, word: &str) -> Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let found = if path.is_dir() { has(&path, word)? } else { path.to_string_lossy().contains(word) };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

#[test]
fn a_friends_gateway_leads_to_a_machine_whose_key_it_never_has() -> Result<()> {
    story("a_friends_gateway_leads_to_a_machine", |story| {
        let (vps, outside) = (story.host("vps")?, story.host("world")?);
        let street = story.router()?;
        let den = story.host_behind(&street, "den")?;
        let (mut friend, mut owner) = (vps.node()?, den.node()?);
        found(&mut friend, "The Smiths", "vps")?;
        found(&mut owner, "The Joneses", "den")?;
        let _website = website(&den, 8080, "site")?;
        outside.run("ip", &["address", "add", &format!("{FAR}/32"), "dev", "eth0"])?.good()?;
        vps.run("ip", &["route", "add", &format!("{FAR}/32"), "dev", "eth0"])?.good()?;
        let world = World::start(&outside, ZONE, vps.address(), 7200)?;

        friend.cli(&["net", "node", "vps", "--ingress", "yes"])?.good()?;
        let card: RealmCard = owner.ask(&["grant", "card"])?;
        let offered: GrantOffered =
            friend.ask(&["grant", "offer", "--to", &card.text, "--gateway", "--name", "jones"])?;
        owner.cli(&["grant", "accept", &offered.text, "--name", "smith"])?.good()?;
        world.choose(&owner, "tls-alpn")?;
        let host = format!("www.{ZONE}");
        let add = ["net", "service", "add", "site", "--node", "den", "--port", "8080", "--host", &host];
        let gateway = ["--access", "public", "--gateway", "grant:smith"];
        owner.cli(&[&add[..], &gateway, &["--web"]].concat())?.refused(2, &["another realm", "--pass"])?;
        until(30, "it is published", || owner.cli(&[&add[..], &gateway, &["--pass"]].concat())?.good())?;
        until(60, "the gateway takes the name in", || {
            let hosts: Vec<String> =
                grant(&friend, "jones")?.machines.into_iter().flat_map(|machine| machine.hosts).collect();
            ensure!(hosts == [host.clone()], "{hosts:?}");
            Ok(())
        })?;

        // The authority comes by the same way, and the certificate is the owner's alone.
        certified(&owner, "site", &host)?;
        let root = world.root()?;
        let at = IpAddr::from(vps.address());
        let ask = || curl(&outside, (&host, at), &root, &["--interface", FAR], "/");
        until(30, "the world sees it, and it sees who comes", || ask()?.is_for("site", FAR.parse()?))?;
        ensure!(!has(&friend.home().join("net"), &host)?, "the friend has something for that name");
        let other = curl(&outside, (&format!("other.{ZONE}"), at), &root, &["--interface", FAR], "/")?;
        ensure!(other.status == 0, "a name that nobody asked for: {other:?}");

        // By a text on port 80 as well, which the gateway passes on for the names that it takes in, and nothing else.
        world.choose(&owner, "http")?;
        let other = format!("shop.{ZONE}");
        owner.cli(&["net", "service", "set", "site", "--host", &host, "--host", &other])?.good()?;
        certified(&owner, "site", &other)?;
        let asked = std::fs::read_to_string(outside.folder().join("pebble.log"))?;
        let text = format!("http://{other}:80/.well-known/acme-challenge/");
        ensure!(asked.contains(&text), "this is how that shows");
        until(20, "the world sees it", || {
            curl(&outside, (&other, at), &root, &["--interface", FAR], "/")?.is_for("site", FAR.parse()?)
        })?;
        let none = format!("http://{other}/.well-known/acme-challenge/none");
        let seen = curl(&outside, (&other, at), &root, &["--interface", FAR], &none)?;
        ensure!(seen.status == 404, "{seen:?}");

        friend.cli(&["grant", "revoke", "jones"])?.good()?;
        eventually(20, "it is shut", || Ok(ask()?.status == 0))?;
        until(40, "the owner is told", || {
            let why = grant(&owner, "smith")?.trouble.context("nothing is wrong")?;
            ensure!(why.contains("ended"), "{why}");
            Ok(())
        })
    })
}
