//! An access key, from the file in which the AWS tools have one too.

use std::path::Path;

use zeroize::Zeroizing;

use crate::MoveError;

/// An access key. Shown without its secret, wiped when dropped.
#[derive(Clone)]
pub struct Credentials {
    pub(crate) id: String,
    pub(crate) secret: Zeroizing<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, ..)", self.id)
    }
}

impl Credentials {
    /// Reads the first key of a file that nobody else can read.
    ///
    /// # Errors
    /// [`MoveError::Key`]
    pub fn read(path: &Path) -> Result<Self, MoveError> {
        let failed = |why: String| MoveError::Key { path: path.to_owned(), why };
        let bytes = freehold_disk::read_private(path).map_err(|error| failed(error.to_string()))?;
        let bytes = Zeroizing::new(bytes.ok_or_else(|| failed("there is no such file".to_owned()))?);
        let text = std::str::from_utf8(&bytes).map_err(|_| failed("it is no text".to_owned()))?;
        let find = |what: &str| {
            let found = text.lines().filter_map(|line| line.split_once('=')).find_map(|(name, value)| {
                (name.trim().eq_ignore_ascii_case(what)).then(|| value.trim().to_owned())
            });
            found
                .filter(|value| !value.is_empty())
                .ok_or_else(|| failed(format!("it has no line {what} = ...")))
        };
        Ok(Self { id: find("aws_access_key_id")?, secret: Zeroizing::new(find("aws_secret_access_key")?) })
    }
}
