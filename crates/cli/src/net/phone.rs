//! `freehold net phone`: other machines, let in by WireGuard. A phone's secret key is made here, and is nowhere but in
//! the configuration that is handed out.

use std::io::Write as _;

use freehold_api::words::{bytes, date, span};
use freehold_api::{Client, NetPhone, NewPhone, PhoneKey, PhoneSettings, Problem};

use super::args::{PhoneAddArgs, PhoneCommand};
use super::lines;
use crate::ask::show;
use crate::key::{end, not_written, now_ms, private_file};
use crate::terminal::{Terminal, qr};

const NOT_LET_IN: &str = "no phone was let in";

pub(super) async fn phone(terminal: Terminal, client: &Client, command: PhoneCommand) -> Result<(), Problem> {
    match command {
        PhoneCommand::Add(wish) => add(terminal, client, wish).await,
        PhoneCommand::List => {
            let all = client.phones().await?;
            let none = "  none yet: freehold net phone add NAME";
            show(terminal, &all, |all| lines(all, none, line))
        }
        PhoneCommand::End { phone, dry_run } => {
            client.end_phone(&phone, dry_run).await?;
            let what = if dry_run { "would be shut out for good" } else { "is shut out for good" };
            terminal.done(!dry_run, format!("The phone {phone} {what}."));
            Ok(())
        }
    }
}

/// What is said of a phone whose configuration goes to a program.
#[derive(serde::Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    settings: &'a PhoneSettings,
    /// With its secret key; absent where that is in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<&'a str>,
}

async fn add(terminal: Terminal, client: &Client, wish: PhoneAddArgs) -> Result<(), Problem> {
    let PhoneAddArgs { name, person, gateway, until, out, dry_run } = wish;
    let wrong = |until: &str| {
        let next = "freehold net phone add NAME --until 90d    (or 12h, 8w, 2027-01-31)";
        Problem::invalid(NOT_LET_IN, format!("{until:?} is no end"), Some(next))
    };
    let until_ms = until.map(|until| end(&until, now_ms()).ok_or_else(|| wrong(&until))).transpose()?;
    let key = PhoneKey::random()?;
    let wish = NewPhone { name, key: key.public(), person, gateway, until_ms };
    // Made before the phone is let in: without its configuration it would be of no use to anybody.
    let file = out.as_deref().filter(|_| !dry_run).map(private_file).transpose()?;
    let made = client.add_phone(&wish, dry_run).await;
    if let (Err(_) | Ok(None), Some(out), true) = (&made, &out, file.is_some()) {
        // Nothing is in it; the first problem is the one to report.
        drop(std::fs::remove_file(out));
    }
    let Some(settings) = made? else {
        terminal.done(false, format!("The phone {} would be let in.", wish.name));
        return Ok(());
    };
    let config = settings.file(&key);
    if let (Some(mut file), Some(out)) = (file, &out) {
        file.write_all(config.as_bytes()).and_then(|()| file.sync_all()).map_err(|e| not_written(out, &e))?;
        return show(terminal, &Told { settings: &settings, config: None }, |_| {
            format!("{}\n  its configuration is in {}", made_line(&settings), out.display())
        });
    }
    show(terminal, &Told { settings: &settings, config: Some(&config) }, |_| {
        let picture = terminal.is_interactive().then(|| qr(&config)).flatten();
        let picture = picture.map(|picture| format!("\n\n{picture}")).unwrap_or_default();
        format!("{}{picture}", config.trim_end())
    })?;
    if terminal.is_interactive() {
        terminal.say(format!(
            "\n{}\nIn the WireGuard app: + and \"Scan from QR code\". Whoever sees this can be this phone, and it is \
             not shown again.",
            made_line(&settings)
        ));
    }
    Ok(())
}

fn made_line(made: &PhoneSettings) -> String {
    format!(
        "The phone {} is let in: {}, through {} at {}.",
        made.name, made.address, made.gateway, made.endpoint
    )
}

fn line(phone: &NetPhone) -> String {
    let refused = phone.refused.as_ref().map(|why| format!("; REFUSED: {why}")).unwrap_or_default();
    let until = phone.until_ms.map(|until| format!(", until {}", date(until))).unwrap_or_default();
    let seen = phone.seen.as_ref().map(|seen| {
        let (sent, received) = (bytes(seen.sent), bytes(seen.received));
        format!(
            "\n            seen {} ago at {}, {received} from it and {sent} to it",
            span(seen.shown_ms),
            seen.from
        )
    });
    format!(
        "  {}  {}, {}'s, at {}, through {}{until}{refused}{}",
        phone.id.get(..8).unwrap_or(&phone.id),
        phone.name,
        phone.person,
        phone.address,
        phone.gateways.join(", "),
        seen.unwrap_or_default()
    )
}
