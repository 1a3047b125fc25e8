//! Passwords of repositories, sealed in the vault: whatever brings the realm back brings them back, too.

use std::collections::BTreeMap;

use freehold_api::Problem;
use freehold_backup::Password;
use freehold_crypt::Entropy as _;
use freehold_disk::OsEntropy;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Place, Target};
use crate::home::Home;
use crate::problem::{get_problem, put_problem};
use crate::shared::Shared;
use crate::strongbox::Strongbox;

/// As no bucket of somebody's can be called.
pub(crate) const BUCKET: &str = "backup/passwords";
const BOX: Strongbox = Strongbox(BUCKET);
const RESCUED: &str = "rescued";
const NOT_KEPT: &str = "the backup's password cannot be kept";

/// Keeps a password, and answers under which name. In there is a line with the password and one that says where the
/// repository is, for whoever comes to it on another machine.
pub(crate) async fn put(shared: &Shared, place: &Place, password: &Password) -> Result<String, Problem> {
    let bucket = BOX.make(shared, NOT_KEPT).await?;
    let name = format!("repository-{}", short_id());
    let told = place.key(shared.me());
    // Once, so that no copy of it is left behind when it grows.
    let mut text = Zeroizing::new(String::with_capacity(password.reveal().len() + told.len() + 2));
    for part in [password.reveal(), "\n", &told, "\n"] {
        text.push_str(part);
    }
    Strongbox::write(shared, bucket, &name, text.as_bytes(), true)
        .await
        .map_err(|error| put_problem(BUCKET, &name, &error))?;
    Ok(name)
}

/// Eight random hexadecimal digits.
pub(crate) fn short_id() -> String {
    let drawn = OsEntropy.bytes32();
    format!("{:08x}", drawn.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)))
}

/// The password of a target. One that another machine has here is found by its place.
pub(crate) async fn of_target(shared: &Shared, target: &Target) -> Result<Password, Problem> {
    if !matches!(target.place, Place::Kept { .. }) {
        return of(shared, &target.password).await;
    }
    let found = known(shared, &target.place).await?;
    found.into_iter().next().map(|(_, password)| password).ok_or_else(missing)
}

/// What guardians brought back from a friend: it is had before the vault is.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Rescued {
    /// What lay in the vault, by names.
    #[serde(default)]
    pub(crate) passwords: BTreeMap<String, String>,
    /// Where the friend's machines are.
    #[serde(default)]
    pub(crate) addresses: BTreeMap<String, String>,
}

impl Rescued {
    pub(crate) fn read(home: &Home) -> Self {
        let bytes = freehold_disk::read_private(&home.backup().join(RESCUED));
        let read = bytes.ok().flatten().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        read.unwrap_or_default()
    }

    pub(crate) fn write(&self, home: &Home) -> std::io::Result<()> {
        let bytes = Zeroizing::new(serde_json::to_vec(self)?);
        freehold_disk::replace(&home.backup().join(RESCUED), &bytes, 0o600)
    }
}

impl Drop for Rescued {
    fn drop(&mut self) {
        self.passwords.values_mut().for_each(zeroize::Zeroize::zeroize);
    }
}

/// All that there are, as they lie in the vault.
pub(super) async fn all(shared: &Shared) -> Result<Vec<(String, String)>, Problem> {
    let rescued = Rescued::read(&shared.home);
    let mut found: BTreeMap<String, String> = rescued.passwords.clone();
    for name in BOX.names(shared).map_err(|error| get_problem(BUCKET, "the list", &error))? {
        let text = BOX.read(shared, &name).await.map_err(|error| get_problem(BUCKET, &name, &error))?;
        if let Some(text) = text.and_then(|text| String::from_utf8(text.to_vec()).ok()) {
            found.insert(name, text);
        }
    }
    Ok(found.into_iter().collect())
}

/// The password that is kept under a name.
pub(crate) async fn of(shared: &Shared, name: &str) -> Result<Password, Problem> {
    if let Some(text) = Rescued::read(&shared.home).passwords.get(name) {
        return read(text.as_bytes()).map(|(password, _)| password).ok_or_else(missing);
    }
    let text = BOX.read(shared, name).await.map_err(|error| get_problem(BUCKET, name, &error))?;
    text.and_then(|text| Some(read(&text)?.0)).ok_or_else(missing)
}

fn missing() -> Problem {
    Problem::not_found(
        "the backup cannot be opened",
        "its password is not in the vault, or this node has not been given the realm's secrets",
        Some("freehold node list    (shows which nodes have the role secrets)"),
    )
}

/// All that are kept, those first that are said to be of this place.
pub(crate) async fn known(shared: &Shared, place: &Place) -> Result<Vec<(String, Password)>, Problem> {
    let names = BOX.names(shared).map_err(|error| get_problem(BUCKET, "the list", &error))?;
    let (key, mut near, mut far) = (place.key(shared.me()), Vec::new(), Vec::new());
    for (name, text) in &Rescued::read(&shared.home).passwords {
        let Some((password, told)) = read(text.as_bytes()) else { continue };
        let list = if told == key { &mut near } else { &mut far };
        list.push((name.clone(), password));
    }
    for name in names {
        let text = BOX.read(shared, &name).await.map_err(|error| get_problem(BUCKET, &name, &error))?;
        let Some((password, told)) = text.as_ref().and_then(|text| read(text)) else { continue };
        let list = if told == key { &mut near } else { &mut far };
        list.push((name, password));
    }
    near.append(&mut far);
    Ok(near)
}

/// Has them lie on a second machine, once there is one.
pub(super) async fn spread(shared: &Shared) {
    if let Err(problem) = BOX.spread(shared).await {
        tracing::debug!(%problem, "passwords of backups have no second copy yet");
    }
}

/// What one of them is, as it lies in the vault.
pub(crate) fn password_in(text: &str) -> Option<Password> {
    read(text.as_bytes()).map(|(password, _)| password)
}

fn read(text: &[u8]) -> Option<(Password, String)> {
    let mut lines = std::str::from_utf8(text).ok()?.lines();
    let password = lines.next().filter(|password| !password.is_empty())?;
    Some((Password::known(Zeroizing::new(password.to_owned())), lines.next().unwrap_or_default().to_owned()))
}
