//! Snapshots that somebody put together to harm whoever restores them.

use std::{
    ffi::OsStr,
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use rustic_core::{
    BackupOptions, ReadSource, ReadSourceEntry, RusticResult, SnapshotOptions,
    repofile::{Metadata, Node, NodeType},
};

use super::{Place, files};
use crate::placing;

/// Entries as nobody's disk has them.
#[derive(Clone)]
struct Made(Vec<(PathBuf, Node, Option<&'static [u8]>)>);

impl ReadSource for Made {
    type Open = Cursor<&'static [u8]>;
    type Iter = std::vec::IntoIter<RusticResult<ReadSourceEntry<Self::Open>>>;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> Self::Iter {
        let entry = |(path, node, content): (_, _, Option<_>)| {
            Ok(ReadSourceEntry { path, node, open: content.map(Cursor::new) })
        };
        self.0.clone().into_iter().map(entry).collect::<Vec<_>>().into_iter()
    }
}

fn file(path: &str, name: &str, content: &'static [u8]) -> (PathBuf, Node, Option<&'static [u8]>) {
    (
        PathBuf::from(path),
        Node::new_node(OsStr::new(name), NodeType::File, Metadata::default()),
        Some(content),
    )
}

fn link(path: &str, name: &str, to: &Path) -> (PathBuf, Node, Option<&'static [u8]>) {
    (
        PathBuf::from(path),
        Node::new_node(OsStr::new(name), NodeType::from_link(to), Metadata::default()),
        None,
    )
}

fn restored(entries: Vec<(PathBuf, Node, Option<&'static [u8]>)>) -> (Place, crate::Restored, PathBuf) {
    let place = Place::new();
    let open = place.repository.opened().expect("open").to_indexed_ids().expect("indexed");
    let snapshot = SnapshotOptions::default().to_snapshot().expect("a snapshot");
    open.archive(&BackupOptions::default(), &Made(entries), snapshot, &[PathBuf::from("/evil")])
        .expect("written");
    let to = place.dir.path().join("deep/back");
    let restored = place.repository.restore("latest", None, &to).expect("restored");
    (place, restored, to)
}

#[test]
fn names_that_lead_elsewhere_lead_nowhere() {
    let names = ["../../escaped", "..", ".", "", "/escaped", "a/b", "a\0b"];
    let mut entries: Vec<_> = names.iter().map(|name| file("/evil/x", name, b"evil")).collect();
    entries.push(file("/evil/good", "good", b"good"));
    let (place, restored, to) = restored(entries);
    assert_eq!(files(&to), [to.join("evil/good")]);
    assert_eq!((restored.files, restored.failed), (1, names.len() as u64), "{restored:?}");
    let all: Vec<PathBuf> =
        files(place.dir.path()).into_iter().filter(|path| path.ends_with("escaped")).collect();
    assert_eq!(all, Vec::<PathBuf>::new());
    assert!(!Path::new("/escaped").exists());
}

#[test]
fn a_file_that_has_less_than_the_snapshot_says_is_told() {
    let mut short = file("/evil/short", "short", b"less");
    short.1.meta.size = 100;
    let (_place, restored, to) = restored(vec![short]);
    assert_eq!(files(&to), [to.join("evil/short")]);
    assert_eq!(restored.failed, 1, "{restored:?}");
    assert!(restored.named[0].why.contains("has 4 bytes where the backup says 100"), "{restored:?}");
}

#[test]
fn a_link_of_the_snapshot_is_never_followed() {
    let outside = tempfile::tempdir().expect("a directory");
    let (_place, restored, to) =
        restored(vec![link("/evil/way", "way", outside.path()), file("/evil/way/in", "in", b"evil")]);
    assert_eq!(fs::read_dir(outside.path()).expect("listed").count(), 0, "{restored:?}");
    assert!(to.join("evil").is_dir());
}

/// What the walk stands on, whatever an engine makes of such a snapshot.
#[test]
fn a_link_gives_way_to_a_directory_and_a_directory_to_nothing() {
    let (outside, dir) =
        (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let way = dir.path().join("way");
    std::os::unix::fs::symlink(outside.path(), &way).expect("linked");
    placing::dir(&way).expect("made");
    assert!(way.symlink_metadata().expect("there").is_dir());
    fs::File::create_new(way.join("in")).expect("made");
    assert_eq!(fs::read_dir(outside.path()).expect("listed").count(), 0);
    placing::special(&way, &NodeType::from_link(outside.path())).expect_err("a directory is in the way");
    placing::link(&way.join("in"), &way).expect_err("a directory is in the way");
    assert!(way.join("in").exists());
}

#[test]
fn marks_that_lend_rights_are_roots_to_give() {
    let go = 0o755 | 1 << 23 | 1 << 22 | 1 << 20;
    assert_eq!((placing::mode_of(go, true), placing::mode_of(go, false)), (0o7755, 0o1755));
    assert_eq!(placing::mode_of(1 << 31 | 0o1700, true), 0o700, "Go's other marks are not Unix's");
}
