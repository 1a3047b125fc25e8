//! The handle: who is let in, and what was seen of them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use freehold_crypt::{BoxPublic, BoxSecret};
use gotatun::device::{Device, DeviceBuilder, Peer};
use gotatun::x25519::{PublicKey, StaticSecret};
use tokio::sync::mpsc;

use crate::packets::{FromNetwork, ToNetwork};
use crate::socket::{Bound, Socket};

/// The engine did not start.
#[derive(Debug, thiserror::Error)]
#[error("the door for phones did not open: {0}")]
pub struct OpenError(String);

/// Who is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phone {
    /// Its WireGuard key.
    pub key: BoxPublic,
    /// The one address that its packets come from.
    pub address: IpAddr,
}

/// What was seen of a phone since the door opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its WireGuard key.
    pub key: BoxPublic,
    /// Where it sends from, if it has shown its key.
    pub from: Option<SocketAddr>,
    /// How long ago it last did.
    pub shown: Option<Duration>,
    /// Bytes that came from it, sealed.
    pub received: u64,
    /// Bytes that went to it, sealed.
    pub sent: u64,
}

/// An open door. Closed when dropped.
pub struct Door {
    device: Device<(Bound, ToNetwork, FromNetwork)>,
    bound: SocketAddr,
    inside: BTreeMap<BoxPublic, IpAddr>,
    /// That the engine stands still, since the last change went wrong.
    broken: bool,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door")
            .field("bound", &self.bound)
            .field("inside", &self.inside)
            .finish_non_exhaustive()
    }
}

impl Door {
    /// Opens the door at a socket that was bound for the same key; nobody is let in yet. `network` takes whole IP packets of phones, `packets` gives
    /// those for them; what does not fit is lost.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(
        socket: Socket,
        secret: &BoxSecret,
        network: mpsc::Sender<Bytes>,
        packets: mpsc::Receiver<Bytes>,
    ) -> Result<Self, OpenError> {
        let key = StaticSecret::from(*secret.expose());
        let bound = socket.bound();
        let device = DeviceBuilder::new()
            .with_udp(Bound(socket))
            .with_ip_pair(ToNetwork(network), FromNetwork::new(packets))
            .with_private_key(key)
            .with_listen_port(bound.port())
            .build()
            .await
            .map_err(|error| OpenError(error.to_string()))?;
        // Without a peer it would not listen; to forget all of them makes it.
        device.clear_peers().await.map_err(|error| OpenError(error.to_string()))?;
        Ok(Self { device, bound, inside: BTreeMap::new(), broken: false })
    }

    /// Where it listens.
    pub const fn bound(&self) -> SocketAddr {
        self.bound
    }

    /// Lets in these phones and nobody else: whoever was and is not among them is cut off before this returns.
    /// A key that two have lets in the first.
    ///
    /// # Errors
    /// [`OpenError`] if the engine did not start again afterwards: then nobody is let in, until it was called once
    /// more without an error.
    pub async fn let_in(&mut self, phones: &[Phone]) -> Result<(), OpenError> {
        let mut wanted = BTreeMap::new();
        for phone in phones {
            wanted.entry(phone.key).or_insert(phone.address);
        }
        let leaves = |key: &BoxPublic, at: &IpAddr| wanted.get(key) != Some(at);
        let gone: Vec<BoxPublic> =
            self.inside.iter().filter(|(key, at)| leaves(key, at)).map(|(key, _)| *key).collect();
        let new: Vec<(BoxPublic, IpAddr)> = wanted
            .iter()
            .filter(|(key, _)| gone.contains(key) || !self.inside.contains_key(*key))
            .map(|(key, at)| (*key, *at))
            .collect();
        if gone.is_empty() && new.is_empty() && !self.broken {
            return Ok(());
        }
        let anew = self.broken;
        // What fails, or is given up on the way, has taken the engine down.
        self.broken = true;
        let changed = self.device.write(async |device| {
            if anew {
                device.clear_peers();
            }
            for key in &gone {
                device.remove_peer(&public(*key)).await;
            }
            for (key, at) in if anew { all(&wanted) } else { new } {
                device.add_peer(Peer::new(public(key)).with_allowed_ip(at.into()));
            }
        });
        changed.await.map_err(|error| OpenError(error.to_string()))?;
        (self.inside, self.broken) = (wanted, false);
        Ok(())
    }

    /// What was seen of those who are let in.
    pub async fn seen(&self) -> Vec<Seen> {
        let peers = self.device.peers().await;
        let seen = peers.into_iter().map(|known| Seen {
            key: BoxPublic::from_bytes(*known.peer.public_key.as_bytes()),
            from: known.peer.endpoint,
            shown: known.stats.last_handshake,
            received: known.stats.rx_bytes as u64,
            sent: known.stats.tx_bytes as u64,
        });
        seen.collect()
    }

    /// Closes it; who was inside is cut off.
    pub async fn close(self) {
        self.device.stop().await;
    }
}

fn all(phones: &BTreeMap<BoxPublic, IpAddr>) -> Vec<(BoxPublic, IpAddr)> {
    phones.iter().map(|(key, at)| (*key, *at)).collect()
}

fn public(key: BoxPublic) -> PublicKey {
    PublicKey::from(*key.as_bytes())
}
