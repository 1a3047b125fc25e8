//! Where a backend is, as TOML in its home.

use std::path::{Path, PathBuf};

use freehold_wire::{GrantId, Hex};
use serde::{Deserialize, Serialize};

const FILE: &str = "backend.toml";
/// An endpoint that is a grant begins so.
const GRANT: &str = "grant:";

/// The settings of a backend cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is not what it should be.
    #[error("{path} is not understood: {detail}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A value cannot be right.
    #[error("{what} `{value}`: {why}")]
    Value {
        /// Which one.
        what: &'static str,
        /// The value.
        value: String,
        /// Why not.
        why: &'static str,
    },
    /// Reading or writing failed.
    #[error("{doing} {path} failed: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Where a backend is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `https://s3.example.org`, or `http://` in a network of one's own.
    pub endpoint: String,
    /// The bucket there; it must exist.
    pub bucket: String,
    /// What the store calls its region; many accept any.
    #[serde(default = "region")]
    pub region: String,
    /// `endpoint/bucket/name`, not `bucket.endpoint/name`.
    #[serde(default = "yes")]
    pub path_style: bool,
    /// All names begin with it and a slash, so that a bucket can be shared.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// The most that is kept there, in bytes as the vendor counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u64>,
    /// A file (PEM) with the certificates that vouch for the endpoint, beside those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// How many of its stores may be lost, if it lies on several.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub parity: u8,
    /// The other stores, in an order that does not change; nothing but where each is counts.
    #[serde(default, rename = "store", skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Self>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(parity: &u8) -> bool {
    *parity == 0
}

fn region() -> String {
    "us-east-1".into()
}

const fn yes() -> bool {
    true
}

impl Settings {
    /// Settings of an endpoint and a bucket, the rest as is usual.
    pub fn new(endpoint: &str, bucket: &str) -> Self {
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            bucket: bucket.to_owned(),
            region: region(),
            path_style: true,
            prefix: String::new(),
            capacity: None,
            ca: None,
            parity: 0,
            others: Vec::new(),
        }
    }

    /// All its stores, in their order.
    pub fn stores(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.others)
    }

    /// Reads them from a backend's home; `None` if there are none.
    ///
    /// # Errors
    /// [`SettingsError`]
    pub fn read(home: &Path) -> Result<Option<Self>, SettingsError> {
        let path = home.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(SettingsError::Io { doing: "reading", path, source }),
        };
        let settings: Self = toml::from_str(&text)
            .map_err(|error| SettingsError::Malformed { path, detail: error.message().to_owned() })?;
        settings.check()?;
        Ok(Some(settings))
    }

    /// Writes them into a backend's home, which is there.
    ///
    /// # Errors
    /// [`SettingsError`]
    pub fn write(&self, home: &Path) -> Result<(), SettingsError> {
        self.check()?;
        let path = home.join(FILE);
        let text = toml::to_string(self)
            .map_err(|error| SettingsError::Malformed { path: path.clone(), detail: error.to_string() })?;
        freehold_disk::replace(&path, text.as_bytes(), 0o600).map_err(|source| SettingsError::Io {
            doing: "writing",
            path,
            source,
        })
    }

    /// Looks at what can be seen without asking anybody.
    ///
    /// # Errors
    /// [`SettingsError::Value`]
    pub fn check(&self) -> Result<(), SettingsError> {
        let (stores, parity) = (self.others.len() + 1, usize::from(self.parity));
        if (stores > 1 || parity > 0) && !(parity > 0 && parity < stores && stores <= crate::spread::STORES) {
            return Err(SettingsError::Value {
                what: "the number of stores that may be lost",
                value: self.parity.to_string(),
                why: "of several stores at least one may be lost, and not all; there are 64 at most",
            });
        }
        self.stores().try_for_each(Self::check_one)
    }

    /// The grant of another realm under which it lies, if it does.
    pub fn grant(&self) -> Option<GrantId> {
        self.endpoint.strip_prefix(GRANT)?.parse().ok()
    }

    /// What lies at another realm under a grant; how much may be there that realm says.
    pub fn lent(grant: GrantId) -> Self {
        let place = format!("{GRANT}{}", Hex(grant.as_bytes()));
        Self::new(&place, "lent")
    }

    fn check_one(&self) -> Result<(), SettingsError> {
        let wrong = |what, value: &str, why| Err(SettingsError::Value { what, value: value.to_owned(), why });
        if self.grant().is_some() {
            return Ok(());
        }
        let host = self.endpoint.strip_prefix("https://").or_else(|| self.endpoint.strip_prefix("http://"));
        let Some(host) = host else {
            return wrong("the endpoint", &self.endpoint, "it begins with https:// or http://");
        };
        if host.trim_end_matches('/').is_empty() || host.contains(['@', '?', '#', ' ']) {
            return wrong("the endpoint", &self.endpoint, "it is scheme, host and port, nothing else");
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if self.bucket.is_empty() || !self.bucket.chars().all(plain) {
            return wrong("the bucket", &self.bucket, "letters, digits, dots and dashes");
        }
        if self.region.is_empty() || !self.region.chars().all(plain) {
            return wrong("the region", &self.region, "letters, digits and dashes");
        }
        if !self.prefix.chars().all(|c| plain(c) || c == '/') {
            return wrong("the prefix", &self.prefix, "letters, digits, dots, dashes and slashes");
        }
        Ok(())
    }

    /// Whether what is said to the endpoint goes in the clear. It is ciphertext under random names,
    /// and signed; but an onlooker sees how much there is, and may answer in the store's place.
    pub fn is_plain_http(&self) -> bool {
        self.endpoint.starts_with("http://")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn come_back_as_they_were() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Settings::read(home.path()).unwrap(), None);
        let mut settings = Settings::new("https://s3.example.org/", "attic");
        settings.write(home.path()).unwrap();
        assert_eq!(Settings::read(home.path()).unwrap(), Some(settings.clone()));
        settings.prefix = "freehold/home".into();
        settings.capacity = Some(500 << 30);
        settings.ca = Some("/etc/ssl/own.pem".into());
        settings.parity = 1;
        settings.others = ["one", "two"].map(|name| Settings::new("https://s3.example.net", name)).into();
        settings.write(home.path()).unwrap();
        assert_eq!(Settings::read(home.path()).unwrap(), Some(settings));
    }

    #[test]
    fn what_lies_at_another_realm_is_known_by_its_grant() {
        let home = tempfile::tempdir().unwrap();
        let grant = GrantId::from_bytes([7; 32]);
        let settings = Settings::lent(grant);
        settings.write(home.path()).unwrap();
        let read = Settings::read(home.path()).unwrap().unwrap();
        assert_eq!((read.grant(), &read), (Some(grant), &settings));
        assert_eq!(Settings::new("https://s3.example.org", "attic").grant(), None);
        assert!(Settings { endpoint: "grant:jones".into(), ..settings }.check().is_err());
    }

    #[test]
    fn what_cannot_be_right_is_refused_with_the_reason() {
        let good = Settings::new("https://s3.example.org", "attic");
        for wrong in [
            Settings { endpoint: "s3.example.org".into(), ..good.clone() },
            Settings { endpoint: "https://".into(), ..good.clone() },
            Settings { endpoint: "https://key:secret@s3.example.org".into(), ..good.clone() },
            Settings { bucket: "a/b".into(), ..good.clone() },
            Settings { region: String::new(), ..good.clone() },
            Settings { prefix: "a b".into(), ..good.clone() },
            Settings { parity: 1, ..good.clone() },
            Settings { others: vec![good.clone()], ..good.clone() },
            Settings { parity: 2, others: vec![good.clone()], ..good.clone() },
            Settings {
                parity: 1,
                others: vec![Settings { bucket: "a/b".into(), ..good.clone() }],
                ..good.clone()
            },
        ] {
            assert!(matches!(wrong.check(), Err(SettingsError::Value { .. })), "{wrong:?}");
        }
        let home = tempfile::tempdir().unwrap();
        freehold_disk::replace(&home.path().join(FILE), b"endpoint = 1", 0o600).unwrap();
        assert!(matches!(Settings::read(home.path()), Err(SettingsError::Malformed { .. })));
    }
}
