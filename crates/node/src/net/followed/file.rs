//! A name that follows this machine, as it lies in the home: readable by nobody else, for it holds what its keeper
//! wants to see.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use freehold_disk::make_private_dir;
use freehold_records::{Family, Hook, Places, Provider, RecordsError, Standing, Update, UpdateKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// How long whoever keeps a zone may take.
const WITHIN: Duration = Duration::from_secs(15);
/// A program may ask somebody far away.
const HOOK_WITHIN: Duration = Duration::from_mins(1);
/// The port of name servers.
const DNS: u16 = 53;

/// What was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wish {
    /// The name, in lower case.
    pub(crate) name: String,
    /// Who is told.
    pub(crate) by: By,
    /// The family, if not both.
    #[serde(default)]
    pub(crate) only: Option<Family>,
}

/// Who keeps the zone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum By {
    /// RFC 2136.
    Server { server: String, zone: String, key: Hidden },
    /// A program.
    Hook { program: PathBuf },
    /// dyndns2.
    Provider { url: String, user: String, password: Hidden },
}

/// A secret: wiped from memory, and kept in this file alone.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hidden(pub(crate) Zeroizing<String>);

impl Serialize for Hidden {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

impl std::fmt::Debug for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words())
    }
}

impl By {
    /// Without secrets.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Server { server, zone, .. } => format!("the server {server}, zone {zone}"),
            Self::Hook { program } => format!("the program {}", program.display()),
            // What follows may be a token.
            Self::Provider { url, user, .. } => {
                let (place, more) =
                    url.split_once('?').map_or((url.as_str(), ""), |(place, _)| (place, "?..."));
                format!("{place}{more}, as {user}")
            }
        }
    }
}

impl Wish {
    /// Who is told.
    pub(crate) fn places(&self) -> Result<Arc<dyn Places>, RecordsError> {
        Ok(match &self.by {
            By::Server { server, zone, key } => {
                let at = server_of(server).ok_or_else(|| RecordsError::Form(server.clone()))?;
                Arc::new(Update::new(at, zone, &UpdateKey::from_text(&key.0)?, WITHIN)?)
            }
            By::Hook { program } => Arc::new(Hook { program: program.clone(), within: HOOK_WITHIN }),
            By::Provider { url, user, password } => {
                Arc::new(Provider::new(url, user, password.0.clone(), WITHIN)?)
            }
        })
    }
}

fn server_of(text: &str) -> Option<SocketAddr> {
    let alone = text.parse::<IpAddr>().ok().map(|at| SocketAddr::new(at, DNS));
    alone.or_else(|| text.parse().ok())
}

/// What is kept of a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    /// What was chosen.
    pub(crate) wish: Wish,
    /// How it stands.
    #[serde(default)]
    pub(crate) standing: Standing,
}

/// Writes it in the place of what was there.
pub(crate) fn write(folder: &Path, written: &Written) -> io::Result<()> {
    make_private_dir(folder)?;
    let bytes = Zeroizing::new(serde_json::to_vec_pretty(written)?);
    freehold_disk::replace(&path(folder, &written.wish.name), &bytes, 0o600)
}

/// Forgets a name.
pub(crate) fn remove(folder: &Path, name: &str) -> io::Result<()> {
    match std::fs::remove_file(path(folder, name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// All that was chosen, and what cannot be read.
pub(crate) fn read_all(folder: &Path) -> Vec<Result<Written, String>> {
    let Ok(inside) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = inside.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|word| word == "json"));
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

fn read(file: &Path) -> Result<Written, String> {
    let unread = |why: String| format!("{} cannot be used: {why}", file.display());
    let bytes = freehold_disk::read_private(file).map_err(|error| unread(error.to_string()))?;
    let bytes = Zeroizing::new(bytes.unwrap_or_default());
    serde_json::from_slice(&bytes).map_err(|error| unread(error.to_string()))
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn wish(by: By) -> Wish {
        Wish { name: "home.example.org".to_owned(), by, only: Some(Family::V4) }
    }

    #[test]
    fn what_was_chosen_is_kept_for_nobody_elses_eyes() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("addresses");
        assert!(read_all(&folder).is_empty());
        let by = By::Provider {
            url: "https://provider.example/nic/update?token=verborgen".to_owned(),
            user: "ann".to_owned(),
            password: Hidden(Zeroizing::new("geheim".to_owned())),
        };
        let written = Written { wish: wish(by), standing: Standing::default() };
        write(&folder, &written).unwrap();
        let file = folder.join("home.example.org.json");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read_all(&folder), [Ok(written.clone())]);
        let shown = format!("{written:?}");
        assert!(!shown.contains("geheim") && !shown.contains("verborgen"), "{shown}");
        freehold_disk::replace(&file, b"{}", 0o600).unwrap();
        let told = read_all(&folder).remove(0).unwrap_err();
        assert!(told.contains("home.example.org.json cannot be used"), "{told}");
        remove(&folder, "home.example.org").unwrap();
        remove(&folder, "home.example.org").unwrap();
        assert!(read_all(&folder).is_empty());
    }

    #[test]
    fn who_is_told_is_checked_before_anything_is_kept() {
        let server = |server: &str, key: &str| By::Server {
            server: server.to_owned(),
            zone: "example.org".to_owned(),
            key: Hidden(Zeroizing::new(key.to_owned())),
        };
        let key = "hmac-sha256:home:c2VjcmV0";
        assert!(wish(server("192.0.2.53", key)).places().is_ok());
        assert!(wish(server("[2001:db8::53]:5353", key)).places().is_ok());
        assert!(wish(server("ns.example.org", key)).places().is_err());
        assert!(wish(server("192.0.2.53", "hmac-md5:home:c2VjcmV0")).places().is_err());
    }
}
