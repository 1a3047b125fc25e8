//! What the realm itself keeps, as what is backed up: buckets and databases.

mod databases;
mod objects;
mod paths;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use freehold_backup::{Item, Items, Origin};

use self::databases::Databases;
use self::objects::Objects;
use super::Lodging;
use crate::shared::Shared;

/// The path of a bucket in a snapshot.
pub(crate) fn bucket_path(name: &str) -> PathBuf {
    Path::new("/buckets").join(name)
}

/// The path of the file that a database is in a snapshot.
pub(crate) fn database_path(name: &str) -> PathBuf {
    Path::new("/databases").join(format!("{name}.jsonl"))
}

/// All that one backup has of it.
pub(super) struct Lodged {
    objects: Arc<Objects>,
    databases: Arc<Databases>,
}

impl Lodged {
    pub(super) fn of(shared: &Shared, kept: &Lodging) -> Self {
        let plane = shared.kv.get().cloned();
        Self {
            objects: Arc::new(Objects::new(shared.vault.clone(), kept.buckets.clone())),
            databases: Arc::new(Databases::new(plane, kept.databases.clone())),
        }
    }
}

impl Origin for Lodged {
    fn roots(&self) -> Vec<PathBuf> {
        let mut roots = [self.objects.roots(), self.databases.roots()].concat();
        roots.sort();
        roots.dedup();
        roots
    }

    fn items(self: Arc<Self>) -> Items {
        Box::new(Arc::clone(&self.objects).items().chain(Arc::clone(&self.databases).items()))
    }

    fn open(&self, item: &Item) -> io::Result<Box<dyn Read + Send>> {
        let is_object = item.path.starts_with("/buckets");
        if is_object { self.objects.open(item) } else { self.databases.open(item) }
    }
}
