//! The rest of the world, as a machine beside the house: it has every name below `example`, and a website with a
//! list.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use freehold_harness::{Host, Node, until};

use super::{THERE, filter};

const PORT: &str = "8000";

pub(crate) struct World<'a> {
    host: &'a Host,
    folder: PathBuf,
    website: Option<Child>,
    /// When the list was written, as the website has it.
    published: Duration,
}

impl<'a> World<'a> {
    pub(crate) fn start(node: &mut Node<'a>) -> Result<Self> {
        let host = node.host();
        node.up(&["--name", "world", "--no-tun", "--dns", &format!("{}:53", host.address())])?;
        filter(node, &["record", "set", "*.example", THERE])?;
        let folder = host.folder().join("website");
        std::fs::create_dir(&folder)?;
        let mut world = Self { host, folder, website: None, published: Duration::from_hours(24) };
        world.serve()?;
        Ok(world)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}:{PORT}/list.txt", self.host.address())
    }

    /// Each time a minute later than before: a website tells changes by the second.
    pub(crate) fn publish(&mut self, list: &str) -> Result<()> {
        self.published += Duration::from_mins(1);
        let mut file = std::fs::File::create(self.folder.join("list.txt"))?;
        file.write_all(list.as_bytes())?;
        Ok(file.set_modified(SystemTime::UNIX_EPOCH + self.published)?)
    }

    pub(crate) fn serve(&mut self) -> Result<()> {
        let mut command = self.host.command("python3");
        command.args(["-m", "http.server", PORT, "--directory"]).arg(&self.folder);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.website = Some(command.spawn()?);
        let ready = self.folder.join("ready");
        std::fs::File::create(ready)?;
        until(20, "the website answers", || {
            let told = self.host.run("curl", &["-sf", &self.url().replace("list.txt", "ready")])?;
            ensure!(told.good().is_ok(), "not yet");
            Ok(())
        })
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut website) = self.website.take() {
            drop(website.kill());
            drop(website.wait());
        }
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}
