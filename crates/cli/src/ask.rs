//! Commands that ask a running node over its socket.

use std::path::Path;
use std::time::{Duration, Instant};

use freehold_api::{
    BucketRules, Client, Endpoints, NO_NODE, NewBucket, NewInvitation, NewName, NewPrivateBucket, NodeStatus,
    Phrase, Problem, ProblemKind, Standing, VerifyEvent, VerifyReport, node_named, words,
};
use futures::StreamExt as _;

use crate::args::{BucketCommand, Command, GuardiansCommand, Invite, NodeCommand, QuotaCommand};
use crate::bucket_keys;
use crate::host::Host;
use crate::place;
use crate::render;
use crate::terminal::{Terminal, qr};

/// How often it is looked whether a node that was told to stop is gone, and how long: every plane
/// has its time, and few need it.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const STOP_WITHIN: Duration = Duration::from_mins(1);

pub(crate) async fn ask(
    host: &dyn Host,
    terminal: Terminal,
    home: &Path,
    command: Command,
) -> Result<(), Problem> {
    let client = Client::over_socket(home.join("control.sock"));
    match command {
        Command::Stop => stop(host, terminal, home, &client).await,
        Command::Status => {
            let status = client.status().await?;
            show(terminal, &status, render::status)
        }
        Command::Doctor => {
            let doctor = client.doctor().await?;
            show(terminal, &doctor, render::doctor)
        }
        Command::Metrics => {
            let text = client.metrics().await?;
            show(terminal, &text, |text| text.trim_end().to_owned())
        }
        Command::Console { backups: true, .. } => look(terminal, &client).await,
        Command::Console { sign_out, .. } => console(terminal, &client, sign_out).await,
        Command::Invite(wish) => invite(terminal, &client, wish).await,
        Command::Bucket { command } => bucket(terminal, &client, command).await,
        Command::Object { command } => crate::receipt::object(terminal, &client, command).await,
        Command::Receipt { command } => crate::receipt::receipt(terminal, &client, command).await,
        Command::Person { command } => crate::person::person(terminal, &client, command).await,
        Command::Node { command } => node(terminal, &client, command).await,
        Command::Usage => crate::quota::usage(terminal, &client).await,
        Command::Quota { command: QuotaCommand::Set(set) } => crate::quota::set(terminal, &client, set).await,
        Command::Grant { command } => crate::grant::grant(terminal, &client, command).await,
        Command::Pool { command } => crate::pool::pool(terminal, &client, command).await,
        Command::Net { command } => crate::net::net(terminal, &client, command).await,
        Command::Kv { command } => crate::kv::kv(terminal, &client, command).await,
        Command::Alarm { command } => crate::alarm::alarm(terminal, &client, command).await,
        Command::Backup { command } => crate::backup::backup(terminal, &client, command).await,
        Command::Backend { command } => crate::backend::backend(terminal, &client, command).await,
        Command::Key { command } => crate::key::key(terminal, &client, command).await,
        Command::Realm { command } => crate::realm::realm(terminal, &client, command).await,
        Command::Guardians { command: GuardiansCommand::Test } => guardians(terminal, &client).await,
        Command::Up(_)
        | Command::Demo(_)
        | Command::Join(_)
        | Command::Recover(_)
        | Command::Openapi
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Tenant { .. } => Err(crate::up::bug("the command was not carried out", "it asks no node")),
    }
}

/// Stops the node and waits until it is gone: whoever asked for that wants to start another, or to
/// switch the machine off.
async fn stop(host: &dyn Host, terminal: Terminal, home: &Path, client: &Client) -> Result<(), Problem> {
    match client.shut_down().await {
        // Its socket is gone already, but it is not.
        Err(problem) if problem.kind == ProblemKind::Unreachable && host.is_running(home) => {}
        Err(problem) if problem.why == NO_NODE => {
            terminal.done(true, format!("No node runs in {}: there is nothing to stop.", home.display()));
            return Ok(());
        }
        other => other?,
    }
    let asked = Instant::now();
    while host.is_running(home) {
        if asked.elapsed() > STOP_WITHIN {
            return Err(Problem::unreachable(
                "the node has not stopped yet",
                "it was asked a minute ago",
                Some("freehold stop    (waits on)"),
            ));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    terminal.done(true, "The node has stopped.");
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "the last line of most commands")]
pub(crate) fn show<T: serde::Serialize>(
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

/// What opens the console, for programs.
#[derive(serde::Serialize)]
struct Opens {
    setup_code: String,
    setup_link: String,
    lapses_in_ms: u64,
    console: Vec<String>,
    fingerprint: Option<String>,
}

async fn console(terminal: Terminal, client: &Client, sign_out: bool) -> Result<(), Problem> {
    if sign_out {
        client.sign_out_everywhere().await?;
        terminal.say("Every browser is signed out.");
    }
    let code = client.new_setup_code().await?;
    let Endpoints { console, fingerprint, .. } = client.status().await?.endpoints;
    let opens = Opens {
        setup_code: code.code.clone(),
        setup_link: code.link.clone(),
        lapses_in_ms: code.lapses_in_ms,
        console,
        fingerprint,
    };
    show(terminal, &opens, |opens| {
        let mut out: Vec<String> = opens.console.iter().map(|at| format!("  console      {at}")).collect();
        out.push(format!(
            "  set-up code  {}    (good once, for {})",
            opens.setup_code,
            words::span(opens.lapses_in_ms)
        ));
        out.extend(opens.console.first().map(|at| crate::up::link(at, &opens.setup_link)));
        out.extend(opens.fingerprint.as_deref().map(crate::up::certificate));
        if terminal.is_interactive() {
            out.extend(crate::up::for_a_phone(&opens.console, &opens.setup_link));
        }
        out.join("\n")
    })
}

/// What lets a browser look into backups, for programs.
#[derive(serde::Serialize)]
struct Looks {
    code: String,
    lapses_in_ms: u64,
    addresses: Vec<String>,
}

async fn look(terminal: Terminal, client: &Client) -> Result<(), Problem> {
    let code = client.new_reading_code().await?;
    let console = client.status().await?.endpoints.console;
    let addresses = console.iter().map(|at| format!("{}/backups/look", at.trim_end_matches('/'))).collect();
    let looks = Looks { code: code.code.clone(), lapses_in_ms: code.lapses_in_ms, addresses };
    show(terminal, &looks, |looks| {
        let mut out: Vec<String> = looks.addresses.iter().map(|at| format!("  backups      {at}")).collect();
        let lasts = words::span(looks.lapses_in_ms);
        out.push(format!("  code         {}    (good once, for {lasts})", looks.code));
        out.push(
            "In a browser that has signed in, it opens the backups of this machine for an hour.".to_owned(),
        );
        out.join("\n")
    })
}

async fn invite(terminal: Terminal, client: &Client, wish: Invite) -> Result<(), Problem> {
    let roles = if wish.laptop { Vec::new() } else { wish.roles };
    let roles = roles.iter().map(|role| role.parse()).collect::<Result<Vec<_>, Problem>>()?;
    let made = client.invite(&NewInvitation { roles, hours: wish.hours, device: wish.device }).await?;
    show(terminal, &made, |made| {
        let code = terminal.is_interactive().then(|| qr(&made.text)).flatten();
        format!(
            "On the other machine, within {}, once:\n\n  freehold join {}\n\n\
             or only freehold join, which asks for the text and leaves it in no history.\n{}",
            words::count(wish.hours.into(), "hour"),
            made.text,
            code.map(|code| format!("\n{code}")).unwrap_or_default()
        )
    })
}

async fn bucket(terminal: Terminal, client: &Client, command: BucketCommand) -> Result<(), Problem> {
    match command {
        BucketCommand::Create { name, copies, confirm, only_for, .. } if !only_for.is_empty() => {
            let wish = NewPrivateBucket { name, copies: copies.into(), confirm: confirm.into(), only_for };
            let made = client.create_private_bucket(&wish).await?;
            let nodes = client.nodes().await?;
            show(terminal, &made, |made| render::new_bucket(made, &nodes))
        }
        BucketCommand::Keys { name } => bucket_keys::keys(terminal, client, &name).await,
        BucketCommand::Rotate { name, rewrap } => bucket_keys::rotate(terminal, client, name, rewrap).await,
        BucketCommand::Share { name, with, read_only } => {
            bucket_keys::share(terminal, client, &name, with, read_only).await
        }
        BucketCommand::Unshare { name, with } => bucket_keys::unshare(terminal, client, &name, &with).await,
        BucketCommand::Create { name, copies, confirm, zones, regions, not_regions, .. } => {
            let rules = BucketRules { zones, regions, not_regions };
            let wish = NewBucket { name, copies: copies.into(), confirm: confirm.into(), rules };
            place::create_bucket(terminal, client, wish).await
        }
        BucketCommand::Set(set) => place::set_bucket(terminal, client, set).await,
        BucketCommand::List => {
            let all = client.buckets().await?;
            show(terminal, &all, |all| render::buckets(all))?;
            // What is in them is nobody's files, but their space is taken all the same.
            let databases = freehold_kv_client::databases(client).await.unwrap_or_default().len() as u64;
            if databases > 0 {
                let are = words::verb(databases, "is", "are");
                terminal.say(format!(
                    "Beside them {are} {}: freehold kv databases",
                    words::count(databases, "database")
                ));
            }
            Ok(())
        }
        BucketCommand::Verify { name, no_repair } => {
            let report = verify(terminal, client, &name, !no_repair).await?;
            show(terminal, &report, |report| render::verified(report, !no_repair))?;
            match (report.is_damaged(), no_repair) {
                (false, _) => Ok(()),
                (true, true) => Err(Problem::corrupt(
                    format!("{name} is damaged"),
                    "nothing was repaired, as --no-repair says",
                    Some(format!(
                        "freehold bucket verify {}    (repairs it from a good copy)",
                        words::typed(&name)
                    )),
                )),
                (true, false) => Err(Problem::corrupt(
                    format!("{name} is damaged"),
                    "some of it could not be repaired from another node",
                    Some(format!(
                        "bring a node that holds a good copy online, then: freehold bucket verify {}",
                        words::typed(&name)
                    )),
                )),
            }
        }
        BucketCommand::Delete { name, dry_run: true } => {
            client.try_delete_bucket(&name).await?;
            terminal.done(false, format!("Would delete {name}, which is empty."));
            Ok(())
        }
        BucketCommand::Delete { name, dry_run: false } => {
            client.delete_bucket(&name).await?;
            terminal.done(true, format!("The bucket {name} is deleted."));
            Ok(())
        }
        BucketCommand::Erase { name, dry_run } => {
            crate::receipt::erase(terminal, client, &name, dry_run).await
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
        NodeCommand::Suspend { node, dry_run } => {
            let status = client.status().await?;
            let meant = node_named(&status.nodes, &node)?;
            if dry_run {
                let decides = |node: &NodeStatus| node.admin && node.standing == Standing::Member;
                let here = status.nodes.iter().find(|node| node.id == status.this_node);
                if meant.standing == Standing::Member && !here.is_some_and(decides) {
                    return Err(Problem::refused(
                        "nobody would be suspended",
                        "this machine is not a device of an admin",
                        Some("freehold node list    (shows which machines are an admin's)"),
                    ));
                }
                if meant.id == status.this_node {
                    return Err(Problem::refused(
                        "nobody would be suspended",
                        format!("{} is this machine", meant.name),
                        Some("freehold node suspend, on another machine of an admin"),
                    ));
                }
                let what = match meant.standing {
                    Standing::Suspended => "is suspended already.",
                    Standing::Burned => "is shut out already: its key was used on two machines.",
                    Standing::Visitor => "would not be: it is no node yet, and freehold realm veto stops it.",
                    Standing::Member => "would be suspended: it could no longer read, write or connect.",
                };
                terminal.done(false, format!("{} {what}", told(meant)));
                return Ok(());
            }
            client.suspend_node(&meant.id).await?;
            terminal.done(true, format!("{} is suspended: nothing it says counts any more.", told(meant)));
            Ok(())
        }
        NodeCommand::Lift { node } => {
            let nodes = client.nodes().await?;
            let meant = node_named(&nodes, &node)?;
            client.lift_node(&meant.id).await?;
            terminal.done(true, format!("{} has its rights back.", told(meant)));
            Ok(())
        }
        NodeCommand::Set(set) => place::set_node(terminal, client, set).await,
        NodeCommand::Drain { node, wait, cancel, dry_run } => {
            place::drain(terminal, client, &node, place::Drain { wait, cancel, dry_run }).await
        }
        NodeCommand::Remove { node, force, dry_run } => {
            place::remove(terminal, client, &node, (force, dry_run)).await
        }
        NodeCommand::Rename { node, name } => {
            let nodes = client.nodes().await?;
            let meant = node_named(&nodes, &node)?;
            client.rename_node(&meant.id, &NewName { name: name.clone() }).await?;
            terminal.done(true, format!("{} is now called {name}.", told(meant)));
            Ok(())
        }
    }
}

/// A node's name and id: names can be misheard.
pub(crate) fn told(node: &NodeStatus) -> String {
    format!("{} ({})", node.name, node.short_id())
}

async fn guardians(terminal: Terminal, client: &Client) -> Result<(), Problem> {
    let Some(phrase) = terminal.ask("A guardian phrase, all twelve words:") else {
        return Err(Problem::invalid(
            "a guardian phrase is tested by typing it",
            "there is no terminal to ask on",
            Some("run it in a terminal: freehold guardians test"),
        ));
    };
    // Whatever comes of it, the phrase does not stay on the screen.
    terminal.clear();
    let outcome = client.test_guardian(&Phrase { phrase: phrase.to_string() }).await?;
    show(terminal, &outcome, render::tested)
}
