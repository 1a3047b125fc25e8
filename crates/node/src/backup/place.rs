//! Where a target's repository is: in a directory of this machine, on a shelf at another one of the realm, on one in
//! room that another realm lends, or in a bucket of an S3. What opens one and what asks how it is stands here alone.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use freehold_backend::{Credentials, Lies, Rented, Settings};
use freehold_backup::{BackupError, FileKind, Folder, Pacing, Password, Repository, Rights, Stop, Store};
use freehold_wire::{GrantId, NodeId};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::shelf::{Shelf, Way};
use crate::home::Home;
use crate::problem::chain;
use crate::shared::Shared;

/// Folder, in that of backups, with the access keys of buckets.
const KEYS: &str = "keys";

/// A place for a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// A directory on this machine: a disk, a stick, or what is mounted there.
    Folder(PathBuf),
    /// The shelf of a machine at another one of the realm.
    Machine {
        #[serde(with = "spelled")]
        keeper: NodeId,
        #[serde(with = "spelled")]
        of: NodeId,
    },
    /// The shelf of a machine in room that another realm lends, at one of its machines.
    Room {
        #[serde(with = "spelled")]
        grant: GrantId,
        #[serde(with = "spelled")]
        home: NodeId,
        #[serde(with = "spelled")]
        of: NodeId,
    },
    /// A bucket of an S3.
    Bucket {
        at: Box<Settings>,
        /// The folder with its access key, among those of all targets.
        key: String,
        /// Whether this machine removes nothing there.
        append_only: bool,
    },
    /// The shelf that another machine of the realm has here.
    Kept {
        #[serde(with = "spelled")]
        of: NodeId,
    },
}

/// Ids, as people see them.
mod spelled {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<T: Display, S: Serializer>(id: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    pub(super) fn deserialize<'a, T: FromStr<Err: Display>, D: Deserializer<'a>>(
        from: D,
    ) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// What lies at a place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum There {
    /// Nothing, or an empty directory.
    Nothing,
    /// A repository.
    Repository,
    /// No repository can be there, and why not.
    Unfit(String),
}

/// Who removes what lies at a place, where this machine does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Remover {
    /// The machine that keeps it, by its name.
    Keeper(String),
    /// Nobody yet: it lies in room that another realm lends.
    Lender,
    /// Whoever has another access key.
    OtherKey,
}

impl Place {
    /// In a line; a bucket as restic calls it.
    pub(crate) fn told(&self, shared: &Shared) -> String {
        let whose = |of: &NodeId| {
            let other = Some(*of).filter(|of| *of != shared.me());
            other.map_or_else(String::new, |of| format!(", where {} backs up to", shared.name_of(of)))
        };
        match self {
            Self::Folder(path) => path.display().to_string(),
            Self::Bucket { at, .. } => freehold_backend::place_of(at),
            Self::Machine { keeper, of } => format!("the machine {}{}", shared.name_of(*keeper), whose(of)),
            Self::Room { grant, of, .. } => {
                let known =
                    shared.directory().known_grant(*grant).map(|known| known.name.as_str().to_owned());
                format!("the room at {}{}", known.unwrap_or_else(|| grant.short()), whose(of))
            }
            Self::Kept { of } => format!("this machine{}", whose(of)),
        }
    }

    /// Whether what goes there leaves this machine by a network. What is mounted is its user's to know.
    pub(crate) const fn leaves(&self) -> bool {
        !matches!(self, Self::Folder(_) | Self::Kept { .. })
    }

    /// By what it is known which password is this place's. A shelf is called the same on both sides.
    pub(crate) fn key(&self, me: NodeId) -> String {
        match self {
            Self::Folder(path) => path.display().to_string(),
            Self::Bucket { at, .. } => freehold_backend::place_of(at),
            Self::Machine { keeper, of } => format!("shelf {of} at {keeper}"),
            Self::Room { grant, home, of } => format!("shelf {of} at {home} under {grant}"),
            Self::Kept { of } => format!("shelf {of} at {me}"),
        }
    }

    /// The directory that it is, if it is one of this machine's that somebody chose.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(path) => Some(path),
            _ => None,
        }
    }

    /// Whether what brings the realm back is left there: beside each repository but on the realm's own machines, which
    /// have the realm themselves.
    pub(super) fn takes_letters(&self, me: NodeId) -> bool {
        match self {
            Self::Folder(_) | Self::Bucket { .. } => true,
            Self::Room { of, .. } => *of == me,
            Self::Machine { .. } | Self::Kept { .. } => false,
        }
    }

    /// What is there, to leave something beside the repository. Nobody is asked yet.
    pub(super) fn beside(&self, shared: &Arc<Shared>) -> io::Result<Box<dyn Store>> {
        let stop = Stop::default();
        if let Some(rented) = self.rented(shared, Rights::Prune, &stop, None).map_err(io::Error::other)? {
            return Ok(Box::new(rented));
        }
        match (self, self.shelf(shared, &stop)) {
            (_, Some(shelf)) => Ok(Box::new(shelf)),
            (Self::Folder(path), None) => Ok(Box::new(Folder::new(path, Rights::Prune))),
            (_, None) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Who alone removes something there, if this machine does not.
    pub(crate) fn remover(&self, shared: &Shared) -> Option<Remover> {
        match self {
            Self::Folder(_) | Self::Kept { .. } | Self::Bucket { append_only: false, .. } => None,
            Self::Machine { keeper, .. } => Some(Remover::Keeper(shared.name_of(*keeper))),
            Self::Room { .. } => Some(Remover::Lender),
            Self::Bucket { .. } => Some(Remover::OtherKey),
        }
    }

    /// Whether this machine can remove something there.
    pub(super) const fn can_remove(&self) -> bool {
        matches!(self, Self::Folder(_) | Self::Kept { .. } | Self::Bucket { append_only: false, .. })
    }

    /// Whether each byte that is read counts: in room that is lent, for so many a month, and in a bucket, which is paid for.
    pub(super) const fn is_counted(&self) -> bool {
        matches!(self, Self::Room { .. } | Self::Bucket { .. })
    }

    /// The folder with the access key, if there is one.
    pub(crate) fn key_folder(&self, shared: &Shared) -> Option<PathBuf> {
        match self {
            Self::Bucket { key, .. } => Some(key_folder(&shared.home, key)),
            _ => None,
        }
    }

    /// The bucket that it is, if it is one. Nobody is asked yet.
    fn rented(
        &self,
        shared: &Shared,
        rights: Rights,
        stop: &Stop,
        pacing: Option<Pacing>,
    ) -> Result<Option<Rented>, BackupError> {
        let (Self::Bucket { at, append_only, .. }, Some(folder)) = (self, self.key_folder(shared)) else {
            return Ok(None);
        };
        let unusable =
            |why: String| BackupError::Engine { doing: "its opening", place: self.told(shared), why };
        let key = Credentials::read(&folder).map_err(|error| unusable(chain(&error)))?;
        let rights = if *append_only { Rights::Append } else { rights };
        let rented = Rented::new(at, &key, (rights, stop), pacing, Handle::current());
        rented.map(Some).map_err(|error| unusable(chain(&error)))
    }

    /// Looks what is there. Blocks.
    pub(crate) fn look(&self, shared: &Arc<Shared>) -> There {
        let of_store = |listed: io::Result<Vec<_>>| match listed {
            Ok(found) if found.is_empty() => There::Nothing,
            Ok(_) => There::Repository,
            Err(error) => There::Unfit(error.to_string()),
        };
        match self {
            Self::Folder(path) => look(path),
            Self::Kept { of } => of_store(kept(shared, *of, Rights::Append).list(FileKind::Config)),
            Self::Bucket { .. } => self.look_into_bucket(shared),
            Self::Machine { .. } | Self::Room { .. } => match self.shelf(shared, &Stop::default()) {
                Some(shelf) => of_store(shelf.list(FileKind::Config)),
                None => There::Nothing,
            },
        }
    }

    fn look_into_bucket(&self, shared: &Shared) -> There {
        let looked = match self.rented(shared, Rights::Append, &Stop::default(), None) {
            Ok(Some(rented)) => rented.look(),
            Ok(None) => return There::Nothing,
            Err(error) => return There::Unfit(error.to_string()),
        };
        match looked {
            Ok(Lies::Nothing) => There::Nothing,
            Ok(Lies::Repository) => There::Repository,
            Ok(Lies::Other(name)) => There::Unfit(format!("something else lies there, for instance {name}")),
            Err(error) => There::Unfit(error.to_string()),
        }
    }

    fn shelf(&self, shared: &Arc<Shared>, stop: &Stop) -> Option<Shelf> {
        let (way, of) = match self {
            Self::Folder(_) | Self::Kept { .. } | Self::Bucket { .. } => return None,
            Self::Machine { keeper, of } => (Way::Machine(*keeper), *of),
            Self::Room { grant, home, of } => (Way::Room(*grant, *home), *of),
        };
        Some(Shelf::new(shared, way, of, self.told(shared), stop))
    }

    /// Makes a repository there.
    pub(crate) fn create(
        &self,
        shared: &Arc<Shared>,
        password: &Password,
    ) -> Result<Repository, BackupError> {
        if let Some(rented) = self.rented(shared, Rights::Append, &Stop::default(), None)? {
            return Repository::create(rented, password);
        }
        match (self, self.shelf(shared, &Stop::default())) {
            (_, Some(shelf)) => Repository::create(shelf, password),
            (Self::Folder(path), None) => Repository::create(Folder::new(path, Rights::Append), password),
            (_, None) => Err(BackupError::NotThere { place: self.told(shared) }),
        }
    }

    /// Opens the one that is there. It is never made here: what a disk holds that is not mounted would be missed. Nothing
    /// goes there faster than `pacing` says.
    pub(crate) fn open(
        &self,
        shared: &Arc<Shared>,
        (rights, pacing): (Rights, Option<Pacing>),
        password: &Password,
        stop: &Stop,
    ) -> Result<Repository, BackupError> {
        if let Some(rented) = self.rented(shared, rights, stop, pacing.clone())? {
            return Repository::open(rented, password);
        }
        match (self, self.shelf(shared, stop)) {
            (_, Some(shelf)) => Repository::open(shelf.paced(pacing), password),
            (Self::Folder(path), None) => {
                Repository::open(Folder::new(path, rights).stopped_by(stop).paced(pacing), password)
            }
            (Self::Kept { of }, None) => {
                Repository::open(kept(shared, *of, rights).stopped_by(stop), password)
            }
            (_, None) => Err(BackupError::NotThere { place: self.told(shared) }),
        }
    }
}

/// Where the access key of a bucket lies that is called so.
pub(crate) fn key_folder(home: &Home, key: &str) -> PathBuf {
    home.backup().join(KEYS).join(key)
}

/// The repository of another machine's shelf here, whose snapshots count by when they came.
fn kept(shared: &Shared, of: NodeId, rights: Rights) -> Folder {
    let dir = shared.backups_of_files.shelves.dir_of(of);
    Folder::new(&freehold_lent::repository(&dir), rights).noted_in(&freehold_lent::received(&dir))
}

fn look(path: &Path) -> There {
    if path.join("config").is_file() && path.join("keys").is_dir() {
        return There::Repository;
    }
    match std::fs::read_dir(path) {
        Ok(mut entries) => match entries.find_map(|entry| {
            let name = entry.ok()?.file_name().to_string_lossy().into_owned();
            (name != "lost+found").then_some(name)
        }) {
            Some(name) => There::Unfit(format!("there are other files in it, for instance {name}")),
            None => There::Nothing,
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => match path.parent() {
            Some(above) if above.is_dir() => There::Nothing,
            _ => There::Unfit("the directory that it is to lie in is not there".to_owned()),
        },
        Err(error) => There::Unfit(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_taken_only_where_nothing_else_lies() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        assert_eq!(look(&at("new")), There::Nothing);
        assert!(
            matches!(look(&at("no/disk/here")), There::Unfit(_)),
            "a disk that is not mounted is not made up"
        );
        std::fs::create_dir(at("full")).unwrap();
        std::fs::create_dir(at("full/photos")).unwrap();
        assert!(matches!(look(&at("full")), There::Unfit(why) if why.contains("photos")));
        let password = Password::draw().unwrap();
        Repository::create(Folder::new(&at("new"), Rights::Append), &password).unwrap();
        assert_eq!(look(&at("new")), There::Repository);
    }

    #[test]
    fn a_shelf_has_one_password_on_both_sides_and_places_are_kept_as_they_were() {
        let (keeper, of) = (NodeId::from_bytes([1; 32]), NodeId::from_bytes([2; 32]));
        let (there, here) = (Place::Machine { keeper, of }, Place::Kept { of });
        assert_eq!(there.key(of), here.key(keeper));
        let room = Place::Room { grant: GrantId::from_bytes([3; 32]), home: keeper, of };
        let at = Box::new(Settings::new("https://s3.example.org", "attic"));
        let bucket = Place::Bucket { at, key: "0a0b0c0d".to_owned(), append_only: true };
        for place in [there, here, room, bucket, Place::Folder("/mnt/nas".into())] {
            let kept = serde_json::to_string(&place).unwrap();
            assert_eq!(serde_json::from_str::<Place>(&kept).unwrap(), place);
        }
        assert_eq!(serde_json::to_string(&Place::Folder("/a".into())).unwrap(), r#"{"folder":"/a"}"#);
    }
}
