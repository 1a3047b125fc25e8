//! The S3 access key of this node: made once, in a file that AWS tools read as it is.

use std::path::Path;

use freehold_crypt::Entropy as _;
use freehold_disk::OsEntropy;
use freehold_s3::Credentials;
use zeroize::Zeroizing;

/// The file cannot be read or written, or holds something else.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It holds something else; delete it and a new pair is made.
    #[error("{0} does not hold an access key and its secret")]
    Unreadable(std::path::PathBuf),
}

/// Reads the pair, or makes one.
///
/// # Errors
/// [`CredentialsError`]
pub fn load_or_make(path: &Path) -> Result<Credentials, CredentialsError> {
    let failed = |source| CredentialsError::File { path: path.to_owned(), source };
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            let field = |name: &str| {
                let mut fields = text.lines().filter_map(|line| line.split_once('='));
                fields.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
            };
            match (field("aws_access_key_id"), field("aws_secret_access_key")) {
                (Some(id), Some(secret)) if !id.is_empty() && !secret.is_empty() => {
                    Ok(Credentials::new(id, secret))
                }
                _ => Err(CredentialsError::Unreadable(path.to_owned())),
            }
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let mut entropy = OsEntropy;
            let id = data_encoding::BASE32_NOPAD.encode(entropy.bytes32().get(..10).unwrap_or_default());
            let secret = Zeroizing::new(data_encoding::BASE64URL_NOPAD.encode(entropy.secret().expose()));
            let text = Zeroizing::new(format!(
                "[default]\naws_access_key_id = FH{id}\naws_secret_access_key = {}\n",
                secret.as_str()
            ));
            freehold_disk::replace(path, text.as_bytes(), 0o600).map_err(failed)?;
            Ok(Credentials::new(format!("FH{id}"), &secret))
        }
        Err(e) => Err(failed(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pair_is_kept_private_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s3-credentials");
        let made = load_or_make(&path).unwrap();
        assert_eq!(load_or_make(&path).unwrap().access_key_id(), made.access_key_id());
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}
