//! Names that are certified by a record in their zone, where no port of this machine is asked for: by a name server that
//! takes signed updates, and by a program that knows whoever keeps the zone.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use freehold_harness::{Host, Node, story, until};

use crate::around::{certified, curl, shown, website};
use crate::world::{KEY, NAMES, SECRET, World, write};

const ZONE: &str = "acme.test";
/// All names of the zone's part that one certificate is for, and one of them.
const WILD: &str = "*.deep.acme.test";
const BELOW: &str = "any.deep.acme.test";
const PLAIN: &str = "plain.acme.test";

/// Nobody outside reaches what an authority asks for in other ways.
const SHUT: &str = "table inet shut { chain in { type filter hook input priority 0; iifname eth0 tcp dport { 80, 443 } drop; }\n}";

/// A program as somebody would write it; the key is in a file that nobody else reads.
fn program(host: &Host, server: &str) -> Result<PathBuf> {
    let folder = host.folder();
    let (path, key) = (folder.join("hook"), folder.join("hook.key"));
    write(key.clone(), &format!("key \"{KEY}\" {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};\n"))?;
    let (key, log) = (key.display(), folder.join("hook.log"));
    let log = log.display();
    write(
        path.clone(),
        &format!(
            "#!/bin/sh\nset -e\necho \"$1 $2 $#\" >> {log}\n\
             case $1 in add) what=\"add $2 60 TXT $3\";; remove) what=\"delete $2 TXT $3\";; *) exit 1;; esac\n\
             printf 'server {server} {NAMES}\\nupdate %s\\nsend\\n' \"$what\" | nsupdate -k {key}\n"
        ),
    )?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))?;
    Ok(path)
}

/// The texts at a name, as whoever asks the zone's server hears them.
fn texts(world: &Host, name: &str) -> Result<String> {
    let port = NAMES.to_string();
    let asked = ["@127.0.0.1", "-p", &port, "+short", "+time=2", "+tries=1", "TXT", name];
    Ok(world.run("dig", &asked)?.good()?.out.trim().to_owned())
}

/// What its server has been told of a name.
fn told(world: &Host, what: &str, name: &str) -> Result<bool> {
    let log = std::fs::read_to_string(world.folder().join("named.log"))?;
    let at = format!("at '_acme-challenge.{name}'");
    Ok(log.lines().any(|line| line.contains("updating zone") && line.contains(what) && line.contains(&at)))
}

/// The files below a folder in which some bytes stand.
fn files_with(folder: &Path, bytes: &[u8]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let kind = std::fs::symlink_metadata(&path)?.file_type();
        if kind.is_dir() {
            found.extend(files_with(&path, bytes)?);
        } else if kind.is_file() && std::fs::read(&path)?.windows(bytes.len()).any(|part| part == bytes) {
            found.push(path);
        }
    }
    Ok(found)
}

/// The key's secret is nowhere where others of this machine look, nor unsealed on its disk.
fn secret_is_kept(node: &Node<'_>) -> Result<()> {
    let pid = node.pid().context("it runs")?;
    for name in ["cmdline", "environ"] {
        let said = std::fs::read(format!("/proc/{pid}/{name}"))?;
        let said = String::from_utf8_lossy(&said).into_owned();
        ensure!(!said.contains(SECRET), "{name}: {said}");
    }
    ensure!(!node.log()?.contains(SECRET), "it is in the log");
    for bytes in [SECRET.as_bytes(), b"a secret of thirty-two bytes...."] {
        let found = files_with(node.home(), bytes)?;
        ensure!(found.is_empty(), "{found:?}");
    }
    Ok(())
}

/// A host is seen with the authority's certificate, once nothing shuts it off.
fn is_seen(world: &World<'_>, host: &str, at: IpAddr) -> Result<()> {
    let root = world.root()?;
    until(20, "the world sees it", || {
        let seen = curl(world.host, (host, at), &root, &[], "/")?;
        ensure!(seen.status == 200 && seen.text.starts_with("own"), "{seen:?}");
        Ok(())
    })
}

#[test]
fn a_record_in_its_zone_certifies_a_name_where_no_port_is_reached() -> Result<()> {
    story("a_record_in_its_zone_certifies_a_name", |story| {
        let (alice, outside) = (story.host("alice")?, story.host("world")?);
        let mut node = alice.node()?;
        node.up(&["--name", "The Smiths"])?;
        let me = node.status()?.this_node;
        node.cli(&["node", "rename", &me, "alice"])?.good()?;
        let _own = website(&alice, 7000, "own")?;
        let world = World::start(&outside, ZONE, alice.address(), 7200)?;
        alice.run("nft", &[SHUT])?.good()?;
        let add = |node: &Node<'_>, name: &str, host: &str| {
            let all =
                ["net", "service", "add", name, "--node", "alice", "--port", "7000", "--access", "public"];
            node.cli(&[&all[..], &["--gateway", "alice", "--host", host]].concat())?.good()
        };
        add(&node, "wild", WILD)?;

        // By the zone's own server. A key that it does not know is told of, and another one counts at once.
        let server = outside.address().to_string();
        let (at, file) = (format!("{server}:{NAMES}"), alice.folder().join("zone.key"));
        let name = file.to_string_lossy().into_owned();
        let keyed = ["--dns-server", &at, "--dns-zone", ZONE, "--dns-key", KEY, "--dns-key-file", &name];
        write(file.clone(), "bm90IHRoYXQgc2VjcmV0LCBidXQgYW5vdGhlciBvbmU=\n")?;
        world.choose_with(&node, "dns", &keyed)?;
        node.alarmed(&["door", WILD, "refused the update"])?;
        write(file.clone(), &format!("{SECRET}\n"))?;
        world.choose_with(&node, "dns", &keyed)?;
        // The file was read, and is needed no more.
        std::fs::remove_file(&file)?;
        until(100, "all below are certified", || {
            let shown = shown(&node, "wild")?;
            let ready = shown.names.iter().any(|one| one.name == WILD && one.until_ms.is_some());
            ensure!(ready, "{shown:?}");
            Ok(())
        })?;
        ensure!(told(&outside, "adding an RR", "deep.acme.test")?, "this is how that shows");
        until(20, "the record is taken out", || {
            let left = texts(&outside, "_acme-challenge.deep.acme.test")?;
            ensure!(left.is_empty(), "{left}");
            Ok(())
        })?;
        secret_is_kept(&node)?;

        // By a program of this machine, which goes before the server.
        let hook = program(&alice, &server)?;
        node.stop()?;
        node.start(&["up", "--certificates-hook", &hook.to_string_lossy()])?;
        add(&node, "plain", PLAIN)?;
        until(100, "a plain name is certified", || certified(&node, "plain", PLAIN).map(drop))?;
        let ran = alice.folder().join("hook.log");
        until(20, "the program has taken the record out", || {
            let ran = std::fs::read_to_string(&ran)?;
            let wanted = ["add", "remove"].map(|what| format!("{what} _acme-challenge.{PLAIN} 3\n"));
            ensure!(wanted.iter().all(|line| ran.contains(line)), "{ran}");
            ensure!(!ran.contains("deep"), "the other one was had anew: {ran}");
            let left = texts(&outside, &format!("_acme-challenge.{PLAIN}"))?;
            ensure!(left.is_empty(), "{left}");
            Ok(())
        })?;

        let at = IpAddr::from(alice.address());
        let root = world.root()?;
        ensure!(curl(&outside, (PLAIN, at), &root, &[], "/")?.status == 0, "a port was open all the time");
        alice.run("nft", &["delete table inet shut"])?.good()?;
        [BELOW, PLAIN].into_iter().try_for_each(|host| is_seen(&world, host, at))
    })
}
