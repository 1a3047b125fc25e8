//! `up`, `join` and `recover`: the commands that end in a running node.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use freehold_api::{FoundRealm, Problem, ProblemKind, WhatIsLeft};
use zeroize::Zeroizing;

use crate::args;
use crate::found;
use crate::host::{Founding, Host, Ready, RunOptions};
use crate::service::Service;
use crate::terminal::{Terminal, qr};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Turns the command line's wishes into options, with the defaults and why they are so.
pub(crate) fn options(run: &args::Run) -> RunOptions {
    RunOptions {
        // Loopback: nothing is offered to a network before its person says so.
        listen: run.listen.unwrap_or(LOOPBACK),
        // Apart from the console: S3 has no encryption of its own.
        s3_listen: run.s3_listen.unwrap_or(LOOPBACK),
        s3_port: run.s3_port.unwrap_or(9000),
        s3_domains: run.s3_domain.clone(),
        website_domains: run.website_domain.clone(),
        console_port: run.console_port.unwrap_or(8443),
        mesh_port: run.mesh_port.unwrap_or(4433),
        relay: run.relay,
        no_tun: run.no_tun,
        door_listen: run.door_listen.clone(),
        door_ports: run.door_ports.unwrap_or((443, 80)),
        certificates_hook: run.certificates_hook.clone(),
        no_packets: run.no_packets,
        socks: run.socks,
        http_proxy: run.http_proxy,
        proxy_for_others: run.proxy_for_others,
        no_port_mapping: run.no_port_mapping,
        dns: run.dns.clone(),
        dns_port: 5300,
        phone_listen: run.phone_listen,
        phone_endpoint: run.phone_endpoint.clone(),
        log_json: run.log_json,
    }
}

pub(crate) async fn up(
    host: &dyn Host,
    terminal: Terminal,
    home: &Path,
    up: &args::Up,
) -> Result<(), Problem> {
    let service = if up.install_service { Some(Service::plan(home)?) } else { None };
    if service.as_ref().is_some_and(|service| service.takes() && host.is_running(home)) {
        return Err(Problem::refused(
            "no service was installed",
            "a node runs in this home as root, and the service is to run as a user of its own",
            Some("systemctl stop freehold, or freehold stop, then the same again"),
        ));
    }
    if service.as_ref().is_some_and(Service::is_theirs) {
        // Nothing is founded in, or judged of, what belongs to another user.
    } else if !host.has_node(home)? {
        let name = match &up.name {
            Some(name) => name.clone(),
            None => terminal
                .ask("A name for your realm (your family, group or firm) [home]:")
                .filter(|name| !name.is_empty())
                .map_or_else(|| "home".to_owned(), |name| name.to_string()),
        };
        let founding = host.found(home, &name, &host_name())?;
        hand_over_phrases(host, terminal, home, founding, up.guardians_file.as_deref())?;
    } else if up.guardians_file.is_some() {
        terminal.say("This home already holds a node; --guardians-file is for a new realm only.");
    }
    if let Some(service) = service {
        return service.install(terminal, &up.run);
    }
    let other_name = |ready: &Ready| {
        let name = up.name.as_ref().filter(|name| **name != ready.realm)?;
        Some(format!(
            "this home already holds a node of {}: --name {name} is for a new realm only",
            ready.realm
        ))
    };
    run(host, terminal, home, &up.run, &other_name).await
}

pub(crate) async fn join(
    host: &dyn Host,
    terminal: Terminal,
    home: &Path,
    join: &args::Join,
) -> Result<(), Problem> {
    if host.has_node(home)? {
        return Err(Problem::refused(
            "cannot join a realm from this home",
            format!("{} already holds a node", home.display()),
            Some("freehold up    (resumes it), or use another --home"),
        ));
    }
    let text = invitation(terminal, join.invitation.as_deref())?;
    let name = join.name.clone().unwrap_or_else(host_name);
    host.join(home, text.trim(), &name).await?;
    run(host, terminal, home, &join.run, &|ready| numbered(&name, &ready.node)).await
}

/// Runs the node; `note` says what else its person should know once it is up.
async fn run(
    host: &dyn Host,
    terminal: Terminal,
    home: &Path,
    run: &args::Run,
    note: &(dyn Fn(&Ready) -> Option<String> + Sync),
) -> Result<(), Problem> {
    let ready = |mut ready: Ready| {
        ready.notes.extend(note(&ready));
        announce(terminal, home, &ready);
    };
    host.run(home, options(run), &ready).await
}

/// That a machine did not get the name it wished for.
fn numbered(wish: &str, name: &str) -> Option<String> {
    let number = name.strip_prefix(wish)?.strip_prefix('-')?;
    number.parse::<u32>().ok()?;
    Some(format!("another machine is called {wish}, so this one is {name}"))
}

/// The text of an invitation: it is a secret until it is used, and what stands behind a command is not.
fn invitation(terminal: Terminal, given: Option<&str>) -> Result<Zeroizing<String>, Problem> {
    match given {
        Some("-") => {
            let mut line = Zeroizing::new(String::new());
            std::io::stdin().read_line(&mut line).map_err(|e| {
                Problem::invalid(
                    "cannot read the invitation from standard input",
                    e.to_string(),
                    None::<&str>,
                )
            })?;
            Ok(line)
        }
        Some(text) => Ok(Zeroizing::new(text.to_owned())),
        None => terminal.ask("Paste the invitation:").ok_or_else(|| {
            Problem::invalid(
                "no invitation was given",
                "there is nobody to ask for it",
                Some("freehold join -    (reads it from standard input)"),
            )
        }),
    }
}

pub(crate) async fn recover(
    host: &dyn Host,
    terminal: Terminal,
    home: &Path,
    recover: &args::Recover,
) -> Result<(), Problem> {
    if host.has_node(home)? {
        terminal.say("This home already holds a node, so nothing is recovered; it is started.");
        return run(host, terminal, home, &recover.run, &|_| None).await;
    }
    if let Some(card) = &recover.card {
        host.check_card(card)?;
    }
    let phrases = match &recover.guardians_file {
        Some(file) => read_phrases(host, file)?,
        None => ask_phrases(host, terminal)?,
    };
    let left = what_is_left(terminal, recover)?;
    terminal.say(match left {
        WhatIsLeft::Nodes { .. } => "Asking the nodes that the card names ...",
        WhatIsLeft::Backend { .. } => "Reading what lies on the store ...",
        WhatIsLeft::Folder { .. } | WhatIsLeft::Bucket { .. } => "Reading what lies beside the backup ...",
    });
    let name = recover.name.clone().unwrap_or_else(host_name);
    let agree = |found: &FoundRealm| found::agree(terminal, found, recover.incomplete);
    host.recover(home, &left, phrases, &name, &agree).await?;
    terminal.say(
        "The guardians' recovery is written into the realm's log. It takes effect in 72 hours, unless an \
         admin vetoes it.\nUntil then this machine reads everything and changes nothing; leave it running.",
    );
    run(host, terminal, home, &recover.run, &|ready| numbered(&name, &ready.node)).await
}

fn what_is_left(terminal: Terminal, recover: &args::Recover) -> Result<WhatIsLeft, Problem> {
    if let Some(dir) = &recover.backup {
        let path = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
        return Ok(WhatIsLeft::Folder { path: path.to_string_lossy().into_owned() });
    }
    let mut stores = crate::backend::stores(terminal, recover.at.clone())?;
    match (&recover.card, stores.len()) {
        (Some(card), 0) => Ok(WhatIsLeft::Nodes { card: card.clone() }),
        (Some(card), _) => Ok(WhatIsLeft::Backend { card: card.clone(), stores }),
        (None, 1) => Ok(WhatIsLeft::Bucket { store: Box::new(stores.remove(0)) }),
        (None, _) => Err(Problem::invalid(
            "the realm was not recovered",
            "a backup lies in one bucket",
            Some("name that alone by --s3 and --bucket; or give --card, for the stores of a backend"),
        )),
    }
}

pub(crate) fn host_name() -> String {
    std::fs::read_to_string("/etc/hostname")
        .ok()
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "node".to_owned())
}

/// Set-up ends only when the phrases have left the machine, or when it is on record that they
/// have not.
fn hand_over_phrases(
    host: &dyn Host,
    terminal: Terminal,
    home: &Path,
    founding: Box<dyn Founding>,
    file: Option<&Path>,
) -> Result<(), Problem> {
    if let Some(file) = file {
        write_phrases(file, founding.phrases())?;
        terminal.say(format!(
            "WARNING: the guardian phrases are in {}. Whoever reads two of them owns the realm. Move each to \
             another place (paper, a friend), delete the file, then: freehold guardians test",
            file.display()
        ));
        return founding.finish(Some(file), None);
    }
    if !terminal.can_ask() {
        let mut file = home.as_os_str().to_owned();
        file.push(".guardians");
        let file = std::path::PathBuf::from(file);
        write_phrases(&file, founding.phrases())?;
        terminal.say(format!(
            "WARNING: no terminal to show the guardian phrases on, so they are in {} (0600). Move each to \
             another place, delete the file, then: freehold guardians test",
            file.display()
        ));
        return founding.finish(Some(&file), None);
    }
    show_phrases(terminal, founding.phrases());
    let typed = type_one_back(host, terminal, founding.phrases())?;
    terminal.clear();
    founding.finish(None, Some(typed))
}

fn show_phrases(terminal: Terminal, phrases: &[Zeroizing<String>]) {
    terminal.say("\nThree guardian phrases. Any two of them get this realm back if every machine is lost;");
    terminal.say("they are shown only now and kept nowhere. Write each on its own paper, keep them apart.\n");
    for (at, phrase) in phrases.iter().enumerate() {
        let words: Vec<&str> = phrase.split(' ').collect();
        terminal.say(format!("  Guardian {}", at + 1));
        for (row, chunk) in words.chunks(4).enumerate() {
            let numbered: Vec<String> = chunk
                .iter()
                .enumerate()
                .map(|(i, word)| format!("{:>2} {word:<10}", row * 4 + i + 1))
                .collect();
            terminal.say(format!("    {}", numbered.join(" ")));
        }
        terminal.say("");
    }
}

fn type_one_back(
    host: &dyn Host,
    terminal: Terminal,
    phrases: &[Zeroizing<String>],
) -> Result<usize, Problem> {
    for _ in 0..10 {
        let Some(typed) = terminal.ask("Type one of them back, all twelve words:") else { break };
        match host.phrase(&typed) {
            Ok(typed) => {
                if let Some(at) = phrases.iter().position(|phrase| *phrase == typed) {
                    return Ok(at);
                }
                terminal.say("That is a phrase, but none of these three. Try again.");
            }
            Err(problem) => terminal.say(format!("Not yet: {}. Try again.", problem.why)),
        }
    }
    Err(Problem::refused(
        "no realm was made",
        "no guardian phrase was typed back, so nobody could get the realm back after a loss",
        Some("freehold up"),
    ))
}

fn write_phrases(file: &Path, phrases: &[Zeroizing<String>]) -> Result<(), Problem> {
    let problem = |e: std::io::Error| {
        Problem::refused(
            format!("cannot write the guardian phrases to {}", file.display()),
            e.to_string(),
            Some("name a new file in a folder you can write to: --guardians-file FILE"),
        )
    };
    if let Some(dir) = file.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        std::fs::create_dir_all(dir).map_err(problem)?;
    }
    // `create_new`: an older realm's phrases are never overwritten.
    let mut out =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(problem)?;
    for phrase in phrases {
        writeln!(out, "{}", phrase.as_str()).map_err(problem)?;
    }
    out.sync_all().map_err(problem)
}

const NEED_TWO: &str = "write two guardian phrases into the file, one a line";

fn read_phrases(host: &dyn Host, file: &Path) -> Result<Vec<Zeroizing<String>>, Problem> {
    let what = || format!("{} cannot be used", file.display());
    let text = std::fs::read_to_string(file)
        .map(Zeroizing::new)
        .map_err(|e| Problem::invalid(what(), e.to_string(), Some(NEED_TWO)))?;
    let mut phrases: Vec<Zeroizing<String>> = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let bad = |why: String| Problem::invalid(what(), format!("line {}: {why}", at + 1), Some(NEED_TWO));
        let phrase = host.phrase(line).map_err(|problem| bad(problem.why))?;
        if phrases.contains(&phrase) {
            return Err(bad("this phrase stands above already".to_owned()));
        }
        phrases.push(phrase);
    }
    match phrases.len() {
        0 => Err(Problem::invalid(what(), "there is no phrase in it", Some(NEED_TWO))),
        _ => Ok(phrases),
    }
}

fn ask_phrases(host: &dyn Host, terminal: Terminal) -> Result<Vec<Zeroizing<String>>, Problem> {
    let mut phrases: Vec<Zeroizing<String>> = Vec::new();
    for _ in 0..10 {
        let Some(typed) = terminal.ask(&format!("Guardian phrase {}:", phrases.len() + 1)) else {
            return Err(Problem::invalid(
                "guardian phrases are needed",
                "there is no terminal to ask for them",
                Some("freehold recover --card CARD --guardians-file FILE"),
            ));
        };
        match host.phrase(&typed) {
            Ok(phrase) if phrases.contains(&phrase) => {
                terminal.say("You typed that one already: another guardian's is needed.");
            }
            Ok(phrase) => phrases.push(phrase),
            Err(problem) => terminal.say(format!("Not yet: {}. Try again.", problem.why)),
        }
        if phrases.len() == 2 {
            terminal.clear();
            return Ok(phrases);
        }
    }
    Err(Problem::invalid(
        "the realm was not recovered",
        "two guardian phrases are needed",
        Some("look at the papers, then type the same command again"),
    ))
}

pub(crate) fn announce(terminal: Terminal, home: &Path, ready: &Ready) {
    if terminal.json {
        terminal.answer_json(ready);
        return;
    }
    terminal.answer(format!("\n{} is up on {}, after {} ms.\n", ready.realm, ready.node, ready.ready_ms));
    for note in ready.moved.iter().chain(&ready.notes) {
        terminal.answer(format!("  note         {note}"));
    }
    for address in &ready.console {
        terminal.answer(format!("  console      {address}"));
    }
    terminal.answer(format!("  set-up code  {}", ready.setup_code));
    if let Some(at) = ready.console.first() {
        terminal.answer(link(at, &ready.setup_link));
    }
    terminal.answer(certificate(&ready.fingerprint));
    for address in std::iter::once(&ready.s3).chain(&ready.s3_others) {
        terminal.answer(format!("  S3 endpoint  {address}"));
    }
    terminal.answer(format!("  credentials  {}", ready.s3_credentials));
    if let Some(relay) = &ready.relay {
        terminal.answer(format!("  relay        {relay}"));
    }
    if terminal.is_interactive()
        && let Some(more) = for_a_phone(&ready.console, &ready.setup_link)
    {
        terminal.answer(more);
    }
    // Not always the home of this command: a demonstration has one of its own.
    let terminal = Terminal { home: crate::terminal::told_home(home), ..terminal };
    let next = "freehold status    (in another terminal; Ctrl-C here stops the node)";
    terminal.answer(format!("\n  next         {next}"));
}

/// The set-up code as a link, which is looked at even while others guess codes.
pub(crate) fn link(console: &str, code: &str) -> String {
    format!("  or open      {console}/#{code}")
}

/// A QR code of the first address that another machine can open, or how there comes to be one.
pub(crate) fn for_a_phone(console: &[String], code: &str) -> Option<String> {
    let here = |at: &&String| at.contains("//localhost:") || at.contains("//127.") || at.contains("//[::1]");
    match console.iter().find(|at| !here(at)) {
        Some(at) => qr(&format!("{at}/#{code}")).map(|code| format!("\n{code}")),
        None => Some(
            "  phone        freehold up --listen 0.0.0.0    (opens the console to your network)".to_owned(),
        ),
    }
}

/// A fingerprint in two rows, which are compared more easily than one that breaks anywhere.
pub(crate) fn certificate(fingerprint: &str) -> String {
    let middle = fingerprint.len() / 2 + 1;
    match fingerprint.split_at_checked(middle) {
        Some((first, second)) if first.ends_with(':') => {
            format!("  certificate  SHA-256 {first}\n{:23}{second}", "")
        }
        _ => format!("  certificate  SHA-256 {fingerprint}"),
    }
}

/// Names a failure of the command line itself.
pub(crate) fn bug(what: &str, why: impl std::fmt::Display) -> Problem {
    Problem { kind: ProblemKind::Bug, what: what.to_owned(), why: why.to_string(), next: None }
}
