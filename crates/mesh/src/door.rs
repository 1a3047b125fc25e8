//! The door: how a newcomer with an invitation, or guardians with their keys, speak to a node that
//! does not know them. Before they have proven their keys they learn nothing but that the node is
//! there; afterwards they have one request and get one answer, both opaque to the mesh.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use freehold_crypt::{Signature, SigningKey, VerifyingKey};
use freehold_ports::{Guest, Places, Source};
use freehold_wire::{Bounded, NodeId, from_canonical, to_canonical};
use iroh::Endpoint;
use iroh::endpoint::{ConnectError, ConnectingError, Connection, ConnectionError};
use tokio::time::timeout;
use tracing::debug;

use crate::address::{endpoint_id, node_id};
use crate::frame::{FrameError, close_code, read_frame, why_closed, write_frame};
use crate::protocol::Protocol;
use crate::relay;
use crate::shared::Shared;
use crate::{Addresses, Why};

/// The largest request of a newcomer, in bytes.
pub const MAX_REQUEST: usize = 1 << 20;
/// The largest answer to one, in bytes.
pub const MAX_ANSWER: usize = 4 << 20;

/// Keys that can be proven at once: guardians come together.
const MAX_KEYS: usize = 16;
/// Newcomers at a time, and from one network or relay. Those that have proven nothing make room for
/// those that come.
pub(crate) const PLACES: Places = Places { total: 16, each: 8, reserve: 0, rest: STEP };
/// The longest proof, in bytes.
const MAX_PROOF: usize = 4096;
/// What a visit may take, whatever it does.
const VISIT: Duration = Duration::from_mins(1);
/// What each step before the proof may take.
const STEP: Duration = Duration::from_secs(10);
/// What the dial may take.
const DIAL: Duration = Duration::from_secs(20);

const VERSION: u8 = 1;
const COME_IN: u8 = 1;
const NONCE: usize = 32;

const PROOF_TAG: &[u8] = b"freehold 2026 join proof\0";
const PASS_TAG: &[u8] = b"freehold 2026 relay pass\0";
const EXPORTER: &[u8] = b"EXPORTER-freehold-join-1";

/// What a newcomer has proven: that it holds these private keys, and that it is this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The node that stands at the door; TLS has proven its key.
    pub newcomer: NodeId,
    /// The keys, ascending, each once; at least one.
    pub keys: Vec<VerifyingKey>,
}

/// Who decides about newcomers.
#[async_trait::async_trait]
pub trait Doorman: Send + Sync + 'static {
    /// Whether these keys open the door now: an open invitation, enough guardians. Must be quick.
    fn admit(&self, proof: &Proof) -> bool;
    /// Answers the one request; at most [`MAX_ANSWER`] bytes.
    async fn serve(&self, proof: Proof, request: Bytes) -> Bytes;
    /// Answers a call: TLS has proven the caller's key, and nothing else is known of it. Without an answer it is
    /// turned away without a word. At most 64 KiB count as one.
    async fn called(&self, _caller: NodeId, _question: Bytes) -> Option<Bytes> {
        None
    }
    /// Whether a machine, whose key TLS has proven, may have errands done here now. Must be quick.
    fn has_errands(&self, _caller: NodeId) -> bool {
        false
    }
    /// Does an errand for such a machine: a question with a body, and the answer with one. Without an answer it is
    /// turned away without a word. At most 64 KiB count as an answer, and [`MAX_BODY`](crate::MAX_BODY) bytes as a body.
    async fn errand(&self, _caller: NodeId, _question: Bytes, _body: Bytes) -> Option<(Bytes, Bytes)> {
        None
    }
}

/// Why knocking led nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KnockError {
    /// The addresses are empty, or the id is not a key.
    #[error("there is no address to knock at")]
    NoAddress,
    /// No key, or more than can be proven at once.
    #[error("between 1 and {MAX_KEYS} keys can be shown at the door, not {0}")]
    Keys(usize),
    /// The request passes [`MAX_REQUEST`].
    #[error("a request of {0} bytes is too large")]
    TooLarge(usize),
    /// Nobody answered.
    #[error("the node cannot be reached; is it running, and are you online?")]
    Unreachable,
    /// It answered and said no, without a reason: used, lapsed, withdrawn, or not one of its own.
    #[error("the node refused: the invitation may be used, lapsed or withdrawn")]
    Refused,
    /// Broke off after the door was opened.
    #[error("the node broke off before it answered")]
    Broke,
    /// Too slow.
    #[error("the node did not answer in time")]
    Silent,
}

type Signed = Bounded<(VerifyingKey, Signature), MAX_KEYS>;

/// Answers one newcomer on a connection whose handshake is done.
pub(crate) async fn answer(shared: Arc<Shared>, connection: Connection, from: Source) {
    let newcomer = node_id(connection.remote_id());
    let why = match shared.door_places.admit(from) {
        Some(guest) => {
            let visit = timeout(VISIT, visit(&shared, &connection, newcomer, &guest));
            tokio::select! {
                biased;
                () = shared.cancel.cancelled() => Why::Shutdown,
                outcome = visit => outcome.unwrap_or(Some(Why::Refused)).unwrap_or(Why::Left),
                // Others came, and it had proven nothing.
                () = guest.has_to_go() => Why::Refused,
            }
        }
        None => Why::Refused,
    };
    debug!(newcomer = %newcomer.short(), ?why, "a visit at the door ended");
    connection.close(close_code(why), b"");
}

/// `None` when all went well.
async fn visit(shared: &Shared, connection: &Connection, newcomer: NodeId, guest: &Guest) -> Option<Why> {
    let Some((proof, mut tx, mut rx)) = prove(shared, connection, newcomer).await else {
        return Some(Why::Refused);
    };
    // From here on it makes room for nobody.
    let _busy = guest.request();
    let Ok(Some(request)) = read_frame(&mut rx, MAX_REQUEST).await else { return Some(Why::Refused) };
    let answer = shared.doorman.serve(proof, request).await;
    if answer.len() > MAX_ANSWER || write_frame(&mut tx, answer).await.is_err() {
        return Some(Why::Broke);
    }
    // The newcomer closes when it has all of it; to close first could lose the end.
    drop(tx.finish());
    drop(timeout(STEP, connection.closed()).await);
    None
}

type Opened = (Proof, iroh::endpoint::SendStream, iroh::endpoint::RecvStream);

async fn prove(shared: &Shared, connection: &Connection, newcomer: NodeId) -> Option<Opened> {
    let mut nonce = [0u8; NONCE];
    getrandom::fill(&mut nonce).ok()?;
    let said = transcript(connection, shared.me, newcomer, &nonce)?;
    let exchange = async {
        let (mut tx, mut rx) = connection.open_bi().await.ok()?;
        tx.write_all(&[&[VERSION], nonce.as_slice()].concat()).await.ok()?;
        let shown = read_frame(&mut rx, MAX_PROOF).await.ok()??;
        let keys = checked(&shown, &said)?;
        let proof = Proof { newcomer, keys };
        if !shared.doorman.admit(&proof) {
            return None;
        }
        tx.write_all(&[COME_IN]).await.ok()?;
        Some((proof, tx, rx))
    };
    timeout(STEP, exchange).await.ok()?
}

/// What is signed: both ends' keys, a number drawn for this visit, and a secret of this very
/// connection. So a signature serves nobody else, nowhere else, and never again.
fn transcript(
    connection: &Connection,
    host: NodeId,
    newcomer: NodeId,
    nonce: &[u8; NONCE],
) -> Option<Vec<u8>> {
    let mut bound = [0u8; 32];
    connection.export_keying_material(&mut bound, EXPORTER, nonce).ok()?;
    Some([PROOF_TAG, host.as_bytes(), newcomer.as_bytes(), nonce, &bound].concat())
}

fn sign(keys: &[&SigningKey], said: &[u8]) -> Result<Vec<u8>, KnockError> {
    let mut signed: Vec<_> = keys.iter().map(|key| (key.verifying(), key.sign(said))).collect();
    signed.sort_by_key(|(key, _)| *key);
    signed.dedup_by_key(|(key, _)| *key);
    match Signed::from_vec(signed) {
        Ok(signed) if !signed.is_empty() => Ok(to_canonical(&signed)),
        _ => Err(KnockError::Keys(keys.len())),
    }
}

/// The keys, if there is at least one, they ascend, and every signature holds.
fn checked(shown: &[u8], said: &[u8]) -> Option<Vec<VerifyingKey>> {
    let signed: Signed = from_canonical(shown, MAX_PROOF).ok()?;
    let keys: Vec<_> = signed.iter().map(|(key, _)| *key).collect();
    let hold = signed.iter().all(|(key, signature)| key.verify(said, signature).is_ok());
    (hold && !keys.is_empty() && keys.is_sorted_by(|a, b| a < b)).then_some(keys)
}

/// What a newcomer shows to a relay of the realm, so that it may use it on its way to the door.
pub(crate) fn relay_pass(keys: &[&SigningKey], me: NodeId) -> Result<String, KnockError> {
    Ok(BASE64URL_NOPAD.encode(&sign(keys, &[PASS_TAG, me.as_bytes()].concat())?))
}

/// What a pass proves. It holds for the one node that shows it, which TLS or the relay's own
/// challenge has proven.
pub(crate) fn read_pass(pass: &str, newcomer: NodeId) -> Option<Proof> {
    if pass.len() > MAX_PROOF * 2 {
        return None;
    }
    let shown = BASE64URL_NOPAD.decode(pass.as_bytes()).ok()?;
    let keys = checked(&shown, &[PASS_TAG, newcomer.as_bytes()].concat())?;
    Some(Proof { newcomer, keys })
}

/// The newcomer's side: proves the keys to the node, sends the request, and gives its answer.
pub(crate) async fn knock(
    endpoint: &Endpoint,
    at: &Addresses,
    host: NodeId,
    keys: &[&SigningKey],
    request: Bytes,
) -> Result<Bytes, KnockError> {
    if request.len() > MAX_REQUEST {
        return Err(KnockError::TooLarge(request.len()));
    }
    let pass = relay_pass(keys, node_id(endpoint.id()))?;
    let mut borrowed = Vec::new();
    for url in at.every_relay() {
        let entry = Arc::new(relay::entry(url, Some(pass.clone())));
        if endpoint.insert_relay(url.inner().clone(), entry).await.is_none() {
            borrowed.push(url.inner());
        }
    }
    let answer = visit_at(endpoint, at, host, keys, request).await;
    // They are of use again when the realm's directory says so.
    for url in borrowed {
        endpoint.remove_relay(url).await;
    }
    answer
}

async fn visit_at(
    endpoint: &Endpoint,
    at: &Addresses,
    host: NodeId,
    keys: &[&SigningKey],
    request: Bytes,
) -> Result<Bytes, KnockError> {
    let id =
        endpoint_id(host).filter(|id| *id != endpoint.id() && !at.is_empty()).ok_or(KnockError::NoAddress)?;
    let target = at.endpoint(id, std::iter::empty());
    let connection = timeout(DIAL, endpoint.connect(target, Protocol::door(host).name()))
        .await
        .map_err(|_| KnockError::Unreachable)?
        .map_err(|error| dial_error(&error))?;
    let exchange = exchange(&connection, host, node_id(endpoint.id()), keys, request);
    let answer = timeout(VISIT, exchange).await.unwrap_or(Err(KnockError::Silent));
    connection.close(close_code(Why::Left), b"");
    answer
}

async fn exchange(
    connection: &Connection,
    host: NodeId,
    me: NodeId,
    keys: &[&SigningKey],
    request: Bytes,
) -> Result<Bytes, KnockError> {
    let refused = || match connection.close_reason() {
        Some(error) if why_closed(&error) == Why::Silent => KnockError::Silent,
        _ => KnockError::Refused,
    };
    let prove = async {
        let (mut tx, mut rx) = connection.accept_bi().await.map_err(|_| refused())?;
        let mut head = [0u8; 1 + NONCE];
        rx.read_exact(&mut head).await.map_err(|_| refused())?;
        let nonce = match head.split_first() {
            Some((&VERSION, nonce)) => nonce.try_into().map_err(|_| KnockError::Broke)?,
            _ => return Err(KnockError::Broke),
        };
        let said = transcript(connection, host, me, nonce).ok_or(KnockError::Broke)?;
        write_frame(&mut tx, sign(keys, &said)?.into()).await.map_err(|_| refused())?;
        let mut word = [0u8];
        rx.read_exact(&mut word).await.map_err(|_| refused())?;
        if word == [COME_IN] { Ok((tx, rx)) } else { Err(KnockError::Broke) }
    };
    let (mut tx, mut rx) = timeout(STEP * 2, prove).await.unwrap_or(Err(KnockError::Silent))?;
    write_frame(&mut tx, request).await.map_err(|_| KnockError::Broke)?;
    match read_frame(&mut rx, MAX_ANSWER).await {
        Ok(Some(answer)) => Ok(answer),
        Err(FrameError::Stalled) => Err(KnockError::Silent),
        Ok(None) | Err(_) => Err(KnockError::Broke),
    }
}

pub(crate) fn dial_error(error: &ConnectError) -> KnockError {
    let closed: Option<&ConnectionError> = match error {
        ConnectError::Connecting { source: ConnectingError::ConnectionError { source, .. }, .. }
        | ConnectError::Connection { source, .. } => Some(source),
        _ => None,
    };
    match closed.map(why_closed) {
        Some(Why::Refused | Why::Broke) => KnockError::Refused,
        _ => KnockError::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use freehold_crypt::{Algorithm, Secret};

    use super::*;

    fn key(seed: u8, algorithm: Algorithm) -> SigningKey {
        SigningKey::from_seed(algorithm, &Secret::from_bytes([seed; 32]))
    }

    #[test]
    fn a_pass_holds_for_the_node_it_was_made_for() {
        let (one, two) = (key(1, Algorithm::Ed25519), key(2, Algorithm::P256));
        let me = NodeId::from_bytes([7; 32]);
        let pass = relay_pass(&[&two, &one, &one], me).unwrap();
        let mut keys = vec![one.verifying(), two.verifying()];
        keys.sort();
        assert_eq!(read_pass(&pass, me).unwrap().keys, keys);
        assert_eq!(read_pass(&pass, NodeId::from_bytes([8; 32])), None);
        assert_eq!(read_pass("garbage!", me), None);
        assert_eq!(relay_pass(&[], me), Err(KnockError::Keys(0)));
    }

    #[test]
    fn one_wrong_signature_spoils_the_proof() {
        let (one, two) = (key(1, Algorithm::Ed25519), key(2, Algorithm::Ed25519));
        let said = b"what is said";
        let shown = |signed: Vec<_>| to_canonical(&Signed::from_vec(signed).unwrap());
        let (a, b) = if one.verifying() < two.verifying() { (&one, &two) } else { (&two, &one) };
        let (first, second) = ((a.verifying(), a.sign(said)), (b.verifying(), b.sign(said)));
        assert!(checked(&shown(vec![first, second]), said).is_some());
        assert!(checked(&shown(vec![second, first]), said).is_none(), "not ascending");
        assert!(checked(&shown(vec![first, first]), said).is_none(), "one key twice");
        assert!(checked(&shown(vec![first, (b.verifying(), a.sign(said))]), said).is_none());
        assert!(checked(&shown(vec![]), said).is_none());
        assert!(checked(&shown(vec![first, second]), b"something else").is_none());
    }
}
