//! The onion door of a machine: its console and its SSH, over the Tor network, for those who hold a key.

use std::fmt;

use async_trait::async_trait;
use data_encoding::BASE32_NOPAD;
use freehold_crypt::{BoxSecret, Secret};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::Problem;

/// How the onion door of the node that answers stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OnionStatus {
    /// Whether it is wanted.
    pub on: bool,
    /// Its address, once it was ever open; it stays.
    pub address: Option<String>,
    /// What it does.
    pub state: OnionState,
    /// How far it is on its way into the network, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The port of this machine that port 22 of the address leads to.
    pub ssh_port: u16,
    /// Who is let in.
    pub clients: Vec<OnionClient>,
}

/// What the onion door does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnionState {
    /// It is shut, as wanted.
    Off,
    /// It is shut, since nobody is let in.
    Waiting,
    /// It is on its way into the Tor network.
    Starting,
    /// It is open.
    Up,
    /// It does not run, and is tried again.
    Down,
}

/// Somebody who is let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OnionClient {
    /// What people call it: up to 32 small letters, digits and hyphens.
    pub name: String,
    /// The public half of its key, 32 bytes in base32. The other half is told to nobody.
    pub key: String,
}

/// What to change of the onion door; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OnionSetting {
    /// Whether it is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<bool>,
    /// The port of this machine that port 22 of the address leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_port: Option<u16>,
}

/// A client's key pair, made on the machine of whoever lets it in.
pub struct OnionKey(BoxSecret);

impl fmt::Debug for OnionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnionKey(..)")
    }
}

impl OnionKey {
    /// A new one.
    ///
    /// # Errors
    /// A [`Problem`] if the system has no random bytes to give.
    pub fn random() -> Result<Self, Problem> {
        let mut seed = Secret::zeroed();
        getrandom::fill(seed.expose_mut())
            .map_err(|error| Problem::bug("no key was made", error.to_string(), None::<&str>))?;
        Ok(Self(BoxSecret::from_seed(&seed)))
    }

    /// The public half, in base32.
    pub fn public(&self) -> String {
        BASE32_NOPAD.encode(self.0.public().as_bytes())
    }

    /// What the client's Tor reads, for the door at this address: a line of a file `NAME.auth_private` (tor(1),
    /// `ClientOnionAuthDir`).
    pub fn file(&self, address: &str) -> Zeroizing<String> {
        let letters = address.strip_suffix(".onion").unwrap_or(address);
        let secret = self.text();
        // Once, so that no copy of the key is left behind when it grows.
        let mut file = Zeroizing::new(String::with_capacity(256));
        for part in [letters, ":descriptor:x25519:", &secret, "\n"] {
            file.push_str(part);
        }
        file
    }

    /// The secret half, in base32: what Tor Browser asks for.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(&*self.0.expose()))
    }
}

/// What a node does about its onion door.
#[async_trait]
pub trait OnionControl: Send + Sync {
    /// How it stands.
    async fn onion(&self) -> Result<OnionStatus, Problem>;
    /// Opens or shuts it.
    async fn set_onion(&self, setting: OnionSetting) -> Result<OnionStatus, Problem>;
    /// Lets somebody in; the answer knows the address.
    async fn let_in_by_onion(&self, client: OnionClient) -> Result<OnionStatus, Problem>;
    /// Lets somebody in no longer; when this returns they are cut off.
    async fn remove_from_onion(&self, name: &str) -> Result<OnionStatus, Problem>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_what_tor_reads_and_the_secret_half_is_nowhere_else() {
        let key = OnionKey::random().unwrap();
        let letters = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid";
        let file = key.file(&format!("{letters}.onion"));
        assert_eq!(*file, format!("{letters}:descriptor:x25519:{}\n", *key.text()));
        assert_eq!((key.text().len(), key.public().len()), (52, 52));
        assert_ne!(*key.text(), key.public());
        assert!(!format!("{key:?}").contains(&*key.text()));
    }
}
