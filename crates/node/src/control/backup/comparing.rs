//! What a restore would do, in the API's words.

use std::path::Path;

use freehold_api::{BackupCompared, BackupEvent, BackupFate, BackupShare, BackupWould, Problem};
use freehold_backup::{Compared, Fate, Repository, Share};

use super::NOT_RESTORED;
use crate::backup;

/// So many paths of each fate are named.
const NAMED_MAX: usize = 50_000;

pub(super) fn compared(
    repository: &Repository,
    snapshot: &str,
    only: Option<&str>,
    to: &Path,
) -> Result<BackupEvent, Problem> {
    let (mut paths, mut unnamed) = (Paths::default(), 0);
    let found = repository.compare(snapshot, only.map(Path::new), to, &mut |path, fate, size| {
        unnamed += u64::from(!paths.take(path, fate, size));
    });
    let found = found.map_err(|error| backup::problem(NOT_RESTORED, &error))?;
    Ok(BackupEvent::Compared(told(&found, to, paths, unnamed)))
}

/// The paths of each fate.
#[derive(Default)]
struct Paths([Vec<BackupWould>; 4]);

impl Paths {
    /// Whether it need not be counted as unnamed.
    fn take(&mut self, path: &Path, fate: Fate, size: u64) -> bool {
        let [blocked, replaced, marked, new] = &mut self.0;
        let (list, fate) = match fate {
            Fate::Blocked => (blocked, BackupFate::Blocked),
            Fate::Replaced => (replaced, BackupFate::Replaced),
            Fate::Marked => (marked, BackupFate::Marked),
            Fate::New => (new, BackupFate::New),
            Fate::Same => return true,
        };
        let has_room = list.len() < NAMED_MAX;
        if has_room {
            list.push(BackupWould { fate, path: path.display().to_string(), size });
        }
        has_room
    }
}

fn told(found: &Compared, to: &Path, paths: Paths, unnamed: u64) -> BackupCompared {
    let share = |share: Share| BackupShare { files: share.things, bytes: share.bytes };
    BackupCompared {
        to: to.display().to_string(),
        new: share(found.new),
        replaced: share(found.replaced),
        marked: share(found.marked),
        same: share(found.same),
        blocked: share(found.blocked),
        failed: found.failed,
        named: found.named.iter().map(|one| format!("{}: {}", one.path.display(), one.why)).collect(),
        paths: paths.0.into_iter().flatten().collect(),
        unnamed,
    }
}
