//! Which snapshot is meant.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use freehold_api::Problem;
use freehold_backup::{BackupError, Repository, Snapshot};

use crate::backup;
use crate::shared::Shared;

/// A machine, and what is backed up of it.
type Of = (String, BTreeSet<PathBuf>);

/// A snapshot as somebody named it.
pub(super) struct Meant {
    wanted: Option<String>,
    /// The machine and paths, where it is the name of a backup.
    pub(super) backup: Option<Of>,
    /// What is looked for in it.
    path: Option<PathBuf>,
}

impl Meant {
    pub(super) fn of(shared: &Shared, wanted: Option<String>) -> Self {
        let wanted = wanted.filter(|wanted| wanted != "latest");
        let plan = shared.backups_of_files.plan();
        let backup = wanted.as_ref().and_then(|name| plan.backups.get(name)).map(|backup| {
            (shared.name_of(shared.me()), backup.paths.iter().cloned().collect::<BTreeSet<_>>())
        });
        Self { wanted, backup, path: None }
    }

    /// Says what is looked for in it, by which it is known where nothing else was said.
    pub(super) fn with(self, path: Option<&str>) -> Self {
        Self { path: path.map(PathBuf::from), ..self }
    }

    /// The id of the snapshot. The newest of all is meant only where all are of the same, or only those of one have what is
    /// looked for: somebody else's would be brought back for one's own.
    pub(super) fn among(&self, repository: &Repository, not: &str) -> Result<String, Problem> {
        let all = repository.snapshots().map_err(|error| backup::problem(not, &error))?;
        let group = |one: &Snapshot| (one.host.clone(), one.paths.iter().cloned().collect::<BTreeSet<_>>());
        let list = Some("freehold backup snapshots");
        let none = || Problem::not_found(not, "there is no such snapshot", list);
        let newest = |all: &mut dyn Iterator<Item = &Snapshot>| all.last().map(|one| one.id.clone());
        match (&self.backup, &self.wanted) {
            (Some(of), _) => newest(&mut all.iter().filter(|one| group(one) == *of)).ok_or_else(none),
            (None, Some(wanted)) => {
                let found: Vec<&Snapshot> =
                    all.iter().filter(|one| one.id.starts_with(wanted.as_str())).collect();
                match found.as_slice() {
                    [one] => Ok(one.id.clone()),
                    [] => Err(none()),
                    _ => Err(Problem::invalid(not, format!("{wanted} is the start of several ids"), list)),
                }
            }
            (None, None) => {
                // Later ones come later.
                let newest: BTreeMap<Of, String> =
                    all.iter().map(|one| (group(one), one.id.clone())).collect();
                self.only(newest, not, |id, path| repository.has(id, path))
            }
        }
    }

    /// The newest snapshot, where there is no doubt of what it is to be.
    fn only(
        &self,
        mut newest: BTreeMap<Of, String>,
        not: &str,
        has: impl Fn(&str, &Path) -> Result<bool, BackupError>,
    ) -> Result<String, Problem> {
        if let Some(path) = self.path.as_ref().filter(|_| newest.len() > 1) {
            newest.retain(|(_, of), _| may_have(of, path));
            let mut having = BTreeMap::new();
            for (of, id) in newest {
                if has(&id, path).map_err(|error| backup::problem(not, &error))? {
                    having.insert(of, id);
                }
            }
            newest = having;
        }
        let mut ids = newest.values();
        match (ids.next(), ids.next(), &self.path) {
            (Some(id), None, _) => Ok(id.clone()),
            (None, _, Some(path)) => {
                let why = format!("no newest snapshot there has {}", path.display());
                Err(Problem::not_found(not, why, Some("an older one may: freehold backup find NAME")))
            }
            (None, ..) => {
                Err(Problem::not_found(not, "there is no such snapshot", Some("freehold backup snapshots")))
            }
            _ => Err(asks(&newest, not)),
        }
    }
}

/// Whether something at a path can be in a backup of these.
fn may_have(of: &BTreeSet<PathBuf>, path: &Path) -> bool {
    // What another program names otherwise has to be looked into.
    of.iter().any(|one| !one.is_absolute() || path.starts_with(one) || one.starts_with(path))
}

fn asks(newest: &BTreeMap<Of, String>, not: &str) -> Problem {
    let one = |((machine, paths), id): (&Of, &String)| {
        let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        format!("{} of {} from {machine}", id.get(..8).unwrap_or(id), paths.join(", "))
    };
    let named: Vec<String> = newest.iter().take(5).map(one).collect();
    let why = format!(
        "several machines or paths are backed up there, each with a newest snapshot: {}",
        named.join("; ")
    );
    let next = "say which: --snapshot ID    (freehold backup snapshots), or the name of a backup";
    Problem::invalid(not, why, Some(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest(all: &[(&str, &str, &str)]) -> BTreeMap<Of, String> {
        let one = |(machine, path, id): &(&str, &str, &str)| {
            (((*machine).to_owned(), BTreeSet::from([PathBuf::from(path)])), (*id).to_owned())
        };
        all.iter().map(one).collect()
    }

    fn chosen(path: Option<&str>, all: &[(&str, &str, &str)], having: &[&str]) -> Result<String, Problem> {
        let meant = Meant { wanted: None, backup: None, path: path.map(PathBuf::from) };
        meant.only(newest(all), "not", |id, _| Ok(having.contains(&id)))
    }

    #[test]
    fn the_only_one_that_has_a_path_is_meant() {
        let all = [("laptop", "/home/ann", "1"), ("laptop", "/srv", "2"), ("nas", "/home/ann", "3")];
        assert_eq!(chosen(Some("/srv/www"), &all, &["1", "2", "3"]).unwrap(), "2");
        assert_eq!(chosen(Some("/home/ann/letter"), &all, &["3"]).unwrap(), "3");
        let several = chosen(Some("/home/ann"), &all, &["1", "2", "3"]).unwrap_err().to_string();
        assert!(
            several.contains("laptop") && several.contains("nas") && !several.contains("/srv"),
            "{several}"
        );
        assert!(chosen(None, &all, &["1"]).is_err(), "nothing was said");
        assert!(chosen(Some("/etc"), &all, &["1", "2", "3"]).is_err());
        assert_eq!(chosen(None, &all[..1], &[]).unwrap(), "1");
        assert!(chosen(None, &[], &[]).is_err());
    }

    #[test]
    fn of_a_path_above_or_a_name_of_another_program_nothing_is_ruled_out() {
        let of = BTreeSet::from([PathBuf::from("/home/ann")]);
        assert!(may_have(&of, Path::new("/home")) && may_have(&of, Path::new("/home/ann/x")));
        assert!(!may_have(&of, Path::new("/home/annabel")));
        assert!(may_have(&BTreeSet::from([PathBuf::from("papers")]), Path::new("/x")));
    }
}
