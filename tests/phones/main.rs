//! Phones with the WireGuard that everybody has: let in by a gateway, as far as the log says, wherever they are, and
//! out again at once.
#![cfg(test)]

mod attacks;
mod phone;

use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use freehold_api::{Explanation, NetPhone, NetService, NetStatus, PhoneSettings};
use freehold_harness::{Host, Node, eventually, story, until};

use phone::Phone;

/// The port of the door.
const DOOR: u16 = 51820;
/// How long a right that was taken away may go on.
const AT_ONCE: Duration = Duration::from_secs(2);

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Serves a folder, as people do.
fn serve(host: &Host, port: &str) -> Result<Running> {
    let mut command = host.command("python3");
    command.args(["-m", "http.server", port, "--bind", "::"]).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(Running(command.spawn()?))
}

fn fetch(host: &Host, url: &str) -> Result<bool> {
    Ok(host.run("curl", &["-sS", "-g", "-o", "/dev/null", "-m", "3", url])?.code == Some(0))
}

fn address_of(node: &Node<'_>, name: &str) -> Result<String> {
    let status: NetStatus = node.ask(&["net", "status"])?;
    let found = status.nodes.into_iter().find(|node| node.name == name);
    Ok(found.with_context(|| format!("there is no {name}"))?.address)
}

/// Ann's server, and her gateway, which takes phones in.
fn house(one: &mut Node<'_>, gateway: &mut Node<'_>) -> Result<()> {
    one.up(&["--name", "The Smiths"])?;
    let me = one.status()?.this_node;
    one.cli(&["node", "rename", &me, "attic"])?.good()?;
    let invitation = one.invite(&["--roles", "gateway,relay"])?;
    let endpoint = format!("{}:{DOOR}", gateway.host().address());
    let listen = format!("0.0.0.0:{DOOR}");
    let door = ["--phone-listen", listen.as_str(), "--phone-endpoint", endpoint.as_str()];
    gateway.start(&[&["join", &invitation, "--name", "vps"], &door[..]].concat())?;
    eventually(30, "both know each other", || Ok(one.connections()? == 1))
}

/// Lets a phone in, as soon as that can be done.
fn add(one: &Node<'_>, name: &str, file: &std::path::Path, more: &[&str]) -> Result<PhoneSettings> {
    let file = file.to_string_lossy().into_owned();
    until(30, "the phone is let in", || {
        one.ask(&[&["net", "phone", "add", name, "--out", &file], more].concat())
    })
}

fn listed(node: &Node<'_>, name: &str) -> Result<NetPhone> {
    let phones: Vec<NetPhone> = node.ask(&["net", "phone", "list"])?;
    phones.into_iter().find(|phone| phone.name == name).with_context(|| format!("no phone {name}"))
}

/// What comes of asking a name server.
fn asked(host: &Host, server: &str, name: &str) -> Result<String> {
    let at = format!("@{server}");
    Ok(host.run("dig", &["+short", "+time=1", "+tries=1", &at, name, "AAAA"])?.out.trim().to_owned())
}

/// Whether what somebody must never know is in any file of a folder.
fn lies_in(folder: &std::path::Path, secret: &[u8]) -> Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let found = if path.is_dir() {
            lies_in(&path, secret)?
        } else {
            std::fs::read(&path).is_ok_and(|bytes| bytes.windows(secret.len()).any(|part| part == secret))
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Nobody begins anything with a phone.
fn nobody_begins(phone: &Host, at: &str, others: &[&Host]) -> Result<()> {
    let _port = serve(phone, "9000")?;
    let back = format!("http://[{at}]:9000/");
    eventually(30, "the phone serves itself", || fetch(phone, &back))?;
    for other in others {
        ensure!(!fetch(other, &back)?, "somebody reached into a phone");
    }
    Ok(())
}

#[test]
fn a_phone_reaches_what_the_log_opens_wherever_it_is_and_is_out_at_once() -> Result<()> {
    story("a_phone_reaches_what_the_log_opens", |story| {
        let (attic, vps) = (story.host("attic")?, story.host("vps")?);
        let street = story.router()?;
        let (far, thief) = (story.host_behind(&street, "far")?, story.host("thief")?);
        let (mut one, mut gateway) = (attic.node()?, vps.node()?);
        house(&mut one, &mut gateway)?;
        let file = story.folder().join("ann.conf");
        let told = add(&one, "ann's phone", &file, &[])?;
        ensure!(told.gateway == "vps", "{told:?}");

        // Its secret is in one file, which others cannot read.
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file)?) & 0o777;
        ensure!(mode == 0o600, "{mode:o}");
        let config = std::fs::read_to_string(&file)?;
        let secret = config.lines().find_map(|line| line.strip_prefix("PrivateKey = ")).context("a key")?;
        for home in [one.home(), gateway.home()] {
            ensure!(!lies_in(home, secret.as_bytes())?, "the secret key is in {}", home.display());
        }
        let again = file.to_string_lossy().into_owned();
        one.cli(&["net", "phone", "add", "other", "--out", &again])?.refused(1, &["there already"])?;
        ensure!(one.ask::<Vec<NetPhone>>(&["net", "phone", "list"])?.len() == 1, "one more was let in");

        story.file("attic/large", 64 << 20, 1)?;
        let (_page, _other) = (serve(&attic, "8080")?, serve(&attic, "8081")?);
        let made = ["net", "service", "add", "wiki", "--node", "attic", "--port", "8080"];
        let wiki: NetService = one.ask(&made)?;
        let attic_at = address_of(&one, "attic")?;

        let phone = Phone::up(&far, &config)?;
        eventually(30, "the phone reaches its gateway", || phone.pings(&told.dns))?;
        eventually(30, "and a server beyond it", || phone.pings(&attic_at))?;
        let page = format!("http://[{}]:8080/", wiki.address);
        eventually(30, "and a service", || fetch(&far, &page))?;
        ensure!(!fetch(&far, &format!("http://[{attic_at}]:8081/"))?, "nothing opens this one");
        let name = until(30, "it is told names", || {
            let told = asked(&far, &told.dns, "wiki.the-smiths.internal")?;
            ensure!(told == wiki.address, "{told}");
            Ok(told)
        });
        ensure!(name? == wiki.address);
        let explained: Explanation = one.ask(&["net", "policy", "explain", "ann's phone", "wiki"])?;
        ensure!(
            explained.answers.len() == 1 && explained.answers.iter().all(|it| it.allowed),
            "{explained:?}"
        );
        until(30, "the gateway says what it has seen", || {
            let seen = listed(&gateway, "ann's phone")?.seen.context("nothing was seen")?;
            ensure!(seen.received > 0 && seen.sent > 0 && seen.from.starts_with("10.77."), "{seen:?}");
            Ok(())
        })?;
        nobody_begins(&far, &told.address, &[&attic, &vps])?;

        // It goes somewhere else, while something comes.
        let large = format!("http://[{}]:8080/large", wiki.address);
        let mut slow = far.command("curl");
        let patience = ["--limit-rate", "4M", "--speed-limit", "1000", "--speed-time", "30", "-m", "120"];
        slow.args(["-sS", "-g", "-o", "/dev/null"]).args(patience).arg(&large);
        let mut slow = Running(slow.stderr(Stdio::null()).spawn()?);
        let before = listed(&gateway, "ann's phone")?.seen.context("nothing was seen")?;
        until(20, "it has begun", || {
            let now = listed(&gateway, "ann's phone")?.seen.context("nothing was seen")?;
            ensure!(now.sent > before.sent + (4 << 20), "{now:?}");
            Ok(())
        })?;
        phone.moves(99)?;
        ensure!(slow.0.try_wait()?.is_none(), "it ended before the phone moved");
        eventually(30, "it is there again", || phone.pings(&attic_at))?;
        let ended = until(120, "what was under way arrives", || slow.0.try_wait()?.context("it goes on"))?;
        ensure!(ended.success(), "a connection was lost when the phone moved: {ended}");

        out_at_once(&one, &phone, &attic_at)?;
        // As it was, or as somebody has it who stole the file.
        drop(phone);
        for host in [&far, &thief] {
            let stolen = Phone::up(host, &config)?;
            ensure!(!stolen.pings(&told.dns)? && !stolen.pings(&attic_at)?, "what was ended lets in");
            ensure!(!stolen.has_shaken_hands()?, "the gateway answered a key that was ended");
        }
        ensure!(listed(&one, "ann's phone").is_err());
        Ok(())
    })
}

/// A phone that is ended is out within two seconds, whatever goes on.
fn out_at_once(one: &Node<'_>, phone: &Phone<'_>, to: &str) -> Result<()> {
    let answers = phone.goes_on_pinging(to)?;
    until(30, "it still pings", || answers.last())?;
    one.cli(&["net", "phone", "end", "ann's phone"])?.good()?;
    let ended = SystemTime::now().duration_since(UNIX_EPOCH)?;
    eventually(30, "it is out", || Ok(!phone.pings(to)?))?;
    // As ping saw it, however late this program comes to look.
    let took = answers.last()?.saturating_sub(ended);
    ensure!(took < AT_ONCE, "a phone that was ended was in for {took:?}");
    println!("out after {took:?}");
    Ok(())
}

#[test]
fn a_phone_goes_with_its_person_and_with_the_machine_that_let_it_in() -> Result<()> {
    story("a_phone_goes_with_its_person", |story| {
        let (attic, vps, pad) = (story.host("attic")?, story.host("vps")?, story.host("pad")?);
        let (far, near) = (story.host("far")?, story.host("near")?);
        let (mut one, mut gateway, mut laptop) = (attic.node()?, vps.node()?, pad.node()?);
        house(&mut one, &mut gateway)?;
        laptop.join(&one.invite(&["--laptop", "--device"])?, "pad")?;
        one.cli(&["person", "add", "bo"])?.good()?;

        // Nobody takes phones in at another gateway, and a person has to be one.
        let no = |code, more: &[&str], words: &[&str]| {
            one.cli(&[&["net", "phone", "add", "x"], more].concat())?.refused(code, words).map(drop)
        };
        until(30, "the door is known", || one.cli(&["net", "phone", "add", "x", "--dry-run"])?.good())?;
        no(1, &["--gateway", "attic"], &["takes no phones in", "--phone-listen"])?;
        no(1, &["--person", "nobody-at-all"], &["there is no person"])?;
        no(2, &["--until", "yesterday"], &["is no end"])?;
        ensure!(one.ask::<Vec<NetPhone>>(&["net", "phone", "list"])?.is_empty(), "one was let in");

        let (mine, theirs) = (story.folder().join("mine.conf"), story.folder().join("bo.conf"));
        let told = add(&one, "bo's phone", &theirs, &["--person", "bo", "--until", "90d"])?;
        ensure!(listed(&one, "bo's phone")?.person == "bo");
        let bo = Phone::up(&far, &std::fs::read_to_string(&theirs)?)?;
        // A laptop is not believed about names, so its phone has none.
        let made = add(&laptop, "mine", &mine, &[])?;
        let ann = Phone::up(&near, &std::fs::read_to_string(&mine)?)?;
        for phone in [&bo, &ann] {
            eventually(30, "both are in", || phone.pings(&told.dns))?;
        }

        one.cli(&["--yes", "node", "suspend", "pad"])?.good()?;
        eventually(30, "the laptop's phone is out with it", || Ok(!ann.pings(&told.dns)?))?;
        let phones: Vec<NetPhone> = one.ask(&["net", "phone", "list"])?;
        let why = phones.into_iter().find(|phone| phone.id == made.id).and_then(|phone| phone.refused);
        ensure!(why.as_deref() == Some("the device that let it in has lost its rights"), "{why:?}");
        eventually(20, "somebody else's phone stays", || bo.pings(&told.dns))?;
        one.cli(&["--yes", "person", "erase", "bo"])?.good()?;
        eventually(30, "bo's phone is out with bo", || Ok(!bo.pings(&told.dns)?))?;

        // Without the option, nobody is told of a door any more.
        gateway.stop()?;
        gateway.resume()?;
        until(30, "the door is no more", || {
            one.cli(&["net", "phone", "add", "x", "--dry-run"])?.refused(1, &["no gateway of the realm"])
        })?;
        Ok(())
    })
}
