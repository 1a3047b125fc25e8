//! The S3 access key of this node: made once, in a file that is all that AWS tools and rclone need.

use std::path::Path;

use freehold_crypt::Entropy as _;
use freehold_disk::OsEntropy;
use freehold_s3::Credentials;
use zeroize::Zeroizing;

/// Any region is accepted. With one of Amazon's names, clients sign links in a way that is refused.
const REGION: &str = "region = freehold";

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
    /// It may not be this user's.
    #[error("{0}")]
    NotOurs(#[from] freehold_disk::OwnError),
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
    if let Some(text) = read(path)? {
        let field = |name: &str| {
            let mut fields = text.lines().filter_map(|line| line.split_once('='));
            fields.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
        };
        return match (field("aws_access_key_id"), field("aws_secret_access_key")) {
            (Some(id), Some(secret)) if !id.is_empty() && !secret.is_empty() => {
                Ok(Credentials::new(id, secret))
            }
            _ => Err(CredentialsError::Unreadable(path.to_owned())),
        };
    }
    let (id, secret) = new_pair();
    let text = Zeroizing::new(format!(
        "[default]\naws_access_key_id = {id}\naws_secret_access_key = {}\n",
        secret.as_str()
    ));
    freehold_disk::replace(path, text.as_bytes(), 0o600).map_err(failed)?;
    Ok(Credentials::new(id, &secret))
}

/// A new access key id and its secret.
pub fn new_pair() -> (String, Zeroizing<String>) {
    let mut entropy = OsEntropy;
    let id = data_encoding::BASE32_NOPAD.encode(entropy.bytes32().get(..10).unwrap_or_default());
    let secret = Zeroizing::new(data_encoding::BASE64URL_NOPAD.encode(entropy.secret().expose()));
    (format!("FH{id}"), secret)
}

fn read(path: &Path) -> Result<Option<Zeroizing<String>>, CredentialsError> {
    let Some(bytes) = freehold_disk::read_private(path)? else { return Ok(None) };
    let text = String::from_utf8(bytes).map_err(|e| {
        drop(Zeroizing::new(e.into_bytes()));
        CredentialsError::Unreadable(path.to_owned())
    })?;
    Ok(Some(Zeroizing::new(text)))
}

/// Says in the file where the endpoint is, so that clients need nothing else. What people added to the
/// file stays.
///
/// # Errors
/// [`CredentialsError::File`]
pub fn point_at(path: &Path, endpoint: &str) -> Result<(), CredentialsError> {
    let failed = |source| CredentialsError::File { path: path.to_owned(), source };
    let text = read(path)?.ok_or_else(|| CredentialsError::Unreadable(path.to_owned()))?;
    let pointed = pointed(&text, endpoint);
    if *pointed == *text {
        return Ok(());
    }
    freehold_disk::replace(path, pointed.as_bytes(), 0o600).map_err(failed)
}

/// The file's text with a region and this endpoint in its first section.
fn pointed(text: &str, endpoint: &str) -> Zeroizing<String> {
    let named = |line: &str, name: &str| line.split_once('=').is_some_and(|(key, _)| key.trim() == name);
    let mut lines: Vec<&str> = text.lines().collect();
    let header = |line: &&str| line.trim_start().starts_with('[');
    let others = lines.iter().enumerate().filter(|(_, line)| header(line)).nth(1).map(|(at, _)| at);
    let rest = lines.split_off(others.unwrap_or(lines.len()));
    let has_region = lines.iter().any(|line| named(line, "region"));
    lines.retain(|line| !named(line, "endpoint_url"));
    while lines.last().is_some_and(|line| line.trim().is_empty()) {
        lines.pop();
    }
    let mut out = Zeroizing::new(String::with_capacity(text.len() + endpoint.len() + 64));
    let region = (!has_region).then_some(REGION);
    let endpoint = Zeroizing::new(format!("endpoint_url = {endpoint}"));
    let gap = (!rest.is_empty()).then_some("");
    for line in lines.into_iter().chain(region).chain([endpoint.as_str()]).chain(gap).chain(rest) {
        out.push_str(line);
        out.push('\n');
    }
    out
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

    #[test]
    fn the_file_says_where_the_endpoint_is_now() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s3-credentials");
        let made = load_or_make(&path).unwrap();
        for endpoint in ["http://127.0.0.1:9000", "http://127.0.0.1:9001", "http://127.0.0.1:9001"] {
            point_at(&path, endpoint).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.ends_with(&format!("region = freehold\nendpoint_url = {endpoint}\n")), "{text}");
            assert_eq!(text.lines().count(), 5, "{text}");
        }
        assert_eq!(load_or_make(&path).unwrap().access_key_id(), made.access_key_id());
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_people_added_to_the_file_stays() {
        let text = "[default]\nregion = mine\nendpoint_url = http://old\na = b\n\n[work]\nendpoint_url = x\n";
        let now = "[default]\nregion = mine\na = b\nendpoint_url = http://new\n\n[work]\nendpoint_url = x\n";
        assert_eq!(pointed(text, "http://new").as_str(), now);
        assert_eq!(pointed(now, "http://new").as_str(), now);
    }
}
