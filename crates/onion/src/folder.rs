//! The service's folder: what `tor` is told, who is let in, and what it keeps.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use freehold_disk::{OwnError, make_private_dir, read_private, replace};

use crate::{Address, ClientKey, ClientName, Leads, file, settings};

const PRIVATE: u32 = 0o600;
/// What the machine's owner adds to the settings.
const MORE: &str = "torrc.more";
/// More than anybody adds.
const MORE_MAX: usize = 64 << 10;
/// The longest path that a Unix socket has (unix(7)).
const SOCKET_MAX: usize = 107;
const END: &str = "auth";

/// The folder.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

/// Why the service's files are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// They cannot be written.
    #[error("{path} cannot be written: {source}")]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What the owner adds cannot be read.
    #[error(transparent)]
    More(#[from] OwnError),
    /// It is too long, or no text.
    #[error("{0} is no text of up to {MORE_MAX} bytes")]
    NoText(PathBuf),
    /// The path does not fit.
    #[error(
        "{0} is no path for tor: a socket's has at most {SOCKET_MAX} bytes, and quotes, backslashes and line ends \
         cannot be written; use a shorter or plainer --home"
    )]
    Path(PathBuf),
}

impl Folder {
    /// The folder at this path; nothing is touched.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The place of a socket for a port of the service.
    #[must_use]
    pub fn socket(&self, name: &str) -> PathBuf {
        file(&self.0, name)
    }

    pub(crate) fn torrc(&self) -> PathBuf {
        file(&self.0, "torrc")
    }

    pub(crate) fn control(&self) -> PathBuf {
        file(&self.0, "control.sock")
    }

    pub(crate) fn cookie(&self) -> PathBuf {
        file(&self.0, "control.cookie")
    }

    /// The service's address, once `tor` has made it a key.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        let bytes = read_private(&file(&self.service(), "hostname")).ok()??;
        std::str::from_utf8(&bytes).ok()?.trim().parse().ok()
    }

    fn service(&self) -> PathBuf {
        file(&self.0, "service")
    }

    /// Writes everything that a start needs.
    pub(crate) fn write(
        &self,
        ports: &[Leads],
        clients: &BTreeMap<ClientName, ClientKey>,
    ) -> Result<(), FolderError> {
        let owner = std::process::id();
        for folder in [self.0.clone(), file(&self.0, "tor"), self.service()] {
            make_private_dir(&folder).map_err(|source| FolderError::Write { path: folder, source })?;
        }
        if self.control().as_os_str().len() > SOCKET_MAX {
            return Err(FolderError::Path(self.control()));
        }
        let path = file(&self.0, MORE);
        let more = read_private(&path)?.unwrap_or_default();
        let more = String::from_utf8(more).ok().filter(|more| more.len() <= MORE_MAX);
        let more = more.ok_or(FolderError::NoText(path))?;
        let text =
            settings::text(&self.0, ports, &more, owner).ok_or_else(|| FolderError::Path(self.0.clone()))?;
        put(&self.torrc(), text.as_bytes())?;
        // What another tor left would be taken for this one's.
        for left in [self.control(), self.cookie()] {
            match fs::remove_file(&left) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(FolderError::Write { path: left, source });
                }
                _ => {}
            }
        }
        self.let_in(clients)
    }

    /// Writes who is let in; whoever is not named is not there any more.
    pub(crate) fn let_in(&self, clients: &BTreeMap<ClientName, ClientKey>) -> Result<(), FolderError> {
        let folder = file(&self.service(), "authorized_clients");
        let failed = |path: &Path, source| FolderError::Write { path: path.to_owned(), source };
        make_private_dir(&folder).map_err(|source| failed(&folder, source))?;
        let path = |name: &ClientName| folder.join(name.as_str()).with_extension(END);
        for (name, key) in clients {
            put(&path(name), key.line().as_bytes())?;
        }
        for entry in fs::read_dir(&folder).map_err(|source| failed(&folder, source))? {
            let found = entry.map_err(|source| failed(&folder, source))?.path();
            if !clients.keys().any(|name| path(name) == found) {
                fs::remove_file(&found).map_err(|source| failed(&found, source))?;
            }
        }
        freehold_disk::sync_dir(&folder).map_err(|source| failed(&folder, source))
    }
}

fn put(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    replace(path, bytes, PRIVATE).map_err(|source| FolderError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn clients(names: &[&str]) -> BTreeMap<ClientName, ClientKey> {
        names.iter().map(|name| (name.parse().unwrap(), ClientKey::from([7; 32]))).collect()
    }

    #[test]
    fn nobody_else_reads_it_and_only_who_is_let_in_is_there() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::at(home.path().join("net/onion"));
        folder.write(&[], &clients(&["ann", "bob"])).unwrap();
        let inside = |name: &str| home.path().join("net/onion").join(name);
        let left = inside("service/authorized_clients/left.auth");
        replace(&left, b"descriptor:x25519:X", 0o600).unwrap();
        folder.let_in(&clients(&["bob", "eve"])).unwrap();
        let here = fs::read_dir(left.parent().unwrap()).unwrap();
        let mut here: Vec<_> = here.map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
        here.sort();
        assert_eq!(here, ["bob.auth", "eve.auth"]);
        let mode = |name: &str| fs::metadata(inside(name)).unwrap().permissions().mode() & 0o777;
        for file in ["torrc", "service/authorized_clients/bob.auth"] {
            assert_eq!(mode(file), 0o600, "{file}");
        }
        for folder in ["", "tor", "service", "service/authorized_clients"] {
            assert_eq!(mode(folder), 0o700, "{folder}");
        }
    }

    #[test]
    fn what_is_added_is_the_owners_own() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::at(home.path().join("onion"));
        folder.write(&[], &clients(&["ann"])).unwrap();
        let more = home.path().join("onion/torrc.more");
        replace(&more, b"Bridge 192.0.2.1:443\n", 0o600).unwrap();
        folder.write(&[], &clients(&["ann"])).unwrap();
        assert!(fs::read_to_string(folder.torrc()).unwrap().contains("\nBridge 192.0.2.1:443\n"));
        fs::set_permissions(&more, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(folder.write(&[], &clients(&["ann"])), Err(FolderError::More(_))));
        replace(&more, &[0xff], 0o600).unwrap();
        assert!(matches!(folder.write(&[], &clients(&["ann"])), Err(FolderError::NoText(_))));
    }

    #[test]
    fn a_home_too_deep_for_a_socket_is_told() {
        let home = tempfile::tempdir().unwrap();
        let deep = Folder::at(home.path().join("d".repeat(100)));
        assert!(matches!(deep.write(&[], &clients(&["ann"])), Err(FolderError::Path(_))));
    }

    #[test]
    fn an_address_is_read_once_it_is_there() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::at(home.path().to_owned());
        assert_eq!(folder.address(), None);
        make_private_dir(&folder.service()).unwrap();
        let known = crate::address::tests::KNOWN;
        replace(&folder.service().join("hostname"), format!("{known}\n").as_bytes(), 0o600).unwrap();
        assert_eq!(folder.address().unwrap().as_str(), known);
    }
}
