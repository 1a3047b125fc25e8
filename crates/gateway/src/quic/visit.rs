//! One client's connection with HTTP/3: requests as they come, until it goes, has to go, or the door closes.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use h3::error::{Code, StreamError};
use h3::server::{RequestResolver, RequestStream};
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::BodyExt as _;
use quinn::Connection;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::code;
use super::coming::Coming;
use super::streams::{Newest, Sending, Slot, Streams};
use crate::answer;
use crate::body::Reply;
use crate::inward::Inward;
use crate::visit::{FAREWELL, HEADERS_MAX, Visit};

type Server = h3::server::Connection<Streams, Bytes>;

/// How often it is seen whether the client has another address now.
const LOOK: Duration = Duration::from_secs(5);

/// Serves; requests under way are let finish.
pub(crate) async fn serve(visit: Arc<Visit>, connection: Connection) {
    let shared = Arc::clone(&visit.worker.shared);
    let newest = Slot::default();
    let streams = Streams::new(connection.clone(), Arc::clone(&newest));
    let mut builder = h3::server::builder();
    builder.max_field_section_size(HEADERS_MAX.into());
    let Ok(Ok(server)) = timeout(shared.settings.head_within, builder.build(streams)).await else { return };
    let mut talk = Talk { visit: Arc::clone(&visit), connection, server, newest, asked: JoinSet::new() };
    let mut changed = shared.changed.subscribe();
    let patience = loop {
        tokio::select! {
            biased;
            goes_on = talk.hear() => if !goes_on {
                return;
            },
            () = visit.guest.has_to_go() => break FAREWELL,
            change = changed.changed() => if change.is_err() || !visit.may_go_on() {
                return;
            },
            () = shared.cancel.cancelled() => break shared.settings.drain,
            () = sleep(LOOK) => if talk.has_moved() {
                return;
            },
        }
    };
    drop(timeout(patience, talk.end()).await);
}

/// What is under way. Dropped, all of it ends.
struct Talk {
    visit: Arc<Visit>,
    connection: Connection,
    server: Server,
    newest: Slot,
    asked: JoinSet<()>,
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.connection.close(code(Code::H3_NO_ERROR), b"");
    }
}

impl Talk {
    /// Takes a request, or sees one end. Says whether there is more to come.
    async fn hear(&mut self) -> bool {
        tokio::select! {
            biased;
            Some(_) = self.asked.join_next() => true,
            next = self.server.accept() => match next {
                // Who may come in is judged by the address: from another one it is another client.
                Ok(Some(_)) if self.has_moved() => false,
                Ok(Some(resolver)) => {
                    self.take(resolver);
                    true
                }
                Ok(None) => false,
                Err(error) => {
                    tracing::debug!(%error, "a connection ended");
                    false
                }
            },
        }
    }

    fn take(&mut self, resolver: RequestResolver<Streams, Bytes>) {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(newest) = newest {
            self.asked.spawn(request(Arc::clone(&self.visit), resolver, newest));
        }
    }

    fn has_moved(&self) -> bool {
        let now = self.connection.remote_address();
        (now.ip().to_canonical(), now.port()) != (self.visit.client.from.ip(), self.visit.client.from.port())
    }

    /// Takes no more, and lets those that there are finish.
    async fn end(&mut self) {
        drop(self.server.shutdown(0).await);
        while !self.asked.is_empty() && self.hear().await {}
    }
}

/// One request. Who wants no answer any more is not worked for.
async fn request(visit: Arc<Visit>, resolver: RequestResolver<Streams, Bytes>, newest: Newest) {
    let Newest { ahead, over } = newest;
    let (within, stall) = (visit.worker.shared.settings.head_within, visit.worker.shared.settings.stall);
    let work = async {
        let Ok(Ok((head, stream))) = timeout(within, resolver.resolve_request()).await else { return };
        let (mut send, recv) = stream.split();
        let mut body = Coming::new(recv, ahead, head.headers());
        if !is_plain(head.headers(), head.method()) {
            return send.stop_stream(Code::H3_MESSAGE_ERROR);
        }
        if !matches!(timeout(within, body.begin(head.method())).await, Ok(Ok(()))) {
            return send.stop_stream(Code::H3_REQUEST_INCOMPLETE);
        }
        let request = Request::from_parts(head.into_parts().0, Inward::Quic(Box::new(body)));
        let response = answer::answer(visit, request).await;
        match give(&mut send, response, stall).await {
            Ok(()) => drop(send.finish().await),
            Err(error) => {
                tracing::debug!(%error, "an answer broke off");
                send.stop_stream(Code::H3_INTERNAL_ERROR);
            }
        }
    };
    let mut over = over;
    tokio::select! {
        biased;
        () = &mut over => return,
        () = work => {}
    }
    // Until the client has all of it, or nobody could close the connection in good order.
    drop(timeout(stall, over).await);
}

/// Why an answer broke off.
#[derive(Debug, thiserror::Error)]
enum BrokeOff {
    #[error("the service broke off")]
    Service(#[source] crate::body::Broken),
    #[error("the client took nothing for too long")]
    Stalled(#[from] tokio::time::error::Elapsed),
    #[error("the client took no more")]
    Client(#[from] StreamError),
}

async fn give(
    send: &mut RequestStream<Sending, Bytes>,
    response: Response<Reply>,
    stall: Duration,
) -> Result<(), BrokeOff> {
    let (head, mut body) = response.into_parts();
    timeout(stall, send.send_response(Response::from_parts(head, ()))).await??;
    while let Some(frame) = body.frame().await {
        match frame.map_err(BrokeOff::Service)?.into_data() {
            Ok(data) => timeout(stall, send.send_data(data)).await??,
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    timeout(stall, send.send_trailers(trailers)).await??;
                }
            }
        }
    }
    Ok(())
}

/// Whether a head has nothing that HTTP/3 knows not (RFC 9114, 4.2): it would mean something to HTTP/1.
fn is_plain(headers: &HeaderMap, method: &Method) -> bool {
    let foreign = [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE];
    let te = headers.get(header::TE).is_none_or(|te| te == "trailers");
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    let length = headers
        .get(header::CONTENT_LENGTH)
        .is_none_or(|length| !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit));
    let hop = ["keep-alive", "proxy-connection"].iter().any(|name| headers.contains_key(*name));
    te && lengths <= 1
        && length
        && !hop
        && *method != Method::CONNECT
        && !foreign.iter().any(|name| headers.contains_key(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_to_http_1_is_not_taken() {
        let plain = |lines: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, value.parse().unwrap());
            }
            is_plain(&headers, &Method::POST)
        };
        assert!(plain(&[("content-length", "5"), ("te", "trailers")]));
        let bad = [
            ("transfer-encoding", "chunked"),
            ("connection", "close"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("upgrade", "websocket"),
            ("te", "gzip"),
            ("content-length", "+5"),
            ("content-length", ""),
            ("content-length", "0x5"),
        ];
        for line in bad {
            assert!(!plain(&[line]), "{line:?}");
        }
        assert!(!plain(&[("content-length", "5"), ("content-length", "5")]));
        assert!(!is_plain(&HeaderMap::new(), &Method::CONNECT));
    }
}
