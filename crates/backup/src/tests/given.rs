//! Files that lie in no directory.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::Path,
    sync::{Arc, Mutex},
};

use freehold_wire::Millis;

use super::Place;
use crate::{BackupError, Item, Items, Origin};

/// What somebody has, by names; and what was read of it.
#[derive(Default)]
struct Shop {
    has: BTreeMap<&'static str, Result<&'static str, io::ErrorKind>>,
    read: Mutex<Vec<String>>,
    ends: Option<&'static str>,
}

impl Shop {
    fn with(has: &[(&'static str, Result<&'static str, io::ErrorKind>)]) -> Arc<Self> {
        Arc::new(Self { has: has.iter().copied().collect(), ..Self::default() })
    }
}

impl Origin for Shop {
    fn roots(&self) -> Vec<std::path::PathBuf> {
        vec!["/shop".into()]
    }

    fn items(self: Arc<Self>) -> Items {
        let item = |(name, content): (&&str, &Result<&str, _>)| Item {
            path: Path::new("/shop").join(name),
            key: (*name).to_owned(),
            size: content.map_or(1, |content| content.len() as u64),
            modified: Some(Millis(5)),
            mark: 7,
            attributes: vec![("user.content-type".to_owned(), b"text/plain".to_vec())],
        };
        // As a bucket has them: `a!` before `a/`.
        let mut all: Vec<io::Result<Item>> = self.has.iter().map(item).map(Ok).collect();
        all.extend(self.ends.map(|why| Err(io::Error::other(why))));
        Box::new(all.into_iter())
    }

    fn open(&self, item: &Item) -> io::Result<Box<dyn Read + Send>> {
        self.read.lock().unwrap().push(item.key.clone());
        let content = self.has.get(item.key.as_str()).copied().unwrap_or(Err(io::ErrorKind::NotFound))?;
        Ok(Box::new(content.as_bytes()))
    }
}

#[test]
fn what_somebody_has_comes_back_and_is_read_once() {
    let place = Place::new();
    let shop = Shop::with(&[("a!", Ok("one")), ("a/b", Ok("two")), ("a0", Ok("three"))]);
    let made = place.repository.backup_given(Arc::<Shop>::clone(&shop), "laptop").unwrap();
    assert_eq!((made.files, made.bytes, made.unread), (3, 11, 0));
    assert_eq!(shop.read.lock().unwrap().len(), 3);
    // Nothing of it is another one: nothing is read.
    let again = place.repository.backup_given(Arc::<Shop>::clone(&shop), "laptop").unwrap();
    assert_eq!((again.files, shop.read.lock().unwrap().len()), (3, 3));
    let to = place.dir.path().join("to");
    place.repository.restore("latest", Some(Path::new("/shop")), &to).unwrap();
    assert_eq!(fs::read_to_string(to.join("a/b")).unwrap(), "two");
    assert_eq!(fs::read_to_string(to.join("a!")).unwrap(), "one");
    let mut kind = [0; 32];
    let length = rustix::fs::getxattr(to.join("a0"), "user.content-type", &mut kind[..]).unwrap();
    assert_eq!(&kind[..length], b"text/plain", "what was said of it");
}

#[test]
fn what_cannot_be_read_is_told_and_what_is_gone_is_missing_to_nobody() {
    let place = Place::new();
    let shop = Shop::with(&[
        ("away", Err(io::ErrorKind::HostUnreachable)),
        ("gone", Err(io::ErrorKind::NotFound)),
        ("here", Ok("here")),
    ]);
    let made = place.repository.backup_given(shop, "laptop").unwrap();
    assert_eq!((made.files, made.unread), (1, 1));
    assert!(made.named[0].path.as_ref().is_some_and(|path| path == Path::new("/shop/away")), "{made:?}");
}

#[test]
fn without_the_whole_list_there_is_no_snapshot() {
    let place = Place::new();
    let half = Shop { ends: Some("the bucket is gone"), ..Shop::default() };
    let refused = place.repository.backup_given(Arc::new(half), "laptop").unwrap_err();
    assert!(matches!(&refused, BackupError::Source { why, .. } if why == "the bucket is gone"), "{refused}");
    assert_eq!(place.repository.snapshots().unwrap(), []);
}
