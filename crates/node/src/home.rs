//! The home directory of a node: where things are, and the few settings that belong to the machine.

use std::path::{Path, PathBuf};

use freehold_api::Problem;
use freehold_disk::{HomeLock, LockError};

use crate::problem::own_problem;

/// What an interrupted set-up leaves, what every file system has, and what desktops hide.
fn is_ours(name: &str) -> bool {
    let name = name.trim_end_matches(".new");
    OURS.contains(&name) || name == "lost+found" || name.starts_with('.')
}

const OURS: [&str; 16] = [
    "keys",
    "node",
    "log.redb",
    "log-seen",
    "entries.redb",
    "depot",
    "control.sock",
    "s3-credentials",
    "access-keys",
    "console.pem",
    "backends",
    "backup",
    "alarms",
    "net",
    "pools",
    "lock",
];

/// Paths below a home. Made once, handed around.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The home at `root`; nothing is touched.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Refuses a home that others may write to, or have.
    ///
    /// # Errors
    /// A [`Problem`] with what to type.
    pub fn check(&self) -> Result<(), Problem> {
        freehold_disk::check_home(&self.root).map_err(|error| own_problem(&error))
    }

    /// Refuses a folder that holds somebody's files: a node is not to lie among them.
    ///
    /// # Errors
    /// A [`Problem`] that names one.
    pub fn check_vacant(&self) -> Result<(), Problem> {
        // One that cannot be listed is told when the node is written there.
        let inside = std::fs::read_dir(&self.root).into_iter().flatten().flatten();
        let mut names = inside.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let Some(foreign) = names.find(|name| !is_ours(name)) else { return Ok(()) };
        Err(Problem::refused(
            format!("no node was set up in {}", self.root.display()),
            format!("there are other files in it, for instance {foreign}"),
            Some("choose a new folder, or an empty one: --home FOLDER"),
        ))
    }

    /// Whether a node runs here, or is on its way down.
    pub fn is_in_use(&self) -> bool {
        self.root.is_dir() && matches!(HomeLock::take(&self.root), Err(LockError::Held { .. }))
    }

    /// Key files.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// Says that this home holds a node, and of which realm.
    pub fn identity(&self) -> PathBuf {
        self.root.join("node")
    }

    /// The store of the realm log.
    pub fn log(&self) -> PathBuf {
        self.root.join("log.redb")
    }

    /// How far the realm log has ever been here.
    pub fn log_seen(&self) -> PathBuf {
        self.root.join("log-seen")
    }

    /// The store of entries.
    pub fn entries(&self) -> PathBuf {
        self.root.join("entries.redb")
    }

    /// Sealed blobs.
    pub fn depot(&self) -> PathBuf {
        self.root.join("depot")
    }

    /// The socket that the command line talks to.
    pub fn control_socket(&self) -> PathBuf {
        self.root.join("control.sock")
    }

    /// S3 access key and secret, in the form that S3 clients read.
    pub fn s3_credentials(&self) -> PathBuf {
        self.root.join("s3-credentials")
    }

    /// What this machine uses of what others offer in the network.
    pub fn choice(&self) -> PathBuf {
        self.root.join("net/choice")
    }

    /// The kernel's switches that were turned, and are to be put back.
    pub fn kernel_note(&self) -> PathBuf {
        self.root.join("net/kernel")
    }

    /// Access keys of persons and services.
    pub fn access_keys(&self) -> PathBuf {
        self.root.join("access-keys")
    }

    /// Homes of the backends that this node hosts.
    pub fn backends(&self) -> PathBuf {
        self.root.join("backends")
    }

    /// Where alarms go, and what was told there.
    pub fn alarms(&self) -> PathBuf {
        self.root.join("alarms")
    }

    /// What is backed up from this machine, and how that stands.
    pub fn backup(&self) -> PathBuf {
        self.root.join("backup")
    }

    /// Which datasets are backed up, and how that stands.
    pub fn zfs(&self) -> PathBuf {
        self.root.join("zfs")
    }

    /// Papers of pools.
    pub fn pools(&self) -> PathBuf {
        self.root.join("pools")
    }

    /// What this machine alone has chosen in the network, or is to keep for itself.
    pub fn net(&self) -> PathBuf {
        self.root.join("net")
    }

    /// Folder of the onion door.
    pub fn onion(&self) -> PathBuf {
        self.root.join("net/onion")
    }

    /// Ports of this machine that lead into the network.
    pub fn forwards(&self) -> PathBuf {
        self.root.join("net/forwards")
    }

    /// Folder of the lists of blocked names.
    pub fn names(&self) -> PathBuf {
        self.root.join("names")
    }

    /// Lists of names that are files of this machine.
    pub fn filter_files(&self) -> PathBuf {
        self.net().join("filter.json")
    }

    /// Certificate of the console.
    pub fn console_certificate(&self) -> PathBuf {
        self.root.join("console.pem")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_of_a_home_is_known_as_ours() {
        let home = Home::at(Path::new("/"));
        for path in [
            home.keys(),
            home.identity(),
            home.log(),
            home.log_seen(),
            home.entries(),
            home.depot(),
            home.control_socket(),
            home.s3_credentials(),
            home.console_certificate(),
            home.backends(),
            home.backup(),
            home.net(),
            home.pools(),
        ] {
            assert!(is_ours(&path.file_name().unwrap().to_string_lossy()), "{}", path.display());
        }
        assert!(is_ours("entries.redb.new") && !is_ours("photo.jpg"));
    }
}
