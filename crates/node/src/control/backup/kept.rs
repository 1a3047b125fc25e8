//! Backups of what the realm itself keeps, as far as they are asked for.

use std::path::PathBuf;
use std::sync::Arc;

use freehold_api::{NewBackup, Problem, words};
use freehold_vault::ListQuery;

use super::adding::NOT_BACKED_UP;
use crate::backup::lodged;
use crate::problem::{get_problem, kv_problem};
use crate::shared::Shared;

const USAGE: &str = "freehold backup add NAME --to TARGET --bucket BUCKET";

/// The paths that these have in a snapshot, once it was seen that this node can read them.
pub(super) fn paths(shared: &Arc<Shared>, wish: &NewBackup) -> Result<Vec<PathBuf>, Problem> {
    let about_files =
        !wish.paths.is_empty() || !wish.exclude.is_empty() || wish.git_ignore || wish.one_file_system;
    if about_files || !wish.command.is_empty() {
        let why = "buckets and databases are backed up by themselves: not with files, nor with what a command prints";
        return Err(Problem::invalid(NOT_BACKED_UP, why, Some(USAGE)));
    }
    if wish.everything {
        if wish.buckets.is_empty() && wish.databases.is_empty() {
            return Ok(lodged::all_paths());
        }
        let why = "either everything is backed up, or what is named";
        return Err(Problem::invalid(
            NOT_BACKED_UP,
            why,
            Some("freehold backup add NAME --everything --to TARGET"),
        ));
    }
    let mut paths = Vec::new();
    for name in &wish.buckets {
        is_readable(shared, name)?;
        paths.push(lodged::bucket_path(name));
    }
    for name in &wish.databases {
        let plane = shared.kv.get().ok_or_else(|| {
            let next = "wait a moment and try again";
            Problem::refused(NOT_BACKED_UP, "databases are not up yet", Some(next))
        })?;
        plane.info(name).map_err(|error| kv_problem(name, &error, |node| shared.name_of(node)))?;
        paths.push(lodged::database_path(name));
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn is_readable(shared: &Shared, name: &str) -> Result<(), Problem> {
    // The node's own have a slash in their names.
    let found = shared.vault.bucket_named(name).filter(|_| !name.contains('/'));
    let Some((id, _)) = found else {
        let next = format!("freehold bucket list; to make it: freehold bucket create {}", words::typed(name));
        return Err(Problem::not_found(NOT_BACKED_UP, format!("there is no bucket {name:?}"), Some(next)));
    };
    let query = ListQuery { max: 1, ..ListQuery::default() };
    let listed = shared.vault.list(&id, &query);
    listed.map(drop).map_err(|error| get_problem(name, "the list", &error))
}
