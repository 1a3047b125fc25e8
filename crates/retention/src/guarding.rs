//! What of a machine lies in no backup. Who looks what there is, and what backups take in, is elsewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What may be worth a backup.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Candidate {
    /// A directory.
    Dir {
        /// Where it is: absolute, and without `..`.
        path: PathBuf,
        /// Where the file system is mounted that it lies on.
        mount: PathBuf,
    },
    /// A bucket of the realm, by its name.
    Bucket(String),
    /// A database of the realm, by its name.
    Database(String),
}

/// What one backup takes in. What a person has it leave out is left out on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cover {
    /// Directories and files, with all below.
    pub paths: BTreeSet<PathBuf>,
    /// Whether it stays on the file systems of these.
    pub one_file_system: bool,
    /// Whether it takes in all buckets and databases, those that come later, too.
    pub realm: bool,
    /// Buckets, by their names.
    pub buckets: BTreeSet<String>,
    /// Databases, by their names.
    pub databases: BTreeSet<String>,
}

/// What a person said is meant to be in no backup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spared {
    /// Directories, with all below.
    pub paths: BTreeSet<PathBuf>,
    /// Buckets, by their names.
    pub buckets: BTreeSet<String>,
    /// Databases, by their names.
    pub databases: BTreeSet<String>,
}

/// How something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// A backup takes it in.
    Covered,
    /// None does, and a person says that it is meant so.
    Spared,
    /// None does, but for these that lie in it.
    Bare(BTreeSet<PathBuf>),
}

/// How a candidate stands.
pub fn guard(candidate: &Candidate, covers: &[Cover], spared: &Spared) -> Guard {
    let (covered, is_spared, within) = match candidate {
        Candidate::Dir { path, mount } => {
            let parts = covers.iter().flat_map(|cover| &cover.paths);
            let within = parts.filter(|part| part.starts_with(path) && *part != path).cloned().collect();
            let covered = covers.iter().any(|cover| takes_in(cover, path, mount));
            (covered, spared.paths.iter().any(|above| path.starts_with(above)), within)
        }
        Candidate::Bucket(name) => {
            let covered = covers.iter().any(|cover| cover.realm || cover.buckets.contains(name));
            (covered, spared.buckets.contains(name), BTreeSet::new())
        }
        Candidate::Database(name) => {
            let covered = covers.iter().any(|cover| cover.realm || cover.databases.contains(name));
            (covered, spared.databases.contains(name), BTreeSet::new())
        }
    };
    match (covered, is_spared) {
        (true, _) => Guard::Covered,
        (false, true) => Guard::Spared,
        (false, false) => Guard::Bare(within),
    }
}

/// One that stays on its file systems has of another one only the directory on which it is mounted.
fn takes_in(cover: &Cover, path: &Path, mount: &Path) -> bool {
    let reaches = |part: &PathBuf| !cover.one_file_system || part.starts_with(mount);
    cover.paths.iter().any(|part| path.starts_with(part) && reaches(part))
}
