//! `/etc/resolv.conf`, replaced and put back.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Before, SystemError, Wish};

/// The first line of what we write: whoever reads it knows who did.
const MARK: &str = "# Written by freehold, which puts back what was here when it ends.";
/// Where what was there is kept.
const NOTE: &str = "resolv.conf.before";
/// The system's library reads no more (resolv.conf(5)).
const SERVERS: usize = 3;

/// What was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Was {
    Nothing,
    Text(String),
    /// A link, as it was written, and what was read through it.
    Link(PathBuf, String),
}

/// What was there, and what stands there in its place.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    file: PathBuf,
    was: Was,
    ours: String,
}

/// The file says what we wrote.
#[derive(Debug)]
pub(super) struct Replaced {
    at: PathBuf,
    note: Note,
}

impl Replaced {
    pub(super) fn replace(folder: &Path, wish: &Wish) -> Result<(Self, Before), SystemError> {
        let ours = text(wish).ok_or_else(|| SystemError::Port(wish.file.clone()))?;
        let at = folder.join(NOTE);
        let (was, kept) = (read(&wish.file)?, note(&at)?);
        let was = match (was, kept) {
            // Ours, of a life that ended badly: what was there before it counts.
            (Was::Text(text), Some(note)) if is_ours(&text, &note) => note.was,
            // Somebody's whose note is not here: nobody could put anything back.
            (Was::Text(text), _) if text.starts_with(MARK) => {
                return Err(SystemError::Another(wish.file.clone()));
            }
            (was, _) => was,
        };
        let before = before(&was);
        let replaced = Self { at, note: Note { file: wish.file.clone(), was, ours } };
        replaced.keep()?;
        replaced.write()?;
        Ok((replaced, before))
    }

    /// The note is on disk before anything changes.
    fn keep(&self) -> Result<(), SystemError> {
        let failed = |source| SystemError::Keep { path: self.at.clone(), source };
        let note = serde_json::to_vec_pretty(&self.note).map_err(|error| failed(error.into()))?;
        let folder = self.at.parent().unwrap_or(Path::new("."));
        freehold_disk::make_private_dir(folder).map_err(failed)?;
        freehold_disk::replace(&self.at, &note, 0o600).map_err(failed)
    }

    fn write(&self) -> Result<(), SystemError> {
        put(&self.note.file, &Was::Text(self.note.ours.clone()))
    }

    pub(super) fn hold(&mut self) -> Result<Option<Before>, SystemError> {
        let now = read(&self.note.file)?;
        if matches!(&now, Was::Text(text) if *text == self.note.ours) {
            return Ok(None);
        }
        let before = before(&now);
        self.note.was = now;
        self.keep()?;
        self.write()?;
        Ok(Some(before))
    }

    pub(super) fn put_back(self) -> Result<(), SystemError> {
        back(&self.at, &self.note)
    }
}

pub(super) fn mend(folder: &Path) -> Result<Option<PathBuf>, SystemError> {
    let at = folder.join(NOTE);
    let Some(note) = note(&at)? else { return Ok(None) };
    back(&at, &note)?;
    Ok(Some(note.file))
}

fn back(at: &Path, note: &Note) -> Result<(), SystemError> {
    // What others have written since is theirs.
    if matches!(read(&note.file)?, Was::Text(text) if is_ours(&text, note)) {
        put(&note.file, &note.was)?;
    }
    match std::fs::remove_file(at) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(SystemError::Keep { path: at.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Whether we wrote it: the whole, or as far as a crash let us, where a file cannot be swapped, on the way there
/// or back.
fn is_ours(text: &str, note: &Note) -> bool {
    let half_back = matches!(&note.was, Was::Text(was) if was != text && was.starts_with(text));
    note.ours.starts_with(text) || half_back || text.starts_with(MARK)
}

fn note(at: &Path) -> Result<Option<Note>, SystemError> {
    match std::fs::read(at) {
        // One that cannot be read puts nothing back; a half one cannot be.
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SystemError::Keep { path: at.to_owned(), source }),
    }
}

fn read(path: &Path) -> Result<Was, SystemError> {
    let failed = |source| SystemError::File { path: path.to_owned(), source };
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    match std::fs::symlink_metadata(path) {
        Ok(about) if about.is_symlink() => Ok(Was::Link(std::fs::read_link(path).map_err(failed)?, text)),
        Ok(_) => Ok(Was::Text(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Was::Nothing),
        Err(error) => Err(failed(error)),
    }
}

/// Makes the file be that, in one step if the file system lets us.
fn put(path: &Path, what: &Was) -> Result<(), SystemError> {
    let failed = |source| SystemError::File { path: path.to_owned(), source };
    match what {
        Was::Nothing => match std::fs::remove_file(path) {
            // A container's own file can be emptied, not removed.
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => in_place(path, "").map_err(failed),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        },
        Was::Text(text) => match freehold_disk::replace(path, text.as_bytes(), 0o644) {
            // Through a link it would be another program's file.
            Err(error) if is_pinned(&error) && !path.is_symlink() => in_place(path, text).map_err(failed),
            done => done.map_err(failed),
        },
        Was::Link(to, _) => {
            let mut beside = path.as_os_str().to_owned();
            beside.push(".freehold");
            let beside = PathBuf::from(beside);
            // Of a life that ended between two lines of this.
            drop(std::fs::remove_file(&beside));
            symlink(to, &beside).and_then(|()| std::fs::rename(&beside, path)).map_err(failed)
        }
    }
}

/// Whether the file cannot be swapped for another: it is mounted, as in containers, or its folder is closed.
fn is_pinned(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ResourceBusy
            | io::ErrorKind::CrossesDevices
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
    )
}

fn in_place(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).truncate(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// What we write; none if there is no server to name.
fn text(wish: &Wish) -> Option<String> {
    let servers = wish.servers.iter().filter(|server| server.port() == 53).take(SERVERS);
    let mut lines: Vec<String> = servers.map(|server| format!("nameserver {}", server.ip())).collect();
    if lines.is_empty() {
        return None;
    }
    lines.insert(0, MARK.to_owned());
    if !wish.search.is_empty() {
        let search: Vec<String> = wish.search.iter().map(ToString::to_string).collect();
        lines.push(format!("search {}", search.join(" ")));
    }
    lines.push("options edns0 trust-ad\n".to_owned());
    Some(lines.join("\n"))
}

/// Who was asked.
fn before(was: &Was) -> Before {
    match was {
        Was::Nothing => Before::default(),
        Was::Text(text) | Was::Link(_, text) => parse(text),
    }
}

/// Reads a `resolv.conf`.
pub(super) fn parse(text: &str) -> Before {
    let mut before = Before::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("nameserver") => {
                // With the name of a link behind it, it is one that we cannot ask without knowing that.
                before.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()));
            }
            Some("search" | "domain") => before.search = words.map(str::to_owned).collect(),
            _ => {}
        }
    }
    before
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wish(file: &Path) -> Wish {
        Wish {
            link: None,
            servers: vec!["127.0.0.1:53".parse().unwrap(), "[fd00::1]:53".parse().unwrap()],
            domains: Vec::new(),
            search: vec!["home.internal".parse().unwrap()],
            everything: true,
            file: file.to_owned(),
        }
    }

    const OLD: &str = "# of the router\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nsearch lan\n";

    #[test]
    fn what_was_there_comes_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (file, home) = (dir.path().join("resolv.conf"), dir.path().join("home"));
        for kind in ["text", "link", "dangling", "nothing"] {
            drop(std::fs::remove_file(&file));
            let real = dir.path().join("stub.conf");
            freehold_disk::replace(&real, OLD.as_bytes(), 0o644).unwrap();
            match kind {
                "text" => freehold_disk::replace(&file, OLD.as_bytes(), 0o644).unwrap(),
                "link" => symlink("stub.conf", &file).unwrap(),
                "dangling" => symlink("not-there", &file).unwrap(),
                _ => {}
            }
            let was = read(&file).unwrap();
            let (replaced, before) = Replaced::replace(&home, &wish(&file)).unwrap();
            assert!(!file.is_symlink(), "{kind}");
            let ours = std::fs::read_to_string(&file).unwrap();
            assert!(
                ours.contains("nameserver 127.0.0.1\nnameserver fd00::1\nsearch home.internal\n"),
                "{ours}"
            );
            assert_eq!(before.servers.len(), usize::from(matches!(kind, "text" | "link")), "{kind}");
            replaced.put_back().unwrap();
            assert_eq!(read(&file).unwrap(), was, "{kind}");
            assert_eq!(std::fs::read_to_string(&real).unwrap(), OLD, "what a link leads to is not touched");
            assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0, "no note is left");
        }
    }

    #[test]
    fn after_a_crash_the_next_start_puts_it_back_or_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let (file, home) = (dir.path().join("resolv.conf"), dir.path().join("home"));
        freehold_disk::replace(&file, OLD.as_bytes(), 0o644).unwrap();
        let (crashed, _) = Replaced::replace(&home, &wish(&file)).unwrap();
        drop(crashed);
        let (crashed, before) = Replaced::replace(&home, &wish(&file)).unwrap();
        assert_eq!(before.servers, ["192.0.2.1".parse::<IpAddr>().unwrap()], "not ours");
        drop(crashed);
        assert_eq!(mend(&home).unwrap(), Some(file.clone()));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), OLD);
        assert_eq!(mend(&home).unwrap(), None);
    }

    #[test]
    fn what_another_one_set_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("resolv.conf");
        freehold_disk::replace(&file, OLD.as_bytes(), 0o644).unwrap();
        let (one, _) = Replaced::replace(&dir.path().join("one"), &wish(&file)).unwrap();
        let other = dir.path().join("other");
        for _ in 0..2 {
            let refused = Replaced::replace(&other, &wish(&file));
            assert!(matches!(refused, Err(SystemError::Another(_))), "{refused:?}");
            assert!(std::fs::read_to_string(&file).unwrap().starts_with(MARK));
        }
        one.put_back().unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), OLD);
    }

    #[test]
    fn a_file_that_was_half_written_is_put_back_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let (file, home) = (dir.path().join("resolv.conf"), dir.path().join("home"));
        let ours = text(&wish(&file)).unwrap();
        let there: Vec<&str> = (0..ours.len()).filter_map(|len| ours.get(..len)).collect();
        let back: Vec<&str> = (0..OLD.len()).filter_map(|len| OLD.get(..len)).collect();
        for half in [there, back].concat() {
            freehold_disk::replace(&file, OLD.as_bytes(), 0o644).unwrap();
            drop(Replaced::replace(&home, &wish(&file)).unwrap());
            freehold_disk::replace(&file, half.as_bytes(), 0o644).unwrap();
            assert_eq!(mend(&home).unwrap(), Some(file.clone()));
            assert_eq!(std::fs::read_to_string(&file).unwrap(), OLD, "cut at {half:?}");
        }
    }

    #[test]
    fn what_others_wrote_since_is_theirs() {
        let dir = tempfile::tempdir().unwrap();
        let (file, home) = (dir.path().join("resolv.conf"), dir.path().join("home"));
        freehold_disk::replace(&file, OLD.as_bytes(), 0o644).unwrap();
        let (mut replaced, _) = Replaced::replace(&home, &wish(&file)).unwrap();
        assert_eq!(replaced.hold().unwrap(), None);
        let other = "nameserver 198.51.100.7\n";
        freehold_disk::replace(&file, other.as_bytes(), 0o644).unwrap();
        let before = replaced.hold().unwrap().unwrap();
        assert_eq!(before.servers, ["198.51.100.7".parse::<IpAddr>().unwrap()]);
        assert!(std::fs::read_to_string(&file).unwrap().starts_with(MARK));
        replaced.put_back().unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), other);

        let (replaced, _) = Replaced::replace(&home, &wish(&file)).unwrap();
        freehold_disk::replace(&file, OLD.as_bytes(), 0o644).unwrap();
        replaced.put_back().unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), OLD, "the newest word stands");
    }

    #[test]
    fn a_file_cannot_name_another_port() {
        let dir = tempfile::tempdir().unwrap();
        let mut wish = wish(&dir.path().join("resolv.conf"));
        wish.servers = vec!["127.0.0.1:5353".parse().unwrap()];
        assert!(matches!(Replaced::replace(dir.path(), &wish), Err(SystemError::Port(_))));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,300}") {
            prop_assert!(parse(&text).servers.len() <= text.lines().count());
        }
    }
}
