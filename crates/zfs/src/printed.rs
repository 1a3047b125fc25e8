//! What `zfs` prints for programs: lines of columns with tabs between them.

use std::collections::BTreeSet;

use freehold_wire::Millis;
use thiserror::Error;

use crate::names::{Dataset, is_part};
use crate::shown::{Kind, Mark, Seen, Shown, Snapshot};

/// What is asked for, in this order.
pub const COLUMNS: &str = "name,type,guid,createtxg,creation,encryption,keystatus,readonly,written,receive_resume_token,freehold:received";
const COUNT: usize = 11;

/// What `zfs` does not print.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadOutput {
    /// A line has other columns.
    #[error("zfs prints something else than is known here: {0:?}")]
    Line(String),
    /// A snapshot or bookmark of what is not there.
    #[error("zfs prints {0:?} before its dataset")]
    Orphan(String),
}

/// Reads what `zfs list -Hp -o COLUMNS` prints. Names that are none here are left out: nobody declares them, and nothing
/// is done to them; those of snapshots stay, since they are history.
pub fn listed(output: &str) -> Result<Shown, BadOutput> {
    let mut shown = Shown::new();
    let mut later = Vec::new();
    for line in output.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let row: [&str; COUNT] = columns.try_into().map_err(|_| BadOutput::Line(line.to_owned()))?;
        let [name, kind, ..] = row;
        let kind = match kind {
            "filesystem" => Kind::Filesystem,
            "volume" => Kind::Volume,
            "snapshot" | "bookmark" => {
                later.push((line, row));
                continue;
            }
            _ => return Err(BadOutput::Line(line.to_owned())),
        };
        if let Ok(name) = Dataset::new(name) {
            let seen = dataset(kind, &row).ok_or_else(|| BadOutput::Line(line.to_owned()))?;
            shown.insert(name, seen);
        }
    }
    for (line, row) in later {
        part(&mut shown, &row).map_err(|odd| odd(line.to_owned()))?;
    }
    for seen in shown.values_mut() {
        seen.snapshots.sort_by_key(|snapshot| snapshot.txg);
        seen.bookmarks.sort_by_key(|mark| mark.txg);
    }
    Ok(shown)
}

fn dataset(kind: Kind, row: &[&str; COUNT]) -> Option<Seen> {
    let [_, _, _, _, _, encryption, keystatus, readonly, written, resume, _] = *row;
    Some(Seen {
        kind,
        encrypted: !matches!(encryption, "off" | "-"),
        readable: keystatus != "unavailable",
        readonly: readonly == "on",
        written: if written == "-" { 0 } else { written.parse().ok()? },
        resume: (resume != "-" && !resume.is_empty()).then(|| resume.to_owned()),
        token: None,
        snapshots: Vec::new(),
        bookmarks: Vec::new(),
    })
}

type Odd = fn(String) -> BadOutput;

fn part(shown: &mut Shown, row: &[&str; COUNT]) -> Result<(), Odd> {
    let [name, kind, guid, txg, creation, .., received] = *row;
    let cut = if kind == "snapshot" { '@' } else { '#' };
    let (dataset, name) = name.split_once(cut).ok_or(BadOutput::Line as Odd)?;
    let Ok(dataset) = Dataset::new(dataset) else { return Ok(()) };
    let seen = shown.get_mut(&dataset).ok_or(BadOutput::Orphan as Odd)?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| BadOutput::Line as Odd);
    let (guid, txg, made) = (number(guid)?, number(txg)?, Millis::from_secs(number(creation)?));
    let name = name.to_owned();
    if !is_part(&name) {
        return Err(BadOutput::Line);
    }
    if cut == '@' {
        let received = received.parse().ok().map(Millis);
        seen.snapshots.push(Snapshot { name, guid, txg, made, received, holds: BTreeSet::new() });
    } else {
        seen.bookmarks.push(Mark { name, guid, txg });
    }
    Ok(())
}

/// Reads what `zfs holds -H` prints into what was listed.
pub fn holds(output: &str, shown: &mut Shown) -> Result<(), BadOutput> {
    for line in output.lines() {
        let odd = || BadOutput::Line(line.to_owned());
        let mut columns = line.split('\t');
        let (name, tag) = columns.next().zip(columns.next()).ok_or_else(odd)?;
        let (dataset, snapshot) = name.split_once('@').ok_or_else(odd)?;
        let seen = Dataset::new(dataset).ok().and_then(|dataset| shown.get_mut(&dataset));
        let held = seen.and_then(|seen| seen.snapshots.iter_mut().find(|known| known.name == snapshot));
        if let Some(held) = held {
            held.holds.insert(tag.to_owned());
        }
    }
    Ok(())
}
