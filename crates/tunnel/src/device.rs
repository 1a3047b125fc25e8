//! The TUN: raw reads and writes with the ten bytes of Linux before each packet, see
//! [`freehold_packet::Virtio`].

use std::fs::File;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};

use freehold_packet::{Joiner, Run, Virtio};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tun_rs::DeviceBuilder;

use crate::StartError;

/// The largest read.
pub(crate) const READ_MAX: usize = Virtio::LEN + 65_535;

/// An open device; it is gone with the last handle.
#[derive(Debug)]
pub(crate) struct Device {
    file: AsyncFd<File>,
    /// Whether it takes datagrams joined.
    udp: bool,
}

impl Device {
    /// Makes the device, down and without addresses.
    pub(crate) fn make(name: &str) -> Result<Self, StartError> {
        if !std::path::Path::new("/dev/net/tun").exists() {
            return Err(StartError::NoTun);
        }
        let built = DeviceBuilder::new().name(name).with(|builder| {
            builder.offload(true);
        });
        let failed = |source| StartError::Device { name: name.to_owned(), source };
        let device = built.enable(false).build_sync().map_err(|source| match source.raw_os_error() {
            // EBUSY, EPERM, EACCES, ENODEV.
            Some(16) => StartError::Taken(name.to_owned()),
            Some(1 | 13) => StartError::NotAllowed(name.to_owned()),
            Some(19 | 6) => StartError::NoTun,
            _ => failed(source),
        })?;
        let udp = device.udp_gso();
        let fd = device.as_fd().try_clone_to_owned().map_err(failed)?;
        Self::around(fd, udp).map_err(failed)
    }

    /// Takes one that somebody else has made.
    pub(crate) fn around(fd: OwnedFd, udp: bool) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        #[expect(deprecated, reason = "a file keeps its descriptor; what took its place needs unsafe code")]
        let file = AsyncFd::new(File::from(fd))?;
        Ok(Self { file, udp })
    }

    /// What may be joined for it.
    pub(crate) fn joiner(&self) -> Joiner {
        Joiner::new(self.udp)
    }

    /// Waits until there is something to read.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        // Readiness stays until a read finds nothing.
        self.file.readable().await.map(|mut ready| ready.retain_ready())
    }

    /// Reads one packet of the kernel's, with what stands before it; none if there is none now.
    pub(crate) fn read(&self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match self.file.try_io(Interest::READABLE, |mut file| file.read(into)) {
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Hands a run of packets to the kernel; false if it refuses what it is given.
    pub(crate) async fn write(&self, run: &Run, packets: &[(&[u8], bool)]) -> io::Result<bool> {
        let virtio = run.virtio.write();
        let mut slices = Vec::with_capacity(2 + run.packets.len());
        slices.extend([IoSlice::new(&virtio), IoSlice::new(run.head())]);
        let payloads = packets.get(run.packets.clone()).unwrap_or_default();
        slices.extend(payloads.iter().filter_map(|(packet, _)| packet.get(run.skip..)).map(IoSlice::new));
        match self.file.async_io(Interest::WRITABLE, |mut file| file.write_vectored(&slices)).await {
            Ok(_) => Ok(true),
            // EINVAL for a packet; ENOBUFS, ENOMEM, EIO (the device is down): lost, as on any device.
            Err(error) if matches!(error.raw_os_error(), Some(22 | 105 | 12 | 5)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Hands over one whole packet, if that goes without waiting.
    pub(crate) fn offer(&self, packet: &[u8]) {
        let virtio = Virtio::default().write();
        // An error message that is lost is like one that the network lost.
        drop((&mut self.file.get_ref()).write_vectored(&[IoSlice::new(&virtio), IoSlice::new(packet)]));
    }
}
