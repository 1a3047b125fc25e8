//! What the realm itself keeps, as what is backed up: buckets and databases.

mod databases;
mod objects;
mod paths;
mod settings;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use freehold_backup::{Item, Items, Origin};
use freehold_vault::{GetError, ListQuery};
use freehold_wire::BucketId;

use self::databases::Databases;
use self::objects::Objects;
use self::settings::Settings;
use super::Lodging;
use crate::problem::chain;
use crate::shared::Shared;

/// The path of a bucket in a snapshot.
pub(crate) fn bucket_path(name: &str) -> PathBuf {
    Path::new("/buckets").join(name)
}

/// The path of the file that a database is in a snapshot.
pub(crate) fn database_path(name: &str) -> PathBuf {
    Path::new("/databases").join(format!("{name}.jsonl"))
}

/// What all of it lies in.
pub(crate) fn all_paths() -> Vec<PathBuf> {
    ["/buckets", "/databases", settings::ROOT].map(PathBuf::from).into()
}

/// All that one backup has of it.
pub(super) struct Lodged {
    objects: Arc<Objects>,
    databases: Arc<Databases>,
    settings: Option<Arc<Settings>>,
    /// Why nobody knows what all of it is.
    unknown: Option<String>,
}

impl Lodged {
    pub(super) async fn of(shared: &Arc<Shared>, kept: &Lodging) -> Self {
        let (mut kept, mut unknown, mut settings) = (kept.clone(), None, None);
        if kept.everything {
            match everything(shared) {
                Ok(all) => kept = all,
                Err(why) => unknown = Some(why),
            }
            settings = Some(Arc::new(Settings::of(shared).await));
        }
        let plane = shared.kv.get().cloned();
        Self {
            objects: Arc::new(Objects::new(shared.vault.clone(), kept.buckets)),
            databases: Arc::new(Databases::new(plane, kept.databases)),
            settings,
            unknown,
        }
    }
}

/// All buckets and databases that there are now and whose keys this machine has: to whom it has not been given one, it is not to
/// be read.
fn everything(shared: &Shared) -> Result<Lodging, String> {
    let plane = shared.kv.get().ok_or("databases are not up yet")?;
    let query = ListQuery { max: 1, ..ListQuery::default() };
    let has_key = |id: &BucketId| !matches!(shared.vault.list(id, &query), Err(GetError::NoBucketKey));
    let all = shared.vault.buckets();
    // The node's own have a slash in their names, as databases do.
    let peoples = all.iter().filter(|(id, info)| !info.name.contains('/') && has_key(id));
    let mut buckets: Vec<String> = peoples.map(|(_, info)| info.name.clone()).collect();
    let listed = plane.list().map_err(|error| format!("databases cannot be listed: {}", chain(&error)))?;
    let databases = listed.into_iter().filter(|one| has_key(&one.id)).map(|one| one.name).collect();
    buckets.sort();
    buckets.dedup();
    Ok(Lodging { buckets, databases, everything: true })
}

impl Origin for Lodged {
    fn roots(&self) -> Vec<PathBuf> {
        if self.settings.is_some() {
            return all_paths();
        }
        let mut roots = [self.objects.roots(), self.databases.roots()].concat();
        roots.sort();
        roots.dedup();
        roots
    }

    fn items(self: Arc<Self>) -> Items {
        if let Some(why) = &self.unknown {
            return Box::new(std::iter::once(Err(io::Error::other(why.clone()))));
        }
        let realm = Arc::clone(&self.objects).items().chain(Arc::clone(&self.databases).items());
        match &self.settings {
            Some(settings) => Box::new(realm.chain(settings.items())),
            None => Box::new(realm),
        }
    }

    fn open(&self, item: &Item) -> io::Result<Box<dyn Read + Send>> {
        match &self.settings {
            _ if item.path.starts_with("/buckets") => self.objects.open(item),
            Some(settings) if item.path.starts_with(settings::ROOT) => settings.open(item),
            _ => self.databases.open(item),
        }
    }
}
