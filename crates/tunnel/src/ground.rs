//! Where packets come from and go to on this machine: the kernel's device, or hands that stand in for a kernel
//! where nobody may make one.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use freehold_packet::frame::{Kind, read};
use freehold_packet::{Joiner, Run};
use tokio::sync::mpsc::{self, error::TryRecvError};

use crate::config::Hands;
use crate::device::Device;

/// What takes packets.
#[derive(Debug)]
pub(crate) enum Ground {
    Kernel(Device),
    Hands(mpsc::Sender<Vec<Bytes>>),
}

/// What gives packets; one task has it.
#[derive(Debug)]
pub(crate) enum Intake {
    Kernel(Arc<Ground>),
    Hands { from: mpsc::Receiver<Bytes>, next: VecDeque<Bytes> },
}

/// The hands are gone: they ended, which a device does not.
fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "what carried packets in user space has ended")
}

/// Both ends of a device.
pub(crate) fn of_device(device: Device) -> (Arc<Ground>, Intake) {
    let ground = Arc::new(Ground::Kernel(device));
    (Arc::clone(&ground), Intake::Kernel(ground))
}

/// Both ends of hands.
pub(crate) fn of_hands(hands: Hands) -> (Arc<Ground>, Intake) {
    let Hands { to, from } = hands;
    (Arc::new(Ground::Hands(to)), Intake::Hands { from, next: VecDeque::new() })
}

impl Ground {
    /// What may be joined for it.
    pub(crate) fn joiner(&self) -> Joiner {
        match self {
            Self::Kernel(device) => device.joiner(),
            Self::Hands(_) => Joiner::new(false),
        }
    }

    /// Hands over the packets of frames, in their order; says how many were refused.
    pub(crate) async fn deliver(
        &self,
        frames: &[Bytes],
        joiner: &mut Joiner,
        runs: &mut Vec<Run>,
    ) -> io::Result<usize> {
        let device = match self {
            Self::Kernel(device) => device,
            Self::Hands(to) => {
                if !frames.is_empty() {
                    // One byte says what a frame is.
                    let packets = frames.iter().filter(|frame| !frame.is_empty());
                    let packets = packets.map(|frame| frame.slice(1..)).collect();
                    to.send(packets).await.map_err(|_| gone())?;
                }
                return Ok(0);
            }
        };
        let packets = frames.iter().filter_map(|frame| read(frame));
        let packets: Vec<(&[u8], bool)> =
            packets.map(|(kind, packet)| (packet, kind == Kind::Partial)).collect();
        runs.clear();
        joiner.runs(&packets, runs);
        let mut refused = 0;
        for run in &*runs {
            if !device.write(run, &packets).await? {
                refused += run.packets.len();
            }
        }
        Ok(refused)
    }

    /// Hands over one whole packet, if that goes without waiting.
    pub(crate) fn offer(&self, packet: &[u8]) {
        match self {
            Self::Kernel(device) => device.offer(packet),
            // An error message that is lost is like one that the network lost.
            Self::Hands(to) => drop(to.try_send(vec![Bytes::copy_from_slice(packet)])),
        }
    }
}

impl Intake {
    /// Waits until there is something to read.
    pub(crate) async fn readable(&mut self) -> io::Result<()> {
        match self {
            Self::Kernel(ground) => match &**ground {
                Ground::Kernel(device) => device.readable().await,
                Ground::Hands(_) => Err(gone()),
            },
            Self::Hands { next, .. } if !next.is_empty() => Ok(()),
            Self::Hands { from, next } => {
                next.push_back(from.recv().await.ok_or_else(gone)?);
                Ok(())
            }
        }
    }

    /// Reads one packet, with what stands before it; none if there is none now.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        let (from, next) = match self {
            Self::Kernel(ground) => {
                return match &**ground {
                    Ground::Kernel(device) => device.read(into),
                    Ground::Hands(_) => Err(gone()),
                };
            }
            Self::Hands { from, next } => (from, next),
        };
        let packet = match next.pop_front() {
            Some(packet) => packet,
            None => match from.try_recv() {
                Ok(packet) => packet,
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => return Err(gone()),
            },
        };
        // What is larger than a packet can be is none, and is cut off where it is read.
        let len = packet.len().min(into.len());
        if let (Some(into), Some(packet)) = (into.get_mut(..len), packet.get(..len)) {
            into.copy_from_slice(packet);
        }
        Ok(Some(len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hands_get_packets_without_what_says_so_and_give_them_one_by_one() {
        let (to, mut taken) = mpsc::channel(2);
        let (give, from) = mpsc::channel(2);
        let (ground, mut intake) = of_hands(Hands { to, from });
        let frames = [Bytes::from_static(b"\x00one"), Bytes::from_static(b"\x01two")];
        let refused = ground.deliver(&frames, &mut ground.joiner(), &mut Vec::new()).await.unwrap();
        assert_eq!(refused, 0);
        assert_eq!(taken.recv().await.unwrap(), [Bytes::from_static(b"one"), Bytes::from_static(b"two")]);

        let mut into = [0; 8];
        assert_eq!(intake.read(&mut into).unwrap(), None);
        give.send(Bytes::from_static(b"out")).await.unwrap();
        give.send(Bytes::from_static(b"more than fits")).await.unwrap();
        intake.readable().await.unwrap();
        assert_eq!((intake.read(&mut into).unwrap(), &into[..3]), (Some(3), &b"out"[..]));
        assert_eq!((intake.read(&mut into).unwrap(), &into), (Some(8), b"more tha"));
        drop(give);
        assert!(intake.readable().await.is_err() && intake.read(&mut into).is_err());
        drop(taken);
        assert!(ground.deliver(&frames, &mut ground.joiner(), &mut Vec::new()).await.is_err());
    }
}
