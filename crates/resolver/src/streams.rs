//! Questions over TCP, and over TLS: several at a time on a connection, each answer when it is there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use freehold_ports::{Busy, Guest, Places, Porter, Stall};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answering::{Answering, Asked, Channel, Reply};
use crate::counting::Counter;
use crate::waiting::{Place, Waiting};

/// Connections at a time to one port.
pub(crate) const CONNECTIONS: usize = 256;
/// For so long a connection may rest (RFC 7766 asks for seconds).
pub(crate) const REST: Duration = Duration::from_secs(20);
/// A TLS handshake takes no longer.
pub(crate) const SHAKE: Duration = Duration::from_secs(10);
/// Who takes nothing of an answer for so long is gone.
pub(crate) const STALL: Duration = Duration::from_secs(10);
/// Questions at a time on one connection.
const AT_A_TIME: usize = 32;

/// Serves one port.
pub(crate) struct Streams {
    pub(crate) answering: Arc<Answering>,
    pub(crate) listener: TcpListener,
    /// With TLS, if there is one.
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) counter: Counter,
    pub(crate) waiting: Waiting,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Streams {
    /// Until it is stopped.
    pub(crate) async fn serve(self) {
        let porter = Porter::new(Places::of(CONNECTIONS, REST));
        loop {
            let (stream, guest) = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                accepted = porter.accept(&self.listener) => accepted,
            };
            let Ok(from) = stream.peer_addr() else { continue };
            // Small answers leave at once.
            drop(stream.set_nodelay(true));
            let (tls, stop) = (self.tls.clone(), self.stop.clone());
            let talk = Talk {
                answering: Arc::clone(&self.answering),
                channel: if tls.is_some() { Channel::Sealed } else { Channel::Stream },
                from,
                counter: self.counter.clone(),
                waiting: self.waiting.clone(),
            };
            self.tasks.spawn(async move {
                let whole = async {
                    match tls {
                        None => talk.run(stream, &guest).await,
                        Some(tls) => {
                            let shaken = timeout(SHAKE, tls.accept(stream)).await;
                            if let Ok(Ok(stream)) = shaken {
                                talk.run(stream, &guest).await;
                            }
                        }
                    }
                };
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    () = guest.has_to_go() => {}
                    () = whole => {}
                }
            });
        }
    }
}

/// One connection.
pub(crate) struct Talk {
    pub(crate) answering: Arc<Answering>,
    pub(crate) channel: Channel,
    pub(crate) from: SocketAddr,
    pub(crate) counter: Counter,
    pub(crate) waiting: Waiting,
}

/// An answer that will come, and the places that it takes until then.
type Coming = BoxFuture<'static, (Vec<u8>, Busy, Place)>;

enum Next {
    Answer(Vec<u8>),
    Later(Coming),
    /// What came is no question, or too many wait: there is nothing more to say on this connection.
    Over,
}

impl Talk {
    /// Until the client has gone, or says what is no question.
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, guest: &Guest) {
        let mut framed = Framed::new(Stall::new(stream, STALL), codec());
        let mut coming: FuturesUnordered<Coming> = FuturesUnordered::new();
        let mut ended = false;
        while !(ended && coming.is_empty()) {
            let answer = tokio::select! {
                Some((answer, busy, place)) = coming.next() => {
                    drop((busy, place));
                    answer
                }
                frame = framed.next(), if !ended && coming.len() < AT_A_TIME => match frame {
                    Some(Ok(frame)) => match self.take(&frame, guest) {
                        Next::Answer(answer) => {
                            guest.touch();
                            answer
                        }
                        Next::Later(later) => {
                            coming.push(later);
                            continue;
                        }
                        Next::Over => return,
                    },
                    Some(Err(_)) => return,
                    // Who has nothing more to ask may still wait for answers.
                    None => {
                        ended = true;
                        continue;
                    }
                },
            };
            if framed.send(Bytes::from(answer)).await.is_err() {
                return;
            }
        }
    }

    fn take(&self, frame: &BytesMut, guest: &Guest) -> Next {
        let view = self.answering.view();
        let asked = Asked {
            view: &view,
            moment: self.answering.moment(),
            party: self.answering.party(self.from),
            channel: self.channel,
            counter: &self.counter,
        };
        let mut out = Vec::new();
        match self.answering.answer(&asked, frame, &mut out) {
            Reply::Ready => Next::Answer(out),
            Reply::Silence => Next::Over,
            Reply::Later(later) => {
                let Some(place) = self.waiting.enter(guest.source()) else { return Next::Over };
                let (answering, busy) = (Arc::clone(&self.answering), guest.request());
                Next::Later(async move { (answering.settle(*later).await, busy, place) }.boxed())
            }
        }
    }
}

/// Two bytes of length before each message (RFC 1035, 4.2.2).
fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().length_field_length(2).max_frame_length(usize::from(u16::MAX)).new_codec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio_util::codec::Decoder as _;

    use super::*;

    proptest! {
        #[test]
        fn messages_come_whole_whatever_pieces_they_came_in(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            cuts in prop::collection::vec(1usize..9, 1..40),
        ) {
            let mut bytes: Vec<u8> = Vec::new();
            for message in &messages {
                bytes.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
                bytes.extend(message);
            }
            let (mut codec, mut buffer, mut read) = (codec(), BytesMut::new(), Vec::new());
            let mut rest: &[u8] = &bytes;
            for cut in cuts.iter().cycle() {
                let (piece, more) = rest.split_at((*cut).min(rest.len()));
                buffer.extend_from_slice(piece);
                while let Some(frame) = codec.decode(&mut buffer).unwrap() {
                    read.push(frame.to_vec());
                }
                rest = more;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(read, messages);
            prop_assert!(codec.decode_eof(&mut buffer).unwrap().is_none());
        }

        #[test]
        fn no_bytes_are_refused_before_their_message_is_whole(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (mut codec, mut buffer) = (codec(), BytesMut::from(&bytes[..]));
            let mut taken = 0;
            while let Some(frame) = codec.decode(&mut buffer).unwrap() {
                taken += frame.len() + 2;
            }
            prop_assert!(taken <= bytes.len());
        }
    }
}
