//! A phone: a machine that has WireGuard and nothing of ours.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use freehold_harness::Host;

use super::Running;

/// Set up by `wg-quick` with the file as it was made, but for the name server: that would be the whole machine's.
pub(crate) struct Phone<'a> {
    host: &'a Host,
    device: String,
    file: PathBuf,
}

impl<'a> Phone<'a> {
    pub(crate) fn up(host: &'a Host, config: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Its socket lies where that of every other one does.
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let device = format!("fw{}x{number}", std::process::id());
        let file = host.folder().join(format!("{device}.conf"));
        let kept: Vec<&str> = config.lines().filter(|line| !line.starts_with("DNS")).collect();
        std::fs::File::create(&file)?.write_all((kept.join("\n") + "\n").as_bytes())?;
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let phone = Self { host, device, file };
        phone.quick("up").context("wireguard-go and wg-quick: cargo xtask tools")?;
        Ok(phone)
    }

    fn quick(&self, what: &str) -> Result<()> {
        let mut command = self.host.command("wg-quick");
        command.env("WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD", "1");
        // Whatever it leaves running must not hold what the test reads.
        let log = std::fs::File::create(self.host.folder().join(format!("{}-{what}.log", self.device)))?;
        command.arg(what).arg(&self.file).stdout(log.try_clone()?).stderr(log);
        let status = command.status()?;
        ensure!(status.success(), "wg-quick {what}: {status}");
        Ok(())
    }

    /// The device's name.
    pub(crate) fn device(&self) -> &str {
        &self.device
    }

    /// Whether somebody answers.
    pub(crate) fn pings(&self, to: &str) -> Result<bool> {
        Ok(self.host.run("ping", &["-c", "1", "-W", "1", to])?.code == Some(0))
    }

    /// Asks again and again whether somebody answers.
    pub(crate) fn goes_on_pinging(&self, to: &str) -> Result<Answers> {
        let file = self.host.folder().join(format!("{}-pings", self.device));
        let mut command = self.host.command("ping");
        command.args(["-D", "-n", "-i", "0.1", to]).stdout(std::fs::File::create(&file)?);
        Ok(Answers { _ping: Running(command.spawn()?), file })
    }

    /// Whether the gateway has ever answered it.
    pub(crate) fn has_shaken_hands(&self) -> Result<bool> {
        let said = self.host.run("wg", &["show", &self.device, "latest-handshakes"])?.good()?.out;
        let at = said.split_whitespace().nth(1).context("wg says nothing of the gateway")?;
        Ok(at != "0")
    }

    /// Has another address on its network from now on, and does what WireGuard's app for phones does when it is told
    /// of another network: it opens its sockets anew. (Nobody tells
    /// wireguard-go, which sends from the address that is gone until it has heard nothing for 20 seconds.)
    pub(crate) fn moves(&self, last: u8) -> Result<()> {
        let old = self.host.address();
        let [a, b, c, _] = old.octets();
        let ip =
            |line: &str| self.host.run("ip", &line.split_whitespace().collect::<Vec<_>>())?.good().map(drop);
        let way = self.host.run("ip", &["route", "show", "default"])?.good()?.out;
        let router = way.split_whitespace().nth(2).context("it has no router")?.to_owned();
        ip(&format!("addr del {old}/24 dev eth0"))?;
        ip(&format!("addr add {a}.{b}.{c}.{last}/24 dev eth0"))?;
        ip(&format!("route add default via {router}"))?;
        self.host.run("wg", &["set", &self.device, "listen-port", "51999"])?.good().map(drop)
    }
}

/// What a ping that goes on is answered.
pub(crate) struct Answers {
    _ping: Running,
    file: PathBuf,
}

impl Answers {
    /// When the last answer came, since 1970.
    pub(crate) fn last(&self) -> Result<Duration> {
        let said = std::fs::read_to_string(&self.file)?;
        // [1700000000.123456] 64 bytes from fd00::1: icmp_seq=1 ttl=63 time=0.5 ms
        let line = said.lines().rfind(|line| line.contains("time=")).context("nobody answers")?;
        let at = line.strip_prefix('[').and_then(|line| line.split(']').next()).context("no time")?;
        Ok(Duration::try_from_secs_f64(at.parse()?)?)
    }
}

impl Drop for Phone<'_> {
    fn drop(&mut self) {
        drop(self.quick("down"));
    }
}
