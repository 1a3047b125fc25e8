//! The key that updates are signed with, and how name servers' own tools write it down.

use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::RecordsError;

/// Longer than any that is made.
const SECRET_MAX: usize = 256;
const TEXT_MAX: usize = 16 << 10;

/// The key that updates are signed with.
pub struct UpdateKey {
    /// Its name, as the server calls it.
    pub name: String,
    /// What it signs with.
    pub algorithm: UpdateAlgorithm,
    /// The secret.
    pub secret: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for UpdateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("UpdateKey").field(&self.name).finish()
    }
}

/// What updates are signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateAlgorithm {
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-512.
    HmacSha512,
}

impl UpdateAlgorithm {
    fn named(text: &str) -> Option<Self> {
        match text.trim_end_matches('.').to_ascii_lowercase().as_str() {
            "hmac-sha256" => Some(Self::HmacSha256),
            "hmac-sha512" => Some(Self::HmacSha512),
            _ => None,
        }
    }
}

impl UpdateKey {
    /// Reads a key as `tsig-keygen` writes it for BIND (`key "NAME" { algorithm ...; secret "..."; };`), or as
    /// `nsupdate -y` and `kdig -y` take it: `ALGORITHM:NAME:SECRET`.
    ///
    /// # Errors
    /// [`RecordsError::KeyText`]
    pub fn from_text(text: &str) -> Result<Self, RecordsError> {
        let read = if text.len() > TEXT_MAX { None } else { colons(text).or_else(|| braces(text)) };
        let (algorithm, name, secret) = read.ok_or(RecordsError::KeyText)?;
        let algorithm = UpdateAlgorithm::named(algorithm).ok_or(RecordsError::KeyText)?;
        let secret = BASE64.decode(secret.as_bytes()).map_err(|_| RecordsError::KeyText)?;
        let secret = Zeroizing::new(secret);
        if secret.is_empty() || secret.len() > SECRET_MAX || name.is_empty() {
            return Err(RecordsError::KeyText);
        }
        Ok(Self { name: name.to_owned(), algorithm, secret })
    }
}

fn colons(text: &str) -> Option<(&str, &str, &str)> {
    let text = text.trim();
    let (algorithm, rest) = text.split_once(':').filter(|_| !text.contains(char::is_whitespace))?;
    let (name, secret) = rest.split_once(':')?;
    Some((algorithm, name, secret))
}

/// Words and signs, one after the other; there is one key in such a file.
fn braces(text: &str) -> Option<(&str, &str, &str)> {
    let mut words = text
        .lines()
        // Only whole lines: a secret may have two slashes in it.
        .filter(|line| !line.trim_start().starts_with(['/', '#']))
        .flat_map(|line| line.split([' ', '\t', ';', '{', '}']))
        .map(|word| word.trim_matches('"'))
        .filter(|word| !word.is_empty());
    let (mut name, mut algorithm, mut secret) = (None, None, None);
    while let Some(word) = words.next() {
        let place = match word {
            "key" => &mut name,
            "algorithm" => &mut algorithm,
            "secret" => &mut secret,
            _ => return None,
        };
        if place.replace(words.next()?).is_some() {
            return None;
        }
    }
    Some((algorithm?, name?, secret?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_secret_may_have_slashes_in_it() {
        let text = "// key: a:b\nkey \"a\" { algorithm \"hmac-sha512\"; secret \"ab//cQ==\"; };";
        let key = UpdateKey::from_text(text).unwrap();
        assert_eq!((key.algorithm, key.secret.len()), (UpdateAlgorithm::HmacSha512, 4));
    }

    #[test]
    fn keys_are_read_as_tools_write_them() {
        let bind = "# made by tsig-keygen\nkey \"home\" {\n\talgorithm hmac-sha256;\n\tsecret \"c2VjcmV0/+8=\";\n};\n";
        for text in [
            bind,
            "hmac-sha256:home:c2VjcmV0/+8=\n",
            "key home{algorithm HMAC-SHA256.;secret c2VjcmV0/+8=;};",
        ] {
            let key = UpdateKey::from_text(text).unwrap();
            assert_eq!((key.name.as_str(), key.algorithm), ("home", UpdateAlgorithm::HmacSha256), "{text}");
            assert_eq!(key.secret.as_slice(), b"secret\xff\xef");
            assert_eq!(format!("{key:?}"), "UpdateKey(\"home\")");
        }
        for text in [
            "",
            "home",
            "hmac-md5:home:c2VjcmV0",
            "hmac-sha256:home:not base64",
            "hmac-sha256:home:",
            "hmac-sha256::c2VjcmV0",
            "key home { algorithm hmac-sha256; };",
            "key a { secret \"c2VjcmV0\"; secret \"c2VjcmV0\"; };",
        ] {
            assert!(UpdateKey::from_text(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String, words in prop::collection::vec("(key|algorithm|secret|\\{|;|[a-z\":=]{1,9})", 0..12)) {
            drop(UpdateKey::from_text(&text));
            drop(UpdateKey::from_text(&words.join(" ")));
        }
    }
}
