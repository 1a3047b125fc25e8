//! `freehold net onion`: the console and SSH of this machine over the Tor network. A client's secret key is made here,
//! and is nowhere but in what is handed out.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use freehold_api::{Client, OnionClient, OnionKey, OnionSetting, OnionState, OnionStatus, Problem};

use crate::ask::show;
use crate::key::{not_written, private_file};
use crate::terminal::Terminal;

/// `freehold net onion`.
#[derive(Debug, Clone, Subcommand)]
pub enum OnionCommand {
    /// Open the onion door: the console and SSH of this machine, over Tor, for those who are let in
    On {
        /// The port of this machine at which SSH answers [default: 22]
        #[arg(long, value_name = "PORT")]
        ssh_port: Option<u16>,
    },
    /// Shut it; its address and who is let in stay
    Off,
    /// Show its address, how it stands, and who is let in
    Show,
    /// Let somebody in: makes a key for their Tor, and shows it once
    LetIn(LetInArgs),
    /// Let somebody in no longer, and cut them off at once
    Remove {
        /// What they are called
        name: String,
    },
}

/// `freehold net onion let-in`.
#[derive(Debug, Clone, Args)]
pub struct LetInArgs {
    /// What they are called: small letters, digits and hyphens
    pub name: String,
    /// Write the key to this new file, which only you can read, and show it nowhere; its name has to end in
    /// .auth_private for Tor to read it
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

pub(super) async fn onion(terminal: Terminal, client: &Client, command: OnionCommand) -> Result<(), Problem> {
    match command {
        OnionCommand::On { ssh_port } => {
            let status = client.set_onion(&OnionSetting { on: Some(true), ssh_port }).await?;
            show(terminal, &status, lines)
        }
        OnionCommand::Off => {
            let status = client.set_onion(&OnionSetting { on: Some(false), ssh_port: None }).await?;
            show(terminal, &status, lines)
        }
        OnionCommand::Show => show(terminal, &client.onion().await?, lines),
        OnionCommand::LetIn(wish) => let_in(terminal, client, wish).await,
        OnionCommand::Remove { name } => {
            let status = client.remove_from_onion(&name).await?;
            terminal.done(true, format!("{name} is let in no longer, and cut off."));
            if status.clients.is_empty() {
                terminal.done(false, "Nobody is let in now, so the onion door is shut.");
            }
            Ok(())
        }
    }
}

/// What is said of a client whose key goes to a program.
#[derive(serde::Serialize)]
struct Told<'a> {
    name: &'a str,
    address: &'a str,
    /// The line for their Tor; absent where that is in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<&'a str>,
}

async fn let_in(terminal: Terminal, client: &Client, wish: LetInArgs) -> Result<(), Problem> {
    let LetInArgs { name, out } = wish;
    let key = OnionKey::random()?;
    // Made before anybody is let in: a key that nobody has would be of no use.
    let file = out.as_deref().map(private_file).transpose()?;
    let made = client.let_in_by_onion(&OnionClient { name: name.clone(), key: key.public() }).await;
    if let (Err(_), Some(out)) = (&made, &out) {
        // Nothing is in it; the first problem is the one to report.
        drop(std::fs::remove_file(out));
    }
    let address = made?.address.unwrap_or_default();
    let line = key.file(&address);
    if let (Some(mut file), Some(out)) = (file, &out) {
        file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(|e| not_written(out, &e))?;
        return show(terminal, &Told { name: &name, address: &address, line: None }, |_| {
            format!("{name} is let in at {address}.\n  The key is in {}", out.display())
        });
    }
    show(terminal, &Told { name: &name, address: &address, line: Some(line.trim_end()) }, |_| {
        line.trim_end().to_owned()
    })?;
    if terminal.is_interactive() {
        terminal.say(format!(
            "\n{name} is let in at {address}. For Tor Browser the key is what stands behind the last colon; for tor, \
             the line goes into a file NAME.auth_private of its ClientOnionAuthDir. Whoever sees it can be {name}, \
             and it is not shown again."
        ));
    }
    Ok(())
}

fn lines(status: &OnionStatus) -> String {
    let address = status.address.as_deref().unwrap_or("it has no address yet");
    let how = match status.state {
        OnionState::Off => "off: freehold net onion on".to_owned(),
        OnionState::Waiting => {
            "on, and shut until somebody is let in: freehold net onion let-in NAME".to_owned()
        }
        OnionState::Starting => {
            format!("on its way into the Tor network, {} %", status.percent.unwrap_or_default())
        }
        OnionState::Up => "open".to_owned(),
        OnionState::Down => "not open, and tried again".to_owned(),
    };
    let mut out = vec![format!("{address}: {how}")];
    if status.on {
        out.push(format!(
            "  port 443 is the console, port 22 SSH (port {} of this machine)",
            status.ssh_port
        ));
    }
    out.extend(status.clients.iter().map(|client| format!("  lets in {}", client.name)));
    out.extend(status.trouble.iter().map(|trouble| format!("  ! {trouble}")));
    out.extend(status.next.iter().map(|next| format!("    {next}")));
    out.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_it_stands_says_what_to_type() {
        let mut status = OnionStatus {
            on: true,
            address: None,
            state: OnionState::Waiting,
            percent: None,
            trouble: None,
            next: None,
            ssh_port: 22,
            clients: Vec::new(),
        };
        assert!(lines(&status).contains("freehold net onion let-in NAME"));
        status.state = OnionState::Down;
        status.trouble = Some("there is no tor on this machine".to_owned());
        status.next = Some("sudo apt install tor".to_owned());
        status.clients = vec![OnionClient { name: "pad".to_owned(), key: String::new() }];
        let told = lines(&status);
        assert!(
            told.contains("lets in pad")
                && told.ends_with("  ! there is no tor on this machine\n    sudo apt install tor")
        );
    }
}
