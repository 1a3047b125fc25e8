//! What a lender's disk shows, and how room stands on both sides.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use freehold_api::{BackendState, BackendStatus, GrantOffered, GrantRoom, GrantStatus, RealmCard};
use freehold_harness::{Node, Ready, Story, until};

pub(crate) const MIB: usize = 1 << 20;
/// Stands in one of the files, and must stand nowhere on a friend's disk.
pub(crate) const MARK: &[u8] = b"the recipe that nobody else may read";
/// How many objects `photos` makes.
pub(crate) const OBJECTS: u64 = 3;

/// A realm on a first machine.
pub(crate) fn found(node: &mut Node<'_>, realm: &str, name: &str) -> Result<Ready> {
    let ready = node.up(&["--name", realm])?;
    let me = node.status()?.this_node;
    node.cli(&["node", "rename", &me, name])?.good()?;
    Ok(ready)
}

pub(crate) fn photos(story: &Story) -> Result<PathBuf> {
    for (name, size) in [("small.txt", 100), ("a/photo.jpg", 300_000)] {
        story.file(&format!("photos/{name}"), size, 1 + size as u64)?;
    }
    let folder = story.folder().join("photos");
    // Between bytes that no store can press together.
    let mut secret = std::fs::read(story.file("noise", 9 * MIB, 7)?)?;
    secret.splice(1000..1000, MARK.iter().copied());
    std::fs::File::create(folder.join("secret-name.jpg"))?.write_all(&secret)?;
    Ok(folder)
}

/// All files below; nodes run, so that some come and go meanwhile.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let Some(entries) = if_there(std::fs::read_dir(folder))? else { return Ok(found) };
    for entry in entries {
        let Some(entry) = if_there(entry)? else { continue };
        let Some(sort) = if_there(entry.file_type())? else { continue };
        if sort.is_dir() {
            found.extend(files(&entry.path())?);
        } else if sort.is_file() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// What is gone by now is none.
pub(crate) fn if_there<T>(read: std::io::Result<T>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What lies on a lender's disk for others: names and lengths.
pub(crate) fn lying(lender: &Node<'_>) -> Result<Vec<(String, u64)>> {
    let kept = files(&lender.home().join("net/lent"))?;
    let objects = kept.into_iter().filter(|path| path.parent().is_some_and(|dir| dir.ends_with("objects")));
    let read = objects.map(|path| {
        let name = path.file_name().context("a name")?.to_string_lossy().into_owned();
        Ok(if_there(path.metadata())?.map(|file| (name, file.len())))
    });
    let read: Result<Vec<_>> = read.collect();
    Ok(read?.into_iter().flatten().collect())
}

/// Nothing that lies there shows whose it is or what: neither bytes nor names.
pub(crate) fn shows_nothing(lender: &Node<'_>) -> Result<()> {
    let all = lying(lender)?;
    ensure!(!all.is_empty(), "nothing lies there");
    for (name, _) in &all {
        ensure!(name.len() == 64 && name.bytes().all(|c| c.is_ascii_hexdigit()), "a name is {name}");
    }
    for file in files(&lender.home().join("net/lent"))? {
        let Some(bytes) = if_there(std::fs::read(&file))? else { continue };
        for word in [MARK, b"secret-name", b"photo.jpg", b"small.txt", b"Jones"] {
            let is_there = bytes.windows(word.len()).any(|window| window == word);
            ensure!(!is_there, "{} shows {}", file.display(), String::from_utf8_lossy(word));
        }
    }
    Ok(())
}

/// How room stands, as a node sees it.
pub(crate) fn room(node: &Node<'_>, grant: &str) -> Result<GrantRoom> {
    let grant: GrantStatus = node.ask(&["grant", "show", grant])?;
    grant.room.with_context(|| format!("it is no room: {:?}", grant.name))
}

/// The lender's meter says what lies on its disk, to the byte.
pub(crate) fn meter_is_exact(lender: &Node<'_>, grant: &str) -> Result<u64> {
    let mut kept = 0;
    until(20, "the meter says what lies there", || {
        let (told, lying) = (room(lender, grant)?, lying(lender)?);
        kept = lying.iter().map(|(_, len)| len).sum();
        ensure!(
            told.kept == Some(kept) && told.objects == Some(lying.len() as u64),
            "{told:?}, {kept} bytes lie there"
        );
        Ok(())
    })?;
    Ok(kept)
}

/// Offers room; the lender's machine may be without a network.
pub(crate) fn offer(lender: &Node<'_>, borrower: &Node<'_>, what: &[&str]) -> Result<String> {
    let card: RealmCard = borrower.ask(&["grant", "card"])?;
    let offer = [&["grant", "offer", "--to", &card.text, "--name", "jones"], what].concat();
    Ok(lender.ask::<GrantOffered>(&offer)?.text)
}

pub(crate) fn is_attached(node: &Node<'_>, name: &str) -> Result<()> {
    until(180, &format!("{name} is a place for copies"), || {
        let all: Vec<BackendStatus> = node.ask(&["backend", "list"])?;
        let up = all.iter().any(|one| one.name == name && one.state == BackendState::Up);
        ensure!(up, "{all:?}, {:?}", node.ask::<GrantStatus>(&["grant", "show", name])?.trouble);
        Ok(())
    })
}

pub(crate) fn upload(node: &Node<'_>, ready: &Ready, from: &Path) -> Result<()> {
    node.s3(ready)?.rclone(&["copy", &from.to_string_lossy(), "fh:photos"])?.good().map(drop)
}

pub(crate) fn identical(node: &Node<'_>, ready: &Ready, original: &Path) -> Result<bool> {
    let check = node.s3(ready)?.rclone(&["check", "--download", &original.to_string_lossy(), "fh:photos"])?;
    Ok(check.code == Some(0))
}

/// This machine's disk lost every sealed blob.
pub(crate) fn lose_the_disk(node: &Node<'_>) -> Result<()> {
    let blobs = files(&node.home().join("depot"))?;
    ensure!(!blobs.is_empty(), "there is nothing to lose");
    blobs.into_iter().try_for_each(|blob| if_there(std::fs::remove_file(blob)).map(drop))
}
