//! The user as whom the system's service runs: whose the home is, or one made for it.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use freehold_api::Problem;

/// Whose a home of root's becomes.
const NAME: &str = "freehold";
/// Where a node of the system lives if nobody says otherwise.
pub(crate) const HOME: &str = "/var/lib/freehold";

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    user: u32,
    group: u32,
    home: PathBuf,
}

impl Account {
    /// The one who has this home already, or the service's own, which is made if need be.
    pub(crate) fn of(home: &Path) -> Result<Self, Problem> {
        match owner(home) {
            0 => Self::own(),
            user => Self::known(&user.to_string())
                .ok_or_else(|| refused(format!("the user of {} (id {user}) has no name", home.display()))),
        }
    }

    fn own() -> Result<Self, Problem> {
        if let Some(account) = Self::known(NAME) {
            return Ok(account);
        }
        let line = format!("u {NAME} - \"Freehold node\" {HOME}");
        let made = Command::new("systemd-sysusers").args(["--inline", &line]).stdin(Stdio::null()).output();
        let made = made.map_err(|error| refused(format!("systemd-sysusers: {error}")))?;
        Self::known(NAME).ok_or_else(|| {
            let said = String::from_utf8_lossy(&made.stderr);
            refused(format!("the user {NAME} could not be made: {}", said.trim()))
        })
    }

    /// By name or number; asked by the system's own program, which knows of users in a directory, too.
    pub(super) fn known(who: &str) -> Option<Self> {
        let said = Command::new("getent").args(["passwd", who]).stdin(Stdio::null()).output().ok()?;
        Self::read(std::str::from_utf8(&said.stdout).ok()?.lines().next()?)
    }

    /// A line of passwd(5).
    fn read(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, user, group, _, home, _] = fields.as_slice() else { return None };
        let (user, group) = (user.parse().ok()?, group.parse().ok()?);
        Some(Self { name: (*name).to_owned(), user, group, home: PathBuf::from(home) })
    }

    /// Whether it is there for the service alone.
    pub(crate) fn is_own(&self) -> bool {
        self.name == NAME
    }

    /// The group that files of its own have.
    pub(crate) const fn group(&self) -> u32 {
        self.group
    }

    /// The first folder on the way to `path` into which it may not look.
    pub(crate) fn shut_out_by<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        let above = path.ancestors().skip(1);
        above.into_iter().find(|folder| std::fs::metadata(folder).is_ok_and(|about| !self.may_enter(&about)))
    }

    /// As the mode says it: lists of rights beyond it are left out.
    fn may_enter(&self, about: &Metadata) -> bool {
        let bit = match (about.uid() == self.user, about.gid() == self.group) {
            (true, _) => 0o100,
            (false, true) => 0o010,
            (false, false) => 0o001,
        };
        about.mode() & bit != 0
    }

    /// Makes a home of root's its own, with all that is in it; links are not followed.
    pub(crate) fn take(&self, home: &Path) -> io::Result<()> {
        if owner(home) != 0 {
            return Ok(());
        }
        let mut folders = vec![home.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                } else {
                    lchown(entry.path(), Some(self.user), Some(self.group))?;
                }
            }
            // Whatever it was before: from here on nobody but root and the account writes in it.
            lchown(&folder, Some(self.user), Some(self.group))?;
        }
        Ok(())
    }
}

/// Whose the home is; root's, who makes it, if it is not there yet.
pub(crate) fn owner(home: &Path) -> u32 {
    std::fs::symlink_metadata(home).map_or(0, |about| about.uid())
}

/// Where the node lives that root means without saying so: that of the person who asked for root's rights, if
/// they have one, else the system's.
pub(crate) fn meant() -> PathBuf {
    let person = std::env::var("SUDO_UID").ok().filter(|user| user != "0");
    let person = person.and_then(|user| Account::known(&user));
    let theirs = person.map(|person| person.home.join(".local/share/freehold"));
    theirs.filter(|home| home.join("node").exists()).unwrap_or_else(|| PathBuf::from(HOME))
}

fn refused(why: String) -> Problem {
    let next = "sudo useradd --system freehold, then the same again";
    Problem::refused("no service was installed", why, Some(next))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn somebody() -> Account {
        Account::read("freehold:x:64001:64002:Freehold node:/var/lib/freehold:/usr/sbin/nologin").unwrap()
    }

    #[test]
    fn a_line_of_the_users_is_read_or_none() {
        let read = somebody();
        assert_eq!((read.name.as_str(), read.user, read.group), ("freehold", 64001, 64002));
        assert_eq!(read.home, Path::new(HOME));
        for odd in ["", "freehold", "freehold:x:many:1:::", "freehold:x:1:::/:/bin/sh", "a:b:1:2:3:4:5:6"] {
            assert_eq!(Account::read(odd), None, "{odd}");
        }
        assert_eq!(Account::known("root").unwrap().user, 0);
        assert_eq!(Account::known("nobody-has-this-name"), None);
    }

    #[test]
    fn a_folder_that_shuts_it_out_is_named() {
        let above = tempfile::tempdir().unwrap();
        let open = |mode| {
            std::fs::set_permissions(above.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let home = above.path().join("home");
        open(0o755);
        assert_eq!(somebody().shut_out_by(&home), None);
        open(0o700);
        assert_eq!(somebody().shut_out_by(&home), Some(above.path()));
        assert_eq!(somebody().shut_out_by(&home.join("not/there/yet")), Some(above.path()));
    }
}
