//! Two realms on one street, and what goes on between them.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use freehold_api::{GrantOffered, GrantStatus, NetStatus, RealmCard};
use freehold_harness::{Host, Node, eventually};

const DRIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/drip.py");
/// Whoever says nothing for so long has ended.
const SILENCE: Duration = Duration::from_secs(3);

/// A program that ends with the test.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Serves at a port of all addresses of a host.
pub(crate) fn serve(host: &Host, port: u16) -> Result<Running> {
    let mut command = host.command("python3");
    let running = Running(command.args([DRIP, "serve", &port.to_string()]).spawn()?);
    eventually(30, "it serves", || reaches(host, "::1", port))?;
    Ok(running)
}

/// Whether something comes from there.
pub(crate) fn reaches(from: &Host, at: &str, port: u16) -> Result<bool> {
    let take = format!("python3 {DRIP} take {at} {port} 2>/dev/null | head -c 4");
    Ok(from.run("timeout", &["4", "sh", "-c", &take])?.out.contains("drip"))
}

/// A connection over which something comes all the time.
pub(crate) struct Flow {
    out: PathBuf,
    _program: Running,
}

impl Flow {
    pub(crate) fn begin(from: &Host, at: &str, port: u16) -> Result<Self> {
        let out = from.folder().join("dripped");
        let mut command = from.command("python3");
        command.args([DRIP, "take", at, &port.to_string()]).stderr(Stdio::null());
        let program = Running(command.stdout(File::create(&out)?).spawn()?);
        let flow = Self { out, _program: program };
        eventually(30, "something comes", || Ok(flow.came()? > 0))?;
        Ok(flow)
    }

    /// How much has come.
    fn came(&self) -> Result<u64> {
        Ok(std::fs::metadata(&self.out)?.len())
    }

    /// How long after a moment something still came, until nothing did for a while.
    pub(crate) fn last(&self, begun: Instant) -> Result<Duration> {
        let (mut last, mut came) = (begun, self.came()?);
        eventually(30, "nothing comes any more", || {
            let now = self.came()?;
            if now != came {
                (last, came) = (Instant::now(), now);
            }
            Ok(last.elapsed() > SILENCE)
        })?;
        Ok(last.saturating_duration_since(begun))
    }

    /// Whether something comes now.
    pub(crate) fn goes_on(&self) -> Result<bool> {
        let before = self.came()?;
        Ok(eventually(10, "it goes on", || Ok(self.came()? > before)).is_ok())
    }
}

/// A realm on a first machine.
pub(crate) fn found(node: &mut Node<'_>, realm: &str, name: &str) -> Result<()> {
    node.up(&["--name", realm])?;
    let me = node.status()?.this_node;
    node.cli(&["node", "rename", &me, name])?.good().map(drop)
}

/// Lends a realm something, and has it accepted there. What it is called on both sides.
pub(crate) fn lend(
    (lender, theirs): (&Node<'_>, &str),
    (borrower, ours): (&Node<'_>, &str),
    what: &[&str],
) -> Result<()> {
    let card: RealmCard = borrower.ask(&["grant", "card"])?;
    let offer = [&["grant", "offer", "--to", &card.text, "--name", ours], what].concat();
    let offered: GrantOffered = lender.ask(&offer)?;
    borrower.cli(&["grant", "accept", &offered.text, "--name", theirs])?.good().map(drop)
}

pub(crate) fn grant(node: &Node<'_>, name: &str) -> Result<GrantStatus> {
    node.ask(&["grant", "show", name])
}

pub(crate) fn address(node: &Node<'_>, name: &str) -> Result<String> {
    let status: NetStatus = node.ask(&["net", "status"])?;
    let found = status.nodes.into_iter().find(|node| node.name == name);
    Ok(found.with_context(|| format!("there is no {name}"))?.address)
}

/// What a machine's own server says of a name.
pub(crate) fn dig(node: &Node<'_>, name: &str) -> Result<String> {
    let server = node.status()?.endpoints.names.first().cloned().context("it answers for no names")?;
    let (ip, port) = server.rsplit_once(':').context("an address with a port")?;
    let at = format!("@{}", ip.trim_matches(['[', ']']));
    let asked = [at.as_str(), "-p", port, "+short", "+tries=1", "+time=2", "AAAA", name];
    Ok(node.host().run("dig", &asked)?.out.trim().to_owned())
}
