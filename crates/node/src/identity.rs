//! Who this node is: its keys, and which realm it belongs to. The identity file is written last
//! when a node is set up; a home without it holds no node, whatever else lies there.

use std::path::PathBuf;
use std::sync::Arc;

use freehold_crypt::{Algorithm, BoxPublic, BoxSecret, Entropy as _, Secret, SigningKey};
use freehold_disk::{KeyFileError, KeyStore, OsEntropy};
use freehold_wire::{DecodeError, NodeId, RealmId, from_canonical, to_canonical};
use minicbor::{Decode, Encode};

use crate::home::Home;

const NODE_KEY: &str = "node";
const BOX_KEY: &str = "node-box";
/// The key that is to take its place, while that is under way.
const NEXT_BOX_KEY: &str = "node-box-next";
const DEVICE_KEY: &str = "device";
const DEVICE_BOX_KEY: &str = "device-box";

/// The identity cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A key file.
    #[error("{0}")]
    Key(#[source] KeyFileError),
    /// A key file is not there.
    #[error("the key file {0} is missing")]
    MissingKey(PathBuf),
    /// The identity file.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The identity file holds something else.
    #[error("{path} is damaged: {source}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: DecodeError,
    },
}

/// Keys of a node that is being set up, or runs.
pub struct Keys {
    /// Signs for the node; its public half is the node's id.
    pub node: Arc<SigningKey>,
    /// The seed of that key, for the mesh.
    pub node_seed: Secret,
    /// Opens what is boxed to the node.
    pub node_box: Secret,
    /// Signs for a person whose device this machine is, if it is one.
    pub device: Option<Arc<SigningKey>>,
}

impl Keys {
    /// The node's id.
    pub fn node_id(&self) -> NodeId {
        // The node's key is made from a seed as Ed25519, so it always has these bytes.
        NodeId::from_bytes(self.node.verifying().ed25519_bytes().unwrap_or_default())
    }

    /// The secret that opens envelopes to the node.
    pub fn box_secret(&self) -> BoxSecret {
        BoxSecret::from_seed(&self.node_box)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.node_id().short())
    }
}

/// Fresh keys, in memory: nothing is written before set-up has succeeded.
#[derive(Debug)]
pub struct FreshKeys {
    node: Secret,
    node_box: Secret,
    device: Secret,
    device_box: Secret,
}

impl FreshKeys {
    /// Draws them.
    pub fn draw() -> Self {
        let mut entropy = OsEntropy;
        Self {
            node: entropy.secret(),
            node_box: entropy.secret(),
            device: entropy.secret(),
            device_box: entropy.secret(),
        }
    }

    /// For signing while setting up.
    pub fn keys(&self) -> Keys {
        Keys {
            node: Arc::new(SigningKey::from_seed(Algorithm::Ed25519, &self.node)),
            node_seed: self.node.clone(),
            node_box: self.node_box.clone(),
            device: Some(Arc::new(self.device())),
        }
    }

    /// The key of the device that this machine may become.
    pub fn device(&self) -> SigningKey {
        SigningKey::from_seed(Algorithm::Ed25519, &self.device)
    }

    /// What opens boxes to that device.
    pub fn device_box(&self) -> BoxSecret {
        BoxSecret::from_seed(&self.device_box)
    }

    /// Writes the keys; those of the device only if this machine is to be one. Keys that an
    /// interrupted set-up left are replaced: they never belonged to a node.
    ///
    /// # Errors
    /// [`IdentityError::Key`]
    pub fn write(&self, home: &Home, with_device: bool) -> Result<(), IdentityError> {
        let store = KeyStore::open(&home.keys()).map_err(IdentityError::Key)?;
        let device = [(DEVICE_KEY, &self.device), (DEVICE_BOX_KEY, &self.device_box)];
        let node = [(NODE_KEY, &self.node), (BOX_KEY, &self.node_box)];
        for (name, _) in device.iter().chain(&node) {
            store.remove(name).map_err(IdentityError::Key)?;
        }
        for (name, key) in node.iter().chain(if with_device { &device[..] } else { &[] }) {
            store.create(name, key).map_err(IdentityError::Key)?;
        }
        Ok(())
    }
}

/// Writes the keys of a node that was lost with its home into a new one.
///
/// # Errors
/// [`IdentityError::Key`]
pub(crate) fn bring_back(home: &Home, node: &Secret, node_box: &Secret) -> Result<(), IdentityError> {
    let store = KeyStore::open(&home.keys()).map_err(IdentityError::Key)?;
    store.create(NODE_KEY, node).map_err(IdentityError::Key)?;
    store.create(BOX_KEY, node_box).map_err(IdentityError::Key)
}

/// Draws a node's next box key, and keeps it beside the present one.
///
/// # Errors
/// [`IdentityError::Key`]
pub(crate) fn draw_next_box(home: &Home) -> Result<BoxSecret, IdentityError> {
    let store = KeyStore::open(&home.keys()).map_err(IdentityError::Key)?;
    let next = OsEntropy.secret();
    store.remove(NEXT_BOX_KEY).map_err(IdentityError::Key)?;
    store.create(NEXT_BOX_KEY, &next).map_err(IdentityError::Key)?;
    Ok(BoxSecret::from_seed(&next))
}

/// Ends a renewal of the box key that was under way: if the node has told of the next key, `told`, that takes
/// the present one's place, which is no more from then on. Gives the key if it is in force now.
///
/// # Errors
/// [`IdentityError::Key`]
pub(crate) fn settle_next_box(
    home: &Home,
    told: Option<BoxPublic>,
) -> Result<Option<BoxSecret>, IdentityError> {
    let store = KeyStore::open(&home.keys()).map_err(IdentityError::Key)?;
    let Some(next) = store.read(NEXT_BOX_KEY).map_err(IdentityError::Key)? else { return Ok(None) };
    let secret = BoxSecret::from_seed(&next);
    if told != Some(secret.public()) {
        return store.remove(NEXT_BOX_KEY).map(|()| None).map_err(IdentityError::Key);
    }
    store.replace(BOX_KEY, NEXT_BOX_KEY).map(|()| Some(secret)).map_err(IdentityError::Key)
}

/// What the identity file says.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Identity {
    /// The realm.
    #[n(0)]
    pub realm: RealmId,
    /// The file with guardian phrases that an unattended set-up wrote: its existence is an alarm.
    #[n(1)]
    pub phrases_left_in: Option<String>,
    /// Nodes to knock at until the directory says more: mesh addresses by node id.
    #[n(2)]
    pub first_contacts: Vec<crate::invitation::Contact>,
}

const IDENTITY_MAX: usize = 64 << 10;

impl Identity {
    /// Reads the identity of a home; `None` if it holds no node.
    ///
    /// # Errors
    /// [`IdentityError`] if it is there and cannot be read.
    pub fn read(home: &Home) -> Result<Option<Self>, IdentityError> {
        let path = home.identity();
        match std::fs::read(&path) {
            Ok(bytes) => from_canonical(&bytes, IDENTITY_MAX)
                .map(Some)
                .map_err(|source| IdentityError::Damaged { path, source }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(IdentityError::File { path, source }),
        }
    }

    /// Writes it durably: from now on the home holds a node.
    ///
    /// # Errors
    /// [`IdentityError::File`]
    pub fn write(&self, home: &Home) -> Result<(), IdentityError> {
        let path = home.identity();
        freehold_disk::replace(&path, &to_canonical(self), 0o600)
            .map_err(|source| IdentityError::File { path, source })
    }
}

/// The keys of a node that was set up.
///
/// # Errors
/// [`IdentityError`] if one is missing or exposed.
pub fn load_keys(home: &Home) -> Result<Keys, IdentityError> {
    let store = KeyStore::open(&home.keys()).map_err(IdentityError::Key)?;
    let must = |name: &str| {
        store
            .read(name)
            .map_err(IdentityError::Key)?
            .ok_or_else(|| IdentityError::MissingKey(home.keys().join(name)))
    };
    let node_seed = must(NODE_KEY)?;
    let device = store.read(DEVICE_KEY).map_err(IdentityError::Key)?;
    Ok(Keys {
        node: Arc::new(SigningKey::from_seed(Algorithm::Ed25519, &node_seed)),
        node_seed,
        node_box: must(BOX_KEY)?,
        device: device.map(|seed| Arc::new(SigningKey::from_seed(Algorithm::Ed25519, &seed))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_of_the_box_key_that_was_interrupted_is_finished_or_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let fresh = FreshKeys::draw();
        fresh.write(&home, false).unwrap();
        let before = fresh.keys().box_secret().public();
        let present = || load_keys(&home).unwrap().box_secret().public();
        let settled = |told| settle_next_box(&home, told).unwrap().map(|secret| secret.public());
        // It ended before the node had told of the next key.
        for told in [None, Some(before)] {
            draw_next_box(&home).unwrap();
            assert_eq!((settled(told), present()), (None, before));
        }
        // And after that.
        let next = draw_next_box(&home).unwrap().public();
        assert_eq!((present(), settled(Some(next)), present()), (before, Some(next), next));
        assert_eq!((settled(Some(next)), present()), (None, next));
        assert_eq!(KeyStore::open(&home.keys()).unwrap().read(NEXT_BOX_KEY).unwrap(), None);
    }
}
