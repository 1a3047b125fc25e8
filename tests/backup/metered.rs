//! A backup that leaves the machine waits while the network costs by the byte, as a real NetworkManager says it on a D-Bus of
//! the test's own.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use freehold_harness::{Host, Node, SeaweedFs, story, until};

use super::person::{PATIENCE, standing, target, text};

/// A NetworkManager with one line of its own, and its bus. Both end with it.
struct Manager {
    child: Child,
    folder: PathBuf,
}

impl Manager {
    fn start(host: &Host) -> Result<Self> {
        let folder = host.folder().join("manager");
        std::fs::create_dir(&folder)?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/manager.sh");
        let child = Command::new("unshare")
            .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "sh", script])
            .arg(&folder)
            .arg(std::env::var_os("FREEHOLD_TEST_MANAGER").context("FREEHOLD_TEST_MANAGER is set by xtask")?)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, folder })
    }

    fn bus(&self) -> String {
        format!("unix:path={}", self.folder.join("bus").display())
    }

    /// Has it say that its line costs by the byte, or not.
    fn says(&self, metered: &str) -> Result<()> {
        let new = self.folder.join("new");
        super::write(&new, metered.as_bytes())?;
        std::fs::rename(new, self.folder.join("metered"))?;
        until(PATIENCE, &format!("it says {metered}"), || {
            let said = std::fs::read_to_string(self.folder.join("said")).unwrap_or_default();
            ensure!(
                said.trim() == metered,
                "{said:?} {:?}",
                std::fs::read_to_string(self.folder.join("log"))
            );
            Ok(())
        })
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn waits(node: &Node<'_>, target: &str) -> Result<String> {
    standing(node, "papers", target)?.waits_for.context("it waits for nothing")
}

fn made(node: &Node<'_>, target: &str) -> Result<()> {
    until(PATIENCE, &format!("{target} has it"), || {
        let stands = standing(node, "papers", target)?;
        ensure!(stands.last.is_some(), "{stands:?}");
        Ok(())
    })
}

#[test]
fn what_leaves_the_machine_waits_for_a_network_that_costs_nothing() -> Result<()> {
    story("what_leaves_the_machine_waits", |story| {
        let (host, far) = (story.host("laptop")?, story.host("vendor")?);
        let manager = Manager::start(&host)?;
        manager.says("yes")?;
        let papers = host.folder().join("papers");
        std::fs::create_dir(&papers)?;
        super::write(&papers.join("letter"), b"Dear Ann")?;
        let mut node = host.node()?;
        node.set("DBUS_SYSTEM_BUS_ADDRESS", &manager.bus());
        node.up(&["--name", "smith"])?;
        let vendor = SeaweedFs::start(&far, &["attic"])?;
        target(&node, "disk", &host.folder().join("disk"))?;
        let (endpoint, key) = (vendor.endpoint(), text(&vendor.credentials()));
        let bucket = ["--s3", &*endpoint, "--bucket", "attic", "--credentials", &key];
        node.cli(&[&["backup", "target", "add", "offsite"], &bucket[..]].concat())?.good()?;
        node.cli(&["backup", "add", "papers", &text(&papers), "--to", "disk,offsite"])?.good()?;
        made(&node, "disk")?;
        until(PATIENCE, "it waits", || waits(&node, "offsite").map(drop))?;
        ensure!(waits(&node, "offsite")?.contains("by the byte"), "{}", waits(&node, "offsite")?);
        ensure!(node.cli(&["backup", "list"])?.good()?.out.contains("waits for a network"), "in words");
        ensure!(standing(&node, "papers", "offsite")?.last.is_none(), "it was made all the same");

        // Told so, or asked for, it goes; and by itself once the network is another one.
        node.cli(&["backup", "metered", "papers", "go"])?.good()?;
        made(&node, "offsite")?;
        node.cli(&["backup", "metered", "papers", "wait"])?.good()?;
        node.cli(&["backup", "add", "later", &text(&papers.join("letter")), "--to", "offsite"])?.good()?;
        until(PATIENCE, "it waits as well", || {
            standing(&node, "later", "offsite")?.waits_for.context("not yet").map(drop)
        })?;
        manager.says("no")?;
        until(PATIENCE, "it is made", || {
            ensure!(standing(&node, "later", "offsite")?.last.is_some(), "not yet");
            Ok(())
        })?;
        node.destroy()
    })
}
