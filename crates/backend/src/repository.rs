//! A repository of backups in a bucket of any S3, laid out as restic lays it out there: `config`, `keys/`, `snapshots/`,
//! `index/`, and packs under `data/` by the first two digits of their ids. Nothing is ever written over, as far as the store
//! knows how to refuse that; and whoever may only add takes nothing away.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use freehold_backup::{FileId, FileKind, Pacing, Rights, Stop, Store};
use freehold_wire::Digest;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload,
};
use tokio::runtime::Handle;

use crate::connect::{Patience, connect_with};
use crate::packed::chain;
use crate::{ConnectError, Credentials, Settings};

/// How often it is looked whether it was stopped.
const LOOK: Duration = Duration::from_millis(100);
/// A file goes as a whole, since only that can be refused where one is already: on a slow line it takes its time.
const PATIENCE: Patience = Patience { answer: Duration::from_mins(20), request: Duration::from_hours(1) };
/// No file of a repository is greater.
const FILE_MAX: u64 = 512 << 20;
/// A piece of a body that goes at a pace.
const PART: usize = 64 << 10;
/// At the top, with the locks of restic.
const PARTS_OF_IT: [&str; 7] = ["config", "keys", "snapshots", "index", "data", "letters", "locks"];

/// A place in a bucket.
pub struct Rented {
    store: Arc<dyn ObjectStore>,
    place: String,
    rights: Rights,
    stop: Stop,
    /// So many bytes go in one piece, where there is a pace.
    part: Option<usize>,
    runtime: Handle,
}

/// What lies at such a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lies {
    /// Nothing.
    Nothing,
    /// A repository.
    Repository,
    /// Something else, for instance this.
    Other(String),
}

impl std::fmt::Debug for Rented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rented").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Rented {
    /// Calls block their thread; `runtime` carries the requests. Nothing goes there faster than `pacing` says.
    ///
    /// # Errors
    /// [`ConnectError`]: nobody has been asked yet.
    pub fn new(
        settings: &Settings,
        credentials: &Credentials,
        (rights, stop): (Rights, &Stop),
        pacing: Option<Pacing>,
        runtime: Handle,
    ) -> Result<Self, ConnectError> {
        let part = pacing.as_ref().map(|pacing| pacing.part(PART));
        let takes = pacing.as_ref().map_or(Duration::ZERO, |pacing| pacing.takes(FILE_MAX));
        let Patience { answer, request } = PATIENCE;
        let patience =
            Patience { answer: answer.saturating_add(takes), request: request.saturating_add(takes) };
        let store = connect_with(settings, credentials, patience, pacing)?;
        Ok(Self { store, place: place_of(settings), rights, stop: stop.clone(), part, runtime })
    }

    /// What lies there.
    ///
    /// # Errors
    /// Why nobody knows.
    pub fn look(&self) -> io::Result<Lies> {
        let top = self.wait(self.store.list_with_delimiter(None))?;
        let objects = top.objects.iter().map(|object| &object.location);
        let mut names = objects.chain(&top.common_prefixes).map(ToString::to_string);
        if let Some(other) = names.find(|name| !PARTS_OF_IT.contains(&name.as_str())) {
            return Ok(Lies::Other(other));
        }
        let has = top.objects.iter().any(|object| object.location.as_ref() == "config");
        Ok(if has { Lies::Repository } else { Lies::Nothing })
    }

    fn wait<T>(&self, work: impl Future<Output = Result<T, Error>>) -> io::Result<T> {
        self.stop.check()?;
        self.runtime.block_on(async {
            let stopped = async {
                while !self.stop.is_asked() {
                    tokio::time::sleep(LOOK).await;
                }
            };
            tokio::select! {
                biased;
                done = work => done.map_err(|error| said(&error)),
                () = stopped => Err(io::Error::other("it was stopped")),
            }
        })
    }

    fn put(&self, path: &Path, content: &[Bytes]) -> io::Result<()> {
        let length = length_of(content);
        let whole: PutPayload = match self.part {
            None => content.iter().cloned().collect(),
            Some(part) => content.iter().flat_map(|piece| pieces(piece, part)).collect(),
        };
        let created = self.wait(self.store.put_opts(path, whole, PutMode::Create.into()));
        match created {
            // The same content, if it has the same length, since the name is its hash.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let same = path.as_ref() != "config" && self.meta(path)?.size == length;
                if same { Ok(()) } else { Err(error) }
            }
            done => done.map(drop),
        }
    }

    fn meta(&self, path: &Path) -> io::Result<ObjectMeta> {
        self.wait(self.store.head(path))
    }
}

/// Where it is, as restic calls it.
pub fn place_of(settings: &Settings) -> String {
    let Settings { endpoint, bucket, prefix, .. } = settings;
    let whole = format!("s3:{}/{bucket}/{prefix}", endpoint.trim_end_matches('/'));
    whole.trim_end_matches('/').to_owned()
}

fn path_of(kind: FileKind, id: &FileId) -> Path {
    Path::from(kind.path(id))
}

/// The file that an object is, if it is one of this kind.
fn file_of(kind: FileKind, object: &ObjectMeta) -> Option<(FileId, u64)> {
    let name = object.location.filename()?;
    let id = *name.parse::<Digest>().ok()?.as_bytes();
    (path_of(kind, &id) == object.location).then_some((id, object.size))
}

/// The same bytes in small pieces.
fn pieces(whole: &Bytes, part: usize) -> impl Iterator<Item = Bytes> {
    (0..whole.len())
        .step_by(part.max(1))
        .map(move |at| whole.slice(at..whole.len().min(at.saturating_add(part))))
}

fn length_of(content: &[Bytes]) -> u64 {
    content.iter().map(|part| part.len() as u64).sum()
}

fn said(error: &Error) -> io::Error {
    let text = chain(error);
    let code = between(&text, "<Code>", "</Code>");
    // The client wraps what a list or a body was answered with, and tells it as text alone.
    let refused = text.contains("403 Forbidden") || text.contains("401 Unauthorized");
    let (kind, words) = match error {
        _ if text.contains("NoSuchBucket") => (io::ErrorKind::Other, Some("it has no such bucket")),
        Error::NotFound { .. } => (io::ErrorKind::NotFound, None),
        Error::AlreadyExists { .. } | Error::Precondition { .. } => (io::ErrorKind::AlreadyExists, None),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            (io::ErrorKind::PermissionDenied, Some("it does not let this access key do that"))
        }
        Error::Generic { .. } if refused => {
            (io::ErrorKind::PermissionDenied, Some("it does not let this access key do that"))
        }
        Error::Generic { .. } if code.is_none() => {
            return io::Error::new(io::ErrorKind::HostUnreachable, deepest(error));
        }
        Error::Generic { .. } => (io::ErrorKind::HostUnreachable, None),
        _ => (io::ErrorKind::Other, None),
    };
    let words = words.map(str::to_owned).or_else(|| code.map(|code| format!("it says {code}")));
    let detail = code.map(|code| format!(" ({code})")).filter(|_| kind == io::ErrorKind::PermissionDenied);
    io::Error::new(kind, words.map_or(text.clone(), |words| words + &detail.unwrap_or_default()))
}

/// What is behind it: the client's own words go round in circles.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

/// What stands between two words, if it is no longer than a code of S3's.
fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(from)?;
    let (code, _) = rest.split_once(to)?;
    let is_code = !code.is_empty() && code.len() <= 64 && code.chars().all(|c| c.is_ascii_alphanumeric());
    is_code.then_some(code)
}

impl Store for Rented {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn list(&self, kind: FileKind) -> io::Result<Vec<(FileId, u64)>> {
        let path = Path::from(kind.dirname());
        if kind == FileKind::Config {
            return match self.meta(&path) {
                Ok(found) => Ok(vec![([0; 32], found.size)]),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
                Err(error) => Err(error),
            };
        }
        let files = self.store.list(Some(&path)).try_filter_map(async |object| Ok(file_of(kind, &object)));
        self.wait(files.try_collect())
    }

    fn read(&self, kind: FileKind, id: &FileId, part: Option<(u32, u32)>) -> io::Result<Bytes> {
        let path = path_of(kind, id);
        let range = part.map(|(offset, length)| {
            GetRange::Bounded(offset.into()..u64::from(offset).saturating_add(length.into()))
        });
        let options = GetOptions { range, ..GetOptions::default() };
        let read = async {
            let found = self.store.get_opts(&path, options).await?;
            // Not more than a file can have is set aside, whatever the store has there.
            if found.range.end.saturating_sub(found.range.start) > FILE_MAX {
                return Ok(None);
            }
            found.bytes().await.map(Some)
        };
        let bytes = self.wait(read)?;
        let bytes = bytes
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no file of a backup is that large"))?;
        match part {
            Some((_, length)) if bytes.len() as u64 != u64::from(length) => {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            _ => Ok(bytes),
        }
    }

    fn add(&self, kind: FileKind, id: &FileId, content: &[Bytes]) -> io::Result<()> {
        self.put(&path_of(kind, id), content)
    }

    fn remove(&self, kind: FileKind, id: &FileId) -> io::Result<()> {
        if self.rights == Rights::Append {
            let words = "it stays: whoever writes here may only add";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, words));
        }
        self.wait(self.store.delete(&path_of(kind, id)))
    }

    /// A bucket needs nothing made in it.
    fn create(&self) -> io::Result<()> {
        Ok(())
    }

    /// It is known by its address.
    fn stays(&self) {}

    fn stop(&self) -> &Stop {
        &self.stop
    }

    fn written(&self, kind: FileKind, id: &FileId) -> Option<SystemTime> {
        self.meta(&path_of(kind, id)).ok().map(|found| found.last_modified.into())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use freehold_backup::{Password, Repository, Source};
    use object_store::memory::InMemory;
    use tokio::runtime::Runtime;

    use super::*;

    fn rented(store: &Arc<InMemory>, rights: Rights, runtime: &Runtime) -> Rented {
        Rented {
            store: Arc::clone(store) as Arc<dyn ObjectStore>,
            place: "s3:https://s3.example.org/attic".to_owned(),
            rights,
            stop: Stop::default(),
            part: Some(100_000),
            runtime: runtime.handle().clone(),
        }
    }

    #[test]
    fn a_repository_lies_in_a_bucket_as_restic_lays_it_out() {
        let (runtime, store) = (Runtime::new().unwrap(), Arc::new(InMemory::new()));
        let at = |rights| rented(&store, rights, &runtime);
        let password = Password::draw().unwrap();
        assert_eq!(at(Rights::Append).look().unwrap(), Lies::Nothing);
        let home = tempfile::tempdir().unwrap();
        let content = vec![7; 20 << 20];
        File::create(home.path().join("film")).unwrap().write_all(&content).unwrap();
        let source = Source { paths: vec![home.path().to_owned()], ..Source::default() };
        let repository = Repository::create(at(Rights::Append), &password).unwrap();
        assert_eq!(at(Rights::Append).look().unwrap(), Lies::Repository);
        repository.backup(&source, "laptop").unwrap();
        let again = Repository::open(at(Rights::Prune), &password).unwrap();
        let back = tempfile::tempdir().unwrap();
        let restored = again.restore("latest", Some(home.path()), back.path()).unwrap();
        assert_eq!((restored.files, restored.failed), (1, 0));
        assert_eq!(std::fs::read(back.path().join("film")).unwrap(), content);
        assert!(again.check(true).unwrap().is_empty());
        let (pack, _) = *at(Rights::Append).list(FileKind::Pack).unwrap().first().unwrap();
        assert!(path_of(FileKind::Pack, &pack).as_ref().starts_with(&format!("data/{:02x}/", pack[0])));
        let kept = at(Rights::Append).remove(FileKind::Pack, &pack).unwrap_err();
        assert_eq!(kept.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn nothing_is_written_over_and_what_is_large_is_whole() {
        let (runtime, store) = (Runtime::new().unwrap(), Arc::new(InMemory::new()));
        let at = rented(&store, Rights::Prune, &runtime);
        let id = [3; 32];
        at.add(FileKind::Snapshot, &id, &[Bytes::from_static(b"one")]).unwrap();
        at.add(FileKind::Snapshot, &id, &[Bytes::from_static(b"one")]).unwrap();
        at.add(FileKind::Snapshot, &id, &[Bytes::from_static(b"other")]).unwrap_err();
        at.add(FileKind::Config, &id, &[Bytes::from_static(b"one")]).unwrap();
        at.add(FileKind::Config, &id, &[Bytes::from_static(b"one")]).unwrap_err();
        assert_eq!(&*at.read(FileKind::Snapshot, &id, Some((1, 2))).unwrap(), b"ne");
        at.read(FileKind::Snapshot, &id, Some((1, 3))).unwrap_err();
        assert_eq!(at.read(FileKind::Key, &id, None).unwrap_err().kind(), io::ErrorKind::NotFound);
        let large: Vec<Bytes> = (0..23_u8).map(|n| vec![n; 1 << 20].into()).collect();
        at.add(FileKind::Pack, &id, &large).unwrap();
        assert_eq!(at.read(FileKind::Pack, &id, None).unwrap(), large.concat());
        assert_eq!(at.list(FileKind::Pack).unwrap(), [(id, 23 << 20)]);
        at.remove(FileKind::Pack, &id).unwrap();
        assert!(at.list(FileKind::Pack).unwrap().is_empty());
        at.stop.ask();
        at.add(FileKind::Snapshot, &[4; 32], &[Bytes::from_static(b"two")]).unwrap_err();
    }

    #[test]
    fn what_is_no_part_of_a_repository_is_seen() {
        let (runtime, store) = (Runtime::new().unwrap(), Arc::new(InMemory::new()));
        let put = |name: &str| {
            runtime.block_on(store.put(&Path::from(name), PutPayload::from_static(b"x"))).unwrap();
        };
        put("data/00/not-an-id");
        put(&format!("data/11/{}", "00".repeat(32)));
        let at = rented(&store, Rights::Append, &runtime);
        assert!(at.list(FileKind::Pack).unwrap().is_empty());
        assert_eq!(at.look().unwrap(), Lies::Nothing);
        put("photos/sea.jpg");
        assert_eq!(at.look().unwrap(), Lies::Other("photos".to_owned()));
    }

    #[test]
    fn it_is_called_as_restic_calls_it() {
        let mut settings = Settings::new("https://s3.example.org/", "attic");
        assert_eq!(place_of(&settings), "s3:https://s3.example.org/attic");
        settings.prefix = "ann/laptop".to_owned();
        assert_eq!(place_of(&settings), "s3:https://s3.example.org/attic/ann/laptop");
    }
}
