//! Commands that ask a running node over its socket.

use std::path::Path;

use freehold_api::{
    Client, NewBucket, NewInvitation, NewName, Phrase, Problem, VerifyEvent, VerifyReport, words,
};
use futures::StreamExt as _;

use crate::args::{BucketCommand, Command, GuardiansCommand, Invite, NodeCommand, RealmCommand};
use crate::render;
use crate::terminal::{Terminal, qr};

/// The largest exported log that is read, in bytes: a hundred times what a busy realm of ten years
/// has.
const LOG_MAX: u64 = 1 << 30;

pub(crate) async fn ask(terminal: Terminal, home: &Path, command: Command) -> Result<(), Problem> {
    let client = Client::over_socket(home.join("control.sock"));
    match command {
        Command::Stop => client.shut_down().await,
        Command::Status => {
            let status = client.status().await?;
            show(terminal, &status, render::status)
        }
        Command::Doctor => {
            let doctor = client.doctor().await?;
            show(terminal, &doctor, render::doctor)
        }
        Command::Console { sign_out } => console(terminal, &client, sign_out).await,
        Command::Invite(wish) => invite(terminal, &client, wish).await,
        Command::Bucket { command } => bucket(terminal, &client, command).await,
        Command::Node { command } => node(terminal, &client, command).await,
        Command::Realm { command } => realm(terminal, &client, command).await,
        Command::Guardians { command: GuardiansCommand::Test } => guardians(terminal, &client).await,
        Command::Up(_)
        | Command::Demo(_)
        | Command::Join(_)
        | Command::Recover(_)
        | Command::Openapi
        | Command::Completions { .. }
        | Command::Man { .. } => Err(crate::up::bug("the command was not carried out", "it asks no node")),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the last line of most commands")]
fn show<T: serde::Serialize>(
    terminal: Terminal,
    value: &T,
    text: impl Fn(&T) -> String,
) -> Result<(), Problem> {
    if terminal.json {
        terminal.answer_json(value);
    } else {
        terminal.answer(text(value));
    }
    Ok(())
}

async fn console(terminal: Terminal, client: &Client, sign_out: bool) -> Result<(), Problem> {
    if sign_out {
        client.sign_out_everywhere().await?;
        terminal.say("every browser is signed out");
    }
    let code = client.new_setup_code().await?;
    let endpoints = client.status().await?.endpoints;
    show(terminal, &code, |code| {
        let mut out: Vec<String> =
            endpoints.console.iter().map(|at| format!("  console      {at}")).collect();
        out.push(format!(
            "  set-up code  {}    (good once, for {})",
            code.code,
            words::span(code.lapses_in_ms)
        ));
        out.extend(endpoints.fingerprint.as_deref().map(crate::up::certificate));
        out.join("\n")
    })
}

async fn invite(terminal: Terminal, client: &Client, wish: Invite) -> Result<(), Problem> {
    let roles = wish.roles.iter().map(|role| role.parse()).collect::<Result<Vec<_>, Problem>>()?;
    let made =
        client.invite(&NewInvitation { roles, hours: wish.hours, device: wish.device, name: None }).await?;
    show(terminal, &made, |made| {
        let code = terminal.is_interactive().then(|| qr(&made.text)).flatten();
        format!(
            "On the other machine, within {}, once:\n\n  freehold join {}\n{}",
            words::count(wish.hours.into(), "hour"),
            made.text,
            code.map(|code| format!("\n{code}")).unwrap_or_default()
        )
    })
}

async fn bucket(terminal: Terminal, client: &Client, command: BucketCommand) -> Result<(), Problem> {
    match command {
        BucketCommand::Create { name, copies, confirm } => {
            let wish = NewBucket { name, copies: copies.into(), confirm: confirm.into() };
            let made = client.create_bucket(&wish).await?;
            show(terminal, &made, render::bucket)
        }
        BucketCommand::List => {
            let all = client.buckets().await?;
            show(terminal, &all, |all| all.iter().map(render::bucket).collect::<Vec<_>>().join("\n"))
        }
        BucketCommand::Verify { name, no_repair } => {
            let report = verify(terminal, client, &name, !no_repair).await?;
            show(terminal, &report, render::verified)?;
            if report.is_damaged() {
                return Err(Problem::corrupt(
                    format!("{name} is damaged"),
                    "some of it could not be repaired from another node",
                    Some("bring a node that holds a good copy online, then: freehold bucket verify NAME"),
                ));
            }
            Ok(())
        }
        BucketCommand::Delete { name, dry_run: true } => {
            terminal.answer(format!("Would delete {name} if it is empty."));
            Ok(())
        }
        BucketCommand::Delete { name, dry_run: false } => {
            client.delete_bucket(&name).await?;
            terminal.say(format!("deleted {name}"));
            Ok(())
        }
    }
}

async fn verify(
    terminal: Terminal,
    client: &Client,
    name: &str,
    repair: bool,
) -> Result<VerifyReport, Problem> {
    let mut events = client.verify_bucket(name, repair).await?;
    let bar = if terminal.is_interactive() {
        indicatif::ProgressBar::new_spinner()
    } else {
        indicatif::ProgressBar::hidden()
    };
    while let Some(event) = events.next().await {
        match event? {
            VerifyEvent::Progress { blobs, bytes } => {
                bar.set_message(format!("{}, {}", words::count(blobs, "blob"), words::bytes(bytes)));
                bar.tick();
            }
            VerifyEvent::Done(report) => {
                bar.finish_and_clear();
                return Ok(report);
            }
            VerifyEvent::Failed(problem) => {
                bar.finish_and_clear();
                return Err(problem);
            }
        }
    }
    Err(Problem::unreachable(
        "the verification broke off",
        "the node stopped answering",
        Some("freehold status"),
    ))
}

async fn node(terminal: Terminal, client: &Client, command: NodeCommand) -> Result<(), Problem> {
    match command {
        NodeCommand::List => {
            let status = client.status().await?;
            show(terminal, &status.nodes, |nodes| {
                let lines = nodes.iter().map(|node| render::node(node, node.id == status.this_node));
                lines.collect::<Vec<_>>().join("\n")
            })
        }
        NodeCommand::Suspend { node, dry_run: true } => {
            terminal.answer(format!("Would suspend {node}: it could no longer read, write or connect."));
            Ok(())
        }
        NodeCommand::Suspend { node, dry_run: false } => {
            client.suspend_node(&node).await?;
            terminal.say(format!("{node} is suspended"));
            Ok(())
        }
        NodeCommand::Lift { node } => {
            client.lift_node(&node).await?;
            terminal.say(format!("{node} is back in"));
            Ok(())
        }
        NodeCommand::Rename { node, name } => {
            client.rename_node(&node, &NewName { name: name.clone() }).await?;
            terminal.say(format!("{node} is now {name}"));
            Ok(())
        }
    }
}

async fn realm(terminal: Terminal, client: &Client, command: RealmCommand) -> Result<(), Problem> {
    match command {
        RealmCommand::Export { file } => {
            let log = client.export_log().await?;
            if file.as_os_str() == "-" {
                std::io::Write::write_all(&mut std::io::stdout(), &log)
            } else {
                std::fs::File::create(&file).and_then(|mut out| {
                    std::io::Write::write_all(&mut out, &log)?;
                    out.sync_all()
                })
            }
            .map_err(|e| {
                Problem::refused(
                    format!("cannot write {}", file.display()),
                    e.to_string(),
                    Some("name another file"),
                )
            })?;
            terminal.say(format!("wrote {}", words::bytes(log.len() as u64)));
            Ok(())
        }
        RealmCommand::Import { file } => {
            let report = client.import_log(read_file(&file)?.into()).await?;
            show(terminal, &report, |report| {
                let new = words::count(report.new, "new operation");
                format!("{new}, {} known, {} refused", report.known, report.refused)
            })
        }
        RealmCommand::Card => {
            let card = client.card().await?;
            show(terminal, &card, |card| {
                format!("Keep this with the guardian phrases; it is no secret.\n\n  {}", card.text)
            })
        }
        RealmCommand::Audit { .. } => Err(crate::up::bug("the audit was not carried out", "it asks no node")),
    }
}

async fn guardians(terminal: Terminal, client: &Client) -> Result<(), Problem> {
    let Some(phrase) = terminal.ask("A guardian phrase, all twelve words:") else {
        return Err(Problem::invalid(
            "a guardian phrase is tested by typing it",
            "there is no terminal to ask on",
            Some("run it in a terminal: freehold guardians test"),
        ));
    };
    let outcome = client.test_guardian(&Phrase { phrase: phrase.to_string() }).await?;
    terminal.clear();
    show(terminal, &outcome, |test| {
        format!(
            "It is the phrase of guardian {} of {}. Tested so far: {}; {} can recover the realm.",
            test.guardian, test.guardians, test.tested, test.needed
        )
    })
}

pub(crate) fn read_file(file: &Path) -> Result<Vec<u8>, Problem> {
    let problem =
        |why: String| Problem::invalid(format!("cannot read {}", file.display()), why, None::<&str>);
    let size = std::fs::metadata(file).map_err(|e| problem(e.to_string()))?.len();
    if size > LOG_MAX {
        return Err(problem(format!("{} is more than any log", words::bytes(size))));
    }
    std::fs::read(file).map_err(|e| problem(e.to_string()))
}
