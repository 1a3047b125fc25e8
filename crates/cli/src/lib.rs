//! What people type, and what they read. It asks the node over its HTTP API and renders the
//! answers; starting a node is left to the [`Host`] that the binary hands in. It must never decide
//! anything about the realm, print a secret that was not asked for, or prompt without a terminal.
//! Start reading at [`run`].

mod args;
mod ask;
mod demo;
mod host;
mod key;
mod realm;
mod render;
mod service;
mod terminal;
mod up;

use std::path::PathBuf;

use clap::{CommandFactory as _, Parser as _};
use freehold_api::Problem;

pub use args::{Cli, Command};
pub use host::{Founding, Host, Ready, RunOptions};
use terminal::Terminal;

/// Reads the command line.
///
/// # Errors
/// What clap has to say: a usage error, or help and version, with its exit code.
pub fn parse() -> Result<Cli, clap::Error> {
    Cli::try_parse()
}

/// Carries a command out and returns the exit code: 0 done, 1 refused by the state of things,
/// 2 wrong usage, 3 our fault, 4 not reachable.
pub async fn run(cli: Cli, host: &dyn Host) -> u8 {
    let terminal = Terminal { json: cli.global.json, quiet: cli.global.yes };
    match carry_out(cli, terminal, host).await {
        Ok(()) => 0,
        Err(problem) => {
            complain(terminal, &problem);
            problem.kind.exit_code()
        }
    }
}

async fn carry_out(cli: Cli, terminal: Terminal, host: &dyn Host) -> Result<(), Problem> {
    let home = home(cli.global.home)?;
    match cli.command {
        Command::Up(up) => up::up(host, terminal, &home, &up).await,
        Command::Demo(run) => demo::demo(host, terminal, &run).await,
        Command::Join(join) => up::join(host, terminal, &home, &join).await,
        Command::Recover(recover) => up::recover(host, terminal, &home, &recover).await,
        Command::Realm { command: args::RealmCommand::Audit { file } } => {
            realm::audit(host, terminal, &home, &file).await
        }
        Command::Openapi => {
            terminal.answer(freehold_api::openapi_json());
            Ok(())
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "freehold", &mut std::io::stdout());
            Ok(())
        }
        Command::Man { dir } => manual(&dir),
        command => ask::ask(host, terminal, &home, command).await,
    }
}

fn manual(dir: &std::path::Path) -> Result<(), Problem> {
    std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Cli::command(), dir)).map_err(|e| {
        Problem::refused(
            format!("cannot write manual pages to {}", dir.display()),
            e.to_string(),
            None::<&str>,
        )
    })
}

fn home(wanted: Option<PathBuf>) -> Result<PathBuf, Problem> {
    if let Some(home) = wanted {
        return std::path::absolute(&home).map_err(|e| {
            Problem::invalid(format!("cannot use {}", home.display()), e.to_string(), None::<&str>)
        });
    }
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    data.map(|data| data.join("freehold")).ok_or_else(|| {
        Problem::invalid(
            "cannot tell where to keep the node",
            "HOME is not set",
            Some("freehold --home DIR ..."),
        )
    })
}

fn complain(terminal: Terminal, problem: &Problem) {
    if terminal.json {
        terminal.answer_json(problem);
        return;
    }
    terminal.say(format!("error: {}", problem.what));
    if !problem.why.is_empty() {
        terminal.say(format!("  {}", problem.why));
    }
    if let Some(next) = &problem.next {
        terminal.say(format!("\nhint: {next}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
