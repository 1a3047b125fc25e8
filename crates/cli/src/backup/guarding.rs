//! `freehold backup unprotected`.

use freehold_api::words::{self, count};
use freehold_api::{BackupSpare, BackupThing, BackupThingKind, BackupUnprotected, Client, Problem};

use super::absolute;
use super::args::UnprotectedArgs;
use crate::ask::show;
use crate::terminal::Terminal;

pub(super) async fn unprotected(
    terminal: Terminal,
    client: &Client,
    wish: UnprotectedArgs,
) -> Result<(), Problem> {
    let UnprotectedArgs { paths, buckets, databases, accept, alarm_again } = wish;
    let paths = paths.iter().map(|path| absolute(path)).collect::<Result<Vec<_>, _>>()?;
    let names_some = !(paths.is_empty() && buckets.is_empty() && databases.is_empty());
    if names_some != (accept || alarm_again) {
        let why = "what is meant is named with --accept or --alarm-again, and nothing without";
        let next = "freehold backup unprotected --accept PATH";
        return Err(Problem::invalid("nothing was changed", why, Some(next)));
    }
    let found = if names_some {
        client.spare_from_backup(&BackupSpare { paths, buckets, databases, accept }).await?
    } else {
        client.unprotected().await?
    };
    show(terminal, &found, told)
}

fn told(found: &BackupUnprotected) -> String {
    let (accepted, bare): (Vec<_>, Vec<_>) = found.things.iter().partition(|thing| thing.accepted);
    let mut out = Vec::new();
    match (bare.len(), found.protected + accepted.len() as u64) {
        (0, 0) => out.push("  There is nothing here to back up.".to_owned()),
        (0, _) => out.push("  All that is here is in a backup, or meant to be in none.".to_owned()),
        _ => out.push("  In no backup:".to_owned()),
    }
    out.extend(bare.iter().map(|thing| line(thing)));
    if !accepted.is_empty() {
        out.push("  Meant to be in none:".to_owned());
        out.extend(accepted.iter().map(|thing| line(thing)));
    }
    if found.protected > 0 {
        out.push(format!("  {} in a backup.", of(found.protected)));
    }
    if let Some(first) = bare.first() {
        let typed = words::typed(&first.name);
        let option = option(first.kind);
        let paths = if first.kind == BackupThingKind::Directory { "" } else { option };
        out.push(format!("  To back it up:       freehold backup add NAME {paths}{typed} --to TARGET"));
        out.push(format!("  If it is meant so:   freehold backup unprotected --accept {option}{typed}"));
    }
    if !found.watched && !bare.is_empty() {
        out.push("  It is no alarm, since nothing is backed up on this machine.".to_owned());
    }
    out.join("\n")
}

fn of(protected: u64) -> String {
    format!("{} {}", count(protected, "thing"), words::verb(protected, "is", "are"))
}

const fn option(kind: BackupThingKind) -> &'static str {
    match kind {
        BackupThingKind::Directory => "",
        BackupThingKind::Bucket => "--bucket ",
        BackupThingKind::Database => "--database ",
    }
}

fn line(thing: &BackupThing) -> String {
    let but = match thing.but_for.as_slice() {
        [] => String::new(),
        parts => format!(", but for {}", parts.join(", ")),
    };
    format!("    {:<10} {}{but}", thing.kind.as_str(), thing.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing(kind: BackupThingKind, name: &str, accepted: bool) -> BackupThing {
        BackupThing { kind, name: name.to_owned(), but_for: Vec::new(), accepted }
    }

    #[test]
    fn what_is_in_none_comes_with_what_to_type() {
        let mut found = BackupUnprotected {
            watched: true,
            protected: 1,
            things: vec![
                thing(BackupThingKind::Bucket, "photos", false),
                thing(BackupThingKind::Directory, "/srv/films", true),
            ],
        };
        let said = told(&found);
        assert!(said.contains("bucket     photos") && said.contains("1 thing is in a backup"), "{said}");
        assert!(
            said.contains("backup add NAME --bucket photos") && said.contains("--accept --bucket photos")
        );
        assert!(said.contains("Meant to be in none:\n    directory  /srv/films"), "{said}");
        assert!(!said.contains("no alarm"), "{said}");
        found.watched = false;
        assert!(told(&found).contains("no alarm"));
        found.things.remove(0);
        assert!(told(&found).contains("All that is here"));
        assert!(told(&BackupUnprotected::default()).contains("nothing here"));
        let films = thing(BackupThingKind::Directory, "/srv/my films", false);
        let films = BackupThing { but_for: vec!["/srv/my films/old".to_owned()], ..films };
        let said = told(&BackupUnprotected { things: vec![films], ..found });
        assert!(
            said.contains("but for /srv/my films/old") && said.contains("--accept '/srv/my films'"),
            "{said}"
        );
    }
}
