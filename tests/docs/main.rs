//! Every command that README and docs/user show is run, top to bottom, as a reader would type it.
//!
//! A block fenced as `console` holds commands after `$ `. `<!-- on: NAME -->` before a block says on
//! which machine it is typed; a page starts on `laptop`. `<invitation>`, `<card>`, `<realm-card>`, `<offer>`,
//! `<pool-papers>` and `<erasure>` stand for what an earlier command printed, `<s3>` for a vendor's store, whose key
//! lies in `vendor-key`, a machine's name in the same brackets for its address. `<!-- brought: attic/old-key -->` says
//! that the reader carries a file or a disk to the machine that the page is on, once it is there. What is exported
//! holds for the commands after it; on a page that exports nothing, S3 clients are set up already. Commands
//! that run a node are started and stay; a later one on the same machine that runs a node stops it first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use freehold_api::Status;
use freehold_harness::{
    Host, Node, Ready, SeaweedFs, Story, Webhook, binary, eventually, python, story, until,
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
/// Where a node lives unless told otherwise, below the reader's home.
const HOME: &str = ".local/share/freehold";
/// What a command says that is refused for a moment alone: the reader waits, and types it again.
const PATIENT: &str = "wait a moment and try again";

/// A command and where it is typed.
#[derive(Debug)]
struct Line {
    machine: String,
    command: String,
}

fn commands(page: &str) -> Vec<Line> {
    let mut machine = "laptop".to_owned();
    let mut inside = false;
    let mut found = Vec::new();
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("<!-- on: ").and_then(|rest| rest.strip_suffix(" -->")) {
            name.clone_into(&mut machine);
        }
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            found.push(Line { machine: machine.clone(), command: command.to_owned() });
        }
    }
    found
}

/// A machine of the page.
struct Machine<'a> {
    host: &'a Host,
    node: Node<'a>,
    ready: Option<Ready>,
    exports: Vec<String>,
}

impl Machine<'_> {
    /// Types a command. Those that run a node are left running.
    fn type_in(&mut self, command: &str) -> Result<String> {
        let command = command.replace("cargo run --release --", "freehold");
        let words: Vec<&str> = command.split_whitespace().collect();
        if let ["freehold", "up" | "join" | "recover", ..] = words.as_slice() {
            if self.node.pid().is_some() {
                self.node.stop()?;
            }
            // No shell reads these.
            let own = format!("{}/", self.host.folder().display());
            let words: Vec<String> = words
                .iter()
                .skip(1)
                .map(|word| word.strip_prefix("~/").map_or((*word).to_owned(), |rest| format!("{own}{rest}")))
                .collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            self.ready = Some(self.node.start(&words)?);
            return Ok(String::new());
        }
        if command.starts_with("export ") {
            self.exports.push(command);
            return Ok(String::new());
        }
        let tools = python("python")?;
        let tools = tools.parent().context("a program lies in a folder")?;
        let programs = binary()?;
        let programs = programs.parent().context("a program lies in a folder")?;
        let path = format!("{}:{}:/usr/bin:/bin:/usr/sbin:/sbin", programs.display(), tools.display());
        let mut shell = match &self.ready {
            Some(ready) if self.exports.is_empty() => self.node.s3(ready)?.command(Path::new("bash")),
            _ => self.host.command("bash"),
        };
        let typed = [self.exports.as_slice(), &[command]].concat().join("\n");
        shell
            .args(["-euo", "pipefail", "-c", &typed])
            .env("PATH", path)
            .env("FREEHOLD_HOME", self.node.home());
        let said = until(30, "what is refused for a moment is done", || {
            let said = Host::answer(&mut shell)?;
            ensure!(said.code == Some(0) || !said.err.contains(PATIENT), "{}", said.err);
            Ok(said)
        })?;
        Ok(said.good()?.out)
    }

    /// Waits until it has heard what was done on the one that the reader comes from: a reader is slower than the log.
    fn follows(&self, before: &Self) -> Result<()> {
        if [self, before].iter().any(|machine| machine.node.pid().is_none()) {
            return Ok(());
        }
        let log = |machine: &Self| -> Result<(String, BTreeSet<String>)> {
            let status: Status = machine.node.ask(&["status"])?;
            Ok((status.realm.id, status.log.heads.into_iter().collect()))
        };
        eventually(30, "the next machine has heard what was done on the one before", || {
            let (here, there) = (log(self)?, log(before)?);
            Ok(here.0 != there.0 || here.1 == there.1)
        })
    }
}

fn run(story: &Story, page: &Path) -> Result<()> {
    let text = std::fs::read_to_string(page)?;
    let lines = commands(&text);
    let mut hosts = BTreeMap::new();
    for line in &lines {
        if !hosts.contains_key(&line.machine) {
            hosts.insert(line.machine.clone(), story.host(&line.machine)?);
        }
    }
    let mut machines = BTreeMap::new();
    for (name, host) in &hosts {
        story.file(&format!("{name}/photo.jpg"), 200_000, 3)?;
        let node = host.node_at(&host.folder().join(HOME))?;
        machines.insert(name.as_str(), Machine { host, node, ready: None, exports: Vec::new() });
    }
    let mut words: BTreeMap<&str, String> = BTreeMap::new();
    let far = text.contains("<s3>").then(|| story.host("vendor")).transpose()?;
    let vendor = far.as_ref().map(|far| SeaweedFs::start(far, &["attic"])).transpose()?;
    if let Some(vendor) = &vendor {
        words.insert("s3", vendor.endpoint());
        for host in hosts.values() {
            std::fs::copy(vendor.credentials(), host.folder().join("vendor-key"))?;
        }
    }
    let addresses: Vec<(&str, String)> =
        hosts.iter().map(|(name, host)| (name.as_str(), host.address().to_string())).collect();
    words.extend(addresses.iter().map(|(name, address)| (*name, address.clone())));
    let _hook = hook(&text, hosts.get("laptop"))?;
    let mut at = "";
    for line in &lines {
        let mut command = line.command.clone();
        if command == "cargo xtask ci" {
            continue; // It is what runs this.
        }
        for (word, value) in &words {
            command = command.replace(&format!("<{word}>"), value);
        }
        if command.contains("--guardians-file phrases") {
            lay_out_phrases(&hosts, &line.machine)?;
        }
        if let Some(before) = machines.get(at).filter(|_| at != line.machine) {
            let next = machines.get(line.machine.as_str()).context("every machine was made above")?;
            next.follows(before).with_context(|| format!("{}: $ {}", page.display(), line.command))?;
        }
        at = line.machine.as_str();
        bring(&text, &hosts, at)?;
        let machine = machines.get_mut(at).context("every machine was made above")?;
        let said =
            machine.type_in(&command).with_context(|| format!("{}: $ {}", page.display(), line.command))?;
        let texts = [
            ("realm-card", "FREEHOLD-REALM:"),
            ("offer", "FREEHOLD-GRANT:"),
            ("pool-papers", "FREEHOLD-POOL:"),
        ];
        for (word, prefix) in texts {
            if let Some(text) = said.split_whitespace().find(|text| text.starts_with(prefix)) {
                words.insert(word, text.to_owned());
            }
        }
        if command.starts_with("freehold invite") {
            words.insert(
                "invitation",
                machine.node.invite(&command.split_whitespace().skip(2).collect::<Vec<_>>())?,
            );
        }
        let erases = ["freehold bucket erase", "freehold person erase"];
        if erases.iter().any(|words| command.starts_with(words)) && !command.contains("--dry-run") {
            let all: serde_json::Value = machine.node.ask(&["receipt", "list"])?;
            let id = all.pointer("/0/id").and_then(serde_json::Value::as_str);
            words.insert("erasure", id.context("something was erased")?.chars().take(8).collect());
        }
        if command == "freehold realm card" {
            words.insert("card", machine.node.card()?);
        }
    }
    Ok(())
}

/// What the reader carries to a machine, as far as it is there by now.
fn bring(text: &str, hosts: &BTreeMap<String, Host>, to: &str) -> Result<()> {
    let said = text.lines().filter_map(|line| line.strip_prefix("<!-- brought: ")?.strip_suffix(" -->"));
    for (from, file) in said.flat_map(str::split_whitespace).filter_map(|named| named.split_once('/')) {
        let (from, to) =
            (hosts.get(from).context("a machine of the page")?, hosts.get(to).context("another")?);
        let (there, here) = (from.folder().join(file), to.folder().join(file));
        if there.exists() && !here.exists() {
            let mut copy = std::process::Command::new("cp");
            ensure!(
                copy.arg("-a").args([&there, &here]).status()?.success(),
                "{} is not carried",
                there.display()
            );
        }
    }
    Ok(())
}

/// Two phrases of the realm that was made on some machine, where the reader wrote them down.
fn lay_out_phrases(hosts: &BTreeMap<String, Host>, to: &str) -> Result<()> {
    let made = hosts
        .values()
        .find_map(|host| std::fs::read_to_string(host.folder().join(HOME).with_extension("guardians")).ok());
    let two: Vec<&str> = made.as_deref().context("no realm was made")?.lines().take(2).collect();
    let file = hosts.get(to).context("every machine was made")?.folder().join("phrases");
    std::io::Write::write_all(&mut std::fs::File::create(file)?, two.join("\n").as_bytes())?;
    Ok(())
}

fn page(name: &str) -> Result<()> {
    story(name, |story| run(story, &Path::new(ROOT).join(name)))
}

#[test]
fn readme() -> Result<()> {
    page("README.md")
}

#[test]
fn kv() -> Result<()> {
    page("docs/user/kv.md")
}

#[test]
fn start() -> Result<()> {
    page("docs/user/start.md")
}

#[test]
fn second_machine() -> Result<()> {
    page("docs/user/second-machine.md")
}

#[test]
fn recover() -> Result<()> {
    page("docs/user/recover.md")
}

#[test]
fn s3_clients() -> Result<()> {
    page("docs/user/s3-clients.md")
}

#[test]
fn access_keys() -> Result<()> {
    page("docs/user/access-keys.md")
}

#[test]
fn keys() -> Result<()> {
    page("docs/user/keys.md")
}

#[test]
fn people() -> Result<()> {
    page("docs/user/people.md")
}

#[test]
fn leaving() -> Result<()> {
    page("docs/user/leaving.md")
}

#[test]
fn backends() -> Result<()> {
    page("docs/user/backends.md")
}

#[test]
fn backup() -> Result<()> {
    page("docs/user/backup.md")
}

#[test]
fn backup_to_a_friend() -> Result<()> {
    page("docs/user/backup-to-a-friend.md")
}

#[test]
fn get_everything_back() -> Result<()> {
    page("docs/user/get-everything-back.md")
}

#[test]
fn places() -> Result<()> {
    page("docs/user/places.md")
}

#[test]
fn door() -> Result<()> {
    page("docs/user/door.md")
}

#[test]
fn network() -> Result<()> {
    page("docs/user/network.md")
}

#[test]
fn grants() -> Result<()> {
    page("docs/user/grants.md")
}

#[test]
fn pools() -> Result<()> {
    page("docs/user/pools.md")
}

#[test]
fn phones() -> Result<()> {
    page("docs/user/phones.md")
}

#[test]
fn outside() -> Result<()> {
    page("docs/user/outside.md")
}

#[test]
fn onion() -> Result<()> {
    page("docs/user/onion.md")
}

#[test]
fn names() -> Result<()> {
    page("docs/user/names.md")
}

#[test]
fn usage() -> Result<()> {
    page("docs/user/usage.md")
}

#[test]
fn console() -> Result<()> {
    page("docs/user/console.md")
}

/// What takes messages, with its address in a file, where a page says that the reader has one.
fn hook<'a>(page: &str, host: Option<&'a Host>) -> Result<Option<Webhook<'a>>> {
    let Some(host) = host.filter(|_| page.contains("<!-- file: ntfy-topic -->")) else { return Ok(None) };
    let hook = Webhook::start(host)?;
    std::io::Write::write_all(
        &mut std::fs::File::create(host.folder().join("ntfy-topic"))?,
        hook.address("freehold-smith").as_bytes(),
    )?;
    Ok(Some(hook))
}

/// Two machines with ZFS are needed for what it shows: `cargo xtask zfs` runs that.
#[test]
fn zfs() -> Result<()> {
    page("docs/user/zfs.md")
}

#[test]
fn watch() -> Result<()> {
    page("docs/user/watch.md")
}

#[test]
fn every_page_is_run() -> Result<()> {
    let own = include_str!("main.rs");
    for entry in std::fs::read_dir(Path::new(ROOT).join("docs/user"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(own.contains(&format!("docs/user/{name}")), "docs/user/{name} has no test here");
    }
    Ok(())
}

#[test]
fn blocks_are_read_as_readers_do() -> Result<()> {
    let page =
        "text\n```console\n$ one\noutput\n```\n<!-- on: nas -->\n```sh\n$ no\n```\n```console\n$ two\n```\n";
    let found: Vec<String> =
        commands(page).iter().map(|line| format!("{}: {}", line.machine, line.command)).collect();
    if found != ["laptop: one", "nas: two"] {
        bail!("{found:?}");
    }
    eventually(1, "a condition that holds", || Ok(true))
}
