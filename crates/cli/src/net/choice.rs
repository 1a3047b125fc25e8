//! `freehold net use`: what this machine uses of what others offer.

use clap::{ArgAction, Args};
use freehold_api::{Client, NetUse, NetUseSetting, Problem};

use super::args::yes_or_no;
use crate::ask::show;
use crate::terminal::Terminal;

const NONE: &str = "none";

/// `freehold net use`.
#[derive(Debug, Clone, Args)]
pub struct NetUseArgs {
    /// The machine through which everything goes to the internet; none for none
    #[arg(long, value_name = "NODE|none")]
    pub exit: Option<String>,
    /// The machines whose networks are used: all for everybody's, none for nobody's
    #[arg(long, value_name = "all|none|NODE,NODE", value_delimiter = ',')]
    pub routes: Option<Vec<String>>,
    /// Whether the network around is reached past the exit
    #[arg(long, value_name = "YES|NO", action = ArgAction::Set, value_parser = yes_or_no)]
    pub lan: Option<bool>,
    /// Whether packets may go out as if there were no exit, where it cannot be used
    #[arg(long, value_name = "YES|NO", action = ArgAction::Set, value_parser = yes_or_no)]
    pub leak: Option<bool>,
    /// Only say whether it would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// Changes the choice, or shows it where nothing is to be changed.
pub(super) async fn choose(terminal: Terminal, client: &Client, wish: NetUseArgs) -> Result<(), Problem> {
    let NetUseArgs { exit, routes, lan, leak, dry_run } = wish;
    let setting = NetUseSetting {
        exit: exit.map(|exit| if exit == NONE { String::new() } else { exit }),
        routes: routes.map(|routes| if routes == [NONE] { Vec::new() } else { routes }),
        lan,
        leak,
    };
    if setting == NetUseSetting::default() {
        let now = client.net_use().await?;
        return show(terminal, &now, |now| lines(now).join("\n"));
    }
    let now = client.set_net_use(&setting, dry_run).await?;
    if dry_run {
        terminal.done(false, format!("It would be chosen so: {}.", what(&now)));
        return Ok(());
    }
    show(terminal, &now, |now| lines(now).join("\n"))
}

/// The choice, with what is wrong with it.
pub(super) fn lines(now: &NetUse) -> Vec<String> {
    let mut out = vec![format!("this machine: {}", what(now))];
    out.extend(now.troubles.iter().map(|trouble| format!("  ! {trouble}")));
    out.extend(now.notes.iter().map(|note| format!("  note: {note}")));
    out
}

/// Whether there is anything to say of it.
pub(super) fn is_plain(now: &NetUse) -> bool {
    *now == NetUse::default()
}

fn what(now: &NetUse) -> String {
    let mut parts = Vec::new();
    match &now.exit {
        None => parts.push("goes to the internet its own way".to_owned()),
        Some(exit) => {
            let leak = if now.leak { "without it if it cannot be used" } else { "or not at all" };
            let lan = if now.lan { "; past it to the network around" } else { "" };
            parts.push(format!("goes to the internet through {exit}, {leak}{lan}"));
        }
    }
    match (now.routes.as_slice(), now.networks.as_slice()) {
        ([], _) => {}
        (of, []) => parts.push(format!("uses networks behind {}: none now", of.join(", "))),
        (of, networks) => {
            parts.push(format!("uses networks behind {}: {}", of.join(", "), networks.join(", ")));
        }
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_reads_as_a_sentence() {
        let plain = NetUse::default();
        assert!(is_plain(&plain));
        assert_eq!(lines(&plain), ["this machine: goes to the internet its own way"]);
        let chosen = NetUse {
            exit: Some("desk".to_owned()),
            routes: vec!["all".to_owned()],
            networks: vec!["192.168.1.0/24".to_owned()],
            leak: true,
            lan: true,
            troubles: vec!["there is no connection to desk".to_owned()],
            notes: Vec::new(),
        };
        let expected = [
            "this machine: goes to the internet through desk, without it if it cannot be used; past it to the \
             network around; uses networks behind all: 192.168.1.0/24",
            "  ! there is no connection to desk",
        ];
        assert_eq!(lines(&chosen), expected);
    }
}
