//! A Tor network of the story's own: three authorities and relays on one host, and clients on others. Nothing of it
//! reaches the real one.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use freehold_disk::{make_private_dir, replace};
use freehold_harness::{Host, until};
use rustix::process::{Pid, Signal, kill_process};

const AUTHORITIES: u16 = 3;
/// A circuit to an onion service and one from it share no relay but where they meet.
const RELAYS: u16 = 4;
/// What makes a small network come up within seconds, as Tor's own tests have it (chutney). Guards of a second layer are drawn
/// as soon as there are some relays, and kept: of so few, those that are left may then not be on any way to where one wants to go.
const COMMON: &str = "TestingTorNetwork 1\nPathsNeededToBuildCircuits 0.25\nTestingDirAuthVoteExit *\n\
     TestingDirAuthVoteHSDir *\nTestingDirAuthVoteGuard *\nV3AuthNIntervalsValid 2\nTestingMinExitFlagThreshold 0\n\
     ShutdownWaitLength 1\nVanguardsLiteEnabled 0\n";
const VOTES: &str = "AuthoritativeDirectory 1\nV3AuthoritativeDirectory 1\nTestingV3AuthInitialVotingInterval 5\n\
     TestingV3AuthInitialVoteDelay 2\nTestingV3AuthInitialDistDelay 2\nV3AuthVotingInterval 20\nV3AuthVoteDelay 4\n\
     V3AuthDistDelay 4\n";

/// A `tor` that ends with the test.
pub(crate) struct Tor {
    child: Child,
    folder: PathBuf,
}

impl Drop for Tor {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

impl Tor {
    fn start(host: &Host, name: &str, settings: &str) -> Result<Self> {
        let folder = host.folder().join(name);
        make_private_dir(&folder)?;
        let (log, at) = (folder.join("tor.log"), folder.display());
        let text = format!("{settings}DataDirectory {at}\nLog notice file {}\n", log.display());
        replace(&folder.join("torrc"), text.as_bytes(), 0o600)?;
        let mut command = host.command("tor");
        command.args(["--defaults-torrc", "/dev/null", "-f"]).arg(folder.join("torrc"));
        let out = File::create(folder.join("out"))?;
        let child = command.stdout(out).stderr(Stdio::null()).spawn().context("tor")?;
        Ok(Self { child, folder })
    }

    /// Waits until it is in the network.
    pub(crate) fn is_in(&self, seconds: u64) -> Result<()> {
        until(seconds, "tor is in the network", || {
            let log = fs::read_to_string(self.folder.join("tor.log"))?;
            ensure!(log.contains("Bootstrapped 100%"), "{}", log.lines().last().unwrap_or_default());
            Ok(())
        })
    }

    /// It reads its settings and keys again.
    pub(crate) fn reload(&self) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.child.id())?).context("a process has an id")?;
        Ok(kill_process(pid, Signal::HUP)?)
    }
}

/// The network, while it lives.
pub(crate) struct Network {
    _nodes: Vec<Tor>,
    /// What every `tor` is told that is to be in it.
    pub(crate) settings: String,
}

impl Network {
    /// Starts it on a host, and waits until it is up.
    pub(crate) fn start(host: &Host) -> Result<Self> {
        let ip = host.address();
        let lines: Result<Vec<String>> = (0..AUTHORITIES).map(|number| authority(host, number)).collect();
        let settings = format!("{COMMON}{}", lines?.concat());
        let mut nodes = Vec::new();
        for number in 0..AUTHORITIES + RELAYS {
            let is_authority = number < AUTHORITIES;
            let (votes, sort) = if is_authority { (VOTES, "auth") } else { ("", "relay") };
            let directory =
                if is_authority { format!("DirPort {ip}:{}\n", 7000 + number) } else { String::new() };
            let own = format!(
                "{settings}{votes}SocksPort 0\nNickname {sort}{number}\nAddress {ip}\nORPort {ip}:{}\n{directory}\
                 AssumeReachable 1\nExitPolicy reject *:*\nContactInfo story@test\n",
                5000 + number
            );
            nodes.push(Tor::start(host, &format!("tor{number}"), &own)?);
        }
        for node in &nodes {
            node.is_in(120)?;
        }
        Ok(Self { _nodes: nodes, settings })
    }

    /// A client on another host: programs of it come in at port 9050 of its loopback.
    pub(crate) fn client(&self, host: &Host, keys: &Path) -> Result<Tor> {
        make_private_dir(keys)?;
        let settings =
            format!("{}SocksPort 127.0.0.1:9050\nClientOnionAuthDir {}\n", self.settings, keys.display());
        Tor::start(host, "tor", &settings)
    }
}

/// Makes an authority's keys, and the line by which others know it.
fn authority(host: &Host, number: u16) -> Result<String> {
    let folder = host.folder().join(format!("tor{number}"));
    let keys = folder.join("keys");
    for one in [&folder, &keys] {
        make_private_dir(one)?;
    }
    let (ip, at) = (host.address(), |name: &str| keys.join(name).display().to_string());
    let mut maker = host.command("tor-gencert");
    maker.args(["--create-identity-key", "--passphrase-fd", "0", "-m", "1"]);
    maker.args(["-i", &at("authority_identity_key"), "-s", &at("authority_signing_key")]);
    maker.args(["-c", &at("authority_certificate"), "-a", &format!("{ip}:{}", 7000 + number)]);
    let mut maker = maker.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    maker.stdin.take().context("it was asked for")?.write_all(b"story\n")?;
    ensure!(maker.wait()?.success(), "tor-gencert failed");
    let certificate = fs::read_to_string(at("authority_certificate"))?;
    let identity = certificate.lines().find_map(|line| line.strip_prefix("fingerprint "));
    let identity = identity.context("a certificate says whose it is")?;
    let data = folder.display().to_string();
    let own = ["--ignore-missing-torrc", "-f", "/nowhere", "--quiet", "--list-fingerprint", "--ORPort", "1"];
    let others = "x 127.0.0.1:1 ffffffffffffffffffffffffffffffffffffffff";
    let name = format!("auth{number}");
    let known = ["--DataDirectory", &data, "--DirAuthority", others, "--Nickname", &name];
    let told = host.run("tor", &[&own[..], &known[..]].concat())?.good()?.out;
    let fingerprint: String = told.split_whitespace().skip(1).collect();
    let (onion, directory) = (5000 + number, 7000 + number);
    Ok(format!(
        "DirAuthority {name} orport={onion} no-v2 v3ident={identity} {ip}:{directory} {fingerprint}\n"
    ))
}
