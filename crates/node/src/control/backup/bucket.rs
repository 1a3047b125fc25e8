//! A bucket as a target: where it is, and the access key, which lies in a file of its own as long as the target does.

use std::fs;
use std::path::PathBuf;

use freehold_api::{NewStore, Problem};
use freehold_backend::Credentials;
use freehold_disk::make_private_dir;

use super::adding::NOT_ADDED;
use crate::backup::{Place, short_id};
use crate::hosting::wished_store;
use crate::problem::{chain, home_problem};
use crate::shared::Shared;

fn invalid(why: String) -> Problem {
    Problem::invalid(NOT_ADDED, why, Some("freehold backup target add --help"))
}

/// The place that is meant.
pub(super) fn place(store: &NewStore, append_only: bool) -> Result<Place, Problem> {
    let (at, _) = wished_store(store).map_err(invalid)?;
    at.check().map_err(|error| invalid(chain(&error)))?;
    Ok(Place::Bucket { at: Box::new(at), key: short_id(), append_only })
}

/// An access key that is kept only if something comes of it.
pub(super) struct KeptKey(Option<PathBuf>);

impl KeptKey {
    /// It is needed.
    pub(super) fn stays(mut self) {
        self.0 = None;
    }
}

impl Drop for KeptKey {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            remove(folder);
        }
    }
}

/// Keeps the access key of a place that needs one.
pub(super) fn keep_key(shared: &Shared, place: &Place, store: Option<&NewStore>) -> Result<KeptKey, Problem> {
    let (Some(folder), Some(store)) = (place.key_folder(shared), store) else { return Ok(KeptKey(None)) };
    let key = Credentials::parse(&store.credentials).map_err(|error| invalid(chain(&error)))?;
    make_private_dir(&folder).map_err(|error| home_problem(&folder, &error))?;
    let kept = KeptKey(Some(folder.clone()));
    key.write(&folder).map_err(|error| {
        Problem::refused(NOT_ADDED, chain(&error), Some("set right what it says (df -h)"))
    })?;
    Ok(kept)
}

/// Removes the access key of a place that is no target any more.
pub(super) fn forget_key(shared: &Shared, place: &Place) {
    if let Some(folder) = place.key_folder(shared) {
        remove(&folder);
    }
}

fn remove(folder: &PathBuf) {
    if let Err(error) = fs::remove_dir_all(folder) {
        tracing::warn!(%error, folder = %folder.display(), "an access key that nobody needs stays");
    }
}
