//! Questions in datagrams: one socket for each processor, emptied in batches, answered in batches.

mod socket;

use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use freehold_ports::Source;
use noq_udp::{BATCH_SIZE, RecvMeta};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answering::{Answering, Asked, Channel, Reply};
use crate::counting::Counter;
use crate::waiting::Waiting;
pub(crate) use socket::Socket;

/// The kernel may join datagrams of one client up to this.
const JOINED: usize = 65_535;
/// Batches in a row before others have their turn.
const IN_A_ROW: usize = 8;

/// An answer on its way.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) to: SocketAddr,
    /// Which of our addresses was asked.
    pub(crate) from: Option<IpAddr>,
    pub(crate) bytes: Vec<u8>,
}

/// Serves one socket.
pub(crate) struct Datagrams {
    pub(crate) answering: Arc<Answering>,
    pub(crate) socket: Arc<Socket>,
    pub(crate) counter: Counter,
    pub(crate) waiting: Waiting,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Datagrams {
    /// Until it is stopped.
    pub(crate) async fn serve(self) {
        // Pages that nothing is ever written to cost nothing.
        let mut room: Vec<Vec<u8>> = (0..BATCH_SIZE).map(|_| vec![0; JOINED]).collect();
        let mut heads = [RecvMeta::default(); BATCH_SIZE];
        let mut leaving: Vec<Leaving> = Vec::with_capacity(BATCH_SIZE);
        let mut spare: Vec<Vec<u8>> = Vec::new();
        loop {
            let readable = tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                readable = self.socket.readable() => readable,
            };
            if readable.is_err() {
                return;
            }
            for _ in 0..IN_A_ROW {
                let mut slices: Vec<IoSliceMut<'_>> =
                    room.iter_mut().map(|bytes| IoSliceMut::new(bytes)).collect();
                let Ok(count) = self.socket.receive(&mut slices, &mut heads) else { break };
                drop(slices);
                self.answer(heads.iter().zip(&room).take(count), &mut leaving, &mut spare);
                self.socket.send_all(&leaving).await;
                spare.extend(leaving.drain(..).map(|leaving| leaving.bytes));
                if count < BATCH_SIZE {
                    break;
                }
            }
            tokio::task::yield_now().await;
        }
    }

    /// Answers what can be at once, and hands on what cannot.
    fn answer<'a>(
        &self,
        batch: impl Iterator<Item = (&'a RecvMeta, &'a Vec<u8>)>,
        leaving: &mut Vec<Leaving>,
        spare: &mut Vec<Vec<u8>>,
    ) {
        let (view, moment) = (self.answering.view(), self.answering.moment());
        for (head, bytes) in batch {
            let party = self.answering.party(head.addr);
            let asked =
                Asked { view: &view, moment, party, channel: Channel::Datagram, counter: &self.counter };
            let bytes = bytes.get(..head.len).unwrap_or(&[]);
            for packet in bytes.chunks(head.stride.max(1)) {
                let mut out = spare.pop().unwrap_or_default();
                let (to, from) = (head.addr, head.dst_ip);
                match self.answering.answer(&asked, packet, &mut out) {
                    Reply::Ready => leaving.push(Leaving { to, from, bytes: out }),
                    Reply::Silence => spare.push(out),
                    Reply::Later(later) => {
                        spare.push(out);
                        // Beyond its share a client is not answered: it will ask again.
                        let Some(place) = self.waiting.enter(Source::from(to.ip())) else { continue };
                        let (answering, socket) = (Arc::clone(&self.answering), Arc::clone(&self.socket));
                        self.tasks.spawn(async move {
                            let bytes = answering.settle(*later).await;
                            socket.send_all(&[Leaving { to, from, bytes }]).await;
                            drop(place);
                        });
                    }
                }
            }
        }
    }
}
