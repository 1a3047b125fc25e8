//! `up`, `join` and `recover`: the commands that end in a running node.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use freehold_api::{Problem, ProblemKind};
use zeroize::Zeroizing;

use crate::args;
use crate::host::{Founding, Host, Ready, RunOptions};
use crate::terminal::{Terminal, qr};

/// Turns the command line's wishes into options, with the defaults and why they are so.
pub(crate) fn options(run: &args::Run) -> RunOptions {
    RunOptions {
        // Loopback: nothing is offered to a network before its person says so.
        listen: run.listen.unwrap_or(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
        s3_port: run.s3_port.unwrap_or(9000),
        console_port: run.console_port.unwrap_or(8443),
        mesh_port: run.mesh_port.unwrap_or(4433),
        relay: run.relay,
        log_json: run.log_json,
    }
}

pub(crate) async fn up(
    host: &dyn Host,
    terminal: Terminal,
    home: &Path,
    up: &args::Up,
) -> Result<(), Problem> {
    if !host.has_node(home)? {
        let name = match &up.name {
            Some(name) => name.clone(),
            None => terminal
                .ask("A name for your realm (your family, group or firm) [home]:")
                .filter(|name| !name.is_empty())
                .map_or_else(|| "home".to_owned(), |name| name.to_string()),
        };
        let founding = host.found(home, &name, &host_name())?;
        hand_over_phrases(terminal, home, founding, up.guardians_file.as_deref())?;
    } else if up.name.is_some() || up.guardians_file.is_some() {
        terminal.say("This home already holds a node; --name and --guardians-file are for a new realm only.");
    }
    if up.install_service {
        return crate::service::install(terminal, home, &up.run);
    }
    host.run(home, options(&up.run), &|ready| announce(terminal, &ready)).await
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
    let text = if join.invitation == "-" {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map_err(|e| {
            Problem::invalid("cannot read the invitation from standard input", e.to_string(), None::<&str>)
        })?;
        Zeroizing::new(line)
    } else {
        Zeroizing::new(join.invitation.clone())
    };
    let name = join.name.clone().unwrap_or_else(host_name);
    host.join(home, text.trim(), &name).await?;
    host.run(home, options(&join.run), &|ready| announce(terminal, &ready)).await
}

pub(crate) async fn recover(
    host: &dyn Host,
    terminal: Terminal,
    home: &Path,
    recover: &args::Recover,
) -> Result<(), Problem> {
    if !host.has_node(home)? {
        let phrases = match &recover.guardians_file {
            Some(file) => read_phrases(file)?,
            None => ask_phrases(terminal)?,
        };
        host.recover(home, &recover.card, phrases).await?;
    }
    host.run(home, options(&recover.run), &|ready| announce(terminal, &ready)).await
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
        let file = home.with_extension("guardians");
        write_phrases(&file, founding.phrases())?;
        terminal.say(format!(
            "WARNING: no terminal to show the guardian phrases on, so they are in {} (0600). Move each to \
             another place, delete the file, then: freehold guardians test",
            file.display()
        ));
        return founding.finish(Some(&file), None);
    }
    show_phrases(terminal, founding.phrases());
    let typed = type_one_back(terminal, founding.phrases())?;
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

fn type_one_back(terminal: Terminal, phrases: &[Zeroizing<String>]) -> Result<usize, Problem> {
    for _ in 0..10 {
        let Some(typed) = terminal.ask("Type one of them back, all twelve words:") else { break };
        let typed =
            Zeroizing::new(typed.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" "));
        if let Some(at) = phrases.iter().position(|phrase| phrase.as_str() == typed.as_str()) {
            return Ok(at);
        }
        terminal.say("That is none of the three. Look at the words and their order, and try again.");
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

fn read_phrases(file: &Path) -> Result<Vec<Zeroizing<String>>, Problem> {
    let text = std::fs::read_to_string(file).map(Zeroizing::new).map_err(|e| {
        Problem::invalid(
            format!("cannot read {}", file.display()),
            e.to_string(),
            Some("write two phrases into a file, one a line"),
        )
    })?;
    Ok(text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| Zeroizing::new(line.to_owned()))
        .collect())
}

fn ask_phrases(terminal: Terminal) -> Result<Vec<Zeroizing<String>>, Problem> {
    let mut phrases = Vec::new();
    while phrases.len() < 2 {
        let Some(phrase) = terminal.ask(&format!("Guardian phrase {}:", phrases.len() + 1)) else {
            return Err(Problem::invalid(
                "guardian phrases are needed",
                "there is no terminal to ask for them",
                Some("freehold recover --card CARD --guardians-file FILE"),
            ));
        };
        phrases.push(phrase);
    }
    Ok(phrases)
}

pub(crate) fn announce(terminal: Terminal, ready: &Ready) {
    if terminal.json {
        terminal.answer_json(ready);
        return;
    }
    terminal.answer(format!("\n{} is up on {}, after {} ms.\n", ready.realm, ready.node, ready.ready_ms));
    for moved in &ready.moved {
        terminal.answer(format!("  note         {moved}"));
    }
    for address in &ready.console {
        terminal.answer(format!("  console      {address}"));
    }
    terminal.answer(format!("  set-up code  {}", ready.setup_code));
    terminal.answer(certificate(&ready.fingerprint));
    terminal.answer(format!("  S3 endpoint  {}", ready.s3));
    terminal.answer(format!("  credentials  {}", ready.s3_credentials));
    if let Some(relay) = &ready.relay {
        terminal.answer(format!("  relay        {relay}"));
    }
    if terminal.is_interactive()
        && let Some(address) = ready.console.first()
        && let Some(code) = qr(&format!("{address}/#{}", ready.setup_code))
    {
        terminal.answer(format!("\n{code}"));
    }
    terminal.answer("\n  next         freehold status    (in another terminal; Ctrl-C here stops the node)");
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
