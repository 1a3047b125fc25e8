//! `freehold alarm`: where this machine sends its alarms.

use clap::Subcommand;
use freehold_api::words::{self, count, span};
use freehold_api::{AlarmChannel, Client, NewAlarmChannel, Problem};

use crate::ask::show;
use crate::terminal::Terminal;

/// `freehold alarm`.
#[derive(Debug, Clone, Subcommand)]
pub enum AlarmCommand {
    /// Send what `freehold status` shows at its head somewhere, too
    Add {
        /// What to call it
        name: String,
        /// Where a text is posted to, as ntfy takes it: `https://ntfy.example/topic`
        #[arg(long, value_name = "URL")]
        webhook: String,
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
        AlarmCommand::Add { name, webhook } => {
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
