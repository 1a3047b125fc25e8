//! QUIC's streams as HTTP/3 wants them. A frame is gathered until it is whole, however long it says that it is: what a
//! client may send ahead of what was taken is bounded here.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming as Ended, StreamErrorIncoming as Broken, StreamId, WriteBuf};
use quinn::{Connection, ConnectionError, ReadError, VarInt, WriteError};

use super::code;

/// Of a request, what may be held before a head or a piece of its body is whole.
const AHEAD_MAX: usize = 256 << 10;
/// Of a stream beside requests, all that may ever come: settings, and browsers' wishes of what goes first.
const BESIDE_MAX: usize = 1 << 20;
/// What is read at once.
const PIECE: usize = 16 << 10;

/// How much was read of a request since something of it was whole.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ahead(Arc<AtomicUsize>);

impl Ahead {
    /// A head or a piece was whole, and was taken.
    pub(crate) fn taken(&self) {
        self.0.store(0, Relaxed);
    }

    fn read(&self, len: usize, most: usize) -> bool {
        self.0.fetch_add(len, Relaxed).saturating_add(len) <= most
    }
}

/// A request's stream, apart from what HTTP/3 makes of it.
pub(crate) struct Newest {
    pub(crate) ahead: Ahead,
    /// Ends when the client wants no answer any more, or has all of it.
    pub(crate) over: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
}

/// The stream of the request that was accepted last.
pub(crate) type Slot = Arc<Mutex<Option<Newest>>>;

type Pending<T> = Pin<Box<dyn Future<Output = Result<T, ConnectionError>> + Send + Sync>>;

/// A connection.
pub(crate) struct Streams {
    connection: Connection,
    requests: Pending<(quinn::SendStream, quinn::RecvStream)>,
    others: Pending<quinn::RecvStream>,
    opener: Opener,
    newest: Slot,
}

impl Streams {
    pub(crate) fn new(connection: Connection, newest: Slot) -> Self {
        let (requests, others) = (next_request(&connection), next_other(&connection));
        let opener = Opener { connection: connection.clone(), opening: None };
        Self { connection, requests, others, opener, newest }
    }
}

fn next_request(connection: &Connection) -> Pending<(quinn::SendStream, quinn::RecvStream)> {
    let connection = connection.clone();
    Box::pin(async move { connection.accept_bi().await })
}

fn next_other(connection: &Connection) -> Pending<quinn::RecvStream> {
    let connection = connection.clone();
    Box::pin(async move { connection.accept_uni().await })
}

impl quic::Connection<Bytes> for Streams {
    type RecvStream = Receiving;
    type OpenStreams = Opener;

    fn poll_accept_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Receiving, Ended>> {
        let stream = ready!(self.others.as_mut().poll(cx)).map_err(ended)?;
        self.others = next_other(&self.connection);
        Poll::Ready(Ok(Receiving::new(stream, Ahead::default(), BESIDE_MAX)))
    }

    fn poll_accept_bidi(&mut self, cx: &mut Context<'_>) -> Poll<Result<Both, Ended>> {
        let (send, recv) = ready!(self.requests.as_mut().poll(cx)).map_err(ended)?;
        self.requests = next_request(&self.connection);
        let (ahead, stopped) = (Ahead::default(), send.stopped());
        let over = Box::pin(async move { drop(stopped.await) });
        let newest = Newest { ahead: ahead.clone(), over };
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(newest);
        Poll::Ready(Ok(Both { send: Sending::new(send), recv: Receiving::new(recv, ahead, AHEAD_MAX) }))
    }

    fn opener(&self) -> Opener {
        Opener { connection: self.connection.clone(), opening: None }
    }
}

impl quic::OpenStreams<Bytes> for Streams {
    type BidiStream = Both;
    type SendStream = Sending;

    fn poll_open_bidi(&mut self, cx: &mut Context<'_>) -> Poll<Result<Both, Broken>> {
        self.opener.poll_open_bidi(cx)
    }

    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<Sending, Broken>> {
        self.opener.poll_open_send(cx)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        self.opener.close(code, reason);
    }
}

/// Opens what a server opens beside requests.
pub(crate) struct Opener {
    connection: Connection,
    opening: Option<Pending<quinn::SendStream>>,
}

impl quic::OpenStreams<Bytes> for Opener {
    type BidiStream = Both;
    type SendStream = Sending;

    /// A server asks nothing.
    fn poll_open_bidi(&mut self, _: &mut Context<'_>) -> Poll<Result<Both, Broken>> {
        Poll::Ready(Err(Broken::Unknown("a server opens no request".into())))
    }

    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<Sending, Broken>> {
        let connection = &self.connection;
        let opening = self.opening.get_or_insert_with(|| {
            let connection = connection.clone();
            Box::pin(async move { connection.open_uni().await })
        });
        let opened = ready!(opening.as_mut().poll(cx));
        self.opening = None;
        Poll::Ready(
            opened
                .map(Sending::new)
                .map_err(|error| Broken::ConnectionErrorIncoming { connection_error: ended(error) }),
        )
    }

    fn close(&mut self, reason: Code, text: &[u8]) {
        self.connection.close(code(reason), text);
    }
}

/// Both sides of a request.
pub(crate) struct Both {
    send: Sending,
    recv: Receiving,
}

impl quic::BidiStream<Bytes> for Both {
    type SendStream = Sending;
    type RecvStream = Receiving;

    fn split(self) -> (Sending, Receiving) {
        (self.send, self.recv)
    }
}

impl quic::RecvStream for Both {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broken>> {
        self.recv.poll_data(cx)
    }

    fn stop_sending(&mut self, error_code: u64) {
        self.recv.stop_sending(error_code);
    }

    fn recv_id(&self) -> StreamId {
        self.recv.recv_id()
    }
}

impl quic::SendStream<Bytes> for Both {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.send.poll_ready(cx)
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), Broken> {
        self.send.send_data(data)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.send.poll_finish(cx)
    }

    fn reset(&mut self, reset_code: u64) {
        self.send.reset(reset_code);
    }

    fn send_id(&self) -> StreamId {
        self.send.send_id()
    }
}

/// What comes.
pub(crate) struct Receiving {
    stream: quinn::RecvStream,
    room: BytesMut,
    ahead: Ahead,
    most: usize,
}

impl Receiving {
    fn new(stream: quinn::RecvStream, ahead: Ahead, most: usize) -> Self {
        Self { stream, room: BytesMut::new(), ahead, most }
    }
}

impl quic::RecvStream for Receiving {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broken>> {
        self.room.resize(PIECE, 0);
        let read = ready!(self.stream.poll_read(cx, &mut self.room)).map_err(unread)?;
        if read == 0 {
            return Poll::Ready(Ok(None));
        }
        if !self.ahead.read(read, self.most) {
            return Poll::Ready(Err(Broken::Unknown("more came than is held".into())));
        }
        Poll::Ready(Ok(Some(self.room.split_to(read).freeze())))
    }

    fn stop_sending(&mut self, error_code: u64) {
        drop(self.stream.stop(VarInt::from_u64(error_code).unwrap_or(VarInt::MAX)));
    }

    fn recv_id(&self) -> StreamId {
        id(self.stream.id())
    }
}

/// What goes.
pub(crate) struct Sending {
    stream: quinn::SendStream,
    writing: Option<WriteBuf<Bytes>>,
}

impl Sending {
    const fn new(stream: quinn::SendStream) -> Self {
        Self { stream, writing: None }
    }
}

impl quic::SendStream<Bytes> for Sending {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        while let Some(data) = self.writing.as_mut().filter(bytes::Buf::has_remaining) {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, data.chunk()));
            data.advance(written.map_err(unwritten)?);
        }
        self.writing = None;
        Poll::Ready(Ok(()))
    }

    fn send_data<T: Into<WriteBuf<Bytes>>>(&mut self, data: T) -> Result<(), Broken> {
        if self.writing.is_some() {
            return Err(Broken::Unknown("written before what came before was".into()));
        }
        self.writing = Some(data.into());
        Ok(())
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(self.stream.finish().map_err(|error| Broken::Unknown(Box::new(error))))
    }

    fn reset(&mut self, reset_code: u64) {
        drop(self.stream.reset(VarInt::from_u64(reset_code).unwrap_or(VarInt::MAX)));
    }

    fn send_id(&self) -> StreamId {
        id(self.stream.id())
    }
}

/// QUIC's numbers of streams are HTTP/3's.
#[expect(clippy::expect_used, reason = "both have 62 bits")]
fn id(of: quinn::StreamId) -> StreamId {
    StreamId::try_from(u64::from(of)).expect("a number of 62 bits")
}

fn ended(error: ConnectionError) -> Ended {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            Ended::ApplicationClose { error_code: close.error_code.into_inner() }
        }
        ConnectionError::TimedOut => Ended::Timeout,
        error => Ended::Undefined(Arc::new(error)),
    }
}

fn unread(error: ReadError) -> Broken {
    match error {
        ReadError::Reset(code) => Broken::StreamTerminated { error_code: code.into_inner() },
        ReadError::ConnectionLost(error) => {
            Broken::ConnectionErrorIncoming { connection_error: ended(error) }
        }
        error => Broken::Unknown(Box::new(error)),
    }
}

fn unwritten(error: WriteError) -> Broken {
    match error {
        WriteError::Stopped(code) => Broken::StreamTerminated { error_code: code.into_inner() },
        WriteError::ConnectionLost(error) => {
            Broken::ConnectionErrorIncoming { connection_error: ended(error) }
        }
        error => Broken::Unknown(Box::new(error)),
    }
}
