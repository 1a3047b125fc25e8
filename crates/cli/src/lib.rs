//! What people type, and what they read. It asks the node over its HTTP API and renders the
//! answers; starting a node is left to the [`Host`] that the binary hands in. It must never decide
//! anything about the realm, print a secret that was not asked for, or prompt without a terminal.
//! Start reading at [`run`].

mod alarm;
mod args;
mod ask;
mod backend;
mod backup;
mod bucket_keys;
mod demo;
mod dns;
mod found;
mod grant;
mod host;
mod key;
mod kv;
mod net;
mod person;
mod place;
mod pool;
mod quota;
mod realm;
mod receipt;
mod render;
mod service;
mod store_check;
mod suggest;
mod tenant;
mod terminal;
mod up;

use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Parser as _};
use freehold_api::Problem;

pub use args::{Cli, Command};
pub use dns::{DnsArgs, DnsSystem};
pub use host::{Founding, Host, Ready, RunOptions};
use terminal::Terminal;

/// Reads the command line.
///
/// # Errors
/// The exit code, after help, version or what is wrong with the command line was printed.
pub fn parse() -> Result<Cli, u8> {
    Cli::try_parse().map_err(|usage| {
        let usage = suggest::nearest(usage, std::env::args_os().skip(1));
        if usage.use_stderr() && std::env::args_os().any(|word| word == "--json") {
            let terminal = Terminal { json: true, quiet: true, home: None };
            complain(terminal, &misused(&usage.render().to_string()));
        } else {
            // A closed pipe is the reader's choice.
            drop(usage.print());
        }
        u8::try_from(usage.exit_code()).unwrap_or(2)
    })
}

/// What clap says of a command line, as a problem.
fn misused(said: &str) -> Problem {
    let why = said.split("\nUsage:").next().unwrap_or(said).trim_start_matches("error: ");
    let why = why.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    Problem::invalid("this command line cannot be understood", why, Some("freehold --help"))
}

/// Carries a command out and returns the exit code: 0 done, 1 refused by the state of things,
/// 2 wrong usage, 3 our fault, 4 not reachable.
pub async fn run(cli: Cli, host: &dyn Host) -> u8 {
    let home = home(cli.global.home.clone()).ok();
    let home = home.as_deref().and_then(terminal::told_home);
    let terminal = Terminal { json: cli.global.json, quiet: cli.global.yes, home };
    match carry_out(cli, terminal, host).await {
        Ok(()) => 0,
        Err(problem) => {
            complain(terminal, &problem);
            problem.kind.exit_code()
        }
    }
}

async fn carry_out(cli: Cli, terminal: Terminal, host: &dyn Host) -> Result<(), Problem> {
    let home = match &cli.command {
        Command::Up(up) if up.install_service && cli.global.home.is_none() => home_to_serve()?,
        _ => home(cli.global.home)?,
    };
    match cli.command {
        Command::Up(up) => up::up(host, terminal, &home, &up).await,
        Command::Demo(run) => demo::demo(host, terminal, &run).await,
        Command::Join(join) => up::join(host, terminal, &home, &join).await,
        Command::Recover(recover) => up::recover(host, terminal, &home, &recover).await,
        Command::Realm { command: args::RealmCommand::Audit { file } } => {
            realm::audit(host, terminal, &home, &file).await
        }
        Command::Backend { command: args::BackendCommand::Check(wish) } => {
            store_check::check(host, terminal, wish).await
        }
        Command::Receipt { command: args::ReceiptCommand::Check { file } } => {
            receipt::check(host, terminal, &file)
        }
        Command::Tenant { command } => tenant::tenant(host, terminal, command).await,
        Command::Openapi => {
            terminal.document(freehold_api::openapi_json());
            Ok(())
        }
        Command::Completions { shell } => {
            // Into memory first: clap panics where a pipe is closed.
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "freehold", &mut text);
            terminal.document(String::from_utf8_lossy(&text).trim_end());
            Ok(())
        }
        Command::Man { dir } => manual(&dir),
        command => ask::ask(host, terminal, &home, command).await,
    }
}

fn manual(dir: &Path) -> Result<(), Problem> {
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
    let own = own_home().ok_or_else(|| {
        Problem::invalid(
            "cannot tell where to keep the node",
            "HOME is not set",
            Some("freehold --home DIR ..."),
        )
    });
    // The one of the system's service, which is not among root's own files.
    let system = Path::new(service::account::HOME);
    match own {
        Ok(own) if own.exists() => Ok(own),
        _ if service::is_root() && system.exists() => Ok(system.to_owned()),
        own => own,
    }
}

/// Where the node is, or is to be, that a service is installed for.
fn home_to_serve() -> Result<PathBuf, Problem> {
    match own_home() {
        Some(own) if own.exists() => Ok(own),
        _ if service::is_root() => Ok(service::account::meant()),
        _ => home(None),
    }
}

fn own_home() -> Option<PathBuf> {
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    data.map(|data| data.join("freehold"))
}

fn complain(terminal: Terminal, problem: &Problem) {
    if terminal.json {
        terminal.problem_json(problem);
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

    #[test]
    fn letters_in_the_wrong_order_are_understood() {
        let told = |words: &[&str]| {
            let usage = Cli::try_parse_from([&["freehold"], words].concat()).unwrap_err();
            suggest::nearest(usage, words.iter().map(Into::into)).render().to_string()
        };
        assert!(told(&["kv", "gte", "shop", "a"]).contains("'get'"), "{}", told(&["kv", "gte", "shop", "a"]));
        assert!(told(&["kv", "pu", "shop"]).contains("'put'"));
        assert!(!told(&["kv", "xyz"]).contains("similar"));
    }

    #[test]
    fn a_misused_command_line_is_a_problem_like_any_other() {
        let said = Cli::try_parse_from(["freehold", "stats"]).unwrap_err().render().to_string();
        let problem = misused(&said);
        assert_eq!(problem.kind, freehold_api::ProblemKind::Invalid);
        assert!(problem.why.starts_with("unrecognized subcommand 'stats'; tip: "), "{problem:?}");
        let said = Cli::try_parse_from(["freehold", "invite", "--roles", "compute"]).unwrap_err().to_string();
        assert!(said.contains("[possible values: storage, gateway, relay, witness, secrets]"), "{said}");
    }
}
