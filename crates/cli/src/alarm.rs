//! `freehold alarm`: where this machine sends its alarms.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use freehold_api::words::{self, count, span};
use freehold_api::{AlarmChannel, Client, NewAlarmChannel, Problem};

use crate::ask::show;
use crate::terminal::Terminal;

/// More than any address has.
const ADDRESS_MAX: u64 = 4096;

/// `freehold alarm`.
#[derive(Debug, Clone, Subcommand)]
pub enum AlarmCommand {
    /// Send what `freehold status` shows at its head somewhere, too
    Add {
        /// What to call it
        name: String,
        /// Where a text is posted to, as ntfy takes it: `https://ntfy.example/topic`; for one that others may see
        #[arg(long, value_name = "URL", required_unless_present = "webhook_file")]
        webhook: Option<String>,
        /// A file with that address, where whoever knows it may write there; - is standard input
        #[arg(long, value_name = "FILE", conflicts_with = "webhook")]
        webhook_file: Option<PathBuf>,
    },
    /// List where alarms go, and how that works
    List,
    /// Send a message there now, and say what came of it
    Test {
        /// Its name
        name: String,
    },
    /// Send alarms there no longer
    Remove {
        /// Its name
        name: String,
    },
}

pub(crate) async fn alarm(terminal: Terminal, client: &Client, command: AlarmCommand) -> Result<(), Problem> {
    match command {
        AlarmCommand::Add { name, webhook, webhook_file } => {
            let webhook = match (webhook, webhook_file) {
                (Some(webhook), _) => webhook,
                (None, from) => address(&from.unwrap_or_default())?,
            };
            let made = client.add_alarm_channel(&NewAlarmChannel { name, webhook }).await?;
            show(terminal, &made, |made| {
                format!(
                    "{}\n  to see whether it arrives: freehold alarm test {}",
                    line(made),
                    words::typed(&made.name)
                )
            })
        }
        AlarmCommand::List => {
            let all = client.alarm_channels().await?;
            show(terminal, &all, |all| match all.as_slice() {
                [] => {
                    "  nowhere yet: freehold alarm add NAME --webhook https://ntfy.example/TOPIC".to_owned()
                }
                all => all.iter().map(line).collect::<Vec<_>>().join("\n"),
            })
        }
        AlarmCommand::Test { name } => {
            let told = client.test_alarm_channel(&name).await?;
            terminal.done(true, format!("{} took the message.", told.host));
            Ok(())
        }
        AlarmCommand::Remove { name } => {
            client.remove_alarm_channel(&name).await?;
            terminal.done(true, format!("No alarms go to {name} any more."));
            Ok(())
        }
    }
}

/// The address of a webhook, from where nobody else reads it.
fn address(from: &Path) -> Result<String, Problem> {
    let mut text = String::new();
    let read = if from == Path::new("-") {
        std::io::stdin().lock().take(ADDRESS_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(from).and_then(|file| file.take(ADDRESS_MAX).read_to_string(&mut text))
    };
    let unread = |error| {
        let why = format!("cannot read {}: {error}", from.display());
        Problem::invalid(
            "alarms do not go there",
            why,
            Some("name the file with the address: --webhook-file FILE"),
        )
    };
    read.map_err(unread)?;
    Ok(text.trim().to_owned())
}

fn line(channel: &AlarmChannel) -> String {
    let AlarmChannel { name, host, sent_ago_ms, failed, why } = channel;
    let sent = sent_ago_ms
        .map_or_else(|| "nothing sent yet".to_owned(), |ago| format!("last message {} ago", span(ago)));
    let failed = match (*failed, why) {
        (0, _) => String::new(),
        (failed, why) => format!(
            "; FAILED {}: {}",
            count(failed.into(), "time"),
            why.as_deref().unwrap_or("no reason is known")
        ),
    };
    format!("  {name:<16} {host}; {sent}{failed}")
}
