//! Calls: one question and one answer, from anybody who knows this node's id. Machines of other realms have no more of
//! this one's mesh than that, and a line for packets where the gate says so. TLS has proven who calls; what is asked
//! and answered is opaque here. Whoever has nothing to say that counts learns nothing but that the node is there.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use freehold_ports::{Guest, Places, Source};
use freehold_wire::NodeId;
use iroh::Endpoint;
use iroh::endpoint::Connection;
use tokio::time::timeout;
use tracing::debug;

use crate::address::{endpoint_id, node_id};
use crate::door::dial_error;
use crate::frame::{close_code, read_frame, write_frame};
use crate::protocol::Protocol;
use crate::shared::Shared;
use crate::{Addresses, KnockError, Why};

/// The largest question, in bytes.
const MAX_QUESTION: usize = 8 << 10;
/// The largest answer, in bytes.
const MAX_REPLY: usize = 64 << 10;
/// Callers at a time, and from one network or relay.
pub(crate) const PLACES: Places = Places { total: 32, each: 8, reserve: 0, rest: STEP };
/// What each step may take.
const STEP: Duration = Duration::from_secs(5);
/// What a call may take, whatever it does.
const CALL: Duration = Duration::from_secs(15);

/// Answers a call on a connection whose handshake is done.
pub(crate) async fn answer(shared: Arc<Shared>, connection: Connection, from: Source) {
    let caller = node_id(connection.remote_id());
    let why = match shared.call_places.admit(from) {
        Some(guest) => {
            let exchange = exchange(&shared, &connection, caller, &guest);
            tokio::select! {
                biased;
                () = shared.cancel.cancelled() => Why::Shutdown,
                outcome = timeout(CALL, exchange) => match outcome {
                    Ok(Some(())) => Why::Left,
                    Ok(None) | Err(_) => Why::Refused,
                },
                () = guest.has_to_go() => Why::Refused,
            }
        }
        None => Why::Refused,
    };
    debug!(caller = %caller.short(), ?why, "a call ended");
    connection.close(close_code(why), b"");
}

async fn exchange(shared: &Shared, connection: &Connection, caller: NodeId, guest: &Guest) -> Option<()> {
    let asked = async {
        let (tx, mut rx) = connection.accept_bi().await.ok()?;
        Some((tx, read_frame(&mut rx, MAX_QUESTION).await.ok()??))
    };
    let (mut tx, question) = timeout(STEP, asked).await.ok()??;
    // From here on it makes room for nobody.
    let _busy = guest.request();
    let answer = shared.doorman.called(caller, question).await.filter(|answer| answer.len() <= MAX_REPLY)?;
    timeout(STEP, write_frame(&mut tx, answer)).await.ok()?.ok()?;
    // The caller closes when it has all of it; to close first could lose the end.
    drop(tx.finish());
    drop(timeout(STEP, connection.closed()).await);
    Some(())
}

/// The caller's side.
pub(crate) async fn call(
    endpoint: &Endpoint,
    at: &Addresses,
    host: NodeId,
    question: Bytes,
) -> Result<Bytes, KnockError> {
    if question.len() > MAX_QUESTION {
        return Err(KnockError::TooLarge(question.len()));
    }
    let id = endpoint_id(host).filter(|id| *id != endpoint.id()).ok_or(KnockError::NoAddress)?;
    let target = at.endpoint(id, std::iter::empty());
    let connection = timeout(CALL, endpoint.connect(target, Protocol::call(host).name()))
        .await
        .map_err(|_| KnockError::Unreachable)?
        .map_err(|error| dial_error(&error))?;
    let exchange = async {
        let (mut tx, mut rx) = connection.open_bi().await.map_err(|_| KnockError::Broke)?;
        write_frame(&mut tx, question).await.map_err(|_| KnockError::Broke)?;
        match read_frame(&mut rx, MAX_REPLY).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) | Err(_) => Err(KnockError::Refused),
        }
    };
    let answer = timeout(CALL, exchange).await.unwrap_or(Err(KnockError::Silent));
    connection.close(close_code(Why::Left), b"");
    answer
}
