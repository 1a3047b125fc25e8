//! `freehold grant`: what realms lend each other.

pub(crate) mod args;

use std::io::{Read as _, Write as _};
use std::path::Path;

use freehold_api::words::{bytes, count, date};
use freehold_api::{
    Client, GrantMachine, GrantOffered, GrantResource, GrantRoom, GrantSide, GrantStanding, GrantStatus,
    GrantToAccept, NewGrant, Problem, RoomPhase, SaidBy,
};

use self::args::{GrantAcceptArgs, GrantCommand, GrantOfferArgs};
use crate::ask::show;
use crate::key::{end, not_written, now_ms};
use crate::terminal::{Terminal, qr};

const NOT_OFFERED: &str = "nothing was offered";
const NOT_ACCEPTED: &str = "nothing was accepted";
/// What is read from the standard input.
pub(crate) const STDIN: &str = "-";
/// The longest file that can be an offer or a card.
const TEXT_MAX: u64 = 64 << 10;

pub(crate) async fn grant(terminal: Terminal, client: &Client, command: GrantCommand) -> Result<(), Problem> {
    match command {
        GrantCommand::Card => {
            let card = client.realm_card().await?;
            show(terminal, &card, |card| card.text.clone())?;
            if terminal.is_interactive() {
                terminal.say(format!(
                    "\nThe card of {}. Whoever wants to lend this realm something types, in theirs:\n  \
                     freehold grant offer --to CARD --services NAME\nIt is no secret.",
                    card.name
                ));
            }
            Ok(())
        }
        GrantCommand::Offer(wish) => offer(terminal, client, *wish).await,
        GrantCommand::Accept(wish) => accept(terminal, client, wish).await,
        GrantCommand::List => {
            let all = client.grants().await?;
            let none = "  none yet: freehold grant card, for a realm that lends you something; or freehold grant offer";
            show(terminal, &all, |all| match all.as_slice() {
                [] => none.to_owned(),
                all => all.iter().map(line).collect::<Vec<_>>().join("\n"),
            })
        }
        GrantCommand::Show { grant } => {
            let one = named(&client.grants().await?, &grant)?;
            show(terminal, &one, whole)
        }
        GrantCommand::Revoke { grant, dry_run } => {
            client.end_grant(&grant, dry_run).await?;
            let what = if dry_run { "would end for good" } else { "has ended, for good" };
            terminal.done(!dry_run, format!("The grant {grant} {what}."));
            Ok(())
        }
    }
}

/// The one that is meant by a name, an id or the start of one.
fn named(all: &[GrantStatus], typed: &str) -> Result<GrantStatus, Problem> {
    let typed = typed.strip_prefix("grant:").unwrap_or(typed);
    let is_meant =
        |grant: &&GrantStatus| grant.name == typed || (typed.len() >= 4 && grant.id.starts_with(typed));
    match all.iter().filter(is_meant).collect::<Vec<_>>().as_slice() {
        [one] => Ok((*one).clone()),
        several => Err(Problem::not_found(
            format!("there is no grant {typed}"),
            if several.is_empty() { "none is called so" } else { "several are called so" },
            Some("freehold grant list"),
        )),
    }
}

/// Whether it is a text that people hand to each other, and no file's name.
pub(crate) fn is_text(typed: &str) -> bool {
    typed.to_ascii_uppercase().trim_start().starts_with("FREEHOLD-")
}

/// A text as it was typed, from a file, or from the standard input.
pub(crate) fn text_of(what: &str, typed: &str, max: u64) -> Result<String, Problem> {
    let unread = |error: std::io::Error| Problem::invalid(what, format!("{typed}: {error}"), None::<&str>);
    let mut text = String::new();
    if typed == STDIN {
        std::io::stdin().take(max).read_to_string(&mut text).map_err(unread)?;
        return Ok(text);
    }
    if is_text(typed) {
        return Ok(typed.to_owned());
    }
    let file = std::fs::File::open(typed).map_err(unread)?;
    file.take(max).read_to_string(&mut text).map_err(unread)?;
    Ok(text)
}

async fn offer(terminal: Terminal, client: &Client, wish: GrantOfferArgs) -> Result<(), Problem> {
    let GrantOfferArgs {
        to,
        services,
        gateway,
        relay,
        storage,
        egress,
        wind_down,
        on,
        until,
        name,
        file,
        dry_run,
    } = wish;
    let storage = storage.map(|typed| room(&typed)).transpose()?;
    let egress = egress.map(|typed| room(typed.trim_end_matches("/month"))).transpose()?;
    let wrong = |until: &str| {
        let next = "freehold grant offer --until 90d    (or 12h, 8w, 2027-01-31)";
        Problem::invalid(NOT_OFFERED, format!("{until:?} is no end"), Some(next))
    };
    let until_ms = until.map(|until| end(&until, now_ms()).ok_or_else(|| wrong(&until))).transpose()?;
    let to = text_of(NOT_OFFERED, &to, TEXT_MAX)?;
    let (wind_down_days, homes) = (wind_down, on);
    let wish =
        NewGrant { to, name, services, gateway, relay, storage, egress, wind_down_days, homes, until_ms };
    let Some(made) = client.offer_grant(&wish, dry_run).await? else {
        terminal.done(false, "It would be offered so.");
        return Ok(());
    };
    if let Some(file) = &file {
        written(file, &made.text)?;
    }
    show(terminal, &made, |made| offered(terminal, made, file.as_deref()))
}

/// A number of bytes.
fn room(typed: &str) -> Result<u64, Problem> {
    let wrong =
        || Problem::invalid(NOT_OFFERED, format!("{typed:?} is no size"), Some("such as 50GiB or 200GB"));
    crate::quota::size(typed).ok_or_else(wrong)
}

/// No secret, so that it may lie where it is wanted; never over something else.
pub(crate) fn written(file: &Path, text: &str) -> Result<(), Problem> {
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).open(file);
    opened.and_then(|mut file| writeln!(file, "{text}")).map_err(|error| not_written(file, &error))
}

fn offered(terminal: Terminal, made: &GrantOffered, file: Option<&Path>) -> String {
    let picture = terminal.is_interactive().then(|| qr(&made.text)).flatten();
    let picture = picture.map(|picture| format!("\n\n{picture}")).unwrap_or_default();
    let text = match file {
        Some(file) => format!("  the offer is in {}", file.display()),
        None => format!("{}{picture}", made.text),
    };
    format!("{}\n\n{text}\n\nIn the other realm: freehold grant accept OFFER", whole(&made.grant))
}

async fn accept(terminal: Terminal, client: &Client, wish: GrantAcceptArgs) -> Result<(), Problem> {
    let GrantAcceptArgs { offer, name, dry_run } = wish;
    let wish = GrantToAccept { text: text_of(NOT_ACCEPTED, &offer, TEXT_MAX)?, name };
    let grant = client.accept_grant(&wish, dry_run).await?;
    if dry_run {
        terminal.done(false, format!("This would be accepted:\n{}", whole(&grant)));
        return Ok(());
    }
    show(terminal, &grant, whole)
}

const fn side(grant: &GrantStatus) -> &'static str {
    match grant.side {
        GrantSide::Lends => "to",
        GrantSide::Borrows => "from",
    }
}

const fn resource(grant: &GrantStatus) -> &'static str {
    match grant.resource {
        GrantResource::Storage => "room",
        GrantResource::Compute => "processor and memory",
        GrantResource::Gateway => "a way in from the internet",
        GrantResource::Relay => "relays",
        GrantResource::Services => "services",
    }
}

fn standing(grant: &GrantStatus) -> String {
    match grant.standing {
        GrantStanding::Holds => format!("until {}", date(grant.until_ms)),
        GrantStanding::NotYet => format!("from {}", date(grant.from_ms)),
        GrantStanding::Lapsed => format!("LAPSED on {}", date(grant.until_ms)),
        GrantStanding::Suspended => "SUSPENDED".to_owned(),
        GrantStanding::Ended => "ENDED".to_owned(),
    }
}

fn line(grant: &GrantStatus) -> String {
    let trouble = grant.trouble.as_ref().map(|why| format!("\n            {why}")).unwrap_or_default();
    format!(
        "  {}  {}, {} {} {}, {}{trouble}",
        grant.id.get(..8).unwrap_or(&grant.id),
        grant.name,
        resource(grant),
        side(grant),
        grant.realm_name,
        standing(grant)
    )
}

fn whole(grant: &GrantStatus) -> String {
    let services =
        grant.services.iter().map(|service| format!("    {}  {}", service.domain, service.address));
    let machines = grant.machines.iter().map(machine);
    let room = grant.room.iter().flat_map(|room| room_lines(grant.side, room));
    let said = |said: &SaidBy| format!("    {} by {} on {}", said.of_grant(), said.by, date(said.at_ms));
    let said = grant.said.iter().map(said);
    std::iter::once(line(grant))
        .chain(said)
        .chain(room)
        .chain(services)
        .chain(machines)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The terms in plain words, and what has come of them.
fn room_lines(side: GrantSide, room: &GrantRoom) -> Vec<String> {
    let (who, whose) = match side {
        GrantSide::Lends => ("they", "their"),
        GrantSide::Borrows => ("this realm", "its"),
    };
    let mut lines = vec![format!(
        "    {who} may keep {} there, and read {} a month; what lies there is sealed with {whose} keys",
        bytes(room.bytes),
        bytes(room.egress)
    )];
    lines.push(match room.wind_down_days {
        0 => "    at the end everything is deleted at once, with a signed receipt".to_owned(),
        days => {
            format!(
                "    after the end it can be read for {}, and is then deleted, with a signed receipt",
                count(days.into(), "day")
            )
        }
    });
    if !room.homes.is_empty() {
        lines.push(format!(
            "    kept at {}",
            room.homes.iter().map(|home| short(home)).collect::<Vec<_>>().join(", ")
        ));
    }
    if let (Some(kept), Some(objects), Some(sent)) = (room.kept, room.objects, room.sent) {
        let sealed = count(objects, "sealed object");
        lines.push(format!(
            "    now {} ({kept} bytes) in {sealed}; {} were read this month",
            bytes(kept),
            bytes(sent)
        ));
    }
    if let Some(place) = &room.place {
        lines.push(format!("    a place for copies, called {place}: freehold backend list"));
    }
    match (room.phase, room.phase_until_ms) {
        (RoomPhase::WindingDown, Some(until)) => {
            lines.push(format!(
                "    WINDING DOWN: nothing more is stored; it can be read until {}",
                date(until)
            ));
        }
        (RoomPhase::EndsSoon, Some(end)) => lines.push(format!("    ENDS SOON, on {}", date(end))),
        (RoomPhase::Over, _) => lines.push("    OVER: nothing is kept there any more".to_owned()),
        _ => {}
    }
    lines.extend(room.receipts.iter().map(|receipt| {
        let objects = count(receipt.objects, "object");
        format!(
            "    {} signed on {} that it deleted {objects} of {} bytes",
            short(&receipt.node),
            date(receipt.at_ms),
            receipt.bytes
        )
    }));
    lines
}

/// A name as it is, and the start of an id.
fn short(name: &str) -> &str {
    if name.len() == 64 { name.get(..8).unwrap_or(name) } else { name }
}

fn machine(machine: &GrantMachine) -> String {
    let id = machine.id.get(..8).unwrap_or(&machine.id);
    let until = machine.until_ms.map(|until| format!(", let in until {}", date(until))).unwrap_or_default();
    let hosts =
        if machine.hosts.is_empty() { String::new() } else { format!(", {}", machine.hosts.join(", ")) };
    format!("    machine {id} at {}{until}{hosts}", machine.address)
}
