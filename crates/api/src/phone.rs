//! Phones, and other machines without this program: how one is let in, and what it is told.

use std::fmt::{self, Write as _};

use async_trait::async_trait;
use data_encoding::BASE64;
use freehold_crypt::{BoxSecret, Secret};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::Problem;

/// What goes through every network, tunnels of providers included, in bytes (RFC 8200): a phone is in many.
const MTU: u16 = 1280;
/// How often a phone sends something, so that the router before it still knows the way back; WireGuard's own advice.
const KEEPALIVE_SECONDS: u16 = 25;

/// A phone to let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPhone {
    /// What people call it.
    pub name: String,
    /// Its WireGuard key, the public half, in base64. The other half is told to nobody.
    pub key: String,
    /// Whose it is, by name or id; absent for whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// The gateway that serves it, by name or id; absent if there is but one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Until when, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
}

/// What a phone has to know. Its secret key is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PhoneSettings {
    /// The phone's id, in hex.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Who answers for names.
    pub dns: String,
    /// What it is to send through the gateway.
    pub networks: Vec<String>,
    /// The zone of the realm's names.
    pub zone: String,
    /// What people call the gateway.
    pub gateway: String,
    /// The gateway's WireGuard key, in base64.
    pub gateway_key: String,
    /// Where the gateway is: an address or a name, and a port.
    pub endpoint: String,
}

impl PhoneSettings {
    /// The file that every WireGuard program reads.
    pub fn file(&self, key: &PhoneKey) -> Zeroizing<String> {
        let Self { name, address, dns, networks, zone, gateway, gateway_key, endpoint, .. } = self;
        // Once, so that no copy of the key is left behind when it grows.
        let mut file = Zeroizing::new(String::with_capacity(1024));
        let written = write!(
            file,
            "# {name}, in {zone}\n[Interface]\nPrivateKey = {}\nAddress = {address}/128\nDNS = {dns}\nMTU = {MTU}\n\n\
             # {gateway}\n[Peer]\nPublicKey = {gateway_key}\nAllowedIPs = {}\nEndpoint = {endpoint}\n\
             PersistentKeepalive = {KEEPALIVE_SECONDS}\n",
            *key.secret(),
            networks.join(", ")
        );
        debug_assert!(written.is_ok(), "text takes everything");
        file
    }
}

/// A phone's key pair, made on the machine of whoever lets it in.
pub struct PhoneKey(BoxSecret);

impl fmt::Debug for PhoneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneKey(..)")
    }
}

impl PhoneKey {
    /// A new one.
    ///
    /// # Errors
    /// A [`Problem`] if the system has no random bytes to give.
    pub fn random() -> Result<Self, Problem> {
        let mut seed = Secret::zeroed();
        getrandom::fill(seed.expose_mut()).map_err(|error| {
            Problem::bug("no key was made for the phone", error.to_string(), None::<&str>)
        })?;
        Ok(Self(BoxSecret::from_seed(&seed)))
    }

    /// The public half, in base64.
    pub fn public(&self) -> String {
        BASE64.encode(self.0.public().as_bytes())
    }

    fn secret(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(&*self.0.expose()))
    }
}

/// What a node does for phones, besides listing and ending them.
#[async_trait]
pub trait PhoneControl: Send + Sync {
    /// Lets a phone in; with `dry_run` it only says whether it would, and nothing comes back.
    async fn add_phone(&self, wish: NewPhone, dry_run: bool) -> Result<Option<PhoneSettings>, Problem>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_what_wireguard_reads_and_the_secret_half_is_nowhere_else() {
        let key = PhoneKey::random().unwrap();
        let settings = PhoneSettings {
            id: "4e".repeat(32),
            name: "ann's phone".to_owned(),
            address: "fd4b:91c2:770e:4000::1".to_owned(),
            dns: "fd4b:91c2:770e::1".to_owned(),
            networks: vec!["fd4b:91c2:770e::/48".to_owned()],
            zone: "smith.internal".to_owned(),
            gateway: "vps".to_owned(),
            gateway_key: key.public(),
            endpoint: "vps.example.org:51820".to_owned(),
        };
        let file = settings.file(&key);
        assert_eq!(
            file.replace(&*key.secret(), "SECRET").replace(&key.public(), "PUBLIC"),
            "# ann's phone, in smith.internal\n[Interface]\nPrivateKey = SECRET\n\
             Address = fd4b:91c2:770e:4000::1/128\nDNS = fd4b:91c2:770e::1\nMTU = 1280\n\n# vps\n[Peer]\n\
             PublicKey = PUBLIC\nAllowedIPs = fd4b:91c2:770e::/48\nEndpoint = vps.example.org:51820\n\
             PersistentKeepalive = 25\n"
        );
        let told = format!("{settings:?} {key:?} {}", serde_json::to_string(&settings).unwrap());
        assert!(!told.contains(&*key.secret()), "{told}");
    }
}
