//! A backup on a disk or in a bucket is all that is left, with the letters to the guardians beside it.

use std::io;
use std::path::{Path, PathBuf};

use freehold_api::{NewStore, Problem};
use freehold_backend::{Credentials, Rented, Settings, place_of};
use freehold_backup::{BackupError, FileKind, Folder, Password, Repository, Rights, Stop, Store};
use freehold_crypt::{Phrase, SigningKey};
use tokio::runtime::Handle;

use super::WHAT;
use super::from_letters::{Found, Returned};
use crate::backup::letters::{LETTER_MAX, LETTERS_MAX};
use crate::backup::{Place, Plan, Target, short_id};
use crate::hosting::wished_store;
use crate::identity::FreshKeys;
use crate::problem::chain;

/// Where the backup lies.
pub(super) enum At {
    Folder(PathBuf),
    Bucket(Box<Settings>, Credentials),
}

impl At {
    pub(super) fn bucket(store: &NewStore) -> Result<Self, Problem> {
        let invalid = |why: String| Problem::invalid(WHAT, why, Some("freehold recover --help"));
        let (at, access) = wished_store(store).map_err(invalid)?;
        at.check().map_err(|error| invalid(chain(&error)))?;
        Ok(Self::Bucket(Box::new(at), access))
    }

    /// Its name among targets.
    const fn name(&self) -> &'static str {
        match self {
            Self::Folder(_) => "disk",
            Self::Bucket(..) => "bucket",
        }
    }

    fn told(&self) -> String {
        match self {
            Self::Folder(path) => path.display().to_string(),
            Self::Bucket(at, _) => place_of(at),
        }
    }

    fn store(&self) -> io::Result<Box<dyn Store>> {
        match self {
            Self::Folder(path) => Ok(Box::new(folder(path))),
            Self::Bucket(at, access) => Ok(Box::new(rented(at, access)?)),
        }
    }

    fn open(&self, password: &Password) -> io::Result<Result<Repository, BackupError>> {
        Ok(match self {
            Self::Folder(path) => Repository::open(folder(path), password),
            Self::Bucket(at, access) => Repository::open(rented(at, access)?, password),
        })
    }

    /// The letters that lie there, the newest first.
    fn letters(&self) -> io::Result<Vec<Vec<u8>>> {
        let store = self.store()?;
        if store.list(FileKind::Config)?.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no backup"));
        }
        let there = store.list(FileKind::Letter)?.into_iter().filter(|(_, len)| *len <= LETTER_MAX as u64);
        let mut dated: Vec<_> = there.map(|(id, _)| (store.written(FileKind::Letter, &id), id)).collect();
        dated.sort();
        let newest = dated.iter().rev().take(LETTERS_MAX);
        newest.map(|(_, id)| Ok(store.read(FileKind::Letter, id, None)?.to_vec())).collect()
    }

    /// The name of the password that opens what lies there; it need not lie where it lay when it was made.
    fn opened_by(&self, passwords: Vec<(String, Password)>) -> io::Result<Option<String>> {
        for (name, password) in passwords {
            match self.open(&password)? {
                Ok(_) => return Ok(Some(name)),
                Err(BackupError::Password { .. }) => {}
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(None)
    }

    /// As a target of the node that is to be, and its access key.
    fn into_place(self) -> (Place, Option<(String, Credentials)>) {
        match self {
            Self::Folder(path) => (Place::Folder(path), None),
            Self::Bucket(at, access) => {
                let key = short_id();
                (Place::Bucket { at, key: key.clone(), append_only: true }, Some((key, access)))
            }
        }
    }
}

fn folder(path: &Path) -> Folder {
    Folder::new(path, Rights::Append)
}

fn rented(at: &Settings, access: &Credentials) -> io::Result<Rented> {
    let rented = Rented::new(at, access, (Rights::Append, &Stop::default()), None, Handle::current());
    rented.map_err(|error| io::Error::other(chain(&error)))
}

fn ended(error: &tokio::task::JoinError) -> Problem {
    Problem::bug(WHAT, error.to_string(), None::<&str>)
}

/// Brings back what lies there.
pub(super) async fn bring_back(
    at: At,
    (keys, phrases, guardians): (&FreshKeys, &[Phrase], &[SigningKey]),
) -> Result<Returned, Problem> {
    let told = at.told();
    let unread = |error: io::Error| {
        let why = format!("{told} cannot be read: {error}");
        Problem::refused(
            WHAT,
            why,
            Some("name what `freehold backup target add` was given, mounted and readable"),
        )
    };
    let work = move || at.letters().map(|letters| (at, letters));
    let read = tokio::task::spawn_blocking(work).await.map_err(|error| ended(&error))?;
    let (at, letters) = read.map_err(&unread)?;
    if letters.is_empty() {
        let why = format!("no letter to the guardians lies beside the backup at {told}");
        let next = "recover from a machine of the realm, or restore with restic and the backup's password";
        return Err(Problem::not_found(WHAT, why, Some(next)));
    }
    let mut found = Found::of(None);
    for letter in &letters {
        found.read(letter, phrases);
    }
    let passwords = found.passwords();
    let work = move || at.opened_by(passwords).map(|name| (at, name));
    let opened = tokio::task::spawn_blocking(work).await.map_err(|error| ended(&error))?;
    let (at, name) = opened.map_err(&unread)?;
    let called = at.name().to_owned();
    let (place, access) = at.into_place();
    let target = name.map(|password| (called, Target { place, password, pace: None }));
    let plan = Plan { targets: target.into_iter().collect(), ..Plan::default() };
    let mut returned = found.put_together((keys, guardians), plan, [].into())?;
    returned.access = access;
    Ok(returned)
}
