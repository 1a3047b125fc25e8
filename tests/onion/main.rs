//! The onion door: a machine's console and SSH over the Tor network, for those who hold a key and nobody else.
#![cfg(test)]

mod tor;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use freehold_api::{OnionState, OnionStatus};
use freehold_disk::{make_private_dir, replace};
use freehold_harness::{Host, Node, story, until};

use tor::Network;

const BANNER: &str = "SSH-2.0-story";

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What says at port 2222 of the loopback what an SSH server says first.
fn ssh(host: &Host) -> Result<Running> {
    let script = format!(
        "import socket\ns = socket.create_server(('127.0.0.1', 2222))\nwhile True:\n  c, _ = s.accept()\n  \
         c.sendall(b'{BANNER}\\r\\n')\n  c.close()\n"
    );
    let mut command = host.command("python3");
    Ok(Running(command.arg("-c").arg(script).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?))
}

fn onion(node: &Node<'_>) -> Result<OnionStatus> {
    node.ask(&["net", "onion", "show"])
}

/// What curl sees by the Tor of a host: the status, or the text without one.
fn curl(host: &Host, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let by_tor = ["-sSk", "-m", "20", "--socks5-hostname", "127.0.0.1:9050"];
    let answer = host.run("curl", &[&by_tor[..], arguments].concat())?;
    Ok((answer.code, answer.out))
}

fn page(host: &Host, address: &str, path: &str, more: &[&str]) -> Result<(Option<i32>, String)> {
    let url = format!("https://{address}{path}");
    curl(host, &[&["-o", "/dev/null", "-w", "%{http_code}"], more, &[&url]].concat())
}

/// The console asks who comes, and SSH answers.
fn is_in(host: &Host, address: &str) -> Result<()> {
    let seen = page(host, address, "/sign-in", &[])?;
    ensure!(seen == (Some(0), "200".to_owned()), "{seen:?}");
    let (_, banner) = curl(host, &[&format!("telnet://{address}:22")])?;
    ensure!(banner.contains(BANNER), "{banner:?}");
    Ok(())
}

/// Nothing comes back, of either.
fn is_out(host: &Host, address: &str) -> Result<()> {
    let (code, status) = page(host, address, "/sign-in", &[])?;
    ensure!(code != Some(0) && status == "000", "{status}");
    let (_, banner) = curl(host, &[&format!("telnet://{address}:22")])?;
    ensure!(banner.is_empty(), "{banner:?}");
    Ok(())
}

/// Whoever comes by Tor is somebody from outside: nothing is open without a session.
fn is_a_stranger(host: &Host, address: &str) -> Result<()> {
    for (path, more, status) in [
        ("/", &[][..], "303"),
        ("/api/v1/status", &[][..], "401"),
        (
            "/api/v1/net/onion",
            &["-X", "PATCH", "-H", "Content-Type: application/json", "-d", "{}"][..],
            "401",
        ),
    ] {
        let seen = page(host, address, path, more)?;
        ensure!(seen == (Some(0), status.to_owned()), "{path}: {seen:?}");
    }
    let foreign = page(host, address, "/sign-in", &["-H", "Host: evil.example"])?;
    ensure!(foreign.1.starts_with('4'), "{foreign:?}");
    Ok(())
}

/// Every file below is the owner's alone.
fn is_private(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let about = fs::symlink_metadata(&path)?;
        let mode = about.permissions().mode() & 0o777;
        let wanted = if about.is_dir() { 0o700 } else { 0o600 };
        ensure!(mode & !wanted == 0, "{} has {mode:o}", path.display());
        if about.is_dir() {
            is_private(&path)?;
        }
    }
    Ok(())
}

/// Programs that run with this file of settings.
fn running(torrc: &Path) -> Result<usize> {
    let wanted = torrc.to_str().context("a path is text")?;
    let commands =
        fs::read_dir("/proc")?.filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    Ok(commands.filter(|line| line.split(|byte| *byte == 0).any(|word| word == wanted.as_bytes())).count())
}

#[test]
fn the_console_and_ssh_are_reached_over_tor_by_those_who_hold_a_key() -> Result<()> {
    story("the_onion_door", |story| {
        let (street, attic) = (story.host("street")?, story.host("attic")?);
        let (pad, eve) = (story.host("pad")?, story.host("eve")?);
        let network = Network::start(&street)?;
        let _ssh = ssh(&attic)?;
        let mut node = attic.node()?;
        node.up(&["--name", "smith"])?;
        let folder = node.home().join("net/onion");
        let torrc = folder.join("torrc");
        make_private_dir(&folder)?;
        replace(&folder.join("torrc.more"), network.settings.as_bytes(), 0o600)?;

        node.cli(&["net", "onion", "let-in", "pad"])?.failed(&["off", "freehold net onion on"])?;
        node.cli(&["net", "onion", "on", "--ssh-port", "2222"])?.good()?;
        ensure!(onion(&node)?.state == OnionState::Waiting, "{:?}", onion(&node)?);
        ensure!(running(&torrc)? == 0, "without keys it would be open to everybody");

        let keys = [pad.folder().join("keys"), eve.folder().join("keys")];
        let (pads, eves) = (network.client(&pad, &keys[0])?, network.client(&eve, &keys[1])?);
        let key = |at: usize| keys[at].join("own.auth_private").display().to_string();
        node.cli(&["net", "onion", "let-in", "pad", "--out", &key(0)])?.good()?;
        let address = onion(&node)?.address.context("it has an address")?;
        ensure!(fs::read_to_string(key(0))?.starts_with(address.trim_end_matches(".onion")), "{address}");
        until(90, "the door is open", || {
            let status = onion(&node)?;
            ensure!(status.state == OnionState::Up, "{status:?}");
            Ok(())
        })?;
        pads.is_in(60)?;
        pads.reload()?;
        until(240, "who holds a key is in", || is_in(&pad, &address))?;
        is_a_stranger(&pad, &address)?;
        eves.is_in(60)?;
        is_out(&eve, &address)?;
        is_private(&folder)?;
        is_private(&keys[0])?;

        node.cli(&["net", "onion", "let-in", "eve", "--out", &key(1)])?.good()?;
        eves.reload()?;
        until(240, "who is let in later is in, too", || is_in(&eve, &address))?;
        node.cli(&["net", "onion", "remove", "pad"])?.good()?;
        is_out(&pad, &address)?;
        until(240, "who stays is in again", || is_in(&eve, &address))?;
        is_out(&pad, &address)?;
        ensure!(onion(&node)?.address.as_ref() == Some(&address), "the address stays");
        node.stop()?;
        ensure!(running(&torrc)? == 0, "a tor was left behind");
        Ok(())
    })
}
