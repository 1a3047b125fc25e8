//! Errands: what a machine of another realm has done here under a grant, one after another on a connection that stays.
//! Each is a question with a body and gets an answer with a body. TLS has proven who comes; whether it may come at all
//! the doorman says before a byte of a body is read. What is said is opaque here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use freehold_ports::{Guest, Places, Source};
use freehold_wire::NodeId;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use iroh::Endpoint;
use iroh::endpoint::{Connection, RecvStream, SendStream};
use tokio::time::timeout;
use tracing::debug;

use crate::address::{endpoint_id, node_id};
use crate::door::dial_error;
use crate::frame::{STALL, close_code, read_frame, write_frame};
use crate::protocol::Protocol;
use crate::shared::Shared;
use crate::{Addresses, KnockError, Why};

/// The longest question, in bytes.
const MAX_QUESTION: usize = 8 << 10;
/// The longest answer without its body, in bytes.
const MAX_REPLY: usize = 64 << 10;
/// The longest body, in bytes.
pub const MAX_BODY: usize = 9 << 20;
/// Machines at a time, and from one network or relay.
pub(crate) const PLACES: Places = Places { total: 16, each: 8, reserve: 0, rest: Duration::from_secs(20) };
/// Errands of one machine at a time: so many bodies are in memory.
const AT_ONCE: usize = 3;
/// What the dial may take.
const DIAL: Duration = Duration::from_secs(12);
/// What carrying one out may take, until the answer begins.
const DONE: Duration = Duration::from_mins(1);

/// Connections to machines that this one has errands at.
#[derive(Debug, Default)]
pub(crate) struct Trips(Mutex<BTreeMap<NodeId, Connection>>);

impl Trips {
    fn open_to(&self, host: NodeId) -> Option<Connection> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, connection| connection.close_reason().is_none());
        all.get(&host).cloned()
    }

    fn keep(&self, host: NodeId, connection: &Connection) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(host, connection.clone());
    }

    fn forget(&self, host: NodeId) {
        if let Some(connection) = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&host) {
            connection.close(close_code(Why::Left), b"");
        }
    }
}

/// Serves a machine on a connection whose handshake is done, until either side ends it.
pub(crate) async fn serve(shared: Arc<Shared>, connection: Connection, from: Source) {
    let caller = node_id(connection.remote_id());
    let why = match shared.errand_places.admit(from) {
        Some(guest) if shared.doorman.has_errands(caller) => {
            serve_all(&shared, &connection, caller, &guest).await
        }
        _ => Why::Refused,
    };
    debug!(caller = %caller.short(), ?why, "errands ended");
    connection.close(close_code(why), b"");
}

async fn serve_all(shared: &Shared, connection: &Connection, caller: NodeId, guest: &Guest) -> Why {
    let mut at_work = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            () = shared.cancel.cancelled() => return Why::Shutdown,
            Some(done) = at_work.next(), if !at_work.is_empty() => if let Err(why) = done { return why },
            () = guest.has_to_go() => return Why::Refused,
            stream = connection.accept_bi(), if at_work.len() < AT_ONCE => match stream {
                Ok((tx, rx)) => at_work.push(serve_one(shared, caller, guest, tx, rx)),
                Err(_) => return Why::Left,
            },
        }
    }
}

async fn serve_one(
    shared: &Shared,
    caller: NodeId,
    guest: &Guest,
    mut tx: SendStream,
    mut rx: RecvStream,
) -> Result<(), Why> {
    let _busy = guest.request();
    let asked = async {
        let question = read_frame(&mut rx, MAX_QUESTION).await.ok()??;
        if !shared.doorman.has_errands(caller) {
            return None;
        }
        Some((question, read_frame(&mut rx, MAX_BODY).await.ok()??))
    };
    let Some((question, body)) = asked.await else { return Err(Why::Refused) };
    let Some((answer, body)) = shared.doorman.errand(caller, question, body).await else {
        return Err(Why::Refused);
    };
    if answer.len() > MAX_REPLY || body.len() > MAX_BODY {
        return Err(Why::Broke);
    }
    let told = async {
        write_frame(&mut tx, answer).await?;
        write_frame(&mut tx, body).await
    };
    // Whoever asked may have gone; others of its errands go on.
    drop(told.await);
    drop(tx.finish());
    Ok(())
}

/// The side that has the errand. A connection that broke meanwhile is dialled anew once.
pub(crate) async fn run(
    trips: &Trips,
    endpoint: &Endpoint,
    at: &Addresses,
    host: NodeId,
    (question, body): (Bytes, Bytes),
) -> Result<(Bytes, Bytes), KnockError> {
    if question.len() > MAX_QUESTION || body.len() > MAX_BODY {
        return Err(KnockError::TooLarge(question.len().saturating_add(body.len())));
    }
    if let Some(connection) = trips.open_to(host) {
        match exchange(&connection, question.clone(), body.clone()).await {
            Err(KnockError::Broke) => trips.forget(host),
            done => return done,
        }
    }
    let id = endpoint_id(host).filter(|id| *id != endpoint.id()).ok_or(KnockError::NoAddress)?;
    let target = at.endpoint(id, std::iter::empty());
    let connection = timeout(DIAL, endpoint.connect(target, Protocol::errand(host).name()))
        .await
        .map_err(|_| KnockError::Unreachable)?
        .map_err(|error| dial_error(&error))?;
    trips.keep(host, &connection);
    match exchange(&connection, question, body).await {
        Err(error) => {
            trips.forget(host);
            // On a fresh connection this is what a refusal looks like.
            Err(if error == KnockError::Broke { KnockError::Refused } else { error })
        }
        done => done,
    }
}

async fn exchange(
    connection: &Connection,
    question: Bytes,
    body: Bytes,
) -> Result<(Bytes, Bytes), KnockError> {
    let broke = |_| KnockError::Broke;
    let (mut tx, mut rx) = timeout(STALL, connection.open_bi())
        .await
        .map_err(|_| KnockError::Silent)?
        .map_err(|_| KnockError::Broke)?;
    write_frame(&mut tx, question).await.map_err(broke)?;
    write_frame(&mut tx, body).await.map_err(broke)?;
    drop(tx.finish());
    let answer = timeout(DONE, read_frame(&mut rx, MAX_REPLY)).await.map_err(|_| KnockError::Silent)?;
    let answer = answer.map_err(broke)?.ok_or(KnockError::Broke)?;
    let body = timeout(DONE, read_frame(&mut rx, MAX_BODY)).await.map_err(|_| KnockError::Silent)?;
    Ok((answer, body.map_err(broke)?.ok_or(KnockError::Broke)?))
}
