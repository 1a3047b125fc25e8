//! The realm's log as a file, its card, and a veto against a recovery.

use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;

use freehold_api::{Audit, Client, LOG_MAX, Problem, RecoveryStatus, words};

use crate::args::RealmCommand;
use crate::ask::show;
use crate::host::Host;
use crate::render;
use crate::terminal::Terminal;

pub(crate) async fn realm(terminal: Terminal, client: &Client, command: RealmCommand) -> Result<(), Problem> {
    match command {
        RealmCommand::Export { file, overwrite } => {
            let log = client.export_log().await?;
            export(terminal, &file, overwrite, &log)
        }
        RealmCommand::Import { file } => {
            let report = client.import_log(read_file(&file)?.into()).await?;
            show(terminal, &report, render::imported)?;
            match report.damaged {
                0 => Ok(()),
                damaged => Err(damaged_log(&file, &not_signed(damaged))),
            }
        }
        RealmCommand::Veto { recovery } => veto(terminal, client, recovery).await,
        RealmCommand::Checkpoint => {
            let made = client.checkpoint().await?;
            show(terminal, &made, |made| {
                if made.in_force {
                    format!("The history up to now is final (epoch {}).", made.epoch)
                } else {
                    "Signed. It holds once enough other admins have signed: they type the same.".to_owned()
                }
            })
        }
        RealmCommand::Card => {
            let card = client.card().await?;
            show(terminal, &card, |card| {
                format!("Keep this with the guardian phrases; it is no secret.\n\n  {}", card.text)
            })
        }
        RealmCommand::Audit { .. } => Err(crate::up::bug("the audit was not carried out", "it asks no node")),
    }
}

fn export(terminal: Terminal, file: &Path, overwrite: bool, log: &[u8]) -> Result<(), Problem> {
    write(terminal, "log", file, overwrite, log)
}

/// Writes what a node gave into a file.
pub(crate) fn write(
    terminal: Terminal,
    what: &str,
    file: &Path,
    overwrite: bool,
    log: &[u8],
) -> Result<(), Problem> {
    let problem = |next: &str, e: std::io::Error| {
        Problem::refused(format!("cannot write {}", file.display()), e.to_string(), Some(next.to_owned()))
    };
    if file.as_os_str() == "-" {
        let mut out = std::io::stdout();
        return match out.write_all(log).and_then(|()| out.flush()) {
            // The reader has what it wanted.
            Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(problem("name a file", e)),
            _ => Ok(()),
        };
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).create_new(!overwrite);
    let written = options.open(file).and_then(|mut out| out.write_all(log).and_then(|()| out.sync_all()));
    written.map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => problem("name another file, or write over it: --overwrite", e),
        _ => problem("name another file", e),
    })?;
    terminal.done(true, format!("The {what} is in {} ({}).", file.display(), words::bytes(log.len() as u64)));
    Ok(())
}

async fn veto(terminal: Terminal, client: &Client, recovery: Option<String>) -> Result<(), Problem> {
    let what = "no recovery was stopped";
    let all = client.status().await?.recoveries;
    let open = all.iter().filter(|one| one.effective_in_ms.is_some());
    let meant: Vec<&RecoveryStatus> =
        open.filter(|one| recovery.as_ref().is_none_or(|id| one.id.starts_with(id.as_str()))).collect();
    let id = match (meant.as_slice(), recovery) {
        ([one], _) => one.id.clone(),
        ([], None) => {
            return Err(Problem::not_found(what, "none waits to take effect", Some("freehold status")));
        }
        ([], Some(id)) => {
            let why = format!("none that waits has an id that begins with {id}");
            return Err(Problem::not_found(what, why, Some("freehold status")));
        }
        (several, _) => {
            let ids = several.iter().map(|one| one.id.as_str()).collect::<Vec<_>>().join(", ");
            let next = Some("freehold realm veto ID");
            return Err(Problem::invalid(what, format!("several wait: {ids}"), next));
        }
    };
    client.veto_recovery(&id).await?;
    let short = id.get(..8).unwrap_or(&id);
    terminal.done(true, format!("The recovery {short} is stopped: it will not take effect."));
    Ok(())
}

/// Checks a log without asking anybody; only for their names is the node of this home asked, if it
/// runs.
pub(crate) async fn audit(
    host: &dyn Host,
    terminal: Terminal,
    home: &Path,
    file: &Path,
) -> Result<(), Problem> {
    let mut audit = host.audit(&read_file(file)?)?;
    let status = if host.is_running(home) {
        Client::over_socket(home.join("control.sock")).status().await.ok()
    } else {
        None
    };
    for known in status.filter(|status| status.realm.id == audit.state.realm).iter().flat_map(|s| &s.nodes) {
        let mut meant = audit.state.nodes.iter_mut().filter(|node| node.id == known.id);
        meant.by_ref().for_each(|node| node.name = Some(known.name.clone()));
    }
    show(terminal, &audit, render::audit)?;
    sound(&audit, file)
}

/// Whether all of the log could be judged.
fn sound(audit: &Audit, file: &Path) -> Result<(), Problem> {
    let (damaged, waiting) = (audit.damaged.len() as u64, audit.state.waiting);
    if damaged == 0 && waiting == 0 {
        return Ok(());
    }
    let judged = format!("{} cannot be judged without what is missing", words::count(waiting, "operation"));
    if damaged == 0 {
        let what = format!("the log in {} is not complete", file.display());
        return Err(Problem::refused(what, judged, Some(MAKE_ANEW)));
    }
    let mut why = not_signed(damaged);
    if waiting > 0 {
        why = format!("{why}, and {judged}");
    }
    Err(damaged_log(file, &why))
}

const MAKE_ANEW: &str = "make a new one on a node that is well: freehold realm export FILE";

fn not_signed(damaged: u64) -> String {
    let are = words::verb(damaged, "is", "are");
    format!("{} {are} not what was signed", words::count(damaged, "operation"))
}

fn damaged_log(file: &Path, why: &str) -> Problem {
    Problem::corrupt(format!("the log in {} is damaged", file.display()), why, Some(MAKE_ANEW))
}

pub(crate) fn read_file(file: &Path) -> Result<Vec<u8>, Problem> {
    let problem =
        |why: String| Problem::invalid(format!("cannot read {}", file.display()), why, None::<&str>);
    let mut bytes = Vec::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().take(LOG_MAX as u64 + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|from| from.take(LOG_MAX as u64 + 1).read_to_end(&mut bytes))
    };
    read.map_err(|e| problem(e.to_string()))?;
    if bytes.len() > LOG_MAX {
        return Err(problem(format!("it has more than {}, more than any log", words::bytes(LOG_MAX as u64))));
    }
    Ok(bytes)
}
