//! What a store lets us in with: a file of its own (0600), in the form that the AWS tools use.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

const FILE: &str = "credentials";

/// The credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// They are not there.
    #[error("{path} is missing")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Others may have read or written the file.
    #[error("{path} may be read or written by others: {detail}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// What was seen.
        detail: String,
    },
    /// A line is missing.
    #[error("no `{what}` in the credentials; write `{what} = ...` on a line of its own")]
    Incomplete {
        /// Which one.
        what: &'static str,
    },
    /// Writing failed.
    #[error("writing {path} failed: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// An access key of the store. Shown without its secret, wiped when dropped.
#[derive(Clone)]
pub struct Credentials {
    /// Which key.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: Zeroizing<String>,
    /// A session's token, if it is a short-lived key.
    pub session_token: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, ..)", self.access_key_id)
    }
}

impl Credentials {
    /// Reads `aws_access_key_id = ...` and `aws_secret_access_key = ...`, with or without the
    /// `aws_`, as in the AWS tools' file; other lines and headings are passed over.
    ///
    /// # Errors
    /// [`CredentialsError::Incomplete`]
    pub fn parse(text: &str) -> Result<Self, CredentialsError> {
        let find = |what: &str| {
            text.lines().filter_map(|line| line.split_once('=')).find_map(|(name, value)| {
                let name = name.trim().to_ascii_lowercase();
                let name = name.strip_prefix("aws_").unwrap_or(&name);
                let value = value.trim().trim_matches('"');
                (name == what && !value.is_empty()).then(|| value.to_owned())
            })
        };
        Ok(Self {
            access_key_id: find("access_key_id")
                .ok_or(CredentialsError::Incomplete { what: "aws_access_key_id" })?,
            secret_access_key: find("secret_access_key")
                .map(Zeroizing::new)
                .ok_or(CredentialsError::Incomplete { what: "aws_secret_access_key" })?,
            session_token: find("session_token").map(Zeroizing::new),
        })
    }

    /// Reads them from a backend's home.
    ///
    /// # Errors
    /// [`CredentialsError`]
    pub fn read(home: &Path) -> Result<Self, CredentialsError> {
        Self::read_of(home, 0)
    }

    /// Reads those of one of its stores, counted from 0.
    ///
    /// # Errors
    /// [`CredentialsError`]
    pub fn read_of(home: &Path, store: usize) -> Result<Self, CredentialsError> {
        let path = file(home, store);
        let found = freehold_disk::read_private(&path)
            .map_err(|error| CredentialsError::Exposed { path: path.clone(), detail: error.to_string() })?;
        let bytes = Zeroizing::new(found.ok_or(CredentialsError::Missing { path })?);
        Self::parse(&Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Writes them into a backend's home, for its owner only.
    ///
    /// # Errors
    /// [`CredentialsError::Io`]
    pub fn write(&self, home: &Path) -> Result<(), CredentialsError> {
        self.write_of(home, 0)
    }

    /// Writes those of one of its stores, counted from 0.
    ///
    /// # Errors
    /// [`CredentialsError::Io`]
    pub fn write_of(&self, home: &Path, store: usize) -> Result<(), CredentialsError> {
        let mut text = Zeroizing::new(format!(
            "aws_access_key_id = {}\naws_secret_access_key = {}\n",
            self.access_key_id,
            self.secret_access_key.as_str()
        ));
        if let Some(token) = &self.session_token {
            for piece in ["aws_session_token = ", token.as_str(), "\n"] {
                text.push_str(piece);
            }
        }
        let path = file(home, store);
        freehold_disk::replace(&path, text.as_bytes(), 0o600)
            .map_err(|source| CredentialsError::Io { path, source })
    }
}

fn file(home: &Path, store: usize) -> PathBuf {
    if store == 0 { home.join(FILE) } else { home.join(format!("{FILE}-{store}")) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn are_read_as_the_aws_tools_write_them() {
        let text = "[default]\naws_access_key_id = ABC\n# a note\naws_secret_access_key=s3cr=t/+\n";
        let read = Credentials::parse(text).unwrap();
        assert_eq!((read.access_key_id.as_str(), read.secret_access_key.as_str()), ("ABC", "s3cr=t/+"));
        assert!(!format!("{read:?}").contains("s3cr"));
        assert!(matches!(
            Credentials::parse("access_key_id = ABC\n"),
            Err(CredentialsError::Incomplete { what: "aws_secret_access_key" })
        ));
    }

    #[test]
    fn lie_in_a_file_for_their_owner_only() {
        let home = tempfile::tempdir().unwrap();
        assert!(matches!(Credentials::read(home.path()), Err(CredentialsError::Missing { .. })));
        Credentials::parse("access_key_id=A\nsecret_access_key=B\nsession_token=C")
            .unwrap()
            .write(home.path())
            .unwrap();
        let path = home.path().join(FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Credentials::read(home.path()).unwrap().session_token.unwrap().as_str(), "C");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(Credentials::read(home.path()), Err(CredentialsError::Exposed { .. })));
    }
}
