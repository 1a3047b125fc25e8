//! Packets between the door and the network, in both directions.

use std::io;

use bytes::Bytes;
use gotatun::packet::{Ip, Packet, PacketBufPool};
use gotatun::tun::{IpRecv, IpSend, MtuWatcher};
use tokio::sync::mpsc;

/// Packets taken at a time.
const BATCH: usize = 128;
/// Larger than any packet: what is sealed is filled up to whole blocks, as the protocol has it.
const LARGEST: u16 = u16::MAX;

/// Takes what phones send.
pub(crate) struct ToNetwork(pub(crate) mpsc::Sender<Bytes>);

impl IpSend for ToNetwork {
    async fn send(&mut self, packet: Packet<Ip>) -> io::Result<()> {
        let packet = packet.into_bytes();
        // Full, or nobody carries packets at present: lost, as in any network.
        drop(self.0.try_send(Bytes::copy_from_slice(&packet)));
        Ok(())
    }
}

/// Gives what goes to phones.
pub(crate) struct FromNetwork {
    packets: mpsc::Receiver<Bytes>,
    batch: Vec<Bytes>,
}

impl FromNetwork {
    pub(crate) const fn new(packets: mpsc::Receiver<Bytes>) -> Self {
        Self { packets, batch: Vec::new() }
    }
}

impl IpRecv for FromNetwork {
    async fn recv<'a>(
        &'a mut self,
        pool: &mut PacketBufPool,
    ) -> io::Result<impl Iterator<Item = Packet<Ip>> + Send + 'a> {
        if self.packets.recv_many(&mut self.batch, BATCH).await == 0 {
            // Nothing will ever come; an error would end the door.
            std::future::pending::<()>().await;
        }
        let pool = pool.clone();
        Ok(self.batch.drain(..).filter_map(move |bytes| {
            let mut packet = pool.get();
            packet.buf_mut().clear();
            packet.buf_mut().extend_from_slice(&bytes);
            packet.try_into_ip().ok()
        }))
    }

    fn mtu(&self) -> MtuWatcher {
        MtuWatcher::new(LARGEST)
    }
}
