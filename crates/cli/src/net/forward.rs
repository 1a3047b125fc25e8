//! `freehold net forward`: ports of this machine that lead to a place in the network.

use clap::Subcommand;
use freehold_api::{Client, NetForward, NewForward, Problem};

use crate::ask::show;
use crate::terminal::Terminal;

/// `freehold net forward`.
#[derive(Debug, Clone, Subcommand)]
pub enum ForwardCommand {
    /// Let a port of this machine lead to a machine or service of the realm; it stays over a restart
    Add {
        /// Where programs of this machine come, as 127.0.0.1:8080; a port alone is one of the loopback
        listen: String,
        /// Where they come to, as nas:80, wiki:8080 or an address of the realm with a port
        to: String,
        /// Listen where others reach it, too: they are this machine to the realm
        #[arg(long)]
        others: bool,
    },
    /// List the forwarded ports
    List,
    /// Forward a port no longer, and cut what goes through it
    Remove {
        /// Its address, or its port on the loopback
        listen: String,
    },
}

pub(super) async fn forward(
    terminal: Terminal,
    client: &Client,
    command: ForwardCommand,
) -> Result<(), Problem> {
    match command {
        ForwardCommand::Add { listen, to, others } => {
            let made = client.add_forward(&NewForward { listen, to, others }).await?;
            show(terminal, &made, line)
        }
        ForwardCommand::List => {
            let all = client.forwards().await?;
            show(terminal, &all, |all| match all.as_slice() {
                [] => "  none yet: freehold net forward add 127.0.0.1:8080 NODE:80".to_owned(),
                all => all.iter().map(line).collect::<Vec<_>>().join("\n"),
            })
        }
        ForwardCommand::Remove { listen } => {
            client.remove_forward(&listen).await?;
            terminal.done(true, format!("{listen} leads nowhere any more."));
            Ok(())
        }
    }
}

fn line(forward: &NetForward) -> String {
    let trouble = forward.trouble.as_ref().map(|why| format!("; NOT OPEN: {why}")).unwrap_or_default();
    format!("  {:<22} to {}{trouble}", forward.listen, forward.to)
}
